"""What a million old rows cost: each step of a delivery's way compared with the same in a new
database.

Both databases are SQLite files. One holds a million events that are done, their cards and their
batches. The steps are measured in turn, one database and then the other, and told as ratios.
"""

import asyncio
import os
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from cryptography.fernet import Fernet
from sqlalchemy import text

from bench.results import Options, Row, folder_on_disk
from bot.model import HookKind, Subscription
from bot.pipeline.catch_up.from_history import PORTION_ENTRIES
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from bot.work import (
    CountingWindow,
    EventResult,
    HookResult,
    MissedEntry,
    NewCard,
    NewInboxEvent,
    SubscriptionResult,
)

T = TypeVar("T")

CHANNEL_ID = 3
OLD = 1_000_000
STEPS_A_ROUND = 60
COUNTED = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :rows)"
OLD_ROWS = (
    """INSERT INTO inbox (id, hook_id, lane, project_id, digest, received_at, state, finished_at,
                          event_name, trace)
       SELECT i, 1, 'hook:1', 'p', hex(randomblob(32)), :at, 'done', :at, 'commit_create', '[]'
       FROM n""",
    """INSERT INTO batches (id, channel_id, nonce, created_at, state)
       SELECT i, 3, hex(randomblob(12)), :at, 'closed' FROM n""",
    """INSERT INTO outbox (id, inbox_id, subscription_id, guild_id, channel_id, card, state,
                           batch_id, message_id, created_at, sent_at)
       SELECT i, i, 1, 1, 3, '{}', 'sent', i, i, :at, :at FROM n""",
)


class Way:
    """The way of one delivery through a database, each step timed."""

    def __init__(self, storage: Storage, subscription: Subscription) -> None:
        self._storage = storage
        self._subscription = subscription
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    async def go(self) -> None:
        """Take one delivery from the listener to the settled card."""
        body = os.urandom(3_000).hex().encode()
        event = NewInboxEvent(1, "hook:1", "p", None, sha256(body).hexdigest(), body, utc_now())
        receipt = await self._timed("put", self._storage.intake.accept(event))
        await self._timed("find the event", self._storage.read(lambda tx: tx.inbox.due_keys()))
        card = NewCard(self._subscription.id, 1, CHANNEL_ID, {})
        ingested = HookResult(
            1, utc_now(), by_webhook=True, results=[SubscriptionResult(self._subscription.id, card)]
        )
        finish = self._storage.write(
            lambda tx: tx.inbox.finish([EventResult(receipt.id, (), "x", of_hooks=[ingested])])
        )
        await self._timed("write the card", finish)
        await self._timed(
            "find the channel", self._storage.read(lambda tx: tx.outbox.due_channels(64))
        )
        opened = await self._timed(
            "open a batch", self._storage.write(lambda tx: tx.outbox.open_batch(CHANNEL_ID, 10))
        )
        assert opened is not None  # noqa: S101
        settle = self._storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, utc_now()))
        await self._timed("settle it", settle)

    async def _timed(self, step: str, work: Awaitable[T]) -> T:
        started = time.perf_counter()
        done = await work
        self.seconds[step].append(time.perf_counter() - started)
        return done


async def _prepared(storage: Storage, rows: int) -> Way:
    await storage.write(lambda tx: tx.guilds.join(1))
    hook = await storage.write(
        lambda tx: tx.hooks.create(
            1, "https://app.speckle.systems", "p", HookKind.OWN, 2, CHANNEL_ID
        )
    )
    _, subscription = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, CHANNEL_ID, SubscriptionOptions(), 2)
    )
    values = {"rows": rows, "at": f"{utc_now() - timedelta(days=3):%Y-%m-%d %H:%M:%S.%f}"}
    if rows:
        with storage._database.writing() as connection:
            for statement in OLD_ROWS:
                into, select = statement.split("SELECT", 1)
                connection.execute(text(f"{into} {COUNTED} SELECT {select}"), values)
    return Way(storage, subscription)


async def _take_in(storage: Storage) -> float:
    """Seconds to take in what a history of a month holds, with every row in the window."""
    bodies = [os.urandom(3_000).hex().encode() for _ in range(PORTION_ENTRIES)]
    missed = [
        MissedEntry(str(number), utc_now(), sha256(body).hexdigest(), body)
        for number, body in enumerate(bodies)
    ]
    recorded = {entry.digest: 1 for entry in missed}
    month_ago = utc_now() - timedelta(days=30)
    window = CountingWindow(
        recorded, month_ago, await storage.read(lambda tx: tx.missed_events.last_id())
    )
    started = time.perf_counter()
    await storage.write(lambda tx: tx.missed_events.add_from_history(1, missed, window))
    return time.perf_counter() - started


async def _measure(rows: int, rounds: int) -> tuple[Way, Way, float]:
    vault = Vault([Fernet.generate_key().decode()])
    with folder_on_disk() as folder:
        urls = [f"sqlite:///{Path(folder) / name}" for name in ("old.db", "new.db")]
        async with Storage.open(urls[0], vault) as first, Storage.open(urls[1], vault) as second:
            old, new = await _prepared(first, rows), await _prepared(second, 0)
            for _ in range(rounds):
                await old.go()
                await new.go()
            return old, new, await _take_in(first)


def rows(options: Options) -> Sequence[Row]:
    """Each step, in one database and then in the other."""
    old, new, take_in_s = asyncio.run(_measure(OLD, options.rounds * STEPS_A_ROUND))
    steps = [
        _step(step, statistics.median(seconds), statistics.median(new.seconds[step]))
        for step, seconds in old.seconds.items()
    ]
    missed = f"take in {PORTION_ENTRIES} that were missed, among all the rows"
    return [*steps, Row(missed, f"{take_in_s:.2f} s")]


def _step(step: str, of_old: float, of_new: float) -> Row:
    return Row(step, f"{of_old * 1e3:.2f} ms", f"{of_new * 1e3:.2f} ms", f"{of_old / of_new:.2f}")
