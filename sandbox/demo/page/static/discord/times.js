// Times as Discord shows them, by the reader's own clock and language.

import { element } from "../dom.js";

const STYLES = {
  t: { hour: "2-digit", minute: "2-digit" },
  T: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  d: { day: "2-digit", month: "2-digit", year: "numeric" },
  D: { day: "numeric", month: "long", year: "numeric" },
  f: { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" },
  F: { weekday: "long", day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit" },
  s: { day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit" },
  S: { day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" },
};
const UNITS = [
  ["year", 31536000],
  ["month", 2592000],
  ["day", 86400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const formats = new Map();

function format(style, date) {
  if (!formats.has(style)) formats.set(style, new Intl.DateTimeFormat(undefined, STYLES[style]));
  return formats.get(style).format(date);
}

function full(date) {
  return format("F", date);
}

function ago(date) {
  const seconds = Math.round((date - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, one]) => Math.abs(seconds) >= one) ?? UNITS.at(-1);
  return relative.format(Math.trunc(seconds / size), unit);
}

function days(date) {
  const midnight = new Date();
  midnight.setHours(0, 0, 0, 0);
  return Math.floor((midnight - date) / 86400000) + 1;
}

/** Beside a message's author: today's alone by the clock. */
function short(date) {
  const back = days(date);
  if (back <= 0) return format("t", date);
  if (back === 1) return `Yesterday at ${format("t", date)}`;
  return format("s", date);
}

/** When a message came; the full date is its title. */
export function messageTime(iso) {
  return timeElement(iso, "message");
}

/** Beside a message that follows another of the same author: the clock alone. */
export function clockTime(iso) {
  return timeElement(iso, "t");
}

function timeElement(iso, style) {
  const made = element("time", { class: "timestamp plain", datetime: iso, dataset: { style } });
  write(made);
  return made;
}

function write(time) {
  const date = new Date(time.dateTime);
  if (Number.isNaN(date.getTime())) return;
  const style = time.dataset.style;
  if (style === "R") time.textContent = ago(date);
  else if (style === "message") time.textContent = short(date);
  else time.textContent = format(style in STYLES ? style : "f", date);
  time.title = full(date);
}

/** Write all times below an element that came as HTML. */
export function writeTimes(root) {
  root.querySelectorAll("time.timestamp").forEach(write);
  return root;
}

/** Keep "5 minutes ago" true. */
export function keepTimes(root) {
  setInterval(() => writeTimes(root), 20_000);
}
