"""What goes when it is old, what never goes, and who waits for that: nobody."""

import asyncio
import re
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, Select, Update, event, func, select, update

from bot.cards.card import Picture
from bot.database_content import RetentionPolicy
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.retention import STEP_BYTES, STEP_ROWS, portions, rules
from bot.db.sqlite_file import sqlite_path
from bot.db.tables import batches, bodies, inbox, notices, outbox, outbox_pictures, pictures
from bot.model import Hook, HookKind, PauseReason, Subscription
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    EventResult,
    HookResult,
    NewCard,
    OutboxState,
    SubscriptionResult,
)
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
)
from tests.stored import stored_card, waiting_count

KEEP = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))
AVATAR = Picture("avatar.png", "image/png", b"\x89PNG avatar")
PREVIEW = Picture("preview.png", "image/png", b"\x89PNG preview")
OLD_ROWS = 200_000
YOUNG = ("ix_inbox_new", "ix_inbox_finished", "ix_outbox_waiting", "uq_batches_open")


@pytest.fixture
async def database(storage: Storage, database_url: str) -> AsyncIterator[Database]:
    """The same database, past the storage's door."""
    async with Database.open(parse_url(database_url)) as opened:
        yield opened


async def count(database: Database, statement: Select[int]) -> int:
    return await database.read(lambda session: session.scalar(statement)) or 0


async def rows(database: Database) -> dict[str, int]:
    tables = (inbox, outbox, batches, outbox_pictures, pictures, notices)
    return {t.name: await count(database, select(func.count()).select_from(t)) for t in tables}


async def change(database: Database, statement: Update) -> None:
    with database.writing() as connection:
        connection.execute(statement)


async def deliver(storage: Storage, clock: Clock) -> None:
    """Everything that waits in #structure goes out."""
    while (
        opened := await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    ) is not None:
        await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, clock()))


async def give_up(storage: Storage) -> None:
    """Discord takes nothing of what waits in #structure."""
    while (
        opened := await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    ) is not None:
        await storage.write(
            lambda tx: tx.outbox.mark_undeliverable(opened[0], "50035: Invalid Form Body")
        )


# ── what goes, and when ───────────────────────────────────────────────────────────────────────


async def test_the_body_of_a_finished_event_goes_after_its_days_and_the_event_stays(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [card_id] = await queue(subscription)
    await deliver(storage, clock)
    card = await storage.read(lambda tx: stored_card(tx, card_id))
    assert card is not None
    inbox_id = card.inbox_id
    assert inbox_id is not None
    clock.forward(days=6, hours=23)
    assert await storage.retention.tidy(KEEP) == {}
    clock.forward(hours=2)
    assert await storage.retention.tidy(KEEP) == {"bodies": 1}
    event = await storage.read(lambda tx: tx.inbox.get(inbox_id))
    assert event is not None
    assert (event.body, len(event.trace)) == (b"", 1)
    assert await storage.retention.tidy(KEEP) == {}


async def test_an_event_that_nobody_has_looked_at_is_kept_whole_for_ever(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    receipt = await storage.intake.accept(delivery(b"still to do"))
    clock.forward(days=4000)
    assert await storage.retention.tidy(KEEP) == {}
    event = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert event is not None
    assert event.body == b"still to do"


async def test_an_event_that_became_no_card_goes_with_its_trace_after_its_days(
    storage: Storage, hook: Hook, delivery: NewDelivery, clock: Clock
) -> None:
    shown_to_nobody = await storage.intake.accept(delivery())
    await storage.write(lambda tx: tx.inbox.finish([EventResult(shown_to_nobody.id, [], "x")]))
    no_delivery = await storage.intake.accept(delivery())
    await storage.write(lambda tx: tx.inbox.finish([EventResult(no_delivery.id, [])]))
    clock.forward(days=29)
    assert await storage.retention.tidy(KEEP) == {"bodies": 2}
    clock.forward(days=2)
    assert await storage.retention.tidy(KEEP) == {"events": 2}


async def test_a_sent_card_goes_after_its_days_with_its_event_and_its_message(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database: Database
) -> None:
    await queue(subscription)
    clock.forward(days=20)  # it waited; its days begin when it is sent
    await deliver(storage, clock)
    clock.forward(days=29)
    assert await storage.retention.tidy(KEEP) == {"bodies": 1}
    clock.forward(days=2)
    assert await storage.retention.tidy(KEEP) == {"delivered": 1, "events": 1, "batches": 1}
    assert not any((await rows(database)).values())


async def test_an_undeliverable_card_stays_longer_and_keeps_its_event(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database: Database
) -> None:
    await queue(subscription, pictures=(AVATAR,))
    await give_up(storage)
    clock.forward(days=89)
    assert await storage.retention.tidy(KEEP) == {"bodies": 1}
    clock.forward(days=2)
    gone = await storage.retention.tidy(KEEP)
    assert gone == {"undeliverable": 1, "events": 1, "batches": 1, "pictures": 1}
    assert not any((await rows(database)).values())


async def test_a_waiting_card_is_kept_whole_for_ever_and_so_is_its_event(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [waiting] = await queue(subscription, pictures=(AVATAR,))
    clock.forward(days=4000)
    assert await storage.retention.tidy(KEEP) == {"audit_log": 1}  # that somebody subscribed
    card = await storage.read(lambda tx: stored_card(tx, waiting))
    assert card is not None
    assert (card.state, card.pictures) == (OutboxState.WAITING, (AVATAR,))
    inbox_id = card.inbox_id
    assert inbox_id is not None
    # It is rendered again if the right to be shown it is lost meanwhile.
    event = await storage.read(lambda tx: tx.inbox.get(inbox_id))
    assert event is not None
    assert event.body


async def test_a_message_that_may_be_under_way_keeps_its_nonce_for_ever(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    clock.forward(days=4000)
    await storage.retention.tidy(KEEP)
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) == opened


async def test_pictures_go_with_the_days_of_bodies_unless_another_card_shows_them(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database: Database
) -> None:
    await queue(subscription, pictures=(AVATAR, PREVIEW))
    await deliver(storage, clock)
    [waiting] = await queue(subscription, pictures=(AVATAR,))
    clock.forward(days=8)
    gone = await storage.retention.tidy(KEEP)
    assert gone == {"bodies": 1, "shown_pictures": 2, "pictures": 1}
    card = await storage.read(lambda tx: stored_card(tx, waiting))
    assert card is not None
    assert card.pictures == (AVATAR,)
    assert (await rows(database))["outbox"] == 2


async def test_a_picture_that_is_shown_again_counts_as_new(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database: Database
) -> None:
    await queue(subscription, pictures=(AVATAR,))
    clock.forward(days=1)
    await queue(subscription, pictures=(AVATAR,))
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    clock.forward(minutes=59)
    assert "pictures" not in await storage.retention.tidy(KEEP)
    clock.forward(minutes=2)
    assert (await storage.retention.tidy(KEEP))["pictures"] == 1


async def test_a_notice_that_was_told_goes_and_one_that_is_still_to_be_told_stays(
    storage: Storage, hook: Hook, clock: Clock, database: Database
) -> None:
    said = {
        "guild_id": hook.guild_id,
        "channel_id": FACADE,
        "user_id": MAREN_ODUYA,
        "reason": "channel_gone",
        "detail": "",
        "nonce": "n",
        "created_at": clock(),
        "next_try_at": None,
    }
    with database.writing() as connection:
        connection.execute(notices.insert(), [said, {**said, "next_try_at": clock()}])
    clock.forward(days=29)
    assert await storage.retention.tidy(KEEP) == {}
    clock.forward(days=2)
    assert await storage.retention.tidy(KEEP) == {"notices": 1}
    assert (await rows(database))["notices"] == 1


# ── in small steps ────────────────────────────────────────────────────────────────────────────


def test_a_step_holds_few_rows_and_few_bytes_but_one_row_at_least() -> None:
    small = [(n, 100) for n in range(2 * STEP_ROWS + 1)]
    assert [len(keys) for keys in portions(small)] == [STEP_ROWS, STEP_ROWS, 1]
    large = [(1, STEP_BYTES - 1), (2, 1), (3, 1), (4, 10 * STEP_BYTES), (5, 0)]
    assert list(portions(large)) == [[1, 2], [3], [4], [5]]
    assert list(portions([])) == []
    assert list(portions([(7, 0), (7, 0)])) == [[7]]


async def test_a_delivery_is_taken_between_two_steps_of_a_large_clean_up(
    storage: Storage, delivery: NewDelivery, clock: Clock, database: Database
) -> None:
    for _ in range(20):
        receipts = await asyncio.gather(*(storage.intake.accept(delivery()) for _ in range(100)))
    await change(database, update(inbox).values(state="done", finished_at=clock()))
    clock.forward(days=31)
    tidying = asyncio.create_task(storage.retention.tidy(KEEP))
    there = select(func.count()).select_from(bodies)
    while await count(database, there) == 2000:
        assert not tidying.done()
    receipt = await storage.intake.accept(delivery())
    assert receipt.id == receipts[-1].id + 1
    assert await count(database, there) > 1
    assert not tidying.done()
    assert await tidying == {"bodies": 2000, "events": 2000}
    assert await count(database, select(func.count()).select_from(inbox)) == 1


async def test_a_row_that_changed_since_it_was_found_is_left_alone(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database: Database
) -> None:
    [card_id] = await queue(subscription)
    await give_up(storage)
    clock.forward(days=91)
    [rule] = [rule for rule in rules(KEEP, clock()) if rule.what == "undeliverable"]
    await change(database, update(outbox).values(state="waiting", gave_up_at=None))
    assert await storage.retention.step(rule, [card_id]) == 0
    assert await storage.read(lambda tx: stored_card(tx, card_id)) is not None


async def test_a_picture_that_a_card_is_about_to_name_is_left_alone_on_postgresql(
    postgres_url: str, vault: Vault, clock: Clock
) -> None:
    """Two transactions at once: the card's, which is not committed yet, and retention's."""
    async with (
        Storage.open(postgres_url, vault, clock) as storage,
        Database.open(parse_url(postgres_url)) as database,
    ):
        values = {"media_type": "image/png", "content": b"x", "created_at": clock()}
        old = [{"digest": digest, **values} for digest in ("named", "unused")]
        with database.writing() as connection:
            connection.execute(pictures.insert(), old)
        clock.forward(hours=2)
        with database.writing() as connection:
            new = connection.insert(pictures).values({**old[0], "created_at": clock()})
            renewed = new.on_conflict_do_update(
                index_elements=[pictures.c.digest],
                set_={"created_at": new.excluded.created_at},
            )
            connection.execute(renewed)
            assert await storage.retention.tidy(KEEP) == {"pictures": 1}
        assert await storage.retention.tidy(KEEP) == {}
        assert await count(database, select(func.count()).select_from(pictures)) == 1


# ── a file that shrinks, and answers that take no longer ──────────────────────────────────────


@pytest.mark.parametrize(("deliveries", "body_bytes"), [(1000, 6_000), (12, 1_000_000)])
async def test_the_file_gives_space_back_while_it_is_open(
    deliveries: int,
    body_bytes: int,
    sqlite_url: str,
    vault: Vault,
    delivery: NewDelivery,
    clock: Clock,
) -> None:
    path = sqlite_path(parse_url(sqlite_url))
    async with Storage.open(sqlite_url, vault, clock) as storage:
        bodies = [b"%09d" % n * (body_bytes // 9) for n in range(deliveries)]
        await asyncio.gather(*(storage.intake.accept(delivery(body)) for body in bodies))
        async with Database.open(parse_url(sqlite_url)) as database:
            await change(database, update(inbox).values(state="failed", finished_at=clock()))
            await database.copy_log()
        large = path.stat().st_size
        clock.forward(days=8)
        assert await storage.retention.tidy(KEEP) == {"bodies": deliveries}
        assert path.stat().st_size < large / 4


# One row every twelve seconds.
OLD_INBOX = """
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows),
      t(i, at) AS (SELECT i, datetime(:since, (12 * i) || ' seconds') || '.000000' FROM n)
    INSERT INTO inbox(id, lane, project_id, digest, received_at, state, finished_at, trace)
      SELECT i, 'hook:1', 'p', i, at, 'done', at, '[]' FROM t
"""
OLD_BATCHES = """
    INSERT INTO batches(id, channel_id, nonce, created_at, state)
      SELECT id, :channel, id, received_at, 'closed' FROM inbox
"""
OLD_OUTBOX = """
    INSERT INTO outbox(id, inbox_id, subscription_id, guild_id, channel_id, card, state,
                       batch_id, created_at, sent_at)
      SELECT id, id, 1, 1, :channel, '{}', 'sent', id, received_at, received_at FROM inbox
"""


def fill_with_old_rows(path: Path, since: datetime) -> None:
    """What a busy month leaves: finished events without bodies, their sent cards, their batches."""
    values = {"rows": OLD_ROWS, "since": f"{since:%Y-%m-%d %H:%M:%S}", "channel": STRUCTURE}
    with closing(sqlite3.connect(path)) as connection:
        for statement in (OLD_INBOX, OLD_BATCHES, OLD_OUTBOX):
            connection.execute(statement, values)
        connection.commit()


@contextmanager
def recorded_statements() -> Iterator[dict[str, Any]]:
    """Every statement that any engine runs within the block, with parameters."""
    statements: dict[str, Any] = {}

    def record(_c: Any, _cursor: Any, text: str, parameters: Any, _x: Any, many: bool) -> None:
        if not text.startswith(("PRAGMA", "BEGIN")):
            statements[text] = parameters[0] if many else parameters

    event.listen(Engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", record)


def reads_through(path: Path, statements: Mapping[str, Any]) -> list[str]:
    """The statements that read a whole table, or a whole index that old rows are in, and how."""
    through = re.compile(rf"SCAN (inbox|outbox|batches)\b(?!.* INDEX ({'|'.join(YOUNG)})\b)")
    found = []
    with closing(sqlite3.connect(path)) as connection:
        for text, parameters in statements.items():
            plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", parameters).fetchall()
            found += [f"{line[3]}: {text}" for line in plan if through.match(line[3])]
    return found


@pytest.fixture
async def busy(sqlite_url: str, vault: Vault, clock: Clock) -> AsyncIterator[Storage]:
    """A storage just opened, full of what is too young to go."""
    fill_with_old_rows(sqlite_path(parse_url(sqlite_url)), clock() - timedelta(days=29))
    async with Storage.open(sqlite_url, vault, clock) as storage:
        yield storage


async def test_no_statement_of_a_busy_minute_reads_through_200_000_old_rows(
    busy: Storage, clock: Clock, delivery: NewDelivery, sqlite_url: str
) -> None:
    hook = await busy.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, STRUCTURE
        )
    )
    _, follows = await busy.write(
        lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA)
    )
    card = NewCard(follows.id, STUDIO_KESTREL, STRUCTURE, {"title": "card"}, (AVATAR,))
    one = HookResult(hook.id, clock(), True, results=[SubscriptionResult(follows.id, card)])
    first = await busy.intake.accept(delivery())
    await busy.write(lambda tx: tx.inbox.finish([EventResult(first.id, [])]))
    with recorded_statements() as statements:
        for _ in range(3):
            receipt = await busy.intake.accept(delivery(hook_id=hook.id, lane="hook:1"))
            assert len(await busy.read(lambda tx: tx.inbox.due_keys())) == 1
            taken = await busy.read(lambda tx: tx.inbox.take("hook:1", 8, 1_000_000))
            assert [row.id for row in taken.rows] == [receipt.id]
            await busy.write(
                lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "x", of_hooks=[one])])
            )
            assert len(await busy.read(lambda tx: tx.outbox.due_channels(8))) == 1
            assert await busy.read(lambda tx: tx.outbox.due_in()) == 0
            assert await busy.read(waiting_count) == 1
            await deliver(busy, clock)
        await busy.write(lambda tx: tx.outbox.postpone(STRUCTURE, clock(), "50001"))
        await busy.write(
            lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.NO_PERMISSION, "50001")
        )
        assert await busy.retention.tidy(KEEP) == {}
        for rule in rules(KEEP, clock()):
            await busy.retention.step(rule, ["no such row"])
    assert len(statements) > 40
    assert reads_through(sqlite_path(parse_url(sqlite_url)), statements) == []


async def test_the_first_delivery_after_a_start_reads_through_no_old_rows(
    busy: Storage, delivery: NewDelivery, sqlite_url: str
) -> None:
    with recorded_statements() as statements:
        await busy.intake.accept(delivery())
    assert reads_through(sqlite_path(parse_url(sqlite_url)), statements) == []
