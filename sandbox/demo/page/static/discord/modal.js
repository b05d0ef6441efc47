// Forms that a bot opens: texts, selects, radio buttons, checkboxes.

import { ApiError } from "../api.js";
import { element } from "../dom.js";
import { optionsOf } from "./components.js";
import { icon } from "./icons.js";
import { picker } from "./picker.js";
import { act } from "./store.js";
import { writeTimes } from "./times.js";
import { appTag } from "./people.js";

const ROW = 1;
const TEXT_INPUT = 4;
const TEXT = 10;
const LABEL = 18;
const FILE_UPLOAD = 19;
const RADIO_GROUP = 21;
const CHECKBOX_GROUP = 22;
const CHECKBOX = 23;
const PARAGRAPH = 2;
let forms = 0;

/** Open a form; the focus stays in it until it is sent or cancelled, and then goes back. */
export function openForm(modal) {
  forms += 1;
  const fields = [];
  const parts = modal.components.map((part, index) => partNode(part, `form-${forms}-${index}`, fields));
  const problem = element("p", { class: "dc-form-problem", role: "alert", hidden: true });
  const title = `form-${forms}-title`;
  const send = element("button", { type: "submit", class: "dc-button primary", text: "Submit" });
  const form = element(
    "form",
    { novalidate: true },
    element(
      "header",
      { class: "dc-form-head" },
      element("img", { src: "/static/icon.svg", alt: "", width: 32, height: 32 }),
      element("h2", { id: title, text: modal.title }),
      appTag(),
      element("button", { type: "button", class: "dc-icon-button", "aria-label": "Close", onclick: () => dialog.close() }, icon("close")),
    ),
    element("div", { class: "dc-form-parts" }, parts, problem),
    element(
      "footer",
      { class: "dc-form-foot" },
      element("button", { type: "button", class: "dc-button secondary", text: "Cancel", onclick: () => dialog.close() }),
      send,
    ),
  );
  const dialog = element("dialog", { class: "dc-form", "aria-labelledby": title }, form);
  const before = document.activeElement;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wrong = fields.filter((field) => !field.check());
    if (wrong.length > 0) {
      wrong[0].focus();
      return;
    }
    send.disabled = true;
    send.setAttribute("aria-busy", "true");
    try {
      const values = Object.fromEntries(fields.map((field) => [field.name, field.value()]));
      await act("submit", { form: modal.form, values });
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      problem.hidden = false;
      problem.textContent = error.message;
    } finally {
      send.disabled = false;
      send.removeAttribute("aria-busy");
    }
  });
  dialog.addEventListener("close", () => {
    dialog.remove();
    before?.focus?.();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  document.getElementById("discord").append(dialog);
  writeTimes(dialog);
  dialog.showModal();
  fields[0]?.focus();
}

function partNode(part, id, fields) {
  if (part.type === TEXT) return element("div", { class: "markup", html: part.html });
  if (part.type === ROW) return (part.components ?? []).map((one) => fieldNode(one, one.label, "", id, fields));
  if (part.type === LABEL) return fieldNode(part.component, part.label, part.description, id, fields);
  return null;
}

function fieldNode(part, label, description, id, fields) {
  const required = part.required ?? true;
  const problem = element("p", { class: "dc-form-problem", id: `${id}-problem`, role: "alert", hidden: true });
  const field = makeField(part, label, id, required);
  const say = (text) => {
    problem.hidden = !text;
    problem.textContent = text ?? "";
    field.invalid?.(Boolean(text));
    return !text;
  };
  fields.push({
    name: part.custom_id,
    value: field.value,
    focus: field.focus,
    check: () => say(field.problem()),
  });
  const star = required && part.type !== CHECKBOX && element("span", { class: "required", "aria-hidden": "true", text: " *" });
  const hint = description && element("p", { class: "dc-form-hint", id: `${id}-hint`, text: description });
  if (field.group) {
    return element(
      "fieldset",
      { class: "dc-field", "aria-describedby": `${description ? `${id}-hint ` : ""}${id}-problem` },
      element("legend", {}, label, star),
      hint,
      field.node,
      problem,
    );
  }
  field.described(`${description ? `${id}-hint ` : ""}${id}-problem`);
  return element(
    "div",
    { class: "dc-field" },
    element("label", { for: id }, label, star),
    hint,
    field.node,
    problem,
  );
}

function makeField(part, label, id, required) {
  switch (part.type) {
    case TEXT_INPUT:
      return textField(part, id, required);
    case RADIO_GROUP:
      return groupField(part, id, required, "radio");
    case CHECKBOX_GROUP:
      return groupField(part, id, required, "checkbox");
    case CHECKBOX:
      return checkbox(part, id);
    case FILE_UPLOAD:
      return noUpload(part, id);
    default:
      return selectField(part, label, id, required);
  }
}

function textField(part, id, required) {
  const long = part.style === PARAGRAPH;
  const node = element(long ? "textarea" : "input", {
    id,
    class: "field",
    type: long ? null : "text",
    rows: long ? 4 : null,
    maxlength: part.max_length ?? 4000,
    placeholder: part.placeholder,
    "aria-required": String(required),
    autocomplete: "off",
  });
  node.value = part.value ?? "";
  const least = part.min_length ?? (required ? 1 : 0);
  const count = element("small", { class: "dc-count" });
  const write = () => {
    count.textContent = part.max_length ? `${node.value.length} / ${part.max_length}` : "";
  };
  node.addEventListener("input", write);
  write();
  return {
    node: element("div", { class: "dc-text-field" }, node, count),
    value: () => node.value,
    focus: () => node.focus(),
    described: (ids) => node.setAttribute("aria-describedby", ids),
    invalid: (wrong) => node.setAttribute("aria-invalid", String(wrong)),
    problem: () => {
      if (node.value === "") return required ? "This field is required." : null;
      return node.value.length < least ? `Must be ${least} characters or more.` : null;
    },
  };
}

function selectField(part, label, id, required) {
  const least = required ? (part.min_values ?? 1) : 0;
  const most = part.max_values ?? 1;
  const node = picker({ options: optionsOf(part), placeholder: part.placeholder, least, most, label, id });
  return {
    node,
    value: () => node.values(),
    focus: () => node.focus(),
    described: (ids) => node.setAttribute("aria-describedby", ids),
    problem: () => countProblem(node.values().length, least, most),
  };
}

function countProblem(count, least, most) {
  if (count < least) return least === 1 ? "Make a selection." : `Choose ${least} or more.`;
  return count > most ? `Choose ${most} at most.` : null;
}

function groupField(part, id, required, type) {
  const boxes = [];
  const node = element(
    "div",
    { class: "dc-choices" },
    (part.options ?? []).map((one, index) => {
      const box = element("input", { type, name: id, id: `${id}-${index}`, value: one.value });
      box.checked = Boolean(one.default);
      boxes.push(box);
      return element(
        "label",
        { class: "dc-choice" },
        box,
        element("span", {}, one.label, one.description && element("small", { text: one.description })),
      );
    }),
  );
  const values = () => boxes.filter((box) => box.checked).map((box) => box.value);
  const least = required ? (part.min_values ?? 1) : 0;
  const most = type === "radio" ? 1 : (part.max_values ?? boxes.length);
  return {
    node,
    group: true,
    value: type === "radio" ? () => values() : values,
    focus: () => (boxes.find((box) => box.checked) ?? boxes[0])?.focus(),
    problem: () => countProblem(values().length, least, most),
  };
}

function checkbox(part, id) {
  const node = element("input", { type: "checkbox", id });
  node.checked = Boolean(part.default);
  return {
    node,
    value: () => node.checked,
    focus: () => node.focus(),
    described: (ids) => node.setAttribute("aria-describedby", ids),
    problem: () => null,
  };
}

function noUpload(part, id) {
  const node = element("p", { id, class: "dc-muted", text: "Files cannot be uploaded in the try-out." });
  return { node, value: () => null, focus: () => {}, described: () => {}, problem: () => null };
}
