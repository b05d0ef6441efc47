// A guided tour of two minutes, for who does not know where to begin.

import { ApiError, post } from "../api.js";
import { element } from "../dom.js";
import { openLive } from "../speckle/live.js";
import { show } from "../views.js";

// Each step brings a view to the front, `arrive` a part of it; `act` does for the guest what the
// step is about.
const STEPS = [
  {
    view: "discord",
    title: "Your team talks here",
    text: [
      "This is a Discord server, with the real bot in it. Beside it is Speckle, where the models are.",
      "The bot shows in the channels what happens in the models. Each event is a card.",
    ],
  },
  {
    view: "discord",
    title: "Each channel hears what it wants",
    text: [
      "#project-log follows all of Harbour Tower, #structure only models below structure/, #coordination only what people say.",
      "Click through the channels and compare.",
    ],
  },
  {
    view: "speckle",
    title: "Publish a version",
    text: [
      "Here you are somebody who works on the models. Publish a version in Harbour Tower, and look at the channels: its card is there within a second, with picture and number of objects.",
    ],
    act: ["Publish one for me", () => post("/api/faults/send", { count: 1 }), "Published. Look at #structure."],
  },
  {
    view: "events",
    title: "Why did it come?",
    text: [
      "Each event leaves its trace: received, signature, filter, access, facts, queue, and what Discord answered. Open one: each stage says what was decided, when, and by which rule.",
      "In Discord, /why says the same to everybody who sees the channel.",
    ],
  },
  {
    view: "discord",
    title: "Subscribe a channel",
    text: [
      "Nothing follows a project in #facade yet. Open it, type /subscribe, and choose Quay House. You are Maren, who has linked her Speckle account, so the bot does the rest.",
      "Be Ilse instead, and you sign in with Speckle first. Be Jonas, and you may not.",
    ],
  },
  {
    view: "speckle",
    title: "No webhook? The bot listens",
    text: [
      "Maren may read Lighthouse Library and does not own it, so there is no webhook. #library is live through her linked account instead: Speckle rings, and the bot reads what is new. That needs no public address and nothing to set up in Speckle.",
      "The tab Live shows each ring and each look.",
    ],
    arrive: () => openLive("Lighthouse Library"),
    act: ["Publish there for me", () => post("/api/faults/send", { count: 1, live: true }), "Published. Speckle rang; look at #library."],
  },
  {
    view: "faults",
    title: "Now break it",
    text: [
      "Kill the bot, publish some versions, and start it again. Or switch Discord off.",
      "No event is lost and none is shown twice; below you read what the bot says meanwhile.",
    ],
    act: ["Kill, publish, start", killPublishStart, "Done. The bot fetched what it had missed from Speckle."],
  },
  {
    view: "discord",
    title: "On your own Discord server",
    text: [
      "That takes ten minutes: a token from Discord, a key, and a public address if you want webhooks. The README says how, and python3 run.py check says what is still missing.",
      "All that you did here is gone when you press Ctrl-C in your terminal.",
    ],
  },
];

let root;
let at = 0;
let startedFrom = null;

/** Fill the tour's section, which is hidden while nobody takes it. */
export function start(section) {
  root = section;
  root.hidden = true;
  document.getElementById("tour-button").addEventListener("click", begin);
  root.addEventListener("keydown", (event) => {
    if (event.key === "Escape") end();
  });
}

function begin() {
  startedFrom = document.activeElement;
  root.hidden = false;
  go(0);
}

function end() {
  root.hidden = true;
  root.replaceChildren();
  mark(null);
  startedFrom?.focus();
}

function go(step) {
  at = step;
  const { view, title, text, act, arrive } = STEPS[at];
  show(view);
  arrive?.();
  mark(view);
  const heading = element("h2", { id: "tour-title", tabindex: "-1", text: title });
  const said = element("p", { class: "tour-said", role: "status" });
  root.replaceChildren(
    element(
      "div",
      {
        class: `tour-card tour-beside-${view === "discord" ? "discord" : "others"}`,
        role: "dialog",
        "aria-labelledby": "tour-title",
      },
      element("p", { class: "tour-step", text: `Step ${at + 1} of ${STEPS.length}` }),
      heading,
      text.map((one) => element("p", { text: one })),
      act ? doIt(act, said) : null,
      said,
      controls(),
    ),
  );
  heading.focus();
}

function doIt([name, work, done], said) {
  return element("button", {
    type: "button",
    class: "button ok tour-act",
    text: name,
    onclick: async (event) => {
      event.target.disabled = true;
      said.textContent = "…";
      try {
        await work();
        said.textContent = done;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        said.textContent = error.message;
      } finally {
        event.target.disabled = false;
      }
    },
  });
}

function controls() {
  const button = (text, kind, onclick, disabled = false) =>
    element("button", { type: "button", class: `button ${kind}`, text, onclick, disabled });
  const isLast = at === STEPS.length - 1;
  return element(
    "div",
    { class: "tour-controls" },
    button("End", "", end),
    element("span", { class: "tour-space" }),
    button("Back", "", () => go(at - 1), at === 0),
    isLast ? button("Done", "primary", end) : button("Next", "primary", () => go(at + 1)),
  );
}

function mark(view) {
  for (const marked of document.querySelectorAll(".tour-target")) {
    marked.classList.remove("tour-target");
  }
  if (!view) return;
  const target = view === "discord" ? "#discord" : ".beside";
  document.querySelector(target).classList.add("tour-target");
}

async function killPublishStart() {
  await post("/api/faults/bot", { do: "kill" });
  await post("/api/faults/send", { count: 3 });
  await post("/api/faults/bot", { do: "start" });
}
