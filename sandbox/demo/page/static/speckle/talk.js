// The tab Comments on servers up to 2.31, and Issues on newer ones.

import { element } from "../dom.js";
import { attempt } from "./doing.js";
import { ask } from "./forms.js";
import { commentForm, issueForm } from "./models.js";
import { ago, avatar, button, facts, menuButton, picture, words } from "./parts.js";
import { me, rights, server, versionOf, where } from "./store.js";

const STATUSES = [["open", "Open"], ["readyForReview", "Ready for review"], ["resolved", "Resolved"]];
const PRIORITIES = [["none", "No priority"], ["low", "Low"], ["medium", "Medium"], ["high", "High"]];
const drafts = new Map(); // what is typed and not sent, by the id of what it answers

export function talkTab(project) {
  const issues = server().talk === "issues";
  const { maySay } = rights(project);
  const there = issues ? project.issues : project.threads;
  const items = there.map((one) => ({
    key: one.id,
    version: versionOf(one, me().id, project.roles, where.marked.includes(one.id)),
    make: () => (issues ? issueCard(project, one) : threadCard(project, one)),
  }));
  const first = { key: "new", version: versionOf(maySay, issues, there.length, project.versions), make: () => above(project, issues, there.length) };
  return [first, ...items];
}

function above(project, issues, there) {
  const { maySay } = rights(project);
  const word = issues ? "issue" : "comment";
  const last = project.modelList.filter((one) => one.count).sort((one, other) => other.updated.localeCompare(one.updated))[0];
  return element("div", { class: "sp-row" },
    there ? null : element("p", { class: "sp-note" }, `There is no ${word} yet.`),
    element("span", { class: "sp-push" }),
    maySay && last ? button(issues ? "Open an issue…" : "New comment…", () => choose(project, issues)) : null);
}

function choose(project, issues) {
  const models = project.modelList.filter((one) => one.count).map((one) => [one.versions[0].id, one.name]);
  ask({
    title: issues ? "Open an issue on" : "Comment on",
    confirm: "Continue",
    fields: [{ name: "version", label: "The newest version of", kind: "select", choices: models, value: models[0][0] }],
    submit: async ({ version }) => setTimeout(() => (issues ? issueForm(project, { id: version }) : commentForm({ id: version }))),
  });
}

function threadCard(project, thread) {
  const { isOwner, maySay } = rights(project);
  const mayResolve = isOwner || thread.said.by === me().name;
  return element("article", { class: `sp-thread ${where.marked.includes(thread.id) ? "sp-marked" : ""}` },
    onWhat(thread, thread.resolved ? "Resolved" : null),
    said(thread.said),
    thread.replies.map(said),
    maySay ? replyForm(thread.id, (text) => attempt("reply", { thread: thread.id, text }),
      mayResolve ? button(thread.resolved ? "Open again" : "Resolve", () => attempt("resolve", { thread: thread.id, resolved: !thread.resolved })) : null) : null);
}

function issueCard(project, issue) {
  const { isOwner, maySay } = rights(project);
  const mayDelete = isOwner || issue.said.by === me().name;
  const people = [["", "Nobody"], ...project.members.map((one) => [one.id, one.name])];
  const change = (values) => attempt("change-issue", { issue: issue.id, ...values });
  return element("article", { class: `sp-thread ${where.marked.includes(issue.id) ? "sp-marked" : ""}` },
    onWhat(issue, null),
    element("div", { class: "sp-row" },
      element("h3", {}, element("span", { class: "sp-folder" }, `${issue.name} `), issue.title),
      element("span", { class: "sp-push" }),
      menuButton(`More of ${issue.name}`, [
        maySay && { label: "Edit…", run: () => editIssue(issue) },
        mayDelete && { label: "Delete…", danger: true, run: () => deleteIssue(issue) },
      ])),
    element("div", { class: "sp-row sp-choices" },
      choice(`Status of ${issue.name}`, STATUSES, issue.status, (status) => change({ status }), maySay),
      choice(`Priority of ${issue.name}`, PRIORITIES, issue.priority, (priority) => change({ priority }), maySay),
      choice(`Who does ${issue.name}`, people, issue.assignee ?? "", (assignee) => change({ assignee }), maySay)),
    said(issue.said),
    issue.replies.map(said),
    maySay ? replyForm(issue.id, (text) => attempt("reply-to-issue", { issue: issue.id, text })) : null);
}

function onWhat(about, state) {
  const [on] = about.on;
  return element("div", { class: "sp-on" },
    on ? picture(on.picture, "pinned", "The view, with a pin") : null,
    element("div", {},
      on ? element("p", { class: "sp-facts" }, "on ", element("strong", {}, on.model)) : null,
      state ? element("span", { class: "sp-badge sp-ok" }, state) : null));
}

function said(one) {
  return element("div", { class: "sp-said" }, avatar(one.by),
    element("div", {}, facts(element("strong", {}, one.by), ago(one.at)), words(one.lines)));
}

function choice(label, choices, value, change, enabled) {
  return element("select", { class: "field", "aria-label": label, disabled: !enabled, onchange: (event) => change(event.target.value) },
    choices.map(([one, text]) => element("option", { value: one, selected: one === value }, text)));
}

function replyForm(id, send, more) {
  const input = element("input", {
    class: "field", id: `sp-reply-${id}`, "aria-label": "Reply", placeholder: "Reply", autocomplete: "off",
    oninput: () => drafts.set(id, input.value),
  });
  input.value = drafts.get(id) ?? "";
  return element("form", {
    class: "sp-row",
    onsubmit: async (event) => {
      event.preventDefault();
      const text = input.value;
      drafts.delete(id);
      if (!(await send(text))) drafts.set(id, text);
    },
  }, input, element("button", { class: "button" }, "Send"), more);
}

function editIssue(issue) {
  ask({
    title: `Edit ${issue.name}`,
    confirm: "Save",
    fields: [
      { name: "title", label: "Title", value: issue.title, required: true },
      { name: "text", label: "Description", kind: "long", value: issue.said.lines.map((line) => line.map((one) => one.text).join("")).join("\n") },
    ],
    submit: (values) => attempt("change-issue", { issue: issue.id, ...values }),
  });
}

function deleteIssue(issue) {
  ask({
    title: `Delete ${issue.name}?`,
    text: issue.title,
    confirm: "Delete",
    danger: true,
    submit: () => attempt("delete-issue", { issue: issue.id }),
  });
}
