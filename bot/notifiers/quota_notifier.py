"""Notifies a server, once a day, that its quota is used up."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bot.cogs.notices import quota_texts
from bot.discord_api.client import SpeckleBot
from bot.model import NOBODY
from bot.notifiers.recipients import NoticeRecipient, notify_first
from bot.services.quotas import OverQuota, QuotaService
from bot.timing import periodic

RETRY_S = 300.0  # after Discord could not be asked; with the day the notice goes too


class QuotaNotifier:
    """Reports it in the guild's notice channel, else to the webhook's maker, else to the owner."""

    def __init__(
        self,
        bot: SpeckleBot,
        quotas: QuotaService,
        blocked_for_s: Callable[[], float],
        poll_s: float,
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot; `poll_s`:
        seconds between two looks.
        """
        self._bot = bot
        self._quotas = quotas
        self._blocked_for_s = blocked_for_s
        self._poll_s = poll_s

    async def run(self) -> None:
        """Notify until cancelled, from the moment that the bot is logged in."""
        await self._bot.logged_in.wait()
        await periodic("quota_notifier", self._round, every_s=RETRY_S)

    async def _round(self) -> float | None:
        return self._poll_s if await self.notify() else None

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
        message_to = partial(self._message, over)
        guild_id, recipients = over.notice.guild_id, self._recipients(over)
        return await notify_first("quota_notifier", self._bot, guild_id, recipients, message_to)

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
            "content": quota_texts.quota_lead(over, to.mentioned),
            "embed": quota_texts.quota_embed(over, guild.name if guild else None),
            # The row's own, so that a crash before it is noted shows nothing twice.
            "nonce": over.notice.nonce,
            "allowed_mentions": to.allowed_mentions,
        }
