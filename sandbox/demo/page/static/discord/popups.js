// What opens above the page at an element: menus and lists.

import { element } from "../dom.js";

let open = null;

/**
 * Open `content` at `anchor` until something else is clicked, Escape is pressed or `close` is
 * called; the focus then is back where it was. `wide`: as wide as the anchor at least; `at`: at
 * this place of the page, such as the pointer's, in place of the anchor's.
 */
export function popup(anchor, content, { label, role, closed, ...where } = {}) {
  open?.close();
  const box = element("div", { class: "dc-popup", role, "aria-label": label, popover: "manual" }, content);
  (anchor.closest("dialog") ?? document.getElementById("discord")).append(box);
  const scroller = anchor.closest(".dc-scroller, dialog");
  const close = (focusBack = true) => {
    if (open?.box !== box) return;
    open = null;
    document.removeEventListener("pointerdown", outside, true);
    scroller?.removeEventListener("scroll", follow);
    box.remove();
    anchor.setAttribute("aria-expanded", "false");
    closed?.();
    if (focusBack) anchor.focus({ preventScroll: true });
  };
  const follow = () => (anchor.isConnected && !where.at ? place(box, anchor, where) : close(false));
  const outside = (event) => {
    if (!box.contains(event.target) && !anchor.contains(event.target)) close(false);
  };
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      close();
    }
  });
  document.addEventListener("pointerdown", outside, true);
  anchor.setAttribute("aria-expanded", "true");
  box.showPopover();
  place(box, anchor, where);
  scroller?.addEventListener("scroll", follow);
  open = { box, close };
  return { box, close };
}

function place(box, anchor, { wide = false, end = false, at = anchor.getBoundingClientRect() }) {
  if (wide) box.style.minWidth = `${at.width}px`;
  const size = box.getBoundingClientRect();
  const below = innerHeight - at.bottom - 8;
  const above = at.top - 8;
  const down = size.height <= below || below >= above;
  box.style.maxHeight = `${Math.min(400, down ? below : above)}px`;
  const height = Math.min(size.height, down ? below : above, 400);
  const top = down ? at.bottom + 4 : at.top - height - 4;
  box.style.top = `${Math.max(8, Math.min(top, innerHeight - height - 8))}px`;
  const left = end ? at.right - size.width : at.left;
  box.style.left = `${Math.max(8, Math.min(left, innerWidth - size.width - 8))}px`;
}

/** Let arrow keys, Home, End and letters move the focus between the items of a list or menu. */
export function moveByKeys(box, selector) {
  box.addEventListener("keydown", (event) => {
    const items = [...box.querySelectorAll(selector)];
    const at = items.indexOf(document.activeElement);
    const next = {
      ArrowDown: items[(at + 1) % items.length],
      ArrowUp: items[(at - 1 + items.length) % items.length],
      Home: items[0],
      End: items.at(-1),
    }[event.key];
    const letter = event.key.length === 1 && /\S/.test(event.key) && !event.ctrlKey && !event.metaKey;
    const named = letter && (typed(items.slice(at + 1), event.key) ?? typed(items, event.key));
    const found = next ?? (named || null);
    if (!found) return;
    event.preventDefault();
    found.focus();
    found.scrollIntoView({ block: "nearest" });
  });
}

function typed(items, letter) {
  return items.find((one) => one.textContent.trim().toLowerCase().startsWith(letter.toLowerCase()));
}

/** A menu of `{label, detail, act}` at a button. */
export function menu(anchor, label, items, options = {}) {
  const entries = items.map((item) =>
    item.heading
      ? element("div", { class: "dc-menu-heading", role: "presentation", text: item.heading })
      : element(
          "button",
          {
            type: "button",
            role: item.checked === undefined ? "menuitem" : "menuitemradio",
            "aria-checked": item.checked === undefined ? null : String(item.checked),
            class: "dc-menu-item",
            onclick: () => {
              opened.close();
              item.act();
            },
          },
          item.icon,
          element(
            "span",
            { class: "dc-menu-text" },
            element("span", { text: item.label }),
            item.detail && element("small", { text: item.detail }),
          ),
        ),
  );
  const opened = popup(anchor, entries, { label, role: "menu", ...options });
  moveByKeys(opened.box, "button");
  (opened.box.querySelector('[aria-checked="true"]') ?? opened.box.querySelector("button"))?.focus();
  return opened;
}
