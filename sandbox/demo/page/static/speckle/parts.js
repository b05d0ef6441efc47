// Small parts that the pages of Speckle are made of.

import { element, svg } from "../dom.js";
import { base, ROLES } from "./store.js";

/** A button; `kind` adds classes such as "primary". */
export function button(label, run, kind = "", attributes = {}) {
  return element("button", {
    type: "button", class: `button ${kind}`, onclick: run, ...attributes,
  }, label);
}

/** Somebody's initials on a colour of their own. */
export function avatar(name) {
  const initials = name.split(/\s+/).slice(0, 2).map((word) => word[0] ?? "").join("");
  let hue = 0;
  for (const letter of name) hue = (hue * 31 + letter.charCodeAt(0)) % 360;
  return element("span", {
    class: "sp-avatar", "aria-hidden": "true", style: { "--hue": hue },
  }, initials.toUpperCase());
}

const WORDS = { PRIVATE: "Private", UNLISTED: "By link", PUBLIC: "Public", WORKSPACE: "Workspace" };

/** Who may see a project. */
export function visibilityBadge(visibility) {
  const lock = visibility === "PRIVATE"
    ? svg("svg", { viewBox: "0 0 12 12", width: 11, height: 11, "aria-hidden": "true" },
      svg("path", { d: "M3 5V3.8a3 3 0 0 1 6 0V5h.5v6h-7V5zm1.3 0h3.4V3.8a1.7 1.7 0 0 0-3.4 0z", fill: "currentColor" }))
    : null;
  return element("span", { class: "sp-badge" }, lock, WORDS[visibility] ?? visibility);
}

export function roleBadge(role) {
  return element("span", { class: "sp-badge" }, ROLES[role] ?? "No role");
}

/** A picture of a version: "small", "large" or "pinned". */
export function picture(reference, size, alt = "") {
  if (!reference) return element("span", { class: "sp-picture sp-no-picture" });
  const [project, version] = reference.split("/");
  const source = `${base()}/projects/${project}/versions/${version}/${size}.png`;
  return element("img", { class: "sp-picture", src: source, alt, loading: "lazy", width: 700, height: 400 });
}

/** How long ago something was, with the whole time as its title; it is kept up to date. */
export function ago(iso) {
  const at = new Date(iso);
  return element("time", {
    datetime: iso, title: at.toLocaleString(), "data-ago": true,
  }, agoText(at));
}

function agoText(at) {
  const seconds = Math.max(0, (Date.now() - at) / 1000);
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  const days = Math.round(seconds / 86400);
  return days === 1 ? "yesterday" : `${days} days ago`;
}

/** Say again how long ago things were. */
export function refreshTimes(root) {
  for (const time of root.querySelectorAll("time[data-ago]")) {
    time.textContent = agoText(new Date(time.dateTime));
  }
}

/** Facts in a line, with dots between them. */
export function facts(...pieces) {
  const kept = pieces.filter((one) => one !== null && one !== undefined && one !== "" && one !== false);
  return element("p", { class: "sp-facts" }, kept.flatMap((one, place) => (place ? [" · ", one] : [one])));
}

export const count = (number, word) =>
  `${number.toLocaleString("en")} ${word}${number === 1 ? "" : "s"}`;

/** What people wrote: paragraphs, with people who are mentioned. */
export function words(lines) {
  return element("div", { class: "sp-words" }, lines.map((line) =>
    element("p", {}, line.map((piece) =>
      piece.mention ? element("span", { class: "sp-mention" }, piece.text) : piece.text))));
}

/** A button that opens a menu of `{label, run, danger}`; false ones are left out. */
export function menuButton(label, choices) {
  const items = choices.filter(Boolean);
  if (!items.length) return null;
  const list = element("div", { class: "sp-menu", role: "menu", popover: "auto", "aria-label": label },
    items.map((one, at) => element("button", {
      type: "button", role: "menuitem", tabindex: "-1", autofocus: at === 0, class: one.danger ? "sp-danger" : "",
      onclick: () => { list.hidePopover(); one.run(); },
    }, one.label)));
  const opener = element("button", {
    type: "button", class: "sp-icon", "aria-label": label, "aria-haspopup": "menu", title: label,
  }, "⋯");
  opener.popoverTargetElement = list;
  list.addEventListener("beforetoggle", () => place(list, opener));
  list.addEventListener("toggle", (event) => {
    if (event.newState === "open") place(list, opener);
  });
  list.addEventListener("keydown", (event) => step(event, list, opener));
  return element("span", { class: "sp-menu-place" }, opener, list);
}

function place(list, opener) {
  const at = opener.getBoundingClientRect();
  const top = at.bottom + list.offsetHeight > innerHeight - 8 ? at.top - list.offsetHeight - 4 : at.bottom + 4;
  list.style.setProperty("top", `${Math.max(8, top)}px`);
  list.style.setProperty("left", `${Math.max(8, at.right - list.offsetWidth)}px`);
}

function step(event, list, opener) {
  const items = [...list.children];
  const now = items.indexOf(document.activeElement);
  const next = {
    ArrowDown: (now + 1) % items.length,
    ArrowUp: (now - 1 + items.length) % items.length,
    Home: 0,
    End: items.length - 1,
  }[event.key];
  if (next !== undefined) {
    event.preventDefault();
    items[next].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    list.hidePopover();
    opener.focus();
  }
}

/** Let who uses the keyboard, or hears the page, go on where what they pressed has gone. */
export function focusOnHeading() {
  const heading = document.querySelector("#speckle .sp-body h2");
  if (!heading) return;
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

/** Put a text into the clipboard, and say so on the button that was pressed. */
export async function copy(text, pressed) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    return prompt("Copy this:", text);
  }
  const before = pressed.textContent;
  pressed.textContent = "Copied";
  setTimeout(() => { pressed.textContent = before; }, 1500);
  return undefined;
}
