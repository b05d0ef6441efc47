"""What an event is about, as one text: equal for what came by a webhook and by a list. No I/O."""

import json
from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from hashlib import sha256
from itertools import islice
from typing import Final

from bot.speckle.events import Delivery, ModelCreated, SpeckleUser, VersionCreated
from bot.speckle.links import ID

VERSION_CREATED: Final = "commit_create"
MODEL_CREATED: Final = "branch_create"
ISSUE_CREATED: Final = "issue_created"
ISSUE_UPDATED: Final = "issue_updated"
ISSUE_REPLIED: Final = "issue_reply_created"

DIGEST_DIGITS: Final = 16
SAID_LENGTH: Final = 1 + DIGEST_DIGITS  # of what a subject ends in
THINGS: Final = frozenset({"version_id", "thread_id", "reply_id", "comment_id", "ids"})
MOST_THINGS: Final = 20  # of one event; a comment may name hundreds of models
PLAIN: Final = "#"  # in a subject: nothing is known of it but that such an event came


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
    digest = sha256(json.dumps([said_by, said]).encode()).hexdigest()[:DIGEST_DIGITS]
    return f"{event_name}:{thing_id}#{digest}"
