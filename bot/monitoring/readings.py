"""What is read at the moment that it is asked for: depths, ages and states.

One reading asks the database once, and is not waited for long: what does not come in time is
missing, and the answer says so.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from bot.errors import StorageUnavailable
from bot.lookups import Totals
from bot.problems import ActiveTrouble, NotReady, TroubleKind
from bot.services.quotas import QuotaService
from bot.storage import Storage, Transaction

WITHIN_S: Final = 4.0  # Prometheus gives an answer 10 s; whether a write works takes 3 s

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FromDatabase:
    """What one reading of the database gave."""

    at: datetime
    totals: Totals
    quota_shares: Mapping[str, float]
    last_backup_at: datetime | None


@dataclass(frozen=True, slots=True)
class Readings:
    """What was read for one answer; None is what could not be read.

    The defaults are those of a bot that waits for its database.
    """

    database_kind: str = ""
    leads: bool = False
    gateway_connected: bool = False
    gateway_latency_s: float | None = None
    live_unread_s: float | None = None
    breakers: Mapping[tuple[str, ...], bool] = field(default_factory=dict)  # by server
    trouble: Collection[TroubleKind] | None = None
    database: FromDatabase | None = None


@dataclass(frozen=True, slots=True)
class RunningParts:
    """What a bot at work is read from."""

    storage: Storage
    quotas: QuotaService
    servers: Sequence[str]  # Speckle's, that the settings name
    trouble: Callable[[float], Awaitable[Sequence[ActiveTrouble]]]  # within so many seconds
    silent_servers: Callable[[], Collection[str]]
    gateway_problems: Callable[[], Sequence[NotReady]]
    gateway_latency_s: Callable[[], float | None]
    live_unread_s: Callable[[], float]
    now: Callable[[], datetime]


class Reader:
    """Reads a bot at work."""

    def __init__(self, parts: RunningParts, within_s: float = WITHIN_S) -> None:
        self._parts = parts
        self._within_s = within_s
        self._database = _OneAtATime(self._read_database, within_s)

    async def read(self) -> Readings:
        """Everything, as it is now."""
        parts = self._parts
        database, trouble = await asyncio.gather(
            self._database.answer(), parts.trouble(self._within_s)
        )
        silent = parts.silent_servers()
        return Readings(
            database_kind="sqlite" if parts.storage.is_sqlite else "postgresql",
            leads=parts.storage.leads,
            gateway_connected=not parts.gateway_problems(),
            gateway_latency_s=parts.gateway_latency_s(),
            live_unread_s=parts.live_unread_s(),
            breakers={(server,): server in silent for server in parts.servers},
            trouble={one.kind for one in trouble},
            database=database,
        )

    def close(self) -> None:
        """Wait for nothing more."""
        self._database.close()

    async def _read_database(self) -> FromDatabase:
        def read(tx: Transaction) -> FromDatabase:
            return FromDatabase(
                self._parts.now(),
                tx.totals.read(),
                self._parts.quotas.highest_shares(tx),
                tx.key_values.last_backup_at(),
            )

        return await self._parts.storage.read(read)


class _OneAtATime(Generic[T]):
    """A question that is asked again only once it was answered.

    So a database that does not answer has one thread waiting, however often it is asked for.
    """

    def __init__(self, ask: Callable[[], Awaitable[T]], within_s: float) -> None:
        self._ask = ask
        self._within_s = within_s
        self._asked: asyncio.Future[T] | None = None

    async def answer(self) -> T | None:
        """The answer; None if it does not come in time, or the database cannot be read."""
        if self._asked is None or self._asked.done():
            self._asked = asyncio.ensure_future(self._ask())
            # Raised below, or to nobody where it came too late.
            self._asked.add_done_callback(lambda asked: asked.cancelled() or asked.exception())
        done, _ = await asyncio.wait({self._asked}, timeout=self._within_s)
        try:
            return self._asked.result() if done else None
        except StorageUnavailable:
            return None

    def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
