// The line below the messages: plain text, or a command with its options as Discord has them.

import { ApiError } from "../api.js";
import { element } from "../dom.js";
import { CommandLine } from "./command_line.js";
import { typedCommands } from "./commands.js";
import { icon } from "./icons.js";
import { act, render, store } from "./store.js";
import { COMBOBOX, Suggestions } from "./suggestions.js";

const READ_ONLY = ["forum", "media", "category"]; // nothing is typed there
const NARROW_PX = 480;

/** The composer; `node` is its element. */
export class Composer {
  #command = null; // the CommandLine, while a command is being typed
  #asked = 0; // only the list of the last text is shown
  #where = "";

  constructor() {
    this.suggestions = new Suggestions();
    this.text = this.#makeText();
    this.line = element("div", { class: "dc-line" }, this.text);
    this.problem = element("p", { class: "dc-composer-problem", role: "alert", hidden: true });
    this.slash = barButton("button", "Commands", element("span", { class: "slash", "aria-hidden": "true", text: "/" }));
    this.slash.addEventListener("click", () => this.compose("/"));
    this.sender = barButton("submit", "Send", icon("send"));
    this.form = element(
      "form",
      { class: "dc-composer", novalidate: true },
      this.suggestions.node,
      this.slash,
      this.line,
      this.sender,
    );
    this.node = element("div", { class: "dc-bottom" }, this.form, this.problem);
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    this.form.addEventListener("focusout", () => {
      setTimeout(() => this.form.contains(document.activeElement) || this.suggestions.hide(), 0);
    });
  }

  /** Fit it to the channel that is open. */
  show({ channel }) {
    this.node.hidden = channel === null || READ_ONLY.includes(channel.kind);
    if (this.node.hidden) return;
    const where = `${store.me} ${channel.id}`;
    if (where !== this.#where) {
      this.#where = where;
      this.suggestions.hide();
      this.#clear(this.#command ? "" : this.text.value);
    }
    const place = channel.kind.endsWith("thread") ? `“${channel.name}”` : `#${channel.name}`;
    this.text.placeholder = this.#placeholder(channel, place);
    this.text.setAttribute("aria-label", channel.kind === "dm" ? "Message" : `Message ${place}`);
    for (const one of [this.text, this.sender, this.slash]) one.disabled = !channel.writable;
  }

  #placeholder(channel, place) {
    if (channel.kind === "dm") return "Here the bot writes to you; it reads no answers.";
    if (!channel.writable) return "You do not have permission to send messages in this channel.";
    const hint = this.form.clientWidth < NARROW_PX ? "" : ", or type / for commands";
    return `Message ${place}${hint}`;
  }

  /** Put a text like "/subscribe stream_id: …" into the line, for the person to send. */
  async compose(typed) {
    if (this.text.disabled) return;
    this.#clear(typed);
    this.text.focus();
    await this.#suggestCommands();
  }

  /** Say below the line what is wrong; null says nothing. */
  say(sentence) {
    this.problem.hidden = !sentence;
    this.problem.textContent = sentence ?? "";
  }

  submit() {
    this.form.requestSubmit();
  }

  /** Back from a command to plain text. */
  leave(typed) {
    this.suggestions.hide();
    this.compose(typed);
  }

  #clear(typed = "") {
    this.#command = null;
    this.line.replaceChildren(this.text);
    this.text.value = typed;
    this.say(null);
  }

  // ── plain text, and the list of commands ───────────────────────────────────────────────────

  #makeText() {
    const made = element("textarea", {
      ...COMBOBOX,
      rows: 1,
      class: "dc-text",
      maxlength: 2000,
      "aria-label": "Message",
      spellcheck: "false",
    });
    made.addEventListener("input", () => {
      this.say(null);
      this.#suggestCommands();
    });
    made.addEventListener("focus", () => made.value.startsWith("/") && this.#suggestCommands());
    made.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#asked += 1; // what is still asked for is not shown
      if (this.suggestions.takesKey(event)) return;
      if (event.key === "Enter" && !event.shiftKey) {
        event.preventDefault();
        this.submit();
      }
    });
    return made;
  }

  async #suggestCommands() {
    const typed = this.text.value;
    if (!typed.startsWith("/") || typed.includes("\n")) {
      this.suggestions.hide();
      return;
    }
    const number = ++this.#asked;
    const all = await this.#sayProblems(typedCommands());
    if (!all || number !== this.#asked || this.text.value !== typed || this.#command) return;
    const named = all.find((one) => typed.startsWith(`/${one.name} `));
    if (named) this.#begin(named, typed.slice(named.name.length + 2));
    else this.#list(all, typed.slice(1).trim().toLowerCase());
  }

  #list(all, wanted) {
    const found = all.filter((one) => one.name.includes(wanted));
    found.sort((a, b) => b.name.startsWith(wanted) - a.name.startsWith(wanted));
    this.suggestions.show(this.text, {
      title: "Speckle",
      empty: all.length
        ? `No command is called “/${wanted}” here.`
        : `${store.state.me.name} is offered no commands here. Is the bot running?`,
      items: found.map((one) => ({
        label: `/${one.name}`,
        detail: one.description,
        hint: one.options.map((option) => option.name).join("  "),
        take: () => this.#begin(one, ""),
      })),
    });
  }

  /** Begin a command; `rest` is what was typed or pasted behind its name. */
  #begin(command, rest) {
    this.suggestions.hide();
    this.say(null);
    this.#command = new CommandLine(command, this);
    this.line.replaceChildren(...this.#command.nodes);
    this.#command.fill(rest);
    this.#command.focus();
  }

  // ── sending ────────────────────────────────────────────────────────────────────────────────

  async #send() {
    if (this.#command) {
      await this.#sendCommand(this.#command);
      return;
    }
    const typed = this.text.value.trim();
    if (typed.startsWith("/")) await this.#suggestCommands();
    else if (typed && (await this.#sayProblems(act("say", { text: typed })))) this.#clear();
  }

  async #sendCommand(command) {
    const problem = command.problem();
    if (problem) {
      this.say(problem);
      return;
    }
    this.suggestions.hide();
    store.sending = { command: command.name, channel: store.channel };
    store.toEnd = true;
    render();
    this.line.inert = true;
    const done = act("command", { command: command.name, options: command.values() });
    if ((await this.#sayProblems(done)) && this.#command === command) this.#clear();
    store.sending = null;
    this.line.inert = false;
    render();
    if (!document.querySelector("dialog[open]")) this.#focus();
  }

  #focus() {
    (this.#command?.rest ?? this.text).focus();
    this.suggestions.hide();
  }

  /** What comes of it; null where it could not be done, which then is said. */
  async #sayProblems(done) {
    try {
      return await done;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      this.say(error.message);
      return null;
    }
  }
}

function barButton(type, label, content) {
  return element("button", { type, class: "dc-icon-button", "aria-label": label, title: label }, content);
}
