"""One card out to Discord: Card → embed, one send, and Discord's answer as an outcome."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

import aiohttp
import discord

from bot.cards.card import Card

# Discord's JSON error codes: https://discord.com/developers/docs/topics/opcodes-and-status-codes
UNKNOWN_CHANNEL = 10003
THREAD_LOCKED = 160005
THREAD_ARCHIVED = 50083


class Fault(StrEnum):
    """Whose fault a refusal is, and so what has to change before anything can go there again."""

    CARD = "card"
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
    """Discord will not take it, however often it is tried."""

    fault: Fault
    reason: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Discord does not know this bot any more: nothing at all can be sent."""

    reason: str


Outcome = Sent | Later | Refused | Stop


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
    client: discord.Client, channel_id: int, cards: Sequence[Card], nonce: str
) -> Outcome:
    """Send the cards as one message; the same nonce again gives the same message, not another.

    The channel is addressed by its id, not through the cache, which is empty after a new session.
    """
    channel = client.get_partial_messageable(channel_id)
    try:
        message = await channel.send(
            embeds=[to_embed(card) for card in cards],
            files=_files(cards),
            nonce=nonce,
            allowed_mentions=discord.AllowedMentions.none(),
            view=_buttons(cards) or discord.utils.MISSING,
        )
    except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
        return outcome_of(error)
    return Sent(message.id)


def outcome_of(error: Exception) -> Outcome:
    """Say what an exception of a send means; TimeoutError is an OSError."""
    match error:
        case discord.RateLimited():
            return Later("Discord asked the bot to slow down", error.retry_after)
        case discord.LoginFailure():
            return Stop("Discord does not accept the bot's token")
        case discord.HTTPException():
            return _outcome_of_status(error)
        case _:
            return Later(f"Discord could not be reached ({type(error).__name__})")


def _outcome_of_status(error: discord.HTTPException) -> Outcome:
    reason = f"Discord answered {error.status} ({error.code}): {error.text[:300]}"
    if error.status == 401:
        return Stop("Discord does not accept the bot's token")
    if error.status == 429 or error.status >= 500:
        return Later(f"Discord answered {error.status}")
    if error.code in (THREAD_LOCKED, THREAD_ARCHIVED):
        return Refused(Fault.THREAD_CLOSED, reason)
    if error.status == 404 or error.code == UNKNOWN_CHANNEL:
        return Refused(Fault.CHANNEL_GONE, reason)
    if error.status == 403:
        return Refused(Fault.NO_PERMISSION, reason)
    return Refused(Fault.CARD, reason)


def pause_reason(fault: Fault) -> str | None:
    """The sentence that a paused subscription shows; None where only the card was at fault."""
    match fault:
        case Fault.CARD:
            return None
        case Fault.CHANNEL_GONE:
            return "The channel is gone. Subscribe in another one."
        case Fault.NO_PERMISSION:
            return (
                "The bot may not post there. Give it View Channel, Send Messages, Embed Links and "
                "Attach Files in that channel, then press Resume."
            )
        case Fault.THREAD_CLOSED:
            return "The thread is archived or locked. Open it again, then press Resume."
        case _:
            assert_never(fault)
