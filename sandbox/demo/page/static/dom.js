// Making and changing elements.

/**
 * An element. Attributes: `class`, `text` (its text), `html` (HTML that the server escaped),
 * `dataset` and `style` (objects), `on…` (listeners); true sets an empty attribute, false, null
 * and undefined set none. Children: nodes, texts, nested lists; null, undefined and false are left
 * out.
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes ?? {});
  append(made, children);
  return made;
}

/** An element of an SVG drawing; attributes and children as for `element`. */
export function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  setAttributes(made, attributes);
  append(made, children);
  return made;
}

function setAttributes(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "text") made.textContent = value;
    else if (name === "html") made.innerHTML = value;
    else if (name === "dataset") Object.assign(made.dataset, value);
    else if (name === "style") {
      for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    } else if (name.startsWith("on") && typeof value === "function") {
      made.addEventListener(name.slice(2).toLowerCase(), value);
    } else made.setAttribute(name, value === true ? "" : value);
  }
}

function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child);
  }
}

/**
 * Make the children of `parent` those that `items` describe: `{key, version, make}` each. A child
 * whose key and version are the same as before stays as it is, with its focus and its state. In one
 * that is made again, the control with the same `data-focus` has the focus again.
 */
export function reconcile(parent, items) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  // Those that are gone go first: else all behind them would be moved, and laid out again.
  const wanted = new Set(items.map(({ key }) => String(key)));
  before.forEach((child, key) => wanted.has(key) || child.remove());
  let place = parent.firstElementChild;
  for (const { key, version, make } of items) {
    let child = before.get(String(key));
    if (child === undefined || child.dataset.version !== String(version)) {
      const made = make();
      made.dataset.key = key;
      made.dataset.version = version;
      if (child !== undefined) {
        if (child === place) place = made;
        const focused = child.contains(document.activeElement) ? focusPath(child) : null;
        child.replaceWith(made);
        if (focused) refocus(made, focused);
      }
      child = made;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
  }
}

const FOCUSABLE = "button, a, select, input, textarea, [tabindex]";

function focusPath(child) {
  const { activeElement } = document;
  const index = [...child.querySelectorAll(FOCUSABLE)].indexOf(activeElement);
  return { index, key: activeElement.dataset.focus };
}

/** The same control as before; where it has gone, the first that has a name of its own. */
function refocus(made, { index, key }) {
  const named = [...made.querySelectorAll("[data-focus]")];
  const same = key ? (named.find((one) => one.dataset.focus === key) ?? named[0]) : null;
  const found = same ?? [...made.querySelectorAll(FOCUSABLE)][index] ?? made;
  found.focus({ preventScroll: true });
}

const announcer = () => document.getElementById("announcements");

/** Let a screen reader say something, without moving the focus. */
export function announce(text) {
  const region = announcer();
  if (!region) return;
  region.append(element("p", { text }));
  while (region.children.length > 3) region.firstElementChild.remove();
}
