// One option of the command that is being typed: its name, and a field for its value.

import { ApiError, post } from "../api.js";
import { element } from "../dom.js";
import { offersOf } from "./offers.js";
import { store } from "./store.js";
import { COMBOBOX } from "./suggestions.js";

const WHILE_TYPING_MS = 150;
const NUMBERS = { 4: "A whole number", 10: "A number" };
const MOST_WIDTH_CH = 46;

/** A chip in the command's line. What was chosen has a value of its own behind what is shown. */
export class OptionChip {
  #asked = 0; // only the last answer of the bot is shown
  #timer = 0;
  #value = null;

  constructor(option, command) {
    this.option = option;
    this.command = command;
    this.input = element("input", {
      ...COMBOBOX,
      class: "dc-value",
      "aria-label": `${option.name}: ${option.description}`,
      "aria-required": String(Boolean(option.required)),
      maxlength: option.max_length ?? 6000,
      spellcheck: "false",
    });
    const name = element("span", { class: "dc-chip-name", text: option.name });
    this.node = element("span", { class: "dc-chip" }, name, this.input);
    this.input.addEventListener("focus", () => this.#suggest());
    this.input.addEventListener("input", () => this.#typed());
    this.input.addEventListener("keydown", (event) => this.#key(event));
    this.set("");
  }

  get isEmpty() {
    return this.input.value.trim() === "";
  }

  get value() {
    return this.#value ?? this.input.value.trim();
  }

  /** Show a value; `value` is what is sent for it, where that is something else. */
  set(shown, value = null) {
    this.input.value = shown;
    this.#value = value;
    this.mark(false);
    this.input.style.width = `${Math.min(MOST_WIDTH_CH, Math.max(3, [...shown].length + 1))}ch`;
  }

  mark(wrong) {
    this.node.classList.toggle("wrong", wrong);
    this.input.setAttribute("aria-invalid", String(wrong));
  }

  #typed() {
    this.set(this.input.value);
    this.command.say(null);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#suggest(), this.option.autocomplete ? WHILE_TYPING_MS : 0);
  }

  #take(shown, value) {
    this.set(shown, value);
    this.command.suggestions.hide();
    this.command.focusAfter(this);
  }

  #show(items, empty) {
    const { name, description } = this.option;
    const title = `${name}: ${description}`;
    this.command.suggestions.show(this.input, { title, empty, items });
  }

  async #suggest() {
    if (document.activeElement !== this.input) return;
    const number = ++this.#asked;
    const typed = this.input.value;
    const offered = offersOf(this.option, typed);
    if (offered) {
      const items = offered.map((one) => ({ ...one, take: () => this.#take(one.label, one.value) }));
      this.#show(items, "Nothing here has that name.");
    } else if (!this.option.autocomplete) {
      this.#show([], NUMBERS[this.option.type] ?? null);
    } else {
      if (this.command.suggestions.owner !== this.input) this.#show([], "Loading…");
      const { choices, failed } = await this.#completions(typed);
      if (number !== this.#asked || document.activeElement !== this.input) return;
      const items = choices.map((one) => ({ label: one.name, take: () => this.#take(one.name, one.value) }));
      this.#show(items, failed ?? (typed ? null : "Nothing to suggest: type a value."));
    }
  }

  async #completions(typed) {
    try {
      return await post("/api/discord/autocomplete", {
        me: store.me,
        channel: store.channel,
        command: this.command.name,
        options: this.command.values(this),
        focused: this.option.name,
        value: typed,
      });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { choices: [], failed: error.message };
    }
  }

  #key(event) {
    const { selectionStart, selectionEnd, value } = this.input;
    if (event.key === "Escape") {
      clearTimeout(this.#timer);
      this.#asked += 1; // what is still asked for is not shown
    }
    const atStart = selectionStart === 0 && selectionEnd === 0;
    if (event.key === "Backspace" && value === "") this.command.removeByKey(this);
    else if (event.key === "ArrowLeft" && atStart) this.command.focusBefore(this);
    else if (event.key === "ArrowRight" && selectionStart === value.length) this.command.focusNext(this);
    else if (this.command.suggestions.takesKey(event)) return;
    else if (event.key === "Escape") this.command.leaveIfEmpty();
    else if (event.key === "Enter") this.command.send();
    else return;
    event.preventDefault();
  }
}
