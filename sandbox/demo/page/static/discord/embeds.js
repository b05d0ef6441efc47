// Embeds: the cards with a bar of colour.

import { element } from "../dom.js";
import { icon } from "./icons.js";
import { messageTime } from "./times.js";

/** The embeds of a message; pictures of one address are shown together, as Discord does. */
export function embedNodes(embeds) {
  const made = [];
  const galleries = new Map();
  for (const embed of embeds) {
    const first = embed.url && galleries.get(embed.url);
    if (first && embed.image && !embed.title && !embed.description) {
      first.push(embed.image);
      continue;
    }
    const pictures = embed.image ? [embed.image] : [];
    if (embed.url) galleries.set(embed.url, pictures);
    made.push([embed, pictures]);
  }
  return made.map(([embed, pictures]) => embedNode(embed, pictures));
}

function embedNode(embed, pictures) {
  const colour = embed.colour === null || embed.colour === undefined ? null : hex(embed.colour);
  return element(
    "article",
    { class: "embed", style: colour ? { "border-left-color": colour } : {} },
    element(
      "div",
      { class: "embed-main" },
      element(
        "div",
        { class: "embed-texts" },
        embed.author && authorNode(embed.author),
        embed.title && titleNode(embed),
        embed.description && element("div", { class: "embed-description markup", html: embed.description }),
        embed.fields.length > 0 && fieldNodes(embed.fields),
      ),
      embed.thumbnail && pictureNode(embed.thumbnail, "embed-thumbnail"),
    ),
    pictures.length > 0 &&
      element(
        "div",
        { class: pictures.length > 1 ? "embed-pictures several" : "embed-pictures" },
        pictures.map((one) => pictureNode(one, "embed-picture")),
      ),
    footerNode(embed),
  );
}

function hex(number) {
  return `#${number.toString(16).padStart(6, "0")}`;
}

function link(address, attributes, ...children) {
  if (!address) return element("span", attributes, ...children);
  return element("a", { ...attributes, href: address, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

function authorNode(author) {
  return element(
    "div",
    { class: "embed-author" },
    author.icon && element("img", { src: author.icon, alt: "", width: 24, height: 24 }),
    link(author.url, { class: "embed-author-name" }, author.name),
  );
}

function titleNode(embed) {
  return element("div", { class: "embed-title markup" }, link(embed.url, { html: embed.title }));
}

/** Up to three inline fields beside each other, the others a row each. */
function fieldNodes(fields) {
  const rows = [];
  for (const field of fields) {
    const row = rows.at(-1);
    if (field.inline && row?.[0].inline && row.length < 3) row.push(field);
    else rows.push([field]);
  }
  return element(
    "div",
    { class: "embed-fields" },
    rows.flatMap((row) =>
      row.map((field) =>
        element(
          "div",
          { class: "embed-field", style: { "grid-column": `span ${12 / row.length}` } },
          element("div", { class: "embed-field-name markup", html: field.name }),
          element("div", { class: "embed-field-value markup", html: field.value }),
        ),
      ),
    ),
  );
}

function footerNode(embed) {
  const { footer, at } = embed;
  if (!footer && !at) return null;
  return element(
    "div",
    { class: "embed-footer" },
    footer?.icon && element("img", { src: footer.icon, alt: "", width: 20, height: 20 }),
    element("span", {}, footer?.text, footer?.text && at && " • ", at && messageTime(at)),
  );
}

/** A picture that opens by itself in a new tab; one of elsewhere is only named. */
export function pictureNode(media, kind) {
  if (!media.src) {
    return element("span", { class: "picture-elsewhere", text: "Picture from elsewhere, not loaded here" });
  }
  const described = media.alt || "Picture";
  return element(
    "a",
    { class: kind, href: media.src, target: "_blank", rel: "noopener", title: media.alt || null },
    element("img", { src: media.src, alt: described }),
  );
}

/** A file below a message; pictures show themselves. */
export function fileNode(file) {
  if (file.picture) {
    const shown = pictureNode(file, "file-picture");
    return file.spoiler ? veiled(shown) : shown;
  }
  return element(
    "a",
    { class: "file-card", href: file.src, download: file.name },
    icon("file", 28),
    element(
      "span",
      {},
      element("span", { class: "file-name", text: file.name }),
      element("small", { text: size(file.bytes) }),
    ),
  );
}

function veiled(shown) {
  const veil = element(
    "button",
    { type: "button", class: "veil", onclick: () => veil.replaceWith(shown) },
    "SPOILER",
  );
  return veil;
}

function size(bytes) {
  if (bytes < 1024) return `${bytes} bytes`;
  if (bytes < 1024 * 1024) return `${(bytes / 1024).toFixed(1)} KB`;
  return `${(bytes / 1024 / 1024).toFixed(1)} MB`;
}
