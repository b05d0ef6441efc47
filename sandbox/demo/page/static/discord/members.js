// Who is in the server, and what they may do.

import { element, reconcile } from "../dom.js";
import { appTag, avatar } from "./people.js";
import { be, store } from "./store.js";

/** The list of members as an element with `show(state)`. */
export function makeMembers() {
  const list = element("ul", { class: "dc-member-list" });
  const node = element(
    "aside",
    { class: "dc-members", "aria-label": "Members", hidden: true },
    element("h3", { text: "Members" }),
    element("p", { class: "dc-muted", text: "Click one to be that person." }),
    list,
  );

  function show(state) {
    reconcile(
      list,
      state.people.map((one) => ({
        key: one.id,
        version: JSON.stringify([one, one.id === store.me]),
        make: () => memberItem(one),
      })),
    );
  }

  function memberItem(one) {
    const words = [one.may, ...one.roles];
    if (one.timed_out) words.push("timed out");
    const text = element(
      "span",
      { class: "dc-member-text" },
      element("span", {}, one.name, one.bot && appTag(), one.id === store.me && element("em", { text: " you" })),
      element("small", { text: words.join(" · ") }),
    );
    if (one.bot) return element("li", {}, element("span", { class: "dc-member" }, avatar(one, 32), text));
    const act = () => be(one.id);
    return element("li", {}, element("button", { type: "button", class: "dc-member", onclick: act }, avatar(one, 32), text));
  }

  return { node, show };
}
