// A guided tour for who does not know where to begin.

/** Fill the tour's section, which is hidden while nobody takes it. */
export function start(root) {
  root.replaceChildren();
}
