"""What a Speckle server is asked with, and what it answers, as values. No I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a token allows, in Speckle's own words."""

    PROFILE_READ = "profile:read"
    STREAMS_READ = "streams:read"
    STREAMS_WRITE = "streams:write"


SCOPES = (Scope.STREAMS_READ, Scope.STREAMS_WRITE, Scope.PROFILE_READ)
"""What the bot asks a person for; without `streams:write` it makes no webhooks."""


@dataclass(frozen=True, slots=True)
class Login:
    """A server, and the token that it issued; None asks as a stranger, for what is public."""

    server_url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Tokens:
    """What opens an account; with a refresh token it came by signing in, else by hand."""

    token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SpeckleApp:
    """The application that the operator registered on one server, for signing in."""

    server_url: str
    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Me:
    """Whose token it is."""

    user_id: str
    name: str | None = None


PUBLIC = ("public", "unlisted")
"""The visibilities with which anybody who has the link may read a project."""


@dataclass(frozen=True, slots=True)
class ProjectRights:
    """A project as the asking account sees it; `visibility` in lower case, as in events.

    `role` is "stream:owner", "stream:contributor", "stream:reviewer" or None for no member.
    `may_webhooks` speaks of the person, not of the token's scopes; `why_not` is Speckle's word.
    """

    id: str
    name: str
    visibility: str
    role: str | None
    may_webhooks: bool
    why_not: str | None = None

    @property
    def is_public(self) -> bool:
        """Whether anybody with the link may read it."""
        return self.visibility in PUBLIC


@dataclass(frozen=True, slots=True)
class ProjectChoice:
    """A project in a list of the account's own."""

    id: str
    name: str
    role: str | None = None


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model of a project."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class SpeckleWebhook:
    """A webhook as its project's owner sees it; its id is to be kept as a secret."""

    id: str = field(repr=False)
    url: str = field(repr=False)
    triggers: tuple[str, ...]
    enabled: bool
    has_secret: bool
    description: str | None = None


class CallStatus(StrEnum):
    """What became of one delivery, in the webhook's history."""

    QUEUED = "queued"
    CALLING = "calling"  # stuck there for good if the service died meanwhile
    DELIVERED = "delivered"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """One entry of a webhook's history; `body` is byte for byte what was or would have been sent.

    `body` is None where the history was asked without bodies.
    """

    id: str
    status: CallStatus
    at: datetime
    body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class History:
    """The newest entries of a webhook's history, newest first; `total` counts all there are."""

    total: int
    calls: tuple[RecordedCall, ...]


@dataclass(frozen=True, slots=True)
class Activity:
    """One entry of a project's activity list; `info` is what a webhook's `event.data` would be.

    `resource_id`: the version of commit_*, the comment of comment_* (of a reply its thread), the
    model of branch_*. `message` is cut at 255 characters.
    """

    id: str
    action: str
    resource_id: str | None
    user_id: str | None
    at: datetime
    message: str = field(repr=False)
    info: object = field(repr=False)
