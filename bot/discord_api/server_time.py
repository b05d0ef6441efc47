"""What time it is at Discord: this machine's clock may be wrong, and messages show Discord's."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

AGREES_WITHIN = timedelta(seconds=5)  # a `Date` is cut to seconds, and answers take a while


class DiscordTime:
    """Goes by the `Date` of Discord's latest answer and by seconds counted since.

    So setting this machine's clock changes nothing. Before the first answer it is `now`, ours.
    """

    def __init__(
        self, now: Callable[[], datetime], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._now = now
        self._seconds = seconds
        self._heard: tuple[datetime, float] | None = None

    def hear(self, date: str | None) -> None:
        """Take note of an answer's `Date`; one that cannot be read says nothing."""
        try:
            at = parsedate_to_datetime(date or "")
        except ValueError:
            return
        if at.tzinfo is not None:
            self._heard = at.astimezone(UTC), self._seconds()

    @property
    def is_known(self) -> bool:
        """Whether Discord has said it."""
        return self._heard is not None

    def now(self) -> datetime:
        """The time at Discord, to a second or two."""
        if self._heard is None:
            return self._now()
        heard, at_s = self._heard
        return heard + timedelta(seconds=self._seconds() - at_s)

    def sure_now(self) -> datetime:
        """This machine's time, which is exact, where it agrees with Discord's; else Discord's."""
        return self._now() if abs(self.ahead()) < AGREES_WITHIN else self.now()

    def ahead(self) -> timedelta:
        """How far this machine's clock is ahead of Discord's; below zero where it is behind."""
        return self._now() - self.now()
