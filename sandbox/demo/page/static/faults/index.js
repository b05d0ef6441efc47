// Trouble by switch: break something, and see that nothing is lost.

import { ApiError, get, onChange, post } from "../api.js";
import { announce, element, reconcile } from "../dom.js";

const BOT = {
  running: "The bot runs.",
  starting: "The bot starts …",
  killed: "The bot is killed. Nothing takes deliveries; Speckle keeps them.",
  ended: "The bot ended by itself. What it said last is below.",
};
const GROUPS = [
  ["Discord", ["discord_down", "discord_slow", "rate_limited", "channel_deleted", "permission_taken"]],
  ["Speckle", ["speckle_down", "speckle_hangs", "frames_lost", "sockets_cut"]],
];
const SWITCHES = {
  discord_down: ["Discord is down", "Each request gets 503, the gateway is closed."],
  discord_slow: ["Discord is slow", "Each answer takes two seconds."],
  rate_limited: ["Rate limited", "Each message gets 429: wait five seconds."],
  channel_deleted: ["Channel deleted", "The bot writes to Maren. Once it is back: Resume."],
  permission_taken: ["Permission taken", "The bot may not send there, and writes to Maren."],
  speckle_down: ["Speckle is down", "It answers 503. Its webhooks still come."],
  speckle_hangs: ["Speckle hangs", "It takes questions and never answers."],
  frames_lost: ["Rings get lost", "Its sockets stay open and say nothing. The timer finds what is new."],
  sockets_cut: ["No sockets", "It ends all sockets and opens none. The timer finds what is new."],
};
const IN_A_CHANNEL = new Set(["channel_deleted", "permission_taken"]);

const chosen = {};
let problem;
let parts;

/** Fill the view's section. */
export function start(root) {
  problem = element("p", { class: "fault-problem", role: "alert" });
  parts = {
    bot: element("div", { class: "fault-bot" }),
    counts: element("dl", { class: "fault-counts" }),
    switches: element("div", { class: "fault-switches" }),
    log: element("ol", { class: "fault-log", tabindex: "0", "aria-label": "What the bot says" }),
  };
  root.replaceChildren(
    element("h2", { class: "sr-only", text: "Trouble" }),
    element("p", {
      class: "fault-intro",
      text: "Break something, send versions, and put it right again: each event still comes, once and in order.",
    }),
    parts.bot,
    problem,
    parts.counts,
    parts.switches,
    element("h3", { class: "fault-heading", text: "What the bot says" }),
    parts.log,
  );
  onChange("faults", refresh);
  onChange("events", refresh);
}

// One after another, so that an older state never replaces a newer one.
let last = Promise.resolve();
const refresh = () => (last = last.then(show, show));

async function show() {
  const state = await get("/api/faults");
  reconcile(parts.bot, [
    { key: "bot", version: state.bot, make: () => bot(state) },
    { key: "send", version: "", make: send },
  ]);
  reconcile(parts.counts, counts(state.counts));
  reconcile(
    parts.switches,
    GROUPS.map(([name, troubles]) => ({
      key: name,
      version: JSON.stringify([state.on, state.where, state.channels]),
      make: () => group(name, troubles, state),
    })),
  );
  showLog(state.log);
}

async function act(path, body, said) {
  problem.textContent = "";
  try {
    await post(path, body);
    if (said) announce(said);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    problem.textContent = error.message;
  }
}

function button(text, kind, onclick, more = {}) {
  return element("button", { type: "button", class: `button ${kind}`, text, onclick, ...more });
}

// ── the bot ─────────────────────────────────────────────────────────────────────────────────────

function bot(state) {
  const runs = state.bot === "running";
  const doIt = () => act("/api/faults/bot", { do: runs ? "kill" : "start" });
  return element(
    "div",
    { class: `fault-state fault-state-${state.bot}` },
    element("p", { role: "status", text: BOT[state.bot] }),
    runs
      ? button("Kill the bot", "danger", doIt)
      : button("Start the bot", "ok", doIt, { disabled: state.bot === "starting" }),
  );
}

function send() {
  const publish = (count, live = false) => () =>
    act("/api/faults/send", { count, live }, `Published: ${count}`);
  return element(
    "div",
    { class: "fault-send" },
    button("Publish a version", "primary", publish(1)),
    button("Publish 5", "", publish(5)),
    button("Publish in Lighthouse Library", "", publish(1, true), {
      title: "It has no webhook: the bot hears of it by itself",
    }),
    button("Try now what waits", "", () => act("/api/faults/retry", {}), {
      title: "As python3 run.py outbox retry does",
    }),
  );
}

function counts(found) {
  const items = [
    ["sent", "Cards shown", "ok"],
    ["waiting", "Cards waiting", "warn"],
    ["at_speckle", "Events kept by Speckle", "warn"],
    ["undeliverable", "Cards given up", "danger"],
  ];
  return items.map(([name, text, tone]) => ({
    key: name,
    version: found[name],
    make: () =>
      element(
        "div",
        { class: `fault-count ${found[name] ? tone : ""}` },
        element("dd", { text: String(found[name]) }),
        element("dt", { text }),
      ),
  }));
}

// ── the switches ────────────────────────────────────────────────────────────────────────────────

function group(name, troubles, state) {
  return element(
    "fieldset",
    {},
    element("legend", { text: name }),
    troubles.map((trouble) => switchRow(trouble, state)),
  );
}

function switchRow(trouble, state) {
  const on = state.on.includes(trouble);
  const [text, help] = SWITCHES[trouble];
  const where = IN_A_CHANNEL.has(trouble) ? channelChoice(trouble, on, state) : null;
  const flip = () =>
    act("/api/faults/switch", {
      trouble,
      on: !on,
      ...(where && !on ? { channel: chosen[trouble] } : {}),
    });
  return element(
    "div",
    { class: "fault-switch" },
    element(
      "button",
      {
        type: "button",
        role: "switch",
        "aria-checked": String(on),
        "aria-describedby": `help-${trouble}`,
        onclick: flip,
      },
      element("span", { class: "fault-knob", "aria-hidden": "true" }),
      element("span", { text }),
    ),
    where,
    element("p", { id: `help-${trouble}`, text: help }),
  );
}

function channelChoice(trouble, on, state) {
  if (on) return element("b", { text: `#${state.where[trouble]}` });
  const known = state.channels.some((one) => one.id === chosen[trouble]);
  const usual = state.channels.find((one) => one.name === "structure") ?? state.channels[0];
  if (!known) chosen[trouble] = usual?.id ?? "";
  return element(
    "select",
    {
      "aria-label": `${SWITCHES[trouble][0]}: in which channel`,
      onchange: (event) => (chosen[trouble] = event.target.value),
    },
    state.channels.map((one) =>
      element("option", { value: one.id, text: `#${one.name}`, selected: one.id === chosen[trouble] }),
    ),
  );
}

// ── the log ─────────────────────────────────────────────────────────────────────────────────────

function showLog(lines) {
  const seen = new Map();
  const items = lines.toReversed().map((line) => {
    const same = `${line.at} ${line.raw}`;
    const number = (seen.get(same) ?? 0) + 1;
    seen.set(same, number);
    return { key: `${same} ${number}`, version: "", make: () => logLine(line) };
  });
  reconcile(parts.log, items);
}

function logLine(line) {
  const at = line.at ? new Date(line.at).toLocaleTimeString([], { hour12: false }) : "";
  return element(
    "li",
    { class: `fault-line fault-line-${line.level}` },
    element("time", { datetime: line.at, text: at }),
    element(
      "div",
      {},
      line.text ? element("p", { text: line.text }) : null,
      element("code", { text: line.raw }),
    ),
  );
}
