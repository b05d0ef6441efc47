"""What guilds send in a day, counted in the very transaction that takes it in.

A day is UTC's. Half of a guild's day is for whichever of its hooks needs it; the other half is
divided among its hooks, each of which keeps its share whatever the others send. So one hook whose
secret is known to others cannot use up what the others need, and a guild with a single hook has the
whole day for it.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from sqlalchemy import BigInteger, bindparam, func, literal, select, union_all, update

from bot.db.session import Insert, NewInsert, Session
from bot.db.tables import day_use, hooks, quota_notices, subscriptions
from bot.quota import DayQuota, QuotaNotice, QuotaUse
from bot.work import new_nonce

# What was seen in a transaction is enough to refuse more without one, for so long: a hook that was
# removed meanwhile leaves its share to the others.
SEEN_COUNTS_FOR = timedelta(seconds=60)


# Built once, as each delivery counts: the hooks that are there, then what was sent.
OF_GUILDS = bindparam("guild_ids", type_=BigInteger(), expanding=True)
USES = union_all(
    select(hooks.c.guild_id, hooks.c.id, literal(0), literal(0), literal(1)).where(
        hooks.c.guild_id.in_(OF_GUILDS)
    ),
    select(
        day_use.c.guild_id, day_use.c.hook_id, day_use.c.events, day_use.c.bytes, literal(0)
    ).where(day_use.c.day == bindparam("day"), day_use.c.guild_id.in_(OF_GUILDS)),
)


@dataclass(slots=True)
class Tally:
    """A sum over hooks, and what each of them adds to it."""

    total: int = 0
    of_hook: dict[int, int] = field(default_factory=dict)

    def add(self, hook_id: int, more: int) -> None:
        """Count more of a hook."""
        self.total += more
        self.of_hook[hook_id] = self.of_hook.get(hook_id, 0) + more

    def has_room(self, hook_id: int, more: int, limit: int, there: Collection[int]) -> bool:
        """Whether the hook may have so much more; `there` are the hooks that share the limit."""
        if self.total + more > limit:
            return False
        share = limit / (2 * max(1, len(there)))
        mine = self.of_hook.get(hook_id, 0) + more
        if mine <= share:
            return True
        # What a hook sent that is gone counts as taken from what is for all.
        others = sum(
            max(0.0, count - (share if hook in there else 0.0))
            for hook, count in self.of_hook.items()
            if hook != hook_id
        )
        return others + mine - share <= limit / 2


@dataclass(slots=True)
class DayUse:
    """What each hook of a guild has sent on a day; `hooks` are those that are there."""

    hooks: frozenset[int] = frozenset()
    events: Tally = field(default_factory=Tally)
    bytes: Tally = field(default_factory=Tally)

    def has_room(self, quota: DayQuota, hook_id: int, size: int) -> bool:
        """Whether one more event of this hook, of so many bytes, is within the quota."""
        return self.events.has_room(hook_id, 1, quota.events, self.hooks) and (
            self.bytes.has_room(hook_id, size, quota.bytes, self.hooks)
        )

    def add(self, hook_id: int, events: int, size: int) -> None:
        """Count events of so many bytes in all."""
        self.events.add(hook_id, events)
        self.bytes.add(hook_id, size)


class Counting:
    """The count of one transaction, for the guilds whose quotas were named to it."""

    def __init__(self, day: date, uses: Mapping[int, DayUse]) -> None:
        self.day = day
        self.uses = uses
        self.more: dict[int, DayUse] = {}  # by guild

    def take(self, quota: DayQuota | None, hook_id: int | None, size: int) -> bool:
        """Count an event if there is room for it; one that no quota is for always has room."""
        if quota is None or hook_id is None:
            return True
        use = self.uses[quota.guild_id]
        if not use.has_room(quota, hook_id, size):
            return False
        use.add(hook_id, 1, size)
        self.more.setdefault(quota.guild_id, DayUse()).add(hook_id, 1, size)
        return True


class UseOfToday:
    """What the last minute has shown of how much guilds sent today, without a query."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._seen: dict[int, tuple[datetime, DayUse]] = {}

    def has_room(self, quota: DayQuota, hook_id: int, size: int) -> bool:
        """Whether there may be room: False is certain, for what the last minute has shown."""
        at, use = self._seen.get(quota.guild_id, (None, None))
        now = self._now()
        if at is None or use is None or at.date() != now.date() or now - at > SEEN_COUNTS_FOR:
            return True
        return use.has_room(quota, hook_id, size)

    def remember(self, counting: Counting) -> None:
        """The transaction is committed."""
        now = self._now()
        for guild_id, use in counting.uses.items():
            self._seen[guild_id] = (now, use)


class DayUseRepository:
    """Reads what guilds use, and remembers whom to tell that it was too much."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def used(self, guild_id: int) -> QuotaUse:
        """What a guild uses now."""
        today = (day_use.c.day == self._now().date(), day_use.c.guild_id == guild_id)
        parts = (
            select(func.coalesce(func.sum(day_use.c.events), 0)).where(*today),
            select(func.coalesce(func.sum(day_use.c.bytes), 0)).where(*today),
            select(func.count()).select_from(hooks).where(hooks.c.guild_id == guild_id),
            select(func.count())
            .select_from(subscriptions)
            .where(subscriptions.c.guild_id == guild_id),
        )
        statement = select(*(part.scalar_subquery() for part in parts))
        row = self._session.execute(statement).one()
        return QuotaUse(*map(int, row))

    def has_room_now(self, quota: DayQuota, hook_id: int) -> bool:
        """Whether there is room for one more event of a hook, as the database has it."""
        counting = counting_for(self._session, [quota])
        return counting.uses[quota.guild_id].has_room(quota, hook_id, 1)

    # ── notices ───────────────────────────────────────────────────────────────────────────────

    def note(self, guild_id: int, hook_id: int) -> None:
        """A guild must be notified, once today, that one of its hooks sent too much."""
        new = self._session.insert(quota_notices).values(
            day=self._now().date(),
            guild_id=guild_id,
            hook_id=hook_id,
            nonce=new_nonce(),
        )
        self._session.execute(new.on_conflict_do_nothing())

    def is_noted(self, guild_id: int, hook_ids: Collection[int] | None = None) -> bool:
        """Whether one of a guild's hooks, or of these of them, sent too much today."""
        today = quota_notices.c.day == self._now().date()
        statement = select(quota_notices.c.hook_id).where(
            today, quota_notices.c.guild_id == guild_id
        )
        if hook_ids is not None:
            statement = statement.where(quota_notices.c.hook_id.in_(hook_ids))
        return self._session.scalar(statement.limit(1)) is not None

    def due_notices(self) -> list[QuotaNotice]:
        """Who must still be notified today."""
        columns = [quota_notices.c[name] for name in ("day", "guild_id", "hook_id", "nonce")]
        today = quota_notices.c.day == self._now().date()
        statement = select(*columns).where(today, quota_notices.c.told_at.is_(None))
        rows = self._session.execute(statement.order_by(quota_notices.c.guild_id))
        return [QuotaNotice(*row) for row in rows]

    def mark_notified(self, notice: QuotaNotice) -> None:
        """A guild is notified, or nobody of it can be."""
        this = (quota_notices.c.day == notice.day, quota_notices.c.guild_id == notice.guild_id)
        self._session.execute(update(quota_notices).where(*this).values(told_at=self._now()))


def counting_for(session: Session, quotas: Iterable[DayQuota | None]) -> Counting:
    """Begin to count for these guilds, whose locks are held where there are any."""
    day = session.now().date()
    guild_ids = {quota.guild_id for quota in quotas if quota is not None}
    return Counting(day, _uses(session, day, guild_ids) if guild_ids else {})


def write_counting(session: Session, counting: Counting) -> None:
    """Write what was counted."""
    if counting.more:
        session.execute(_add_use(session.insert), _rows(counting))


@cache
def _add_use(insert: NewInsert) -> Insert:
    new = insert(day_use)
    return new.on_conflict_do_update(
        index_elements=[day_use.c.day, day_use.c.guild_id, day_use.c.hook_id],
        set_={
            "events": day_use.c.events + new.excluded.events,
            "bytes": day_use.c.bytes + new.excluded.bytes,
        },
    )


def lock_names(quotas: Iterable[DayQuota | None]) -> set[str]:
    """What a transaction locks, on PostgreSQL, to count for these guilds."""
    return {f"quota of guild {quota.guild_id}" for quota in quotas if quota is not None}


def _uses(session: Session, day: date, guild_ids: Collection[int]) -> dict[int, DayUse]:
    """The hooks that are there, and what those and others have sent."""
    there: dict[int, set[int]] = {guild_id: set() for guild_id in guild_ids}
    found = session.execute(USES, {"day": day, "guild_ids": list(guild_ids)}).all()
    for guild_id, hook_id, _, _, is_there in found:
        if is_there:
            there[guild_id].add(hook_id)
    uses = {guild_id: DayUse(frozenset(ids)) for guild_id, ids in there.items()}
    for guild_id, hook_id, events, size, is_there in found:
        if not is_there:
            uses[guild_id].add(hook_id, events, size)
    return uses


def _rows(counting: Counting) -> list[dict[str, Any]]:
    # Sorted, so that two transactions never wait for each other's rows.
    return [
        {
            "day": counting.day,
            "guild_id": guild_id,
            "hook_id": hook_id,
            "events": events,
            "bytes": more.bytes.of_hook[hook_id],
        }
        for guild_id, more in sorted(counting.more.items(), key=lambda item: item[0])
        for hook_id, events in sorted(more.events.of_hook.items())
    ]
