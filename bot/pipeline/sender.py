"""From the outbox to Discord: in order for each channel, channels side by side."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import assert_never

import structlog

from bot.cards.card import Card
from bot.discord_api.outcomes import (
    BotUnavailable,
    ChannelUnavailable,
    Fault,
    Outcome,
    Rejected,
    RetryLater,
    SendFailure,
    Sent,
)
from bot.discord_api.rate_limits import RateLimiter
from bot.fairness import FairSemaphore
from bot.log import about_events
from bot.metrics import Metrics, SendResult
from bot.model import PauseReason
from bot.permissions import PostingAllowed
from bot.pipeline.access_gate import ChannelState
from bot.pipeline.batching import MAX_EMBEDS, MAX_FILES_BYTES, card_of, has_room, together
from bot.pipeline.global_hold import GlobalHold, HoldSteps
from bot.pipeline.keyed_worker import KeyedWorker
from bot.problems import NotReady, SendProblem, SendReason
from bot.services.refusals import CannotPost
from bot.storage import Storage, Transaction
from bot.timing import Backoff
from bot.work import (
    Batch,
    ChannelQueue,
    FallbackLevel,
    OutboxCard,
)

log = structlog.get_logger()

GIVE_UP_AFTER = timedelta(hours=48)
PASSES_WITHIN = 3  # tries; people are notified of a refusal without a reason that lasts longer

# Messages with large pictures, up to 24 MiB, are in memory while they are sent.
LARGE_BYTES = 1024 * 1024
LARGE_AT_ONCE = 8
LARGE_OF_A_GUILD = 4
MOST_REST_S = 0.5  # of a channel; Discord takes a message a second there

PAUSES = {
    Fault.CHANNEL_GONE: PauseReason.CHANNEL_GONE,
    Fault.NO_PERMISSION: PauseReason.NO_PERMISSION,
    Fault.THREAD_CLOSED: PauseReason.THREAD_CLOSED,
}
RESULTS: Mapping[type[Outcome], SendResult] = {
    Sent: SendResult.SENT,
    RetryLater: SendResult.RETRY_LATER,
    Rejected: SendResult.REJECTED,
    ChannelUnavailable: SendResult.CHANNEL_UNAVAILABLE,
    BotUnavailable: SendResult.BOT_UNAVAILABLE,
}
NEXT_LEVEL = {
    FallbackLevel.FULL: FallbackLevel.NO_MEDIA,
    FallbackLevel.NO_MEDIA: FallbackLevel.TEXT,
}

Send = Callable[[Batch, Sequence[Card], FallbackLevel], Awaitable[Outcome]]
ExplainRefusal = Callable[[int, int], Awaitable[CannotPost | PostingAllowed | None]]
HoldBack = Callable[[ChannelState], Awaitable[Collection[int]]]
FindSent = Callable[[Batch, Sequence[Card], FallbackLevel], Awaitable[Outcome | None]]


@dataclass(frozen=True, slots=True)
class DueChannel:
    """A channel where something is to be sent; `found` is where it was looked up."""

    channel_id: int
    guild_id: int
    found: bool = False


@dataclass(frozen=True, slots=True)
class SenderTimings:
    """The waits before a channel is tried again, and those of the bot as a whole.

    Cards are given up after `GIVE_UP_AFTER` and `give_up_tries` tries.
    """

    # The last step is what a channel may wait although Discord takes messages again.
    retry: Backoff = Backoff((1.0, 5.0, 30.0, 120.0, 300.0), jitter=0.2)
    # Of some 580 in 48 hours: a clock that is set ahead, or a stop, are no tries.
    give_up_tries: int = 400
    # A request of the process before may still be on its way to Discord when this one starts.
    on_its_way_s: float = 15.0
    hold_steps: HoldSteps = HoldSteps()


class Sender:
    """Sends what waits in the outbox, one batch of one channel at a time.

    `send(batch, cards, level)` is one try. A batch and its nonce are in the database
    before the first, so that a crash repeats exactly that message and Discord drops the duplicate.
    `explain_refusal(guild_id, channel_id)` says what the bot lacks there, None if it cannot find
    out; `hold_back(channel)` takes back what may not be shown there any more, and gives the
    subscriptions that this concerns; `find_sent(batch, cards, level)` looks for a batch's message
    in its channel.
    """

    def __init__(
        self,
        storage: Storage,
        send: Send,
        explain_refusal: ExplainRefusal,
        hold_back: HoldBack,
        rate_limiter: RateLimiter,
        *,
        find_sent: FindSent,
        channels_at_once: int,
        now: Callable[[], datetime],
        timings: SenderTimings = SenderTimings(),
        rand: Callable[[], float] = random.random,
        metrics: Metrics | None = None,
    ) -> None:
        self._storage = storage
        self._metrics = metrics or Metrics()
        self._send = send
        self._explain_refusal = explain_refusal
        self._hold_back = hold_back
        self._find_sent = find_sent
        self._rate_limiter = rate_limiter
        self._now = now
        self._timings = timings
        self._rand = rand
        self._global_hold = GlobalHold(rate_limiter, timings.hold_steps)
        self._starts_until = 0.0  # by time.monotonic()
        self._large = FairSemaphore(LARGE_AT_ONCE, each=LARGE_OF_A_GUILD)
        self._worker = KeyedWorker[DueChannel, int](
            "sender",
            at_once=channels_at_once,
            find_due=self._due,
            due_in=self._due_in,
            key_of=lambda due: due.channel_id,
            tenant_of=lambda due: due.guild_id,
            handle=self._send_queue,
            rest_s=MOST_REST_S,
        )

    def wake(self, channels: Iterable[tuple[int, int]] = ()) -> None:
        """Say that cards wait, in these channels, by the ids of channel and guild."""
        self._worker.wake(*(DueChannel(*one) for one in channels))

    async def run(self, connected: asyncio.Event) -> None:
        """Send until cancelled, from the moment that the bot is logged in."""
        await connected.wait()
        self._starts_until = time.monotonic() + self._timings.on_its_way_s
        await self._worker.run()

    def problems(self) -> Sequence[NotReady]:
        """Why no card goes out at all, if that is so."""
        return self._global_hold.problems()

    async def _due(self, limit: int, busy: Collection[int]) -> Sequence[DueChannel]:
        if self._rate_limiter.blocked_for_s() > 0:
            return ()
        alone = self._global_hold.active  # then one channel tries for all
        if alone and busy:
            return ()
        most = 1 if alone else limit
        queues = await self._storage.look_together(lambda tx: tx.outbox.due_channels(most, busy))
        queues = queues[:1] if alone else queues
        return [DueChannel(queue.channel_id, queue.guild_id, found=True) for queue in queues]

    async def _due_in(self, busy: Collection[int]) -> float | None:
        closed_s = self._rate_limiter.blocked_for_s()
        due_in_s = await self._storage.look_together(lambda tx: tx.outbox.due_in(busy))
        return None if due_in_s is None else max(due_in_s, closed_s)

    async def _send_queue(self, due: DueChannel) -> bool | None:
        if not due.found and (self._rate_limiter.blocked_for_s() > 0 or self._global_hold.active):
            return None
        channel = await self._storage.read_together(lambda tx: ChannelState.of(tx, due.channel_id))
        if channel is None:
            return None
        withheld = await self._hold_back(channel)
        async with self._large.slot() if await self._is_large(channel) else nullcontext():
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
        opened = await self._storage.write_together(
            lambda tx: tx.outbox.open_batch(
                queue.channel_id,
                MAX_EMBEDS,
                partial(together, suspects=queue.suspects),
                self._rate_limiter.discord_time.now(),
                MAX_FILES_BYTES,
            )
        )
        if opened is None:
            return False
        batch, rows = opened
        about_events(row.inbox_id for row in rows)
        if any(row.subscription_id in withheld for row in rows):
            await self._hold_back_batch(queue, batch, rows)
            return None
        begun_in = self._global_hold.round
        cards = [card_of(row) for row in rows]
        outcome = await self._send(batch, cards, rows[0].level)
        self._metrics.count_send(RESULTS[type(outcome)])
        if not isinstance(outcome, BotUnavailable | RetryLater):
            self._global_hold.succeeded(begun_in)
        if isinstance(outcome, Sent):
            more = await self._sent(channel, batch, rows, outcome.message_id)
            if not more or not has_room(cards):
                return more
            # It came since: it rests, as a channel may be sent no more than a message a second.
            self.wake([(queue.channel_id, queue.guild_id)])
            return False
        await self._settle(queue, batch, rows, outcome, begun_in)
        return None

    async def _sent(
        self, channel: ChannelState, batch: Batch, rows: Sequence[OutboxCard], message_id: int
    ) -> bool:
        """Note it; whether more waits for the channel."""

        def note(tx: Transaction) -> bool:
            if channel.may_be_silenced:
                tx.outbox.end_silence(batch.channel_id)
            return tx.outbox.mark_sent(batch, message_id, self._now())

        accepted_at = self._now()
        more = await self._storage.write_together(note)
        arrived = (row.received_at for row in rows if row.received_at is not None)
        self._metrics.observe_card_delays((accepted_at - at).total_seconds() for at in arrived)
        log.info(
            "sender.sent",
            channel_id=batch.channel_id,
            outbox_ids=[row.id for row in rows],
            message_id=message_id,
        )
        return more

    async def _hold_back_batch(
        self, queue: ChannelQueue, batch: Batch, rows: Sequence[OutboxCard]
    ) -> None:
        """Send a batch no more whose cards may not be shown by now; it may be there already."""
        begun_in, left_s = self._global_hold.round, self._starts_until - time.monotonic()
        there = await self._find_sent(batch, [card_of(row) for row in rows], rows[0].level)
        match there:
            case Sent(message_id):
                await self._storage.write(
                    lambda tx: tx.outbox.mark_sent(batch, message_id, self._now())
                )
            case None if left_s > 0:
                until = self._now() + timedelta(seconds=left_s)
                await self._storage.write(lambda tx: tx.outbox.retry_at(queue.channel_id, until))
            case None:
                await self._storage.write(lambda tx: tx.outbox.reopen(batch))
            case Rejected(reason):  # of a look, which says nothing of the cards
                await self._retry_later(queue, reason, None)
            case _:
                await self._settle(queue, batch, rows, there, begun_in)
        log.info(
            "sender.held_back",
            channel_id=queue.channel_id,
            outbox_ids=[row.id for row in rows],
            outcome=type(there).__name__,
        )

    async def _settle(
        self,
        queue: ChannelQueue,
        batch: Batch,
        rows: Sequence[OutboxCard],
        outcome: SendFailure,
        begun_in: int,
    ) -> None:
        """Note why a batch was not sent; `begun_in` is the global hold's round when it was
        tried.
        """
        match outcome:
            case RetryLater(reason, _, str(refusal)) if self._global_hold.rejected(
                refusal, reason, queue.channel_id, begun_in
            ):
                await self._storage.write(
                    lambda tx: tx.outbox.retry_at(queue.channel_id, self._now())
                )
            case RetryLater(reason, retry_in_s):
                await self._retry_later(queue, reason, retry_in_s)
            case Rejected(reason):
                await self._rejected(batch, rows, reason)
            case ChannelUnavailable(fault, reason):
                await self._channel_unavailable(queue, fault, reason)
            case BotUnavailable(reason):
                self._global_hold.token_refused(reason, begun_in)
                await self._storage.write(
                    lambda tx: tx.outbox.retry_at(queue.channel_id, self._now())
                )
            case _:
                assert_never(outcome)

    async def _retry_later(
        self, queue: ChannelQueue, reason: SendReason, retry_in_s: float | None
    ) -> None:
        if retry_in_s is not None:  # Discord's own word: nothing has failed
            await self._postpone(queue, retry_in_s, None, reason)
            return
        since = queue.first_failed_at
        long_ago = since is not None and self._now() - since >= GIVE_UP_AFTER
        if long_ago and queue.attempts >= self._timings.give_up_tries:
            before = self._now() - GIVE_UP_AFTER
            tried = {"tried_h": GIVE_UP_AFTER // timedelta(hours=1)}
            last = replace(reason, facts={**reason.facts, **tried}).to_stored()
            given_up = await self._storage.write(
                lambda tx: tx.outbox.give_up(queue.channel_id, before, last)
            )
            log.error("sender.given_up", channel_id=queue.channel_id, cards=given_up)
        await self._postpone(queue, self._wait_s(queue.attempts), reason.to_stored(), reason)

    async def _postpone(
        self, queue: ChannelQueue, wait_s: float, error: str | None, reason: SendReason
    ) -> None:
        log.warning(
            "sender.retry_later",
            channel_id=queue.channel_id,
            attempt=queue.attempts + 1,
            retry_in_s=round(wait_s, 1),
            **reason.to_facts(),
        )
        until = self._now() + timedelta(seconds=wait_s)
        await self._storage.write(lambda tx: tx.outbox.postpone(queue.channel_id, until, error))

    def _wait_s(self, attempts: int) -> float:
        return self._timings.retry.delay_s(attempts, self._rand)

    async def _rejected(self, batch: Batch, rows: Sequence[OutboxCard], reason: SendReason) -> None:
        """Look for the card at fault; alone, it is tried with less and less, then kept."""
        storage, stored = self._storage, reason.to_stored()
        level = rows[0].level
        next_level = NEXT_LEVEL.get(level)
        if len(rows) > 1:
            await storage.write(lambda tx: tx.outbox.mark_suspect(batch, len(rows), level, stored))
            log.warning("sender.batch_rejected", cards=len(rows), **reason.to_facts())
        elif next_level is not None:
            await storage.write(lambda tx: tx.outbox.mark_suspect(batch, 1, next_level, stored))
            log.warning(
                "sender.rejected",
                outbox_id=rows[0].id,
                next=next_level.value,
                **reason.to_facts(),
            )
        else:
            await storage.write(lambda tx: tx.outbox.mark_undeliverable(batch, stored))
            log.error("sender.undeliverable", outbox_id=rows[0].id, **reason.to_facts())

    async def _silenced(
        self, queue: ChannelQueue, until: datetime | None, reason: SendReason
    ) -> None:
        """Discord refuses although the bot may post there: that ends automatically, at a known time
        if it is a moderator's time-out.
        """
        now_there = self._rate_limiter.discord_time.now()
        if until is not None and until > now_there:
            wait_s = (until - now_there).total_seconds()
        elif queue.attempts < PASSES_WITHIN:
            await self._retry_later(queue, reason, None)
            return
        else:
            wait_s, until = self._wait_s(queue.attempts), None
        due_at = self._now() + timedelta(seconds=wait_s)
        if until is not None:
            reason = SendReason(SendProblem.TIME_OUT, {"until": until.isoformat()})
        await self._storage.write(
            lambda tx: tx.outbox.pause_silenced(queue.channel_id, reason.to_stored(), due_at)
        )
        log.warning(
            "sender.channel_silenced",
            channel_id=queue.channel_id,
            retry_in_s=round(wait_s, 1),
            **reason.to_facts(),
        )

    async def _channel_unavailable(
        self, queue: ChannelQueue, fault: Fault, reason: SendReason
    ) -> None:
        if fault is Fault.NO_PERMISSION:
            match await self._explain_refusal(queue.guild_id, queue.channel_id):
                case CannotPost() as found:
                    reason = SendReason(SendProblem.CANNOT_POST, found.to_facts())
                case PostingAllowed(silenced_until):
                    await self._silenced(queue, silenced_until, reason)
                    return
        await self._storage.write(
            lambda tx: tx.outbox.pause_channel(queue.channel_id, PAUSES[fault], reason.to_stored())
        )
        log.warning(
            "sender.channel_paused",
            channel_id=queue.channel_id,
            fault=fault.value,
            **reason.to_facts(),
        )
