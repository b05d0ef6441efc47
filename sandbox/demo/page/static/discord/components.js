// Buttons and selects of messages, and the parts of Components V2.

import { element } from "../dom.js";
import { fileNode, pictureNode } from "./embeds.js";
import { icon } from "./icons.js";
import { emojiNode, picker } from "./picker.js";
import { store, use } from "./store.js";

const STYLES = { 1: "primary", 2: "secondary", 3: "success", 4: "danger", 5: "link", 6: "primary" };
const KINDS = {
  1: row,
  2: button,
  3: select,
  5: select,
  6: select,
  7: select,
  8: select,
  9: section,
  10: text,
  11: (part) => pictureNode(part.media ?? {}, "embed-thumbnail"),
  12: gallery,
  13: (part) => part.file && fileNode(part.file),
  14: (part) => element("hr", { class: part.divider === false ? "separator plain" : "separator" }),
  17: container,
};
const PEOPLE = 5;
const ROLES = 6;
const MENTIONABLE = 7;
const CHANNELS = 8;

/** The components of a message. */
export function componentNodes(parts, message) {
  return parts.map((part) => KINDS[part.type]?.(part, message));
}

function row(part, message) {
  return element("div", { class: "dc-row" }, componentNodes(part.components ?? [], message));
}

function button(part, message) {
  const content = [emojiNode(part.emoji), part.label && element("span", { text: part.label })];
  if (part.style === 5) {
    return element(
      "a",
      {
        class: "dc-button link",
        href: part.disabled ? null : part.url,
        target: "_blank",
        rel: "noopener noreferrer",
        "aria-disabled": part.disabled ? "true" : null,
        dataset: { focus: part.url ?? "" },
      },
      content,
      icon("external", 16),
      element("span", { class: "sr-only", text: "(opens outside Discord)" }),
    );
  }
  const made = element(
    "button",
    {
      type: "button",
      class: `dc-button ${STYLES[part.style] ?? "secondary"}`,
      disabled: part.disabled,
      dataset: { focus: part.custom_id ?? "" },
      "aria-label": part.label ? null : part.emoji?.name,
      onclick: () => wait(made, use("press", message.id, { custom_id: part.custom_id })),
    },
    content,
  );
  return made;
}

/** Three dots while the bot has not answered. */
async function wait(made, done) {
  if (made.getAttribute("aria-busy") === "true") return;
  made.setAttribute("aria-busy", "true");
  try {
    await done;
  } finally {
    made.removeAttribute("aria-busy");
  }
}

function select(part, message) {
  const made = picker({
    options: optionsOf(part),
    placeholder: part.placeholder,
    least: part.min_values ?? 1,
    most: part.max_values ?? 1,
    disabled: part.disabled,
    chosen: (values) => wait(made, use("select", message.id, { custom_id: part.custom_id, values })),
  });
  made.dataset.focus = part.custom_id;
  return made;
}

/** What a select offers: its own options, or people, roles and channels. */
export function optionsOf(part) {
  if (part.options) return part.options;
  const chosen = new Set((part.default_values ?? []).map((one) => String(one.id)));
  const offer = (value, label, description) => ({ value, label, description, default: chosen.has(value) });
  const { people, roles, channels } = store.state;
  const members = people.map((one) => offer(one.id, one.name, one.may));
  const named = roles.map((one) => offer(one.id, one.name));
  if (part.type === PEOPLE) return members;
  if (part.type === ROLES) return named;
  if (part.type === MENTIONABLE) return [...members, ...named];
  if (part.type !== CHANNELS) return [];
  const kinds = part.channel_types;
  return channels
    .filter((one) => !kinds?.length || kinds.includes(CHANNEL_TYPES[one.kind]))
    .map((one) => offer(one.id, `# ${one.name}`));
}

export const CHANNEL_TYPES = {
  text: 0,
  dm: 1,
  voice: 2,
  category: 4,
  announcement: 5,
  announcement_thread: 10,
  public_thread: 11,
  private_thread: 12,
  stage: 13,
  forum: 15,
  media: 16,
};

// ── Components V2 ────────────────────────────────────────────────────────────────────────────

function text(part) {
  return element("div", { class: "markup", html: part.html ?? "" });
}

function section(part, message) {
  return element(
    "div",
    { class: "dc-section" },
    element("div", { class: "dc-section-texts" }, componentNodes(part.components ?? [], message)),
    part.accessory && componentNodes([part.accessory], message),
  );
}

function gallery(part) {
  const items = (part.items ?? []).filter((one) => one.media);
  return element(
    "div",
    { class: items.length > 1 ? "embed-pictures several" : "embed-pictures" },
    items.map((one) => pictureNode({ ...one.media, alt: one.description || one.media.alt }, "embed-picture")),
  );
}

function container(part, message) {
  const colour = part.accent_color === null || part.accent_color === undefined ? null : part.accent_color;
  const style = colour === null ? {} : { "border-left-color": `#${colour.toString(16).padStart(6, "0")}` };
  return element(
    "article",
    { class: colour === null ? "dc-container plain" : "dc-container", style },
    componentNodes(part.components ?? [], message),
  );
}
