// The tab Models: each with its versions.

import { element } from "../dom.js";
import { perform, render } from "./doing.js";
import { ask, changed } from "./forms.js";
import { ago, button, count, facts, menuButton, picture } from "./parts.js";
import { isOpen, known, me, rights, server, setOpen, versionOf, where } from "./store.js";

const APPLICATIONS = ["Revit2025", "Rhino8", "Grasshopper", "Tekla Structures", "Archicad", "Blender", "SketchUp"];
const MESSAGES = ["Columns moved to grid C", "Openings for the ducts", "Slab edge trimmed at the lift", "Option B of the facade"];

export function modelsTab(project) {
  const { mayWrite } = rights(project);
  const models = project.modelList.map((model) => ({
    key: model.id,
    version: versionOf(model, isOpen(model.id), mayWrite, me().id, project.roles, marks(model)),
    make: () => modelRow(project, model),
  }));
  const more = { key: "more", version: versionOf(mayWrite, models.length), make: () => below(mayWrite, models.length) };
  return [...models, more];
}

const marks = (model) => model.versions.filter((one) => where.marked.includes(one.id)).map((one) => one.id);

function below(mayWrite, there) {
  return element("div", { class: "sp-row" },
    there ? null : element("p", { class: "sp-note" }, "There is no model yet."),
    mayWrite ? button("New model…", newModel) : null);
}

function modelRow(project, model) {
  const { mayWrite } = rights(project);
  const open = isOpen(model.id);
  const folder = model.name.slice(0, model.name.lastIndexOf("/") + 1);
  const leaf = model.name.slice(folder.length);
  const id = `sp-model-${model.id}`;
  const header = element("div", { class: "sp-model-head" },
    element("button", {
      type: "button", class: "sp-fold", "aria-expanded": String(open), "aria-controls": id,
      onclick: () => { setOpen(model.id, !open); render(); },
    },
    picture(model.versions[0]?.picture, "small"),
    element("span", { class: "sp-model-text" },
      element("span", { class: "sp-name" }, element("span", { class: "sp-folder" }, folder), leaf),
      facts(count(model.count, "version"), ago(model.updated))),
    element("span", { class: "sp-chevron", "aria-hidden": "true" })),
    mayWrite ? button("Publish…", () => publishForm(project, model), "sp-small sp-wide-only", { "aria-label": `Publish a version of ${model.name}` }) : null,
    menuButton(`More of ${model.name}`, [
      mayWrite && { label: "Publish a version…", run: () => publishForm(project, model) },
      mayWrite && { label: "Edit…", run: () => editModel(model) },
      mayWrite && { label: "Delete…", danger: true, run: () => deleteModel(model) },
    ]));
  const older = model.count - model.versions.length;
  const versions = open ? element("div", { id, class: "sp-versions" },
    model.description ? element("p", { class: "sp-note" }, model.description) : null,
    model.versions.map((version) => versionRow(project, model, version)),
    model.versions.length ? null : element("p", { class: "sp-note" }, "It has no version yet."),
    older > 0 ? element("p", { class: "sp-note" }, `and ${count(older, "older version")}`) : null) : null;
  return element("article", { class: "sp-model" }, header, versions);
}

function versionRow(project, model, version) {
  const { mayWrite, maySay } = rights(project);
  const issues = server().talk === "issues";
  const isMarked = where.marked.includes(version.id);
  return element("div", { class: `sp-version ${isMarked ? "sp-marked" : ""}` },
    picture(version.picture, "small", `Picture of ${model.name}`),
    element("div", { class: "sp-version-text" },
      element("p", { class: "sp-message" }, version.message || "No message"),
      facts(version.author, version.application, version.objects === null ? null : count(version.objects, "object"), ago(version.at)),
      isMarked ? element("p", { class: "sp-facts" }, "This is what the link leads to.") : null),
    menuButton(`What to do with “${version.message || "this version"}”`, [
      maySay && (issues
        ? { label: "Open an issue…", run: () => issueForm(project, version) }
        : { label: "Comment…", run: () => commentForm(version) }),
      mayWrite && { label: "Edit its message…", run: () => editVersion(version) },
      mayWrite && { label: "Move to another model…", run: () => moveVersion(project, model, version) },
      mayWrite && { label: "Load into an application…", run: () => receive(version) },
      mayWrite && { label: "Check it automatically…", run: () => runChecks(version) },
      mayWrite && { label: "Delete…", danger: true, run: () => deleteVersion(version) },
    ]));
}

/** Ask for a version of a model, or of one to choose. */
export function publishForm(project, model) {
  const models = project.modelList.map((one) => [one.id, one.name]);
  const latest = [...project.modelList].sort((one, other) => other.updated.localeCompare(one.updated))[0];
  const turn = project.versions;
  ask({
    title: "Publish a version",
    text: "As a connector in Revit or Rhino does.",
    confirm: "Publish",
    fields: [
      { name: "model", label: "Model", kind: "select", choices: models, value: (model ?? latest).id },
      { name: "message", label: "Message", value: MESSAGES[turn % MESSAGES.length] },
      { name: "application", label: "Application", value: APPLICATIONS[turn % APPLICATIONS.length], suggestions: APPLICATIONS },
      { name: "change", label: "What changes since the version before", kind: "select", choices: server().changes, value: server().changes[0][0] },
      { name: "elements", label: "Elements, in a model that has none yet", kind: "number", value: 200, least: 1, most: 13500, hint: "More than 13,000 are too many to list what changed. They take a minute to send." },
    ],
    submit: async (values) => {
      setOpen(values.model, true);
      await perform("publish", values);
    },
  });
}

function newModel() {
  ask({
    title: "New model",
    confirm: "Create",
    fields: [
      { name: "name", label: "Name", hint: "A slash makes a folder: structure/level 2", required: true },
      { name: "description", label: "Description", kind: "long" },
    ],
    submit: (values) => perform("create-model", values),
  });
}

function editModel(model) {
  ask({
    title: "Edit the model",
    confirm: "Save",
    fields: [
      { name: "name", label: "Name", value: model.name, required: true },
      { name: "description", label: "Description", kind: "long", value: model.description },
    ],
    submit: (values) => perform("update-model", {
      model: model.id, ...changed(values, { name: model.name, description: model.description }),
    }),
  });
}

function deleteModel(model) {
  ask({
    title: `Delete ${model.name}?`,
    text: `Its ${count(model.count, "version")} go with it, and Speckle fires nothing for those.`,
    confirm: "Delete",
    danger: true,
    submit: () => perform("delete-model", { model: model.id }),
  });
}

function editVersion(version) {
  ask({
    title: "Edit the message",
    confirm: "Save",
    fields: [{ name: "message", label: "Message", kind: "long", value: version.message }],
    submit: (values) => perform("update-version", { version: version.id, ...values }),
  });
}

function moveVersion(project, model, version) {
  const others = project.modelList.filter((one) => one.id !== model.id).map((one) => one.name);
  ask({
    title: "Move the version",
    confirm: "Move",
    fields: [{
      name: "model_name", label: "To the model", value: others[0] ?? "", suggestions: others, required: true,
      hint: "A name that no model has makes a new one, for which Speckle fires nothing of its own.",
    }],
    submit: (values) => perform("move-version", { version: version.id, ...values }),
  });
}

function runChecks(version) {
  ask({
    title: "Check it automatically",
    text: "As Speckle's automations do. The version's card says it within half a minute; of a project that the bot hears through an account, within seconds.",
    confirm: "Check",
    fields: [
      { name: "passed", label: "Checks that pass", kind: "number", value: 3, least: 0, most: 20 },
      { name: "failed", label: "Checks that fail", kind: "number", value: 1, least: 0, most: 20 },
      { name: "errors", label: "Errors that the first of these finds", kind: "number", value: 12, least: 0, most: 1000 },
    ],
    submit: (values) => perform("run-checks", { version: version.id, ...values }),
  });
}

function receive(version) {
  ask({
    title: "Load into an application",
    text: "As somebody does who receives the version in a connector.",
    confirm: "Load",
    fields: [{ name: "application", label: "Application", value: "Grasshopper", suggestions: APPLICATIONS }],
    submit: (values) => perform("receive", { version: version.id, ...values }),
  });
}

function deleteVersion(version) {
  ask({
    title: "Delete the version?",
    text: version.message,
    confirm: "Delete",
    danger: true,
    submit: () => perform("delete-version", { version: version.id }),
  });
}

/** Ask for a comment on a version. */
export function commentForm(version) {
  ask({
    title: "Comment",
    confirm: "Send",
    fields: [{
      name: "text", label: "Comment", kind: "long", required: true,
      hint: "@ and a member's whole name mentions them. A picture of the view goes with it.",
    }],
    submit: (values) => perform("comment", { version: version.id, ...values }),
  });
}

/** Ask for an issue on a version. */
export function issueForm(project, version) {
  ask({
    title: "Open an issue",
    confirm: "Open",
    fields: [
      { name: "title", label: "Title", required: true },
      { name: "text", label: "Description", kind: "long" },
      { name: "priority", label: "Priority", kind: "select", value: "none", choices: [["none", "None"], ["low", "Low"], ["medium", "Medium"], ["high", "High"]] },
      { name: "assignee", label: "Assigned to", kind: "select", value: "", choices: [["", "Nobody"], ...known.project.members.map((one) => [one.id, one.name])] },
    ],
    submit: ({ assignee, ...values }) => perform("open-issue", { version: version.id, ...values, assignee: assignee || null }),
  });
}
