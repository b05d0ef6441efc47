"""What a Speckle server says of an event that the event leaves out, as values. No I/O."""

from dataclasses import dataclass
from datetime import datetime

from bot.speckle.events import Change, ModelRef, ResourceRef, SpeckleUser, TextChange
from bot.speckle.rich_text import NO_TEXT, RichText


@dataclass(frozen=True, slots=True)
class PreviousVersion:
    """A version before a new one in the same model; `object_id` is its root, None of a bundle."""

    id: str
    created_at: datetime | None = None
    object_id: str | None = None
    bundle: bool = False


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What only the Speckle server knows of a new version; None is what it did not say.

    `count_is_late`: the objects could not be counted in time, and may be asked about again.
    `open_threads` and `open_issues` are those on the model; `bundle` says that the version has no
    tree of objects. `made_at` is when the server first had the version. `message`, `object_id` and
    `parents` are what the server has of the version itself, whatever an event says.
    `compared_with` is the version that it is compared with: of several that came at once, the last
    one with the one before them all, and the others (`overtaken`) with none.
    """

    object_count: int | None = None
    count_is_late: bool = False
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
    compared_with: PreviousVersion | None = None
    overtaken: bool = False

    @property
    def compared_since(self) -> PreviousVersion | None:
        """The version that it is compared with, where that is not the one before."""
        return None if self.compared_with == self.previous else self.compared_with


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


Facts = VersionFacts | CommentFacts | ReceivedFacts | IssueFacts
"""What a Speckle server adds to an event."""
