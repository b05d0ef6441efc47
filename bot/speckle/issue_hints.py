"""What an event says of its issue: which ids it names, in data of any shape.

Speckle's documentation says of such an event's data only that it is "ids only". So every text that
can be an id counts, the likely ones first, and the server knows which one is an issue's.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any

from bot.speckle.events import EventKind
from bot.speckle.wire import JsonObject

MAX_IDS = 6
MAX_NODES = 64
ISSUE_ID = re.compile(r"[A-Za-z0-9]{6,64}")
IN_MESSAGE = re.compile(r"#([A-Za-z0-9]{6,64})\b")
# In both forms of a body; a comment that quotes this is only kept twice.
EVENT_OF_ISSUE = re.compile(rb'event_name\\?"\s*:\s*\\?"issue_')
# Ids of what an issue belongs to, or of who changed it.
NO_ISSUE = ("project", "stream", "workspace", "user", "actor", "author", "assignee")


@dataclass(frozen=True, slots=True)
class IssueHint:
    """What an event says of an issue: what happened, by whom and when, and ids of anything.

    `shown_until` is when the newest change was that has been shown of it already.
    """

    kind: EventKind
    ids: tuple[str, ...]
    at: datetime
    actor_id: str | None = None
    shown_until: datetime | None = None


def is_hint(body: bytes) -> bool:
    """Whether a body is one of an issue's events: two of them may be equal and mean two changes."""
    return EVENT_OF_ISSUE.search(body) is not None


def ids_named(data: JsonObject, message: str) -> tuple[str, ...]:
    """The ids in an event's data and activity message, those named after issues first."""
    found = sorted(_ids(data), key=lambda one: one[0])
    ids = [*(text for _, text in found), *IN_MESSAGE.findall(message)]
    return tuple(dict.fromkeys(ids))[:MAX_IDS]


def _ids(data: JsonObject) -> Iterator[tuple[int, str]]:
    """Each id with its rank; breadth first, so that what is deep down is left out first."""
    waiting: deque[tuple[str, Any]] = deque([("", data)])
    for _ in range(MAX_NODES):
        if not waiting:
            return
        name, value = waiting.popleft()
        if name.startswith(NO_ISSUE):
            continue
        if isinstance(value, dict):
            below = islice(value.items(), MAX_NODES)
            waiting.extend((_below(name, key), one) for key, one in below)
        elif isinstance(value, list):
            waiting.extend((name, one) for one in value[:MAX_NODES])
        elif isinstance(value, str) and ISSUE_ID.fullmatch(value):
            rank = _rank(name)
            if rank is not None:
                yield rank, value


def _below(name: str, key: str) -> str:
    """`id` in an object says nothing of what it belongs to; the object's own name does."""
    key = key[:MAX_NODES].lower().replace("_", "")
    return f"{name}id" if key == "id" else key


def _rank(name: str) -> int | None:
    """How likely an id of this name is an issue's; None where it is no id."""
    if name in ("issue", "issueid", "issueids"):
        return 0
    if name in ("id", "inputid", "resourceid", "dataid"):
        return 1
    if name.startswith(("reply", "issue")):
        return 2
    return 3 if name.endswith(("id", "ids")) else None
