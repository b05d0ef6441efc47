"""The body of a webhook's request → a delivery; event_parsers.py reads each event's own data.

Nothing here trusts the body: whatever JSON comes, reading it gives a Delivery or NotADelivery.
E-mail addresses, `user.ip` and `user.suuid` are never taken over.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from bot.errors import NotADelivery, NotASpeckleLink
from bot.speckle.event_parsers import UnknownShape
from bot.speckle.event_table import PARSERS
from bot.speckle.events import Delivery, Event, Project, SpeckleUser, UnknownEvent
from bot.speckle.links import normalise_server_url
from bot.speckle.raw_json import (
    TooMuchJson,
    check_bounds,
    find_inner_text,
    shortened,
    without_halves,
)
from bot.speckle.wire import JsonObject, id_of, name_of, object_of, text_of, url_of, visibility_of

EVENT_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
EMAIL = re.compile(r"[^\s@<>()\[\]\"',;:]{1,64}@[^\s@<>()\[\]\"',;:]{1,255}")
MASKED_EMAIL = "(e-mail address)"

MAX_AVATAR_URL = 2_000_000  # characters of a data: URL; recorded avatars have up to 400,000

NEW_FORM = re.compile(rb'\s*\{\s*"payload"\s*:\s*\{')
LONG_NUMBER = "number out of range"  # what the reader says to more than 4,300 digits


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body that was read as JSON, of either form."""

    payload: JsonObject = field(repr=False)


def read_envelope(body: bytes, *, pictures: bool = True) -> Envelope:
    """Read the outer shape of a delivery's body; without `pictures`, long texts are left out.

    Errors: NotADelivery for anything but {"payload": {…}} or {"payload": "{…}"}, and for more
    JSON than is parsed.
    """
    # Nearly always the new form; looking for the other one takes longer.
    text = None if NEW_FORM.match(body) else find_inner_text(body)
    payload: Any = None
    if text is None:
        outer = _read_json(body, pictures=pictures)
        payload = outer.get("payload") if isinstance(outer, dict) else None
    if isinstance(payload, str):  # the name is in the body twice
        text = find_inner_text(body)
    if text is not None:
        payload = _read_json(b"".join(text.parts()), pictures=pictures)
    if not isinstance(payload, dict):
        raise NotADelivery("there is no payload in it")
    return Envelope(payload)


def _read_json(text: bytes, *, pictures: bool) -> Any:
    try:
        text = shortened(text, pictures=pictures)
        check_bounds(text)
    except TooMuchJson as error:
        raise NotADelivery(str(error)) from error
    try:
        return from_json(text)
    except ValueError as error:
        if LONG_NUMBER in str(error):
            raise NotADelivery("a number in it is too long") from error
    try:
        return from_json(without_halves(text))  # the reader is stricter than JavaScript's writer
    except ValueError as error:
        raise NotADelivery("the body is not JSON") from error


def project_id_of(envelope: Envelope) -> str:
    """The project's id. Errors: NotADelivery where there is none."""
    project_id = id_of(envelope.payload.get("streamId"))
    if project_id is None:
        raise NotADelivery("it names no project")
    return project_id


def event_name_of(envelope: Envelope) -> str:
    """The wire's name of the event. Errors: NotADelivery where there is none."""
    name = object_of(envelope.payload.get("event")).get("event_name")
    if not isinstance(name, str) or not EVENT_NAME.fullmatch(name):
        raise NotADelivery("it names no event")
    return name


def wire_actor_id(envelope: Envelope) -> str | None:
    """The id of the person who did it, also where the payload says nothing else of them."""
    user = object_of(envelope.payload.get("user"))
    return id_of(user.get("id")) or id_of(envelope.payload.get("userId"))


def wire_message(envelope: Envelope) -> str:
    """What the server says of the event, e-mail addresses included; "" for nothing."""
    return text_of(envelope.payload.get("activityMessage")) or ""


def server_url_of(envelope: Envelope) -> str | None:
    """The origin of the server that the payload names, None where it names no usable one."""
    address = name_of(object_of(envelope.payload.get("server")).get("canonicalUrl"))
    try:
        return None if address is None else normalise_server_url(address)
    except NotASpeckleLink:
        return None


def parse_delivery(envelope: Envelope) -> Delivery:
    """Read what happened, who did it and where.

    An event that no table knows, or with data of another shape than it should have, is an
    UnknownEvent. Errors: NotADelivery without a project's id or an event's name.
    """
    payload = envelope.payload
    event_name = event_name_of(envelope)
    data = object_of(object_of(payload.get("event")).get("data"))
    message = text_of(payload.get("activityMessage"))
    stream = object_of(payload.get("stream"))
    return Delivery(
        event=_event(event_name, data, message or ""),
        event_name=event_name,
        project=_project(project_id_of(envelope), stream),
        actor=_person(payload),
        server_url=server_url_of(envelope),
        activity_message=None if message is None else EMAIL.sub(MASKED_EMAIL, message),
        legacy="isPublic" in stream and "visibility" not in stream,
    )


# ── Who and where ─────────────────────────────────────────────────────────────────────────────


def _project(project_id: str, stream: JsonObject) -> Project:
    return Project(project_id, name_of(stream.get("name")), visibility_of(stream))


def _person(payload: JsonObject) -> SpeckleUser | None:
    user = object_of(payload.get("user"))
    person_id = wire_actor_id(Envelope(payload))
    if not user or person_id is None:
        return None
    return SpeckleUser(
        person_id, name_of(user.get("name")), url_of(user.get("avatar"), MAX_AVATAR_URL)
    )


def _event(name: str, data: JsonObject, activity_message: str) -> Event:
    parse = PARSERS.get(name)
    if parse is None:
        return UnknownEvent()
    try:
        return parse(data, activity_message)
    except UnknownShape:
        return UnknownEvent()
