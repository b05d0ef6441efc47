"""What a project's lists of versions, models and issues tell of → deliveries. No I/O.

Servers without an activity list still say what there is and since when. So what was made meanwhile
can be written down in the wire's own form; what was changed, moved or deleted cannot: a list says
neither who did it nor what was there before, and nothing is made up.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from bot.speckle.activity import Activity
from bot.speckle.events import Delivery, ModelCreated, ModelRef, SpeckleUser, VersionCreated

VERSION_CREATED: Final = "commit_create"
MODEL_CREATED: Final = "branch_create"
ISSUE_CREATED: Final = "issue_created"
ISSUE_UPDATED: Final = "issue_updated"
ISSUE_REPLIED: Final = "issue_reply_created"

DIGEST_DIGITS: Final = 16
SAID_LENGTH: Final = 1 + DIGEST_DIGITS  # of what a subject ends in


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version as `project.versions` has it."""

    id: str
    at: datetime
    model: ModelRef
    author: SpeckleUser | None = None
    message: str | None = field(default=None, repr=False)
    application: str | None = None
    object_id: str | None = None


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model as `project.models` has it; `at` is when it was made."""

    id: str
    at: datetime
    author: SpeckleUser | None = None
    name: str | None = None
    description: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ListedUpdate:
    """That somebody changed an issue; what was changed is asked for when it is shown."""

    at: datetime
    actor: SpeckleUser | None = None


@dataclass(frozen=True, slots=True)
class ListedReply:
    """A reply to an issue."""

    id: str
    at: datetime
    author: SpeckleUser | None = None


@dataclass(frozen=True, slots=True)
class ListedIssue:
    """An issue as `project.issues` has it, with what was done to it, as many as were asked for."""

    id: str
    at: datetime
    author: SpeckleUser | None = None
    updates: tuple[ListedUpdate, ...] = ()
    replies: tuple[ListedReply, ...] = ()


@dataclass(frozen=True, slots=True)
class ListedChanges:
    """What a project's lists have from a moment on.

    `whole_since` is later than that moment where a list was longer than what was read of it.
    """

    versions: tuple[ListedVersion, ...] = ()
    models: tuple[ListedModel, ...] = ()
    issues: tuple[ListedIssue, ...] = ()
    whole_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One thing that happened, as an entry of an activity list.

    `subject` is what it is about, for what no real activity list told.
    """

    entry: Activity
    subject: str | None = None


def entries_of(changes: ListedChanges, after: datetime) -> list[ListedEntry]:
    """What happened from `after` on, oldest first."""
    # Lists begin with the newest, also where two have the same time.
    found = [
        *map(_of_model, reversed(changes.models)),
        *map(_of_version, reversed(changes.versions)),
        *(one for issue in reversed(changes.issues) for one in _of_issue(issue)),
    ]
    recent = (one for one in found if one.entry.at >= after)
    return sorted(recent, key=lambda one: one.entry.at)


def subject_of(delivery: Delivery) -> str | None:
    """What a delivery says that it is about, and a digest of what it says: "commit_create:ID#…".

    None for what no list has, and for issues: which one it is, only the server knows.
    """
    event, actor = delivery.event, delivery.actor
    match event:
        case VersionCreated():
            return _subject(VERSION_CREATED, event.version_id, actor, event.message)
        case ModelCreated() if event.model.id is not None:
            return _subject(MODEL_CREATED, event.model.id, actor, event.model.name)
        case _:
            return None


def issue_subject(event_name: str, thing_id: str, at: datetime | None = None) -> str:
    """What an event about an issue is about: the issue; of a reply the reply; of a change the
    issue and when the newest change was that it tells of.
    """
    when = "" if at is None else f":{time_in_subject(at)}"
    return f"{event_name}:{thing_id}{when}"


def is_of_issue(event_name: str) -> bool:
    """Whether an event is about an issue, which it may not name."""
    return event_name in (ISSUE_CREATED, ISSUE_UPDATED, ISSUE_REPLIED)


def time_in_subject(at: datetime) -> str:
    """When a change was made, as a subject ends in it; texts are in the order of times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def thing_of(subject: str) -> str:
    """What a subject is about, "commit_create:ID", whatever is said of it."""
    return subject.partition("#")[0]


def _subject(event_name: str, thing_id: str, actor: SpeckleUser | None, said: str | None) -> str:
    said_by = None if actor is None else actor.id
    digest = sha256(json.dumps([said_by, said]).encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{event_name}:{thing_id}#{digest}"


def _of_version(version: ListedVersion) -> ListedEntry:
    commit = {
        "branchId": version.model.id,
        "branchName": version.model.name,
        "message": version.message,
        "objectId": version.object_id,
        "sourceApplication": version.application,
    }
    info = {"id": version.id, "commit": commit}
    actor = version.author
    subject = _subject(VERSION_CREATED, version.id, actor, version.message)
    return ListedEntry(_entry(VERSION_CREATED, version.id, version.at, actor, info), subject)


def _of_model(model: ListedModel) -> ListedEntry:
    branch = {"id": model.id, "name": model.name, "description": model.description}
    actor = model.author
    subject = _subject(MODEL_CREATED, model.id, actor, model.name)
    return ListedEntry(
        _entry(MODEL_CREATED, model.id, model.at, actor, {"branch": branch}), subject
    )


def _of_issue(issue: ListedIssue) -> Iterator[ListedEntry]:
    """That it was made, and each change and reply."""
    about = {"issueId": issue.id}
    yield ListedEntry(
        _entry(ISSUE_CREATED, issue.id, issue.at, issue.author, about),
        issue_subject(ISSUE_CREATED, issue.id),
    )
    for reply in issue.replies:
        info = about | {"replyId": reply.id}
        yield ListedEntry(
            _entry(ISSUE_REPLIED, reply.id, reply.at, reply.author, info),
            issue_subject(ISSUE_REPLIED, reply.id),
        )
    for update in issue.updates:
        yield ListedEntry(
            _entry(ISSUE_UPDATED, issue.id, update.at, update.actor, about),
            issue_subject(ISSUE_UPDATED, issue.id, update.at),
        )


def _entry(
    action: str, thing_id: str, at: datetime, actor: SpeckleUser | None, info: dict[str, Any]
) -> Activity:
    if actor is None:
        return Activity(thing_id, action, thing_id, None, at, "", info)
    return Activity(thing_id, action, thing_id, actor.id, at, "", info, actor.name)
