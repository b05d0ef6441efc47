// The page: starts the views, the tabs, and the choice of colours.

import { onConnection } from "./api.js";
import { start as startDiscord } from "./discord/index.js";
import { start as startEvents } from "./events/index.js";
import { start as startFaults } from "./faults/index.js";
import { start as startSpeckle } from "./speckle/index.js";
import { start as startTour } from "./tour/index.js";
import { startTabs } from "./views.js";

const STARTS = {
  discord: startDiscord,
  speckle: startSpeckle,
  events: startEvents,
  faults: startFaults,
  tour: startTour,
};

function startTheme() {
  const choice = document.getElementById("theme");
  choice.value = localStorage.getItem("theme") ?? "auto";
  const apply = () => {
    document.documentElement.dataset.theme = choice.value;
    localStorage.setItem("theme", choice.value);
  };
  choice.addEventListener("change", apply);
  apply();
}

function startConnection() {
  const line = document.getElementById("connection");
  onConnection((there) => {
    line.hidden = there;
    line.textContent = there
      ? ""
      : "The try-out does not answer. Start it again with python3 run.py demo, then reload this page.";
  });
}

startTheme();
startTabs();
startConnection();
for (const [name, start] of Object.entries(STARTS)) start(document.getElementById(name));
