// A select as Discord has it: a button that opens a list of one or several options.

import { element } from "../dom.js";
import { icon } from "./icons.js";
import { moveByKeys, popup } from "./popups.js";

/**
 * `options` are `{value, label, description, emoji, default}`. `chosen` is called with the values
 * when the list closes, if they are others than before. Returns the element, with `values()`.
 */
export function picker({ options, placeholder, least = 1, most = 1, disabled, label, id, chosen }) {
  let values = options.filter((one) => one.default).map((one) => one.value);
  const shown = element("span", { class: "dc-picker-text" });
  const button = element(
    "button",
    {
      type: "button",
      id,
      class: "dc-picker",
      disabled,
      "aria-haspopup": "listbox",
      "aria-expanded": "false",
      onclick: () => open(),
      onkeydown: (event) => {
        if (event.key === "ArrowDown" || event.key === "ArrowUp") {
          event.preventDefault();
          open();
        }
      },
    },
    shown,
    icon("chevron"),
  );

  function write() {
    const names = options.filter((one) => values.includes(one.value)).map((one) => one.label);
    shown.replaceChildren(names.join(", ") || placeholder || "Make a selection");
    shown.classList.toggle("placeholder", names.length === 0);
    const said = names.join(", ") || placeholder || "Make a selection";
    button.setAttribute("aria-label", label ? `${label}: ${said}` : said);
  }

  function open() {
    const before = values;
    const list = element(
      "div",
      {
        role: "listbox",
        "aria-label": label || placeholder || "Options",
        "aria-multiselectable": most > 1 ? "true" : null,
      },
      options.map((one) => optionNode(one)),
    );
    const opened = popup(button, list, {
      wide: true,
      closed: () => {
        if (String(before) !== String(values)) {
          if (values.length >= least) chosen?.(values);
          else values = before;
          write();
        }
      },
    });
    moveByKeys(opened.box, "[role=option]");
    const first = opened.box.querySelector('[aria-selected="true"]');
    (first ?? opened.box.querySelector("[role=option]"))?.focus();

    function optionNode(one) {
      const node = element(
        "div",
        {
          role: "option",
          class: "dc-option",
          tabindex: "-1",
          "aria-selected": String(values.includes(one.value)),
          onclick: () => choose(one, node),
          onkeydown: (event) => {
            if (event.key !== "Enter" && event.key !== " ") return;
            event.preventDefault();
            choose(one, node);
          },
        },
        emojiNode(one.emoji),
        element(
          "span",
          { class: "dc-option-text" },
          element("span", { text: one.label }),
          one.description && element("small", { text: one.description }),
        ),
        most > 1 && element("span", { class: "dc-check", "aria-hidden": "true" }, icon("check", 14)),
      );
      return node;
    }

    function choose(one, node) {
      if (most > 1) {
        const there = values.includes(one.value);
        if (!there && values.length >= most) return;
        values = there ? values.filter((value) => value !== one.value) : [...values, one.value];
        node.setAttribute("aria-selected", String(!there));
        write();
        return;
      }
      const again = values.includes(one.value);
      values = again && least === 0 ? [] : [one.value];
      write();
      opened.close();
    }
  }

  write();
  return Object.assign(button, { values: () => values });
}

/** An emoji of a button or an option. */
export function emojiNode(emoji) {
  if (!emoji) return null;
  if (emoji.src) return element("img", { class: "emoji", src: emoji.src, alt: `:${emoji.name}:` });
  if (emoji.id) return null;
  return element("span", { class: "emoji-text", text: emoji.name });
}
