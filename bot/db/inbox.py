"""The inbox: every verified delivery, from the 202 to the cards that it became."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, Select, bindparam, func, or_, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.batcher import Batcher
from bot.db.engine import Database
from bot.db.failures import answered_within
from bot.db.ingested import write_ingested
from bot.db.quotas import Counting, Quotas, lock_names
from bot.db.rows import (
    InboxHead,
    InboxReceipt,
    InboxRow,
    InboxSource,
    InboxState,
    Ingested,
    NewInbox,
    Subscription,
    TraceLine,
)
from bot.db.tables import IS_NEW, bodies, hooks, inbox
from bot.db.twins import pair, twins
from bot.errors import HookGone

# A Speckle server with several replicas sends one event several times within seconds.
DUPLICATE_WITHIN = timedelta(seconds=60)
PUT_WITHIN_S = 4.5  # with the look-up before it, less than the 10 s that Speckle waits

NO_ROOM = InboxReceipt(0, duplicate=False, over_quota=True)

Row = Mapping[Any, Any]
Body = tuple[str, str]  # digest and lane

WITH_BODY = select(inbox, bodies.c.body).join(bodies, isouter=True)
# By id, so that the latest of several twins is the one that is kept below.
BODIES = select(inbox.c.digest, inbox.c.lane, inbox.c.received_at, inbox.c.id)
# "+ 0", as SQLite would else read all rows in the order of their ids, to be spared the sorting.
RECENT = BODIES.where(
    inbox.c.received_at > bindparam("since"), inbox.c.received_at < bindparam("until")
).order_by(inbox.c.id + 0)
RECENT_OF_THESE = RECENT.where(inbox.c.digest.in_(bindparam("digests", expanding=True)))
AFTER = BODIES.where(inbox.c.id > bindparam("last_id")).order_by(inbox.c.id)
LOCK_DIGESTS = text("SELECT pg_advisory_xact_lock(key) FROM unnest(CAST(:keys AS bigint[])) AS key")


@dataclass(slots=True)
class _Kept:
    """Where a body stands, or is about to: its id is known after the insert."""

    received_at: datetime
    id: int = 0


class Inbox:
    """Takes deliveries in, many in one commit, and gives them out in order, one lane at a time."""

    def __init__(
        self,
        database: Database,
        quotas: Quotas,
        now: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._quotas = quotas
        self._now = now
        self._puts = Batcher[NewInbox, InboxReceipt | Exception]("inbox", self._put_together)
        # What came within the last minute, oldest first. On SQLite this spares each commit a
        # look-up in an index: what another process put there has a higher id than all of these.
        self._recent: dict[Body, _Kept] = {}
        self._last_id: int | None = None
        # When commits were made, by a clock that nobody sets, and the last id of each. Rows up to
        # `_old_id` came more than a minute ago, whatever their times say.
        self._seconds = seconds
        self._commits: deque[tuple[float, int]] = deque()
        self._old_id = 0

    async def close(self) -> None:
        """Wait until all that was put is committed."""
        await self._puts.close()

    async def put(self, new: NewInbox) -> InboxReceipt:
        """Keep a delivery; returns after it is committed and synced.

        The same digest in the same lane within 60 s is a duplicate and is not kept again. After
        the machine's clock was set, one may be kept again, but nothing is taken for a duplicate of
        what came long ago. One that its hook has no room for today is not kept.
        Errors: StorageUnavailable, within PUT_WITHIN_S; if the write was under way by then, it may
        be kept all the same. HookGone.
        """
        async with answered_within(PUT_WITHIN_S):
            receipt = await self._puts.submit(new)
        if isinstance(receipt, Exception):
            raise receipt
        return receipt

    async def get(self, row_id: int) -> InboxRow | None:
        """The row with this id."""
        async with self._database.reading() as connection:
            rows = await connection.execute(WITH_BODY.where(inbox.c.id == row_id))
            row = rows.mappings().one_or_none()
        return None if row is None else _inbox_row(row)

    async def next_per_lane(self, excluding_lanes: Collection[str] = ()) -> list[InboxHead]:
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
        async with self._database.reading() as connection:
            rows = await connection.execute(statement)
        return [InboxHead(*row) for row in rows]

    async def due_in(self, excluding_lanes: Collection[str] = ()) -> float | None:
        """Seconds until a row is due, 0 if one is; None if nothing is new."""
        statement = select(
            func.count(), func.count(inbox.c.next_try_at), func.min(inbox.c.next_try_at)
        ).where(inbox.c.id.in_(_lane_heads(excluding_lanes)))
        async with self._database.reading() as connection:
            lanes, postponed, earliest = (await connection.execute(statement)).one()
        if not lanes:
            return None
        if postponed < lanes:
            return 0.0
        wait: timedelta = earliest - self._now()
        return max(0.0, wait.total_seconds())

    async def finish(
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
        async with self._database.writing() as connection:
            if not await self._end(
                connection, row_id, InboxState.DONE, trace, event_name, event_key
            ):
                return []
            await pair(
                connection, row_id, {row for one in ingested for row in one.already.values()}
            )
            return await write_ingested(self._database, connection, row_id, ingested, now)

    async def shown_already(
        self, row: InboxRow, event_key: str, subscriptions: Sequence[Subscription]
    ) -> Mapping[int, int]:
        """The subscriptions that were shown the same event another way already, and by which row.

        Each row counts against one: equal events are shown as often as they happened. `finish`
        keeps it.
        """
        return await self._database.read_at_once(
            lambda connection: twins(connection, row, event_key, subscriptions)
        )

    async def postpone(
        self, row_id: int, trace: Sequence[TraceLine], next_try_at: datetime
    ) -> None:
        """Leave a row, and its lane behind it, for later."""
        statement = (
            update(inbox)
            .where(inbox.c.id == row_id, IS_NEW)
            .values(attempts=inbox.c.attempts + 1, next_try_at=next_try_at, trace=_json(trace))
        )
        async with self._database.writing() as connection:
            await connection.execute(statement)

    async def fail(self, row_id: int, trace: Sequence[TraceLine]) -> None:
        """Set a row aside for good: it is no delivery that can be understood."""
        async with self._database.writing() as connection:
            await self._end(connection, row_id, InboxState.FAILED, trace, None)

    async def _end(
        self,
        connection: AsyncConnection,
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
        return (await connection.execute(statement)).rowcount == 1

    async def _put_together(self, items: Sequence[NewInbox]) -> Sequence[InboxReceipt | Exception]:
        """One commit for all; if one of them cannot be kept, one for each, to spare the others."""
        try:
            return await self._commit(items)
        except DBAPIError as error:
            if len(items) == 1:
                return [_not_kept(error)]
        return [(await self._put_together([item]))[0] for item in items]

    async def _commit(self, items: Sequence[NewInbox]) -> Sequence[InboxReceipt]:
        places, fresh, counting = await self._database.write_at_once(
            lambda connection: self._keep(connection, items)
        )
        if fresh:
            self._commits.append((self._seconds(), max(place.id for place in fresh.values())))
        if self._database.is_sqlite:
            self._remember(fresh)
        self._quotas.remember(counting)
        return [
            NO_ROOM if place is None else InboxReceipt(place.id, duplicate)
            for place, duplicate in places
        ]

    def _keep(
        self, connection: Connection, items: Sequence[NewInbox]
    ) -> tuple[Sequence[tuple[_Kept | None, bool]], dict[Body, _Kept], Counting]:
        """Where each item stands, and whether it stood there already; the places that are new.

        An item that there is no room for stands nowhere.
        """
        self._forget_old()
        kept = self._earlier(connection, items)
        counting = self._quotas.counting(connection, (item.quota for item in items))
        places: list[tuple[_Kept | None, bool]] = []
        fresh: dict[Body, _Kept] = {}
        rows: list[dict[str, Any]] = []
        for item in items:
            body = (item.digest, item.lane)
            place = fresh.get(body) or kept.get(body)
            if place is not None and self._is_recent(place, item):
                places.append((place, True))
                continue
            if not counting.take(item.quota, item.hook_id, len(item.body)):
                places.append((None, False))
                continue
            place = fresh[body] = _Kept(item.received_at)
            rows.append(_values(item))
            places.append((place, False))
        ids = insert_events(self._database, connection, rows)
        new = (place for place, duplicate in places if place is not None and not duplicate)
        for place, row_id in zip(new, ids, strict=True):
            place.id = row_id
        self._quotas.write(connection, counting)
        return places, fresh, counting

    def _earlier(self, connection: Connection, items: Sequence[NewInbox]) -> Mapping[Body, _Kept]:
        """The latest rows of the last minute, by body: those of these bodies at least."""
        times = [item.received_at for item in items]
        # On both sides: what came before the clock was set back has a time that is yet to come.
        window = {"since": min(times) - DUPLICATE_WITHIN, "until": max(times) + DUPLICATE_WITHIN}
        if not self._database.is_sqlite:
            guilds = lock_names(item.quota for item in items)
            lock_keys(connection, guilds | {item.digest for item in items})
            digests = list({item.digest for item in items})
            return _kept(connection.execute(RECENT_OF_THESE, {**window, "digests": digests}))
        if self._last_id is None:
            self._remember(_kept(connection.execute(RECENT, window)))
        else:
            self._remember(_kept(connection.execute(AFTER, {"last_id": self._last_id})))
        return self._recent

    def _is_recent(self, place: _Kept, item: NewInbox) -> bool:
        """Whether what was kept came within the last minute; a place that is new has no id yet."""
        apart = abs(item.received_at - place.received_at)
        return apart < DUPLICATE_WITHIN and not 0 < place.id <= self._old_id

    def _remember(self, kept: dict[Body, _Kept]) -> None:
        if kept:
            self._recent.update(kept)
            self._last_id = next(reversed(kept.values())).id

    def _forget_old(self) -> None:
        oldest = self._seconds() - DUPLICATE_WITHIN.total_seconds()
        while self._commits and self._commits[0][0] <= oldest:
            self._old_id = self._commits.popleft()[1]
        recent = self._recent
        while recent and recent[body := next(iter(recent))].id <= self._old_id:
            del recent[body]


def insert_events(
    database: Database, connection: Connection, events: Sequence[Mapping[str, Any]]
) -> list[int]:
    """Insert events, each with its `body` or none, within `write_at_once`; their ids, in order."""
    rows = [_without_body(event) for event in events]
    ids = database.insert_in_order(connection, inbox, rows)
    new = [
        {"inbox_id": row_id, "body": event["body"]}
        for row_id, event in zip(ids, events, strict=True)
        if event["body"] is not None
    ]
    database.insert_all(connection, bodies, new)
    return ids


def _without_body(event: Mapping[str, Any]) -> dict[str, Any]:
    row = dict(event)
    body = row.pop("body")
    return row | {"body_bytes": None if body is None else len(body)}


def lock_keys(connection: Connection, texts: Collection[str]) -> None:
    """Make another process that has the same body wait until this commit can be seen.

    PostgreSQL only: SQLite has one writer. `texts` are digests of bodies, or names of lanes and
    quotas.
    """
    keys = {int.from_bytes(sha256(text.encode()).digest()[:8], signed=True) for text in texts}
    # Sorted, so that two processes never wait for each other.
    connection.execute(LOCK_DIGESTS, {"keys": sorted(keys)})


def _kept(rows: Iterable[Any]) -> dict[Body, _Kept]:
    return {(digest, lane): _Kept(at, row_id) for digest, lane, at, row_id in rows}


def _values(item: NewInbox) -> dict[str, Any]:
    return {
        "hook_id": item.hook_id,
        "lane": item.lane,
        "project_id": item.project_id,
        "server_url": item.server_url,
        "digest": item.digest,
        "body": item.body,
        "received_at": item.received_at,
        "state": InboxState.NEW,
        "trace": [],
        "source": item.source,
    }


def _not_kept(error: DBAPIError) -> Exception:
    """Neither is an outage: the database works, and takes other deliveries."""
    return HookGone() if isinstance(error, IntegrityError) else error


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
