"""From the outbox to Discord: in order for each channel, channels side by side."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import structlog

from bot.cards.card import Card
from bot.db.rows import Batch, CardForm, ChannelQueue, OutboxRow, PauseReason
from bot.discord_outcomes import (
    BotClosed,
    ChannelClosed,
    Fault,
    Later,
    Outcome,
    Refused,
    Sent,
    Trouble,
)
from bot.discord_pace import Pace
from bot.pipeline.batching import MAX_EMBEDS, MAX_FILES_BYTES, card_of, together
from bot.pipeline.gate import ChannelState
from bot.pipeline.lanes import LaneRunner
from bot.pipeline.standstill import Standstill, Steps
from bot.services.places import Lacking, NothingLacking, silence_text
from bot.storage import Storage, Transaction
from bot.timing import Backoff
from bot.turns import Door

log = structlog.get_logger()

GIVE_UP_AFTER = timedelta(hours=48)
GIVE_UP_TRIES = 40  # of some 50 in 48 hours: a clock that is set ahead, or a stop, are no tries
PASSES_WITHIN = 3  # tries; a refusal without a reason that lasts longer is told to people

# Messages with large pictures, up to 24 MiB, are in memory while they are sent.
LARGE_BYTES = 1024 * 1024
LARGE_AT_ONCE = 8
LARGE_OF_A_GUILD = 4

PAUSES = {
    Fault.CHANNEL_GONE: PauseReason.CHANNEL_GONE,
    Fault.NO_PERMISSION: PauseReason.NO_PERMISSION,
    Fault.THREAD_CLOSED: PauseReason.THREAD_CLOSED,
}
LESSER = {CardForm.FULL: CardForm.BARE, CardForm.BARE: CardForm.PLAIN}

Send = Callable[[Batch, Sequence[Card], CardForm], Awaitable[Outcome]]
Explain = Callable[[int, int], Awaitable[Lacking | NothingLacking | None]]
TakeBack = Callable[[ChannelState], Awaitable[Collection[int]]]
Find = Callable[[Batch, Sequence[Card], CardForm], Awaitable[Sent | Later | None]]


@dataclass(frozen=True, slots=True)
class DueChannel:
    """A channel where something is to be sent; `found` is where it was looked up."""

    channel_id: int
    guild_id: int
    found: bool = False


@dataclass(frozen=True, slots=True)
class SenderTimings:
    """The waits before a channel is tried again, and those of the bot as a whole."""

    retry: Backoff = Backoff((1.0, 5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0), jitter=0.2)
    steps: Steps = Steps()


class Delivery:
    """Sends what waits in the outbox, one batch of one channel at a time.

    `send(batch, cards, form)` is one try. A batch and its nonce are in the database
    before the first, so that a crash repeats exactly that message and Discord drops the duplicate.
    `explain(guild_id, channel_id)` says what the bot lacks there, None if it cannot find out;
    `take_back(channel)` takes back what may not be shown there any more, and gives the
    subscriptions that this concerns; `find(batch, cards, form)` looks for a batch's message in its
    channel.
    """

    def __init__(
        self,
        storage: Storage,
        send: Send,
        explain: Explain,
        take_back: TakeBack,
        pace: Pace,
        *,
        find: Find,
        channels_at_once: int,
        now: Callable[[], datetime],
        timings: SenderTimings = SenderTimings(),
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._storage = storage
        self._send = send
        self._explain = explain
        self._take_back = take_back
        self._find = find
        self._pace = pace
        self._now = now
        self._retry = timings.retry
        self._rand = rand
        self._standstill = Standstill(pace, timings.steps)
        self._large = Door(LARGE_AT_ONCE, each=LARGE_OF_A_GUILD)
        self._lanes = LaneRunner[DueChannel, int](
            "delivery",
            at_once=channels_at_once,
            find=self._due,
            due_in=self._due_in,
            lane_of=lambda due: due.channel_id,
            tenant_of=lambda due: due.guild_id,
            work=self._deliver,
        )

    def wake(self, channels: Iterable[tuple[int, int]] = ()) -> None:
        """Say that cards wait, in these channels, by the ids of channel and guild."""
        self._lanes.wake(*(DueChannel(*one) for one in channels))

    async def run(self, connected: asyncio.Event) -> None:
        """Deliver until cancelled, from the moment that the bot is logged in."""
        await connected.wait()
        await self._lanes.run()

    def problems(self) -> Sequence[str]:
        """Why no card goes out at all, if that is so."""
        return self._standstill.problems()

    async def _due(self, limit: int, busy: Collection[int]) -> Sequence[DueChannel]:
        if self._pace.closed_for_s() > 0:
            return ()
        alone = self._standstill.holds  # then one channel tries for all
        if alone and busy:
            return ()
        most = 1 if alone else limit
        queues = await self._storage.read(lambda tx: tx.outbox.due_channels(most, busy))
        queues = queues[:1] if alone else queues
        return [DueChannel(queue.channel_id, queue.guild_id, found=True) for queue in queues]

    async def _due_in(self, busy: Collection[int]) -> float | None:
        closed_s = self._pace.closed_for_s()
        due_in_s = await self._storage.read(lambda tx: tx.outbox.due_in(busy))
        return None if due_in_s is None else max(due_in_s, closed_s)

    async def _deliver(self, due: DueChannel) -> bool | None:
        if not due.found and (self._pace.closed_for_s() > 0 or self._standstill.holds):
            return None
        channel = await self._storage.read(lambda tx: ChannelState.of(tx, due.channel_id))
        if channel is None:
            return None
        withheld = await self._take_back(channel)
        async with self._large.turn() if await self._is_large(channel) else nullcontext():
            return await self._send_next(channel, withheld)

    async def _is_large(self, channel: ChannelState) -> bool:
        """Whether the next message has large pictures; asked only where all that waits has."""
        if channel.picture_bytes <= LARGE_BYTES:
            return False
        channel_id = channel.queue.channel_id
        size = await self._storage.read(lambda tx: tx.outbox.next_bytes(channel_id, MAX_EMBEDS))
        return size > LARGE_BYTES

    async def _send_next(self, channel: ChannelState, withheld: Collection[int]) -> bool | None:
        queue = channel.queue
        opened = await self._storage.write(
            lambda tx: tx.outbox.open_batch(
                queue.channel_id,
                MAX_EMBEDS,
                partial(together, suspects=queue.suspects),
                self._pace.discord_time.now(),
                MAX_FILES_BYTES,
            )
        )
        if opened is None:
            return False
        batch, rows = opened
        if any(row.subscription_id in withheld for row in rows):
            await self._withhold(queue, batch, rows)
            return None
        begun_in = self._standstill.round
        outcome = await self._send(batch, [card_of(row) for row in rows], rows[0].form)
        if not isinstance(outcome, BotClosed | Later):
            self._standstill.worked(begun_in)
        if isinstance(outcome, Sent):
            return await self._sent(channel, batch, rows, outcome.message_id)
        await self._settle(queue, batch, rows, outcome, begun_in)
        return None

    async def _sent(
        self, channel: ChannelState, batch: Batch, rows: Sequence[OutboxRow], message_id: int
    ) -> bool:
        """Note it; whether more waits for the channel."""

        def note(tx: Transaction) -> bool:
            if channel.may_be_silenced:
                tx.outbox.end_silence(batch.channel_id)
            return tx.outbox.settle_sent(batch, message_id, self._now())

        more = await self._storage.write(note)
        log.info(
            "delivery.sent",
            channel_id=batch.channel_id,
            outbox_ids=[row.id for row in rows],
            message_id=message_id,
        )
        return more

    async def _withhold(self, queue: ChannelQueue, batch: Batch, rows: Sequence[OutboxRow]) -> None:
        """Send a batch no more whose cards may not be shown by now; it may be there already."""
        there = await self._find(batch, [card_of(row) for row in rows], rows[0].form)
        match there:
            case Sent(message_id):
                await self._storage.write(
                    lambda tx: tx.outbox.settle_sent(batch, message_id, self._now())
                )
            case Later(reason, retry_in_s):
                await self._later(queue, reason, retry_in_s)
            case None:
                await self._storage.write(lambda tx: tx.outbox.dissolve(batch))
        log.info(
            "delivery.withheld",
            channel_id=queue.channel_id,
            outbox_ids=[row.id for row in rows],
            outcome=type(there).__name__,
        )

    async def _settle(
        self,
        queue: ChannelQueue,
        batch: Batch,
        rows: Sequence[OutboxRow],
        outcome: Trouble,
        begun_in: int,
    ) -> None:
        """Note why a batch was not sent; `begun_in` is the standstill's round when it was tried."""
        match outcome:
            case Later(reason, _, str(refusal)) if self._standstill.refused(
                refusal, reason, queue.channel_id, begun_in
            ):
                await self._storage.write(lambda tx: tx.outbox.hold(queue.channel_id, self._now()))
            case Later(reason, retry_in_s):
                await self._later(queue, reason, retry_in_s)
            case Refused(reason):
                await self._refused(batch, rows, reason)
            case ChannelClosed(fault, reason):
                await self._channel_closed(queue, fault, reason)
            case BotClosed(reason):
                self._standstill.token_refused(reason, begun_in)
                await self._storage.write(lambda tx: tx.outbox.hold(queue.channel_id, self._now()))
            case _:
                assert_never(outcome)

    async def _later(self, queue: ChannelQueue, reason: str, retry_in_s: float | None) -> None:
        if retry_in_s is not None:  # Discord's own word: nothing has failed
            await self._postpone(queue, retry_in_s, None, reason)
            return
        since = queue.first_failed_at
        long_ago = since is not None and self._now() - since >= GIVE_UP_AFTER
        if long_ago and queue.attempts >= GIVE_UP_TRIES:
            before = self._now() - GIVE_UP_AFTER
            given_up = await self._storage.write(
                lambda tx: tx.outbox.give_up(
                    queue.channel_id, before, f"Tried for 48 hours without success. {reason}."
                )
            )
            log.error("delivery.given_up", channel_id=queue.channel_id, cards=given_up)
        await self._postpone(queue, self._wait_s(queue.attempts), reason, reason)

    async def _postpone(
        self, queue: ChannelQueue, wait_s: float, error: str | None, reason: str
    ) -> None:
        log.warning(
            "delivery.later",
            channel_id=queue.channel_id,
            attempt=queue.attempts + 1,
            retry_in_s=round(wait_s, 1),
            reason=reason,
        )
        until = self._now() + timedelta(seconds=wait_s)
        await self._storage.write(lambda tx: tx.outbox.postpone(queue.channel_id, until, error))

    def _wait_s(self, attempts: int) -> float:
        return self._retry.delay_s(attempts, self._rand)

    async def _refused(self, batch: Batch, rows: Sequence[OutboxRow], reason: str) -> None:
        """Look for the card at fault; alone, it is tried with less and less, then kept."""
        storage = self._storage
        form = rows[0].form
        lesser = LESSER.get(form)
        if len(rows) > 1:
            await storage.write(lambda tx: tx.outbox.settle_suspect(batch, len(rows), form, reason))
            log.warning("delivery.batch_refused", cards=len(rows), reason=reason)
        elif lesser is not None:
            await storage.write(lambda tx: tx.outbox.settle_suspect(batch, 1, lesser, reason))
            log.warning("delivery.refused", outbox_id=rows[0].id, next=lesser.value, reason=reason)
        else:
            await storage.write(lambda tx: tx.outbox.settle_undeliverable(batch, reason))
            log.error("delivery.undeliverable", outbox_id=rows[0].id, reason=reason)

    async def _silenced(self, queue: ChannelQueue, until: datetime | None, reason: str) -> None:
        """Discord refuses although the bot may post there: that ends by itself, at a known time
        if it is a moderator's time-out.
        """
        now_there = self._pace.discord_time.now()
        if until is not None and until > now_there:
            wait_s = (until - now_there).total_seconds()
        elif queue.attempts < PASSES_WITHIN:
            await self._later(queue, reason, None)
            return
        else:
            wait_s, until = self._wait_s(queue.attempts), None
        due_at = self._now() + timedelta(seconds=wait_s)
        await self._storage.write(
            lambda tx: tx.outbox.silence(queue.channel_id, silence_text(until), due_at)
        )
        log.warning(
            "delivery.silenced",
            channel_id=queue.channel_id,
            retry_in_s=round(wait_s, 1),
            reason=reason,
            time_out=until is not None,
        )

    async def _channel_closed(self, queue: ChannelQueue, fault: Fault, reason: str) -> None:
        if fault is Fault.NO_PERMISSION:
            match await self._explain(queue.guild_id, queue.channel_id):
                case Lacking(text):
                    reason = text
                case NothingLacking(silenced_until):
                    await self._silenced(queue, silenced_until, reason)
                    return
        await self._storage.write(
            lambda tx: tx.outbox.block(queue.channel_id, PAUSES[fault], reason)
        )
        log.warning(
            "delivery.paused", channel_id=queue.channel_id, fault=fault.value, reason=reason
        )
