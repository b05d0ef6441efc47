"""/subscriptions: what is followed, with the panel to change it."""

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.cogs.answers import Interaction, in_time, reply
from bot.cogs.panel import Scope, list_page
from bot.cogs.places import Picked, caller_of, for_managers

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot


class SubscriptionsCog(commands.Cog, name="subscriptions"):
    """Lists what a server's channels follow."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._bot = bot

    @app_commands.command(description="See and change which Speckle projects are followed here")
    @app_commands.describe(channel="Only this channel. The whole server, unless you say")
    @for_managers
    async def subscriptions(self, interaction: Interaction, channel: Picked | None = None) -> None:
        """Show the subscriptions that the caller may manage."""
        scope = Scope(channel_id=channel.id if channel is not None else None)
        caller = caller_of(interaction, channel)
        await reply(interaction, await in_time(interaction, list_page(interaction, caller, scope)))
