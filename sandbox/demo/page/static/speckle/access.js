// What has access to one's account: applications, and personal tokens.

import { element } from "../dom.js";
import { attempt, perform, say } from "./doing.js";
import { ask } from "./forms.js";
import { ago, button, copy, facts } from "./parts.js";
import { known, me, versionOf } from "./store.js";

const SCOPES = ["streams:read", "streams:write", "profile:read", "profile:email", "users:read"];
const OFTEN = ["streams:read", "streams:write", "profile:read"];

/** The page's parts, for `reconcile`. */
export function accessPage() {
  return known.access ? [{ key: "access", version: versionOf(known.access, me().id), make: page }] : [];
}

function page() {
  const { apps, tokens } = known.access;
  return element("div", {},
    element("h2", {}, `What may use the account of ${me().name}`),
    element("h3", {}, "Applications"),
    apps.length ? null : element("p", { class: "sp-note" }, "None. The bot is listed here once you have signed in: type /link in Discord."),
    element("ul", { class: "sp-people" }, apps.map((one) =>
      item(one, "Take back", () => attempt("revoke-app", { app: one.id })))),
    element("h3", {}, "Personal tokens"),
    tokens.length ? null : element("p", { class: "sp-note" }, "None."),
    element("ul", { class: "sp-people" }, tokens.map((one) =>
      item(one, "Revoke", () => attempt("revoke-token", { token: one.id })))),
    element("div", { class: "sp-row" }, button("New token…", create)));
}

function item(one, label, run) {
  return element("li", {},
    element("div", {}, element("strong", {}, one.name), facts(one.scopes.join(", "), ago(one.since))),
    element("span", { class: "sp-push" }),
    button(label, run, "sp-small danger", { "aria-label": `${label}: ${one.name}` }));
}

function create() {
  ask({
    title: "New token",
    confirm: "Create",
    fields: [
      { name: "name", label: "Name", value: "For Discord", required: true },
      { name: "scopes", label: "It may", kind: "checks", choices: SCOPES.map((one) => [one, one]), value: OFTEN },
    ],
    submit: async (values) => {
      const { made } = await perform("create-token", values);
      say(["The token is shown once: ", element("code", { class: "sp-address" }, made)],
        [button("Copy", (event) => copy(made, event.currentTarget), "sp-small")]);
    },
  });
}
