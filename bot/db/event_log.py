"""What happened to events: for people who ask why a card came, or did not."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, or_, select

from bot.db.outbox_admin import statuses
from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.tables import held_events, hooks, inbox, outbox, subscriptions
from bot.lookups import (
    CardStatus,
    EventFilter,
    HeldSince,
    LoggedEvent,
)
from bot.model import HookKind, InboxSource, Subscription, own_ordering_key, shared_ordering_key
from bot.trace import TraceLine


class EventLog:
    """Reads events with their traces, their cards and where they are held; never their bodies."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get(self, inbox_id: int) -> LoggedEvent | None:
        """The event with this number."""
        return next(iter(self._read([inbox_id])), None)

    def newest(self, wanted: EventFilter, limit: int) -> Sequence[LoggedEvent]:
        """The newest of these events, the newest first."""
        ids: set[int] = set()
        for one in self._ids(wanted):
            ids.update(self._session.scalars(one.limit(limit)))
        return self._read(sorted(ids, reverse=True)[:limit])

    def of_message(self, channel_id: int, message_id: int) -> Sequence[LoggedEvent]:
        """The events whose cards are in a message, in the message's order."""
        there = select(subscriptions.c.id).where(subscriptions.c.channel_id == channel_id)
        of_channel = outbox.c.subscription_id.in_(there)  # by an index, as no message has one
        cards = statuses(self._session, and_(of_channel, outbox.c.message_id == message_id))
        order = [card.inbox_id for card in reversed(cards) if card.inbox_id is not None]
        found = {event.id: event for event in self._read(order)}
        return [found[inbox_id] for inbox_id in dict.fromkeys(order) if inbox_id in found]

    def subscription_ids(
        self, guild_id: int | None = None, channel_id: int | None = None
    ) -> Sequence[int]:
        """The subscriptions of a guild or a channel, or all, by id."""
        wanted = [
            column == value
            for column, value in (
                (subscriptions.c.guild_id, guild_id),
                (subscriptions.c.channel_id, channel_id),
            )
            if value is not None
        ]
        statement = select(subscriptions.c.id).where(*wanted).order_by(subscriptions.c.id)
        return list(self._session.scalars(statement))

    def _ids(self, wanted: EventFilter) -> Iterator[Select[Any]]:
        """Questions for the ids, the newest first, each of which one index answers in its order."""
        conditions = [*_conditions(wanted)]
        newest_first = select(inbox.c.id).where(*conditions).order_by(inbox.c.id.desc())
        if wanted.subscriptions is None:
            yield newest_first
            return
        lanes = self._lanes(wanted.subscriptions)
        for one in wanted.subscriptions:
            own = or_(inbox.c.subscription_id.is_(None), inbox.c.subscription_id == one.id)
            since = inbox.c.received_at >= one.shows_since
            yield newest_first.where(inbox.c.lane == lanes.get(one.hook_id, ""), own, since)
            # What came through the hook that it had before, and what /test made for it.
            of_cards = _joined(outbox.c.inbox_id, outbox.c.subscription_id == one.id, conditions)
            yield of_cards.order_by(outbox.c.id.desc())
            held = held_events.c.subscription_id == one.id
            of_held = _joined(held_events.c.inbox_id, held, conditions)
            yield of_held.order_by(held_events.c.inbox_id.desc())

    def _lanes(self, subscriptions: Sequence[Subscription]) -> Mapping[int, str]:
        ids = {one.hook_id for one in subscriptions}
        rows = self._session.execute(select(hooks).where(hooks.c.id.in_(ids))).mappings()
        return {row["id"]: _lane(row) for row in rows}

    def _read(self, ids: Collection[int]) -> Sequence[LoggedEvent]:
        """These events, the newest first."""
        statement = select(inbox).where(inbox.c.id.in_(ids)).order_by(inbox.c.id.desc())
        rows = self._session.execute(statement).mappings().all()
        cards: defaultdict[int, list[CardStatus]] = defaultdict(list)
        for card in statuses(self._session, outbox.c.inbox_id.in_(ids)):
            cards[card.inbox_id or 0].append(card)
        held: defaultdict[int, list[HeldSince]] = defaultdict(list)
        these = select(held_events).where(held_events.c.inbox_id.in_(ids))
        for row in self._session.execute(these).mappings():
            held[row["inbox_id"]].append(value_of(HeldSince, row))
        return [
            value_of(
                LoggedEvent,
                row,
                ordering_key=row["lane"],
                trace=tuple(TraceLine.from_json(line) for line in row["trace"]),
                cards=tuple(cards[row["id"]]),
                held=tuple(held[row["id"]]),
            )
            for row in rows
        ]


def _conditions(wanted: EventFilter) -> Iterator[ColumnElement[bool]]:
    yield inbox.c.same_as.is_(None)  # else a list has what a webhook had sent already
    if not wanted.samples:
        yield inbox.c.source != InboxSource.TEST
    if wanted.project_id is not None:
        yield inbox.c.project_id == wanted.project_id
    event_at = func.coalesce(inbox.c.happened_at, inbox.c.received_at)
    if wanted.since is not None:
        yield event_at >= wanted.since
    if wanted.until is not None:
        yield event_at <= wanted.until


def _joined(
    inbox_id: Any, of_subscription: ColumnElement[bool], conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    return select(inbox_id).join(inbox, inbox.c.id == inbox_id).where(of_subscription, *conditions)


def _lane(row: Row) -> str:
    if row["kind"] is HookKind.SHARED:
        return shared_ordering_key(row["server_url"], row["project_id"])
    return own_ordering_key(row["id"])
