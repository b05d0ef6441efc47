// The Speckle view: two servers, who one is on them, and what they hold.

import { ApiError, onChange } from "../api.js";
import { announce, element, reconcile } from "../dom.js";
import { show } from "../views.js";
import { accessPage } from "./access.js";
import { button, focusOnHeading, refreshTimes } from "./parts.js";
import { projectPage } from "./project.js";
import { projectsPage } from "./projects.js";
import { act, known, me, pull, restore, server, setOpen, versionOf, where } from "./store.js";

const TIMES_MS = 20_000;
const LINK = /^\/projects\/([\w-]+)(\/.*)?$/;

let root;
let head;
let body;
let outcome;

/** Fill the view's section. */
export function start(section) {
  root = section;
  head = element("div", { class: "sp-head" });
  body = element("div", { class: "sp-body" });
  outcome = element("div", { class: "sp-outcome", role: "status" });
  root.replaceChildren(element("div", { class: "sp-root" }, head, body, outcome));
  let first = true;
  onChange("speckle", async () => {
    if (first) {
      first = false;
      await begin();
    }
    await pull();
    render();
  });
  setInterval(() => refreshTimes(body), TIMES_MS);
  document.addEventListener("click", followLink, true);
}

async function begin() {
  await pull();
  restore();
  const { searchParams, hash } = new URL(location.href);
  const wanted = searchParams.get("speckle");
  if (!wanted) return;
  history.replaceState(null, "", "/");
  openAddress(wanted + hash); // a browser carries it along a redirect
}

/** Go somewhere: `{server, page, project, tab, open}`. */
export async function go(there) {
  Object.assign(where, there);
  known.problem = null;
  outcome.replaceChildren();
  try {
    await pull();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    known.problem = error.message;
  }
  const hadFocus = body.contains(document.activeElement);
  render();
  if (there.page) root.scrollTop = 0;
  if (hadFocus && !body.contains(document.activeElement)) focusOnHeading();
}

/** Do something, and say what the server fired for it. Throws ApiError; gives the answer. */
export async function perform(name, body_) {
  const fired = await act(name, body_);
  tell(fired, SILENT[name] ?? "Done. Speckle fires no event for this.");
  await pull();
  render();
  return fired;
}

/** The same where nothing is open to show a refusal in. */
export async function attempt(name, body_) {
  try {
    return await perform(name, body_);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    say(error.message, [], true);
    known.refusals += 1;
    render();
    return null;
  }
}

const SILENT = {
  "set-role": "Done. Speckle fires no event for this: the bot finds out when it asks next.",
  "revoke-app": "Taken back, and Speckle fires no event for it. When the bot finds out, at the next event at the latest, it writes to the person who linked this account in Discord.",
  "revoke-token": "Revoked. Speckle fires no event for it.",
  "create-webhook": "Created. The next event shows whether it works.",
  "update-webhook": "Saved. Speckle fires no event for this.",
};

function tell(fired, silent) {
  const events = fired.events.map((name) => element("code", {}, name)).flatMap((one, place) => (place ? [" and ", one] : [one]));
  if (!fired.events.length) say([silent]);
  else if (!fired.calls) say(["Done. Speckle fires ", ...events, ", but no webhook here is switched on for it."]);
  else {
    const calls = fired.calls === 1 ? "1 call of a webhook" : `${fired.calls} calls of webhooks`;
    const more = [button("Follow it", () => show("events"), "sp-small")];
    say(["Done. Speckle fires ", ...events, `: ${calls}.`], more);
  }
}

/** Say something below the page. */
export function say(pieces, more = [], isProblem = false) {
  outcome.replaceChildren(
    element("p", { class: isProblem ? "sp-problem" : "" }, pieces),
    ...more,
    element("button", {
      type: "button", class: "sp-icon", "aria-label": "Close this note", onclick: () => outcome.replaceChildren(),
    }, "×"),
  );
  if (isProblem) announce(String(pieces));
}

// ── what is shown ──

const PAGES = { projects: projectsPage, project: projectPage, access: accessPage };

/** Show what is known. */
export function render() {
  reconcile(head, [{ key: "head", version: versionOf(known.servers.map((one) => [one.label, one.people]), where.server, where.page, me().id, known.project?.name), make: makeHead }]);
  const problem = known.problem
    ? [{ key: "problem", version: known.problem, make: () => element("p", { class: "sp-problem", role: "alert" }, known.problem) }]
    : [];
  reconcile(body, [...problem, ...PAGES[where.page]()]);
}

function makeHead() {
  const servers = element("div", { class: "sp-switch", role: "group", "aria-label": "Speckle server" },
    known.servers.map((one, place) => element("button", {
      type: "button",
      "aria-pressed": String(place === where.server),
      title: `A server of release ${one.release}, with ${one.talk}: ${one.url}`,
      onclick: () => go({ server: place, page: "projects", project: null }),
    }, one.label, element("small", {}, one.talk))));
  const people = element("select", {
    id: "sp-me", class: "field",
    onchange: (event) => go({ people: { ...where.people, [where.server]: event.target.value } }),
  }, server().people.map((one) => element("option", { value: one.id, selected: one.id === me().id }, one.name)));
  return element("div", {},
    element("div", { class: "sp-row" }, servers,
      element("span", { class: "sp-who" }, element("label", { for: "sp-me" }, "You are"), people)),
    element("nav", { class: "sp-crumbs", "aria-label": "In Speckle" }, crumbs()));
}

function crumbs() {
  const link = (label, page, current) => element("button", {
    type: "button", "aria-current": current ? "page" : null, onclick: () => go({ page, project: null }),
  }, label);
  return [
    link("Projects", "projects", where.page === "projects"),
    known.project ? [element("span", { "aria-hidden": "true" }, "/"), element("span", { class: "sp-here", "aria-current": "page" }, known.project.name)] : null,
    element("span", { class: "sp-push" }),
    link("Your access", "access", where.page === "access"),
  ];
}

// ── links to Speckle, such as those on the bot's cards ──

function followLink(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (openAddress(link.href)) event.preventDefault();
}

/** Show what a Speckle address leads to; false for an address of something else. */
export function openAddress(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  const place = known.servers.findIndex((one) => one.url === url?.origin);
  if (place < 0) return false;
  if (url.pathname.startsWith("/settings/user")) {
    show("speckle");
    go({ server: place, page: "access", project: null });
    return true;
  }
  const [, project, rest = ""] = LINK.exec(url.pathname) ?? [];
  if (!project) return false;
  const isTalk = url.hash.startsWith("#threadId=") || rest.startsWith("/threads/");
  const tab = rest.includes("/settings/webhooks") ? "webhooks" : isTalk ? "talk" : "models";
  const models = /^\/models\/([^/]+)/.exec(rest)?.[1] ?? "";
  for (const one of models.split(",")) if (one) setOpen(one.split("@")[0], true);
  show("speckle");
  goTo({ server: place, page: "project", project, tab, marked: marked(url, rest, models) }, isCompared(url));
  return true;
}

async function goTo(there, compared) {
  await go(there);
  body.querySelector(".sp-marked")?.scrollIntoView({ block: "center" });
  if (compared) say(["Speckle's own viewer lays these two versions over each other. Here you see them one below the other."]);
}

const isCompared = (url) => url.hash.startsWith("#diff=");

/** The ids of what an address leads to: a thread, an issue, a version, or two that are compared. */
function marked(url, rest, models) {
  if (url.hash.startsWith("#threadId=")) return [url.hash.slice("#threadId=".length)];
  if (rest.startsWith("/threads/")) return [rest.slice("/threads/".length)];
  const compared = isCompared(url) ? [...decodeURIComponent(url.hash).matchAll(/@(\w+)/g)].map((one) => one[1]) : [];
  return [...models.split(",").map((one) => one.split("@")[1]), ...compared].filter(Boolean);
}

