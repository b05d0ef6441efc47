"""/status."""

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import actor_of, channel_id_of, for_members, guild_id_of
from bot.cogs.responses import Interaction, Response, defer_if_slow, respond, with_contact
from bot.cogs.status.texts import status_embed
from bot.services.guild_status import GuildStatusService


class StatusCog(commands.Cog, name="status"):
    """Says how the bot is doing, to each member, of what they see."""

    def __init__(self, status: GuildStatusService, contact: str) -> None:
        self._status, self._contact = status, contact

    @app_commands.command(description="Does the bot work? Delays, what waits, known trouble")
    @for_members
    async def status(self, interaction: Interaction) -> None:
        """Show how the bot is doing for this server."""
        response = self._page(interaction)
        await respond(interaction, await defer_if_slow(interaction, response))

    async def _page(self, interaction: Interaction) -> Response:
        status = await self._status.of(
            guild_id_of(interaction), actor_of(interaction), channel_id_of(interaction, None)
        )
        return Response(embed=with_contact(status_embed(status), self._contact))
