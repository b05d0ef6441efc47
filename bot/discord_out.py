"""Cards out to Discord: Card → embed, one send, and Discord's answer as an outcome."""

import asyncio
import io
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Final, assert_never

import aiohttp
import discord
import structlog

from bot.cards.card import Card
from bot.cards.lesser import bare, plain
from bot.db.rows import Batch, CardForm
from bot.discord_pace import TurnedAway, in_hand, unhurried
from bot.network import why_not_reached

log = structlog.get_logger()

SEND_TIMEOUT_S: Final = 120.0  # 25 MiB of pictures over a slow line, and discord.py's own waits
# Discord knows a nonce for "the past few minutes". After that it is looked for in the channel.
NONCE_KNOWN: Final = timedelta(seconds=90)
CLOCKS_APART: Final = timedelta(minutes=1)  # Discord's and ours, at most
LOOK_BACK: Final = 500  # messages of everybody since then
MAX_REASON: Final = 300  # characters of Discord's own words that are kept


class Fault(StrEnum):
    """Why nothing at all can go to a channel, and so what has to change first."""

    CHANNEL_GONE = "channel_gone"
    NO_PERMISSION = "no_permission"
    THREAD_CLOSED = "thread_closed"


@dataclass(frozen=True, slots=True)
class Sent:
    """The message is there."""

    message_id: int


@dataclass(frozen=True, slots=True)
class Later:
    """Discord could not take it now; `retry_in_s` is Discord's own word, None leaves it to us."""

    reason: str
    retry_in_s: float | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Discord will not take what was sent, however often it is tried."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChannelClosed:
    """Nothing can go to this channel until a person changes something."""

    fault: Fault
    reason: str


@dataclass(frozen=True, slots=True)
class BotClosed:
    """Discord does not know this bot any more: nothing can be sent to anybody."""

    reason: str


Outcome = Sent | Later | Refused | ChannelClosed | BotClosed

# What a refusal means, by Discord's JSON error code. Codes come with a status that says less: 50083
# has 400 and 10003 has 404. https://discord.com/developers/docs/topics/opcodes-and-status-codes
CLOSED_BY_CODE: Final[Mapping[int, Fault]] = {
    10003: Fault.CHANNEL_GONE,  # unknown channel
    10004: Fault.CHANNEL_GONE,  # unknown guild
    50001: Fault.NO_PERMISSION,  # no access
    50008: Fault.CHANNEL_GONE,  # no messages in this kind of channel any more
    50013: Fault.NO_PERMISSION,  # a permission is missing
    50024: Fault.CHANNEL_GONE,  # not possible in this kind of channel
    50083: Fault.THREAD_CLOSED,  # archived
    160005: Fault.THREAD_CLOSED,  # locked
}
# And by HTTP status, for any other code. Without a code it is a proxy's answer and not Discord's.
CLOSED_BY_STATUS: Final[Mapping[int, Fault]] = {
    403: Fault.NO_PERMISSION,
    404: Fault.CHANNEL_GONE,
}
REFUSED_STATUSES: Final = frozenset({400, 413, 422})


def to_embed(card: Card) -> discord.Embed:
    """Build the embed of a card; the card is within Discord's limits already."""
    embed = discord.Embed(
        title=card.title,
        url=card.url,
        description=card.description or None,
        colour=card.colour,
        timestamp=card.timestamp,
    )
    if card.author_name:
        embed.set_author(name=card.author_name, url=card.author_url, icon_url=card.author_icon)
    for field in card.fields:
        embed.add_field(name=field.name, value=field.value, inline=field.inline)
    if card.footer:
        embed.set_footer(text=card.footer)
    return embed.set_image(url=card.image).set_thumbnail(url=card.thumbnail)


def _files(cards: Sequence[Card]) -> list[discord.File]:
    pictures = {picture.name: picture for card in cards for picture in card.pictures}
    return [
        discord.File(io.BytesIO(picture.content), filename=picture.name)
        for picture in pictures.values()
    ]


def _buttons(cards: Sequence[Card]) -> discord.ui.View | None:
    """Link buttons of a card that travels alone; in company they would name no card."""
    if len(cards) != 1 or not cards[0].buttons:
        return None
    view = discord.ui.View(timeout=None)
    for button in cards[0].buttons:
        view.add_item(discord.ui.Button(label=button.label, url=button.url))
    return view


async def send(
    client: discord.Client, batch: Batch, cards: Sequence[Card], form: CardForm
) -> Outcome:
    """Send the cards as one message; the same batch again gives the same message, not another.

    The channel is addressed by its id, not through the cache, which is empty after a new session.
    """
    if discord.utils.utcnow() - batch.created_at > NONCE_KNOWN:
        there = await _found(client, batch, cards, form)
        if there is not None:
            return there
    message = message_of(cards, form, batch.nonce)
    outcome = await _try(client, batch.channel_id, message)
    archived = isinstance(outcome, ChannelClosed) and outcome.fault is Fault.THREAD_CLOSED
    if archived and await _reopened(client, batch.channel_id):
        return await _try(client, batch.channel_id, message_of(cards, form, batch.nonce))
    return outcome


async def edit(
    client: discord.Client,
    channel_id: int,
    message_id: int,
    cards: Sequence[Card],
    form: CardForm,
) -> Outcome:
    """Make a message show these cards, which are all of it. The same edit twice is harmless.

    It waits behind new cards. ChannelClosed and Refused mean that the message stays as it is.
    """
    message = client.get_partial_messageable(channel_id).get_partial_message(message_id)
    before = unhurried.set(True)
    try:
        return await _in_time(message.edit(**_edit_of(cards, form)), f"edit in {channel_id}")
    finally:
        unhurried.reset(before)


def _edit_of(cards: Sequence[Card], form: CardForm) -> dict[str, Any]:
    """The keyword arguments of `message.edit`: all parts, so that none of the old ones is left."""
    message = message_of(cards, form, "")
    # Uploaded anew: those that the message has are not known here, and attachment:// wants names.
    files = message.pop("files", [])
    del message["nonce"]
    return {"view": None, **message, "attachments": files}


async def _found(
    client: discord.Client, batch: Batch, cards: Sequence[Card], form: CardForm
) -> Sent | Later | None:
    """The batch's message if it is in the channel already; Later if that cannot be asked now.

    An earlier try may have brought it there, and Discord has forgotten its nonce since.
    """
    wanted = _mark(message_of(cards, form, batch.nonce))
    channel = client.get_partial_messageable(batch.channel_id)
    since = batch.created_at - CLOCKS_APART
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            async for message in channel.history(limit=LOOK_BACK, after=since):
                if client.user is not None and message.author.id == client.user.id:
                    mark = _mark({"content": message.content, "embeds": message.embeds})
                    if mark == wanted:
                        log.info("delivery.found", batch_id=batch.id, message_id=message.id)
                        return Sent(message.id)
    except (discord.Forbidden, discord.NotFound):
        return None  # the try itself says what is the matter
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        outcome = outcome_of(error)
        return outcome if isinstance(outcome, Later) else None
    return None


def _mark(message: Mapping[str, Any]) -> object:
    """What tells one message from another: titles and times of its cards, or its text."""
    if embeds := message.get("embeds"):
        return [
            (
                (embed.title or "").strip(),
                embed.timestamp and int(embed.timestamp.timestamp() * 1e3),
            )
            for embed in embeds
        ]
    return str(message["content"]).strip()


def message_of(cards: Sequence[Card], form: CardForm, nonce: str) -> dict[str, Any]:
    """The keyword arguments of `channel.send`; a form that is not full is for one card alone."""
    always = {"nonce": nonce, "allowed_mentions": discord.AllowedMentions.none()}
    match form:
        case CardForm.PLAIN:
            return {"content": "\n".join(plain(card) for card in cards), **always}
        case CardForm.BARE:
            return {"embeds": [to_embed(bare(card)) for card in cards], **always}
        case CardForm.FULL:
            view = _buttons(cards)
            message = {"embeds": [to_embed(card) for card in cards], "files": _files(cards)}
            return message | always | ({} if view is None else {"view": view})
        case _:
            assert_never(form)


async def _try(client: discord.Client, channel_id: int, message: Mapping[str, Any]) -> Outcome:
    """One try to send a message."""
    channel = client.get_partial_messageable(channel_id)
    return await _in_time(channel.send(**message), f"send to {channel_id}")


async def _in_time(asked: Coroutine[Any, Any, discord.Message], name: str) -> Outcome:
    """One request. discord.py would sleep through a refusal that passes: this does not wait."""
    turned_away = asyncio.get_running_loop().create_future()
    before = in_hand.set(turned_away)
    sending = asyncio.create_task(asked, name=name)
    in_hand.reset(before)
    try:
        await asyncio.wait(
            {sending, turned_away}, timeout=SEND_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if sending.done():
            return _outcome_of_task(sending)
        if turned_away.done():
            return _outcome_of_answer(turned_away.result())
        return Later(f"Discord did not answer within {SEND_TIMEOUT_S:g} s")
    finally:
        # Not waited for: before it ends, discord.py sits out what it knows of the bucket.
        sending.cancel()
        sending.add_done_callback(lambda task: task.cancelled() or task.exception())


def _outcome_of_task(sending: asyncio.Task[discord.Message]) -> Outcome:
    try:
        return Sent(sending.result().id)
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
        return outcome_of(error)


def _outcome_of_answer(answer: TurnedAway) -> Later:
    if answer.status == 429:
        return Later("Discord asked for a slower pace in this channel", answer.retry_in_s)
    return Later(f"Discord answered {answer.status}")


def outcome_of(error: Exception) -> Outcome:
    """Say what an exception of a send means; TimeoutError is an OSError."""
    match error:
        case discord.RateLimited():
            return Later("Discord asked for a slower pace", error.retry_after)
        case discord.LoginFailure():
            return BotClosed("Discord does not accept the bot's token")
        case discord.HTTPException():
            return _outcome_of_status(error)
        case aiohttp.ClientSSLError():
            return Later(f"Discord could not be reached: {why_not_reached(error)}")
        case _:
            return Later(f"Discord could not be reached ({type(error).__name__})")


def _outcome_of_status(error: discord.HTTPException) -> Outcome:
    if error.status == 401:
        return BotClosed("Discord does not accept the bot's token")
    reason = f"Discord answered {error.status} ({error.code}): {error.text[:MAX_REASON]}"
    fault = CLOSED_BY_CODE.get(error.code)
    if fault is None and error.code:
        fault = CLOSED_BY_STATUS.get(error.status)
    if fault is not None:
        return ChannelClosed(fault, reason)
    if error.status in REFUSED_STATUSES:
        return Refused(reason)
    return Later(f"Discord answered {error.status}")


async def _reopened(client: discord.Client, channel_id: int) -> bool:
    """Open an archived thread again, if Discord lets the bot; a locked one stays closed."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            thread = await client.fetch_channel(channel_id)
            if not isinstance(thread, discord.Thread) or thread.locked or not thread.archived:
                return False
            await thread.edit(archived=False)
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError):
        return False
    log.info("delivery.thread_reopened", channel_id=channel_id)
    return True
