"""What Discord servers and channels are called, for the person who runs the bot.

Only of channels that follow a project, and only the last name. They go with their guild.
"""

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from bot.db.session import Session
from bot.db.tables import discord_names, guilds, subscriptions
from bot.lookups import DiscordName

# Asked every few seconds, so it is built once.
FOLLOWED = select(subscriptions.c.guild_id, subscriptions.c.channel_id).distinct()


class DiscordNames:
    """Keeps names by the ids of guilds and channels."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def followed(self) -> Sequence[tuple[int, int]]:
        """The channels that follow something, each behind its guild's id."""
        return [(row[0], row[1]) for row in self._session.execute(FOLLOWED).all()]

    def put(self, names: Collection[DiscordName]) -> None:
        """Keep these names, of guilds that are known."""
        ids = {one.guild_id for one in names}
        there = set(
            self._session.scalars(select(guilds.c.guild_id).where(guilds.c.guild_id.in_(ids)))
        )
        rows = [
            {"id": one.id, "guild_id": one.guild_id, "name": one.name}
            for one in names
            if one.guild_id in there
        ]
        if not rows:
            return
        new = self._session.insert(discord_names)
        changed = {"name": new.excluded.name, "guild_id": new.excluded.guild_id}
        self._session.execute(
            new.on_conflict_do_update(index_elements=[discord_names.c.id], set_=changed), rows
        )

    def of(self, ids: Collection[int]) -> Mapping[int, str]:
        """The names that are known of these guilds and channels."""
        these = discord_names.c.id.in_(ids)
        rows = self._session.execute(select(discord_names.c.id, discord_names.c.name).where(these))
        return {row[0]: row[1] for row in rows}
