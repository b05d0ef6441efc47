// Names and pictures of people and the bot.

import { element } from "../dom.js";

const COLOURS = ["#3b6fb6", "#8a4fa8", "#2f7d5b", "#a8552f", "#b03a5b", "#4b5fbf", "#7a6a1f"];

/** A round picture: the bot's sign, or a person's initials. */
export function avatar(person, size = 40) {
  const box = { width: `${size}px`, height: `${size}px`, "font-size": `${size * 0.4}px` };
  if (person.bot) {
    return element(
      "span",
      { class: "avatar", style: box, "aria-hidden": "true" },
      element("img", { src: "/static/icon.svg", alt: "", width: size, height: size }),
    );
  }
  const colour = COLOURS[Number(BigInt(person.id) % BigInt(COLOURS.length))];
  const initials = person.name.split(/\s+/).map((word) => word[0]).slice(0, 2).join("");
  return element(
    "span",
    { class: "avatar", style: { ...box, background: colour }, "aria-hidden": "true" },
    initials.toUpperCase(),
  );
}

export function appTag() {
  return element("span", { class: "app-tag", text: "APP" });
}
