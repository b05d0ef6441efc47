// Forms in a dialog: what is typed stays when it is refused, and the reason is shown above.

import { ApiError } from "../api.js";
import { element } from "../dom.js";
import { button, focusOnHeading } from "./parts.js";

let number = 0;

/**
 * Ask for something in a dialog. `fields`: `{name, label, kind, value, choices, hint, required}`,
 * of the kinds text, long, number, select, checks and switch. `submit(values)` may throw ApiError, whose
 * sentence is shown. `danger` for what cannot be taken back.
 */
export function ask({ title, text, fields = [], confirm, danger = false, submit }) {
  number += 1;
  const id = `sp-form-${number}`;
  const problem = element("p", { class: "sp-problem", role: "alert", hidden: true });
  const made = fields.map((field) => makeField(field, id));
  const go = element("button", { class: `button ${danger ? "danger" : "primary"}` }, confirm);
  const form = element("form", { method: "dialog", novalidate: true },
    element("h2", { id }, title),
    text ? element("p", { class: "sp-note" }, text) : null,
    problem,
    made.map((one) => one.row),
    element("div", { class: "sp-row sp-end" }, button("Cancel", () => dialog.close()), go));
  const dialog = element("dialog", { class: "sp-dialog", "aria-labelledby": id }, form);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const values = Object.fromEntries(made.map((one) => [one.name, one.read()]));
    const empty = fields.find((one) => one.required && !String(values[one.name] ?? "").trim());
    if (empty) {
      show(problem, `Fill in: ${empty.label}.`);
      form.querySelector(`[name="${empty.name}"]`)?.focus();
      return;
    }
    go.disabled = true;
    try {
      await submit(values);
      dialog.close();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      show(problem, error.message);
    } finally {
      go.disabled = false;
    }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus({ preventScroll: true });
    else focusOnHeading();
  });
  document.getElementById("speckle").append(dialog);
  dialog.showModal();
  (form.querySelector("input:not([type=checkbox]), textarea") ?? form.querySelector("select") ?? go).focus();
}

/** The values that are different from before. */
export function changed(values, before) {
  return Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== before[name]));
}

function show(problem, text) {
  problem.hidden = false;
  problem.textContent = text;
}

function makeField(field, form) {
  const id = `${form}-${field.name}`;
  const hint = field.hint ? element("small", { id: `${id}-hint`, class: "sp-hint" }, field.hint) : null;
  const about = { id, name: field.name, "aria-describedby": hint ? `${id}-hint` : null };
  if (field.kind === "checks") return makeChecks(field, hint);
  if (field.kind === "switch") return makeSwitch(field, about, hint);
  const input = makeInput(field, about);
  const row = element("div", { class: "sp-field" }, element("label", { for: id }, field.label), input, hint);
  const read = () => (field.kind === "number" ? Number(input.value) : input.value);
  return { name: field.name, row, read };
}

function makeInput(field, about) {
  if (field.kind === "select") {
    return element("select", { ...about, class: "field" }, field.choices.map(([value, label]) =>
      element("option", { value, selected: value === field.value }, label)));
  }
  if (field.kind === "long") {
    const area = element("textarea", { ...about, class: "field", rows: 3 });
    area.value = field.value ?? "";
    return area;
  }
  const input = element("input", {
    ...about,
    class: "field",
    type: field.kind === "number" ? "number" : "text",
    min: field.least,
    max: field.most,
    list: field.suggestions ? `${about.id}-list` : null,
    autocomplete: "off",
  });
  input.value = field.value ?? "";
  if (!field.suggestions) return input;
  return withSuggestions(input, field.suggestions, `${about.id}-list`);
}

function withSuggestions(input, suggestions, id) {
  const list = element("datalist", { id }, suggestions.map((one) => element("option", { value: one })));
  const both = element("div", {}, input, list);
  Object.defineProperty(both, "value", { get: () => input.value });
  return both;
}

function makeChecks(field, hint) {
  const boxes = field.choices.map(([value, label]) => {
    const box = element("input", { type: "checkbox", value });
    box.checked = field.value.includes(value);
    return [box, element("label", {}, box, element("span", {}, label))];
  });
  const row = element("fieldset", { class: "sp-field sp-checks" },
    element("legend", {}, field.label), hint, element("div", {}, boxes.map(([, label]) => label)));
  const read = () => boxes.filter(([box]) => box.checked).map(([box]) => box.value);
  return { name: field.name, row, read };
}

function makeSwitch(field, about, hint) {
  const box = element("input", { ...about, type: "checkbox" });
  box.checked = Boolean(field.value);
  const row = element("div", { class: "sp-field sp-checks" }, element("label", {}, box, element("span", {}, field.label)), hint);
  return { name: field.name, row, read: () => box.checked };
}
