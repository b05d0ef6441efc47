// What the page shows of faults.

/** Fill the view's section. */
export function start(root) {
  root.replaceChildren();
}
