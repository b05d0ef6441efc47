"""How large the database gets under a steady load, day by day, by a clock that is moved.

The bot's own storage over an SQLite file, with its usual `[retention]`. Each day as many events
come, become a card with a picture each, and are sent; then what is old is erased, as the running
bot does every hour. From `delivered_days` on, the file is to stay as large as it is.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet

from bench.results import Options, Row, folder_on_disk, say
from bot.cards.card import Picture
from bot.database_content import RetentionPolicy
from bot.model import HookKind, Subscription
from bot.settings.settings import RetentionSettings
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.trace import TraceLine
from bot.vault import Vault
from bot.work import EventResult, HookResult, NewCard, NewInboxEvent, SubscriptionResult

GUILD, CHANNEL, PERSON = 710_000_000_000_000_001, 730_000_000_000_000_001, 720_000_000_000_000_001
SERVER: Final = "https://speckle.example.org"
PROJECT: Final = "a1b2c3d4e5"
BODY_BYTES: Final = 6_000
PICTURE_BYTES: Final = 20_000
CARD: Final = {"title": "New version", "description": "x" * 400}
MOST_GROWTH: Final = 1.05
EVENTS_A_DAY: Final = 100
DAYS_AFTER: Final = 60  # that are looked at once the first events are erased


@dataclass
class MovedClock:
    """A clock that stands still until it is moved."""

    time: datetime = field(default=datetime(2026, 3, 2, 9, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.time


async def sizes(
    folder: Path, policy: RetentionPolicy, days: int, events_a_day: int
) -> Sequence[int]:
    """The size of the file and its log in bytes, at the end of each day."""
    clock, file = MovedClock(), folder / "bot.db"
    vault = Vault([Fernet.generate_key().decode()])
    found = []
    async with Storage.open(f"sqlite:///{file}", vault, clock) as storage:
        subscription = await _follow(storage)
        for day in range(days):
            await _one_day(storage, subscription, clock, day, events_a_day)
            await storage.retention.tidy(policy)
            found.append(_bytes(file))
            clock.time += timedelta(days=1)
    return found


def _bytes(database: Path) -> int:
    """The size of a database's file and its log."""
    return sum(one.stat().st_size for one in database.parent.glob(f"{database.name}*"))


async def _follow(storage: Storage) -> Subscription:
    hook = await storage.write(
        lambda tx: tx.hooks.create(GUILD, SERVER, PROJECT, HookKind.OWN, PERSON, CHANNEL)
    )
    _, new = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, CHANNEL, SubscriptionOptions(), PERSON)
    )
    return new


async def _one_day(
    storage: Storage, subscription: Subscription, clock: MovedClock, day: int, events: int
) -> None:
    """Events come, each with a picture of its own, and their cards are sent."""
    taken = [storage.intake.accept(_event(day, one, subscription, clock)) for one in range(events)]
    results = [
        _result(receipt.id, day, one, subscription, clock)
        for one, receipt in enumerate(await asyncio.gather(*taken))
    ]
    await storage.write(lambda tx: tx.inbox.finish(results))
    while opened := await storage.write(lambda tx: tx.outbox.open_batch(CHANNEL, 10)):
        await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, clock()))


def _event(day: int, one: int, subscription: Subscription, clock: MovedClock) -> NewInboxEvent:
    body = f"{day} {one} ".encode().ljust(BODY_BYTES, b"x")
    digest = sha256(body).hexdigest()
    return NewInboxEvent(subscription.hook_id, "a lane", PROJECT, SERVER, digest, body, clock())


def _result(
    inbox_id: int, day: int, one: int, subscription: Subscription, clock: MovedClock
) -> EventResult:
    content = f"{day} {one} ".encode().ljust(PICTURE_BYTES, b"x")
    card = NewCard(
        subscription.id,
        subscription.guild_id,
        CHANNEL,
        CARD,
        (Picture("preview.png", "image/png", content),),
    )
    routed = [SubscriptionResult(subscription.id, card)]
    of_hook = HookResult(subscription.hook_id, clock(), True, results=routed)
    trace = [TraceLine(clock(), "route", "Shown: it passes.")]
    return EventResult(inbox_id, trace, "commit_create", of_hooks=[of_hook])


def rows(_: Options) -> Sequence[Row]:
    """One file, with the retention that is the default."""
    settings = RetentionSettings()
    policy = RetentionPolicy(
        timedelta(days=settings.body_days),
        timedelta(days=settings.delivered_days),
        timedelta(days=settings.undeliverable_days),
    )
    full = settings.delivered_days + 1
    with folder_on_disk() as folder:
        found = asyncio.run(sizes(Path(folder), policy, full + DAYS_AFTER, EVENTS_A_DAY))
    for day in range(0, len(found), 10):
        say(f"day {day}: {found[day] / 1e6:.1f} MB")
    growth = max(found[full:]) / found[full - 1]
    return [
        Row(
            f"database, {EVENTS_A_DAY} events a day for {DAYS_AFTER} days more",
            f"{found[-1] / 1e6:.1f} MB",
            f"after {full} days: {found[full - 1] / 1e6:.1f} MB",
            f"{growth:.3f}",
            f"≤ {MOST_GROWTH}",
            growth <= MOST_GROWTH,
        )
    ]
