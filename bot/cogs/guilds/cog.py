"""Discord servers that come and go."""

import asyncio

import discord
from discord.ext import commands

from bot.services.guilds import GuildService


class GuildsCog(commands.Cog, name="guilds"):
    """Hears that the bot was added to a server or removed from one."""

    def __init__(self, guilds: GuildService, guilds_known: asyncio.Event) -> None:
        self._guilds = guilds
        self._guilds_known = guilds_known

    @commands.Cog.listener()
    async def on_guild_join(self, guild: discord.Guild) -> None:
        """The bot was added."""
        await self._guilds.joined(guild.id)

    @commands.Cog.listener()
    async def on_guild_available(self, guild: discord.Guild) -> None:
        """A guild is there that was not, be it after an outage; at start-up all of them come."""
        if self._guilds_known.is_set():
            await self._guilds.joined(guild.id)

    @commands.Cog.listener()
    async def on_guild_remove(self, guild: discord.Guild) -> None:
        """The bot was removed; an outage, which Discord reports in the same way, is not that."""
        await self._guilds.left(guild.id)
