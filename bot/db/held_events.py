"""Events that were not shown to subscriptions yet: held back until someone can be asked, or
answers.

Events are held and no cards: what a card says depends on who may see what when it is shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, update

from bot.db.access_pauses import hold_back_cards, pause_rights
from bot.db.channel_queues import IS_RUNNING, lock
from bot.db.event_results import write_subscription_result
from bot.db.inbox import add_lines
from bot.db.looks import BUSY, NOW, first_of_each
from bot.db.session import Session
from bot.db.shown_subjects import is_shown, note_subject
from bot.db.tables import IS_WAITING, held_events, inbox, outbox, subscriptions
from bot.model import AccessPause
from bot.trace import TraceLine, TraceStep
from bot.work import HeldEvent, SubscriptionResult


def _heads() -> Select[Any]:
    """The first event that each active subscription holds, without those that are busy.

    Hops from subscription to subscription on the index: what a paused one holds is not read.
    """
    holding = select(func.min(held_events.c.subscription_id).label("id")).cte(
        "holding", recursive=True
    )
    following = select(func.min(held_events.c.subscription_id)).where(
        held_events.c.subscription_id > holding.c.id
    )
    holding = holding.union_all(
        select(following.correlate(holding).scalar_subquery()).where(holding.c.id.is_not(None))
    )
    each = held_events.alias()
    first = select(func.min(each.c.inbox_id)).where(each.c.subscription_id == holding.c.id)
    return (
        select(
            held_events.c.subscription_id,
            held_events.c.inbox_id,
            held_events.c.attempts,
            subscriptions.c.guild_id,
        )
        .select_from(holding)
        .join(subscriptions, subscriptions.c.id == holding.c.id)
        .join(
            held_events,
            and_(
                held_events.c.subscription_id == holding.c.id,
                held_events.c.inbox_id == first.correlate(holding).scalar_subquery(),
            ),
        )
        .where(IS_RUNNING, holding.c.id.not_in(BUSY))
    )


HEADS = _heads()
DUE = first_of_each(
    HEADS.where(held_events.c.next_try_at <= NOW),
    subscriptions.c.guild_id,
    held_events.c.next_try_at,
    held_events.c.inbox_id,
)
SOONEST = select(func.min(HEADS.add_columns(held_events.c.next_try_at).subquery().c.next_try_at))


class HeldEvents:
    """Gives held events out in their order, one subscription at a time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def due(self, limit: int, excluding: Collection[int] = ()) -> list[HeldEvent]:
        """The oldest held event of each active subscription, where that is due.

        Of each guild at most `limit`, those that are due the longest.
        """
        values = {"now": self._now(), "busy": tuple(excluding), "limit": limit}
        return [HeldEvent(*row) for row in self._session.execute(DUE, values)]

    def due_in(self, excluding: Collection[int] = ()) -> float | None:
        """Seconds until an event is due, 0 if one is; None if none is held that may continue."""
        due_at: datetime | None = self._session.scalar(SOONEST, {"busy": tuple(excluding)})
        return self._session.seconds_until(due_at)

    def settle(
        self, held: HeldEvent, at: datetime, result: SubscriptionResult, trace: Sequence[TraceLine]
    ) -> Sequence[int]:
        """Write the result of a held event: a card, nothing, or it stays held.

        `at` is the event's own time. Gives the ids of new cards.
        """
        now = self._now()
        tried = {"attempts": held.attempts + 1, "next_try_at": result.held_until or now}
        there = self._session.execute(update(held_events).where(_this(held)).values(tried))
        if not there.rowcount:
            return ()
        add_lines(self._session, held.inbox_id, trace)
        if result.subject is not None:
            note_subject(self._session, held.inbox_id, result.subject)
            if is_shown(self._session, held.subscription_id, result.subject, held.inbox_id, now):
                result = replace(result, card=None, late={})
                about = {"subscription_id": held.subscription_id}
                line = TraceLine(now, "route", TraceStep.SHOWN_BEFORE, about)
                add_lines(self._session, held.inbox_id, [line])
        ids = write_subscription_result(self._session, held.inbox_id, result, at, now)
        # A card that was made, but not written, is of a subscription that has just been paused,
        # or that has got back earlier cards.
        if result.held_until is None and (ids or result.card is None):
            self._session.execute(delete(held_events).where(_this(held)))
        return ids

    def count(self, subscription_ids: Collection[int]) -> int:
        """How many events are held for these subscriptions."""
        these = held_events.c.subscription_id.in_(subscription_ids)
        statement = select(func.count()).select_from(held_events).where(these)
        return self._session.scalar(statement) or 0

    def hold_back(
        self,
        subscription_id: int,
        until: datetime,
        pause: AccessPause | None = None,
    ) -> int:
        """Take back the cards that wait to be sent, and hold their events instead; how many.

        Cards whose message may be out already stay: those of an open batch.
        """
        now = self._now()
        this = subscriptions.c.id == subscription_id
        channel_id = self._session.scalar(
            select(subscriptions.c.channel_id).where(this).with_for_update()
        )
        if channel_id is None:
            return 0
        lock(self._session, channel_id)
        taken = hold_back_cards(self._session, [subscription_id], until, now)
        if pause is not None:
            pause_rights(self._session, this, pause, now)
        return taken


def make_held_due(session: Session, condition: ColumnElement[bool], now: datetime) -> None:
    """Let these subscriptions' held events be looked at now."""
    these = held_events.c.subscription_id.in_(select(subscriptions.c.id).where(condition))
    session.execute(update(held_events).where(these).values(next_try_at=now, attempts=0))


def move_events(session: Session, subscription_id: int, hook_id: int) -> None:
    """Let the events that are held for a subscription belong to the hook that it moved to.

    Else they would go with the hook that it left.
    """
    held = select(held_events.c.inbox_id).where(held_events.c.subscription_id == subscription_id)
    cards = select(outbox.c.inbox_id).where(
        outbox.c.subscription_id == subscription_id, IS_WAITING, outbox.c.inbox_id.is_not(None)
    )
    these = or_(inbox.c.id.in_(held), inbox.c.id.in_(cards))
    own = inbox.c.hook_id.is_not(None)
    session.execute(update(inbox).where(these, own).values(hook_id=hook_id))


def _this(held: HeldEvent) -> ColumnElement[bool]:
    return and_(
        held_events.c.subscription_id == held.subscription_id,
        held_events.c.inbox_id == held.inbox_id,
    )
