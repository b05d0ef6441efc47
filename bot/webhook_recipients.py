"""Whom a delivery is for: a guild with a hook of its own, or the operator's organisation."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from bot.db.rows import Hook, HookState, InboxSource

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SharedHook:
    """The operator's own hook at `POST /webhook`, for the guilds of one organisation."""

    secret: str = field(repr=False)
    servers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signed:
    """What the listener has to know of a delivery whose signature holds."""

    project_id: str
    server_url: str | None
    digest: str


class Recipient(ABC):
    """Whose secrets sign a delivery, and what is asked of one that they signed."""

    secrets: Sequence[str]
    source: InboxSource
    hook: Hook | None = None  # whose guild's quota it counts towards
    hook_id: int | None = None

    @property
    def guild_id(self) -> int | None:
        """Whose it is; None for the operator's, which serves several guilds."""
        return None if self.hook is None else self.hook.guild_id

    @abstractmethod
    def refusal(self, signed: Signed) -> web.Response | None:
        """The answer to a signed delivery that is not taken, None for one that is."""

    @abstractmethod
    def lane(self, signed: Signed) -> str:
        """The lane in which its events keep their order."""


Find = Callable[[], Awaitable[Recipient | None]]
"""Looks a recipient up; None if nobody has that address."""


class OwnHook(Recipient):
    """A guild's own hook."""

    def __init__(self, hook: Hook) -> None:
        self.hook = self._hook = hook
        self.secrets, self.hook_id, self.source = hook.secrets, hook.id, InboxSource.WEBHOOK

    def refusal(self, signed: Signed) -> web.Response | None:
        """Another project's events, and a guild that the bot has left."""
        if signed.project_id != self._hook.project_id:
            log.warning("webhook.other_project", hook_id=self.hook_id)
            told = "This webhook belongs to another project. Make one for this one."
            return web.Response(status=403, text=told)
        if self._hook.state is HookState.CLOSED:
            log.info("webhook.closed", hook_id=self.hook_id)
            told = "The bot has left the Discord server of this webhook. Remove it, or come back."
            return web.Response(status=410, text=told)
        return None

    def lane(self, signed: Signed) -> str:
        """One for each hook."""
        return f"hook:{self.hook_id}"


class OperatorsHook(Recipient):
    """The operator's own hook."""

    def __init__(self, shared: SharedHook) -> None:
        self.secrets, self._servers = (shared.secret,), shared.servers
        self.source = InboxSource.OPERATOR

    async def found(self) -> Recipient:
        """Itself: there is nothing to look up."""
        return self

    def refusal(self, signed: Signed) -> web.Response | None:
        """Servers that the operator did not name."""
        if signed.server_url in self._servers:
            return None
        log.warning("webhook.server_not_allowed")
        told = "This Speckle server is not among the bot's SPECKLE_SERVERS."
        return web.Response(status=403, text=told)

    def lane(self, signed: Signed) -> str:
        """One for each project."""
        return f"shared:{signed.server_url}:{signed.project_id}"
