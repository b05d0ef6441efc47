"""The trace of an event: one line a stage, so that "why did I not get this" has an answer."""

from collections.abc import Callable
from datetime import datetime

from bot.trace import CATCH_UP_STAGE, TraceLine, TraceStep
from bot.work import InboxEvent


class Trace:
    """The lines that later answer why an event was shown in a channel or not.

    An earlier try left its lines in the row; only how the event came is still true. Begun before
    subscriptions are read: what somebody answers for one after that is not known.
    """

    def __init__(self, now: Callable[[], datetime], row: InboxEvent) -> None:
        self._now = now
        self.begun_at = now()
        self.lines = [line for line in row.trace if line.stage == CATCH_UP_STAGE]

    def add(self, stage: str, step: TraceStep, **facts: int | str) -> None:
        """Add a line about this moment."""
        self.lines.append(TraceLine(at=self._now(), stage=stage, step=step, facts=facts))
