"""Notices that this machine's clock is set or wrong, and keeps that from stalling anything."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import structlog

from bot.discord_api.server_time import DiscordTime
from bot.storage import Storage
from bot.timing import periodic

log = structlog.get_logger()

LOOK_EVERY_S: Final = 20.0
JUMP: Final = timedelta(seconds=30)
# The bot's own waits are at most an hour, each ±20 %. What Discord asks for may be longer; trying
# that early once does no harm.
LONGEST_WAIT: Final = timedelta(minutes=75)
# By how much this clock and Discord's differ, and by how much two lines about that.
WORTH_A_LINE: Final = timedelta(minutes=1)
AGREES_WITHIN: Final = timedelta(hours=1)


class ClockWatch:
    """Compares the clock with seconds that are counted, and with Discord's time."""

    def __init__(
        self,
        storage: Storage,
        discord_time: DiscordTime,
        now: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._discord_time = discord_time
        self._now = now
        self._seconds = seconds
        self._seen = now(), seconds()
        self._set_back = True  # it may have been, while the bot was off
        self._reported = timedelta()

    def agrees(self) -> bool:
        """Whether the clock is known to be right to the hour; else nothing is erased by it."""
        known, ahead = self._discord_time.is_known, self._discord_time.ahead()
        return known and abs(ahead) < AGREES_WITHIN

    async def run(self) -> None:
        """Look until cancelled."""
        await periodic("clock", self.look, every_s=LOOK_EVERY_S)

    async def look(self) -> None:
        """Look once."""
        self._compare()
        self._look_for_jump()
        if self._set_back:
            await self._shorten()

    def _look_for_jump(self) -> None:
        now, seconds = self._now(), self._seconds()
        seen_at, seen_s = self._seen
        self._seen = now, seconds
        jump = (now - seen_at) - timedelta(seconds=seconds - seen_s)
        if jump < -JUMP:
            self._set_back = True
            log.warning("clock.set_back", by_s=round(-jump.total_seconds()))
        elif jump > JUMP:
            log.warning("clock.set_ahead", by_s=round(jump.total_seconds()))

    async def _shorten(self) -> None:
        """Have nothing wait for a time that the clock reaches only in days."""
        shortened = await self._storage.write(lambda tx: tx.due_times.shorten(LONGEST_WAIT))
        self._set_back = False
        if shortened:
            log.info("clock.due_times_shortened", count=shortened)

    def _compare(self) -> None:
        ahead = self._discord_time.ahead()
        if abs(ahead) < WORTH_A_LINE or abs(ahead - self._reported) < WORTH_A_LINE:
            return
        self._reported = ahead
        log.warning(
            "clock.differs_from_discord",
            ahead_s=round(ahead.total_seconds()),
            hint="Set this machine's clock, preferably with a time service (NTP). Cards are sent "
            "anyway, with this machine's times.",
        )
