"""The inbox: every verified delivery, from the 202 to the cards that it became."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Select, func, or_, select, text, update

from bot.db.ingested import write_ingested
from bot.db.rows import (
    InboxHead,
    InboxRow,
    InboxSource,
    InboxState,
    Ingested,
    Subscription,
    TraceLine,
)
from bot.db.session import Session
from bot.db.tables import IS_NEW, bodies, hooks, inbox
from bot.db.twins import pair, twins

Row = Mapping[Any, Any]
Body = tuple[str, str]  # digest and lane

WITH_BODY = select(inbox, bodies.c.body).join(bodies, isouter=True)
LOCK_DIGESTS = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


class Inbox:
    """Gives deliveries out in order, one lane at a time, and notes what became of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def get(self, row_id: int) -> InboxRow | None:
        """The row with this id."""
        rows = self._session.execute(WITH_BODY.where(inbox.c.id == row_id))
        row = rows.mappings().one_or_none()
        return None if row is None else _inbox_row(row)

    def next_per_lane(self, excluding_lanes: Collection[str] = ()) -> list[InboxHead]:
        """The oldest new row of each lane that is due, oldest first, without its body.

        A lane whose oldest row waits for another try gives none, so that order holds.
        """
        due = or_(inbox.c.next_try_at.is_(None), inbox.c.next_try_at <= self._now())
        statement = (
            select(inbox.c.id, inbox.c.lane, hooks.c.guild_id, inbox.c.body_bytes)
            .join(hooks, inbox.c.hook_id == hooks.c.id, isouter=True)
            .where(inbox.c.id.in_(_lane_heads(excluding_lanes)), due)
            .order_by(inbox.c.id)
        )
        rows = self._session.execute(statement)
        return [InboxHead(*row) for row in rows]

    def due_in(self, excluding_lanes: Collection[str] = ()) -> float | None:
        """Seconds until a row is due, 0 if one is; None if nothing is new."""
        statement = select(
            func.count(), func.count(inbox.c.next_try_at), func.min(inbox.c.next_try_at)
        ).where(inbox.c.id.in_(_lane_heads(excluding_lanes)))
        lanes, postponed, earliest = self._session.execute(statement).one()
        if not lanes:
            return None
        if postponed < lanes:
            return 0.0
        wait: timedelta = earliest - self._now()
        return max(0.0, wait.total_seconds())

    def finish(
        self,
        row_id: int,
        trace: Sequence[TraceLine],
        *,
        event_name: str,
        ingested: Sequence[Ingested],
        event_key: str | None = None,
    ) -> list[int]:
        """Write all that an event led to, in one transaction; the ids of its new cards.

        `event_key` is the same for events that say the same. A row that is finished already writes
        nothing and gives none.
        """
        now = self._now()
        if not self._end(row_id, InboxState.DONE, trace, event_name, event_key):
            return []
        pair(self._session, row_id, {row for one in ingested for row in one.already.values()})
        return write_ingested(self._session, row_id, ingested, now)

    def shown_already(
        self, row: InboxRow, event_key: str, subscriptions: Sequence[Subscription]
    ) -> Mapping[int, int]:
        """The subscriptions that were shown the same event another way already, and by which row.

        Each row counts against one: equal events are shown as often as they happened. `finish`
        keeps it.
        """
        return twins(self._session, row, event_key, subscriptions)

    def postpone(self, row_id: int, trace: Sequence[TraceLine], next_try_at: datetime) -> None:
        """Leave a row, and its lane behind it, for later."""
        statement = (
            update(inbox)
            .where(inbox.c.id == row_id, IS_NEW)
            .values(attempts=inbox.c.attempts + 1, next_try_at=next_try_at, trace=_json(trace))
        )
        self._session.execute(statement)

    def fail(self, row_id: int, trace: Sequence[TraceLine]) -> None:
        """Set a row aside for good: it is no delivery that can be understood."""
        self._end(row_id, InboxState.FAILED, trace, None)

    def _end(
        self,
        row_id: int,
        state: InboxState,
        trace: Sequence[TraceLine],
        event_name: str | None,
        event_key: str | None = None,
    ) -> bool:
        statement = (
            update(inbox)
            .where(inbox.c.id == row_id, IS_NEW)
            .values(
                state=state,
                trace=_json(trace),
                event_name=event_name,
                event_key=event_key,
                finished_at=self._now(),
                next_try_at=None,
            )
        )
        return self._session.execute(statement).rowcount == 1


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


def lock_keys(session: Session, texts: Collection[str]) -> None:
    """Make another process that has the same body wait until this commit can be seen.

    PostgreSQL only: SQLite has one writer. `texts` are digests of bodies, or names of lanes and
    quotas.
    """
    keys = {int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in texts}
    # Sorted, so that two processes never wait for each other.
    session.execute(LOCK_DIGESTS, {"keys": sorted(keys)})


def _lane_heads(excluding_lanes: Collection[str]) -> Select[tuple[int]]:
    """The id of the oldest new row of each lane.

    Hops from lane to lane on the index: a plain GROUP BY would read all that waits, each time.
    """
    first = select(func.min(inbox.c.lane).label("lane")).where(IS_NEW)
    lanes = first.cte("lanes", recursive=True)
    following = select(func.min(inbox.c.lane)).where(IS_NEW, inbox.c.lane > lanes.c.lane)
    lanes = lanes.union_all(
        select(following.correlate(lanes).scalar_subquery()).where(lanes.c.lane.is_not(None))
    )
    head = select(func.min(inbox.c.id)).where(IS_NEW, inbox.c.lane == lanes.c.lane)
    return select(head.correlate(lanes).scalar_subquery()).where(
        lanes.c.lane.is_not(None), lanes.c.lane.not_in(excluding_lanes)
    )


def _json(trace: Sequence[TraceLine]) -> list[list[Any]]:
    return [line.to_json() for line in trace]


def _inbox_row(row: Row) -> InboxRow:
    return InboxRow(
        id=row["id"],
        hook_id=row["hook_id"],
        lane=row["lane"],
        project_id=row["project_id"],
        server_url=row["server_url"],
        digest=row["digest"],
        body=row["body"] or b"",
        received_at=row["received_at"],
        state=InboxState(row["state"]),
        attempts=row["attempts"],
        next_try_at=row["next_try_at"],
        finished_at=row["finished_at"],
        event_name=row["event_name"],
        trace=tuple(TraceLine.from_json(line) for line in row["trace"]),
        source=InboxSource(row["source"]),
        happened_at=row["happened_at"],
        event_key=row["event_key"],
        subscription_id=row["subscription_id"],
    )
