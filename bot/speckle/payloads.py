"""The wire → events. The only file that knows how a Speckle server words its deliveries.

Nothing here trusts the body: whatever JSON comes, reading it gives a Delivery or NotADelivery.
E-mail addresses, `user.ip` and `user.suuid` are never taken over.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from bot.errors import NotADelivery, NotASpeckleLink
from bot.speckle.events import (
    AccessDeclined,
    AccessRequested,
    Change,
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    Event,
    InvitationAccepted,
    InvitationDeclined,
    InvitationSent,
    ModelCreated,
    ModelDeleted,
    ModelRef,
    ModelUpdated,
    PermissionGranted,
    PermissionRevoked,
    Person,
    Project,
    ProjectDeleted,
    ProjectUpdated,
    ResourceRef,
    UnknownEvent,
    VersionCreated,
    VersionDeleted,
    VersionMoved,
    VersionReceived,
    VersionUpdated,
)
from bot.speckle.links import normalise_server_url
from bot.speckle.raw_json import (
    MAX_PICTURE_BYTES,
    TooMuchJson,
    check_bounds,
    find_inner_text,
    shortened,
    without_halves,
)
from bot.speckle.rich_text import RichText, read_rich_text

ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
EVENT_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
EMAIL = re.compile(r"[^\s@<>()\[\]\"',;:]{1,64}@[^\s@<>()\[\]\"',;:]{1,255}")
MASKED_EMAIL = "(e-mail address)"

# The id stands in the activity message alone; both are written by the server, not by a user.
NEW_COMMENT = re.compile(r"Comment added: ([A-Za-z0-9]{1,64}) \(")
NEW_REPLY = re.compile(r"Comment reply #([A-Za-z0-9]{1,64}) created")
MOVED_VERSION = re.compile(r"Commit moved: ([A-Za-z0-9]{1,64})")

SURROGATE = re.compile(r"[\ud800-\udfff]")
MAX_TEXT = 20_000  # characters; recorded descriptions have 13,000
MAX_NAME = 1_000  # characters; recorded names have 512
MAX_AVATAR_URL = 2_000_000  # characters of a data: URL; recorded avatars have up to 400,000
MAX_SCREENSHOT_URL = MAX_PICTURE_BYTES
MAX_RESOURCES = 50
MAX_PARENTS = 20

NEW_FORM = re.compile(rb'\s*\{\s*"payload"\s*:\s*\{')
LONG_NUMBER = "number out of range"  # what the reader says to more than 4,300 digits

VISIBILITIES = frozenset({"public", "unlisted", "private", "workspace"})

JsonObject = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Envelope:
    """A body that was read as JSON, of either form."""

    payload: JsonObject = field(repr=False)


def read_envelope(body: bytes, *, pictures: bool = True) -> Envelope:
    """Read the outer shape of a delivery's body; without `pictures`, long texts are left out.

    Errors: NotADelivery for anything but {"payload": {…}} or {"payload": "{…}"}, and for more
    JSON than is parsed.
    """
    # The new form, as good as always; looking for the other one takes longer.
    text = None if NEW_FORM.match(body) else find_inner_text(body)
    payload: Any = None
    if text is None:
        outer = _read_json(body, pictures=pictures)
        payload = outer.get("payload") if isinstance(outer, dict) else None
    if isinstance(payload, str):  # there are two of that name
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
    project_id = _id(envelope.payload.get("streamId"))
    if project_id is None:
        raise NotADelivery("it names no project")
    return project_id


def event_name_of(envelope: Envelope) -> str:
    """The wire's name of the event. Errors: NotADelivery where there is none."""
    name = _object(envelope.payload.get("event")).get("event_name")
    if not isinstance(name, str) or not EVENT_NAME.fullmatch(name):
        raise NotADelivery("it names no event")
    return name


def wire_actor_id(envelope: Envelope) -> str | None:
    """The id of the person who did it, also where the payload tells nothing else of them."""
    user = _object(envelope.payload.get("user"))
    return _id(user.get("id")) or _id(envelope.payload.get("userId"))


def wire_message(envelope: Envelope) -> str:
    """What the server says of the event, e-mail addresses included; "" for nothing."""
    return _text(envelope.payload.get("activityMessage")) or ""


def server_url_of(envelope: Envelope) -> str | None:
    """The origin of the server that the payload names, None where it names no usable one."""
    address = _name(_object(envelope.payload.get("server")).get("canonicalUrl"))
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
    data = _object(_object(payload.get("event")).get("data"))
    message = _text(payload.get("activityMessage"))
    stream = _object(payload.get("stream"))
    return Delivery(
        event=_event(event_name, data, message or ""),
        event_name=event_name,
        project=_project(project_id_of(envelope), stream),
        actor=_person(payload),
        server_url=server_url_of(envelope),
        server_name=_name(_object(payload.get("server")).get("name")),
        activity_message=None if message is None else EMAIL.sub(MASKED_EMAIL, message),
        legacy="isPublic" in stream and "visibility" not in stream,
    )


# ── Values ────────────────────────────────────────────────────────────────────────────────────


def _text(value: Any, limit: int = MAX_TEXT) -> str | None:
    """A text that a database and a UTF-8 encoder take; None for nothing and for other types."""
    if not isinstance(value, str):
        return None
    text = SURROGATE.sub("\N{REPLACEMENT CHARACTER}", value[:limit]).replace("\0", "")
    return text or None


def _url(value: Any, limit: int) -> str | None:
    """An address, such as a picture's data: URL; None for one that is longer, or is none."""
    is_one = isinstance(value, str) and 0 < len(value) <= limit and value.isascii()
    return value if is_one else None


def _name(value: Any) -> str | None:
    return _text(value, MAX_NAME)


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and ID.fullmatch(value) else None


def _object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.match(text)
    return match[1] if match else None


def _required(value: str | None) -> str:
    if value is None:
        raise _UnknownShapeError
    return value


class _UnknownShapeError(Exception):
    """A known event lacks what makes it that event."""


# ── Who and where ─────────────────────────────────────────────────────────────────────────────


def _project(project_id: str, stream: JsonObject) -> Project:
    return Project(project_id, _name(stream.get("name")), _visibility(stream))


def _visibility(stream: JsonObject) -> str | None:
    """`visibility`, which an update has in capitals; older servers have `isPublic`."""
    visibility = stream.get("visibility")
    if isinstance(visibility, str) and visibility.lower() in VISIBILITIES:
        return visibility.lower()
    is_public = stream.get("isPublic")
    if isinstance(is_public, bool):
        return "public" if is_public else "private"
    return None


def _person(payload: JsonObject) -> Person | None:
    user = _object(payload.get("user"))
    person_id = wire_actor_id(Envelope(payload))
    if not user or person_id is None:
        return None
    return Person(person_id, _name(user.get("name")), _url(user.get("avatar"), MAX_AVATAR_URL))


# ── Events ────────────────────────────────────────────────────────────────────────────────────


def _event(name: str, data: JsonObject, activity_message: str) -> Event:
    reader = READERS.get(name)
    if reader is None:
        return UnknownEvent()
    try:
        return reader(data, activity_message)
    except _UnknownShapeError:
        return UnknownEvent()


def _version_created(data: JsonObject, _message: str) -> Event:
    commit = _object(data.get("commit"))
    parents = commit.get("parents")
    return VersionCreated(
        version_id=_required(_id(data.get("id")) or _id(commit.get("versionId"))),
        model=_model_of_version(commit),
        message=_text(commit.get("message")),
        application=_name(commit.get("sourceApplication")),
        object_id=_id(commit.get("objectId")),
        parents=_ids(parents, MAX_PARENTS),
    )


def _version_updated(data: JsonObject, _message: str) -> Event:
    old, new = _object(data.get("old")), _object(data.get("new"))
    model = _model_of_version(old)
    new_model = _model_name(new.get("newBranchName"))
    return VersionUpdated(
        version_id=_required(_id(old.get("id")) or _id(new.get("versionId")) or _id(new.get("id"))),
        model=model,
        message=_change(old, new, "message"),
        new_model_name=None if new_model == model.name else new_model,
    )


def _version_received(data: JsonObject, _message: str) -> Event:
    return VersionReceived(_name(data.get("sourceApplication")), _text(data.get("message")))


def _version_deleted(data: JsonObject, _message: str) -> Event:
    commit = _object(data.get("commit"))
    return VersionDeleted(
        version_id=_required(_id(commit.get("id"))),
        model=_model_of_version(commit),
        message=_text(commit.get("message")),
        application=_name(commit.get("sourceApplication")),
    )


def _version_moved(data: JsonObject, message: str) -> Event:
    old, new = _id(data.get("originalBranchId")), _id(data.get("newBranchId"))
    return VersionMoved(
        version_id=_found(MOVED_VERSION, message),
        old_model=ModelRef(_required(old)),
        new_model=ModelRef(_required(new)),
    )


def _model_created(data: JsonObject, _message: str) -> Event:
    branch = _object(data.get("branch"))
    return ModelCreated(_model(branch), _text(branch.get("description")))


def _model_updated(data: JsonObject, _message: str) -> Event:
    old, new = _object(data.get("old")), _object(data.get("new"))
    model = _model(old)
    new_name = _model_name(new.get("name")) or model.name
    return ModelUpdated(
        model=ModelRef(model.id, new_name),
        name=None if new_name == model.name else Change(model.name, new_name),
        description=_change(old, new, "description"),
    )


def _model_deleted(data: JsonObject, _message: str) -> Event:
    return ModelDeleted(_model(_object(data.get("branch"))))


def _project_updated(data: JsonObject, _message: str) -> Event:
    old, new = _object(data.get("old")), _object(data.get("new"))
    if not old and not new:
        raise _UnknownShapeError
    before, after = _visibility(old), _visibility(new)
    comments = new.get("allowPublicComments")
    comments_changed = isinstance(comments, bool) and comments != old.get("allowPublicComments")
    return ProjectUpdated(
        name=_change(old, new, "name") if new.get("name") else None,
        description=_change(old, new, "description"),
        visibility=None if after in (None, before) else Change(before, after),
        public_comments=comments if comments_changed else None,
    )


def _project_deleted(_data: JsonObject, _message: str) -> Event:
    return ProjectDeleted()


def _comment_created(data: JsonObject, message: str) -> Event:
    wire = _object(data.get("input"))
    if not wire:
        raise _UnknownShapeError
    return CommentCreated(
        thread_id=_found(NEW_COMMENT, message),
        resources=_resources(wire),
        text=_comment_text(wire),
        screenshot=_url(wire.get("screenshot"), MAX_SCREENSHOT_URL),
    )


def _comment_replied(data: JsonObject, message: str) -> Event:
    wire = _object(data.get("input"))
    return CommentReplied(
        thread_id=_required(_id(wire.get("threadId")) or _id(wire.get("parentComment"))),
        reply_id=_found(NEW_REPLY, message),
        text=_comment_text(wire),
    )


def _comment_archived(data: JsonObject, _message: str) -> Event:
    wire = _object(data.get("input"))
    thread_id = _required(_id(wire.get("commentId")))
    # Reopening is sent under the same name; before servers knew it, the field could be missing.
    return (
        CommentReopened(thread_id) if wire.get("archived") is False else CommentResolved(thread_id)
    )


def _comment_mentioned(data: JsonObject, _message: str) -> Event:
    comment_id = _id(data.get("commentId"))
    return CommentMentioned(
        thread_id=_required(_id(data.get("threadId")) or comment_id),
        comment_id=comment_id,
        target_id=_id(data.get("mentionTargetId")),
    )


def _permission_granted(data: JsonObject, _message: str) -> Event:
    return PermissionGranted(_required(_id(data.get("targetUser"))), _name(data.get("role")))


def _permission_revoked(data: JsonObject, _message: str) -> Event:
    return PermissionRevoked(_required(_id(data.get("targetUser"))))


def _invitation_sent(data: JsonObject, _message: str) -> Event:
    return InvitationSent(_id(data.get("targetId")))


def _invitation_accepted(data: JsonObject, _message: str) -> Event:
    return InvitationAccepted(
        user_id=_id(data.get("targetUserId")),
        role=_name(data.get("role")),
        inviter_id=_id(data.get("inviterUser")),
    )


def _invitation_declined(data: JsonObject, _message: str) -> Event:
    target = data.get("targetId")
    user_id = _id(target.get("userId")) if isinstance(target, dict) else _id(target)
    return InvitationDeclined(user_id, _id(data.get("inviterId")))


def _access_requested(data: JsonObject, _message: str) -> Event:
    return AccessRequested(_id(data.get("requesterId")))


def _access_declined(data: JsonObject, _message: str) -> Event:
    return AccessDeclined(_id(data.get("requesterId")))


READERS: Mapping[str, Callable[[JsonObject, str], Event]] = {
    "commit_create": _version_created,
    "commit_update": _version_updated,
    "commit_receive": _version_received,
    "commit_delete": _version_deleted,
    "commit_move": _version_moved,
    "branch_create": _model_created,
    "branch_update": _model_updated,
    "branch_delete": _model_deleted,
    "stream_update": _project_updated,
    "stream_delete": _project_deleted,
    "comment_created": _comment_created,
    "comment_replied": _comment_replied,
    "comment_archived": _comment_archived,
    "comment_mention": _comment_mentioned,
    "stream_permissions_add": _permission_granted,
    "stream_permissions_remove": _permission_revoked,
    "stream_invite_sent": _invitation_sent,
    "stream_permissions_invite_accepted": _invitation_accepted,
    "stream_invite_declined": _invitation_declined,
    "stream_access_request_sent": _access_requested,
    "stream_access_request_declined": _access_declined,
}
"""One reader an event name: (event.data, activityMessage) → event."""


# ── Parts of events ───────────────────────────────────────────────────────────────────────────


def _change(old: JsonObject, new: JsonObject, key: str) -> Change | None:
    """Before and after; None where the key was not sent or says the same as before."""
    if key not in new:
        return None
    before, after = _text(old.get(key)), _text(new.get(key))
    return None if before == after else Change(before, after)


def _model_name(value: Any) -> str | None:
    """Servers store names in lower case; an update repeats what was typed."""
    name = _name(value)
    return None if name is None else name.lower()


def _model(branch: JsonObject) -> ModelRef:
    model = ModelRef(_id(branch.get("id")), _name(branch.get("name")))
    if model == ModelRef():
        raise _UnknownShapeError
    return model


def _model_of_version(commit: JsonObject) -> ModelRef:
    model_id = _id(commit.get("branchId")) or _id(commit.get("modelId"))
    return ModelRef(model_id, _name(commit.get("branchName")))


def _ids(value: Any, limit: int) -> tuple[str, ...]:
    items = value[:limit] if isinstance(value, list) else []
    return tuple(found for item in items if (found := _id(item)) is not None)


def _comment_text(wire: JsonObject) -> RichText:
    content = wire.get("content")
    return read_rich_text(content if isinstance(content, dict) else wire.get("text"), _text)


def _resources(wire: JsonObject) -> tuple[ResourceRef, ...]:
    """What a comment is on: "MODEL@VERSION,…", or a list in the form of old servers."""
    resource_ids = _text(wire.get("resourceIdString"))
    if resource_ids is not None:
        found = [_resource(piece) for piece in resource_ids.split(",")[:MAX_RESOURCES]]
    else:
        listed = wire.get("resources")
        pieces = listed[:MAX_RESOURCES] if isinstance(listed, list) else []
        found = [_legacy_resource(_object(piece)) for piece in pieces]
    return tuple(dict.fromkeys(resource for resource in found if resource is not None))


def _resource(text: str) -> ResourceRef | None:
    """One piece; a 32-digit id is a bare object's, "all" and "$folder" name no single model."""
    model, _, version = text.strip().partition("@")
    model_id = _id(model)
    if model_id is None or len(model_id) == 32 or model_id == "all":
        return None
    return ResourceRef(model_id, _id(version))


def _legacy_resource(piece: JsonObject) -> ResourceRef | None:
    resource_id = _id(piece.get("resourceId"))
    is_version = piece.get("resourceType") == "commit"
    return ResourceRef(version_id=resource_id) if resource_id and is_version else None
