"""What can happen in a Speckle project, as values. No I/O, and nothing of the wire but its names.

Source for triggers: a Speckle Server 2.31 and the list `WebhookTriggers` of its web application.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from bot.speckle.rich_text import NO_TEXT, RichText


class EventKind(StrEnum):
    """Our name for each event: in filters, in the documentation and in the database."""

    VERSION_CREATED = "version_created"
    VERSION_UPDATED = "version_updated"
    VERSION_RECEIVED = "version_received"
    VERSION_DELETED = "version_deleted"
    VERSION_MOVED = "version_moved"
    MODEL_CREATED = "model_created"
    MODEL_UPDATED = "model_updated"
    MODEL_DELETED = "model_deleted"
    COMMENT_CREATED = "comment_created"
    COMMENT_REPLIED = "comment_replied"
    COMMENT_RESOLVED = "comment_resolved"
    COMMENT_REOPENED = "comment_reopened"
    COMMENT_MENTIONED = "comment_mentioned"
    PROJECT_UPDATED = "project_updated"
    PROJECT_DELETED = "project_deleted"
    PERMISSION_GRANTED = "permission_granted"
    PERMISSION_REVOKED = "permission_revoked"
    INVITATION_SENT = "invitation_sent"
    INVITATION_ACCEPTED = "invitation_accepted"
    INVITATION_DECLINED = "invitation_declined"
    ACCESS_REQUESTED = "access_requested"
    ACCESS_DECLINED = "access_declined"
    UNKNOWN = "unknown"


class EventGroup(StrEnum):
    """What a person picks who does not want to pick single events."""

    VERSIONS = "versions"
    MODELS = "models"
    COMMENTS = "comments"
    PROJECT = "project"
    PEOPLE = "people"
    OTHER = "other"


KINDS_OF: Mapping[EventGroup, tuple[EventKind, ...]] = {
    EventGroup.VERSIONS: (
        EventKind.VERSION_CREATED,
        EventKind.VERSION_UPDATED,
        EventKind.VERSION_RECEIVED,
        EventKind.VERSION_DELETED,
        EventKind.VERSION_MOVED,
    ),
    EventGroup.MODELS: (
        EventKind.MODEL_CREATED,
        EventKind.MODEL_UPDATED,
        EventKind.MODEL_DELETED,
    ),
    EventGroup.COMMENTS: (
        EventKind.COMMENT_CREATED,
        EventKind.COMMENT_REPLIED,
        EventKind.COMMENT_RESOLVED,
        EventKind.COMMENT_REOPENED,
        EventKind.COMMENT_MENTIONED,
    ),
    EventGroup.PROJECT: (EventKind.PROJECT_UPDATED, EventKind.PROJECT_DELETED),
    EventGroup.PEOPLE: (
        EventKind.PERMISSION_GRANTED,
        EventKind.PERMISSION_REVOKED,
        EventKind.INVITATION_SENT,
        EventKind.INVITATION_ACCEPTED,
        EventKind.INVITATION_DECLINED,
        EventKind.ACCESS_REQUESTED,
        EventKind.ACCESS_DECLINED,
    ),
    EventGroup.OTHER: (EventKind.UNKNOWN,),
}

TRIGGERS: Mapping[EventKind, tuple[str, ...]] = {
    EventKind.VERSION_CREATED: ("commit_create",),
    EventKind.VERSION_UPDATED: ("commit_update",),
    EventKind.VERSION_RECEIVED: ("commit_receive",),
    EventKind.VERSION_DELETED: ("commit_delete",),
    EventKind.VERSION_MOVED: ("commit_move",),
    EventKind.MODEL_CREATED: ("branch_create",),
    EventKind.MODEL_UPDATED: ("branch_update",),
    EventKind.MODEL_DELETED: ("branch_delete",),
    EventKind.COMMENT_CREATED: ("comment_created",),
    EventKind.COMMENT_REPLIED: ("comment_replied",),
    EventKind.COMMENT_RESOLVED: ("comment_archived",),
    EventKind.COMMENT_REOPENED: ("comment_archived",),
    EventKind.COMMENT_MENTIONED: ("comment_mention",),
    EventKind.PROJECT_UPDATED: ("stream_update",),
    EventKind.PROJECT_DELETED: ("stream_delete",),
    EventKind.PERMISSION_GRANTED: ("stream_permissions_add",),
    EventKind.PERMISSION_REVOKED: ("stream_permissions_remove",),
    EventKind.INVITATION_SENT: ("stream_invite_sent",),
    EventKind.INVITATION_ACCEPTED: ("stream_permissions_invite_accepted",),
    EventKind.INVITATION_DECLINED: ("stream_invite_declined",),
    EventKind.ACCESS_REQUESTED: ("stream_access_request_sent",),
    EventKind.ACCESS_DECLINED: ("stream_access_request_declined",),
    EventKind.UNKNOWN: (),
}
"""The wire's trigger names that deliver an event."""

LISTED_TRIGGERS: frozenset[str] = frozenset(
    {
        "stream_update",
        "stream_delete",
        "branch_create",
        "branch_update",
        "branch_delete",
        "commit_create",
        "commit_update",
        "commit_receive",
        "commit_delete",
        "comment_created",
        "comment_archived",
        "comment_replied",
        "stream_permissions_add",
        "stream_permissions_remove",
    }
)
"""The triggers that Speckle's settings page offers; the others need its API."""


def group_of(kind: EventKind) -> EventGroup:
    """The group that an event belongs to."""
    return next(group for group, kinds in KINDS_OF.items() if kind in kinds)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody on a Speckle server; `avatar` is a http(s) URL or a data: URL, as it was sent."""

    id: str
    name: str | None = None
    avatar: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model, as far as an event names it."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """What a comment is on; without a version it is on whatever is the latest."""

    model_id: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """The project of an event; a deleted one has only its id left."""

    id: str
    name: str | None = None
    visibility: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A text before and after; the two always differ, None is empty."""

    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class PreviousVersion:
    """The version before a new one in the same model."""

    id: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What only the Speckle server can tell about a new version; None is what it did not tell.

    `number` counts the model's versions up to this one, `open_threads` those on the model;
    `made_at` is when the server first had the version. `message`, `object_id` and `parents` are
    what the server has of the version itself, whatever an event says.
    """

    object_count: int | None = None
    previous: PreviousVersion | None = None
    number: int | None = None
    open_threads: int | None = None
    made_at: datetime | None = None
    application: str | None = None
    author: Person | None = None
    model: ModelRef = ModelRef()
    message: str | None = None
    object_id: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CommentFacts:
    """The thread that a comment, reply or archiving belongs to; `first_line` is plain text.

    `made_at` and `author` are those of the comment that was asked for, which `is_reply` or the
    thread itself. `archived` is whether the thread is resolved. `models` are the models that the
    thread is on, with names.
    """

    thread_id: str
    first_line: str | None = None
    resources: tuple[ResourceRef, ...] = ()
    is_reply: bool = False
    archived: bool = False
    made_at: datetime | None = None
    author: Person | None = None
    models: tuple[ModelRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedFacts:
    """Which version was received, from the activity list; the wire does not say."""

    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None


Facts = VersionFacts | CommentFacts | ReceivedFacts
"""What a Speckle server adds to an event."""


@dataclass(frozen=True, slots=True)
class VersionCreated:
    """A new version of a model was published."""

    kind: ClassVar[EventKind] = EventKind.VERSION_CREATED
    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None
    application: str | None = None
    object_id: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionUpdated:
    """A version's message was edited; servers before 2.25 also move versions this way."""

    kind: ClassVar[EventKind] = EventKind.VERSION_UPDATED
    version_id: str
    model: ModelRef = ModelRef()
    message: Change | None = None
    new_model_name: str | None = None


@dataclass(frozen=True, slots=True)
class VersionReceived:
    """Somebody loaded a version into an application; which version, the wire does not say."""

    kind: ClassVar[EventKind] = EventKind.VERSION_RECEIVED
    application: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class VersionDeleted:
    """A version is gone."""

    kind: ClassVar[EventKind] = EventKind.VERSION_DELETED
    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None
    application: str | None = None


@dataclass(frozen=True, slots=True)
class VersionMoved:
    """A version went from one model to another; the wire has the models' ids only."""

    kind: ClassVar[EventKind] = EventKind.VERSION_MOVED
    version_id: str | None = None
    old_model: ModelRef = ModelRef()
    new_model: ModelRef = ModelRef()


@dataclass(frozen=True, slots=True)
class ModelCreated:
    """A new, empty model."""

    kind: ClassVar[EventKind] = EventKind.MODEL_CREATED
    model: ModelRef = ModelRef()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ModelUpdated:
    """A model's name or description changed; `model` has the new name."""

    kind: ClassVar[EventKind] = EventKind.MODEL_UPDATED
    model: ModelRef = ModelRef()
    name: Change | None = None
    description: Change | None = None


@dataclass(frozen=True, slots=True)
class ModelDeleted:
    """A model is gone, and its versions with it."""

    kind: ClassVar[EventKind] = EventKind.MODEL_DELETED
    model: ModelRef = ModelRef()


@dataclass(frozen=True, slots=True)
class CommentCreated:
    """A new thread; `screenshot` is a data: URL as it was sent."""

    kind: ClassVar[EventKind] = EventKind.COMMENT_CREATED
    thread_id: str | None = None
    resources: tuple[ResourceRef, ...] = ()
    text: RichText = NO_TEXT
    screenshot: str | None = None


@dataclass(frozen=True, slots=True)
class CommentReplied:
    """A reply in a thread."""

    kind: ClassVar[EventKind] = EventKind.COMMENT_REPLIED
    thread_id: str | None = None
    reply_id: str | None = None
    text: RichText = NO_TEXT


@dataclass(frozen=True, slots=True)
class CommentResolved:
    """A thread was resolved."""

    kind: ClassVar[EventKind] = EventKind.COMMENT_RESOLVED
    thread_id: str


@dataclass(frozen=True, slots=True)
class CommentReopened:
    """A resolved thread was opened again."""

    kind: ClassVar[EventKind] = EventKind.COMMENT_REOPENED
    thread_id: str


@dataclass(frozen=True, slots=True)
class CommentMentioned:
    """Somebody was mentioned in a comment; it comes beside the comment's own event."""

    kind: ClassVar[EventKind] = EventKind.COMMENT_MENTIONED
    thread_id: str
    comment_id: str | None = None
    target_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionGranted:
    """Somebody got a role in the project; `role` as on the wire ("stream:owner")."""

    kind: ClassVar[EventKind] = EventKind.PERMISSION_GRANTED
    user_id: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionRevoked:
    """Somebody is no longer in the project."""

    kind: ClassVar[EventKind] = EventKind.PERMISSION_REVOKED
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationSent:
    """Somebody was invited; without an id it was by e-mail, and the address stays on the wire."""

    kind: ClassVar[EventKind] = EventKind.INVITATION_SENT
    target_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationAccepted:
    """Somebody accepted an invitation and is now in the project."""

    kind: ClassVar[EventKind] = EventKind.INVITATION_ACCEPTED
    user_id: str | None = None
    role: str | None = None
    inviter_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationDeclined:
    """Somebody declined an invitation."""

    kind: ClassVar[EventKind] = EventKind.INVITATION_DECLINED
    user_id: str | None = None
    inviter_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessRequested:
    """Somebody asks to be let into the project."""

    kind: ClassVar[EventKind] = EventKind.ACCESS_REQUESTED
    requester_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessDeclined:
    """A request to be let in was turned down."""

    kind: ClassVar[EventKind] = EventKind.ACCESS_DECLINED
    requester_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectUpdated:
    """The project's name, description or openness changed; None is what did not change."""

    kind: ClassVar[EventKind] = EventKind.PROJECT_UPDATED
    name: Change | None = None
    description: Change | None = None
    visibility: Change | None = None
    public_comments: bool | None = None


@dataclass(frozen=True, slots=True)
class ProjectDeleted:
    """The project is gone, with everything in it; nothing will come after this."""

    kind: ClassVar[EventKind] = EventKind.PROJECT_DELETED


@dataclass(frozen=True, slots=True)
class UnknownEvent:
    """An event that no table knows, or a known one in a shape that nobody has seen yet."""

    kind: ClassVar[EventKind] = EventKind.UNKNOWN


Event = (
    VersionCreated
    | VersionUpdated
    | VersionReceived
    | VersionDeleted
    | VersionMoved
    | ModelCreated
    | ModelUpdated
    | ModelDeleted
    | CommentCreated
    | CommentReplied
    | CommentResolved
    | CommentReopened
    | CommentMentioned
    | PermissionGranted
    | PermissionRevoked
    | InvitationSent
    | InvitationAccepted
    | InvitationDeclined
    | AccessRequested
    | AccessDeclined
    | ProjectUpdated
    | ProjectDeleted
    | UnknownEvent
)


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as it came in, with who did it and where.

    `event_name` is the wire's; `server_url` a normalised origin, or None where the event names no
    usable one. `legacy` is an old server, whose pages are at /streams/….
    """

    event: Event
    event_name: str
    project: Project
    actor: Person | None = None
    server_url: str | None = None
    server_name: str | None = None
    activity_message: str | None = None
    legacy: bool = False

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Each model that the event touches, once; () where it touches none or names none."""
        found: tuple[ModelRef, ...] = ()
        match self.event:
            case VersionUpdated() as event if event.new_model_name is not None:
                found = (event.model, ModelRef(name=event.new_model_name))
            case VersionCreated() | VersionUpdated() | VersionDeleted() as event:
                found = (event.model,)
            case VersionMoved() as event:
                found = (event.old_model, event.new_model)
            case ModelUpdated() as event if event.name is not None:
                found = (event.model, ModelRef(event.model.id, event.name.old))
            case ModelCreated() | ModelUpdated() | ModelDeleted() as event:
                found = (event.model,)
            case CommentCreated() as event:
                found = tuple(ModelRef(resource.model_id) for resource in event.resources)
            case _:
                pass
        return tuple(dict.fromkeys(m for m in found if m != ModelRef()))

    @property
    def model_names(self) -> tuple[str, ...]:
        """The names of the models that the event touches, where it has them."""
        return tuple(dict.fromkeys(m.name for m in self.models if m.name is not None))

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The ids of the models that the event touches, where it has them."""
        return tuple(dict.fromkeys(m.id for m in self.models if m.id is not None))
