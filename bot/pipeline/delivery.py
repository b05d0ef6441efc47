"""From the outbox to Discord: in order for each channel, channels side by side."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from bot.cards.card import Card
from bot.db.rows import Batch, ChannelQueue, OutboxRow, PauseReason
from bot.discord_out import Fault, Later, Outcome, Refused, Sent, Stop
from bot.pipeline.lanes import LaneRunner
from bot.storage import Storage

log = structlog.get_logger()

CARDS_A_MESSAGE = 1
RETRY_S = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0)  # then hourly
JITTER = 0.2
STOPPED_S = 60.0  # how long a refused token keeps the whole bot from sending

PAUSES = {
    Fault.CHANNEL_GONE: PauseReason.CHANNEL_GONE,
    Fault.NO_PERMISSION: PauseReason.NO_PERMISSION,
    Fault.THREAD_CLOSED: PauseReason.THREAD_CLOSED,
}

Send = Callable[[int, Sequence[Card], str], Awaitable[Outcome]]


class Delivery:
    """Sends what waits in the outbox, one batch of one channel at a time.

    `send(channel_id, cards, nonce)` is one try. A batch and its nonce are in the database before
    the first, so that a crash repeats exactly that message and Discord drops the double.
    """

    def __init__(
        self,
        storage: Storage,
        send: Send,
        *,
        channels_at_once: int,
        now: Callable[[], datetime],
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage
        self._send = send
        self._now = now
        self._jitter = jitter
        self._lanes = LaneRunner[ChannelQueue, int](
            "delivery",
            at_once=channels_at_once,
            find=storage.outbox.due_channels,
            lane_of=lambda queue: queue.channel_id,
            work=self._deliver,
        )
        self.wake = self._lanes.wake

    async def run(self, connected: asyncio.Event) -> None:
        """Deliver until cancelled, from the moment that the bot is logged in."""
        await connected.wait()
        await self._lanes.run()

    async def _deliver(self, queue: ChannelQueue) -> None:
        opened = await self._storage.outbox.open_batch(queue.channel_id, CARDS_A_MESSAGE)
        if opened is None:
            return
        batch, rows = opened
        cards = [Card.from_json(dict(row.card), row.pictures) for row in rows]
        outcome = await self._send(queue.channel_id, cards, batch.nonce)
        await self._settle(queue, batch, rows, outcome)

    async def _settle(
        self, queue: ChannelQueue, batch: Batch, rows: Sequence[OutboxRow], outcome: Outcome
    ) -> None:
        outbox = self._storage.outbox
        ids = [row.id for row in rows]
        match outcome:
            case Sent(message_id):
                await outbox.settle_sent(batch.id, message_id, self._now())
                log.info("delivery.sent", channel_id=queue.channel_id, outbox_ids=ids)
            case Later(reason, retry_in_s):
                wait_s = self._wait_s(queue.attempts) if retry_in_s is None else retry_in_s
                await self._postpone(queue, wait_s, reason)
            case Stop(reason):
                log.critical("delivery.stopped", reason=reason, retry_in_s=STOPPED_S)
                await self._postpone(queue, STOPPED_S, reason)
            case Refused(Fault.CARD, reason):
                await outbox.settle_undeliverable(batch.id, reason)
                log.error("delivery.undeliverable", outbox_ids=ids, reason=reason)
            case Refused(fault, reason):
                await outbox.block(queue.channel_id, PAUSES[fault], reason)
                log.warning("delivery.paused", channel_id=queue.channel_id, fault=fault.value)
            case _:
                assert_never(outcome)

    async def _postpone(self, queue: ChannelQueue, wait_s: float, reason: str) -> None:
        log.warning(
            "delivery.later",
            channel_id=queue.channel_id,
            attempt=queue.attempts + 1,
            retry_in_s=round(wait_s, 1),
            reason=reason,
        )
        until = self._now() + timedelta(seconds=wait_s)
        await self._storage.outbox.postpone(queue.channel_id, until, reason)

    def _wait_s(self, attempts: int) -> float:
        step = RETRY_S[min(attempts, len(RETRY_S) - 1)]
        return step * (1 + JITTER * (2 * self._jitter() - 1))
