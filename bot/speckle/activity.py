"""A project's activity list → deliveries, for events whose webhook never came. No I/O.

The list holds what a webhook's `event.data` would have held, so that an entry can be written down
in the wire's own form and read like any other delivery.
"""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime
from hashlib import sha256
from typing import Any

from bot.errors import NotADelivery
from bot.speckle.payloads import Envelope, event_name_of, wire_actor_id, wire_message


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of a project's activity list; `info` is what a webhook's `event.data` would be.

    `resource_id`: the version of commit_*, the comment of comment_* (of a reply its thread), the
    model of branch_*. `message` is cut at 255 characters. `cut`: its `info` is too large to be
    read.
    """

    id: str
    action: str
    resource_id: str | None
    user_id: str | None
    at: datetime
    message: str = field(repr=False)
    info: object = field(repr=False)
    user_name: str | None = None
    cut: bool = False


# Speckle cuts a message in the list at 255. One less, as the last place may hold half a character
# that takes two; counted in UTF-16 as JavaScript does, which is never more than it keeps.
SURE_UNITS = 254
BYTES_A_UNIT = 2


def event_key(envelope: Envelope) -> str:
    """What an event says, "commit_create:SHA-256", the same whichever way it came.

    It covers all that a webhook and the activity list both have: kind, person, data and message.
    So two events have one key only if they say the same, such as when a thread is resolved, opened
    and resolved again.

    Errors: NotADelivery without an event's name, or nested too deeply to be written down.
    """
    name = event_name_of(envelope)
    event = envelope.payload["event"]
    said = [name, wire_actor_id(envelope), event.get("data"), _sure_part(wire_message(envelope))]
    try:
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    except RecursionError:
        raise NotADelivery("it is nested too deeply") from None
    return f"{name}:{sha256(text.encode()).hexdigest()}"


def _sure_part(message: str) -> str:
    """As much of a message as the list has kept of it in any case."""
    units = message.encode("utf-16-le")[: SURE_UNITS * BYTES_A_UNIT]
    return units.decode("utf-16-le", "replace")


def without_content(entry: Activity, project_id: str) -> Activity:
    """An entry that is `cut` with as much of its `info` as is known all the same."""
    known = {"projectId": project_id, "threadId": entry.resource_id}
    is_comment = entry.action in ("comment_created", "comment_replied")
    return replace(entry, info={"input": known} if is_comment else {})


def body_of(
    entry: Activity,
    *,
    server_url: str,
    project_id: str,
    project_name: str | None,
    visibility: str | None,
) -> bytes:
    """The entry as the body of a delivery; of the person, an activity list knows the id only."""
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
        payload["user"] = {"id": entry.user_id, "name": entry.user_name}
    return json.dumps({"payload": payload}, separators=(",", ":")).encode()
