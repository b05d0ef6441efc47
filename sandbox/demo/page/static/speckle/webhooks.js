// The tab Webhooks: switch, events, and the history of calls.

import { ApiError, get } from "../api.js";
import { element } from "../dom.js";
import { attempt, perform, render } from "./doing.js";
import { ask } from "./forms.js";
import { ago, button, count, menuButton } from "./parts.js";
import { isOpen, me, projectPath, rights, ROLES, server, setOpen, versionOf } from "./store.js";

const STATES = { 0: ["Waiting", ""], 1: ["Calling…", ""], 2: ["Delivered", "sp-ok"], 3: ["Failed", "sp-bad"] };
const wholes = new Map(); // calls with all that was sent, by their ids

export function webhooksTab(project) {
  const { isOwner, role } = rights(project);
  if (!isOwner) {
    const what = role ? `${me().name} is a ${ROLES[role].toLowerCase()}` : `${me().name} has no role`;
    return [{ key: "no", version: versionOf(what), make: () => element("p", { class: "sp-note" }, `Only owners see a project's webhooks, and ${what} here. Choose an owner above to see them. The bot needs none where it is live: see the tab beside.`) }];
  }
  const hooks = project.webhooks.flatMap((hook) => [
    { key: hook.id, version: versionOf({ ...hook, calls: null }), make: () => about(hook) },
    { key: `${hook.id}-calls`, version: versionOf(hook.calls.map((one) => [one, isOpen(one.id), wholes.has(one.id)])), make: () => calls(hook) },
  ]);
  return [...hooks, { key: "new", version: versionOf(hooks.length), make: () => below(hooks.length) }];
}

function below(there) {
  return element("div", {},
    there ? null : element("p", { class: "sp-note" }, "There is no webhook yet. The bot makes one when an owner with a linked account types /subscribe in Discord. By hand it goes with the button below, and the address and secret that the bot shows. Without one the bot can be live: see the tab beside."),
    element("div", { class: "sp-row" }, button("New webhook…", create)));
}

function about(hook) {
  const box = element("input", {
    type: "checkbox", role: "switch",
    onchange: () => attempt("update-webhook", { webhook: hook.id, enabled: box.checked }),
  });
  box.checked = hook.enabled;
  return element("article", { class: "sp-hook" },
    element("div", { class: "sp-row" },
      element("code", { class: "sp-address" }, hook.url),
      element("span", { class: "sp-push" }),
      element("label", { class: "sp-toggle" }, box, element("span", {}, hook.enabled ? "On" : "Off")),
      menuButton("More of this webhook", [
        { label: "Choose its events…", run: () => chooseEvents(hook) },
        { label: "Delete…", danger: true, run: () => remove(hook) },
      ])),
    element("p", { class: "sp-facts" }, [hook.description, hook.hasSecret ? "with a secret" : "without a secret: the bot refuses that", `${count(hook.count, "call")}, ${hook.failed} failed`, hook.waiting ? `${hook.waiting} still to come` : ""].filter(Boolean).join(" · ")),
    element("details", {},
      element("summary", {}, `Wants ${count(hook.events.length, "event")}`),
      element("ul", { class: "sp-chips" }, hook.events.map((one) => element("li", { title: one.event }, one.name)))));
}

function calls(hook) {
  if (!hook.calls.length) return element("p", { class: "sp-note sp-calls" }, "It was not called yet.");
  return element("ol", { class: "sp-calls", "aria-label": "Calls, the newest first" }, hook.calls.map((one) => call(hook, one)));
}

function call(hook, one) {
  const [label, kind] = STATES[one.status];
  const open = isOpen(one.id);
  const row = element("button", {
    type: "button", class: "sp-fold", "aria-expanded": String(open),
    onclick: () => unfold(hook, one, !open),
  },
  element("span", { class: `sp-state ${kind}` }, label),
  element("code", {}, one.event),
  element("span", { class: "sp-push" }),
  one.answer ? element("span", { class: "sp-facts" }, `HTTP ${one.answer}, ${one.tookMs} ms`) : null,
  ago(one.at),
  element("span", { class: "sp-chevron", "aria-hidden": "true" }));
  return element("li", {}, row, open ? whole(wholes.get(one.id)) : null);
}

async function unfold(hook, one, open) {
  setOpen(one.id, open);
  if (open) {
    try {
      wholes.set(one.id, await get(`${projectPath()}/webhooks/${hook.id}/calls/${one.id}`));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      setOpen(one.id, false);
    }
  }
  render();
}

function whole(one) {
  if (!one) return null;
  const headers = Object.entries(one.headers).map(([name, value]) => `${name}: ${value}`).join("\n");
  const answered = one.answer === null
    ? one.answerText || "Not called yet."
    : `HTTP ${one.answer} after ${one.tookMs} ms\n${one.answerText}`;
  const known = one.wireEvent === one.event ? "" : ` On the wire the event is called ${one.wireEvent}.`;
  return element("div", { class: "sp-whole" },
    element("h4", {}, "What was sent"),
    element("p", { class: "sp-facts" }, `${one.bytes.toLocaleString("en")} bytes; long values are cut here.${known}`),
    element("pre", { tabindex: "0" }, `POST ${one.url}\n${headers}\n\n${one.body}`),
    element("h4", {}, "What was answered"),
    element("pre", { tabindex: "0" }, answered));
}

const offered = () => server().offered.map((one) => [one.event, one.name]);

function create() {
  ask({
    title: "Create webhook",
    text: "Paste what the bot showed in Discord under “Set it up by hand”.",
    confirm: "Create webhook",
    fields: [
      { name: "url", label: "URL", required: true },
      { name: "description", label: "Description" },
      { name: "secret", label: "Secret" },
      { name: "events", label: "Events", kind: "checks", choices: offered(), value: offered().map(([event]) => event) },
    ],
    submit: (values) => perform("create-webhook", values),
  });
}

function chooseEvents(hook) {
  const more = hook.events.filter((one) => !offered().some(([event]) => event === one.event)).map((one) => [one.event, one.name]);
  ask({
    title: "Events of the webhook",
    confirm: "Save",
    fields: [{ name: "events", label: "Events", kind: "checks", choices: [...offered(), ...more], value: hook.events.map((one) => one.event) }],
    submit: (values) => perform("update-webhook", { webhook: hook.id, ...values }),
  });
}

function remove(hook) {
  ask({
    title: "Delete the webhook?",
    text: "Its history goes with it, and nothing reaches the bot from this project any more.",
    confirm: "Delete",
    danger: true,
    submit: () => perform("delete-webhook", { webhook: hook.id }),
  });
}
