"""One account that listens, and what it last saw of each project. Asks nothing."""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from bot.speckle.activity import Activity
from bot.speckle_api.activity_list import NEWEST
from bot.trace import HEARD_FACT, HeardBy, TraceFacts
from bot.work import LISTENED_AGAIN, Listened, ToldEntry

LATER: TraceFacts = {HEARD_FACT: HeardBy.LATER}
FALSE_RINGS = 20  # remembered, to know a server that rings without an end
QUESTIONS_WITHOUT_LIST = 4  # versions, models, issues that moved, issues that are there


@dataclass(slots=True)
class Ear:
    """One account that listens: for what, and what it last saw of each project.

    `listened` are the subscriptions that it listens for, `since` is from when on each project is to
    be read, and `seen` are the ids of the entries that its last answer had, all by project; `rung`
    are the projects that are to be read before its turn, which comes every `every_s`; `failures`
    are those in a row; `rung_for_nothing` is when looks at what rang found nothing to read, and
    `reads` is how often there was something; `lists`: its server has activity lists; `looked_at` is
    when it was last read, or began. `current` are the subscriptions that have all there was when
    their project was last looked at: what they lack happened since.
    """

    account_id: int
    server_url: str
    looked_at: float
    listened: Mapping[str, Sequence[Listened]] = field(default_factory=dict)
    since: dict[str, datetime | None] = field(default_factory=dict)
    seen: dict[str, frozenset[str]] = field(default_factory=dict)
    current: set[int] = field(default_factory=set)
    rung: set[str] = field(default_factory=set)
    rung_for_nothing: deque[float] = field(default_factory=lambda: deque(maxlen=FALSE_RINGS))
    reads: int = 0
    every_s: float = 0.0
    due: float = 0.0
    failures: int = 0
    lists: bool = True
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def questions(self) -> int:
        """How many questions' worth its turn is: without activity lists, each project has four."""
        return len(self.since) * (1 if self.lists else QUESTIONS_WITHOUT_LIST)

    def hook_ids(self, project_id: str) -> frozenset[int]:
        """The hooks of a project that it listens for."""
        return frozenset(one.hook_id for one in self.listened.get(project_id, ()))

    def subscription_ids(self, project_id: str) -> frozenset[int]:
        """The subscriptions to a project that it listens for."""
        return frozenset(one.subscription_id for one in self.listened.get(project_id, ()))

    def follow(self, those: Sequence[Listened]) -> bool:
        """Take over what is listened to through the account; whether some of it is new.

        What was seen was not read for a subscription that is new, or was paused meanwhile.
        """
        lacking = [one for one in those if self._is_ahead_of(one)]
        new = {one.project_id for one in lacking}
        there = {one.subscription_id for one in those}
        self.current &= there.difference(one.subscription_id for one in lacking)
        self.listened = _by_project(those)
        self.since = {project_id: _since(some) for project_id, some in self.listened.items()}
        self.seen = {one: ids for one, ids in self.seen.items() if one in self.since.keys() - new}
        return bool(new)

    def _is_ahead_of(self, one: Listened) -> bool:
        """Whether more was read of the project than this subscription was given."""
        since = self.since.get(one.project_id)
        known = self.subscription_ids(one.project_id)
        if one.subscription_id not in known or one.listened_until is None:
            return True
        return since is not None and one.listened_until < since

    def heard(self, project_id: str, rung: Collection[str]) -> Mapping[int, TraceFacts]:
        """What leads to reading a project now, by subscription; `rung`: what is read has rung."""
        by: TraceFacts = {HEARD_FACT: HeardBy.TURN, "every_s": round(self.every_s)}
        if project_id in rung or project_id in self.rung:
            by = {HEARD_FACT: HeardBy.RING}
        expected = self.subscription_ids(project_id)
        return {one: by if one in self.current else LATER for one in expected}


def are_told(
    lines: Sequence[Activity], those: Sequence[Listened], told: Counter[ToldEntry]
) -> bool:
    """Whether each of a project's newest lines was taken in for each subscription before."""
    if len(lines) >= NEWEST or any(one.listened_until is None for one in those):
        return False
    wanted = Counter(
        (one.subscription_id, line.action, line.at)
        for one in those
        for line in lines
        if (after := read_from(one.listened_until)) is None or line.at >= after
    )
    return wanted <= told


def read_from(until: datetime | None) -> datetime | None:
    """From when on a list is asked for that was read until then."""
    return None if until is None else until - LISTENED_AGAIN


def _by_project(those: Sequence[Listened]) -> Mapping[str, Sequence[Listened]]:
    found: defaultdict[str, list[Listened]] = defaultdict(list)
    for one in those:
        found[one.project_id].append(one)
    return found


def _since(those: Sequence[Listened]) -> datetime | None:
    """From when on a project is to be read: as the subscription that has read least."""
    times = [one.listened_until for one in those]
    return None if None in times else min(filter(None, times))
