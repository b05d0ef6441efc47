// Doing something in Speckle: going somewhere, acting, and saying what came of it.

import { ApiError } from "../api.js";
import { announce, element } from "../dom.js";
import { show } from "../views.js";
import { button, focusOnHeading } from "./parts.js";
import { act, known, pull, where } from "./store.js";

let view;

/** The view's elements `root`, `body` and `outcome`, and `draw`, which shows what is known. */
export function useView(parts) {
  view = parts;
}

/** Show what is known. */
export function render() {
  view.draw();
}

/** Go somewhere: `{server, page, project, tab, open}`. */
export async function go(there) {
  Object.assign(where, there);
  known.problem = null;
  view.outcome.replaceChildren();
  try {
    await pull();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    known.problem = error.message;
  }
  const hadFocus = view.body.contains(document.activeElement);
  render();
  if (there.page) view.root.scrollTop = 0;
  if (hadFocus && !view.body.contains(document.activeElement)) focusOnHeading();
}

/** Do something, and say what the server fired for it. Throws ApiError; gives the answer. */
export async function perform(name, body_) {
  const fired = await act(name, body_);
  sayFired(fired, SILENT[name] ?? "Done. Speckle fires no event for this.");
  await pull();
  render();
  return fired;
}

/** The same where nothing is open to show a refusal in. */
export async function attempt(name, body_) {
  try {
    return await perform(name, body_);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    say(error.message, [], true);
    known.refusals += 1;
    render();
    return null;
  }
}

const SILENT = {
  "set-role": "Done. Speckle fires no event for this: the bot finds out when it asks next.",
  "revoke-app": "Taken back, and Speckle fires no event for it. When the bot finds out, at the next event at the latest, it writes to the person who linked this account in Discord.",
  "revoke-token": "Revoked. Speckle fires no event for it.",
  "create-webhook": "Created. The next event shows whether it works.",
  "update-webhook": "Saved. Speckle fires no event for this.",
};

function sayFired(fired, silent) {
  const events = fired.events.map((name) => element("code", {}, name)).flatMap((one, place) => (place ? [" and ", one] : [one]));
  if (!fired.events.length) say([silent]);
  else if (!fired.calls && known.project?.live.listeners.length) say(["Done. Speckle fires ", ...events, ". No webhook is called: the bot is live here, and reads it by itself."]);
  else if (!fired.calls) say(["Done. Speckle fires ", ...events, ", but no webhook here is switched on for it."]);
  else {
    const calls = fired.calls === 1 ? "1 call of a webhook" : `${fired.calls} calls of webhooks`;
    const more = [button("Follow it", () => show("events"), "sp-small")];
    say(["Done. Speckle fires ", ...events, `: ${calls}.`], more);
  }
}

/** Say something below the page. */
export function say(pieces, more = [], isProblem = false) {
  view.outcome.replaceChildren(
    element("p", { class: isProblem ? "sp-problem" : "" }, pieces),
    ...more,
    element("button", {
      type: "button", class: "sp-icon", "aria-label": "Close this note", onclick: () => view.outcome.replaceChildren(),
    }, "×"),
  );
  if (isProblem) announce(String(pieces));
}
