// The Speckle view: two servers, who one is on them, and what they hold.

import { onChange } from "../api.js";
import { element, reconcile } from "../dom.js";
import { accessPage } from "./access.js";
import { go, useView } from "./doing.js";
import { followLink, openAddress } from "./links.js";
import { tick } from "./live.js";
import { refreshTimes } from "./parts.js";
import { projectPage } from "./project.js";
import { projectsPage } from "./projects.js";
import { known, me, pull, restore, server, versionOf, where } from "./store.js";

const TIMES_MS = 20_000;
const SECOND_MS = 1000;

let head;
let body;

/** Fill the view's section. */
export function start(section) {
  head = element("div", { class: "sp-head" });
  body = element("div", { class: "sp-body" });
  const outcome = element("div", { class: "sp-outcome", role: "status" });
  useView({ root: section, body, outcome, draw });
  section.replaceChildren(element("div", { class: "sp-root" }, head, body, outcome));
  let first = true;
  onChange("speckle", async () => {
    if (first) {
      first = false;
      await begin();
    }
    await pull();
    draw();
  });
  setInterval(() => refreshTimes(body), TIMES_MS);
  setInterval(() => tick(body), SECOND_MS);
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

// ── what is shown ──

const PAGES = { projects: projectsPage, project: projectPage, access: accessPage };

function draw() {
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
