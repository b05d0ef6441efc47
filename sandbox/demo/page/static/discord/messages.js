// Messages as Discord shows them.

import { ApiError } from "../api.js";
import { element, reconcile } from "../dom.js";
import { componentNodes } from "./components.js";
import { embedNodes, fileNode } from "./embeds.js";
import { icon } from "./icons.js";
import { appTag, avatar } from "./people.js";
import { menu } from "./popups.js";
import { act, go, store } from "./store.js";
import { clockTime, messageTime, writeTimes } from "./times.js";
import { commandsFor } from "./commands.js";

const TOGETHER_MS = 7 * 60 * 1000;
const MESSAGE_COMMAND = 3;

/** Make the list's items those messages, keeping what has not changed. */
export function showMessages(list, messages) {
  const items = [];
  let before = null;
  for (const message of messages) {
    if (newDay(before, message)) items.push(dayItem(message));
    const follows = isContinued(before, message);
    const failed = store.failed.get(message.id) ?? "";
    items.push({
      key: message.id,
      version: `${JSON.stringify(message)}${follows}${failed}`,
      make: () => writeTimes(messageNode(message, follows, failed)),
    });
    before = message;
  }
  if (store.sending && store.sending.channel === store.channel) items.push(sendingItem());
  reconcile(list, items);
}

function newDay(before, message) {
  const day = (one) => new Date(one.at).toDateString();
  return before === null || day(before) !== day(message);
}

function dayItem(message) {
  const date = new Date(message.at);
  const text = date.toLocaleDateString(undefined, { day: "numeric", month: "long", year: "numeric" });
  return {
    key: `day-${date.toDateString()}`,
    version: 1,
    make: () => element("li", { class: "dc-day" }, element("span", { text })),
  };
}

function isContinued(before, message) {
  return (
    before !== null &&
    !newDay(before, message) &&
    !message.used &&
    !message.reply &&
    !message.ephemeral &&
    !before.ephemeral &&
    before.author.id === message.author.id &&
    new Date(message.at) - new Date(before.at) < TOGETHER_MS
  );
}

function sendingItem() {
  const { command } = store.sending;
  return {
    key: "sending",
    version: command,
    make: () =>
      element(
        "li",
        { class: "dc-message sending" },
        avatar(store.state.people.find((one) => one.bot) ?? store.state.me),
        element(
          "div",
          { class: "dc-message-body" },
          element("div", { class: "dc-message-head" }, element("strong", { text: "Speckle" }), appTag()),
          element("p", { class: "dc-muted", text: "Sending command…" }),
        ),
      ),
  };
}

function messageNode(message, follows, failed) {
  const kinds = ["dc-message"];
  if (follows) kinds.push("follows");
  if (message.ephemeral) kinds.push("ephemeral");
  if (message.mentions_me) kinds.push("mentions-me");
  return element(
    "li",
    { class: kinds.join(" "), id: `message-${message.id}`, oncontextmenu: (event) => openByContext(event, message) },
    above(message),
    follows ? clockTime(message.at) : avatar(message.author),
    element(
      "div",
      { class: "dc-message-body" },
      !follows && head(message),
      content(message),
      below(message, failed),
    ),
    toolbar(message),
  );
}

/** What a message answers: a command, or another message. */
function above(message) {
  if (message.used) {
    return element(
      "div",
      { class: "dc-above" },
      avatar(message.used.by, 16),
      element("strong", { text: message.used.by.name }),
      " used ",
      element("span", { class: "dc-used", text: commandName(message.used.command) }),
    );
  }
  if (!message.reply) return null;
  const { author, excerpt, id } = message.reply;
  return element(
    "div",
    { class: "dc-above" },
    author && avatar(author, 16),
    author && element("strong", { text: author.name }),
    element("button", { type: "button", class: "dc-excerpt", text: excerpt, onclick: () => jumpTo(id) }),
  );
}

function commandName(name) {
  return /^[-_'\p{Ll}\p{N}]+$/u.test(name) ? `/${name}` : name;
}

/** Bring a message into sight, and mark it for a moment. */
export function jumpTo(id) {
  const found = document.getElementById(`message-${id}`);
  if (!found) return;
  found.scrollIntoView({ block: "center" });
  found.classList.add("jumped");
  setTimeout(() => found.classList.remove("jumped"), 1500);
}

function head(message) {
  return element(
    "div",
    { class: "dc-message-head" },
    element("strong", { class: message.author.bot ? "dc-name bot" : "dc-name", text: message.author.name }),
    message.author.bot && appTag(),
    messageTime(message.at),
  );
}

function content(message) {
  if (message.failed) {
    return element("p", { class: "dc-failed" }, icon("warning", 16), message.failed);
  }
  if (message.thinking) {
    return element(
      "p",
      { class: "dc-thinking" },
      element("span", { class: "dots", "aria-hidden": "true" }, [1, 2, 3].map(() => element("i"))),
      `${message.author.name} is thinking…`,
    );
  }
  const edited = message.edited && editedMark(message.edited);
  const text = message.html && element("div", { class: "markup", html: message.html });
  if (text && edited) (text.lastElementChild?.matches("p") ? text.lastElementChild : text).append(edited);
  return [
    text,
    message.files.length > 0 && element("div", { class: "dc-files" }, message.files.map(fileNode)),
    embedNodes(message.embeds),
    componentNodes(message.components, message),
    !text && edited,
  ];
}

function editedMark(at) {
  const title = new Date(at).toLocaleString(undefined, { dateStyle: "full", timeStyle: "short" });
  return element("small", { class: "dc-edited", title, text: " (edited)" });
}

function below(message, failed) {
  return [
    message.thread && threadNode(message.thread),
    failed && element("p", { class: "dc-failed", role: "alert" }, icon("warning", 16), failed),
    message.ephemeral && ephemeralNote(message),
  ];
}

function threadNode(thread) {
  const count = `${thread.count} ${thread.count === 1 ? "Message" : "Messages"}`;
  return element(
    "button",
    { type: "button", class: "dc-thread", onclick: () => go(thread.id) },
    icon("thread", 16),
    element("strong", { text: thread.name }),
    element("span", { class: "dc-link", text: `${count} ›` }),
  );
}

function ephemeralNote(message) {
  const dismiss = () => act("dismiss", { message: message.id }).catch(ignoreApiErrors);
  return element(
    "p",
    { class: "dc-only-you" },
    icon("eye", 16),
    "Only you can see this • ",
    element("button", { type: "button", class: "dc-link", text: "Dismiss message", onclick: dismiss }),
  );
}

function ignoreApiErrors(error) {
  if (!(error instanceof ApiError)) throw error;
}

// ── what one does with a message ─────────────────────────────────────────────────────────────

function toolbar(message) {
  if (message.failed || message.thinking) return null;
  const button = element(
    "button",
    {
      type: "button",
      class: "dc-more",
      tabindex: "-1", // arrow keys lead to it: moveBetween
      dataset: { focus: "more" },
      "aria-label": "More for this message",
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      title: "More",
      onclick: () => openMenu(button, message),
    },
    icon("more"),
  );
  return element("div", { class: "dc-toolbar" }, button);
}

/** As Discord does on a click of the right button; links and marked text have the browser's menu. */
function openByContext(event, message) {
  const button = event.currentTarget.querySelector(".dc-more");
  if (!button || event.target.closest("a, img, input") || !getSelection().isCollapsed) return;
  event.preventDefault();
  openMenu(button, message, new DOMRect(event.clientX, event.clientY));
}

/** One stop of the Tab key for all messages' menus; arrow keys lead from one to the next. */
export function moveBetween(list) {
  const all = () => [...list.querySelectorAll(".dc-more")];
  const stop = (chosen) => all().forEach((one) => one.setAttribute("tabindex", one === chosen ? "0" : "-1"));
  list.addEventListener("focusin", (event) => event.target.matches(".dc-more") && stop(event.target));
  list.addEventListener("keydown", (event) => {
    if (!event.target.matches(".dc-more")) return;
    const there = all();
    const at = there.indexOf(event.target);
    const next = {
      ArrowUp: there[at - 1],
      ArrowDown: there[at + 1],
      Home: there[0],
      End: there.at(-1),
    }[event.key];
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.closest("li").scrollIntoView({ block: "nearest" });
  });
  return () => {
    if (!list.querySelector('.dc-more[tabindex="0"]')) stop(all().at(-1));
  };
}

/** Open the menu of a message; its commands are the bot's. */
async function openMenu(button, message, at) {
  const items = [];
  if (!message.ephemeral) {
    const commands = await commandsFor(MESSAGE_COMMAND).catch(() => []);
    if (commands.length > 0) items.push({ heading: "Apps" });
    for (const one of commands) {
      items.push({ label: one.name, icon: icon("apps", 16), act: () => useCommand(message, one.name) });
    }
  } else {
    items.push({
      label: "Dismiss message",
      icon: icon("close", 16),
      act: () => act("dismiss", { message: message.id }).catch(ignoreApiErrors),
    });
  }
  items.push({
    label: "Copy text",
    icon: icon("file", 16),
    act: () => navigator.clipboard?.writeText(textOf(message)),
  });
  menu(button, "Message", items, at ? { at } : { end: true });
}

function textOf(message) {
  const node = document.getElementById(`message-${message.id}`)?.querySelector(".dc-message-body");
  return node?.innerText ?? "";
}

async function useCommand(message, command) {
  try {
    await act("message-command", { message: message.id, command });
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    store.failed.set(message.id, error.message);
  }
}
