"""How much there is of everything, in a few statements that read indexes: for `GET /metrics`."""

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Select, func, select

from bot.db.channel_queues import MAY_BE_SENT
from bot.db.session import Session
from bot.db.tables import (
    IS_NEW,
    IS_WAITING,
    channel_queues,
    day_use,
    held_events,
    hooks,
    inbox,
    outbox,
    subscriptions,
)
from bot.lookups import Totals, Waiting
from bot.model import PauseReason
from bot.quota import QuotaUse

# The index holds the ids, not the times: the row with the least id is the oldest.
NEW_EVENTS = select(func.count(), func.min(inbox.c.id)).where(IS_NEW)
CARDS_OF_CHANNEL = (
    select(outbox.c.channel_id, func.count().label("cards"))
    .where(IS_WAITING)
    .group_by(outbox.c.channel_id)
    .subquery()
)
IS_DUE = channel_queues.c.due_at.is_not(None)
WAITING_CARDS = (
    select(IS_DUE.label("is_due"), func.sum(CARDS_OF_CHANNEL.c.cards))
    .select_from(CARDS_OF_CHANNEL)
    .outerjoin(channel_queues, channel_queues.c.channel_id == CARDS_OF_CHANNEL.c.channel_id)
    .group_by(IS_DUE)
)
FIRST_OF_CHANNEL = (
    select(outbox.c.id)
    .join(subscriptions)
    .where(outbox.c.channel_id == channel_queues.c.channel_id, IS_WAITING, MAY_BE_SENT)
    .order_by(outbox.c.id)
    .limit(1)
    .correlate(channel_queues)
    .scalar_subquery()
)
OLDEST_CARD = select(func.min(outbox.c.created_at)).where(
    outbox.c.id.in_(select(FIRST_OF_CHANNEL).where(IS_DUE))
)
UNDELIVERABLE = select(func.count()).where(outbox.c.gave_up_at.is_not(None))
HELD = select(func.count()).select_from(held_events)
SUBSCRIPTIONS = select(subscriptions.c.pause_reason, func.count()).group_by(
    subscriptions.c.pause_reason
)


class TotalsRepository:
    """Counts what all guilds have together."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def read(self) -> Totals:
        """How much waits, and what there is."""
        waits, held = self._cards()
        return Totals(
            inbox=self._events(),
            outbox=Waiting(waits, self._session.scalar(OLDEST_CARD) if waits else None),
            held_cards=held,
            undeliverable_cards=self._count(UNDELIVERABLE),
            held_events=self._count(HELD),
            subscriptions=self._subscriptions(),
        )

    def highest_use(self, without: Collection[int]) -> QuotaUse:
        """The most that any guild but these uses of each thing that has a quota."""
        today = day_use.c.day == self._now().date()
        of_day = (day_use.c.guild_id.not_in(without), today)
        events, sent = func.sum(day_use.c.events), func.sum(day_use.c.bytes)
        of_hooks, of_shown = hooks.c.guild_id, subscriptions.c.guild_id
        return QuotaUse(
            self._highest(select(events).where(*of_day).group_by(day_use.c.guild_id)),
            self._highest(select(sent).where(*of_day).group_by(day_use.c.guild_id)),
            self._highest(_counted(of_hooks, without)),
            self._highest(_counted(of_shown, without)),
        )

    def _events(self) -> Waiting:
        count, first_id = self._session.execute(NEW_EVENTS).one()
        received_at = select(inbox.c.received_at).where(inbox.c.id == first_id)
        oldest: datetime | None = self._session.scalar(received_at) if count else None
        return Waiting(int(count), oldest)

    def _cards(self) -> tuple[int, int]:
        """How many may go, now or at the next try, and how many wait for somebody to act."""
        found = {bool(due): int(cards) for due, cards in self._session.execute(WAITING_CARDS)}
        return found.get(True, 0), found.get(False, 0)

    def _subscriptions(self) -> Mapping[PauseReason | None, int]:
        return {reason: int(count) for reason, count in self._session.execute(SUBSCRIPTIONS)}

    def _count(self, statement: Select[int]) -> int:
        return int(self._session.scalar(statement) or 0)

    def _highest(self, of_each: Select[int]) -> int:
        column = next(iter(of_each.subquery().c))
        return self._count(select(func.max(column)))


def _counted(guild_id: ColumnElement[int], without: Collection[int]) -> Select[int]:
    return select(func.count()).where(guild_id.not_in(without)).group_by(guild_id)
