// Which view is to be seen: all of Discord and one beside it, or on a phone one alone.

const NAMES = ["discord", "speckle", "events", "faults"];
const narrow = matchMedia("(max-width: 700px)");

/** Bring a view to the front: "discord", "speckle", "events" or "faults". */
export function show(name) {
  document.body.dataset.view = name;
  if (name !== "discord") document.body.dataset.side = name;
  mark();
}

/** Make the tabs work, with arrow keys too. */
export function startTabs() {
  const list = document.querySelector(".tabs");
  list.addEventListener("click", (event) => {
    const tab = event.target.closest("[role=tab]");
    if (tab) show(tab.dataset.view);
  });
  list.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const there = NAMES.filter((name) => narrow.matches || name !== "discord");
    const next = there[(there.indexOf(shown()) + step + there.length) % there.length];
    show(next);
    document.getElementById(`tab-${next}`).focus();
  });
  narrow.addEventListener("change", mark);
  mark();
}

function shown() {
  return narrow.matches ? document.body.dataset.view : document.body.dataset.side;
}

function mark() {
  for (const name of NAMES) {
    const tab = document.getElementById(`tab-${name}`);
    tab.setAttribute("aria-selected", String(name === shown()));
    tab.tabIndex = name === shown() ? 0 : -1;
  }
}
