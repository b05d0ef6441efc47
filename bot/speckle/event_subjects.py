"""What an event is about, as one text: equal for what came by a webhook and by a list. No I/O."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Any, Final

from bot.speckle.events import (
    AutomationFailed,
    Delivery,
    IssueDeleted,
    ModelCreated,
    ModelDeleted,
    ModelUpdated,
    SpeckleUser,
    VersionCreated,
    VersionDeleted,
    VersionMoved,
    VersionUpdated,
)
from bot.speckle.links import ID

AUTOMATION_FAILED: Final = "automation_failed"  # of the bot's own making
VERSION_CREATED: Final = "commit_create"
VERSION_UPDATED: Final = "commit_update"
VERSION_MOVED: Final = "commit_move"
VERSION_DELETED: Final = "commit_delete"
MODEL_CREATED: Final = "branch_create"
MODEL_UPDATED: Final = "branch_update"
MODEL_DELETED: Final = "branch_delete"
ISSUE_CREATED: Final = "issue_created"
ISSUE_UPDATED: Final = "issue_updated"
ISSUE_REPLIED: Final = "issue_reply_created"
ISSUE_DELETED: Final = "issue_deleted"
# What can be changed to the same twice, and each time it is an event.
REPEATED: Final = (f"{VERSION_UPDATED}:", f"{VERSION_MOVED}:", f"{MODEL_UPDATED}:")

DIGEST_DIGITS: Final = 16
SAID_LENGTH: Final = 1 + DIGEST_DIGITS  # of what a subject ends in
THINGS: Final = frozenset({"version_id", "thread_id", "reply_id", "comment_id", "ids"})
MOST_THINGS: Final = 20  # of one event; a comment may name hundreds of models
PLAIN: Final = "#"  # in a subject: nothing is known of it but that such an event came


def subject_of(delivery: Delivery) -> str | None:
    """What a delivery says that it is about, and a digest of what it says: "commit_create:ID#…".

    None for what no list has, and for most of issues: which one it is, only the server knows.
    """
    event, actor = delivery.event, delivery.actor
    match event:
        case VersionCreated():
            return _subject(VERSION_CREATED, event.version_id, actor, event.message)
        case ModelCreated() if event.model.id is not None:
            return _subject(MODEL_CREATED, event.model.id, actor, event.model.name)
        case VersionUpdated() if event.message is not None:
            return changed_subject(VERSION_UPDATED, event.version_id, event.message.new)
        case VersionMoved() if event.version_id is not None:
            return changed_subject(VERSION_MOVED, event.version_id, event.new_model.id)
        case AutomationFailed(version_id=version_id, checks=checks):
            ids = [one.run_id for one in (*checks.failed, *checks.not_run)]
            said = _digest([checks.failures, checks.breakdowns, *sorted(ids)])
            return f"{AUTOMATION_FAILED}:{version_id}:{said}"
        case VersionDeleted():
            return deleted_subject(VERSION_DELETED, event.version_id)
        case ModelUpdated() if event.model.id is not None and event.name is not None:
            return changed_subject(MODEL_UPDATED, event.model.id, event.name.new)
        case ModelDeleted() if event.model.id is not None:
            return deleted_subject(MODEL_DELETED, event.model.id)
        case IssueDeleted(ids=(issue_id,)):
            return deleted_subject(ISSUE_DELETED, issue_id)
        case _:
            return None


def things_of(delivery: Delivery) -> Sequence[str]:
    """The ids of the versions, models, threads and issues that an event names, each once.

    By these somebody finds it who has a link into Speckle.
    """
    event = delivery.event
    named = (getattr(event, one.name) for one in fields(event) if one.name in THINGS)
    listed = (one for value in named for one in (value if isinstance(value, tuple) else [value]))
    resources = getattr(event, "resources", ())
    models = [one.id for one in event.models]
    versions = [one.version_id for one in resources]
    ids = (one for one in (*listed, *models, *versions) if one is not None and ID.fullmatch(one))
    return list(islice(dict.fromkeys(ids), MOST_THINGS))


def issue_subject(event_name: str, thing_id: str, at: datetime | None = None) -> str:
    """What an event about an issue is about: the issue; of a reply the reply; of a change the
    issue and when the newest change was that it says.
    """
    when = "" if at is None else f":{time_in_subject(at)}"
    return f"{event_name}:{thing_id}{when}"


def changed_subject(event_name: str, thing_id: str, new: str | None) -> str:
    """What a change is about: the thing, and what it says from then on."""
    return f"{event_name}:{thing_id}:{_digest(new or '')}"


def deleted_subject(event_name: str, thing_id: str) -> str:
    """What a deletion is about: the thing."""
    return f"{event_name}:{thing_id}"


def can_be_repeated(subject: str) -> bool:
    """Whether another event may say the very same of the same thing."""
    return subject.startswith(REPEATED)


def is_of_issue(event_name: str) -> bool:
    """Whether an event of this name is about an issue, which it may not name."""
    return event_name.startswith("issue_")


def time_in_subject(at: datetime) -> str:
    """When a change was made, as a subject ends in it; texts are in the order of times."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")


def thing_of(subject: str) -> str:
    """What a subject is about, "commit_create:ID", whatever is said of it."""
    return subject.partition("#")[0]


def _subject(event_name: str, thing_id: str, actor: SpeckleUser | None, said: str | None) -> str:
    said_by = None if actor is None else actor.id
    return f"{event_name}:{thing_id}#{_digest([said_by, said])}"


def _digest(said: Any) -> str:
    return sha256(json.dumps(said).encode()).hexdigest()[:DIGEST_DIGITS]
