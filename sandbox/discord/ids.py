"""The ids that Discord gives, which are times as well."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

DISCORD_EPOCH_MS = 1_420_070_400_000  # ids count milliseconds from the first second of 2015


class Ids:
    """Gives ids out; `wall_clock` says the time since 1970 that they and `Date` are made of."""

    def __init__(self, wall_clock: Callable[[], float] = time.time) -> None:
        self.wall_clock = wall_clock
        self._last = 0

    def new_id(self) -> int:
        """An id that says when it was made and is above each one before."""
        now = (int(self.wall_clock() * 1000) - DISCORD_EPOCH_MS) << 22
        self._last = max(now, self._last + 1)
        return self._last

    def time(self) -> datetime:
        """What time it is here."""
        return datetime.fromtimestamp(self.wall_clock(), UTC)
