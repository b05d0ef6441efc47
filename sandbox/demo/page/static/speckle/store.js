// What the view knows: both servers, the project that is open, where one is, and who one is.

import { get, post } from "../api.js";

const KEPT = "speckle-view"; // in sessionStorage: where one was before the page was loaded again

/** Where one is. `people` has who one is on each server, by the server's id. */
export const where = {
  server: 0,
  page: "projects", // projects, project, access
  project: null,
  tab: "models", // models, talk, people, webhooks, live
  people: {},
  open: [], // ids of what is unfolded
  marked: [], // ids of what a link led to
};

/**
 * What was read last; `access` and `project` belong to where one is. After a refusal everything is
 * made once more: a select or a switch shows what was wanted, and not what is.
 */
export const known = { servers: [], project: null, access: null, problem: null, refusals: 0 };

export const server = () => known.servers[where.server];
export const me = () => {
  const { people } = server();
  return people.find((one) => one.id === where.people[where.server]) ?? people[0];
};
export const base = () => `/api/speckle/${where.server}`;
export const projectPath = (id = where.project) => `${base()}/projects/${id}`;

/** What somebody's role allows in a project. */
export function rights(project, user = me()) {
  const role = project.roles[user.id] ?? null;
  const isOwner = role === "stream:owner";
  return {
    role,
    isOwner,
    maySee: role !== null || project.visibility !== "PRIVATE",
    mayWrite: isOwner || role === "stream:contributor",
    maySay: role !== null || (project.publicComments && project.visibility !== "PRIVATE"),
  };
}

export const ROLES = {
  "stream:owner": "Owner",
  "stream:contributor": "Contributor",
  "stream:reviewer": "Reviewer",
};

/** Read again what is shown. */
export async function pull() {
  known.servers = (await get("/api/speckle")).servers;
  const there = server().projects.find((one) => one.id === where.project);
  if (where.page === "project" && (!there || (!rights(there).maySee && !isInvited(there)))) {
    known.problem = there
      ? `${me().name} does not have access to this project.`
      : "This project is not there any more.";
    Object.assign(where, { page: "projects", project: null });
  }
  known.project = where.page === "project" ? await get(projectPath()) : null;
  known.access =
    where.page === "access" ? await get(`${base()}/people/${me().id}/access`) : null;
  keep();
}

export const isInvited = (project) => project.invited.includes(me().id);

/** Do something as who one is; gives what the server fired. Throws ApiError. */
export function act(name, body = {}) {
  const project = where.page === "project" ? { project: where.project } : {};
  const who = { server: where.server, by: me().id };
  return post(`/api/speckle/${name}`, { ...who, ...project, ...body });
}

export function isOpen(id) {
  return where.open.includes(id);
}

export function setOpen(id, open) {
  where.open = where.open.filter((one) => one !== id);
  if (open) where.open.push(id);
  keep();
}

function keep() {
  sessionStorage.setItem(KEPT, JSON.stringify(where));
}

/** Be where one was before the page was loaded again. */
export function restore() {
  try {
    Object.assign(where, JSON.parse(sessionStorage.getItem(KEPT) ?? "{}"));
  } catch {
    sessionStorage.removeItem(KEPT);
  }
  if (known.servers[where.server] === undefined) where.server = 0;
  // The try-out may have been started again since then, with other projects.
  if (where.page === "project" && !server().projects.some((one) => one.id === where.project)) {
    Object.assign(where, { page: "projects", project: null });
  }
}

/** A number that differs for different values, for `reconcile`. */
export function versionOf(...values) {
  const text = JSON.stringify([values, known.refusals]);
  let hash = 2166136261;
  for (let place = 0; place < text.length; place += 1) {
    hash = Math.imul(hash ^ text.charCodeAt(place), 16777619);
  }
  return `${hash >>> 0}-${text.length}`;
}
