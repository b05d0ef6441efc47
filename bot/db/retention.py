"""Retention: what nobody needs any more goes, in steps so small that no webhook waits for one."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    Column,
    ColumnElement,
    Delete,
    Select,
    Update,
    and_,
    delete,
    exists,
    func,
    literal_column,
    select,
    update,
)

from bot.database_content import RetentionPolicy
from bot.db.engine import Database
from bot.db.session import Session
from bot.db.tables import (
    HAS_BODY,
    audit_log,
    batches,
    bodies,
    day_use,
    discord_names,
    edits,
    held_events,
    history_taken,
    hooks,
    inbox,
    late_enrichment_jobs,
    notices,
    outbox,
    outbox_pictures,
    pictures,
    project_names,
    quota_notices,
    remembered_projects,
    subscriptions,
    threads,
)
from bot.work import (
    BatchState,
    InboxState,
    OutboxState,
)

STEP_ROWS = 100
STEP_BYTES = 4 * 1024 * 1024  # long values are freed page by page
STEP_PAGES = 64  # 512 KiB of SQLite's file
FOUND_AT_ONCE = 5_000
PAUSE_S = 0.05  # between two steps, many times what a step takes
# Time for an event to be finished before what it is about to use counts as unused.
UNUSED_FOR = timedelta(hours=1)
FILLED_IN_WITHIN = timedelta(days=1)  # tries end after minutes, unless the bot was down

THREADS_KEPT_FOR = timedelta(days=365)
QUOTA_KEPT_FOR = timedelta(days=2)

NO_BYTES: ColumnElement[int] = literal_column("0")

Found: TypeAlias = tuple[int | str, int]  # a row's key, and the bytes that go with it


@dataclass(frozen=True, slots=True)
class Rule:
    """Which rows something is done to; `find` gives their keys and bytes, the oldest first.

    `of_each` refers to the key: rows of another table that are deleted along with that.
    """

    what: str
    key: Column[Any]
    old: ColumnElement[bool]
    find: Select[Any]
    change: Update | Delete
    of_each: Column[Any] | None = None

    @classmethod
    def of(
        cls,
        what: str,
        change: Update | Delete,
        key: Column[Any],
        *old: ColumnElement[bool],
        order_by: Column[Any],
        size: ColumnElement[int] = NO_BYTES,
        of_each: Column[Any] | None = None,
    ) -> "Rule":
        """`change` whatever is `old`; an index on `order_by` finds it."""
        condition = and_(*old)
        find = select(key, size).where(condition).order_by(order_by).limit(FOUND_AT_ONCE)
        return cls(what, key, condition, find, change, of_each)


def rules(policy: RetentionPolicy, now: datetime) -> Sequence[Rule]:
    """Everything that goes at this moment. What refers to a thing goes before the thing.

    Waiting cards, open batches and deliveries that are not looked at yet are in none of them.
    """
    cards_and_events = (*_cards(policy, now), *_deliveries(policy, now))
    return (
        *_speckle(policy, now),
        *_names(now),
        *cards_and_events,
        *_what_is_left(policy, now),
        *_quotas(now),
        *_audit(policy, now),
    )


def _cards(policy: RetentionPolicy, now: datetime) -> Iterator[Rule]:
    sent = outbox.c.state == OutboxState.SENT
    yield Rule.of(
        "delivered",
        delete(outbox),
        outbox.c.id,
        sent,
        outbox.c.sent_at < now - policy.delivered,
        order_by=outbox.c.sent_at,
    )
    yield Rule.of(
        "undeliverable",
        delete(outbox),
        outbox.c.id,
        outbox.c.state == OutboxState.UNDELIVERABLE,
        outbox.c.gave_up_at < now - policy.undeliverable,
        order_by=outbox.c.gave_up_at,
    )
    yield Rule.of(
        "shown_pictures",
        delete(outbox_pictures),
        outbox_pictures.c.outbox_id,
        exists().where(
            outbox.c.id == outbox_pictures.c.outbox_id,
            sent,
            outbox.c.sent_at < now - policy.bodies,
        ),
        order_by=outbox_pictures.c.outbox_id,
    )


def _deliveries(policy: RetentionPolicy, now: datetime) -> Iterator[Rule]:
    yield Rule.of(
        "held_events",
        delete(held_events),
        held_events.c.inbox_id,
        held_events.c.held_at < now - policy.undeliverable,
        order_by=held_events.c.inbox_id,
    )
    finished = inbox.c.state.in_((InboxState.DONE, InboxState.FAILED))
    unheld = ~exists().where(held_events.c.inbox_id == inbox.c.id)
    yield Rule.of(
        "bodies",
        update(inbox).values(body_bytes=None),
        inbox.c.id,
        finished,
        HAS_BODY,
        inbox.c.finished_at < now - policy.bodies,
        unheld,
        # One whose right to be shown is lost meanwhile is taken back, and rendered again later.
        ~exists().where(outbox.c.inbox_id == inbox.c.id, outbox.c.state == OutboxState.WAITING),
        order_by=inbox.c.finished_at,
        size=inbox.c.body_bytes,
        of_each=bodies.c.inbox_id,
    )
    yield Rule.of(
        "events",
        delete(inbox),
        inbox.c.id,
        finished,
        inbox.c.finished_at < now - policy.delivered,
        ~exists().where(outbox.c.inbox_id == inbox.c.id),
        unheld,
        order_by=inbox.c.finished_at,
    )


def _speckle(policy: RetentionPolicy, now: datetime) -> Iterator[Rule]:
    """What is still to be added to cards, and has not been for long; what history is gone for."""
    # What happened before that is not fetched either.
    yield Rule.of(
        "remembered_projects",
        delete(remembered_projects),
        remembered_projects.c.subscription_id,
        remembered_projects.c.seen_at < now - policy.delivered,
        order_by=remembered_projects.c.seen_at,
    )
    yield Rule.of(
        "fill_ins",
        delete(late_enrichment_jobs),
        late_enrichment_jobs.c.id,
        late_enrichment_jobs.c.created_at < now - FILLED_IN_WITHIN,
        order_by=late_enrichment_jobs.c.id,
    )
    yield Rule.of(
        "edits",
        delete(edits),
        edits.c.outbox_id,
        edits.c.next_try_at < now - FILLED_IN_WITHIN,
        order_by=edits.c.next_try_at,
    )
    # Of a webhook that is looked at, catch-up itself forgets what its history no longer shows.
    yield Rule.of(
        "history_taken",
        delete(history_taken),
        history_taken.c.hook_id,
        exists().where(hooks.c.id == history_taken.c.hook_id, hooks.c.webhook_sealed.is_(None)),
        order_by=history_taken.c.hook_id,
    )


def _names(now: datetime) -> Iterator[Rule]:
    """What was heard of threads long ago; names of channels and projects that nothing follows."""
    yield Rule.of(
        "threads",
        delete(threads),
        threads.c.hook_id,
        threads.c.seen_at < now - THREADS_KEPT_FOR,
        order_by=threads.c.seen_at,
    )
    yield Rule.of(
        "discord_names",
        delete(discord_names),
        discord_names.c.id,
        discord_names.c.id != discord_names.c.guild_id,
        ~exists().where(subscriptions.c.channel_id == discord_names.c.id),
        order_by=discord_names.c.id,
    )
    yield Rule.of(
        "project_names",
        delete(project_names),
        project_names.c.account_id,
        ~exists().where(
            subscriptions.c.account_id == project_names.c.account_id,
            hooks.c.id == subscriptions.c.hook_id,
            hooks.c.project_id == project_names.c.project_id,
        ),
        order_by=project_names.c.account_id,
    )


def _what_is_left(policy: RetentionPolicy, now: datetime) -> Iterator[Rule]:
    yield Rule.of(
        "batches",
        delete(batches),
        batches.c.id,
        batches.c.state == BatchState.CLOSED,
        batches.c.created_at < now - UNUSED_FOR,
        ~exists().where(outbox.c.batch_id == batches.c.id),
        order_by=batches.c.created_at,
    )
    yield Rule.of(
        "pictures",
        delete(pictures),
        pictures.c.digest,
        pictures.c.created_at < now - UNUSED_FOR,
        ~exists().where(outbox_pictures.c.digest == pictures.c.digest),
        order_by=pictures.c.created_at,
        size=func.length(pictures.c.content),
    )
    yield Rule.of(
        "notices",
        delete(notices),
        notices.c.id,
        notices.c.next_try_at.is_(None),
        notices.c.created_at < now - policy.delivered,
        order_by=notices.c.id,
    )


def _quotas(now: datetime) -> Iterator[Rule]:
    """What was counted on days that are over; for a clock that is set back, yesterday's stays."""
    for table in (day_use, quota_notices):
        day = table.c.day
        old = day < (now - QUOTA_KEPT_FOR).date()
        yield Rule.of(table.name, delete(table), day, old, order_by=day)


def _audit(policy: RetentionPolicy, now: datetime) -> Iterator[Rule]:
    old = audit_log.c.at < now - policy.audit
    yield Rule.of("audit_log", delete(audit_log), audit_log.c.id, old, order_by=audit_log.c.at)


class Retention:
    """Deletes what is old enough, a few rows a transaction."""

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def tidy(self, policy: RetentionPolicy) -> Mapping[str, int]:
        """Delete everything that is older; how many rows of each kind that were.

        What is found is read while others write. They get their turn between two steps.
        """
        gone = {rule.what: await self._apply(rule) for rule in rules(policy, self._now())}
        if self._database.is_sqlite:
            await self._give_space_back()
        return {what: rows for what, rows in gone.items() if rows}

    async def step(self, rule: Rule, keys: Sequence[int | str]) -> int:
        """Apply a rule to those of these rows that it still applies to, in one transaction."""
        return await self._database.write(lambda session: _step(session, rule, keys))

    async def _apply(self, rule: Rule) -> int:
        total = 0
        while found := await self._find(rule):
            gone = 0
            for keys in portions(found):
                gone += await self.step(rule, keys)
                await asyncio.sleep(PAUSE_S)
            total += gone
            if not gone or len(found) < FOUND_AT_ONCE:
                break
        return total

    async def _find(self, rule: Rule) -> Sequence[Found]:
        return await self._database.read(
            lambda session: [(key, size) for key, size in session.execute(rule.find)]
        )

    async def _give_space_back(self) -> None:
        """Cut the free pages off SQLite's file. PostgreSQL's server sees to its own files."""
        free, left = None, await self._database.read(_free_pages)
        while left and left != free:  # a file that was laid out otherwise keeps them
            free, left = left, await self._database.write(_cut_pages)
            await asyncio.sleep(PAUSE_S)
        if free is not None:
            await self._database.copy_log()


def portions(found: Iterable[Found]) -> Iterator[Sequence[int | str]]:
    """The keys in lots of at most STEP_ROWS rows and about STEP_BYTES, each of one row or more."""
    keys: dict[int | str, None] = {}  # a card with several pictures is found several times
    taken = 0
    for key, size in found:
        if keys and (len(keys) == STEP_ROWS or taken + size > STEP_BYTES):
            yield list(keys)
            keys, taken = {}, 0
        keys[key] = None
        taken += size
    if keys:
        yield list(keys)


def _step(session: Session, rule: Rule, keys: Sequence[int | str]) -> int:
    """On PostgreSQL, rows that somebody else holds are left for the next time.

    A card that is being written holds the pictures that it names. Once a row is locked here nobody
    can come to refer to it, and the second statement sees who did so before.
    """
    unheld = (
        select(rule.key)
        .where(rule.key.in_(keys))
        .order_by(rule.key)
        .with_for_update(skip_locked=True)
    )
    ours = list(session.scalars(unheld))
    these = and_(rule.key.in_(ours), rule.old)
    if rule.of_each is not None:
        along = rule.of_each.in_(select(rule.key).where(these))
        session.execute(delete(rule.of_each.table).where(along))
    return session.execute(rule.change.where(these)).rowcount


def _free_pages(session: Session) -> int:
    return int(session.connection.exec_driver_sql("PRAGMA freelist_count").scalar_one())


def _cut_pages(session: Session) -> int:
    """Cut some free pages off; how many are left."""
    for _ in range(min(STEP_PAGES, _free_pages(session))):
        # One by one: whatever number it is given, Python's driver runs this for one page alone.
        session.connection.exec_driver_sql("PRAGMA incremental_vacuum(1)")
    return _free_pages(session)
