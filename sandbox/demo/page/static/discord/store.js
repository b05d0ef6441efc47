// Who one is and where one looks; the state as it was pulled last; what one does.

import { ApiError, get, onChange, post } from "../api.js";
import { announce } from "../dom.js";

const AT_FIRST = 50;
const MORE = 100;
const AT_THE_END = ["command", "message-command", "say"]; // what these bring is the newest message

export const store = {
  me: sessionStorage.getItem("discord.me"),
  channel: sessionStorage.getItem("discord.channel"),
  most: AT_FIRST,
  state: null,
  home: false,
  seen: new Map(), // the last message that was read, by channel
  failed: new Map(), // what went wrong with a message's buttons, by message
  sending: null, // the command that waits for its first answer
  toEnd: false, // after what one did oneself, the newest message is shown
  forms: null, // what opens a form; set by index.js
};

const listeners = new Set();

/** Call back after each change of the state or of what is looked at. */
export function onState(callback) {
  listeners.add(callback);
}

export function render() {
  if (store.state) listeners.forEach((callback) => callback(store.state));
}

export function startPulling() {
  onChange("discord", refresh);
}

let running = null;
let again = false;

/** Pull the state; never two at once, and once more where something changed meanwhile. */
async function refresh() {
  if (running) {
    again = true;
    return running;
  }
  running = pullAll();
  try {
    await running;
  } finally {
    running = null;
  }
}

async function pullAll() {
  do {
    again = false;
    await pull();
  } while (again);
}

async function pull() {
  const { me, channel, most } = store;
  const query = new URLSearchParams({ channel: channel ?? "", most });
  if (me) query.set("me", me);
  let state;
  try {
    state = await get(`/api/discord/state?${query}`);
  } catch (error) {
    if (error instanceof ApiError && error.status === 409 && me) {
      remember("me", null); // somebody of an earlier run
      again = true;
      return;
    }
    throw error;
  }
  if (store.me !== me || store.channel !== channel || store.most !== most) {
    again = true;
    return;
  }
  remember("me", state.me.id);
  if (state.channel === null && !store.home) {
    const first = state.channels.find((one) => one.writable) ?? state.channels[0];
    if (first) {
      remember("channel", first.id);
      again = true;
      return;
    }
  }
  tellWhatIsNew(store.state, state);
  store.state = state;
  if (state.channel) store.seen.set(state.channel.id, state.channel.last);
  for (const one of [...state.channels, ...state.private]) {
    if (!store.seen.has(one.id)) store.seen.set(one.id, one.last);
  }
  render();
}

/** A screen reader says what came into the channel that is open. */
function tellWhatIsNew(before, now) {
  if (!before || before.channel?.id !== now.channel?.id || before.me.id !== now.me.id) return;
  const known = new Set(before.messages.map((one) => one.id));
  const fresh = now.messages.filter((one) => !known.has(one.id) && one.author.id !== now.me.id);
  if (fresh.length === 0 || before.messages.length === 0) return;
  if (fresh.length > 3) announce(`${fresh.length} new messages`);
  else fresh.forEach((one) => announce(`${one.author.name}: ${spoken(one)}`));
}

function spoken(message) {
  const holder = document.createElement("div");
  const parts = [message.failed ?? message.html ?? ""];
  for (const embed of message.embeds ?? []) parts.push(embed.title, embed.description);
  holder.innerHTML = parts.filter(Boolean).join(" ");
  return holder.textContent.replace(/\s+/g, " ").slice(0, 200) || "a message";
}

function remember(name, value) {
  store[name] = value;
  if (value === null) sessionStorage.removeItem(`discord.${name}`);
  else sessionStorage.setItem(`discord.${name}`, value);
}

/** Look at a channel, a thread, a post or a private conversation. */
export function go(channel) {
  if (store.channel === channel && store.state?.channel) {
    render();
    return Promise.resolve();
  }
  remember("channel", channel);
  store.home = store.state?.private.some((one) => one.id === channel) ?? false;
  store.most = AT_FIRST;
  return refresh();
}

/** Show the private conversations, or the server's channels. */
export function goHome(home) {
  store.home = home;
  const { state } = store;
  const there = home ? state.private : state.channels;
  if (there.some((one) => one.id === store.channel)) return refresh();
  remember("channel", (home ? there[0] : there.find((one) => one.writable))?.id ?? null);
  return refresh();
}

/** Be somebody else; what that person does not see is left. */
export function be(member) {
  remember("me", member);
  store.failed.clear();
  if (store.home) {
    store.home = false;
    remember("channel", null);
  }
  return refresh();
}

export function showMore() {
  store.most += MORE;
  return refresh();
}

/** Do something as oneself in the open channel; a form that comes back opens. Throws ApiError. */
export async function act(path, body) {
  const answer = await post(`/api/discord/${path}`, {
    me: store.me,
    channel: store.channel,
    ...body,
  });
  if (answer.modal) store.forms(answer.modal);
  else store.toEnd = AT_THE_END.includes(path);
  await refresh();
  return answer;
}

/** Use a button or a select of a message; what goes wrong is said below the message. */
export async function use(path, message, body) {
  store.failed.delete(message);
  try {
    const answer = await act(path, { message, ...body });
    if (answer.failed) store.failed.set(message, answer.failed);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    store.failed.set(message, error.message);
  }
  render();
}
