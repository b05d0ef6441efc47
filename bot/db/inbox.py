"""The inbox: every verified delivery, from the 202 to the cards that it became."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import takewhile
from typing import Any

from sqlalchemy import Select, and_, bindparam, func, select, text, update

from bot.db.event_pairs import EventPartners, link_pair
from bot.db.event_results import write_event_results
from bot.db.looks import BUSY
from bot.db.rows import Row, value_of
from bot.db.session import Session
from bot.db.shown_subjects import newest_subjects, without_repeats
from bot.db.tables import IS_NEW, bodies, hooks, inbox
from bot.errors import AlreadyFinished
from bot.model import Subscription
from bot.trace import TraceLine
from bot.work import (
    EventResult,
    InboxEvent,
    InboxKey,
    InboxState,
    TakenEvents,
    ToPair,
)


def add_lines(session: Session, inbox_id: int, lines: Sequence[TraceLine]) -> None:
    """Add lines to an event's trace, in the transaction of `session`."""
    if not lines:
        return
    of_event = inbox.c.id == inbox_id
    trace = session.scalar(select(inbox.c.trace).where(of_event).with_for_update())
    new = [*(trace or ()), *(line.to_json() for line in lines)]
    session.execute(update(inbox).where(of_event).values(trace=new))


ENDED = ("state", "trace", "event_name", "event_key", "subject", "finished_at")
WITH_BODY = select(inbox, bodies.c.body).join(bodies, isouter=True)
# What each event needs is built once: that takes longer than to carry it out.
OLDEST = (
    select(inbox.c.id, func.sum(inbox.c.body_bytes).over(order_by=inbox.c.id).label("bytes"))
    .where(IS_NEW, inbox.c.lane == bindparam("lane"))
    .order_by(inbox.c.id)
    .limit(bindparam("most"))
    .subquery()
)
FITS = OLDEST.c.bytes <= bindparam("max_bytes")
TAKE = (
    select(inbox, bodies.c.body, FITS.label("fits"))
    .join(OLDEST, OLDEST.c.id == inbox.c.id)
    .join(bodies, and_(bodies.c.inbox_id == inbox.c.id, FITS), isouter=True)
    .order_by(inbox.c.id)
)
END = (
    update(inbox)
    .where(inbox.c.id == bindparam("row_id"), IS_NEW)
    .values({name: bindparam(f"new_{name}") for name in ENDED})
)


def _key_heads() -> Select[tuple[int]]:
    """The id of the oldest new row of each ordering key that is not busy.

    Hops from ordering key to ordering key on the index: a plain GROUP BY would read all that waits,
    each time.
    """
    first = select(func.min(inbox.c.lane).label("lane")).where(IS_NEW)
    ordering_keys = first.cte("ordering_keys", recursive=True)
    following = select(func.min(inbox.c.lane)).where(IS_NEW, inbox.c.lane > ordering_keys.c.lane)
    ordering_keys = ordering_keys.union_all(
        select(following.correlate(ordering_keys).scalar_subquery()).where(
            ordering_keys.c.lane.is_not(None)
        )
    )
    head = select(func.min(inbox.c.id)).where(IS_NEW, inbox.c.lane == ordering_keys.c.lane)
    return select(head.correlate(ordering_keys).scalar_subquery()).where(
        ordering_keys.c.lane.is_not(None), ordering_keys.c.lane.not_in(BUSY)
    )


DUE_KEYS = (
    select(inbox.c.lane, hooks.c.guild_id)
    .join(hooks, inbox.c.hook_id == hooks.c.id, isouter=True)
    .where(inbox.c.id.in_(_key_heads()))
    .order_by(inbox.c.id)
)
LOCK_DIGESTS = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


class Inbox:
    """Gives deliveries out in order, one ordering key at a time, and notes what became of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def get(self, row_id: int) -> InboxEvent | None:
        """The row with this id."""
        rows = self._session.execute(WITH_BODY.where(inbox.c.id == row_id))
        row = rows.mappings().one_or_none()
        return None if row is None else _inbox_row(row)

    def get_small(self, row_id: int, max_bytes: int) -> InboxEvent | None:
        """The same, without a body that is larger than this."""
        small = and_(bodies.c.inbox_id == inbox.c.id, inbox.c.body_bytes <= max_bytes)
        statement = select(inbox, bodies.c.body).join(bodies, small, isouter=True)
        row = self._session.execute(statement.where(inbox.c.id == row_id)).mappings().one_or_none()
        return None if row is None else _inbox_row(row)

    def due_keys(self, excluding_keys: Collection[str] = ()) -> list[InboxKey]:
        """The ordering keys where something is new, the one that has waited longest first."""
        rows = self._session.execute(DUE_KEYS, {"busy": tuple(excluding_keys)})
        return [InboxKey(*row) for row in rows]

    def take(self, ordering_key: str, most: int, max_bytes: int) -> TakenEvents:
        """The oldest new rows of an ordering key that may be processed together, with their
        bodies.

        They came in the same way for the same subscriptions, and have at most `max_bytes` together.
        """
        values = {"lane": ordering_key, "most": most, "max_bytes": max_bytes}
        found = self._session.execute(TAKE, values).mappings().all()
        same = takewhile(lambda row: _way(row) == _way(found[0]), found)
        rows = [_inbox_row(row) for row in same if row["fits"]]
        too_large = found[0]["id"] if found and not rows else None
        return TakenEvents(rows, too_large, more=len(found) > len(rows) or len(found) == most)

    def finish(self, results: Sequence[EventResult]) -> list[int]:
        """Write all that events led to, in one transaction; the ids of the new cards, in order.

        Errors: AlreadyFinished if one of them was processed since; then nothing is written.
        """
        now = self._now()
        results = without_repeats(self._session, results, now)
        self._end(results, now)
        for result in results:
            partners = {row for one in result.of_hooks for row in one.already.values()}
            link_pair(self._session, result.inbox_id, partners)
        return write_event_results(self._session, results, now)

    def newest_subjects(
        self,
        ordering_key: str,
        beginnings: Sequence[str],
        before_id: int,
        below: str | None = None,
    ) -> list[str]:
        """How the last subjects of events before a row go on that begin in these ways.

        Only those that go on with less than `below`, if that is given.
        """
        return newest_subjects(self._session, ordering_key, beginnings, before_id, below)

    def partners(
        self, events: Sequence[ToPair], subscriptions: Sequence[Subscription]
    ) -> EventPartners:
        """By which rows subscriptions were shown these events another way.

        `finish` keeps it.
        """
        return EventPartners.of(self._session, events, subscriptions)

    def _end(self, results: Sequence[EventResult], now: datetime) -> None:
        rows = [
            {
                "row_id": result.inbox_id,
                "new_state": InboxState.FAILED if result.event_name is None else InboxState.DONE,
                "new_trace": [line.to_json() for line in result.trace],
                "new_event_name": result.event_name,
                "new_event_key": result.event_key,
                "new_subject": result.subject,
                "new_finished_at": now,
            }
            for result in results
        ]
        if self._session.execute(END, rows).rowcount != len(rows):
            raise AlreadyFinished


def insert_events(session: Session, events: Sequence[Mapping[str, Any]]) -> list[int]:
    """Insert events, each with its `body` or none, in a transaction; their ids, in order."""
    rows = [_without_body(event) for event in events]
    ids = session.insert_in_order(inbox, rows)
    new = [
        {"inbox_id": row_id, "body": event["body"]}
        for row_id, event in zip(ids, events, strict=True)
        if event["body"] is not None
    ]
    session.insert_all(bodies, new)
    return ids


def _without_body(event: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(event)
    body = row.pop("body")
    return row | {"body_bytes": None if body is None else len(body)}


def lock_texts(session: Session, texts: Collection[str]) -> None:
    """Make another process that has the same body wait until this commit can be seen.

    PostgreSQL only: SQLite has one writer. `texts` are digests of bodies, or names of ordering keys
    and quotas.
    """
    keys = {int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in texts}
    # Sorted, so that two processes never wait for each other.
    session.execute(LOCK_DIGESTS, {"keys": sorted(keys)})


def _way(row: Row) -> tuple[Any, ...]:
    """How a row came, and for whom."""
    return row["source"], row["hook_id"], row["subscription_id"]


def _inbox_row(row: Row) -> InboxEvent:
    return value_of(
        InboxEvent,
        row,
        ordering_key=row["lane"],
        body=row["body"] or b"",
        trace=tuple(TraceLine.from_json(line) for line in row["trace"]),
    )
