"""What the person who runs the bot has been notified of, and is to be notified of next.

A trouble is announced once, and once more when it is over, to each outlet for itself: what one of
them cannot take now it gets later. `advance` and `due_for` are plain functions over records;
`NoticeBook` keeps the records over restarts, and in memory while the database is away.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self

import structlog

from bot.errors import StorageUnavailable
from bot.problems import ActiveTrouble, ProblemFacts, TroubleKind
from bot.storage import Storage

log = structlog.get_logger()

RECORDS_KEY: Final = "operator.notices"
PATIENT_KINDS: Final = frozenset({TroubleKind.GATEWAY_AWAY, TroubleKind.SPECKLE_NOT_ANSWERING})
"""What comes and goes by itself in a normal week."""


@dataclass(frozen=True, slots=True)
class NoticeLimits:
    """How long something has to be so before it is said.

    `calm` is without the trouble before it counts as over, twice as long each time that it comes
    back within `remembered`, so that what flaps is no storm of notices.
    """

    sure: timedelta = timedelta(seconds=20)
    sure_patient: timedelta = timedelta(minutes=3)  # of PATIENT_KINDS
    calm: timedelta = timedelta(minutes=2)
    longest_calm: timedelta = timedelta(hours=2)
    remembered: timedelta = timedelta(hours=6)

    def sure_of(self, kind: TroubleKind) -> timedelta:
        """For how long this kind of trouble is watched before it is announced."""
        return self.sure_patient if kind in PATIENT_KINDS else self.sure

    def calm_after(self, returns: int) -> timedelta:
        """For how long a trouble that came back so often has to stay away."""
        return min(self.calm * (1 << min(returns, 16)), self.longest_calm)


@dataclass(frozen=True, slots=True)
class TroubleRecord:
    """One trouble, from when it is seen until a while after it is over.

    `announced` are the outlets that know of it, `closed` those that know that it is over.
    """

    kind: TroubleKind
    subject: str
    facts: ProblemFacts
    since: datetime
    away_since: datetime | None = None
    over_at: datetime | None = None
    returns: int = 0
    announced: frozenset[str] = field(default=frozenset())
    closed: frozenset[str] = field(default=frozenset())

    @property
    def key(self) -> tuple[TroubleKind, str]:
        """As of the trouble itself."""
        return self.kind, self.subject

    def to_stored(self) -> Mapping[str, Any]:
        """As JSON keeps it."""
        moments = (self.since, self.away_since, self.over_at)
        since, away, over = (None if one is None else one.isoformat() for one in moments)
        return {
            "kind": self.kind.value,
            "subject": self.subject,
            "facts": dict(self.facts),
            "since": since,
            "away_since": away,
            "over_at": over,
            "returns": self.returns,
            "announced": sorted(self.announced),
            "closed": sorted(self.closed),
        }

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        """Back from `to_stored`. Errors: ValueError, LookupError or TypeError for anything else."""

        def moment(name: str) -> datetime | None:
            return None if stored[name] is None else datetime.fromisoformat(stored[name])

        return cls(
            TroubleKind(stored["kind"]),
            str(stored["subject"]),
            dict(stored["facts"]),
            datetime.fromisoformat(stored["since"]),
            moment("away_since"),
            moment("over_at"),
            int(stored["returns"]),
            frozenset(stored["announced"]),
            frozenset(stored["closed"]),
        )


Records = Mapping[tuple[TroubleKind, str], TroubleRecord]


@dataclass(frozen=True, slots=True)
class OperatorNotice:
    """What one outlet is to be given next: that a trouble is there, or that it is over."""

    record: TroubleRecord

    @property
    def is_over(self) -> bool:
        """Whether it says that the trouble is over."""
        return self.record.over_at is not None


# ── what happens next ─────────────────────────────────────────────────────────────────────────


def advance(
    records: Records,
    troubles: Iterable[ActiveTrouble],
    now: datetime,
    outlets: Collection[str],
    limits: NoticeLimits = NoticeLimits(),
) -> Records:
    """The records after a look that found these troubles."""
    found = {one.key: one for one in troubles}
    there = {key: _seen(records.get(key), one, now) for key, one in found.items()}
    away = (_not_seen(one, now, limits) for key, one in records.items() if key not in found)
    kept = {one.key: one for one in away if not _is_done(one, now, outlets, limits)}
    return {**kept, **there}


def _seen(record: TroubleRecord | None, trouble: ActiveTrouble, now: datetime) -> TroubleRecord:
    if record is None:
        return TroubleRecord(trouble.kind, trouble.subject, trouble.facts, now)
    if record.over_at is None:
        return replace(record, away_since=None)
    # It is back. Who does not know yet that it was over has nothing new to read.
    unaware = record.announced - record.closed
    return replace(
        record,
        facts=trouble.facts,
        since=record.since if unaware else now,
        away_since=None,
        over_at=None,
        returns=record.returns + 1,
        announced=unaware,
        closed=frozenset(),
    )


def _not_seen(record: TroubleRecord, now: datetime, limits: NoticeLimits) -> TroubleRecord:
    if record.over_at is not None:
        return record
    away_since = record.away_since or now
    is_over = now - away_since >= limits.calm_after(record.returns)
    return replace(record, away_since=away_since, over_at=away_since if is_over else None)


def _is_done(
    record: TroubleRecord, now: datetime, outlets: Collection[str], limits: NoticeLimits
) -> bool:
    """Whether nobody has anything to read of it any more, and it does not count as flapping."""
    if record.over_at is None:
        return False
    if not record.announced:
        return True
    return record.closed.issuperset(outlets) and now - record.over_at > limits.remembered


def due_for(
    outlet: str, records: Records, now: datetime, limits: NoticeLimits = NoticeLimits()
) -> Sequence[OperatorNotice]:
    """What an outlet is to be given now, the oldest trouble first."""
    due = [one for one in records.values() if _is_due(outlet, one, now, limits)]
    return [OperatorNotice(one) for one in sorted(due, key=lambda one: one.since)]


def _is_due(outlet: str, record: TroubleRecord, now: datetime, limits: NoticeLimits) -> bool:
    if record.over_at is not None:
        # Who never read that it was there reads now from when to when it was.
        return bool(record.announced) and outlet not in record.closed
    if outlet in record.announced:
        return False
    return record.away_since is None and now - record.since >= limits.sure_of(record.kind)


# ── keeping it ────────────────────────────────────────────────────────────────────────────────


class NoticeBook:
    """The records, in memory and in the database, for one process at a time."""

    def __init__(
        self,
        storage: Storage,
        outlets: Collection[str],
        now: Callable[[], datetime],
        limits: NoticeLimits = NoticeLimits(),
    ) -> None:
        self._storage = storage
        self._outlets = frozenset(outlets)
        self._now = now
        self._limits = limits
        self._records: Records = {}
        self._stored: str | None = None  # None: not read yet

    async def look(self, troubles: Iterable[ActiveTrouble]) -> None:
        """Take in what is wrong now."""
        await self._load()
        now = self._now()
        self._records = advance(self._records, troubles, now, self._outlets, self._limits)
        await self._save()

    def due_for(self, outlet: str) -> Sequence[OperatorNotice]:
        """What an outlet is to be given now."""
        return due_for(outlet, self._records, self._now(), self._limits)

    async def given(self, outlet: str, notice: OperatorNotice) -> None:
        """An outlet has taken it."""
        record = self._records.get(notice.record.key)
        if record is None:
            return
        record = replace(record, announced=record.announced | {outlet})
        if notice.is_over:
            record = replace(record, closed=record.closed | {outlet})
        self._records = {**self._records, record.key: record}
        await self._save()

    async def _load(self) -> None:
        """Read what an earlier process left; what is known by now is newer."""
        if self._stored is not None:
            return
        try:
            stored = await self._storage.read(lambda tx: tx.key_values.get(RECORDS_KEY))
        except StorageUnavailable:
            return
        self._stored = stored or ""
        self._records = {**_parsed(self._stored), **self._records}

    async def _save(self) -> None:
        """Keep them, if the database takes it: else the next look does."""
        text = json.dumps([one.to_stored() for one in self._records.values()])
        if self._stored is None or text == (self._stored or "[]"):
            return
        try:
            await self._storage.write(lambda tx: tx.key_values.set(RECORDS_KEY, text))
        except StorageUnavailable:
            return
        self._stored = text


def _parsed(stored: str) -> Records:
    """What another version may have written otherwise is left out: it is found once more."""
    try:
        records = [TroubleRecord.from_stored(one) for one in json.loads(stored or "[]")]
    except (ValueError, LookupError, TypeError, AttributeError):
        log.warning("operator.notices_unreadable")
        return {}
    return {one.key: one for one in records}
