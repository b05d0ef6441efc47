// One project: what it is, what one may do with it, and its five tabs.

import { element } from "../dom.js";
import { attempt, go, perform } from "./doing.js";
import { ask, changed } from "./forms.js";
import { liveTab } from "./live.js";
import { modelsTab, publishForm } from "./models.js";
import { button, copy, menuButton, roleBadge, visibilityBadge } from "./parts.js";
import { peopleTab } from "./people.js";
import { VISIBILITIES } from "./projects.js";
import { isInvited, known, me, rights, ROLES, server, versionOf, where } from "./store.js";
import { talkTab } from "./talk.js";
import { webhooksTab } from "./webhooks.js";

const TABS = { models: modelsTab, talk: talkTab, people: peopleTab, webhooks: webhooksTab, live: liveTab };

/** The page's parts, for `reconcile`. */
export function projectPage() {
  const project = known.project;
  if (!project) return [];
  const about = [project.name, project.description, project.visibility, project.publicComments, project.invitations];
  return [
    { key: "about", version: versionOf(about, project.roles, project.requests, me().id, project.models > 0), make: () => top(project) },
    { key: "tabs", version: versionOf(where.tab, counts(project), project.roles, me().id), make: () => tabs(project) },
    ...TABS[where.tab](project),
  ];
}

function top(project) {
  const { role, isOwner, mayWrite } = rights(project);
  const address = element("code", { class: "sp-address" }, project.url);
  const copying = button("Copy for /subscribe", (event) => copy(project.url, event.currentTarget), "sp-small");
  return element("header", { class: "sp-project" },
    element("div", { class: "sp-row" },
      element("h2", {}, project.name), visibilityBadge(project.visibility), roleBadge(role),
      element("span", { class: "sp-push" }),
      menuButton("More of this project", [
        isOwner && { label: "Edit…", run: () => edit(project) },
        role && { label: "Leave the project", run: () => attempt("set-role", { user: me().id, role: null }) },
        isOwner && { label: "Delete the project…", danger: true, run: () => remove(project) },
      ])),
    project.description ? element("p", { class: "sp-note" }, project.description) : null,
    element("div", { class: "sp-row sp-paste" }, address, copying),
    invitation(project),
    element("div", { class: "sp-row" },
      mayWrite && project.models ? button("Publish a version…", () => publishForm(project), "primary") : null,
      mayWrite && project.models ? button("A burst of 200", () => attempt("burst"), "", { title: "200 versions at once, over all models" }) : null,
      isOwner ? button(project.visibility === "PRIVATE" ? "Make public" : "Make private", () => flip(project)) : null,
      !role && !isInvited(project) ? askButton(project) : null));
}

function askButton(project) {
  const asked = project.requests.some((one) => one.id === me().id);
  return asked
    ? element("p", { class: "sp-note" }, "You asked for access. An owner answers on the tab People.")
    : button("Ask for access", () => attempt("ask-for-access"));
}

function invitation(project) {
  const mine = project.invitations.find((one) => one.id === me().id);
  if (!mine) return null;
  return element("div", { class: "sp-callout" },
    element("p", {}, `${mine.by} invites you as ${ROLES[mine.role].toLowerCase()}.`),
    element("div", { class: "sp-row" },
      button("Accept", () => attempt("answer-invitation", { accept: true }), "primary"),
      button("Decline", () => attempt("answer-invitation", { accept: false }))));
}

function counts(project) {
  return {
    models: project.models,
    talk: server().talk === "issues"
      ? project.issues.filter((one) => one.status !== "resolved").length
      : project.threads.filter((one) => !one.resolved).length,
    people: project.members.length,
    webhooks: project.webhooks.length,
    live: project.live.listeners.length,
  };
}

function tabs(project) {
  const labels = { models: "Models", talk: server().talk === "issues" ? "Issues" : "Comments", people: "People", webhooks: "Webhooks", live: "Live" };
  const numbers = counts(project);
  return element("div", { class: "sp-tabs", role: "group", "aria-label": "Parts of the project" },
    Object.entries(labels).map(([tab, label]) => element("button", {
      type: "button",
      id: `sp-tab-${tab}`,
      "aria-pressed": String(where.tab === tab),
      onclick: () => go({ tab }),
    }, label, tab === "webhooks" && !rights(project).isOwner ? null : [" ", element("span", { class: "sp-count" }, String(numbers[tab]))])));
}

function edit(project) {
  ask({
    title: "Edit the project",
    confirm: "Save",
    fields: [
      { name: "name", label: "Name", value: project.name, required: true },
      { name: "description", label: "Description", kind: "long", value: project.description },
      { name: "visibility", label: "Who may see it", kind: "select", choices: VISIBILITIES, value: project.visibility },
      { name: "public_comments", label: "Everybody who may see it may comment", kind: "switch", value: project.publicComments },
    ],
    submit: (values) => perform("update-project", changed(values, {
      name: project.name,
      description: project.description,
      visibility: project.visibility,
      public_comments: project.publicComments,
    })),
  });
}

function flip(project) {
  const visibility = project.visibility === "PRIVATE" ? "PUBLIC" : "PRIVATE";
  return attempt("update-project", { visibility });
}

function remove(project) {
  ask({
    title: `Delete ${project.name}?`,
    text: "Its models, versions and webhooks go with it. This cannot be undone.",
    confirm: "Delete",
    danger: true,
    submit: async () => {
      await perform("delete-project", {});
      await go({ page: "projects", project: null });
    },
  });
}
