"""Cards out to Discord: Card → embed, one send, and Discord's answer as an outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import discord
import structlog

from bot.cards.card import Card
from bot.discord_api.card_messages import NO_EMOJI, TitleEmoji, fingerprint, message_arguments
from bot.discord_api.error_codes import Meaning
from bot.discord_api.outcomes import (
    DISCORD_ERRORS,
    ChannelUnavailable,
    Fault,
    Outcome,
    RetryLater,
    Sent,
    outcome_of,
)
from bot.discord_api.rate_limits import RejectedRequest, current_request, low_priority
from bot.problems import SendProblem, SendReason
from bot.work import Batch, FallbackLevel

log = structlog.get_logger()

SEND_TIMEOUT_S: Final = 120.0  # 25 MiB of pictures over a slow line, and discord.py's own waits
# Discord knows a nonce for "the past few minutes". After that it is looked for in the channel.
NONCE_KNOWN: Final = timedelta(seconds=90)
SLACK: Final = timedelta(minutes=1)  # Discord's time is known to seconds, and answers take some
LOOK_BACK: Final = 500  # messages of everybody since then

Taken = Callable[[int, Collection[int]], Awaitable[Collection[int]]]
"""Which of these messages of a channel are known to be of other batches."""


async def send(
    client: discord.Client,
    batch: Batch,
    cards: Sequence[Card],
    level: FallbackLevel,
    discord_now: Callable[[], datetime] = discord.utils.utcnow,
    emoji: TitleEmoji = NO_EMOJI,
    *,
    taken: Taken,
) -> Outcome:
    """Send the cards as one message; the same batch again gives the same message, not another.

    The channel is addressed by its id, not through the cache, which is empty after a new session.
    `discord_now` is what time it is at Discord, which also gives the batch's age; `taken` as in
    `find_sent`.
    """
    if discord_now() - batch.created_at > NONCE_KNOWN:
        there = await find_sent(client, batch, cards, level, taken=taken)
        # Else the try itself says what is the matter.
        if isinstance(there, Sent | RetryLater):
            return there
    message = message_arguments(cards, level, batch.nonce, emoji)
    outcome = await _try(client, batch.channel_id, message)
    if not isinstance(outcome, ChannelUnavailable) or outcome.fault is not Fault.THREAD_CLOSED:
        return outcome
    still_closed = await _reopened(client, batch.channel_id, outcome)
    if still_closed is not None:
        return still_closed
    again = message_arguments(cards, level, batch.nonce, emoji)
    return await _try(client, batch.channel_id, again)


async def edit(
    client: discord.Client,
    channel_id: int,
    message_id: int,
    cards: Sequence[Card],
    level: FallbackLevel,
    emoji: TitleEmoji = NO_EMOJI,
) -> Outcome:
    """Make a message show these cards, which are all of it. The same edit twice is harmless.

    It waits behind new cards. ChannelUnavailable and Rejected: the message stays as it is.
    """
    message = client.get_partial_messageable(channel_id).get_partial_message(message_id)
    before = low_priority.set(True)
    try:
        editing = message.edit(**_edit_of(cards, level, emoji))
        return await _in_time(editing, f"edit in {channel_id}", {Meaning.MESSAGE})
    finally:
        low_priority.reset(before)


def _edit_of(cards: Sequence[Card], level: FallbackLevel, emoji: TitleEmoji) -> dict[str, Any]:
    """The keyword arguments of `message.edit`: all parts, so that none of the old ones is left."""
    message = message_arguments(cards, level, "", emoji)
    # Uploaded again: those that the message has are not known here, and attachment:// wants names.
    files = message.pop("files", [])
    del message["nonce"]
    return {"view": None, **message, "attachments": files}


async def find_sent(
    client: discord.Client,
    batch: Batch,
    cards: Sequence[Card],
    level: FallbackLevel,
    *,
    taken: Taken,
) -> Outcome | None:
    """The batch's message if it is in the channel already; a failure if the channel cannot be read.

    An earlier try may have brought it there, and Discord has forgotten its nonce since. Events that
    are read together give cards of one time, and often of the same titles: what is `taken` by
    another batch is not this one's, however alike.
    """
    wanted = fingerprint(message_arguments(cards, level, batch.nonce))
    channel = client.get_partial_messageable(batch.channel_id)
    since = batch.created_at - SLACK
    alike: list[int] = []
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            async for message in channel.history(limit=LOOK_BACK, after=since):
                if client.user is not None and message.author.id == client.user.id:
                    mark = fingerprint({"content": message.content, "embeds": message.embeds})
                    if mark == wanted:
                        alike.append(message.id)
    except DISCORD_ERRORS as error:
        return outcome_of(error)
    others = await taken(batch.channel_id, alike) if alike else ()
    own = next((one for one in alike if one not in others), None)
    if own is None:
        return None
    log.info("sender.found_sent", batch_id=batch.id, message_id=own)
    return Sent(own)


async def _try(client: discord.Client, channel_id: int, message: Mapping[str, Any]) -> Outcome:
    """One try to send a message."""
    channel = client.get_partial_messageable(channel_id)
    return await _in_time(channel.send(**message), f"send to {channel_id}")


async def _in_time(
    asked: Coroutine[Any, Any, discord.Message], name: str, refused_by: Collection[Meaning] = ()
) -> Outcome:
    """One request. discord.py would sleep through a refusal that passes: this does not wait."""
    turned_away = asyncio.get_running_loop().create_future()
    before = current_request.set(turned_away)
    sending = asyncio.create_task(asked, name=name)
    current_request.reset(before)
    try:
        await asyncio.wait(
            {sending, turned_away}, timeout=SEND_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if sending.done():
            return _outcome_of_task(sending, refused_by)
        if turned_away.done():
            return _outcome_of_answer(turned_away.result())
        return RetryLater(SendReason(SendProblem.NO_ANSWER, {"within_s": SEND_TIMEOUT_S}))
    finally:
        # Not waited for: before it ends, discord.py sits out what it knows of the bucket.
        sending.cancel()
        sending.add_done_callback(lambda task: task.cancelled() or task.exception())


def _outcome_of_task(
    sending: asyncio.Task[discord.Message], refused_by: Collection[Meaning]
) -> Outcome:
    try:
        return Sent(sending.result().id)
    except DISCORD_ERRORS as error:
        return outcome_of(error, refused_by)


def _outcome_of_answer(answer: RejectedRequest) -> RetryLater:
    if answer.status == 429:
        return RetryLater(SendReason(SendProblem.SLOWER_IN_CHANNEL), answer.retry_in_s)
    return RetryLater(SendReason(SendProblem.ANSWERED, {"status": answer.status}))


async def _reopened(
    client: discord.Client, channel_id: int, closed: ChannelUnavailable
) -> ChannelUnavailable | RetryLater | None:
    """Open an archived thread again, if Discord lets the bot: None. A locked one stays `closed`."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            thread = await client.fetch_channel(channel_id)
            if not isinstance(thread, discord.Thread) or thread.locked:
                return closed
            if thread.archived:
                await thread.edit(archived=False)
    except DISCORD_ERRORS as error:
        outcome = outcome_of(error)
        return outcome if isinstance(outcome, RetryLater) else closed
    log.info("sender.thread_reopened", channel_id=channel_id)
    return None
