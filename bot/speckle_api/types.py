"""What a Speckle server is asked with, and what it answers, as values. No I/O."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from bot.speckle.visibility import PUBLIC


@dataclass(frozen=True, slots=True)
class Login:
    """A server, and the token that it issued; None asks as a stranger, for what is public."""

    server_url: str
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Me:
    """Whose token it is."""

    user_id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class ProjectRights:
    """A project as the asking account sees it; `visibility` in lower case, as in events.

    `may_webhooks` speaks of the person, not of the token's scopes; `why_not` is Speckle's word.
    """

    id: str
    name: str
    visibility: str
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
    CALLING = "calling"  # stuck there permanently if the service died in between
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
class WebhookHistory:
    """The newest entries of a webhook's history, newest first; `total` counts all there are."""

    total: int
    calls: tuple[RecordedCall, ...]
