"""Discord servers that the bot is in: who joins and leaves."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bot.storage import Storage


class GuildService:
    """Keeps the list of guilds in step with Discord's."""

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now

    async def joined(self, guild_id: int) -> None:
        """The bot was added: what the guild had before it left works again."""
        await self._storage.write(lambda tx: tx.guilds.join(guild_id))

    async def left(self, guild_id: int) -> None:
        """The bot was removed: its hooks close now, its data stays for the time of grace."""
        await self._storage.write(lambda tx: tx.guilds.leave(guild_id))

    async def reconcile(self, current_ids: Iterable[int]) -> None:
        """Catch up with what happened while the bot was off.

        `current_ids` are all guilds of the bot, those that have an outage included.
        """
        current = frozenset(current_ids)
        known = {
            guild.guild_id: guild for guild in await self._storage.read(lambda tx: tx.guilds.all())
        }
        for guild_id in current:
            if guild_id not in known or known[guild_id].left_at is not None:
                await self.joined(guild_id)
        for guild_id, guild in known.items():
            if guild_id not in current and guild.left_at is None:
                await self.left(guild_id)

    async def erase_left(self, keep: timedelta) -> int:
        """Erase all of the guilds that the bot left longer than `keep` ago; how many they were."""
        return await self._storage.write(lambda tx: tx.guilds.erase_left_before(self._now() - keep))
