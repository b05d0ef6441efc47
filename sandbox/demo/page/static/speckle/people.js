// The tab People: who has which role, who is invited, who asks.

import { element } from "../dom.js";
import { attempt, perform } from "./doing.js";
import { ask } from "./forms.js";
import { avatar, button, roleBadge } from "./parts.js";
import { me, rights, ROLES, server, versionOf } from "./store.js";

const CHOICES = Object.entries(ROLES);

export function peopleTab(project) {
  const data = [project.members, project.invitations, project.requests, me().id];
  return [{ key: "people", version: versionOf(data), make: () => people(project) }];
}

function people(project) {
  const { isOwner } = rights(project);
  const outside = server().people.filter((one) => !(one.id in project.roles) && !project.invited.includes(one.id));
  return element("div", {},
    element("ul", { class: "sp-people" }, project.members.map((one) => member(one, isOwner))),
    project.requests.length ? element("h3", {}, "They ask for access") : null,
    element("ul", { class: "sp-people" }, project.requests.map((one) => request(one, isOwner))),
    project.invitations.length ? element("h3", {}, "Invited, and not here yet") : null,
    element("ul", { class: "sp-people" }, project.invitations.map((one) =>
      person(one, roleBadge(one.role), element("span", { class: "sp-facts" }, `by ${one.by}`)))),
    isOwner && outside.length ? element("div", { class: "sp-row" }, button("Invite…", () => invite(outside))) : null,
    element("p", { class: "sp-note" }, isOwner
      ? "Speckle fires an event when somebody is invited and accepts. When a role is changed or taken, it fires nothing: the bot finds out when it asks next."
      : "Owners invite people and change roles."));
}

function person(one, ...more) {
  return element("li", {}, avatar(one.name), element("span", { class: "sp-name" }, one.name), element("span", { class: "sp-push" }), more);
}

function member(one, isOwner) {
  if (!isOwner) return person(one, roleBadge(one.role));
  return person(one,
    element("select", {
      class: "field", "aria-label": `Role of ${one.name}`,
      onchange: (event) => attempt("set-role", { user: one.id, role: event.target.value }),
    }, CHOICES.map(([role, label]) => element("option", { value: role, selected: role === one.role }, label))),
    button("Remove", () => attempt("set-role", { user: one.id, role: null }), "sp-small", { "aria-label": `Take ${one.name} out of the project` }));
}

function request(one, isOwner) {
  if (!isOwner) return person(one);
  return person(one,
    button("Let in", () => attempt("answer-request", { user: one.id, role: "stream:reviewer" }), "sp-small", { "aria-label": `Let ${one.name} in as reviewer` }),
    button("Decline", () => attempt("answer-request", { user: one.id, role: null }), "sp-small", { "aria-label": `Decline ${one.name}` }));
}

function invite(outside) {
  ask({
    title: "Invite somebody",
    text: "They accept or decline it themselves: choose above to be them.",
    confirm: "Invite",
    fields: [
      { name: "user", label: "Who", kind: "select", choices: outside.map((one) => [one.id, one.name]), value: outside[0].id },
      { name: "role", label: "As", kind: "select", choices: CHOICES, value: "stream:contributor" },
    ],
    submit: (values) => perform("invite", values),
  });
}
