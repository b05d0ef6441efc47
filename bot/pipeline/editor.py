"""Brings messages up to date whose cards have changed since they were sent."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from bot.cards.card import Card
from bot.discord_api.outcomes import (
    BotUnavailable,
    ChannelUnavailable,
    Outcome,
    Rejected,
    RetryLater,
    Sent,
)
from bot.discord_api.rate_limits import RateLimiter
from bot.log import about_events
from bot.pipeline.batching import card_of
from bot.pipeline.keyed_worker import KeyedWorker
from bot.problems import ProblemFacts, SendProblem, SendReason
from bot.storage import Storage
from bot.timing import Backoff
from bot.work import (
    Edit,
    EditedChannel,
    FallbackLevel,
    OutboxCard,
)

log = structlog.get_logger()

CHANNELS_AT_ONCE = 2  # edits are no hurry, and new cards need the way
EDIT_RETRY = Backoff((10.0, 10.0, 30.0, 120.0, 300.0, 600.0))
EDITS_APART_S = 10.0  # of one message: what is added meanwhile comes together

SendEdit = Callable[[int, int, Sequence[Card], FallbackLevel], Awaitable[Outcome]]
MayEdit = Callable[[Collection[OutboxCard]], Awaitable[bool | None]]


class Editor:
    """Edits one message of a channel at a time, with all that has changed in it.

    `edit(channel_id, message_id, cards, level)` is one try; `may_edit(rows)` says whether all that
    a message shows may be shown as it is by now, None if that is not known. A message that cannot
    be edited stays as it is: nobody is notified, as its card is there.
    """

    def __init__(
        self,
        storage: Storage,
        edit: SendEdit,
        may_edit: MayEdit,
        rate_limiter: RateLimiter,
        *,
        now: Callable[[], datetime],
        retry: Backoff = EDIT_RETRY,
        apart_s: float = EDITS_APART_S,
    ) -> None:
        """After the last wait of `retry` an edit is given up.

        Two edits of one message are `apart_s` apart, over a restart too.
        """
        self._storage = storage
        self._send = edit
        self._may_edit = may_edit
        self._rate_limiter = rate_limiter
        self._now = now
        self._retry = retry
        self._apart_s = apart_s
        self._worker = KeyedWorker[EditedChannel, int](
            "editor",
            at_once=CHANNELS_AT_ONCE,
            find_due=self._due,
            due_in=self._due_in,
            key_of=lambda channel: channel.channel_id,
            tenant_of=lambda channel: channel.guild_id,
            handle=self._edit,
        )
        self.wake = self._worker.wake

    async def run(self, connected: asyncio.Event) -> None:
        """Edit until cancelled, from the moment that the bot is logged in."""
        await connected.wait()
        await self._worker.run()

    async def _due(self, limit: int, busy: Collection[int]) -> Sequence[EditedChannel]:
        if self._rate_limiter.blocked_for_s() > 0:
            return ()
        return await self._storage.look_together(lambda tx: tx.edits.due_channels(limit, busy))

    async def _due_in(self, busy: Collection[int]) -> float | None:
        due_in_s = await self._storage.look_together(lambda tx: tx.edits.due_in(busy))
        return None if due_in_s is None else max(due_in_s, self._rate_limiter.blocked_for_s())

    async def _edit(self, channel: EditedChannel) -> None:
        edit = await self._storage.read(lambda tx: tx.edits.next(channel.channel_id))
        if edit is None:
            return
        about_events(row.inbox_id for row in edit.rows)
        if edit.message_id is None or not edit.rows:
            await self._give_up(edit, {"reason": "card_not_kept"})
            return
        # All of them: one that was changed, and not edited for that reason, would come along.
        match await self._may_edit(edit.rows):
            case False:
                await self._give_up(edit, {"reason": "no_access"})
                return
            case None:
                await self._retry_later(edit, {"reason": "access_unknown"})
                return
            case True:
                pass
        await self._settle(edit, await self._try(edit, edit.message_id))

    async def _try(self, edit: Edit, message_id: int) -> Outcome:
        try:
            cards = [card_of(row) for row in edit.rows]
            return await self._send(edit.channel_id, message_id, cards, edit.rows[0].level)
        except Exception as error:  # one that always fails must not block the others
            log.exception("editor.failed", channel_id=edit.channel_id, message_id=message_id)
            return RetryLater(SendReason(SendProblem.FAILED, {"error": type(error).__name__}))

    async def _settle(self, edit: Edit, outcome: Outcome) -> None:
        match outcome:
            case Sent():
                again_from = self._until(self._apart_s)
                await self._storage.write(lambda tx: tx.edits.done(edit, again_from))
                log.info("editor.done", channel_id=edit.channel_id, message_id=edit.message_id)
            case RetryLater(_, retry_in_s) if retry_in_s is not None:  # nothing has failed
                await self._postpone(edit, retry_in_s)
            case RetryLater(reason):
                await self._retry_later(edit, reason.to_facts())
            case BotUnavailable():  # the next new card finds that out, and reports it
                await self._postpone(edit, self._retry.delays_s[-1])
            case Rejected(reason) | ChannelUnavailable(_, reason):
                await self._give_up(edit, reason.to_facts())
            case _:
                assert_never(outcome)

    async def _retry_later(self, edit: Edit, reason: ProblemFacts) -> None:
        if edit.attempts >= len(self._retry.delays_s):
            await self._give_up(edit, reason)
        else:
            until = self._until(self._retry.delay_s(edit.attempts))
            await self._storage.write(lambda tx: tx.edits.failed(edit, until))

    async def _postpone(self, edit: Edit, wait_s: float) -> None:
        until = self._until(wait_s)
        await self._storage.write(lambda tx: tx.edits.postpone(edit, until))

    def _until(self, wait_s: float) -> datetime:
        return self._now() + timedelta(seconds=wait_s)

    async def _give_up(self, edit: Edit, reason: ProblemFacts) -> None:
        await self._storage.write(lambda tx: tx.edits.drop(edit))
        log.info(
            "editor.given_up",
            channel_id=edit.channel_id,
            message_id=edit.message_id,
            **reason,
        )
