// What the page shows of speckle.

/** Fill the view's section. */
export function start(root) {
  root.replaceChildren();
}
