"""Erases, hour by hour, what is old enough to go."""

from collections.abc import Callable
from datetime import timedelta

import structlog

from bot.database_content import RetentionPolicy
from bot.services.guilds import GuildService
from bot.storage import Storage
from bot.timing import periodic

log = structlog.get_logger()

EVERY_S = 3600.0
CLOCK_LOOK_S = 10.0


class Housekeeping:
    """Erases old rows, requests that ran out, and guilds that removed the bot long enough ago."""

    def __init__(
        self,
        storage: Storage,
        guilds: GuildService,
        policy: RetentionPolicy,
        left_guilds_for: timedelta,
        clock_agrees: Callable[[], bool],
    ) -> None:
        """`clock_agrees`: whether this machine's clock is right enough to say what is old."""
        self._storage = storage
        self._guilds = guilds
        self._policy = policy
        self._left_guilds_for = left_guilds_for
        self._clock_agrees = clock_agrees

    async def run(self) -> None:
        """Erase until cancelled; while the database is away nothing is, and the next hour does."""
        await periodic("housekeeping", self._erase, every_s=EVERY_S)

    async def _erase(self) -> float | None:
        if not self._clock_agrees():
            return CLOCK_LOOK_S
        await self._storage.write(lambda tx: tx.link_requests.erase_expired())
        await self._storage.write(lambda tx: tx.pending_commands.erase_expired())
        erased = await self._guilds.erase_left(self._left_guilds_for)
        if erased:
            log.info("housekeeping.guilds_erased", count=erased)
        gone = await self._storage.retention.tidy(self._policy)
        if gone:
            log.info("housekeeping.old_rows_erased", **gone)
        return None
