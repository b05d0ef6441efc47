"""Reminds the person who began to set up a webhook by hand that it has sent nothing for a day."""

from collections.abc import Callable
from functools import partial
from typing import Any

from bot.cogs.notices import setup_texts
from bot.cogs.notices.views import setup_button
from bot.cogs.persistent import view_of
from bot.discord_api.client import SpeckleBot
from bot.model import NOBODY
from bot.notifiers.recipients import NoticeRecipient, notify_first
from bot.services.waiting_setups import WaitingSetup, WaitingSetups
from bot.timing import periodic

LOOK_EVERY_S = 600.0


class SetupReminder:
    """Says it once, in the guild's notice channel, else to that person, else in the channel."""

    def __init__(
        self, bot: SpeckleBot, setups: WaitingSetups, blocked_for_s: Callable[[], float]
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._setups = setups
        self._blocked_for_s = blocked_for_s

    async def run(self) -> None:
        """Remind until cancelled, from the moment that the guilds are known."""
        await self._bot.ready_once.wait()
        await periodic("setup_reminder", self.remind, every_s=LOOK_EVERY_S)

    async def remind(self) -> None:
        """Remind of all that is due; what Discord could not be asked about is due again."""
        for setup in await self._setups.due():
            if self._blocked_for_s() > 0:
                return
            if await self._remind(setup):
                await self._setups.mark_reminded(setup)

    async def _remind(self, setup: WaitingSetup) -> bool:
        message_to = partial(self._message, setup)
        guild_id, recipients = setup.hook.guild_id, _recipients(setup)
        return await notify_first("setup_reminder", self._bot, guild_id, recipients, message_to)

    def _message(self, setup: WaitingSetup, to: NoticeRecipient) -> dict[str, Any]:
        """The keyword arguments of `send`."""
        return {
            "content": setup_texts.reminder_lead(setup, to.mentioned),
            "embed": setup_texts.reminder_embed(setup),
            "view": view_of(setup_button(setup.subscription)),
            # The hook's own, so that a crash before it is noted shows nothing twice.
            "nonce": f"waits-{setup.hook.id}",
            "allowed_mentions": to.allowed_mentions,
        }


def _recipients(setup: WaitingSetup) -> list[NoticeRecipient]:
    maker, notices = setup.hook.created_by, setup.notice_channel_id
    return [
        *([NoticeRecipient(maker, notices)] if notices is not None else ()),
        *([NoticeRecipient(maker)] if maker != NOBODY else ()),
        NoticeRecipient(maker, setup.subscription.channel_id),
    ]
