// Discord as one member sees it: servers, channels, messages, and the line to type in.

import { element } from "../dom.js";
import { show as showView } from "../views.js";
import { Composer } from "./composer.js";
import { makeForum } from "./forum.js";
import { icon } from "./icons.js";
import { makeMembers } from "./members.js";
import { jumpTo, moveBetween, showMessages } from "./messages.js";
import { openForm } from "./modal.js";
import { makeSidebar } from "./sidebar.js";
import { be, go, onState, showMore, startPulling, store } from "./store.js";
import { keepTimes } from "./times.js";

const MESSAGE_LINK = /^https:\/\/(?:\w+\.)?discord(?:app)?\.com\/channels\/(?:@me|\d+)\/(\d+)(?:\/(\d+))?$/;
const NEAR_END = 80;
let composer = null;

/** Fill the view's section. */
export function start(root) {
  store.forms = openForm;
  const drawer = (open) => frame.classList.toggle("drawer", open);
  const sidebar = makeSidebar({ chosen: () => drawer(false) });
  const members = makeMembers();
  const forum = makeForum();
  composer = new Composer();
  const head = makeHead({ members, openDrawer: () => drawer(!frame.classList.contains("drawer")) });
  const list = element("ol", { class: "dc-messages" });
  const begin = element("div", { class: "dc-begin" });
  const older = element("button", { type: "button", class: "dc-older dc-button secondary", onclick: showMore, text: "Show older messages" });
  const scroller = element(
    "div",
    { class: "dc-scroller", role: "region", "aria-label": "Messages", tabindex: "0" },
    older, begin, list,
  );
  const jump = element("button", { type: "button", class: "dc-jump", hidden: true, onclick: toEnd, text: "Jump to the newest messages ↓" });
  const main = element(
    "div",
    { class: "dc-main" },
    head.node,
    element("div", { class: "dc-body" }, element("div", { class: "dc-talk" }, scroller, forum.node, jump, composer.node), members.node),
  );
  const frame = element("div", { class: "dc" }, sidebar.node, element("div", { class: "dc-shade", onclick: () => drawer(false) }), main);
  root.replaceChildren(frame);
  const keepStop = moveBetween(list);
  let atEnd = true;
  let where = null;

  function toEnd() {
    scroller.scrollTop = scroller.scrollHeight;
    atEnd = true;
    jump.hidden = true;
  }

  let top = 0;
  scroller.addEventListener("scroll", () => {
    const near = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END;
    // Only who scrolls up leaves the end: a picture that has loaded makes the list longer too.
    if (near || scroller.scrollTop < top) atEnd = near;
    top = scroller.scrollTop;
    if (atEnd) jump.hidden = true;
  });
  new ResizeObserver(() => atEnd && toEnd()).observe(scroller);
  new ResizeObserver(() => atEnd && toEnd()).observe(list);
  root.addEventListener("click", onMarkup);
  root.addEventListener("keydown", (event) => {
    if (event.target.matches?.(".spoiler") && (event.key === "Enter" || event.key === " ")) {
      event.preventDefault();
      reveal(event.target);
    }
    if (event.key === "Escape") drawer(false);
    if (event.key === "/" && !event.target.closest("input, textarea, dialog, .dc-popup")) {
      event.preventDefault();
      composer.compose("/");
    }
  });

  onState((state) => {
    const moved = where !== `${store.me} ${store.channel} ${store.most}`;
    where = `${store.me} ${store.channel} ${store.most}`;
    const grown = moved && store.most > 50;
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    const before = list.children.length;
    sidebar.show(state);
    head.show(state);
    members.show(state);
    forum.show(state);
    scroller.hidden = !forum.node.hidden;
    older.hidden = !state.older;
    begin.hidden = state.older || state.channel === null;
    showBegin(begin, state.channel);
    showMessages(list, state.messages);
    keepStop();
    composer.show(state);
    if (grown) scroller.scrollTop = scroller.scrollHeight - fromEnd;
    else if (moved || atEnd || store.toEnd) toEnd();
    else if (list.children.length > before) jump.hidden = false;
    store.toEnd = false;
  });
  startPulling();
  keepTimes(root);
}

function makeHead({ members, openDrawer }) {
  const kind = element("span", { class: "dc-head-kind" });
  const name = element("h2", { class: "dc-head-name" });
  const topic = element("p", { class: "dc-topic" });
  const off = element("span", { class: "dc-offline", hidden: true, text: "The bot is offline" });
  const toggle = element(
    "button",
    {
      type: "button",
      class: "dc-icon-button",
      "aria-label": "Members",
      title: "Members",
      "aria-pressed": "false",
      onclick: () => {
        members.node.hidden = !members.node.hidden;
        toggle.setAttribute("aria-pressed", String(!members.node.hidden));
      },
    },
    icon("people"),
  );
  const node = element(
    "header",
    { class: "dc-head" },
    element("button", { type: "button", class: "dc-icon-button dc-open-drawer", "aria-label": "Channels", onclick: openDrawer }, icon("menu")),
    kind, name, topic, off, toggle,
  );

  function show(state) {
    const { channel } = state;
    kind.replaceChildren(icon(channel?.kind.endsWith("thread") ? "thread" : (channel?.kind ?? "text")));
    name.textContent = channel?.name ?? (store.home ? "Direct messages" : "No channel");
    topic.textContent = channel?.topic ?? "";
    topic.title = channel?.topic ?? "";
    off.hidden = state.connected;
  }

  return { node, show };
}

function showBegin(begin, channel) {
  if (!channel || begin.dataset.channel === channel.id + channel.name) return;
  begin.dataset.channel = channel.id + channel.name;
  const dm = channel.kind === "dm";
  const thread = channel.kind.endsWith("thread");
  begin.replaceChildren(
    element("span", { class: "dc-begin-icon" }, icon(thread ? "thread" : channel.kind, 36)),
    element("h3", { text: dm ? channel.name : thread ? channel.name : `Welcome to #${channel.name}!` }),
    element("p", {
      class: "dc-muted",
      text: dm
        ? `This is where ${channel.name} writes to you alone.`
        : thread
          ? "This is the start of the thread."
          : `This is the start of the #${channel.name} channel. ${channel.topic}`,
    }),
  );
}

/** Show a message of this Discord; its channel, where the message is not among those shown. */
async function goTo(channel, message) {
  const { state } = store;
  if (![...state.channels, ...state.private, ...state.posts].some((one) => one.id === channel)) return;
  await go(channel);
  if (message) jumpTo(message);
}

/** What can be clicked within a text: channels, commands, spoilers, links to messages. */
function onMarkup(event) {
  const spoiler = event.target.closest(".spoiler:not(.shown)");
  if (spoiler) {
    event.preventDefault();
    reveal(spoiler);
    return;
  }
  const message = MESSAGE_LINK.exec(event.target.closest("a")?.href ?? "");
  if (message) {
    event.preventDefault();
    goTo(message[1], message[2]);
    return;
  }
  const mention = event.target.closest("button.mention");
  if (mention?.dataset.channel) go(mention.dataset.channel);
  else if (mention?.dataset.command) compose(`/${mention.dataset.command} `);
}

function reveal(spoiler) {
  spoiler.classList.add("shown");
  spoiler.removeAttribute("role");
  spoiler.removeAttribute("aria-label");
}

// ── for the tour and the other views ─────────────────────────────────────────────────────────

/** Put a command into the line, for the person to send: "/subscribe stream_id: …". */
export function compose(text) {
  showView("discord");
  return composer.compose(text);
}

/** Show a channel, by name, as one who sees it. */
export function openChannel(name) {
  showView("discord");
  const found = store.state?.channels.find((one) => one.name === name);
  store.home = false;
  return found ? go(found.id) : Promise.resolve();
}

/** Be the member with this name. */
export function beMember(name) {
  const found = store.state?.people.find((one) => one.name === name && !one.bot);
  return found ? be(found.id) : Promise.resolve();
}
