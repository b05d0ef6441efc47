// Servers, channels, and who one is.

import { element, reconcile } from "../dom.js";
import { icon } from "./icons.js";
import { avatar } from "./people.js";
import { menu } from "./popups.js";
import { be, go, goHome, store } from "./store.js";

const THREADS = ["public_thread", "private_thread", "announcement_thread"];

/** The rail of servers, the list of channels and oneself, as an element with `show(state)`. */
export function makeSidebar({ chosen }) {
  const home = railButton("Direct messages", icon("dm"), () => goHome(true));
  const guild = railButton("", element("span"), () => goHome(false));
  const rail = element("nav", { class: "dc-rail", "aria-label": "Servers" }, home, element("hr"), guild);
  const name = element("h2", { class: "dc-guild" });
  const list = element("ul", { class: "dc-channels" });
  const me = element("button", {
    type: "button",
    class: "dc-me",
    "aria-haspopup": "menu",
    "aria-expanded": "false",
    onclick: () => openPeople(me),
  });
  const node = element(
    "div",
    { class: "dc-sidebar" },
    rail,
    element(
      "div",
      { class: "dc-side" },
      name,
      element("nav", { class: "dc-channel-nav", "aria-label": "Channels", tabindex: "-1" }, list),
      element("div", { class: "dc-user" }, me),
    ),
  );

  function show(state) {
    name.textContent = store.home ? "Direct messages" : state.guild.name;
    guild.setAttribute("aria-label", state.guild.name);
    guild.title = state.guild.name;
    guild.querySelector("span").textContent = initials(state.guild.name);
    mark(home, store.home, state.private.some(isUnread));
    mark(guild, !store.home, state.channels.some(isUnread));
    showChannels(store.home ? state.private : state.channels);
    showMe(state.me);
  }

  function showChannels(channels) {
    const items = channels.map((one) => {
      const here = one.id === store.channel;
      const unread = !here && isUnread(one);
      return {
        key: one.id,
        version: JSON.stringify([one.name, one.kind, one.archived, one.locked, here, unread]),
        make: () => channelItem(one, here, unread),
      };
    });
    if (items.length === 0) {
      items.push({ key: "none", version: 1, make: () => element("li", { class: "dc-none", text: "The bot has written to nobody here yet." }) });
    }
    reconcile(list, items);
  }

  function channelItem(one, here, unread) {
    if (one.kind === "category") return element("li", { class: "dc-category", text: one.name });
    const classes = ["dc-channel"];
    if (THREADS.includes(one.kind)) classes.push("thread");
    if (unread) classes.push("unread");
    return element(
      "li",
      { class: classes.join(" ") },
      element(
        "button",
        {
          type: "button",
          "aria-current": here ? "page" : null,
          onclick: () => {
            go(one.id);
            chosen();
          },
        },
        icon(THREADS.includes(one.kind) ? "thread" : one.kind),
        element("span", { class: "dc-channel-name", text: one.name }),
        one.locked && icon("lock", 14),
        unread && element("span", { class: "sr-only", text: "(unread)" }),
      ),
    );
  }

  function showMe(person) {
    const version = JSON.stringify(person);
    if (me.dataset.version === version) return;
    me.dataset.version = version;
    me.setAttribute("aria-label", `You are ${person.name}, ${person.may}. Be somebody else`);
    me.replaceChildren(
      avatar(person, 32),
      element(
        "span",
        { class: "dc-me-text" },
        element("strong", { text: person.name }),
        element("small", { text: person.may }),
      ),
      icon("swap", 18),
    );
  }

  return { node, show };
}

function railButton(label, content, act) {
  return element("button", { type: "button", class: "dc-rail-button", "aria-label": label, title: label, onclick: act }, content);
}

function mark(button, here, unread) {
  if (here) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  button.classList.toggle("unread", !here && unread);
}

function isUnread(channel) {
  const seen = store.seen.get(channel.id);
  return channel.last !== "0" && seen !== undefined && BigInt(channel.last) > BigInt(seen);
}

function initials(name) {
  return name.split(/\s+/).map((word) => word[0]).join("").slice(0, 3);
}

/** Choose who one is. */
function openPeople(anchor) {
  const people = store.state.people.filter((one) => !one.bot);
  menu(anchor, "Who you are", [
    { heading: "Be" },
    ...people.map((one) => ({
      label: one.name,
      detail: [one.may, ...one.roles, one.timed_out && "timed out"].filter(Boolean).join(" · "),
      icon: avatar(one, 28),
      checked: one.id === store.me,
      act: () => be(one.id),
    })),
  ]);
}
