"""The data of each event on the wire → the event: one parser an event, named in event_table.py.

A parser takes `event.data` and the delivery's activity message. Errors: UnknownShape where the
data lacks what makes it that event.
"""

import re
from typing import Any

from bot.speckle.checks import checks_from_json
from bot.speckle.events import (
    AccessDeclined,
    AccessRequested,
    AutomationFailed,
    Change,
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    InvitationAccepted,
    InvitationDeclined,
    InvitationSent,
    IssueCreated,
    IssueDeleted,
    IssueReplied,
    IssueUpdated,
    ModelCreated,
    ModelDeleted,
    ModelRef,
    ModelUpdated,
    PermissionGranted,
    PermissionRevoked,
    ProjectDeleted,
    ProjectUpdated,
    ResourceRef,
    TextChange,
    UnknownEvent,
    VersionCreated,
    VersionDeleted,
    VersionMoved,
    VersionReceived,
    VersionUpdated,
)
from bot.speckle.issue_hints import ids_named
from bot.speckle.raw_json import MAX_PICTURE_BYTES
from bot.speckle.resources import MAX_RESOURCES, read_resources
from bot.speckle.rich_text import RichText, read_rich_text
from bot.speckle.wire import (
    JsonObject,
    id_of,
    ids_of,
    name_of,
    object_of,
    text_of,
    url_of,
    visibility_of,
)

# The id is in the activity message only, which the server writes, not a user.
NEW_COMMENT = re.compile(r"Comment added: ([A-Za-z0-9]{1,64}) \(")
NEW_REPLY = re.compile(r"Comment reply #([A-Za-z0-9]{1,64}) created")
MOVED_VERSION = re.compile(r"Commit moved: ([A-Za-z0-9]{1,64})")

MAX_SCREENSHOT_URL = MAX_PICTURE_BYTES
MAX_FILES = 50
MAX_PARENTS = 20


class UnknownShape(Exception):
    """A known event lacks what makes it that event."""


def version_created(data: JsonObject, _message: str) -> VersionCreated:
    """`commit` is the version; its id is next to it."""
    commit = object_of(data.get("commit"))
    return VersionCreated(
        version_id=_required(id_of(data.get("id")) or id_of(commit.get("versionId"))),
        model=_model_of_version(commit),
        message=text_of(commit.get("message")),
        application=name_of(commit.get("sourceApplication")),
        object_id=id_of(commit.get("objectId")),
        parents=ids_of(commit.get("parents"), MAX_PARENTS),
    )


def automation_failed(data: JsonObject, _message: str) -> AutomationFailed:
    """What the bot wrote down itself of the checks of a version."""
    return AutomationFailed(
        version_id=_required(id_of(data.get("id"))),
        model=_model_of_version(data),
        checks=checks_from_json(object_of(data.get("checks"))),
    )


def version_updated(data: JsonObject, _message: str) -> VersionUpdated:
    """`old` is the whole version, `new` what was asked to change."""
    old, new = object_of(data.get("old")), object_of(data.get("new"))
    model = _model_of_version(old)
    new_model = _model_name(new.get("newBranchName"))
    return VersionUpdated(
        version_id=_required(
            id_of(old.get("id")) or id_of(new.get("versionId")) or id_of(new.get("id"))
        ),
        model=model,
        message=_change(old, new, "message"),
        new_model_name=None if new_model == model.name else new_model,
    )


def version_received(data: JsonObject, _message: str) -> VersionReceived:
    """The application and its message; no version is named."""
    return VersionReceived(name_of(data.get("sourceApplication")), text_of(data.get("message")))


def version_deleted(data: JsonObject, _message: str) -> VersionDeleted:
    """`commit` is the version that is gone."""
    commit = object_of(data.get("commit"))
    return VersionDeleted(
        version_id=_required(id_of(commit.get("id"))),
        model=_model_of_version(commit),
        message=text_of(commit.get("message")),
        application=name_of(commit.get("sourceApplication")),
    )


def version_moved(data: JsonObject, message: str) -> VersionMoved:
    """The ids of both models; the version's own is in the message only."""
    old, new = id_of(data.get("originalBranchId")), id_of(data.get("newBranchId"))
    return VersionMoved(
        version_id=_found(MOVED_VERSION, message),
        old_model=ModelRef(_required(old)),
        new_model=ModelRef(_required(new)),
    )


def model_created(data: JsonObject, _message: str) -> ModelCreated:
    """`branch` is the model."""
    branch = object_of(data.get("branch"))
    return ModelCreated(_model(branch), text_of(branch.get("description")))


def model_updated(data: JsonObject, _message: str) -> ModelUpdated:
    """`old` is the whole model, `new` what was asked to change."""
    old, new = object_of(data.get("old")), object_of(data.get("new"))
    model = _model(old)
    new_name = _model_name(new.get("name")) or model.name
    return ModelUpdated(
        model=ModelRef(model.id, new_name),
        name=None if new_name == model.name else Change(model.name, new_name),
        description=_change(old, new, "description"),
    )


def model_deleted(data: JsonObject, _message: str) -> ModelDeleted:
    """`branch` is the model that is gone."""
    return ModelDeleted(_model(object_of(data.get("branch"))))


def project_updated(data: JsonObject, _message: str) -> ProjectUpdated:
    """`old` is the whole project, `new` what was asked to change."""
    old, new = object_of(data.get("old")), object_of(data.get("new"))
    if not old and not new:
        raise UnknownShape
    before, after = visibility_of(old), visibility_of(new)
    comments = new.get("allowPublicComments")
    comments_changed = isinstance(comments, bool) and comments != old.get("allowPublicComments")
    return ProjectUpdated(
        name=_change(old, new, "name") if new.get("name") else None,
        description=_change(old, new, "description"),
        visibility=None if after in (None, before) else Change(before, after),
        public_comments=comments if comments_changed else None,
    )


def project_deleted(_data: JsonObject, _message: str) -> ProjectDeleted:
    """Nothing is left to be read."""
    return ProjectDeleted()


def issue_created(data: JsonObject, message: str) -> IssueCreated:
    """Ids of anything, wherever they are: nobody has seen such data yet."""
    return IssueCreated(ids_named(data, message))


def issue_updated(data: JsonObject, message: str) -> IssueUpdated:
    """The same."""
    return IssueUpdated(ids_named(data, message))


def issue_replied(data: JsonObject, message: str) -> IssueReplied:
    """The same; the reply's id can be among them, the issue's, or both."""
    return IssueReplied(ids_named(data, message))


def issue_deleted(data: JsonObject, message: str) -> IssueDeleted:
    """The same."""
    return IssueDeleted(ids_named(data, message))


def comment_created(data: JsonObject, message: str) -> CommentCreated:
    """`input` is what the editor sent; the thread's id is in the message only."""
    wire = object_of(data.get("input"))
    if not wire:
        raise UnknownShape
    return CommentCreated(
        thread_id=_found(NEW_COMMENT, message),
        resources=_resources(wire),
        text=_comment_text(wire),
        screenshot=url_of(wire.get("screenshot"), MAX_SCREENSHOT_URL),
        files=_files(wire),
    )


def comment_replied(data: JsonObject, message: str) -> CommentReplied:
    """`input` is what the editor sent; the reply's id is in the message only."""
    wire = object_of(data.get("input"))
    return CommentReplied(
        thread_id=_required(id_of(wire.get("threadId")) or id_of(wire.get("parentComment"))),
        reply_id=_found(NEW_REPLY, message),
        text=_comment_text(wire),
        files=_files(wire),
    )


def comment_archived(data: JsonObject, _message: str) -> CommentResolved | CommentReopened:
    """`input` says which thread, and whether it is archived."""
    wire = object_of(data.get("input"))
    thread_id = _required(id_of(wire.get("commentId")))
    # Reopening is sent under the same name; before servers knew it, the field could be missing.
    reopened = wire.get("archived") is False
    return CommentReopened(thread_id) if reopened else CommentResolved(thread_id)


def comment_mentioned(data: JsonObject, _message: str) -> CommentMentioned:
    """The ids of the comment, its thread and the person."""
    comment_id = id_of(data.get("commentId"))
    return CommentMentioned(
        thread_id=_required(id_of(data.get("threadId")) or comment_id),
        comment_id=comment_id,
        target_id=id_of(data.get("mentionTargetId")),
    )


def permission_granted(data: JsonObject, _message: str) -> PermissionGranted:
    """The id of the person, and the role."""
    return PermissionGranted(_required(id_of(data.get("targetUser"))), name_of(data.get("role")))


def permission_revoked(data: JsonObject, _message: str) -> PermissionRevoked:
    """The id of the person."""
    return PermissionRevoked(_required(id_of(data.get("targetUser"))))


def invitation_sent(data: JsonObject, _message: str) -> InvitationSent:
    """The id of the person, or none for an e-mail address."""
    return InvitationSent(id_of(data.get("targetId")))


def invitation_accepted(data: JsonObject, _message: str) -> InvitationAccepted:
    """The id of the invited person, and the role."""
    return InvitationAccepted(id_of(data.get("targetUserId")), name_of(data.get("role")))


def invitation_declined(data: JsonObject, _message: str) -> InvitationDeclined:
    """The id of the invited person, which can be in an object."""
    target = data.get("targetId")
    return InvitationDeclined(id_of(target.get("userId") if isinstance(target, dict) else target))


def access_requested(data: JsonObject, _message: str) -> AccessRequested:
    """The id of the person who asks."""
    return AccessRequested(id_of(data.get("requesterId")))


def access_declined(data: JsonObject, _message: str) -> AccessDeclined:
    """The id of the person who asked."""
    return AccessDeclined(id_of(data.get("requesterId")))


def unknown_event(_data: JsonObject, _message: str) -> UnknownEvent:
    """Nothing is known of its data."""
    return UnknownEvent()


# ── Parts of events ───────────────────────────────────────────────────────────────────────────


def _required(value: str | None) -> str:
    if value is None:
        raise UnknownShape
    return value


def _found(pattern: re.Pattern[str], text: str) -> str | None:
    match = pattern.match(text)
    return match[1] if match else None


def _change(old: JsonObject, new: JsonObject, key: str) -> TextChange | None:
    """Before and after; None where the key was not sent or says the same as before."""
    if key not in new:
        return None
    before, after = text_of(old.get(key)), text_of(new.get(key))
    return None if before == after else Change(before, after)


def _model_name(value: Any) -> str | None:
    """Servers store names in lower case; an update repeats what was typed."""
    name = name_of(value)
    return None if name is None else name.lower()


def _model(branch: JsonObject) -> ModelRef:
    model = ModelRef(id_of(branch.get("id")), name_of(branch.get("name")))
    if model == ModelRef():
        raise UnknownShape
    return model


def _model_of_version(commit: JsonObject) -> ModelRef:
    model_id = id_of(commit.get("branchId")) or id_of(commit.get("modelId"))
    return ModelRef(model_id, name_of(commit.get("branchName")))


def _comment_text(wire: JsonObject) -> RichText:
    content = wire.get("content")
    return read_rich_text(content if isinstance(content, dict) else wire.get("text"), text_of)


def _files(wire: JsonObject) -> int:
    """How many files came with a comment; old servers have their ids beside its text."""
    ids = object_of(wire.get("content")).get("blobIds", wire.get("blobIds"))
    return len(ids_of(ids, MAX_FILES))


def _resources(wire: JsonObject) -> tuple[ResourceRef, ...]:
    """What a comment is on: "MODEL@VERSION,…", or a list in the form of old servers."""
    resource_ids = text_of(wire.get("resourceIdString"))
    if resource_ids is not None:
        return read_resources(resource_ids)
    listed = wire.get("resources")
    pieces = listed[:MAX_RESOURCES] if isinstance(listed, list) else []
    found = [_legacy_resource(object_of(piece)) for piece in pieces]
    return tuple(dict.fromkeys(resource for resource in found if resource is not None))


def _legacy_resource(piece: JsonObject) -> ResourceRef | None:
    """A version, an object, or the project itself."""
    resource_id = id_of(piece.get("resourceId"))
    match piece.get("resourceType"):
        case "commit" if resource_id:
            return ResourceRef(version_id=resource_id)
        case "object" if resource_id:
            return ResourceRef(object_id=resource_id)
        case _:
            return None
