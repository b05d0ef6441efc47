"""Checks hourly the webhooks that the bot created, and reports what it had to repair."""

import discord
import structlog

from bot.cogs.subscriptions.panel_texts import project_name
from bot.cogs.webhooks import texts as webhook_texts
from bot.discord_api.client import SpeckleBot
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text
from bot.model import Hook, SubscriptionState
from bot.services.subscribe_results import Followed
from bot.services.webhooks import Ensured, WebhookService
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
        await periodic("webhook_reconciler", self.reconcile, every_s=LOOK_EVERY_S)

    async def reconcile(self) -> None:
        """Check once."""
        async for hook, ensured in self._webhooks.reconcile_all():
            if isinstance(ensured, Ensured):
                await self._report(hook, ensured)

    async def _report(self, hook: Hook, ensured: Ensured) -> None:
        """One line in the channel where the project was first set up, else in another of its."""
        there = await self._storage.read(lambda tx: tx.subscriptions.of_hook(hook.id))
        active = [Followed(hook, one) for one in there if one.state is SubscriptionState.ACTIVE]
        active.sort(key=lambda entry: entry.subscription.channel_id != hook.setup_channel_id)
        if not active:
            return
        line = webhook_texts.repaired_line(hook, ensured, project_name(active[0]))
        if not line:
            return
        channel_id = active[0].subscription.channel_id
        try:
            await self._bot.get_partial_messageable(channel_id).send(
                line, allowed_mentions=discord.AllowedMentions.none()
            )
        except DISCORD_ERRORS as error:
            log.warning("webhook_reconciler.not_reported", hook_id=hook.id, error=error_text(error))


def describe_webhook(bot: discord.Client, guild_id: int) -> str:
    """What a webhook says about itself in Speckle's list: which bot, for which Discord server."""
    guild = bot.get_guild(guild_id)
    name = bot.user.name if bot.user is not None else "Discord bot"
    return f"{name} for {guild.name if guild else f'Discord server {guild_id}'}"
