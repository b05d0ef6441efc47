"""What can happen in a Speckle project, as values. No I/O, and nothing of the wire.

What each event needs in addition to its value is its row in bot/speckle/event_table.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import ClassVar, Generic, TypeAlias, TypeVar

from bot.speckle.checks import NO_CHECKS, Checks
from bot.speckle.rich_text import NO_TEXT, RichText

T = TypeVar("T")


class EventKind(StrEnum):
    """Our name for each event: in filters, in the documentation and in the database."""

    VERSION_CREATED = "version_created"
    VERSION_UPDATED = "version_updated"
    VERSION_RECEIVED = "version_received"
    VERSION_DELETED = "version_deleted"
    VERSION_MOVED = "version_moved"
    AUTOMATION_FAILED = "automation_failed"
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

    @property
    def words(self) -> str:
        """Its name in a sentence."""
        return self.value.replace("_", " ")


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
class ProjectNames:
    """Names by id of a project's models and people; `complete`: it has no other models."""

    models: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False


@dataclass(frozen=True, slots=True)
class KnownThread:
    """What a hook's own events said of a thread."""

    first_line: str | None
    resources: tuple[ResourceRef, ...] = ()


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
class AutomationFailed(Event):
    """Automations ran on a version, and some found errors or broke: what the bot found out."""

    kind = EventKind.AUTOMATION_FAILED
    version_id: str
    model: ModelRef = ModelRef()
    checks: Checks = NO_CHECKS


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
