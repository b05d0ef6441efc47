// Discord as one member sees it: servers, channels, messages, and the line to type in.

import { element } from "../dom.js";
import { show as showView } from "../views.js";
import { Composer } from "./composer.js";
import { makeForum } from "./forum.js";
import { icon } from "./icons.js";
import { makeMembers } from "./members.js";
import { openForm } from "./modal.js";
import { makeSidebar } from "./sidebar.js";
import { onState, startPulling, store } from "./store.js";
import { Talk, useMarkup } from "./talk.js";
import { keepTimes } from "./times.js";

const TYPED_INTO = "input, textarea, select, dialog, .dc-popup";
let composer = null;

/** Fill the view's section. */
export function start(root) {
  store.forms = openForm;
  composer = new Composer();
  const frame = element("div", { class: "dc" });
  const drawer = (open) => frame.classList.toggle("drawer", open);
  const sidebar = makeSidebar({ chosen: () => drawer(false) });
  const members = makeMembers();
  const head = makeHead({ members, openDrawer: () => drawer(!frame.classList.contains("drawer")) });
  const forum = makeForum();
  const talk = new Talk();
  const middle = element("div", { class: "dc-talk" }, talk.node, forum.node, talk.jump, composer.node);
  frame.append(
    sidebar.node,
    element("div", { class: "dc-shade", onclick: () => drawer(false) }),
    element("div", { class: "dc-main" }, head.node, element("div", { class: "dc-body" }, middle, members.node)),
  );
  root.replaceChildren(frame);
  useMarkup(root, compose);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") drawer(false);
    if (event.key === "/" && !event.target.closest(TYPED_INTO)) {
      event.preventDefault();
      composer.compose("/");
    }
  });
  onState((state) => {
    for (const part of [sidebar, head, members, forum, talk, composer]) part.show(state);
    talk.node.hidden = !forum.node.hidden;
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

/** Put a command into the line, for the person to send: "/subscribe stream_id: …". */
function compose(text) {
  showView("discord");
  return composer.compose(text);
}
