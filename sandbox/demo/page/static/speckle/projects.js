// All projects of a server that one may see.

import { element } from "../dom.js";
import { go, perform } from "./doing.js";
import { ask } from "./forms.js";
import { ago, button, count, facts, picture, roleBadge, visibilityBadge } from "./parts.js";
import { isInvited, me, rights, server, versionOf } from "./store.js";

export const VISIBILITIES = [
  ["PRIVATE", "Private: its members"],
  ["UNLISTED", "By link: everybody who has the address"],
  ["PUBLIC", "Public: everybody"],
];

/** The page's parts, for `reconcile`. */
export function projectsPage() {
  const { projects, label } = server();
  const seen = projects.filter((one) => rights(one).role || one.visibility === "PUBLIC" || isInvited(one));
  const hidden = projects.length - seen.length;
  return [
    { key: "title", version: versionOf(label), make: title },
    { key: "cards", version: versionOf(seen, me().id), make: () => element("ul", { class: "sp-cards" }, seen.map(card)) },
    { key: "hidden", version: versionOf(hidden, me().id), make: () => hiddenNote(hidden) },
  ];
}

function title() {
  return element("div", { class: "sp-row sp-title" },
    element("h2", {}, "Projects"), element("span", { class: "sp-push" }), button("New project…", newProject));
}

function card(project) {
  const role = project.roles[me().id];
  return element("li", {},
    element("button", {
      type: "button", class: "sp-card",
      onclick: () => go({ page: "project", project: project.id, tab: "models", marked: [] }),
    },
    picture(project.picture, "small"),
    element("span", { class: "sp-card-text" },
      element("strong", {}, project.name),
      element("span", { class: "sp-badges" }, visibilityBadge(project.visibility),
        role ? roleBadge(role) : null, isInvited(project) ? element("span", { class: "sp-badge sp-accent" }, "Invited") : null),
      facts(count(project.models, "model"), count(project.versions, "version"), ago(project.updated)))));
}

function hiddenNote(hidden) {
  if (!hidden) return element("p", { hidden: true });
  const what = hidden === 1 ? "1 more project is" : `${hidden} more projects are`;
  return element("p", { class: "sp-note" }, `${what} here, which ${me().name} may not see. Choose somebody else above to see more.`);
}

function newProject() {
  ask({
    title: "New project",
    confirm: "Create",
    fields: [
      { name: "name", label: "Name", required: true },
      { name: "description", label: "Description", kind: "long" },
      { name: "visibility", label: "Who may see it", kind: "select", choices: VISIBILITIES, value: "PRIVATE" },
    ],
    submit: async (values) => {
      const { made } = await perform("create-project", values);
      await go({ page: "project", project: made, tab: "models" });
    },
  });
}
