"""Takes verified deliveries into the inbox: committed before anyone gets an answer."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import DBAPIError, IntegrityError

from bot.db.day_use import Counting, UseOfToday, counting_for, lock_names, write_counting
from bot.db.engine import Database
from bot.db.group_commit import GroupCommit
from bot.db.inbox import insert_events, lock_texts
from bot.db.session import Session
from bot.db.tables import inbox
from bot.errors import HookGone
from bot.speckle.issue_hints import is_hint
from bot.work import (
    DUPLICATE_WITHIN,
    InboxReceipt,
    InboxState,
    NewInboxEvent,
)

PUT_WITHIN_S = 4.5  # with the look-up before it, less than the 10 s that Speckle waits

NO_ROOM = InboxReceipt(0, duplicate=False, over_quota=True)

Body = tuple[str, str]  # digest and ordering key

# By id, so that the latest of several twins is the one that is kept below.
BODIES = select(inbox.c.digest, inbox.c.lane, inbox.c.received_at, inbox.c.id)
# "+ 0", as otherwise SQLite reads all rows in the order of their ids, to save the sorting.
RECENT = BODIES.where(
    inbox.c.received_at > bindparam("since"), inbox.c.received_at < bindparam("until")
).order_by(inbox.c.id + 0)
RECENT_OF_THESE = RECENT.where(inbox.c.digest.in_(bindparam("digests", expanding=True)))
AFTER = BODIES.where(inbox.c.id > bindparam("last_id")).order_by(inbox.c.id)


@dataclass(slots=True)
class _AcceptedRow:
    """Where a body is, or will be: its id is known after the insert."""

    received_at: datetime
    id: int = 0


class Intake:
    """Takes deliveries in, many in one commit."""

    def __init__(
        self,
        database: Database,
        use: UseOfToday,
        now: Callable[[], datetime],
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._use = use
        self._now = now
        self._puts = GroupCommit[NewInboxEvent, InboxReceipt | Exception](
            "inbox", self._accept_together, within_s=PUT_WITHIN_S
        )
        # What came within the last minute, oldest first. On SQLite this spares each commit a
        # look-up in an index: what another process put there has a higher id than all of these.
        self._recent: dict[Body, _AcceptedRow] = {}
        self._last_id: int | None = None
        # When commits were made, by a clock that nobody sets, and the last id of each. Rows up to
        # `_old_id` came more than a minute ago, whatever their times say.
        self._seconds = seconds
        self._commits: deque[tuple[float, int]] = deque()
        self._old_id = 0

    async def close(self) -> None:
        """Wait until all that was put is committed."""
        await self._puts.close()

    async def accept(self, event: NewInboxEvent) -> InboxReceipt:
        """Keep a delivery; returns after it is committed and synced.

        The same digest in the same ordering key within 60 s is a duplicate and is not kept again;
        only an issue's event is, as what it means is found out later.
        After the machine's clock was set, one may be kept again, but nothing is taken for a
        duplicate of what came long ago. One that its hook has no room for today is not kept.
        Errors: StorageUnavailable, within PUT_WITHIN_S; if the write was under way then, it may
        be kept all the same. HookGone.
        """
        receipt = await self._puts.submit(event)
        if isinstance(receipt, Exception):
            raise receipt
        return receipt

    async def _accept_together(
        self, items: Sequence[NewInboxEvent]
    ) -> Sequence[InboxReceipt | Exception]:
        """One commit for all; if one of them cannot be kept, one for each, to spare the others."""
        try:
            return await self._commit(items)
        except DBAPIError as error:
            if len(items) == 1:
                return [_not_accepted(error)]
        return [(await self._accept_together([item]))[0] for item in items]

    async def _commit(self, items: Sequence[NewInboxEvent]) -> Sequence[InboxReceipt]:
        places, fresh, counting = await self._database.write(
            lambda session: self._keep(session, items), urgent=True
        )
        if fresh:
            self._commits.append((self._seconds(), max(place.id for place in fresh.values())))
        if self._database.is_sqlite:
            self._remember(fresh)
        self._use.remember(counting)
        return [
            NO_ROOM if place is None else InboxReceipt(place.id, duplicate)
            for place, duplicate in places
        ]

    def _keep(
        self, session: Session, items: Sequence[NewInboxEvent]
    ) -> tuple[Sequence[tuple[_AcceptedRow | None, bool]], dict[Body, _AcceptedRow], Counting]:
        """Where each item is, and whether it was there already; the places that are new.

        An item that there is no room for is nowhere.
        """
        self._forget_old()
        kept = self._earlier(session, items)
        counting = counting_for(session, (item.quota for item in items))
        places: list[tuple[_AcceptedRow | None, bool]] = []
        fresh: dict[Body, _AcceptedRow] = {}
        rows: list[dict[str, Any]] = []
        for item in items:
            body = (item.digest, item.ordering_key)
            place = fresh.get(body) or kept.get(body)
            if place is not None and self._is_recent(place, item) and not is_hint(item.body):
                places.append((place, True))
                continue
            if not counting.take(item.quota, item.hook_id, len(item.body)):
                places.append((None, False))
                continue
            place = fresh[body] = _AcceptedRow(item.received_at)
            rows.append(_values(item))
            places.append((place, False))
        ids = insert_events(session, rows)
        new = (place for place, duplicate in places if place is not None and not duplicate)
        for place, row_id in zip(new, ids, strict=True):
            place.id = row_id
        write_counting(session, counting)
        return places, fresh, counting

    def _earlier(
        self, session: Session, items: Sequence[NewInboxEvent]
    ) -> Mapping[Body, _AcceptedRow]:
        """The latest rows of the last minute, by body: those of these bodies at least."""
        times = [item.received_at for item in items]
        # On both sides: what came before the clock was set back has a time in the future.
        window = {"since": min(times) - DUPLICATE_WITHIN, "until": max(times) + DUPLICATE_WITHIN}
        if not session.is_sqlite:
            guilds = lock_names(item.quota for item in items)
            lock_texts(session, guilds | {item.digest for item in items})
            digests = list({item.digest for item in items})
            return _accepted(session.execute(RECENT_OF_THESE, {**window, "digests": digests}))
        if self._last_id is None:
            self._remember(_accepted(session.execute(RECENT, window)))
        else:
            self._remember(_accepted(session.execute(AFTER, {"last_id": self._last_id})))
        return self._recent

    def _is_recent(self, place: _AcceptedRow, item: NewInboxEvent) -> bool:
        """Whether what was kept came within the last minute; a place that is new has no id yet."""
        apart = abs(item.received_at - place.received_at)
        return apart < DUPLICATE_WITHIN and not 0 < place.id <= self._old_id

    def _remember(self, kept: dict[Body, _AcceptedRow]) -> None:
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


def _accepted(rows: Iterable[Any]) -> dict[Body, _AcceptedRow]:
    return {
        (digest, ordering_key): _AcceptedRow(at, row_id)
        for digest, ordering_key, at, row_id in rows
    }


def _values(item: NewInboxEvent) -> dict[str, Any]:
    return {
        "hook_id": item.hook_id,
        "lane": item.ordering_key,
        "project_id": item.project_id,
        "server_url": item.server_url,
        "digest": item.digest,
        "body": item.body,
        "received_at": item.received_at,
        "state": InboxState.NEW,
        "trace": [],
        "source": item.source,
    }


def _not_accepted(error: DBAPIError) -> Exception:
    """Neither is an outage: the database works, and takes other deliveries."""
    return HookGone() if isinstance(error, IntegrityError) else error
