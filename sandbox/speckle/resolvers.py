"""Questions: projects, models, versions, objects, webhooks, the activity list."""

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from graphql import GraphQLError, GraphQLResolveInfo

from sandbox.speckle import graphql_errors
from sandbox.speckle.automations import worst
from sandbox.speckle.comment_resolvers import COMMENTS, is_on, thread_page
from sandbox.speckle.entities import Model, ServerProject, Token, User, Version
from sandbox.speckle.event_data import iso
from sandbox.speckle.issue_resolvers import ISSUES
from sandbox.speckle.request_context import Asking
from sandbox.speckle.subscription_resolvers import SUBSCRIPTIONS
from sandbox.speckle.webhook_resolvers import WEBHOOKS

T = TypeVar("T")
Info = GraphQLResolveInfo[Any]
# Speckle gives known applications a short name; the webhook's body keeps what was sent.
APPLICATIONS = ("revit", "grasshopper", "rhino", "autocad", "civil3d", "sketchup", "blender")
SCOPES = {
    "streams:read": "Read your streams, and any associated information"
    " (branches, commits, objects).",
    "streams:write": "Create streams on your behalf, and any associated data"
    " (branches, commits, objects).",
    "profile:read": "Read your profile information.",
    "profile:write": "Make actions on your profile.",
    "profile:email": "Read the email address you registered with.",
    "users:read": "Read other users' profiles.",
    "server:stats": "Request server stats from the API. Only works in conjunction with a"
    ' "server:admin" role.',
}


def asking(info: Info) -> Asking:
    """Who asks."""
    found: Asking = info.context
    return found


def like(pattern: str) -> Callable[[str], bool]:
    """SQL's ILIKE '%…%', whose wildcards the server does not escape."""
    pieces = [{"%": ".*", "_": "."}.get(letter, re.escape(letter)) for letter in pattern]
    found = re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)
    return lambda text: found.search(text) is not None


def by_time(
    items: Iterable[T], limit: int, cursor: str | None, time_of: Callable[[T], datetime]
) -> tuple[list[T], str | None]:
    """The page of `limit` items older than the cursor, newest first, and the next cursor."""
    newest = sorted(items, key=time_of, reverse=True)
    if cursor is not None:
        newest = [item for item in newest if iso(time_of(item)) < cursor]
    page = newest[:limit]
    return page, iso(time_of(page[-1])) if page else None


# ── people and the server ──


def active_user(_: None, info: Info) -> User | None:
    if asking(info).token is None:
        return None
    asking(info).need_scope("profile:read")
    return asking(info).user


def email(user: User, info: Info) -> str | None:
    token = asking(info).token
    return user.email if token is not None and "profile:email" in token.scopes else None


def own_projects(
    user: User, info: Info, limit: int, cursor: str | None = None, filter: Any = None
) -> dict[str, Any]:
    found = [p for p in asking(info).world.projects.values() if p.role_of(user)]
    found = [p for p in found if not asking(info).limited_away(p.id)]
    if filter and filter.get("search"):
        matches = like(filter["search"])
        found = [p for p in found if matches(p.name) or matches(p.id)]
    if filter and filter.get("onlyWithRoles"):
        found = [p for p in found if p.role_of(user) in filter["onlyWithRoles"]]
    total = len(found)
    found.sort(key=lambda p: (p.updated_at, p.id), reverse=True)
    if after := _project_cursor(cursor):
        found = [p for p in found if (iso(p.updated_at), p.id) < after]
    page = found[: abs(limit)]
    return {"totalCount": total, "cursor": _cursor_of(page), "items": page}


def _project_cursor(cursor: str | None) -> tuple[str, str] | None:
    if cursor is None:
        return None
    try:
        read = json.loads(base64.b64decode(cursor))
        return read["updatedAt"], read["id"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        return None  # the server ignores what it cannot read


def _cursor_of(page: Sequence[ServerProject]) -> str | None:
    if not page:
        return None
    last = {"updatedAt": iso(page[-1].updated_at), "id": page[-1].id}
    return base64.b64encode(json.dumps(last, separators=(",", ":")).encode()).decode()


def api_tokens(user: User, info: Info) -> list[dict[str, Any]]:
    asking(info).need_scope("tokens:read")
    tokens: Iterable[Token] = asking(info).world.tokens.values()
    return [
        {
            "id": token.text[:10],
            "name": "a token",
            "lastChars": token.text[-6:],
            "scopes": list(token.scopes),
            "createdAt": datetime.now(UTC),
            "lifespan": 3154000000000,
            "lastUsed": datetime.now(UTC),
        }
        for token in tokens
        if token.user is user and not token.revoked
    ]


def authenticated_as_app(_: None, info: Info) -> dict[str, str] | None:
    asking(info).need_user()
    asking(info).need_scope("apps:read")
    token = asking(info).token
    app = None if token is None else token.app
    return None if app is None else {"id": app.id, "name": app.name}


def registered_app(_: None, info: Info, id: str) -> dict[str, Any] | None:
    app = asking(info).world.apps.get(id)
    if app is None:
        return None
    scopes = [{"name": name, "description": SCOPES.get(name, name)} for name in app.scopes]
    return {
        "id": app.id,
        "name": app.name,
        "redirectUrl": app.redirect_url,
        "scopes": scopes,
    }


def server_info(_: None, info: Info) -> dict[str, Any]:
    return {
        "name": "My new Speckle Server",
        "company": "Unknown Company",
        "version": asking(info).version,
        "canonicalUrl": asking(info).url,
        "description": "This a community deployment of a Speckle Server.",
        "adminContact": "n/a",
        "termsOfService": "n/a",
        "inviteOnly": False,
        "guestModeEnabled": False,
        "migration": asking(info).world.migration,
        "scopes": [{"name": name, "description": text} for name, text in SCOPES.items()],
    }


# ── projects, models, versions ──


def project(_: None, info: Info, id: str) -> ServerProject:
    return asking(info).readable(id)


def role(found: ServerProject, info: Info) -> str | None:
    return found.role_of(asking(info).user)


def permission(found: ServerProject, info: Info) -> dict[str, object]:
    return asking(info).may(found, info.field_name)


def team(found: ServerProject, info: Info) -> list[dict[str, Any]]:
    asking(info).need_scope("users:read")
    users = asking(info).world.users
    return [
        {"id": id, "role": role, "user": users[id]} for id, role in reversed(found.roles.items())
    ]


def models(
    found: ServerProject, info: Info, limit: int, cursor: str | None = None, filter: Any = None
) -> dict[str, Any]:
    wanted = filter or {}
    kept = found.models
    if wanted.get("search"):
        matches = like(wanted["search"])
        kept = [m for m in kept if matches(m.name)]
    if wanted.get("ids"):
        kept = [m for m in kept if m.id in wanted["ids"]]
    if wanted.get("onlyWithVersions"):
        kept = [m for m in kept if any(v.model is m for v in found.versions)]
    page, after = by_time(kept, limit, cursor, lambda m: m.updated_at)
    return {"totalCount": len(kept), "cursor": after, "items": page}


def model(found: ServerProject, info: Info, id: str) -> Model:
    return _one_model(found, lambda m: m.id == id)


def model_by_name(found: ServerProject, info: Info, name: str) -> Model:
    return _one_model(found, lambda m: m.name == name)


def _one_model(found: ServerProject, is_it: Callable[[Model], bool]) -> Model:
    for candidate in found.models:
        if is_it(candidate):
            return candidate
    raise graphql_errors.refused("Model not found", "BRANCH_NOT_FOUND", 404)


def version(found: ServerProject, info: Info, id: str) -> Version:
    for candidate in found.versions:
        if candidate.id == id:
            return candidate
    raise graphql_errors.refused("Version not found", "COMMIT_NOT_FOUND", 404)


def versions(
    of: ServerProject | Model, info: Info, limit: int, cursor: str | None = None
) -> dict[str, Any]:
    found = of if isinstance(of, ServerProject) else of.project
    kept = [v for v in found.versions if of is found or v.model is of]
    page, after = by_time(kept, limit, cursor, lambda v: v.created_at)
    if of is found and (user := asking(info).user) is not None:
        asking(info).world.live_record.read(found, user, [one.created_at for one in page])
    return {"totalCount": len(kept), "cursor": after, "items": page}


def application(found: Version, info: Info) -> str | None:
    if found.application is None:
        return None
    lower = found.application.lower()
    return next((short for short in APPLICATIONS if lower.startswith(short)), lower)


def root_object(found: ServerProject, info: Info, id: str) -> dict[str, Any] | None:
    data = found.objects.get(id)
    if data is None:
        return None
    return {"id": id, "speckleType": data.get("speckle_type"), "data": data}


def model_preview(found: Model, info: Info) -> str | None:
    newest = [v for v in found.project.versions if v.model is found]
    newest.sort(key=lambda v: v.created_at)
    return version_preview(newest[-1], info) if newest else None


def version_preview(found: Version, info: Info) -> str:
    return f"{asking(info).url}/preview/{found.model.project.id}/commits/{found.id}"


def version_threads(
    found: Version, info: Info, limit: int, cursor: str | None = None
) -> dict[str, Any]:
    threads = [
        c
        for c in found.model.project.comments
        if c.parent is None and is_on(c, None, found.id) and not c.archived
    ]
    page, after = thread_page(threads, limit, cursor)
    return {"totalCount": len(threads), "cursor": after, "items": page}


# ── the old `stream`, for its activity list ──


def stream(_: None, info: Info, id: str) -> ServerProject:
    found = asking(info).world.projects.get(id)
    if found is None:
        raise graphql_errors.refused("Stream not found", "STREAM_NOT_FOUND", 404)
    stranger = not found.is_public and found.role_of(asking(info).user) is None
    if stranger or asking(info).limited_away(id):
        raise graphql_errors.forbidden(graphql_errors.NOT_THIS_RESOURCE)
    asking(info).need_scope("streams:read")
    return found


def collaborators(found: ServerProject, info: Info) -> list[dict[str, Any]]:
    users = asking(info).world.users
    return [
        {"id": id, "name": users[id].name, "role": role, "serverRole": users[id].role}
        for id, role in reversed(found.roles.items())
    ]


def streams(
    _: None, info: Info, limit: int, query: str | None = None, cursor: str | None = None
) -> dict[str, Any]:
    user = asking(info).need_user()
    asking(info).need_scope("streams:read")
    own = [p for p in asking(info).world.projects.values() if p.role_of(user)]
    return {"totalCount": len(own), "cursor": None, "items": own[:limit]}


def activity(
    found: ServerProject,
    info: Info,
    limit: int,
    actionType: str | None = None,  # noqa: N803
    after: str | None = None,
    before: str | None = None,
    cursor: str | None = None,
) -> dict[str, Any]:
    user = asking(info).need_user()
    if actionType is not None and not actionType.startswith("stream_"):
        raise graphql_errors.refused("Invalid action type", "INVALID_ACTION_TYPE", 400)
    kept = [
        line
        for line in found.activity
        if (actionType is None or line.action == actionType)
        # The database keeps microseconds: a line of this very millisecond comes again.
        and (after is None or iso(line.time) >= _moment(after))
        and (before is None or iso(line.time) < _moment(before))
    ]
    kept.reverse()  # of lines of one moment the last written comes first
    older_than = None if cursor is None else _moment(cursor)
    page, next_cursor = by_time(kept, limit, older_than, lambda line: line.time)
    asking(info).world.live_record.read(found, user, [line.time for line in page])
    items = [
        {
            "id": line.id,
            "actionType": line.action,
            "userId": line.user.id if line.user else None,
            "streamId": found.id,
            "resourceId": line.resource_id,
            "resourceType": line.resource_type,
            "time": line.time,
            "info": line.info,
            "message": line.message,
        }
        for line in page
    ]
    return {"totalCount": len(kept), "cursor": next_cursor, "items": items}


def _moment(text: str) -> str:
    try:
        return iso(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except ValueError as error:
        raise GraphQLError(f"DateTime cannot represent {text}") from error


def automations_status(found: Version, info: Info) -> dict[str, Any] | None:
    """None where nothing ran, and from a server without the module."""
    if not found.automation_runs or not asking(info).world.runs_automations:
        return None
    runs = [one.answer() for one in found.automation_runs]
    return {
        "id": found.id,
        "status": worst(one["status"] for one in runs),
        "statusMessage": None,
        "automationRuns": runs,
    }


PERMISSIONS = (
    "canRead",
    "canUpdate",
    "canReadWebhooks",
    "canReadSettings",
    "canPublish",
    "canLoad",
    "canCreateComment",
    "canCreateModel",
    "canDelete",
    "canInvite",
    "canLeave",
    "canRequestRender",
)

RESOLVERS: dict[str, Any] = {
    "Query.activeUser": active_user,
    "Query.app": registered_app,
    "Query.authenticatedAsApp": authenticated_as_app,
    "Query.project": project,
    "Query.stream": stream,
    "Query.streams": streams,
    "Query.serverInfo": server_info,
    "User.email": email,
    "User.projects": own_projects,
    "User.apiTokens": api_tokens,
    "Project.role": role,
    "Project.allowPublicComments": lambda found, info: found.public_comments,
    "Project.permissions": lambda found, info: found,
    "Project.team": team,
    "Project.models": models,
    "Project.model": model,
    "Project.modelByName": model_by_name,
    "Project.version": version,
    "Project.versions": versions,
    "Project.object": root_object,
    "Model.versions": versions,
    "Model.previewUrl": model_preview,
    "Version.sourceApplication": application,
    "Version.referencedObject": lambda found, info: found.object_id,
    "Version.totalChildrenCount": lambda found, info: 1,  # in every recording
    "Version.previewUrl": version_preview,
    "Version.authorUser": lambda found, info: found.author,
    "Version.commentThreads": version_threads,
    "Version.automationsStatus": automations_status,
    "Stream.activity": activity,
    **{f"ProjectPermissionChecks.{name}": permission for name in PERMISSIONS},
    "Stream.collaborators": collaborators,
    **COMMENTS,
    **ISSUES,
    **SUBSCRIPTIONS,
    **WEBHOOKS,
}
