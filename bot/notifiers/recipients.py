"""Notifies the first of several people or channels that Discord lets the bot write to."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import discord
import structlog

from bot.discord_api.channel_audience import says_nobody
from bot.discord_api.client import SpeckleBot
from bot.discord_api.error_codes import Meaning
from bot.discord_api.outcomes import (
    DISCORD_ERRORS,
    ChannelUnavailable,
    Rejected,
    error_text,
    outcome_of,
)

log = structlog.get_logger()

SEND_WITHIN_S = 60.0  # discord.py's own five tries take up to 25 s


@dataclass(frozen=True, slots=True)
class NoticeRecipient:
    """Whom to notify: in this channel, else in a direct message."""

    user_id: int
    channel_id: int | None = None

    @property
    def mentioned(self) -> int | None:
        """Who is mentioned: a person where others read it too."""
        return None if self.channel_id is None else self.user_id

    @property
    def allowed_mentions(self) -> discord.AllowedMentions:
        """Nobody else is."""
        person = discord.Object(self.user_id)
        return discord.AllowedMentions(everyone=False, users=[person], roles=False)


async def notify_first(
    notifier: str,
    bot: SpeckleBot,
    guild_id: int,
    recipients: Iterable[NoticeRecipient],
    message_to: Callable[[NoticeRecipient], Mapping[str, Any]],
) -> bool:
    """Notify a guild, if anybody of it can be; False if Discord could not be asked.

    `notifier` is who logs it, `message_to` gives the keyword arguments of `send`.
    """
    for recipient in recipients:
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                sent = await _send(bot, guild_id, recipient, message_to(recipient))
        except DISCORD_ERRORS as error:
            if _cannot_be_notified(error):
                continue
            reason = error_text(error)
            log.warning("notice.retry_later", notifier=notifier, guild_id=guild_id, reason=reason)
            return False
        log.info("notice.sent", notifier=notifier, guild_id=guild_id, message_id=sent.id)
        return True
    log.warning("notice.no_recipient", notifier=notifier, guild_id=guild_id)
    return True


async def _send(
    bot: SpeckleBot, guild_id: int, to: NoticeRecipient, message: Mapping[str, Any]
) -> discord.Message:
    channel_id = to.channel_id
    if channel_id is None:
        guild = bot.get_guild(guild_id)
        if guild is not None:
            await guild.fetch_member(to.user_id)  # who left is not notified
        channel_id = (await bot.create_dm(discord.Object(to.user_id))).id
    return await bot.get_partial_messageable(channel_id).send(**message)


def _cannot_be_notified(error: Exception) -> bool:
    """Whether Discord says that this person or channel cannot be written to.

    Something on the way that refuses the request says nothing of them.
    """
    return says_nobody(error) or isinstance(
        outcome_of(error, {Meaning.PERSON}), ChannelUnavailable | Rejected
    )
