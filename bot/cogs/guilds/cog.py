"""Discord servers that come and go."""

from typing import TYPE_CHECKING

import discord
from discord.ext import commands

if TYPE_CHECKING:
    from bot.discord_api.client import SpeckleBot


class GuildsCog(commands.Cog, name="guilds"):
    """Hears that the bot was added to a server or removed from one."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._bot = bot

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was added."""
        await self._bot.guild_service.joined(guild.id)

    @commands.Cog.listener()
    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A guild is there that was not, be it after an outage; at start-up all of them come."""
        if self._bot.ready_once.is_set():
            await self._bot.guild_service.joined(guild.id)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed; an outage, which Discord tells in the same way, is not that."""
        await self._bot.guild_service.left(guild.id)
