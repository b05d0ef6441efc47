// The commands that the bot offers oneself in the open channel.

import { get } from "../api.js";
import { store } from "./store.js";

const SLASH = 1;
const SUBCOMMAND = 1;
const GROUP = 2;

/** Commands of a type: 1 typed ones, 2 of a member's menu, 3 of a message's. */
export async function commandsFor(type) {
  const query = new URLSearchParams({ me: store.me, channel: store.channel ?? "" });
  const all = await get(`/api/discord/commands?${query}`);
  return all.filter((one) => (one.type ?? SLASH) === type);
}

/** Typed commands, each subcommand by itself: `{name, description, options}`, by name. */
export async function typedCommands() {
  const found = (await commandsFor(SLASH)).flatMap((one) => flat(one, ""));
  return found.sort((a, b) => a.name.localeCompare(b.name));
}

function flat(command, before) {
  const name = before ? `${before} ${command.name}` : command.name;
  const below = (command.options ?? []).filter((one) => one.type === SUBCOMMAND || one.type === GROUP);
  if (below.length > 0) return below.flatMap((one) => flat(one, name));
  return [{ name, description: command.description, options: command.options ?? [] }];
}
