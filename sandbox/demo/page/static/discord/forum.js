// The posts of a forum.

import { element, reconcile } from "../dom.js";
import { avatar } from "./people.js";
import { go } from "./store.js";
import { messageTime } from "./times.js";

/** The posts as an element with `show(state)`. */
export function makeForum() {
  const list = element("ul", { class: "dc-posts" });
  const none = element("p", { class: "dc-muted", text: "There are no posts here yet." });
  const node = element("div", { class: "dc-forum", hidden: true }, none, list);

  function show(state) {
    const isForum = state.channel !== null && ["forum", "media"].includes(state.channel.kind);
    node.hidden = !isForum;
    if (!isForum) return;
    none.hidden = state.posts.length > 0;
    reconcile(
      list,
      state.posts.map((one) => ({ key: one.id, version: JSON.stringify(one), make: () => postItem(one) })),
    );
  }

  return { node, show };
}

function postItem(post) {
  return element(
    "li",
    {},
    element(
      "button",
      { type: "button", class: "dc-post", onclick: () => go(post.id) },
      element("strong", { text: post.name }),
      element(
        "span",
        { class: "dc-post-text" },
        post.author && avatar(post.author, 16),
        post.author && element("b", { text: `${post.author.name}:` }),
        element("span", { text: post.excerpt }),
      ),
      element(
        "small",
        {},
        `${post.count} ${post.count === 1 ? "message" : "messages"} · `,
        messageTime(post.at),
        post.archived && " · closed",
        post.locked && " · locked",
      ),
    ),
  );
}
