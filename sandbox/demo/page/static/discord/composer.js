// The line below the messages: plain text, or a command with its options as Discord has them.

import { ApiError, post } from "../api.js";
import { element } from "../dom.js";
import { CHANNEL_TYPES } from "./components.js";
import { typedCommands } from "./commands.js";
import { icon } from "./icons.js";
import { act, render, store } from "./store.js";

const STRING = 3;
const BOOLEAN = 5;
const USER = 6;
const CHANNEL = 7;
const ROLE = 8;
const MENTIONABLE = 9;
const WHILE_TYPING_MS = 150;
const WORDS = { 4: "A whole number", 10: "A number" };

/** The composer as an element, with `show(state)` and `compose(text)`. */
export function makeComposer() {
  const suggestions = makeSuggestions();
  const problem = element("p", { class: "dc-composer-problem", role: "alert", hidden: true });
  const line = element("div", { class: "dc-line" });
  const send = element(
    "button",
    { type: "submit", class: "dc-icon-button", "aria-label": "Send", title: "Send" },
    icon("send"),
  );
  const slash = element(
    "button",
    { type: "button", class: "dc-icon-button", "aria-label": "Commands", title: "Commands", onclick: () => startSlash() },
    element("span", { class: "slash", "aria-hidden": "true", text: "/" }),
  );
  const form = element("form", { class: "dc-composer", novalidate: true }, suggestions.node, slash, line, send);
  const node = element("div", { class: "dc-bottom" }, form, problem);
  const text = makeText();
  let command = null; // {name, description, options, chips: [chip], rest}
  let where = "";

  line.append(text);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (command) sendCommand();
    else sendText();
  });
  form.addEventListener("focusout", () => {
    setTimeout(() => form.contains(document.activeElement) || suggestions.hide(), 0);
  });

  function say(sentence) {
    problem.hidden = !sentence;
    problem.textContent = sentence ?? "";
  }

  function startSlash() {
    if (command) leaveCommand("");
    text.value = "/";
    text.focus();
    suggestCommands();
  }

  // ── plain text ─────────────────────────────────────────────────────────────────────────────

  function makeText() {
    const made = element("textarea", {
      rows: 1,
      class: "dc-text",
      maxlength: 2000,
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": "dc-suggestions",
      "aria-label": "Message",
      autocomplete: "off",
      spellcheck: "false",
    });
    made.addEventListener("input", () => {
      say(null);
      suggestCommands();
    });
    made.addEventListener("focus", () => made.value.startsWith("/") && suggestCommands());
    made.addEventListener("keydown", (event) => {
      if (event.key === "Escape") typedLast += 1; // what is still asked for is not shown
      if (suggestions.key(event)) return;
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    return made;
  }

  let typedLast = 0;

  async function suggestCommands() {
    const typed = text.value;
    if (!typed.startsWith("/") || typed.includes("\n")) {
      suggestions.hide();
      return;
    }
    const asked = ++typedLast;
    let all;
    try {
      all = await typedCommands();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
      return;
    }
    if (asked !== typedLast || text.value !== typed || command) return;
    const named = all.find((one) => typed.startsWith(`/${one.name} `));
    if (named) {
      enter(named, typed.slice(named.name.length + 2));
      return;
    }
    const wanted = typed.slice(1).trim().toLowerCase();
    const found = all.filter((one) => one.name.includes(wanted));
    found.sort((a, b) => b.name.startsWith(wanted) - a.name.startsWith(wanted));
    suggestions.show(text, {
      title: "Speckle",
      empty: all.length
        ? `No command is called “/${wanted}” here.`
        : `${store.state.me.name} is offered no commands here. Be somebody who may manage webhooks.`,
      items: found.map((one) => ({
        label: `/${one.name}`,
        detail: one.description,
        hint: one.options.map((option) => option.name).join("  "),
        take: () => enter(one, ""),
      })),
    });
  }

  async function sendText() {
    const typed = text.value.trim();
    if (!typed) return;
    if (typed.startsWith("/")) {
      suggestCommands();
      return;
    }
    try {
      await act("say", { text: typed });
      text.value = "";
      say(null);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
    }
  }

  // ── a command ──────────────────────────────────────────────────────────────────────────────

  /** Begin a command; `rest` is what was typed or pasted behind its name. */
  function enter(chosen, rest) {
    suggestions.hide();
    say(null);
    command = { ...chosen, chips: [] };
    const name = element("span", { class: "dc-command", text: `/${chosen.name}`, title: chosen.description });
    command.rest = makeRest();
    line.replaceChildren(name, command.rest);
    for (const option of chosen.options) if (option.required) addChip(option);
    const before = fill(rest);
    const next = command.chips.find((chip) => !chip.input.value);
    if (before) command.rest.value = before;
    (next && next.option.required ? next.input : command.rest).focus();
  }

  /** Options out of a text like `name: value other: value`; gives back what belongs to none. */
  function fill(typed) {
    const names = command.options.map((option) => option.name);
    const places = [...typed.matchAll(/(?:^|\s)([-_'\p{L}\p{N}]+):/gu)].filter((one) => names.includes(one[1]));
    places.forEach((place, index) => {
      const end = places[index + 1]?.index ?? typed.length;
      const value = typed.slice(place.index + place[0].length, end).trim();
      addChip(command.options.find((option) => option.name === place[1])).set(value);
    });
    const unnamed = typed.slice(0, places[0]?.index ?? typed.length).trim();
    const first = command.chips[0];
    if (unnamed && first && !first.input.value) {
      first.set(unnamed);
      return "";
    }
    return unnamed;
  }

  function leaveCommand(typed) {
    command = null;
    suggestions.hide();
    line.replaceChildren(text);
    text.value = typed;
    text.focus();
    if (typed) suggestCommands();
  }

  /** Leave the command, unless a value would be lost. */
  function leaveEmpty() {
    if (Object.keys(values()).length === 0) leaveCommand("");
  }

  function missing() {
    return command.options.filter((option) => !command.chips.some((chip) => chip.option === option));
  }

  /** The end of the line, where further options are offered. */
  function makeRest() {
    const made = element("input", {
      class: "dc-rest",
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": "dc-suggestions",
      "aria-label": "Add an option, or press Enter to send",
      autocomplete: "off",
    });
    made.addEventListener("focus", suggestOptions);
    made.addEventListener("input", () => {
      const named = missing().find((option) => made.value.trim() === `${option.name}:`);
      if (named) addChip(named).input.focus();
      else suggestOptions();
    });
    made.addEventListener("keydown", (event) => {
      if (event.key === "Backspace" && made.value === "") {
        event.preventDefault();
        const last = command.chips.at(-1);
        if (last) last.input.focus();
        else leaveCommand(`/${command.name}`.slice(0, -1));
        return;
      }
      if (event.key === "ArrowLeft" && made.selectionStart === 0 && command.chips.length) {
        event.preventDefault();
        command.chips.at(-1).input.focus();
        return;
      }
      if (suggestions.key(event)) return;
      if (event.key === "Escape") leaveEmpty();
      else if (event.key === "Enter") {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    return made;
  }

  function suggestOptions() {
    if (!command) return;
    const wanted = command.rest.value.trim().toLowerCase();
    const left = missing();
    if (left.length === 0) {
      suggestions.hide();
      return;
    }
    suggestions.show(command.rest, {
      title: `/${command.name}: ${command.description}`,
      empty: "No option has that name.",
      chosen: wanted ? 0 : -1,
      items: left
        .filter((option) => option.name.includes(wanted))
        .map((option) => ({
          label: option.name,
          detail: option.description,
          take: () => {
            command.rest.value = "";
            addChip(option).input.focus();
          },
        })),
    });
  }

  function addChip(option) {
    const there = command.chips.find((chip) => chip.option === option);
    if (there) return there;
    const chip = makeChip(option);
    command.chips.push(chip);
    command.rest.before(chip.node);
    command.rest.value = "";
    return chip;
  }

  function removeChip(chip) {
    const at = command.chips.indexOf(chip);
    command.chips = command.chips.filter((one) => one !== chip);
    const next = command.chips[at - 1]?.input ?? command.rest;
    next.focus(); // before the chip goes, so that the focus stays in the line
    chip.node.remove();
  }

  function makeChip(option) {
    const input = element("input", {
      class: "dc-value",
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": "dc-suggestions",
      "aria-label": `${option.name}: ${option.description}`,
      "aria-required": String(Boolean(option.required)),
      maxlength: option.max_length ?? 6000,
      autocomplete: "off",
      spellcheck: "false",
    });
    const node = element("span", { class: "dc-chip" }, element("span", { class: "dc-chip-name", text: option.name }), input);
    const chip = { option, input, node, value: null, set };
    let asked = 0;
    let timer = 0;

    function set(shown, value = null) {
      input.value = shown;
      chip.value = value;
      node.classList.remove("wrong");
      input.setAttribute("aria-invalid", "false");
      resize();
    }

    function resize() {
      input.style.width = `${Math.min(46, Math.max(3, [...input.value].length + 1))}ch`;
    }

    function take(shown, value) {
      set(shown, value);
      suggestions.hide();
      const next = command.chips.slice(command.chips.indexOf(chip) + 1).find((one) => !one.input.value);
      (next?.input ?? command.rest).focus();
    }

    async function suggest() {
      if (document.activeElement !== input) return;
      const typed = input.value;
      const number = ++asked;
      const title = `${option.name}: ${option.description}`;
      const offered = offersOf(option, typed);
      if (offered) {
        suggestions.show(input, {
          title,
          empty: "Nothing here has that name.",
          items: offered.map((one) => ({ ...one, take: () => take(one.shown ?? one.label, one.value) })),
        });
        return;
      }
      if (!option.autocomplete) {
        suggestions.show(input, { title, empty: WORDS[option.type] ?? null, items: [] });
        return;
      }
      if (suggestions.owner() !== input) suggestions.show(input, { title, empty: "Loading…", items: [] });
      const others = values(chip);
      let answer;
      try {
        answer = await post("/api/discord/autocomplete", {
          me: store.me,
          channel: store.channel,
          command: command.name,
          options: others,
          focused: option.name,
          value: typed,
        });
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        answer = { choices: [], failed: error.message };
      }
      if (number !== asked || document.activeElement !== input) return;
      suggestions.show(input, {
        title,
        empty: answer.failed ?? (typed ? null : "Nothing to suggest: type a value."),
        items: answer.choices.map((one) => ({ label: one.name, take: () => take(one.name, one.value) })),
      });
    }

    input.addEventListener("focus", suggest);
    input.addEventListener("input", () => {
      set(input.value);
      say(null);
      clearTimeout(timer);
      timer = setTimeout(suggest, option.autocomplete ? WHILE_TYPING_MS : 0);
    });
    input.addEventListener("keydown", (event) => {
      const { selectionStart, selectionEnd, value } = input;
      const at = command.chips.indexOf(chip);
      if (event.key === "Escape") {
        clearTimeout(timer);
        asked += 1; // what is still asked for is not shown
      }
      const move = (to) => {
        event.preventDefault();
        to?.focus();
      };
      if (event.key === "Backspace" && value === "") {
        event.preventDefault();
        if (option.required && at === 0) leaveCommand(`/${command.name}`.slice(0, -1));
        else removeChip(chip);
      } else if (event.key === "ArrowLeft" && selectionStart === 0 && selectionEnd === 0 && at > 0) {
        move(command.chips[at - 1].input);
      } else if (event.key === "ArrowRight" && selectionStart === value.length) {
        move(command.chips[at + 1]?.input ?? command.rest);
      } else if (suggestions.key(event)) {
        // done
      } else if (event.key === "Escape") {
        leaveEmpty();
      } else if (event.key === "Enter") {
        event.preventDefault();
        form.requestSubmit();
      }
    });
    resize();
    return chip;
  }

  /** The options that have a value; `without` is the one that is being typed. */
  function values(without = null) {
    const filled = command.chips.filter((chip) => chip !== without && chip.input.value !== "");
    return Object.fromEntries(filled.map((chip) => [chip.option.name, chip.value ?? chip.input.value.trim()]));
  }

  async function sendCommand() {
    const sent = command;
    const lacks = sent.options.filter((option) => option.required && !values()[option.name]);
    if (lacks.length > 0) {
      const chip = addChip(lacks[0]);
      chip.node.classList.add("wrong");
      chip.input.setAttribute("aria-invalid", "true");
      say(`The option ${lacks[0].name} is required: specify a value.`);
      chip.input.focus();
      return;
    }
    if (sent.rest.value.trim()) {
      say(`“${sent.rest.value.trim()}” belongs to no option. Choose one first, or remove it.`);
      return;
    }
    const options = values();
    suggestions.hide();
    store.sending = { command: sent.name, channel: store.channel };
    store.toEnd = true;
    render();
    line.inert = true;
    try {
      await act("command", { command: sent.name, options });
      if (command === sent) leaveQuietly();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      say(error.message);
    } finally {
      store.sending = null;
      line.inert = false;
      render();
      if (!document.querySelector("dialog[open]")) focus();
    }
  }

  function leaveQuietly() {
    command = null;
    line.replaceChildren(text);
    text.value = "";
    say(null);
  }

  function focus() {
    (command ? (command.chips[0]?.input ?? command.rest) : text).focus();
    suggestions.hide();
  }

  function show(state) {
    const { channel } = state;
    node.hidden = channel === null || ["forum", "media", "category"].includes(channel.kind);
    if (node.hidden) return;
    const now = `${store.me} ${channel.id}`;
    if (now !== where) {
      where = now;
      if (command) leaveQuietly();
      suggestions.hide();
      say(null);
    }
    const locked = !channel.writable;
    const place = channel.kind.endsWith("thread") ? `“${channel.name}”` : `#${channel.name}`;
    text.placeholder = locked
      ? "You do not have permission to send messages in this channel."
      : `Message ${place}${form.clientWidth < 480 ? "" : ", or type / for commands"}`;
    if (channel.kind === "dm") text.placeholder = "Here the bot writes to you; it reads no answers.";
    text.setAttribute("aria-label", channel.kind === "dm" ? "Message" : `Message ${place}`);
    text.disabled = locked;
    send.disabled = locked;
    slash.disabled = locked;
  }

  /** Put a text like "/subscribe stream_id: …" into the line, for the person to send. */
  async function compose(typed) {
    if (text.disabled) return;
    if (command) leaveQuietly();
    text.value = typed;
    text.focus();
    await suggestCommands();
  }

  return { node, show, compose, focus };
}

function offersOf(option, typed) {
  const wanted = typed.trim().toLowerCase().replace(/^[#@]/, "");
  const fits = (one) => one.label.toLowerCase().replace(/^[#@]/, "").includes(wanted);
  const { state } = store;
  if (option.choices?.length) {
    return option.choices.map((one) => ({ label: one.name, value: one.value })).filter(fits);
  }
  switch (option.type) {
    case BOOLEAN:
      return [{ label: "True", value: true }, { label: "False", value: false }].filter(fits);
    case CHANNEL: {
      const kinds = option.channel_types ?? [];
      return state.channels
        .filter((one) => !kinds.length || kinds.includes(CHANNEL_TYPES[one.kind]))
        .map((one) => ({ label: `#${one.name}`, value: one.id }))
        .filter(fits);
    }
    case USER:
    case ROLE:
    case MENTIONABLE: {
      const people = option.type === ROLE ? [] : state.people;
      const roles = option.type === USER ? [] : state.roles;
      return [...people, ...roles]
        .map((one) => ({ label: `@${one.name.replace(/^@/, "")}`, value: one.id, detail: one.may }))
        .filter(fits);
    }
    default:
      return option.type === STRING ? null : null;
  }
}

/** The list above the line: what can be chosen by arrow keys, Enter and Tab. */
function makeSuggestions() {
  const title = element("div", { class: "dc-suggestions-title" });
  const list = element("div", { role: "listbox", id: "dc-suggestions", "aria-label": "Suggestions" });
  const empty = element("p", { class: "dc-suggestions-empty" });
  const node = element("div", { class: "dc-suggestions", hidden: true }, title, list, empty);
  let owner = null;
  let items = [];
  let at = -1;
  node.addEventListener("pointerdown", (event) => event.preventDefault()); // the focus stays

  function mark() {
    [...list.children].forEach((one, index) => one.setAttribute("aria-selected", String(index === at)));
    const active = list.children[at];
    active?.scrollIntoView({ block: "nearest" });
    if (active) owner?.setAttribute("aria-activedescendant", active.id);
    else owner?.removeAttribute("aria-activedescendant");
  }

  function show(input, what) {
    if (owner && owner !== input) hide();
    owner = input;
    items = what.items;
    at = items.length ? (what.chosen ?? 0) : -1;
    title.textContent = what.title;
    list.replaceChildren(
      ...items.map((item, index) =>
        element(
          "div",
          {
            role: "option",
            id: `dc-suggestion-${index}`,
            class: "dc-suggestion",
            onclick: () => item.take(),
            onpointermove: () => {
              if (at === index) return;
              at = index;
              mark();
            },
          },
          element("span", { class: "dc-suggestion-label", text: item.label }),
          item.hint && element("span", { class: "dc-suggestion-hint", text: item.hint }),
          item.detail && element("small", { text: item.detail }),
        ),
      ),
    );
    list.hidden = items.length === 0;
    empty.hidden = items.length > 0 || !what.empty;
    empty.textContent = what.empty ?? "";
    node.hidden = false;
    input.setAttribute("aria-expanded", String(items.length > 0));
    mark();
  }

  function hide() {
    node.hidden = true;
    owner?.setAttribute("aria-expanded", "false");
    owner?.removeAttribute("aria-activedescendant");
    owner = null;
    items = [];
    at = -1;
  }

  /** Whether the key was for the list. */
  function key(event) {
    if (node.hidden || event.isComposing) return false;
    if (event.key === "Escape") {
      event.preventDefault();
      hide();
      return true;
    }
    if (items.length === 0) return false;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      const step = event.key === "ArrowDown" ? 1 : -1;
      at = at < 0 && step < 0 ? items.length - 1 : (at + step + items.length) % items.length;
      mark();
    } else if (event.key === "Tab" && !event.shiftKey) {
      items[Math.max(at, 0)].take();
    } else if (event.key === "Enter" && at >= 0) {
      items[at].take();
    } else {
      return false;
    }
    event.preventDefault();
    return true;
  }

  return { node, show, hide, key, owner: () => owner };
}
