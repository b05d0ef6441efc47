// Links to Speckle, such as those on the bot's cards: they open here.

import { show } from "../views.js";
import { go, say } from "./doing.js";
import { known, setOpen } from "./store.js";

const LINK = /^\/projects\/([\w-]+)(\/.*)?$/;

/** Follow a click on a link to one of the servers here. */
export function followLink(event) {
  const link = event.target.closest?.("a[href]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  if (openAddress(link.href)) event.preventDefault();
}

/** Show what a Speckle address leads to; false for an address of something else. */
export function openAddress(address) {
  const url = URL.canParse(address) ? new URL(address) : null;
  const place = known.servers.findIndex((one) => one.url === url?.origin);
  if (place < 0) return false;
  if (url.pathname.startsWith("/settings/user")) {
    show("speckle");
    go({ server: place, page: "access", project: null });
    return true;
  }
  const [, project, rest = ""] = LINK.exec(url.pathname) ?? [];
  if (!project) return false;
  const isTalk = url.hash.startsWith("#threadId=") || rest.startsWith("/threads/");
  const tab = rest.includes("/settings/webhooks") ? "webhooks" : isTalk ? "talk" : "models";
  const models = /^\/models\/([^/]+)/.exec(rest)?.[1] ?? "";
  for (const one of models.split(",")) if (one) setOpen(one.split("@")[0], true);
  show("speckle");
  goTo({ server: place, page: "project", project, tab, marked: marked(url, rest, models) }, isCompared(url));
  return true;
}

async function goTo(there, compared) {
  await go(there);
  document.querySelector("#speckle .sp-marked")?.scrollIntoView({ block: "center" });
  if (compared) say(["Speckle's own viewer lays these two versions over each other. Here you see them one below the other."]);
}

const isCompared = (url) => url.hash.startsWith("#diff=");

/** The ids of what an address leads to: a thread, an issue, a version, or two that are compared. */
function marked(url, rest, models) {
  if (url.hash.startsWith("#threadId=")) return [url.hash.slice("#threadId=".length)];
  if (rest.startsWith("/threads/")) return [rest.slice("/threads/".length)];
  const compared = isCompared(url) ? [...decodeURIComponent(url.hash).matchAll(/@(\w+)/g)].map((one) => one[1]) : [];
  return [...models.split(",").map((one) => one.split("@")[1]), ...compared].filter(Boolean);
}
