"""Discord servers that the bot is in: who joins and leaves, their notice channel, their usage."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta

from bot.audit import by_person
from bot.permissions import Actor, TargetChannel
from bot.services.channel_rules import require_guild_manager, require_manager, require_posting
from bot.services.quotas import QuotaService, Usage
from bot.services.refusals import Retry
from bot.storage import Storage


class GuildService:
    """Keeps the list of guilds in step with Discord's."""

    def __init__(self, storage: Storage, now: Callable[[], datetime], quotas: QuotaService) -> None:
        self._storage = storage
        self._now = now
        self._quotas = quotas

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

    async def notice_channel(self, guild_id: int, actor: Actor) -> int | None:
        """Where the bot sends notices of what it paused; None: in direct messages."""
        require_guild_manager(actor)
        guild = await self._storage.read(lambda tx: tx.guilds.get(guild_id))
        return None if guild is None else guild.notice_channel_id

    async def usage(self, guild_id: int, actor: Actor) -> Usage | None:
        """What the guild uses of its quotas; None if it has none."""
        require_guild_manager(actor)
        return await self._quotas.usage(guild_id)

    async def choose_notice_channel(
        self, guild_id: int, actor: Actor, target: TargetChannel | None
    ) -> None:
        """Send notices of what is paused to this channel from now on; None: in direct messages."""
        require_guild_manager(actor)
        if target is not None:
            require_manager(actor, target.channel_id)
            require_posting(target, Retry.NOTICES)
        channel_id = None if target is None else target.channel_id
        await self._storage.write(
            lambda tx: tx.guilds.set_notice_channel(guild_id, channel_id), by=by_person(actor.id)
        )

    async def erase_left(self, keep: timedelta) -> int:
        """Erase all of the guilds that the bot left longer than `keep` ago; how many they were."""
        return await self._storage.write(lambda tx: tx.guilds.erase_left_before(self._now() - keep))
