"""What is read at the moment that it is asked for: depths, ages and states.

One reading asks the database once, and what is wrong now once. Neither is waited for long: what
does not come in time is missing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Generic, TypeVar

from bot.errors import StorageUnavailable
from bot.lookups import Totals
from bot.problems import ActiveTrouble, NotReady, TroubleKind
from bot.services.known_trouble import LAST_BACKUP_KEY
from bot.services.quotas import QuotaService
from bot.storage import Storage, Transaction

# Prometheus waits 10 s for an answer, Readiness 3 s of them for a write.
DATABASE_WITHIN_S: Final = 3.0
TROUBLE_WITHIN_S: Final = 7.0

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
    """What was read for one answer; None is what could not be read in time.

    The defaults are those of a bot that waits for its database.
    """

    database_kind: str = ""
    leads: bool = False
    gateway_connected: bool = False
    gateway_latency_s: float | None = None
    breakers: Mapping[tuple[str, ...], bool] = field(default_factory=dict)  # by server
    trouble: Collection[TroubleKind] | None = None
    database: FromDatabase | None = None


@dataclass(frozen=True, slots=True)
class RunningParts:
    """What a bot at work is read from."""

    storage: Storage
    quotas: QuotaService
    servers: Sequence[str]  # Speckle's, that the settings name
    trouble: Callable[[], Awaitable[Sequence[ActiveTrouble]]]
    silent_servers: Callable[[], Collection[str]]
    gateway_problems: Callable[[], Sequence[NotReady]]
    gateway_latency_s: Callable[[], float | None]
    now: Callable[[], datetime]


class Reader:
    """Reads a bot at work."""

    def __init__(
        self,
        parts: RunningParts,
        database_within_s: float = DATABASE_WITHIN_S,
        trouble_within_s: float = TROUBLE_WITHIN_S,
    ) -> None:
        self._parts = parts
        self._database = _OneAtATime(self._read_database, database_within_s)
        self._trouble = _OneAtATime(parts.trouble, trouble_within_s)

    async def read(self) -> Readings:
        """Everything, as it is now."""
        parts = self._parts
        database, trouble = await asyncio.gather(self._database.answer(), self._trouble.answer())
        silent = parts.silent_servers()
        return Readings(
            database_kind="sqlite" if parts.storage.is_sqlite else "postgresql",
            leads=parts.storage.leads,
            gateway_connected=not parts.gateway_problems(),
            gateway_latency_s=parts.gateway_latency_s(),
            breakers={(server,): server in silent for server in parts.servers},
            trouble=None if trouble is None else {one.kind for one in trouble},
            database=database,
        )

    def close(self) -> None:
        """Wait for nothing more."""
        self._database.close()
        self._trouble.close()

    async def _read_database(self) -> FromDatabase:
        def read(tx: Transaction) -> FromDatabase:
            backup_at = tx.key_values.get(LAST_BACKUP_KEY)
            return FromDatabase(
                self._parts.now(),
                tx.totals.read(),
                self._parts.quotas.highest_shares(tx),
                None if backup_at is None else datetime.fromisoformat(backup_at),
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
        done, _ = await asyncio.wait({self._asked}, timeout=self._within_s)
        try:
            return self._asked.result() if done else None
        except StorageUnavailable:
            return None

    def close(self) -> None:
        if self._asked is not None:
            self._asked.cancel()
