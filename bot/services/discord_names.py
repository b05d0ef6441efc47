"""Names of Discord servers and channels, kept in step with what the bot sees."""

from collections.abc import Callable
from typing import TypeAlias

from bot.lookups import DiscordName
from bot.storage import Storage

NameIn: TypeAlias = Callable[[int, int], str | None]
"""What a channel of a guild is called, or the guild itself, by its own id; None: not known now."""


class DiscordNameService:
    """Keeps the names of channels that follow a project, and of their guilds."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: dict[int, str] = {}

    async def keep(self, name_in: NameIn) -> None:
        """Keep what is called otherwise by now."""
        followed = await self._storage.read(lambda tx: tx.discord_names.followed())
        places = {
            (guild_id, id_) for guild_id, channel_id in followed for id_ in (guild_id, channel_id)
        }
        found = {
            DiscordName(id_, guild_id, name)
            for guild_id, id_ in places
            if (name := name_in(guild_id, id_)) is not None
        }
        changed = [one for one in found if self._kept.get(one.id) != one.name]
        if changed:
            await self._storage.write(lambda tx: tx.discord_names.put(changed))
        self._kept = {one.id: one.name for one in found}
