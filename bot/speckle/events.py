"""What can happen in a Speckle project, as values. No I/O, and nothing of the wire.

What each event needs in addition to its value is its row in bot/speckle/event_table.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Generic, TypeAlias, TypeVar

from bot.speckle.rich_text import NO_TEXT, RichText

T = TypeVar("T")


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
    ISSUE_CREATED = "issue_created"
    ISSUE_UPDATED = "issue_updated"
    ISSUE_REPLIED = "issue_replied"
    ISSUE_DELETED = "issue_deleted"
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
    """Several events under one name, so that nobody has to pick single ones.

    A server has issues, or the comments that came before them, or both: they are one group.
    """

    VERSIONS = "versions"
    MODELS = "models"
    ISSUES = "issues"
    PROJECT = "project"
    PEOPLE = "people"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SpeckleUser:
    """Somebody on a Speckle server; `avatar` is a http(s) URL or a data: URL, as it was sent."""

    id: str
    name: str | None = None
    avatar: str | None = None


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A model with what an event says of it: its id, its name, both or neither."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ResourceRef:
    """What a comment or an issue is on; a model without a version is whatever is its latest.

    `folder` holds all models below that name; `whole` is the project with all its models.
    """

    model_id: str | None = None
    version_id: str | None = None
    object_id: str | None = None
    folder: str | None = None
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Project:
    """The project of an event; a deleted one has only its id left."""

    id: str
    name: str | None = None
    visibility: str | None = None


@dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """Something before and after; the two always differ."""

    old: T
    new: T


TextChange: TypeAlias = Change[str | None]
"""A text before and after; None is empty."""


@dataclass(frozen=True, slots=True)
class PreviousVersion:
    """The version before a new one in the same model."""

    id: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What only the Speckle server knows of a new version; None is what it did not say.

    `open_threads` and `open_issues` are those on the model; `bundle` says that the version has no
    tree of objects. `made_at` is when the server first had the version. `message`, `object_id` and
    `parents` are what the server has of the version itself, whatever an event says.
    """

    object_count: int | None = None
    previous: PreviousVersion | None = None
    open_threads: int | None = None
    open_issues: int | None = None
    made_at: datetime | None = None
    application: str | None = None
    author: SpeckleUser | None = None
    model: ModelRef = ModelRef()
    message: str | None = None
    object_id: str | None = None
    bundle: bool = False
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """A file that came with a comment or an issue; `id` is that of its blob."""

    id: str
    name: str
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class CommentFacts:
    """The thread that a comment, reply or archiving belongs to; `first_line` is plain text.

    `made_at` and `author` are those of the comment that was asked for, which `is_reply` or the
    thread itself, and so are its `files`. `archived` is whether the thread is resolved. `models`
    are the models that the thread is on, with names.
    """

    thread_id: str
    first_line: str | None = None
    resources: tuple[ResourceRef, ...] = ()
    is_reply: bool = False
    archived: bool = False
    made_at: datetime | None = None
    author: SpeckleUser | None = None
    models: tuple[ModelRef, ...] = ()
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueLabel:
    """A label of an issue; `colour` is 0xRRGGBB."""

    name: str
    colour: int | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as its server has it now; `identifier` is what people call it, "KT-12".

    Servers have the statuses `open`, `readyForReview` and `resolved`, the priorities `none`,
    `low`, `medium` and `high`, and may get others.
    """

    id: str
    identifier: str | None = None
    title: str | None = None
    text: RichText = NO_TEXT
    status: str | None = None
    priority: str | None = None
    assignee: SpeckleUser | None = None
    author: SpeckleUser | None = None
    labels: tuple[IssueLabel, ...] = ()
    due: datetime | None = None
    resources: tuple[ResourceRef, ...] = ()
    picture_url: str | None = None
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueChange:
    """What somebody changed of an issue; None is what stayed the same.

    Labels are names or ids. `place_changed` says that it is on something else in the model now.
    """

    at: datetime
    actor: SpeckleUser | None = None
    title: TextChange | None = None
    text: Change[RichText] | None = None
    status: TextChange | None = None
    priority: TextChange | None = None
    assignee: Change[SpeckleUser | None] | None = None
    due: Change[datetime | None] | None = None
    labels_added: tuple[str, ...] = ()
    labels_removed: tuple[str, ...] = ()
    place_changed: bool = False


@dataclass(frozen=True, slots=True)
class IssueReply:
    """A reply to an issue."""

    id: str
    at: datetime
    author: SpeckleUser | None = None
    text: RichText = NO_TEXT
    files: tuple[AttachedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueHint:
    """What an event tells of an issue: what happened, by whom and when, and ids of anything.

    `shown_until` is when the newest change was that has been shown of it already.
    """

    kind: EventKind
    ids: tuple[str, ...]
    at: datetime
    actor_id: str | None = None
    shown_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class IssueFacts:
    """The issue that an event is about, and what the event says happened to it.

    `changed_at` is when that was: when the issue or its reply was made, or when it was changed.
    `models` are the models that it is on, with names.
    """

    issue: Issue
    changed_at: datetime
    change: IssueChange | None = None
    reply: IssueReply | None = None
    models: tuple[ModelRef, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceivedFacts:
    """Which version was received, from the activity list; the event does not say."""

    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectNames:
    """Names by id of a project's models and people; `complete`: it has no other models."""

    models: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True, slots=True)
class KnownThread:
    """What a hook's own events told of a thread."""

    first_line: str | None
    resources: tuple[ResourceRef, ...] = ()


Facts = VersionFacts | CommentFacts | ReceivedFacts | IssueFacts
"""What a Speckle server adds to an event."""


@dataclass(frozen=True, slots=True)
class Event:
    """What happened in a project."""

    kind: ClassVar[EventKind]

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The models that the event touches; one that it does not name is an empty `ModelRef`."""
        values = (getattr(self, field.name) for field in fields(self))
        return tuple(value for value in values if isinstance(value, ModelRef))


@dataclass(frozen=True, slots=True)
class VersionCreated(Event):
    """A new version of a model was published."""

    kind = EventKind.VERSION_CREATED
    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None
    application: str | None = None
    object_id: str | None = None
    parents: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionUpdated(Event):
    """A version's message was edited; servers before 2.25 also move versions this way."""

    kind = EventKind.VERSION_UPDATED
    version_id: str
    model: ModelRef = ModelRef()
    message: TextChange | None = None
    new_model_name: str | None = None

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The model that it is in, and the one that it went to."""
        return (self.model, ModelRef(name=self.new_model_name))


@dataclass(frozen=True, slots=True)
class VersionReceived(Event):
    """Somebody loaded a version into an application; which version, the wire does not say."""

    kind = EventKind.VERSION_RECEIVED
    application: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class VersionDeleted(Event):
    """A version is gone."""

    kind = EventKind.VERSION_DELETED
    version_id: str
    model: ModelRef = ModelRef()
    message: str | None = None
    application: str | None = None


@dataclass(frozen=True, slots=True)
class VersionMoved(Event):
    """A version went from one model to another; the wire has the models' ids only."""

    kind = EventKind.VERSION_MOVED
    version_id: str | None = None
    old_model: ModelRef = ModelRef()
    new_model: ModelRef = ModelRef()


@dataclass(frozen=True, slots=True)
class ModelCreated(Event):
    """A new, empty model."""

    kind = EventKind.MODEL_CREATED
    model: ModelRef = ModelRef()
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ModelUpdated(Event):
    """A model's name or description changed; `model` has the new name."""

    kind = EventKind.MODEL_UPDATED
    model: ModelRef = ModelRef()
    name: TextChange | None = None
    description: TextChange | None = None

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The model by its new name and by its old one."""
        old = ModelRef() if self.name is None else ModelRef(self.model.id, self.name.old)
        return (self.model, old)


@dataclass(frozen=True, slots=True)
class ModelDeleted(Event):
    """A model is gone, and its versions with it."""

    kind = EventKind.MODEL_DELETED
    model: ModelRef = ModelRef()


@dataclass(frozen=True, slots=True)
class IssueEvent(Event):
    """Something happened to an issue: `ids` may be its own, its reply's, or of anything else."""

    ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssueCreated(IssueEvent):
    """An issue was opened."""

    kind = EventKind.ISSUE_CREATED


@dataclass(frozen=True, slots=True)
class IssueUpdated(IssueEvent):
    """An issue was changed."""

    kind = EventKind.ISSUE_UPDATED


@dataclass(frozen=True, slots=True)
class IssueReplied(IssueEvent):
    """Somebody replied to an issue."""

    kind = EventKind.ISSUE_REPLIED


@dataclass(frozen=True, slots=True)
class IssueDeleted(IssueEvent):
    """An issue is gone."""

    kind = EventKind.ISSUE_DELETED


@dataclass(frozen=True, slots=True)
class CommentCreated(Event):
    """A new thread; `screenshot` is a data: URL as it was sent, `files` how many came with it."""

    kind = EventKind.COMMENT_CREATED
    thread_id: str | None = None
    resources: tuple[ResourceRef, ...] = ()
    text: RichText = NO_TEXT
    screenshot: str | None = None
    files: int = 0

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """The models that it is on, by their ids; a folder is judged like a model of its name."""
        return tuple(ModelRef(resource.model_id, resource.folder) for resource in self.resources)


@dataclass(frozen=True, slots=True)
class CommentReplied(Event):
    """A reply in a thread; `files` is how many came with it."""

    kind = EventKind.COMMENT_REPLIED
    thread_id: str
    reply_id: str | None = None
    text: RichText = NO_TEXT
    files: int = 0


@dataclass(frozen=True, slots=True)
class CommentResolved(Event):
    """A thread was resolved."""

    kind = EventKind.COMMENT_RESOLVED
    thread_id: str


@dataclass(frozen=True, slots=True)
class CommentReopened(Event):
    """A resolved thread was opened again."""

    kind = EventKind.COMMENT_REOPENED
    thread_id: str


@dataclass(frozen=True, slots=True)
class CommentMentioned(Event):
    """Somebody was mentioned in a comment; the comment has an event of its own."""

    kind = EventKind.COMMENT_MENTIONED
    thread_id: str
    comment_id: str | None = None
    target_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionGranted(Event):
    """Somebody got a role in the project; `role` as on the wire ("stream:owner")."""

    kind = EventKind.PERMISSION_GRANTED
    user_id: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionRevoked(Event):
    """Somebody is no longer in the project."""

    kind = EventKind.PERMISSION_REVOKED
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationSent(Event):
    """Somebody was invited; without an id it was by e-mail, and the address stays on the wire."""

    kind = EventKind.INVITATION_SENT
    target_id: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationAccepted(Event):
    """Somebody accepted an invitation and is now in the project."""

    kind = EventKind.INVITATION_ACCEPTED
    user_id: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class InvitationDeclined(Event):
    """Somebody declined an invitation."""

    kind = EventKind.INVITATION_DECLINED
    user_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessRequested(Event):
    """Somebody asks to be let into the project."""

    kind = EventKind.ACCESS_REQUESTED
    requester_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccessDeclined(Event):
    """A request to be let in was turned down."""

    kind = EventKind.ACCESS_DECLINED
    requester_id: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectUpdated(Event):
    """The project's name, description or openness changed; None is what did not change."""

    kind = EventKind.PROJECT_UPDATED
    name: TextChange | None = None
    description: TextChange | None = None
    visibility: TextChange | None = None
    public_comments: bool | None = None


@dataclass(frozen=True, slots=True)
class ProjectDeleted(Event):
    """The project is gone, with everything in it; nothing will come after this."""

    kind = EventKind.PROJECT_DELETED


@dataclass(frozen=True, slots=True)
class UnknownEvent(Event):
    """An event that no table knows, or a known one in a shape that nobody has seen yet."""

    kind = EventKind.UNKNOWN


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event as it came in, with who did it and where.

    `event_name` is the wire's; `server_url` a normalised origin, or None where the event names no
    usable one. `legacy` is an old server, whose pages are at /streams/….
    """

    event: Event
    event_name: str
    project: Project
    actor: SpeckleUser | None = None
    server_url: str | None = None
    activity_message: str | None = None
    legacy: bool = False

    @property
    def models(self) -> tuple[ModelRef, ...]:
        """Each model that the event touches, once; () where it touches none or names none."""
        return tuple(dict.fromkeys(m for m in self.event.models if m != ModelRef()))
