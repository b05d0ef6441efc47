// What the page shows of events.

/** Fill the view's section. */
export function start(root) {
  root.replaceChildren();
}
