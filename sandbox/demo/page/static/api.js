// Asking the page's own server, and hearing what has changed there.

/** What could not be done; the message is a whole sentence for the person. */
export class ApiError extends Error {
  constructor(message, status) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

/** The JSON at a path; throws ApiError. */
export function get(path) {
  return ask(path, { headers: { Accept: "application/json" } });
}

/** What came of one action; throws ApiError with the reason. */
export function post(path, body = {}) {
  return ask(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "application/json" },
    body: JSON.stringify(body),
  });
}

async function ask(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, cache: "no-store" });
  } catch {
    throw new ApiError("The try-out does not answer. Is it still running in your terminal?", 0);
  }
  const text = await response.text();
  let found;
  try {
    found = JSON.parse(text);
  } catch {
    found = null;
  }
  if (response.ok && found !== null) return found;
  const reason = found?.error ?? `The try-out answered with an error (${response.status}).`;
  throw new ApiError(reason, response.status);
}

const watchers = new Map();
let source = null;

/**
 * Call back when a topic has changed, and once at first: "discord", "speckle", "events", "faults".
 * The callback may be asynchronous: it is never called again before it is done, and once more
 * after it if something changed meanwhile. Returns a function that ends it.
 */
export function onChange(topic, callback) {
  const watcher = { callback, running: false, again: false };
  if (!watchers.has(topic)) watchers.set(topic, new Set());
  watchers.get(topic).add(watcher);
  if (source === null) connect();
  run(watcher);
  return () => watchers.get(topic).delete(watcher);
}

const connections = new Set();

/** Call back with true when the server is there, with false when it has gone. */
export function onConnection(callback) {
  connections.add(callback);
}

function connect() {
  source = new EventSource("/api/changes");
  source.onmessage = (event) => watchers.get(event.data)?.forEach(run);
  source.onopen = () => connections.forEach((callback) => callback(true));
  source.onerror = () => connections.forEach((callback) => callback(false));
}

async function run(watcher) {
  if (watcher.running) {
    watcher.again = true;
    return;
  }
  watcher.running = true;
  try {
    do {
      watcher.again = false;
      await watcher.callback();
    } while (watcher.again);
  } catch (error) {
    if (!(error instanceof ApiError)) console.error(error);
  } finally {
    watcher.running = false;
  }
}
