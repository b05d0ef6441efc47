"""What a project's lists of versions, models and issues tell of → deliveries. No I/O.

Servers without an activity list still say what there is and since when. So what was made meanwhile
can be written down in the wire's own form; what was changed, moved or deleted cannot: a list says
neither who did it nor what was there before, and nothing is made up.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.speckle.activity import Activity
from bot.speckle.event_subjects import (
    ISSUE_CREATED,
    ISSUE_REPLIED,
    ISSUE_UPDATED,
    MODEL_CREATED,
    VERSION_CREATED,
    _subject,
    issue_subject,
)
from bot.speckle.events import ModelRef, SpeckleUser
from bot.speckle.remembered import ProjectState
from bot.speckle.wire import names_bundle


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

    @property
    def is_bundle(self) -> bool:
        """Whether it has no tree of objects."""
        return names_bundle(self.object_id)


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
    `state`: the newest that there is, whenever it was made, where that was asked for.
    """

    versions: tuple[ListedVersion, ...] = ()
    models: tuple[ListedModel, ...] = ()
    issues: tuple[ListedIssue, ...] = ()
    whole_since: datetime | None = None
    state: ProjectState | None = None


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One thing that happened, as an entry of an activity list.

    `subject` is what it is about, for what came from no activity list.
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
