// What a client offers for an option by itself: choices, truth values, channels, people and roles.

import { CHANNEL_TYPES } from "./components.js";
import { store } from "./store.js";

const BOOLEAN = 5;
const USER = 6;
const CHANNEL = 7;
const ROLE = 8;
const MENTIONABLE = 9;

/** `{label, value, detail}` each; null where the person types freely or the bot completes. */
export function offersOf(option, typed) {
  const all = allOf(option);
  const plain = (text) => text.toLowerCase().replace(/^[#@]/, "");
  return all && all.filter((one) => plain(one.label).includes(plain(typed.trim())));
}

function allOf(option) {
  if (option.choices?.length) return option.choices.map((one) => ({ label: one.name, value: one.value }));
  const { people, roles } = store.state;
  switch (option.type) {
    case BOOLEAN:
      return [{ label: "True", value: true }, { label: "False", value: false }];
    case CHANNEL:
      return channelsFor(option.channel_types ?? []);
    case USER:
      return people.map(named);
    case ROLE:
      return roles.map(named);
    case MENTIONABLE:
      return [...people, ...roles].map(named);
    default:
      return null;
  }
}

function channelsFor(kinds) {
  return store.state.channels
    .filter((one) => kinds.length === 0 || kinds.includes(CHANNEL_TYPES[one.kind]))
    .map((one) => ({ label: `#${one.name}`, value: one.id }));
}

function named(one) {
  return { label: `@${one.name.replace(/^@/, "")}`, value: one.id, detail: one.may };
}
