"""Checks hourly the webhooks that the bot created, and reports what it had to repair."""

from collections.abc import Callable
from functools import partial

import discord
import structlog

from bot.cogs.subscriptions.panel_texts import project_name
from bot.cogs.webhooks import texts as webhook_texts
from bot.discord_api.client import SpeckleBot
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text
from bot.model import Hook, SubscriptionState
from bot.services.subscribe_results import Followed
from bot.services.webhook_results import Ensured
from bot.services.webhooks import WebhookService
from bot.storage import Storage
from bot.timing import periodic

log = structlog.get_logger()

LOOK_EVERY_S = 3600.0


class WebhookReconciler:
    """Has each webhook checked; what someone did to it at Speckle is reported in its channel."""

    def __init__(self, bot: SpeckleBot, storage: Storage, webhooks: WebhookService) -> None:
        self._bot = bot
        self._storage = storage
        self._webhooks = webhooks

    async def run(self) -> None:
        """Check until cancelled, from the moment that the guilds' names are known."""
        await self._bot.ready_once.wait()
        await periodic("webhook_reconciler", self._reconcile, every_s=LOOK_EVERY_S)

    async def look_after(self, account_id: int | None) -> None:
        """Check each webhook once, or those that one account made."""
        async for hook, ensured in self._webhooks.reconcile_all(account_id):
            if isinstance(ensured, Ensured):
                await self._say(hook, partial(webhook_texts.repaired_line, ensured))

    async def _reconcile(self) -> None:
        await self.look_after(None)
        await self._webhooks.note_silent_webhooks()
        for hook in await self._storage.read(lambda tx: tx.hooks.with_unreported_trouble()):
            await self._report_trouble(hook)

    async def _report_trouble(self, hook: Hook) -> None:
        """Say once what is wrong with a webhook, as soon as there is a channel that shows it."""
        if await self._say(hook, partial(webhook_texts.trouble_line, hook)):
            trouble = hook.trouble
            await self._storage.write(lambda tx: tx.hooks.mark_trouble_reported(hook.id, trouble))

    async def _say(self, hook: Hook, line_of: Callable[[str], str]) -> bool:
        """One line in the channel where the project was first set up, else in another of its.

        `line_of` makes the line out of the project's name; whether it was said.
        """
        there = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        active = [Followed(hook, one) for one in there if one.state is SubscriptionState.ACTIVE]
        active.sort(key=lambda entry: entry.subscription.channel_id != hook.setup_channel_id)
        for entry in active:
            line = line_of(project_name(entry))
            if not line:
                return False
            channel = self._bot.get_partial_messageable(entry.subscription.channel_id)
            try:
                await channel.send(line, allowed_mentions=discord.AllowedMentions.none())
            except DISCORD_ERRORS as error:
                reason = error_text(error)
                log.warning("webhook_reconciler.not_reported", hook_id=hook.id, error=reason)
            else:
                return True
        return False


def describe_webhook(bot: discord.Client, guild_id: int) -> str:
    """What a webhook says about itself in Speckle's list: which bot, for which Discord server."""
    guild = bot.get_guild(guild_id)
    name = bot.user.name if bot.user is not None else "Discord bot"
    return f"{name} for {guild.name if guild else f'Discord server {guild_id}'}"
