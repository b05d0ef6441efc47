"""Keeps in the database what Discord servers and channels are called."""

from functools import partial
from typing import NoReturn

from bot.discord_api.client import SpeckleBot
from bot.services.discord_names import DiscordNameService
from bot.timing import periodic

LOOKED_AT_EVERY_S = 10.0  # one read: soon enough for the first list that a host looks at


class NameKeeper:
    """Looks again and again, in what the gateway has sent."""

    def __init__(
        self, bot: SpeckleBot, names: DiscordNameService, every_s: float = LOOKED_AT_EVERY_S
    ) -> None:
        self._bot = bot
        self._names = names
        self._every_s = every_s

    async def run(self) -> NoReturn:
        """Work until cancelled."""
        await self._bot.ready_once.wait()
        await periodic(
            "discord_names", partial(self._names.keep, self._name_in), every_s=self._every_s
        )

    def _name_in(self, guild_id: int, id_: int) -> str | None:
        guild = self._bot.get_guild(guild_id)
        if guild is None or guild.unavailable:
            return None
        place = guild if id_ == guild_id else guild.get_channel_or_thread(id_)
        return None if place is None else place.name
