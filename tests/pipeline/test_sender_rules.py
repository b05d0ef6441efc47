"""When a channel is tried again, and when its cards are given up: real SQLite, a clock of ours."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.cards.card import Card
from bot.discord_api.outcomes import Outcome, RetryLater, Sent
from bot.discord_api.rate_limits import RateLimiter
from bot.model import HookKind
from bot.pipeline.access_gate import ChannelState
from bot.pipeline.sender import FindSent, HoldBack, Send, Sender, SenderTimings
from bot.problem_texts import reason_text
from bot.problems import SendProblem, SendReason
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import Backoff
from bot.vault import Vault
from bot.work import (
    Batch,
    EventResult,
    FallbackLevel,
    HookResult,
    NewCard,
    NewInboxEvent,
    OutboxState,
    SubscriptionResult,
)
from tests.stored import new_database, stored_card
from tests.waiting import until

CHANNEL = 730_000_000_000_000_001


class Clock:
    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


class Discord:
    """Takes what it is sent, or answers as it was told to."""

    def __init__(self, clock: Clock) -> None:
        self.answer: Outcome | None = None
        self.tried_at: list[datetime] = []
        self.nonces: list[str] = []
        self._clock = clock

    async def send(self, batch: Batch, _cards: Sequence[Card], _form: FallbackLevel) -> Outcome:
        self.tried_at.append(self._clock())
        self.nonces.append(batch.nonce)
        return self.answer or Sent(len(self.tried_at))


async def everything_may_go(_channel: ChannelState) -> Collection[int]:
    return ()


async def nowhere(_batch: Batch, _cards: Sequence[Card], _form: FallbackLevel) -> None:
    return None


async def unexplained(_guild_id: int, _channel_id: int) -> None:
    return None


class Seconds:
    """The clock of the pace."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class Work:
    """A delivery at work."""

    delivery: Sender
    pace_clock: Seconds


@asynccontextmanager
async def delivering(
    storage: Storage,
    send: Send,
    clock: Clock,
    timings: SenderTimings = SenderTimings(),
    *,
    hold_back: HoldBack = everything_may_go,
    find_sent: FindSent = nowhere,
) -> AsyncIterator[Work]:
    pace_clock = Seconds()
    work = Sender(
        storage,
        send,
        unexplained,
        hold_back,
        RateLimiter(45, pace_clock),
        find_sent=find_sent,
        channels_at_once=4,
        now=clock,
        timings=timings,
        rand=lambda: 0.5,
    )
    connected = asyncio.Event()
    connected.set()
    running = asyncio.create_task(work.run(connected))
    try:
        yield Work(work, pace_clock)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def storage(tmp_path: Path, clock: Clock) -> AsyncIterator[Storage]:
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(new_database(tmp_path / "bot.db"), vault, clock) as opened:
        yield opened


async def queue_card(storage: Storage, clock: Clock, number: int, text: str = "") -> int:
    hook = await storage.write(
        lambda tx: tx.hooks.create(
            1, "https://speckle.kestrel.example", "a1b2c3d4e5", HookKind.SHARED, 2, None
        )
    )
    _, subscription = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, CHANNEL, SubscriptionOptions(), 2)
    )
    receipt = await storage.intake.accept(
        NewInboxEvent(hook.id, "lane", "a1b2c3d4e5", None, f"{number}", b"{}", clock())
    )
    card = Card(
        kind=EventKind.UNKNOWN,
        title=f"card {number}",
        url=None,
        description=text,
        colour=0,
        author_name=None,
        author_icon=None,
        author_url=None,
        fields=(),
        footer="",
        timestamp=clock(),
    )
    ingested = HookResult(
        hook_id=hook.id,
        at=clock(),
        by_webhook=True,
        results=[SubscriptionResult(subscription.id, NewCard.of(subscription, card))],
    )
    (card_id,) = await storage.write(
        lambda tx: tx.inbox.finish([EventResult(receipt.id, (), "x", of_hooks=[ingested])])
    )
    return card_id


async def next_try(storage: Storage, discord: Discord, clock: Clock, work: Work) -> timedelta:
    """Go to the moment of the next try, have it made, and say how long that was from the last."""
    before = clock()
    tried = len(discord.tried_at)
    due_in = await storage.read(lambda tx: tx.outbox.due_in())
    assert due_in is not None
    clock.time += timedelta(seconds=due_in)
    work.delivery.wake()

    async def settled() -> bool:
        due_in_s = await storage.read(lambda tx: tx.outbox.due_in())
        return len(discord.tried_at) > tried and due_in_s != 0

    await until(settled, 5)
    return clock() - before


async def test_tries_grow_apart_to_five_minutes_and_keep_the_nonce(
    storage: Storage, clock: Clock
) -> None:
    discord = Discord(clock)
    discord.answer = RetryLater(SendReason(SendProblem.ANSWERED, {"status": 503}))
    await queue_card(storage, clock, 1)
    async with delivering(storage, discord.send, clock) as work:
        waits = [await next_try(storage, discord, clock, work) for _ in range(10)]
    seconds = [wait.total_seconds() for wait in waits]
    assert seconds == [0, 1, 5, 30, 120, 300, 300, 300, 300, 300]
    assert len(set(discord.nonces)) == 1


async def test_what_the_process_before_sent_may_arrive_after_the_channel_was_looked_into(
    storage: Storage, clock: Clock
) -> None:
    discord, looks = Discord(clock), count()
    discord.answer = RetryLater(SendReason(SendProblem.ANSWERED, {"status": 503}))
    card_id = await queue_card(storage, clock, 1)
    async with delivering(storage, discord.send, clock) as work:
        await next_try(storage, discord, clock, work)

    async def may_not_be_shown(_channel: ChannelState) -> Collection[int]:
        return [1]

    async def found_later(_batch: Batch, _cards: Sequence[Card], _form: object) -> Sent | None:
        return Sent(7) if next(looks) else None

    soon = SenderTimings(on_its_way_s=0.5)
    async with delivering(
        storage, discord.send, clock, soon, hold_back=may_not_be_shown, find_sent=found_later
    ) as work:

        async def is_known() -> bool:
            clock.time += timedelta(seconds=1)
            work.delivery.wake()
            (card,) = await storage.read(lambda tx: tx.outbox_admin.get([card_id]))
            return card.state is OutboxState.SENT

        await until(is_known, 5)


async def test_after_48_hours_the_old_are_given_up_and_the_young_are_still_tried(
    storage: Storage, clock: Clock
) -> None:
    discord = Discord(clock)
    discord.answer = RetryLater(SendReason(SendProblem.ANSWERED, {"status": 503}))
    started = clock()
    old = await queue_card(storage, clock, 1)
    young = 0
    hourly = SenderTimings(retry=Backoff((3600.0,)), give_up_tries=40)
    async with delivering(storage, discord.send, clock, hourly) as work:
        while clock() - started < timedelta(hours=50):
            await next_try(storage, discord, clock, work)
            if not young and clock() - started > timedelta(hours=30):
                young = await queue_card(storage, clock, 2)
        row, after = (
            await storage.read(lambda tx: stored_card(tx, old)),
            await storage.read(lambda tx: stored_card(tx, young)),
        )
        assert row is not None
        assert after is not None
        assert (row.state, after.state) == (OutboxState.UNDELIVERABLE, OutboxState.WAITING)
        assert reason_text(SendReason.from_stored(row.last_error or "")) == (
            "Tried for 48 hours without success. Discord answered 503."
        )
        discord.answer = None
        await next_try(storage, discord, clock, work)
    after = await storage.read(lambda tx: stored_card(tx, young))
    assert after is not None
    assert after.state is OutboxState.SENT


async def test_what_discord_says_of_a_wait_is_no_failure(storage: Storage, clock: Clock) -> None:
    discord = Discord(clock)
    discord.answer = RetryLater(SendReason(SendProblem.SLOWER), retry_in_s=7.5)
    await queue_card(storage, clock, 1)
    async with delivering(storage, discord.send, clock) as work:
        waits = [await next_try(storage, discord, clock, work) for _ in range(4)]
    assert [wait.total_seconds() for wait in waits] == [0, 7.5, 7.5, 7.5]
