// The messages of the open channel in their scroller, which stays at the newest message.

import { element } from "../dom.js";
import { icon } from "./icons.js";
import { jumpTo, moveBetween, showMessages } from "./messages.js";
import { go, showMore, store } from "./store.js";

const NEAR_END_PX = 80;
const MESSAGE_LINK = /^https:\/\/(?:\w+\.)?discord(?:app)?\.com\/channels\/(?:@me|\d+)\/(\d+)(?:\/(\d+))?$/;

/** `node` scrolls, `jump` is the button below it that leads to the newest message. */
export class Talk {
  #atEnd = true;
  #top = 0;
  #where = null;
  #newest = null;

  constructor() {
    this.list = element("ol", { class: "dc-messages" });
    this.begin = element("div", { class: "dc-begin" });
    this.older = element("button", {
      type: "button",
      class: "dc-older dc-button secondary",
      onclick: showMore,
      text: "Show older messages",
    });
    this.node = element(
      "div",
      { class: "dc-scroller", role: "region", "aria-label": "Messages", tabindex: "0" },
      this.older,
      this.begin,
      this.list,
    );
    this.jump = element("button", {
      type: "button",
      class: "dc-jump",
      hidden: true,
      onclick: () => this.#toEnd(),
      text: "Jump to the newest messages ↓",
    });
    this.keepStop = moveBetween(this.list);
    this.node.addEventListener("scroll", () => this.#scrolled());
    const stay = new ResizeObserver(() => this.#atEnd && this.#toEnd());
    stay.observe(this.node);
    stay.observe(this.list);
  }

  show(state) {
    const where = `${store.me} ${store.channel} ${store.most}`;
    const moved = where !== this.#where;
    const more = moved && this.#where?.startsWith(`${store.me} ${store.channel} `);
    this.#where = where;
    const fromEnd = this.node.scrollHeight - this.node.scrollTop;
    this.older.hidden = !state.older;
    this.begin.hidden = state.older || state.channel === null;
    showBegin(this.begin, state.channel);
    showMessages(this.list, state.messages);
    this.keepStop();
    const newest = state.messages.at(-1)?.id;
    if (more) this.node.scrollTop = this.node.scrollHeight - fromEnd;
    else if (moved || this.#atEnd || store.toEnd) this.#toEnd();
    else if (newest !== this.#newest) this.jump.hidden = false;
    this.#newest = newest;
    store.toEnd = false;
  }

  #toEnd() {
    this.node.scrollTop = this.node.scrollHeight;
    this.#top = this.node.scrollTop; // of this channel: a longer one before it was further down
    this.#atEnd = true;
    this.jump.hidden = true;
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.node;
    const near = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    // Only who scrolls up leaves the end: a picture that has loaded makes the list longer too.
    if (near || scrollTop < this.#top) this.#atEnd = near;
    this.#top = scrollTop;
    if (this.#atEnd) this.jump.hidden = true;
  }
}

function showBegin(begin, channel) {
  if (!channel || begin.dataset.channel === channel.id + channel.name) return;
  begin.dataset.channel = channel.id + channel.name;
  const thread = channel.kind.endsWith("thread");
  const named = thread || channel.kind === "dm";
  begin.replaceChildren(
    element("span", { class: "dc-begin-icon" }, icon(thread ? "thread" : channel.kind, 36)),
    element("h3", { text: named ? channel.name : `Welcome to #${channel.name}!` }),
    element("p", { class: "dc-muted", text: beginning(channel, thread) }),
  );
}

function beginning(channel, thread) {
  if (thread) return "This is the start of the thread.";
  if (channel.kind === "dm") return `This is where ${channel.name} writes to you alone.`;
  return `This is the start of the #${channel.name} channel. ${channel.topic}`;
}

// ── what can be clicked within a text: channels, commands, spoilers, links to messages ─────────

/** Make them work below an element; `compose` puts a command into the line. */
export function useMarkup(root, compose) {
  root.addEventListener("click", (event) => {
    const spoiler = event.target.closest(".spoiler:not(.shown)");
    const link = MESSAGE_LINK.exec(event.target.closest("a")?.href ?? "");
    const mention = event.target.closest("button.mention");
    if (spoiler || link) event.preventDefault();
    if (spoiler) reveal(spoiler);
    else if (link) goTo(link[1], link[2]);
    else if (mention?.dataset.channel) go(mention.dataset.channel);
    else if (mention?.dataset.command) compose(`/${mention.dataset.command} `);
  });
  root.addEventListener("keydown", (event) => {
    if (!event.target.matches?.(".spoiler:not(.shown)") || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    reveal(event.target);
  });
}

function reveal(spoiler) {
  spoiler.classList.add("shown");
  spoiler.removeAttribute("role");
  spoiler.removeAttribute("aria-label");
}

/** Show a message of this Discord; its channel alone, where the message is not among those shown. */
async function goTo(channel, message) {
  const { channels, private: own, posts } = store.state;
  if (![...channels, ...own, ...posts].some((one) => one.id === channel)) return;
  await go(channel);
  if (message) jumpTo(message);
}
