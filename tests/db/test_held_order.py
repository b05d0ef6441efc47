"""Whatever is held, taken back, paused and resumed: each event comes once and in its order."""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select
from sqlalchemy.dialects import sqlite

from bot.db.access_pauses import hold_back_cards
from bot.db.held_events import HEADS
from bot.db.tables import held_events, subscriptions
from bot.model import (
    RIGHTS_PAUSES,
    AccessPause,
    HookKind,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    EventResult,
    HeldEvent,
    HookResult,
    NewCard,
    NewInboxEvent,
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
    follow,
)

ASK = AccessPause(PauseReason.ASK_AGAIN, PauseWhy.AUDIENCE_WIDER)
AT_ONCE = 250  # so that none waits for its commit as long as a Speckle server would
CHANNELS = count(740_000_000_000_000_001)
OPS = (
    "show",
    "wait",
    "pause",
    "refuse",
    "resume",
    "found",
    "replay",
    "still waits",
    "send",
    "lost answer",
)
Op = tuple[str, int]


@dataclass
class Play:
    """Three subscriptions of a hook, two of them in one channel, and what each was shown."""

    storage: Storage
    clock: Clock
    subscriptions: Sequence[Subscription]
    came: list[int] = field(default_factory=list)
    shown: dict[int, list[int]] = field(default_factory=dict)
    sent: set[int] = field(default_factory=set)
    answered_at: dict[int, datetime] = field(default_factory=dict)
    in_hand: list[HeldEvent] = field(default_factory=list)

    async def do(self, op: str, which: int) -> None:
        one = await self.now(self.subscriptions[which])
        self.clock.forward(seconds=1)
        match op:
            case "show" | "wait" | "pause":
                await self.event(op, one.id)
            case "refuse":
                await self.storage.write(
                    lambda tx: tx.held_events.hold_back(one.id, self.clock(), ASK)
                )
            case "resume":
                self.answered_at[one.id] = self.clock()
                await self.storage.write(
                    lambda tx: tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)
                )
            case "found":
                await self.found()
            case "replay" | "still waits":
                await self.replay(op == "replay")
            case _:
                await self.send(one.channel_id, answered=op == "send")

    async def now(self, subscription: Subscription) -> Subscription:
        found = await self.storage.read(lambda tx: tx.subscriptions.get(subscription.id))
        assert found is not None
        return found

    async def event(self, op: str, subscription_id: int) -> None:
        """An event comes: this subscription waits, or is paused, and the others are shown it."""
        hook_id = self.subscriptions[0].hook_id
        number = len(self.came)
        body = f"{hook_id} {number}"
        lane = f"hook:{hook_id}"
        new = NewInboxEvent(hook_id, lane, HARBOUR_TOWER, SERVER, body, body.encode(), self.clock())
        receipt = await self.storage.intake.accept(new)
        self.came.append(receipt.id)
        routed = []
        for each in self.subscriptions:
            one = await self.now(each)
            if one.pause_reason in RIGHTS_PAUSES:
                routed.append(SubscriptionResult(one.id, held_until=self.clock()))
            elif one.id == subscription_id and op != "show":
                pause = ASK if op == "pause" else None
                routed.append(SubscriptionResult(one.id, held_until=self.clock(), pause=pause))
            else:
                routed.append(SubscriptionResult(one.id, self.card(one, receipt.id)))
        ingested = HookResult(hook_id, self.clock(), True, results=routed)
        await self.storage.write(
            lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "e", of_hooks=[ingested])])
        )

    def card(self, one: Subscription, inbox_id: int) -> NewCard:
        return NewCard(one.id, one.guild_id, one.channel_id, {"title": inbox_id})

    async def found(self) -> None:
        """Due events are found now, and dealt with after whatever happens next."""
        self.in_hand = await self.storage.read(lambda tx: tx.held_events.due(100))

    async def replay(self, may: bool) -> bool:
        mine = {one.id: one for one in self.subscriptions}
        found = self.in_hand or await self.storage.read(lambda tx: tx.held_events.due(100))
        self.in_hand = []
        due = [held for held in found if held.subscription_id in mine]
        for held in due:
            one = mine[held.subscription_id]
            routed = SubscriptionResult(one.id, self.card(one, held.inbox_id))
            if not may:
                routed = SubscriptionResult(one.id, held_until=self.clock() + timedelta(seconds=1))
            await self.storage.write(
                lambda tx: tx.held_events.settle(held, self.clock(), routed, [])
            )
        return bool(due)

    async def send(self, channel_id: int, *, answered: bool) -> bool:
        """One pass of the sender; without an answer the message is there all the same."""
        withheld = await self.look(channel_id)
        opened = await self.storage.write(lambda tx: tx.outbox.open_batch(channel_id, 3))
        if opened is None:
            return False
        batch, rows = opened
        there = batch.id in self.sent
        if not there and withheld & {row.subscription_id for row in rows}:
            await self.storage.write(lambda tx: tx.outbox.reopen(batch))
            return True
        if not there:
            self.sent.add(batch.id)
            for row in rows:
                self.shown.setdefault(row.subscription_id, []).append(row.card["title"])
        if answered or there:
            await self.storage.write(lambda tx: tx.outbox.mark_sent(batch, batch.id, self.clock()))
        return True

    async def look(self, channel_id: int) -> set[int]:
        """What `bot.pipeline.access_gate` does, where all may be shown that is not paused."""
        withheld = set()
        found = await self.storage.read(lambda tx: tx.outbox.due_subscriptions(channel_id))
        _, cards = found or (None, ())
        for waiting in cards:
            (one,) = (each for each in self.subscriptions if each.id == waiting.subscription_id)
            paused = (await self.now(one)).pause_reason in RIGHTS_PAUSES
            if paused or waiting.made_at < self.answered_at.get(one.id, waiting.made_at):
                await self.storage.write(lambda tx: tx.held_events.hold_back(one.id, self.clock()))
                withheld.add(one.id)
        return withheld

    async def end(self) -> None:
        """Somebody answers for all of them, and everything is shown."""
        for one in self.subscriptions:
            await self.storage.write(
                lambda tx: tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE)
            )
        more = True
        while more:
            self.clock.forward(seconds=2)
            more = await self.replay(True)
            for channel_id in {one.channel_id for one in self.subscriptions}:
                while await self.send(channel_id, answered=True):
                    more = True


async def play(storage: Storage, clock: Clock, ops: Sequence[Op]) -> None:
    hook = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    other = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    channel, apart = next(CHANNELS), next(CHANNELS)
    made = []
    for channel_id in (channel, apart):
        new = await follow(storage, hook.id, channel_id)
        made.append(new)
    beside = await follow(storage, other.id, channel)
    acting = Play(storage, clock, [*made, beside])
    for op, which in ops:
        await acting.do(op, which)
    await acting.end()
    for one in acting.subscriptions:
        assert acting.shown.get(one.id, []) == acting.came
    for one in acting.subscriptions:
        await storage.write(lambda tx: tx.subscriptions.delete(one.id))


@contextmanager
def opened(url: str, vault: Vault, clock: Clock) -> Iterator[tuple[asyncio.Runner, Storage]]:
    """A storage and the loop that it lives in, for many examples."""
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        storage = runner.run(stack.enter_async_context(Storage.open(url, vault, clock)))
        try:
            yield runner, storage
        finally:
            runner.run(stack.aclose())


def test_each_event_is_shown_once_and_in_its_order_whatever_happens_in_between(
    database_url: str, vault: Vault
) -> None:
    clock = Clock()
    with opened(database_url, vault, clock) as (runner, storage):

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @example([("show", 0), ("lost answer", 0), ("refuse", 0), ("show", 0), ("resume", 0)])
        @example([("show", 0), ("show", 0), ("pause", 0), ("resume", 0), ("show", 1)])
        @given(st.lists(st.tuples(st.sampled_from(OPS), st.integers(0, 2)), max_size=25))
        def any_order(ops: list[Op]) -> None:
            runner.run(play(storage, clock, ops))

        any_order()


async def test_a_card_does_not_overtake_one_that_is_being_taken_back(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    """The two transactions meet: on PostgreSQL they run side by side."""
    if storage._database.is_sqlite:
        pytest.skip("SQLite has one writer")

    async def event() -> int:
        receipt = await storage.intake.accept(delivery())
        card = NewCard(subscription.id, subscription.guild_id, STRUCTURE, {"title": receipt.id})
        routed = [SubscriptionResult(subscription.id, card)]
        one = HookResult(subscription.hook_id, clock(), True, results=routed)
        await storage.write(
            lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "e", of_hooks=[one])])
        )
        return receipt.id

    first = await event()
    with storage._database.writing() as connection:
        locked = select(subscriptions).where(subscriptions.c.id == subscription.id)
        connection.execute(locked.with_for_update())
        hold_back_cards(connection, [subscription.id], clock(), clock())
        coming = asyncio.create_task(event())
        await asyncio.wait([coming], timeout=0.5)
    second = await coming
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 2
    assert [held.inbox_id for held in await storage.read(lambda tx: tx.held_events.due(9))] == [
        first
    ]
    assert second > first


def steps(path: str, statement: object) -> int:
    """How many steps of SQLite's machine a statement takes, in hundreds."""
    sql = str(statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))  # type: ignore[attr-defined]
    taken = count()
    with sqlite3.connect(path) as connection:
        connection.set_progress_handler(lambda: next(taken) * 0, 100)
        connection.execute(sql).fetchall()
    connection.close()
    return next(taken)


async def test_what_a_paused_subscription_holds_costs_the_others_nothing(
    sqlite_url: str, vault: Vault, clock: Clock
) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    async with Storage.open(sqlite_url, vault, clock) as storage:
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
            )
        )
        (_, stopped), (_, going) = await storage.write(
            lambda tx: [
                tx.subscriptions.upsert(hook.id, channel_id, SubscriptionOptions(), MAREN_ODUYA)
                for channel_id in (STRUCTURE, FACADE)
            ]
        )
        news = [
            NewInboxEvent(hook.id, "l", HARBOUR_TOWER, SERVER, str(number), b"x", clock())
            for number in range(3_000)
        ]
        receipts = []
        for start in range(0, len(news), AT_ONCE):
            some = news[start : start + AT_ONCE]
            receipts += await asyncio.gather(*map(storage.intake.accept, some))
        rows = [
            {
                "subscription_id": stopped.id,
                "inbox_id": receipt.id,
                "held_at": clock(),
                "attempts": 0,
                "next_try_at": clock(),
            }
            for receipt in receipts
        ]
        last = rows.pop() | {"subscription_id": going.id}
        with storage._database.writing() as connection:
            connection.execute(insert(held_events), [rows[0], last])
        await storage.write(lambda tx: tx.held_events.hold_back(stopped.id, clock(), ASK))
        few = steps(path, HEADS.params(busy=[]))
        with storage._database.writing() as connection:
            connection.execute(insert(held_events), rows[1:])
        assert [
            one.subscription_id for one in await storage.read(lambda tx: tx.held_events.due(9))
        ] == [going.id]
        assert steps(path, HEADS.params(busy=[])) <= few + 1
