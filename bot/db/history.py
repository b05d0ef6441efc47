"""What Speckle's own lists know and the inbox lacks: taken in once, however often one looks."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, and_, delete, func, select, update

from bot.db.engine import Database
from bot.db.inbox import lock_keys
from bot.db.quotas import Quotas, lock_names
from bot.db.rows import DayQuota, HookKind, HookState, InboxSource, InboxState, TraceLine
from bot.db.tables import HAS_KEY, IS_NEW, history_taken, hooks, inbox

AT_ONCE = 200  # keys in one statement, and locks of PostgreSQL in one transaction
STAGE = "catch_up"
NOTE = "note"  # a fact of a trace line that the card says too


@dataclass(frozen=True, slots=True)
class Missed:
    """An entry of a webhook's history that did not get through, as far as Speckle knows.

    `at` is Speckle's time of the try; `digest` is the body's SHA-256 in hex.
    """

    call_id: str
    at: datetime
    digest: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Window:
    """What the counting of equal bodies goes by.

    `recorded` counts by digest the events that the history tells of, from `since` on; `last_id` is
    the last row that the inbox had before the history was asked.
    """

    recorded: Mapping[str, int]
    since: datetime
    last_id: int


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of missed entries: ids of new rows, how many were there, how many are unclear.

    `full`: there was no room for the rest within today's quota.
    """

    rows: tuple[int, ...] = ()
    there: int = 0
    unclear: int = 0
    full: bool = False


@dataclass(frozen=True, slots=True)
class Fetched:
    """An event of a project's activity list, its body in the wire's form."""

    at: datetime
    event_name: str
    event_key: str
    body: bytes = field(repr=False)


class History:
    """Puts into the inbox what is missing there, each in one transaction."""

    def __init__(self, database: Database, quotas: Quotas, now: Callable[[], datetime]) -> None:
        self._database = database
        self._quotas = quotas
        self._now = now

    async def hook_ids(self) -> list[int]:
        """The hooks that may have missed something, oldest first."""
        statement = select(hooks.c.id).where(hooks.c.state != HookState.CLOSED)
        async with self._database.reading() as connection:
            return [*await connection.scalars(statement.order_by(hooks.c.id))]

    async def last_id(self) -> int:
        """The id of the last row of the inbox, 0 if it is empty."""
        async with self._database.reading() as connection:
            return await connection.scalar(select(func.max(inbox.c.id))) or 0

    async def dealt_with(self, hook_id: int) -> frozenset[str]:
        """The entries of a hook's history that were taken in, or found to be there."""
        statement = select(history_taken.c.call_id).where(history_taken.c.hook_id == hook_id)
        async with self._database.reading() as connection:
            return frozenset(await connection.scalars(statement))

    async def set_aside(self, hook_id: int, call_ids: Sequence[str]) -> None:
        """Deal with entries that are no deliveries of the hook's project: they never come in."""
        await self._database.write_at_once(
            lambda connection: self._note(connection, hook_id, call_ids)
        )

    async def take_in(
        self,
        hook_id: int,
        missed: Sequence[Missed],
        window: Window,
        note: str | None = None,
        quota: DayQuota | None = None,
    ) -> TakenIn:
        """Put into the inbox those entries, at most AT_ONCE and in order, that are not there.

        The first one that the quota has no room for ends it. Of a body that is missing k times, the
        first k entries are taken. An entry whose body has come in since the history was asked is
        left for the next time: whether it is that very event or another, only a later look into
        the history tells. `note` goes to the first row.
        """
        return await self._database.write_at_once(
            lambda connection: self._take_in(connection, hook_id, missed, window, note, quota)
        )

    async def looked(
        self, hook_id: int, at: datetime, visible: Collection[str] | None = None
    ) -> None:
        """Note when a list was last looked at to the end; entries not in it are forgotten."""
        await self._database.write_at_once(
            lambda connection: self._looked(connection, hook_id, at, visible)
        )

    async def fill_in(
        self,
        *,
        hook_id: int | None,
        lane: str,
        project_id: str,
        server_url: str,
        fetched: Sequence[Fetched],
        note: str | None = None,
        quota: DayQuota | None = None,
    ) -> TakenIn | None:
        """Put events of an activity list into the inbox, in order, unless they are there.

        Only kinds that the lane has had before: what its webhook is not set to send was not
        missed. None while events of the lane wait to be looked at, as nobody knows yet what
        those are.
        """
        return await self._database.write_at_once(
            lambda connection: self._fill_in(
                connection, hook_id, lane, project_id, server_url, fetched, note, quota
            )
        )

    # ── within a transaction ──────────────────────────────────────────────────────────────────

    def _take_in(
        self,
        connection: Connection,
        hook_id: int,
        missed: Sequence[Missed],
        window: Window,
        note: str | None,
        quota: DayQuota | None,
    ) -> TakenIn:
        digests = sorted({entry.digest for entry in missed})
        if not self._database.is_sqlite:
            lock_keys(connection, lock_names([quota]).union(digests))
        hook = connection.execute(_hook(hook_id)).one_or_none()
        if hook is None:
            return TakenIn()
        lane = f"hook:{hook_id}"
        there, since_then = _rows(connection, lane, digests, window)
        already = _already(connection, hook_id, [entry.call_id for entry in missed])
        counting = self._quotas.counting(connection, [quota])
        rows: list[dict[str, Any]] = []
        found: list[str] = []
        taken: list[str] = []
        unclear = 0
        full = False
        for entry in missed:
            if entry.call_id in already:
                continue
            if entry.digest in since_then:
                unclear += 1
            elif window.recorded.get(entry.digest, 0) > there[entry.digest]:
                if full := not counting.take(quota, hook_id, len(entry.body)):
                    break
                there[entry.digest] += 1
                taken.append(entry.call_id)
                text = "Fetched from the webhook's history: Speckle had not got it through."
                trace = self._trace(text, None if rows else note)
                rows.append(
                    self._row(
                        hook_id=hook_id,
                        lane=lane,
                        project_id=hook.project_id,
                        server_url=hook.server_url,
                        digest=entry.digest,
                        body=entry.body,
                        source=InboxSource.HISTORY,
                        happened_at=entry.at,
                        trace=trace,
                        event_key=None,
                    )
                )
            else:
                found.append(entry.call_id)
        ids = self._database.insert_in_order(connection, inbox, rows)
        self._note(connection, hook_id, taken + found)
        self._quotas.write(connection, counting)
        return TakenIn(tuple(ids), len(found), unclear, full)

    def _note(self, connection: Connection, hook_id: int, call_ids: Sequence[str]) -> None:
        if not call_ids or connection.execute(_hook(hook_id)).one_or_none() is None:
            return
        statement = self._database.insert(history_taken).on_conflict_do_nothing()
        values = [{"hook_id": hook_id, "call_id": call_id} for call_id in sorted(set(call_ids))]
        connection.execute(statement, values)

    def _looked(
        self,
        connection: Connection,
        hook_id: int,
        at: datetime,
        visible: Collection[str] | None,
    ) -> None:
        connection.execute(update(hooks).where(hooks.c.id == hook_id).values(caught_up_at=at))
        if visible is None:
            return
        mine = history_taken.c.hook_id == hook_id
        there = set(connection.scalars(select(history_taken.c.call_id).where(mine)))
        gone = sorted(there.difference(visible))
        for start in range(0, len(gone), AT_ONCE):
            these = history_taken.c.call_id.in_(gone[start : start + AT_ONCE])
            connection.execute(delete(history_taken).where(mine, these))

    def _fill_in(
        self,
        connection: Connection,
        hook_id: int | None,
        lane: str,
        project_id: str,
        server_url: str,
        fetched: Sequence[Fetched],
        note: str | None,
        quota: DayQuota | None,
    ) -> TakenIn | None:
        if not self._database.is_sqlite:
            lock_keys(connection, lock_names([quota]) | {lane})
        if hook_id is not None and connection.execute(_hook(hook_id)).one_or_none() is None:
            return TakenIn()
        unread = and_(IS_NEW, inbox.c.lane == lane, inbox.c.source != InboxSource.ACTIVITY)
        if connection.scalar(select(inbox.c.id).where(unread).limit(1)) is not None:
            return None
        names = _names(connection, lane, {one.event_name for one in fetched})
        wanted = [one for one in fetched if one.event_name in names]
        there = _keys(connection, lane, [one.event_key for one in wanted])
        counting = self._quotas.counting(connection, [quota])
        rows: list[dict[str, Any]] = []
        full = False
        for one in wanted:
            if one.event_key in there:
                continue
            if full := not counting.take(quota, hook_id, len(one.body)):
                break
            there.add(one.event_key)
            text = "Fetched from the project's activity list: no webhook had brought it."
            rows.append(
                self._row(
                    hook_id=hook_id,
                    lane=lane,
                    project_id=project_id,
                    server_url=server_url,
                    digest=sha256(one.body).hexdigest(),
                    body=one.body,
                    source=InboxSource.ACTIVITY,
                    happened_at=one.at,
                    trace=self._trace(text, None if rows else note),
                    event_key=one.event_key,
                )
            )
        ids = self._database.insert_in_order(connection, inbox, rows)
        self._quotas.write(connection, counting)
        return TakenIn(tuple(ids), len(wanted) - len(ids), full=full)

    def _row(self, **values: Any) -> dict[str, Any]:
        return {"received_at": self._now(), "state": InboxState.NEW, **values}

    def _trace(self, text: str, note: str | None) -> list[list[Any]]:
        facts = {} if note is None else {NOTE: note}
        return [TraceLine(self._now(), STAGE, text, facts).to_json()]


def _hook(hook_id: int) -> Any:
    """The hook, kept from being removed until the commit; its events may come in meanwhile."""
    return (
        select(hooks.c.project_id, hooks.c.server_url)
        .where(
            hooks.c.id == hook_id,
            hooks.c.kind == HookKind.OWN,
            hooks.c.state != HookState.CLOSED,
        )
        .with_for_update(key_share=True)
    )


def _rows(
    connection: Connection, lane: str, digests: Sequence[str], window: Window
) -> tuple[Counter[str], set[str]]:
    """How often each body is in the inbox; the bodies that came in after the history was asked.

    What was taken in from the history counts whenever that was: it is recorded there.
    """
    statement = select(inbox.c.digest, inbox.c.id, inbox.c.source).where(
        inbox.c.received_at >= window.since,
        inbox.c.digest.in_(digests),
        inbox.c.lane == lane,
    )
    there: Counter[str] = Counter()
    since_then: set[str] = set()
    for digest, row_id, source in connection.execute(statement):
        if row_id <= window.last_id or source == InboxSource.HISTORY:
            there[digest] += 1
        else:
            since_then.add(digest)
    return there, since_then


def _already(connection: Connection, hook_id: int, call_ids: Sequence[str]) -> set[str]:
    statement = select(history_taken.c.call_id).where(
        history_taken.c.hook_id == hook_id, history_taken.c.call_id.in_(call_ids)
    )
    return set(connection.scalars(statement))


def _names(connection: Connection, lane: str, names: Collection[str]) -> set[str]:
    """Those of these kinds that the lane has had an event of; their keys begin with the name."""

    def had(name: str) -> bool:
        begins = (inbox.c.event_key >= f"{name}:", inbox.c.event_key < f"{name};")
        statement = select(inbox.c.id).where(HAS_KEY, inbox.c.lane == lane, *begins).limit(1)
        return connection.scalar(statement) is not None

    return {name for name in names if had(name)}


def _keys(connection: Connection, lane: str, keys: Sequence[str]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(keys), AT_ONCE):
        some = inbox.c.event_key.in_(keys[start : start + AT_ONCE])
        found |= set(
            connection.scalars(select(inbox.c.event_key).where(HAS_KEY, inbox.c.lane == lane, some))
        )
    return found
