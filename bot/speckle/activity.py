"""A project's activity list → deliveries, for events whose webhook never came. No I/O.

The list holds what a webhook's `event.data` would have held, so that an entry can be written down
in the wire's own form and read like any other delivery.
"""

import json
from typing import Any

from bot.speckle.answers import Activity
from bot.speckle.events import (
    CommentCreated,
    CommentReplied,
    Delivery,
    ModelCreated,
    ModelDeleted,
    VersionCreated,
    VersionDeleted,
)

KEYED = frozenset(
    {
        "branch_create",
        "branch_delete",
        "comment_created",
        "comment_replied",
        "commit_create",
        "commit_delete",
    }
)
"""The wire's names of events that happen to a thing once in its life."""


def event_key(delivery: Delivery) -> str | None:
    """What tells an event from all others of its project, however it came, "commit_create:ID".

    None where there is no such thing: a thread is resolved many times, and a webhook does not say
    which version was received.
    """
    match delivery.event:
        case VersionCreated(version_id=found) | VersionDeleted(version_id=found):
            pass
        case ModelCreated(model) | ModelDeleted(model):
            found = model.id
        case CommentCreated(thread_id=found) | CommentReplied(reply_id=found):
            pass
        case _:
            found = None
    return None if found is None else f"{delivery.event_name}:{found}"


def body_of(
    entry: Activity,
    *,
    server_url: str,
    project_id: str,
    project_name: str | None,
    visibility: str | None,
) -> bytes:
    """The entry as the body of a delivery; of the person, the list knows the id only."""
    stream: dict[str, Any] = {"id": project_id, "name": project_name}
    if visibility is not None:
        stream["visibility"] = visibility
    payload: dict[str, Any] = {
        "streamId": project_id,
        "userId": entry.user_id,
        "activityMessage": entry.message,
        "event": {"event_name": entry.action, "data": entry.info},
        "server": {"canonicalUrl": server_url},
        "stream": stream,
    }
    if entry.user_id is not None:
        payload["user"] = {"id": entry.user_id}
    return json.dumps({"payload": payload}, separators=(",", ":")).encode()
