// The view's icons, drawn on 24 by 24.

import { svg } from "../dom.js";

const PATHS = {
  text: ["M10 4 8 20M16 4l-2 16M4.500 9h16M3.500 15h16"],
  announcement: ["M4 10v4h3l8 5V5l-8 5zM18 9a4 4 0 0 1 0 6"],
  voice: ["M4 10v4h3l5 4V6l-5 4zM16 9a4 4 0 0 1 0 6M18.500 6.500a8 8 0 0 1 0 11"],
  stage: ["M12 4a5 5 0 0 1 5 5M12 13v7M8 20h8M12 4a5 5 0 0 0-5 5"],
  forum: ["M4 5h12v9H9l-5 4zM19 9v11l-4-3H9"],
  media: ["M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4"],
  thread: ["M5 4v8a4 4 0 0 0 4 4h10M15 12l4 4-4 4"],
  category: ["m6 9 6 6 6-6"],
  dm: ["M5 5h14v11H10l-5 4z"],
  people: ["M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7M2.500 20a6.500 6.500 0 0 1 13 0M16 4.500a3.500 3.500 0 0 1 0 6.500M18 14.500a6.500 6.500 0 0 1 3.500 5.500"],
  menu: ["M4 6h16M4 12h16M4 18h16"],
  close: ["m6 6 12 12M18 6 6 18"],
  chevron: ["m6 9 6 6 6-6"],
  more: ["M5 12h.01M12 12h.01M19 12h.01"],
  external: ["M14 4h6v6M20 4l-9 9M18 14v6H4V6h6"],
  eye: ["M2 12s4-7 10-7 10 7 10 7-4 7-10 7-10-7-10-7z", "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z"],
  file: ["M6 3h8l5 5v13H6zM14 3v5h5"],
  plus: ["M12 5v14M5 12h14"],
  swap: ["M7 4 3 8l4 4M3 8h14M17 12l4 4-4 4M21 16H7"],
  warning: ["M12 4 2.500 20h19zM12 10v4M12 17h.01"],
  check: ["m5 12 5 5L20 7"],
  lock: ["M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3"],
  apps: ["M4 4h7v7H4zM13 4h7v7h-7zM4 13h7v7H4zM13 13h7v7h-7z"],
  send: ["M3 4l18 8-18 8 4-8zM7 12h14"],
};

/** An icon that says nothing by itself; what it means is written beside it or in its button's label. */
export function icon(name, size = 20) {
  return svg(
    "svg",
    {
      viewBox: "0 0 24 24",
      width: size,
      height: size,
      fill: "none",
      stroke: "currentColor",
      "stroke-width": 2,
      "stroke-linecap": "round",
      "stroke-linejoin": "round",
      "aria-hidden": "true",
      class: "icon",
    },
    (PATHS[name] ?? PATHS.text).map((path) => svg("path", { d: path })),
  );
}
