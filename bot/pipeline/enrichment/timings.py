"""When what a card lacks is asked for, and for how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from bot.speckle.comparison import COMPARED_IN_S
from bot.speckle_api.versions import AT_ONCE
from bot.timing import Backoff
from bot.work import LateAddition


@dataclass(frozen=True, slots=True)
class RetryPatience:
    """When what a card lacks is asked for first, the waits between tries, and for how long."""

    first: timedelta
    retry: Backoff
    most: timedelta

    def next_try(
        self, created_at: datetime, now: datetime, attempts: int, *, failed: bool
    ) -> datetime | None:
        """When it is asked for again, `failed` or not; None where it was asked for long enough."""
        until = now + timedelta(seconds=self.retry.delay_s(attempts))
        return None if until - created_at > self.most else until


@dataclass(frozen=True, slots=True)
class AskedAt:
    """When something is asked for that comes at its own time, if ever: so long after the card.

    A server that cannot be asked at last is asked every `retry_s` up to `most`.
    """

    moments: tuple[timedelta, ...]
    retry_s: float
    most: timedelta

    @property
    def first(self) -> timedelta:
        """When it is asked for first."""
        return self.moments[0]

    def next_try(
        self, created_at: datetime, now: datetime, _attempts: int, *, failed: bool
    ) -> datetime | None:
        """When it is asked for again, `failed` or not; None where it was asked for long enough."""
        for moment in self.moments:
            if created_at + moment > now:
                return created_at + moment
        until = now + timedelta(seconds=self.retry_s)
        return until if failed and until - created_at <= self.most else None


@dataclass(frozen=True, slots=True)
class EnrichmentTimings:
    """How long a card waits where many do, and how what it lacks then is asked for."""

    moment_s: float = 1.0
    question_s: float = 10.0  # nobody waits for the answer
    names_s: float = 3.0  # a look-up of names, at most once a minute for each reader
    # A server that was restarted or moved is back within the hour.
    facts: RetryPatience = RetryPatience(
        timedelta(seconds=1),
        Backoff((2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)),
        timedelta(hours=1),
    )
    # A picture takes its time at every server, some seconds at least.
    picture: RetryPatience = RetryPatience(
        timedelta(seconds=5),
        Backoff((5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0)),
        timedelta(hours=1),
    )
    # Not before AT_ONCE: of several versions that come together the last one is compared.
    changes: RetryPatience = RetryPatience(
        AT_ONCE + timedelta(seconds=1),
        Backoff((5.0, 15.0, 60.0, 300.0)),
        timedelta(hours=1),
    )
    comparison_s: float = COMPARED_IN_S
    # Automations take seconds to minutes; most versions have none, which nothing says.
    checks: AskedAt = AskedAt(
        (
            timedelta(seconds=30),
            timedelta(minutes=2),
            timedelta(minutes=5),
            timedelta(minutes=15),
        ),
        retry_s=300.0,
        most=timedelta(hours=1),
    )
    rings_together_s: float = 5.0  # that say that an automation goes on

    def of(self, kind: LateAddition) -> RetryPatience | AskedAt:
        """The patience with one of the things that a card may lack."""
        match kind:
            case LateAddition.PICTURE:
                return self.picture
            case LateAddition.CHANGES:
                return self.changes
            case LateAddition.CHECKS:
                return self.checks
            case LateAddition.FACTS | LateAddition.OBJECT_COUNT | LateAddition.OPENED:
                return self.facts
            case _:
                assert_never(kind)
