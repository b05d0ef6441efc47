"""What a Speckle server holds: people, tokens, projects and what is in them, as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.speckle.automations import AutomationRun
from sandbox.speckle.made_models import MadeElement

BOT_SCOPES = ("streams:read", "streams:write", "profile:read")


OWNER, CONTRIBUTOR, REVIEWER = "stream:owner", "stream:contributor", "stream:reviewer"


@dataclass(eq=False)
class User:
    """Somebody with an account."""

    id: str
    name: str
    email: str
    avatar: str | None = None
    role: str = "server:user"


@dataclass(eq=False)
class Token:
    """A personal token, or one of an app; `only` are the projects it is limited to."""

    text: str
    user: User
    scopes: tuple[str, ...]
    only: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    app: "SignInApp | None" = None
    refresh: str | None = None
    revoked: bool = False
    made_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    name: str = ""


@dataclass(eq=False)
class SignInApp:
    """An application that people can sign in to."""

    id: str
    secret: str
    redirect_url: str
    author: User | None = None
    scopes: tuple[str, ...] = BOT_SCOPES
    name: str = "The bot"


@dataclass(eq=False)
class AccessCode:
    """An approval that was given and not yet traded."""

    text: str
    app: SignInApp
    user: User
    challenge: str
    made_at: datetime
    is_hashed: bool = False  # the challenge is the hash of what the application keeps to itself


@dataclass(eq=False)
class Model:
    """A model; names are lower case."""

    id: str
    name: str
    description: str | None
    author: User | None
    created_at: datetime
    updated_at: datetime
    project: "ServerProject" = field(repr=False)

    @property
    def display_name(self) -> str:
        return self.name.rsplit("/", 1)[-1]


@dataclass(eq=False)
class Version:
    """A version with its root object; `application` as it was sent.

    `artifacts` are names and addresses of the files of one that is a bundle. `elements` are what
    people count in it, where that is known.
    """

    id: str
    model: Model
    author: User | None
    message: str | None
    application: str | None
    object_id: str
    parents: tuple[str, ...]
    created_at: datetime
    rendered: bool = False
    preview_asked: int = 0
    artifacts: list[tuple[str, str]] = field(default_factory=list)
    elements: Sequence[MadeElement] | None = field(default=None, repr=False)
    automation_runs: list[AutomationRun] = field(default_factory=list)


@dataclass(eq=False)
class Comment:
    """A thread, or a reply with its parent."""

    id: str
    project: "ServerProject" = field(repr=False)
    author: User
    doc: dict[str, Any]
    versions: tuple[Version, ...]
    created_at: datetime
    updated_at: datetime
    parent: "Comment | None" = None
    archived: bool = False
    screenshot: str | None = None


@dataclass(frozen=True, slots=True)
class CallAnswer:
    """What came of a webhook's call: status and the beginning of the body, or why there is none."""

    status: int | None
    text: str
    took_ms: int


@dataclass(eq=False)
class HistoryEntry:
    """One call of a webhook: 0 queued, 1 being called, 2 delivered, 3 failed."""

    id: str
    webhook_id: str
    status: int
    payload: str
    last_update: datetime
    created_at: datetime
    event_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # what was sent with it
    called_at: datetime | None = None
    answer: CallAnswer | None = None

    @property
    def body(self) -> bytes:
        """What is sent, byte for byte."""
        return b'{"payload":' + self.payload.encode() + b"}"


@dataclass(eq=False)
class Webhook:
    """A webhook of a project; its history has the oldest first."""

    id: str
    project: "ServerProject" = field(repr=False)
    url: str
    description: str | None
    triggers: list[str]
    secret: str | None
    enabled: bool
    created_at: datetime
    updated_at: datetime
    history: list[HistoryEntry] = field(default_factory=list)


@dataclass(eq=False)
class ActivityEntry:
    """One line of a project's activity list."""

    id: str
    action: str
    user: User | None
    resource_id: str
    resource_type: str
    time: datetime
    info: dict[str, Any]
    message: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """A role that somebody was offered and has not answered."""

    role: str
    by: User


@dataclass(eq=False)
class ServerProject:
    """A project and all that is in it, in the order in which it came."""

    id: str
    name: str
    description: str | None
    visibility: str
    created_at: datetime
    updated_at: datetime
    roles: dict[str, str] = field(default_factory=dict)
    public_comments: bool = False
    models: list[Model] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    webhooks: list[Webhook] = field(default_factory=list)
    activity: list[ActivityEntry] = field(default_factory=list)
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    chunks: set[str] = field(default_factory=set)  # objects that are parts of lists
    lost: set[str] = field(default_factory=set)  # objects that the server leaves out of answers
    blobs: dict[str, bytes] = field(default_factory=dict)
    issue_pictures: dict[str, bytes] = field(default_factory=dict)  # by the issue's id
    invitations: dict[str, Invitation] = field(default_factory=dict)  # by the invited user's id
    access_requests: list[str] = field(default_factory=list)  # ids of users who ask to be let in

    @property
    def is_public(self) -> bool:
        return self.visibility in ("PUBLIC", "UNLISTED")

    def role_of(self, user: User | None) -> str | None:
        """The role of a person in here."""
        return None if user is None else self.roles.get(user.id)
