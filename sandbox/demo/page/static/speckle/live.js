// The tab Live: whose accounts listen to the project, and what the server saw of them.

import { element } from "../dom.js";
import { avatar, count } from "./parts.js";
import { go } from "./doing.js";
import { known, versionOf } from "./store.js";

const SECOND_MS = 1000;

export function liveTab(project) {
  const { runs, listeners, notes } = project.live;
  noteDue(project);
  const who = listeners.map((one) => [one.id, one.channels, one.subscriptions, one.readAt]);
  return [
    { key: "live-about", version: versionOf(listeners.length, project.webhooks.length), make: () => about(project) },
    { key: "live-who", version: versionOf(runs, who), make: () => whoListens(project.live) },
    { key: "live-notes", version: versionOf(notes), make: () => seen(notes) },
  ];
}

function about(project) {
  if (project.live.listeners.length) {
    return element("p", { class: "sp-note" }, "The bot hears of this project through somebody's linked account: it reads the list of what happened, every few seconds and at once when Speckle rings. There is no webhook in it, and nothing to set up in Speckle. A real server shows none of this; here you can watch.");
  }
  return element("p", { class: "sp-note" }, project.webhooks.length
    ? "Nobody listens here: a webhook brings what happens. The tab Webhooks has its calls."
    : "Nobody listens here. Type /subscribe in Discord with this project: an owner of it gets a webhook, and anyone else who may read it is live through their account.");
}

// ── who listens ──

const due = new Map(); // when each account's list is read again, in this browser's time

function noteDue(project) {
  due.clear();
  for (const one of project.live.listeners) due.set(one.id, Date.now() + one.nextInS * SECOND_MS);
}

function whoListens({ runs, everyS, listeners }) {
  return element("ul", { class: "sp-people sp-live" }, listeners.map((one) => element("li", {},
    avatar(one.name),
    element("div", { class: "sp-live-who" },
      element("p", { class: "sp-name" }, one.name, " ", socketBadge(one, runs)),
      element("p", { class: "sp-facts" }, `For ${one.channels.map((name) => `#${name}`).join(", ")}`,
        one.subscriptions ? ` · told of ${count(one.subscriptions, "kind")} of events` : null),
      runs
        ? element("p", { class: "sp-facts" }, "List last read ", since(one), ", again ", countdown(one, everyS))
        : element("p", { class: "sp-facts" }, "The bot does not run. Once it is started, it reads what happened meanwhile.")))));
}

function socketBadge(one, runs) {
  if (one.subscriptions) return element("span", { class: "sp-badge sp-ok" }, "Socket open: Speckle rings");
  return element("span", { class: "sp-badge" }, runs ? "No socket: found at the next look" : "No socket");
}

function since(one) {
  if (one.readAt === null) return element("span", {}, "never");
  return element("time", { datetime: one.readAt, title: new Date(one.readAt).toLocaleString(), "data-since": true }, sinceText(one.readAt));
}

function sinceText(iso) {
  const seconds = Math.max(0, Math.round((Date.now() - new Date(iso)) / SECOND_MS));
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

function countdown(one, everyS) {
  return element("b", { "data-due": one.id, "data-every": everyS, "data-read": one.readAt }, dueText(one.id, everyS, one.readAt));
}

function dueText(id, everyS, readAt) {
  if (Date.now() - new Date(readAt ?? Date.now()) > 2 * everyS * SECOND_MS) return "once Speckle answers";
  const left = (due.get(id) - Date.now()) / SECOND_MS;
  const now = left >= 0 ? left : (left % everyS) + everyS;
  return `in ${Math.max(1, Math.ceil(now))} s`;
}

/** Say the times again, as one second has passed. */
export function tick(root) {
  for (const one of root.querySelectorAll("[data-since]")) one.textContent = sinceText(one.dateTime);
  for (const one of root.querySelectorAll("[data-due]")) {
    const { due: id, every, read } = one.dataset;
    if (due.has(id)) one.textContent = dueText(id, Number(every), read);
  }
}

// ── what the server saw ──

function seen(notes) {
  if (!notes.length) return element("div", {});
  return element("div", {},
    element("h3", {}, "What this server saw"),
    element("ol", { class: "sp-seen", "aria-label": "What this server saw, the newest first" }, notes.map((one) =>
      element("li", { class: `sp-seen-${one.kind}` },
        element("time", { datetime: one.at }, new Date(one.at).toLocaleTimeString([], { hour12: false })),
        element("span", {}, one.text)))));
}

/** Show a project's tab Live; the tour does. */
export function openLive(name) {
  const project = known.servers[0]?.projects.find((one) => one.name === name);
  return project && go({ server: 0, page: "project", project: project.id, tab: "live" });
}
