// What the page shows of Discord.

/** Fill the view's section. */
export function start(root) {
  root.replaceChildren();
}
