"""Notifies a server, once a day, that its quota is used up."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import discord
import structlog

from bot.cogs.notices import quota_texts
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
from bot.model import NOBODY
from bot.services.quotas import OverQuota, QuotaService
from bot.timing import periodic

log = structlog.get_logger()

POLL_S = 5.0
RETRY_S = 300.0  # after Discord could not be asked; with the day the notice goes too
SEND_WITHIN_S = 60.0  # discord.py's own five tries take up to 25 s


@dataclass(frozen=True, slots=True)
class NoticeRecipient:
    """Whom to notify: in this channel, else in a direct message."""

    user_id: int
    channel_id: int | None = None


class QuotaNotifier:
    """Reports it in the guild's notice channel, else to the webhook's maker, else to the owner."""

    def __init__(
        self,
        bot: SpeckleBot,
        quotas: QuotaService,
        blocked_for_s: Callable[[], float],
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._quotas = quotas
        self._blocked_for_s = blocked_for_s

    async def run(self) -> None:
        """Notify until cancelled, from the moment that the bot is logged in."""
        await self._bot.logged_in.wait()
        await periodic("quota_notifier", self._round, every_s=RETRY_S)

    async def _round(self) -> float | None:
        return POLL_S if await self.notify() else None

    async def notify(self) -> bool:
        """Notify everyone who is due; False if some of them could not be."""
        all_notified = True
        for notice in await self._quotas.due_notices():
            if self._blocked_for_s() > 0:
                return False
            over = await self._quotas.over_quota_of(notice)
            if over is None or await self._notify(over):
                await self._quotas.mark_notified(notice)
            else:
                all_notified = False
        return all_notified

    async def _notify(self, over: OverQuota) -> bool:
        """Notify a guild, if anybody of it can be; False if Discord could not be asked."""
        notice = over.notice
        for recipient in self._recipients(over):
            message = self._message(over, recipient)
            try:
                async with asyncio.timeout(SEND_WITHIN_S):
                    sent = await self._send(notice.guild_id, recipient, message)
            except DISCORD_ERRORS as error:
                if _cannot_be_notified(error):
                    continue
                log.warning(
                    "quota_notifier.retry_later", guild_id=notice.guild_id, reason=error_text(error)
                )
                return False
            log.info("quota_notifier.sent", guild_id=notice.guild_id, message_id=sent.id)
            return True
        log.warning("quota_notifier.no_recipient", guild_id=notice.guild_id)
        return True

    def _recipients(self, over: OverQuota) -> list[NoticeRecipient]:
        guild = self._bot.get_guild(over.notice.guild_id)
        maker = over.hook.created_by if over.hook else NOBODY
        people = dict.fromkeys([maker, guild.owner_id if guild and guild.owner_id else NOBODY])
        channel_id = over.guild.notice_channel_id
        return [
            *([NoticeRecipient(maker, channel_id)] if channel_id is not None else ()),
            *(NoticeRecipient(person) for person in people if person != NOBODY),
        ]

    def _message(self, over: OverQuota, to: NoticeRecipient) -> dict[str, Any]:
        """The keyword arguments of `send`."""
        guild = self._bot.get_guild(over.notice.guild_id)
        return {
            "content": quota_texts.quota_lead(None if to.channel_id is None else to.user_id),
            "embed": quota_texts.quota_embed(over, guild.name if guild else None),
            # The row's own, so that a crash before it is noted shows nothing twice.
            "nonce": over.notice.nonce,
            "allowed_mentions": discord.AllowedMentions(
                everyone=False, users=[discord.Object(to.user_id)], roles=False
            ),
        }

    async def _send(
        self, guild_id: int, to: NoticeRecipient, message: Mapping[str, Any]
    ) -> discord.Message:
        channel_id = to.channel_id
        if channel_id is None:
            guild = self._bot.get_guild(guild_id)
            if guild is not None:
                await guild.fetch_member(to.user_id)  # who left is not notified
            channel_id = (await self._bot.create_dm(discord.Object(to.user_id))).id
        return await self._bot.get_partial_messageable(channel_id).send(**message)


def _cannot_be_notified(error: Exception) -> bool:
    """Whether Discord says that this person or channel cannot be written to.

    Something on the way that refuses the request says nothing of them.
    """
    return says_nobody(error) or isinstance(
        outcome_of(error, {Meaning.PERSON}), ChannelUnavailable | Rejected
    )
