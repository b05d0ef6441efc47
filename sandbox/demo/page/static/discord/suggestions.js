// The list above the line: what can be chosen by arrow keys, Enter, Tab and the mouse.

import { element } from "../dom.js";

const LIST_ID = "dc-suggestions";

/** Attributes of an input whose suggestions the list shows. */
export const COMBOBOX = {
  role: "combobox",
  "aria-autocomplete": "list",
  "aria-expanded": "false",
  "aria-controls": LIST_ID,
  autocomplete: "off",
};

/** The list; at most one input at a time owns it. */
export class Suggestions {
  constructor() {
    this.owner = null;
    this.items = [];
    this.at = -1;
    this.title = element("div", { class: "dc-suggestions-title" });
    this.list = element("div", { role: "listbox", id: LIST_ID, "aria-label": "Suggestions" });
    this.empty = element("p", { class: "dc-suggestions-empty" });
    this.node = element("div", { class: "dc-suggestions", hidden: true }, this.title, this.list, this.empty);
    this.node.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays
  }

  /**
   * Show `items` for an input: `{label, detail, hint, take}` each. `chosen` is the one that Enter
   * takes at first, -1 for none; `empty` is said where there are no items.
   */
  show(input, { title, items, empty = null, chosen = 0 }) {
    if (this.owner && this.owner !== input) this.hide();
    this.owner = input;
    this.items = items;
    this.at = items.length ? chosen : -1;
    this.title.textContent = title;
    this.list.replaceChildren(...items.map((item, index) => this.#itemNode(item, index)));
    this.list.hidden = items.length === 0;
    this.empty.hidden = items.length > 0 || !empty;
    this.empty.textContent = empty ?? "";
    this.node.hidden = false;
    input.setAttribute("aria-expanded", String(items.length > 0));
    this.#mark();
  }

  #itemNode(item, index) {
    const point = () => {
      if (this.at === index) return;
      this.at = index;
      this.#mark();
    };
    return element(
      "div",
      {
        role: "option",
        id: `dc-suggestion-${index}`,
        class: "dc-suggestion",
        onclick: () => item.take(),
        onpointermove: point,
      },
      element("span", { class: "dc-suggestion-label", text: item.label }),
      item.hint && element("span", { class: "dc-suggestion-hint", text: item.hint }),
      item.detail && element("small", { text: item.detail }),
    );
  }

  #mark() {
    [...this.list.children].forEach((one, index) => {
      one.setAttribute("aria-selected", String(index === this.at));
    });
    const active = this.list.children[this.at];
    active?.scrollIntoView({ block: "nearest" });
    if (active) this.owner?.setAttribute("aria-activedescendant", active.id);
    else this.owner?.removeAttribute("aria-activedescendant");
  }

  hide() {
    this.node.hidden = true;
    this.owner?.setAttribute("aria-expanded", "false");
    this.owner?.removeAttribute("aria-activedescendant");
    this.owner = null;
    this.items = [];
    this.at = -1;
  }

  /** Use a key that is meant for the list; whether it was. */
  takesKey(event) {
    if (this.node.hidden || event.isComposing) return false;
    if (event.key === "Escape") this.hide();
    else if (this.items.length === 0) return false;
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#move(event.key);
    else if (event.key === "Tab" && !event.shiftKey) this.items[Math.max(this.at, 0)].take();
    else if (event.key === "Enter" && this.at >= 0) this.items[this.at].take();
    else return false;
    event.preventDefault();
    return true;
  }

  #move(key) {
    const count = this.items.length;
    const step = key === "ArrowDown" ? 1 : -1;
    this.at = this.at < 0 && step < 0 ? count - 1 : (this.at + step + count) % count;
    this.#mark();
  }
}
