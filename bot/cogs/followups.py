"""Answers that come when the command is long over: to the caller alone, else in private."""

from collections.abc import Mapping

import discord
import structlog

from bot.cogs.responses import Interaction, Response
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text

log = structlog.get_logger()


def followup_address(interaction: Interaction) -> dict[str, str]:
    """Where `send_followup` reaches the caller for 15 minutes; JSON, and to be kept as a secret."""
    return {"application": str(interaction.application_id), "token": interaction.token}


async def send_followup(
    client: discord.Client, where: Mapping[str, str] | None, user_id: int, response: Response
) -> bool:
    """Send a person something that only they see; False if they cannot be reached.

    `where` is what `followup_address` gave. It works after a restart of the bot, too.
    """
    if where is not None and await _followed_up(client, where, response):
        return True
    parts = response.parts()
    try:
        private = await client.create_dm(discord.Object(user_id))
        await private.send(**parts)
    except DISCORD_ERRORS as error:  # such as a person who lets no messages in
        log.warning("followups.not_sent", reason=error_text(error))
        return False
    return True


async def _followed_up(
    client: discord.Client, where: Mapping[str, str], response: Response
) -> bool:
    webhook = discord.Webhook.partial(int(where["application"]), where["token"], client=client)
    # What `partial` cannot know, and what only such a webhook may send: for one person's eyes.
    webhook.type = discord.WebhookType.application
    parts = response.parts()
    try:
        await webhook.send(**parts, ephemeral=True)
    except DISCORD_ERRORS as error:
        log.info("followups.expired", reason=error_text(error))
        return False
    return True
