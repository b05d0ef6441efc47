// The way of each event through the bot: seven stages, live.

import { ApiError, get, onChange, post } from "../api.js";
import { announce, element, reconcile } from "../dom.js";

const STAGES = {
  received: "Received",
  signature: "Signature",
  filter: "Filter",
  access: "Access",
  enriched: "Enriched",
  queued: "Queued",
  answer: "Discord",
};
const SHORT = { ...STAGES, received: "In", signature: "Signed", enriched: "Facts", queued: "Queue" };
const TONES = {
  ok: "done",
  waiting: "waiting",
  stopped: "not shown, by a rule",
  failed: "failed",
  open: "not reached",
};
const LOOK_AGAIN_MS = 1000; // while something waits, its next try comes nearer

const open = new Set();
let list;
let empty;
let again = null;

/** Fill the view's section. */
export function start(root) {
  list = element("ol", { class: "event-list", "aria-label": "Events, the newest first" });
  empty = element("p", {
    class: "event-empty",
    text: "No event yet. The first ones come as soon as the channels are subscribed.",
  });
  root.replaceChildren(head(), empty, list);
  onChange("events", refresh);
}

// One after another, so that an older state never replaces a newer one.
let last = Promise.resolve();
const refresh = () => (last = last.then(show, show));

async function show() {
  const { events } = await get("/api/events");
  const details = new Map(
    await Promise.all(
      events.filter((one) => open.has(one.id)).map(async (one) => [one.id, await detailOf(one.id)]),
    ),
  );
  empty.hidden = events.length > 0;
  const items = events.map((event) => {
    const detail = details.get(event.id) ?? null;
    const make = () => row(event, detail);
    return { key: event.id, version: JSON.stringify([event, detail]), make };
  });
  reconcile(list, items);
  clearTimeout(again);
  if (events.some((one) => one.outcome === "waiting")) {
    again = setTimeout(() => refresh().catch(() => {}), LOOK_AGAIN_MS);
  }
}

async function detailOf(id) {
  try {
    return await get(`/api/events/${encodeURIComponent(id)}`);
  } catch {
    return null; // it is none of the newest any more
  }
}

// ── sending one oneself ─────────────────────────────────────────────────────────────────────────

function head() {
  const answer = element("div", { class: "event-answer", role: "status" });
  const button = (text, act) =>
    element("button", {
      type: "button",
      class: "button",
      text,
      onclick: async (event) => {
        event.target.disabled = true;
        try {
          answer.replaceChildren(await act());
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          answer.replaceChildren(element("p", { class: "event-problem", text: error.message }));
        } finally {
          event.target.disabled = false;
        }
      },
    });
  return element(
    "header",
    { class: "event-head" },
    element("h2", { class: "sr-only", text: "The way of an event" }),
    element("p", {
      text: "Every event leaves its trace. Open one: what was decided, when, and by which rule.",
    }),
    element(
      "div",
      { class: "event-actions" },
      button("Send a delivery", () => deliver(true)),
      button("Wrong signature", () => deliver(false)),
      button("curl line", curlLine),
    ),
    answer,
    element(
      "div",
      { class: "event-rail event-legend", "aria-hidden": "true" },
      Object.values(SHORT).map((name) => element("span", { text: name })),
    ),
  );
}

async function deliver(signed) {
  const { answer } = await post("/api/events/deliver", { signed });
  const text = `The bot answered ${answer}`;
  announce(text);
  return element("p", { text });
}

async function curlLine() {
  const { line } = await post("/api/events/curl");
  const copy = element("button", {
    type: "button",
    class: "button",
    text: "Copy",
    onclick: async () => {
      await navigator.clipboard.writeText(line);
      copy.textContent = "Copied";
    },
  });
  return element(
    "div",
    { class: "event-curl" },
    element("p", { text: "Type this in a terminal. It shows one card; the next needs a new line." }),
    element("pre", { tabindex: "0", text: line }),
    copy,
  );
}

// ── one event ───────────────────────────────────────────────────────────────────────────────────

function row(event, detail) {
  const expanded = open.has(event.id);
  const toggle = () => {
    if (!open.delete(event.id)) open.add(event.id);
    refresh().catch(() => {});
  };
  return element(
    "li",
    { class: `event event-${event.outcome}` },
    element(
      "button",
      { type: "button", class: "event-row", "aria-expanded": String(expanded), onclick: toggle },
      element("span", { class: "event-title", text: event.title }),
      element("span", { class: "event-outcome", text: event.summary }),
      element("span", { class: "event-meta", text: `${event.project} · ${event.kind}` }),
      element("time", { class: "event-time", datetime: event.at, text: clock(event.at) }),
      rail(event.tones),
    ),
    expanded && detail ? way(detail) : null,
  );
}

function rail(tones) {
  return element(
    "span",
    { class: "event-rail" },
    Object.entries(STAGES).map(([name, text]) =>
      element("span", { class: `event-dot event-dot-${tones[name]}` }, srText(text, tones[name])),
    ),
  );
}

function srText(text, tone) {
  return element("span", { class: "sr-only", text: `${text}: ${TONES[tone]}. ` });
}

function way(detail) {
  return element(
    "ol",
    { class: "event-way" },
    detail.stages.map((stage) =>
      element(
        "li",
        { class: `event-stage event-dot-${detail.tones[stage.name]}` },
        element("h3", { text: STAGES[stage.name] + (stage.name === "answer" ? "'s answer" : "") }),
        stage.lines.length ? stage.lines.map(line) : element("p", { class: "event-none", text: "Not reached" }),
      ),
    ),
  );
}

function line(one) {
  return element(
    "p",
    { class: `event-line event-line-${one.tone}` },
    one.at === null ? null : element("time", { datetime: one.at, title: clock(one.at), text: after(one.after_ms) }),
    one.channel === null ? null : element("b", { text: `#${one.channel.replaceAll(", ", " #")}` }),
    " ",
    one.text,
  );
}

function after(ms) {
  if (Math.abs(ms) < 1) return "+0 ms";
  const sign = ms < 0 ? "−" : "+";
  const size = Math.abs(ms);
  return size < 1000 ? `${sign}${size} ms` : `${sign}${(size / 1000).toFixed(1)} s`;
}

function clock(iso) {
  return new Date(iso).toLocaleTimeString([], { hour12: false });
}
