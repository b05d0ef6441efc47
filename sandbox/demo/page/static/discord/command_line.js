// A command while it is being typed: its name, its options as chips, and what else can be added.

import { element } from "../dom.js";
import { OptionChip } from "./option_chip.js";
import { COMBOBOX } from "./suggestions.js";

const NAMED = /(?:^|\s)([-_'\p{L}\p{N}]+):/gu; // an option's name in a typed text

/** `composer` is asked to send it, to leave it, and to say what is wrong. */
export class CommandLine {
  constructor(command, composer) {
    this.name = command.name;
    this.options = command.options;
    this.suggestions = composer.suggestions;
    this.composer = composer;
    this.chips = [];
    this.description = command.description;
    this.rest = this.#makeRest();
    const name = element("span", { class: "dc-command", text: `/${command.name}`, title: command.description });
    this.nodes = [name, this.rest];
  }

  /** Put the required options into the line, and those of a typed text like `name: value`. */
  fill(typed) {
    for (const option of this.options) if (option.required) this.add(option);
    const names = this.options.map((option) => option.name);
    const places = [...typed.matchAll(NAMED)].filter((one) => names.includes(one[1]));
    places.forEach((place, index) => {
      const end = places[index + 1]?.index ?? typed.length;
      const value = typed.slice(place.index + place[0].length, end).trim();
      this.add(this.options.find((option) => option.name === place[1])).set(value);
    });
    const unnamed = typed.slice(0, places[0]?.index ?? typed.length).trim();
    const first = this.chips[0];
    if (unnamed && first?.isEmpty) first.set(unnamed);
    else this.rest.value = unnamed;
  }

  /** The options that have a value; `without` is one that is being typed. */
  values(without = null) {
    const filled = this.chips.filter((chip) => chip !== without && !chip.isEmpty);
    return Object.fromEntries(filled.map((chip) => [chip.option.name, chip.value]));
  }

  /** What keeps it from being sent, as a sentence; the focus then is where to change that. */
  problem() {
    const values = this.values();
    const lacks = this.options.find((option) => option.required && !(option.name in values));
    if (lacks) {
      const chip = this.add(lacks);
      chip.mark(true);
      chip.input.focus();
      return `The option ${lacks.name} is required: specify a value.`;
    }
    const left = this.rest.value.trim();
    return left ? `“${left}” belongs to no option. Choose one first, or remove it.` : null;
  }

  add(option) {
    const there = this.chips.find((chip) => chip.option === option);
    if (there) return there;
    const chip = new OptionChip(option, this);
    this.chips.push(chip);
    this.rest.before(chip.node);
    this.rest.value = "";
    return chip;
  }

  // ── what chips ask for ─────────────────────────────────────────────────────────────────────

  say(sentence) {
    this.composer.say(sentence);
  }

  send() {
    this.composer.submit();
  }

  /** To the first empty option, or to the end. */
  focus() {
    (this.chips.find((chip) => chip.isEmpty)?.input ?? this.rest).focus();
  }

  focusAfter(chip) {
    const later = this.chips.slice(this.chips.indexOf(chip) + 1);
    (later.find((one) => one.isEmpty)?.input ?? this.rest).focus();
  }

  focusNext(chip) {
    (this.chips[this.chips.indexOf(chip) + 1]?.input ?? this.rest).focus();
  }

  focusBefore(chip) {
    this.chips[this.chips.indexOf(chip) - 1]?.input.focus();
  }

  /** Backspace in an empty option: take it away, or the command with its first required one. */
  removeByKey(chip) {
    const at = this.chips.indexOf(chip);
    if (chip.option.required && at === 0) {
      this.composer.leave(`/${this.name}`.slice(0, -1));
      return;
    }
    this.chips = this.chips.filter((one) => one !== chip);
    (this.chips[at - 1]?.input ?? this.rest).focus(); // before it goes: the focus stays in the line
    chip.node.remove();
  }

  /** Leave the command, unless a value would be lost. */
  leaveIfEmpty() {
    if (Object.keys(this.values()).length === 0) this.composer.leave("");
  }

  // ── the end of the line, where further options are offered ─────────────────────────────────

  #makeRest() {
    const made = element("input", {
      ...COMBOBOX,
      class: "dc-rest",
      "aria-label": "Add an option, or press Enter to send",
    });
    made.addEventListener("focus", () => this.#offer());
    made.addEventListener("input", () => {
      const named = this.#missing().find((option) => made.value.trim() === `${option.name}:`);
      if (named) this.add(named).input.focus();
      else this.#offer();
    });
    made.addEventListener("keydown", (event) => this.#key(event));
    return made;
  }

  #missing() {
    return this.options.filter((option) => !this.chips.some((chip) => chip.option === option));
  }

  #offer() {
    const left = this.#missing();
    if (left.length === 0) {
      this.suggestions.hide();
      return;
    }
    const wanted = this.rest.value.trim().toLowerCase();
    const items = left.filter((option) => option.name.includes(wanted)).map((option) => ({
      label: option.name,
      detail: option.description,
      take: () => this.add(option).input.focus(),
    }));
    this.suggestions.show(this.rest, {
      title: `/${this.name}: ${this.description}`,
      empty: "No option has that name.",
      chosen: wanted ? 0 : -1,
      items,
    });
  }

  #key(event) {
    const last = this.chips.at(-1);
    const atStart = this.rest.selectionStart === 0 && this.rest.selectionEnd === 0;
    if (event.key === "Backspace" && this.rest.value === "") {
      if (last) last.input.focus();
      else this.composer.leave(`/${this.name}`.slice(0, -1));
    } else if (event.key === "ArrowLeft" && atStart && last) last.input.focus();
    else if (this.suggestions.takesKey(event)) return;
    else if (event.key === "Escape") this.leaveIfEmpty();
    else if (event.key === "Enter") this.send();
    else return;
    event.preventDefault();
  }
}
