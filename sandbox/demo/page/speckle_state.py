"""What the page shows of the two Speckle servers, as JSON."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sandbox.demo.stage import DemoServer
from sandbox.speckle import (
    Comment,
    HistoryEntry,
    Model,
    ServerIssue,
    ServerProject,
    SpeckleServer,
    User,
    Version,
    Webhook,
)
from sandbox.speckle.entities import Token
from sandbox.speckle.event_data import iso
from sandbox.speckle.model_content import CHANGES

MOST_VERSIONS: Final = 20  # of each model
MOST_CALLS: Final = 25  # of each webhook
MOST_BODY: Final = 20_000  # characters
QUEUED, FAILED = 0, 3  # of a call's status, as the server has it
LONG_TEXT: Final = 200  # characters of one value in a body; a picture has a million
# What the settings page of a real server offers; the wire has older names.
OFFERED: Final = (
    "stream_update",
    "stream_delete",
    "branch_create",
    "branch_update",
    "branch_delete",
    "commit_create",
    "commit_update",
    "commit_receive",
    "commit_delete",
    "comment_created",
    "comment_archived",
    "comment_replied",
    "stream_permissions_add",
    "stream_permissions_remove",
)
OFFERED_WITH_ISSUES: Final = (
    *OFFERED,
    "issue_created",
    "issue_updated",
    "issue_reply_created",
    "issue_deleted",
)
TODAY: Final = {"stream_": "project_", "branch_": "model_", "commit_": "version_"}

Json = dict[str, Any]


def page_name(event: str) -> str:
    """An event's name on today's settings page."""
    for old, new in TODAY.items():
        if event.startswith(old):
            return new + event.removeprefix(old)
    return event


# ── everything, in short ──────────────────────────────────────────────────────────────────────────


def overview(servers: Sequence[DemoServer]) -> Json:
    """Servers with their people and projects."""
    return {"servers": [_server(index, one) for index, one in enumerate(servers)]}


def _server(index: int, one: DemoServer) -> Json:
    server = one.server
    offered = OFFERED_WITH_ISSUES if has_issues(server) else OFFERED
    return {
        "id": index,
        "label": one.label,
        "release": server.release.name,
        "url": server.url,
        "talk": "issues" if has_issues(server) else "comments",
        "people": [_person(user) for user in server.users.values()],
        "projects": [_project(server, one) for one in server.projects.values()],
        "offered": [{"event": event, "name": page_name(event)} for event in offered],
        "changes": [[name, change.title] for name, change in CHANGES.items()],
    }


def has_issues(server: SpeckleServer) -> bool:
    """Whether people open issues there; else they comment."""
    return server.release.bundles


def _person(user: User) -> Json:
    return {"id": user.id, "name": user.name}


def _project(server: SpeckleServer, project: ServerProject) -> Json:
    last = project.versions[-1] if project.versions else None
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description or "",
        "visibility": project.visibility,
        "url": f"{server.url}/projects/{project.id}",
        "roles": dict(project.roles),
        "invited": list(project.invitations),
        "models": len(project.models),
        "versions": len(project.versions),
        "updated": iso(project.updated_at),
        "picture": None if last is None else f"{project.id}/{last.id}",
    }


# ── a project ─────────────────────────────────────────────────────────────────────────────────────


def whole_project(server: SpeckleServer, project: ServerProject) -> Json:
    """A project with all that is in it."""
    people = server.users
    return _project(server, project) | {
        "publicComments": project.public_comments,
        "modelList": [_model(one) for one in sorted(project.models, key=lambda one: one.name)],
        "threads": [_thread(one) for one in reversed(project.comments) if one.parent is None],
        "issues": [_issue(one) for one in reversed(server.issues.get(project.id, []))],
        "members": [_person(people[user]) | {"role": role} for user, role in project.roles.items()],
        "invitations": [
            _person(people[user]) | {"role": one.role, "by": one.by.name}
            for user, one in project.invitations.items()
        ],
        "requests": [_person(people[user]) for user in project.access_requests],
        "webhooks": [_webhook(one) for one in project.webhooks],
    }


def _model(model: Model) -> Json:
    versions = [one for one in model.project.versions if one.model is model]
    return {
        "id": model.id,
        "name": model.name,
        "description": model.description or "",
        "count": len(versions),
        "updated": iso(model.updated_at),
        "versions": [_version(one) for one in reversed(versions[-MOST_VERSIONS:])],
    }


def _version(version: Version) -> Json:
    root = version.model.project.objects.get(version.object_id)
    return {
        "id": version.id,
        "message": version.message or "",
        "application": version.application or "",
        "author": version.author.name if version.author else "",
        "objects": None if root is None else len(root["__closure"]),
        "at": iso(version.created_at),
        "picture": f"{version.model.project.id}/{version.id}",
    }


def _thread(thread: Comment) -> Json:
    replies = [one for one in thread.project.comments if one.parent is thread]
    return {
        "id": thread.id,
        "on": [_on(one) for one in thread.versions],
        "resolved": thread.archived,
        "said": _said(thread.author, thread.doc, thread.created_at),
        "replies": [_said(one.author, one.doc, one.created_at) for one in replies],
    }


def _issue(issue: ServerIssue) -> Json:
    versions = {one.id: one for one in issue.project.versions}
    named = [piece.partition("@")[2] for piece in issue.resources.split(",")]
    return {
        "id": issue.id,
        "name": issue.identifier,
        "title": issue.title,
        "status": issue.status,
        "priority": issue.priority,
        "assignee": issue.assignee.id if issue.assignee else None,
        "on": [_on(versions[one]) for one in named if one in versions],
        "said": _said(issue.author, issue.doc, issue.created_at),
        "replies": [_said(one.author, one.doc, one.created_at) for one in issue.replies],
    }


def _on(version: Version) -> Json:
    return {
        "model": version.model.name,
        "version": version.id,
        "picture": f"{version.model.project.id}/{version.id}",
    }


def _said(author: User, doc: Json, at: Any) -> Json:
    return {"by": author.name, "lines": list(_lines(doc)), "at": iso(at)}


def _lines(doc: Json) -> Iterator[list[Json]]:
    """The paragraphs of a document: pieces of text, and of people who are mentioned."""
    for paragraph in doc.get("content") or ():
        yield [_piece(one) for one in paragraph.get("content") or ()]


def _piece(node: Json) -> Json:
    if node.get("type") == "mention":
        return {"text": f"@{node['attrs']['label']}", "mention": True}
    return {"text": str(node.get("text", "")), "mention": False}


# ── webhooks ──────────────────────────────────────────────────────────────────────────────────────


def _webhook(hook: Webhook) -> Json:
    return {
        "id": hook.id,
        "url": hook.url,
        "description": hook.description or "",
        "enabled": hook.enabled,
        "hasSecret": bool(hook.secret),
        "events": [{"event": one, "name": page_name(one)} for one in sorted(set(hook.triggers))],
        "count": len(hook.history),
        "waiting": sum(one.status == QUEUED for one in hook.history),
        "failed": sum(one.status == FAILED for one in hook.history),
        "calls": [_call(one) for one in reversed(hook.history[-MOST_CALLS:])],
    }


def _call(entry: HistoryEntry) -> Json:
    answer = entry.answer
    return {
        "id": entry.id,
        "event": page_name(entry.event_name),
        "status": entry.status,
        "at": iso(entry.created_at),
        "answer": None if answer is None else answer.status,
        "tookMs": None if answer is None else answer.took_ms,
    }


def whole_call(hook: Webhook, entry: HistoryEntry) -> Json:
    """What was sent and what was answered; long values, such as pictures, are cut."""
    answer = entry.answer
    return _call(entry) | {
        "wireEvent": entry.event_name,
        "url": hook.url,
        "headers": dict(entry.headers),
        "bytes": len(entry.body),
        "body": json.dumps(_cut(json.loads(entry.body)), indent=2, ensure_ascii=False)[:MOST_BODY],
        "answerText": "" if answer is None else answer.text,
    }


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > LONG_TEXT:
        return f"{value[: LONG_TEXT // 4]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        return {key: _cut(one) for key, one in value.items()}
    return [_cut(one) for one in value] if isinstance(value, list) else value


# ── a person's access ─────────────────────────────────────────────────────────────────────────────


def token_id(token: Token) -> str:
    """What a token is called without saying it."""
    return hashlib.sha256(token.text.encode()).hexdigest()[:16]


def access_of(server: SpeckleServer, user: User) -> Json:
    """The applications that somebody let in, and their personal tokens."""
    own = [one for one in server.tokens.values() if one.user is user and not one.revoked]
    by_app = {one.app.id: (one.app, one) for one in reversed(own) if one.app is not None}
    return {
        "apps": [
            {"id": app.id, "name": app.name, "scopes": one.scopes, "since": iso(one.made_at)}
            for app, one in by_app.values()
        ],
        "tokens": [
            {
                "id": token_id(one),
                "name": one.name or "A token",
                "scopes": list(one.scopes),
                "since": iso(one.made_at),
            }
            for one in own
            if one.app is None
        ],
    }


def fingerprint(servers: Sequence[DemoServer]) -> object:
    """Something that differs when there is something new to see."""
    return [_print_of(one.server) for one in servers]


def _print_of(server: SpeckleServer) -> object:
    issues = [(one.id, one.updated_at) for there in server.issues.values() for one in there]
    return (
        len(server.users),
        len(server.tokens),
        sum(one.revoked for one in server.tokens.values()),
        server.live_record.written,
        issues,
        [_print_of_project(one) for one in server.projects.values()],
    )


def _print_of_project(project: ServerProject) -> object:
    return (
        (project.name, project.description, project.visibility, project.public_comments),
        (dict(project.roles), list(project.invitations), list(project.access_requests)),
        [(one.name, one.description) for one in project.models],
        [(one.id, one.model.id, one.message) for one in project.versions],
        [(one.id, one.archived) for one in project.comments],
        [
            (one.id, one.enabled, tuple(one.triggers), [call.status for call in one.history])
            for one in project.webhooks
        ],
    )
