"""What is offered while somebody types a command."""

import asyncio
from collections.abc import Sequence

from bot.permissions import Actor
from bot.services.completion import (
    Choice,
    complete_projects,
    last_typed,
    merged,
    offer_names,
    with_folders,
)
from bot.services.managed_entries import managed_entries
from bot.services.project_input import ProjectInput
from bot.services.search import Search
from bot.services.subscribe_results import CommandCaller, Followed
from bot.speckle.seen_text import as_seen
from bot.storage import Storage


class Autocomplete:
    """Offers what the caller may know; `servers` are the Speckle servers that may be asked."""

    def __init__(
        self, storage: Storage, search: Search, project_input: ProjectInput, servers: Sequence[str]
    ) -> None:
        self._storage = storage
        self._search = search
        self._input = project_input
        self._servers = tuple(servers)

    async def followed_projects(self, guild_id: int, actor: Actor, typed: str) -> list[Choice]:
        """Projects that the guild follows where the caller may manage."""
        entries = await managed_entries(self._storage, guild_id, actor)
        named = {project_of(entry): entry.label for entry in entries}
        return complete_projects(named, typed)

    async def projects(self, guild_id: int, actor: Actor, typed: str) -> list[Choice]:
        """What is followed here, then the caller's own projects on the servers they linked."""
        followed, own = await asyncio.gather(
            self.followed_projects(guild_id, actor, typed),
            self._search.projects(actor.id, typed),
        )
        return merged(followed, own)

    async def models(self, caller: CommandCaller, project: str, typed: str) -> list[Choice]:
        """The project's models, as long as the caller may know them, or the channel shows them."""
        here, meant = await self._meant_while_typing(caller, project)
        if meant is None:
            return []
        part = last_typed(typed)
        found = await self._search.model_names(caller, *meant, part, here)
        return offer_names(typed, with_folders(found, part))

    async def authors(self, caller: CommandCaller, project: str, typed: str) -> list[Choice]:
        """The project's people, in the same way."""
        here, meant = await self._meant_while_typing(caller, project)
        if meant is None:
            return []
        names, part = await self._search.names(caller, *meant, here), as_seen(last_typed(typed))
        people = sorted(name for name in names.people.values() if part in as_seen(name))
        return offer_names(typed, people, excluding=False)

    async def _meant_while_typing(
        self, caller: CommandCaller, project: str
    ) -> tuple[Followed | None, tuple[str, str] | None]:
        """The project in another field, and what the channel has of it."""
        followed = await managed_entries(self._storage, caller.guild_id, caller.actor)
        meant = self._input.offline(project, followed)
        if len(meant) != 1 or meant[0][0] not in self._servers:
            return None, None
        there = (one for one in followed if one.subscription.channel_id == caller.channel_id)
        return next((one for one in there if project_of(one) == meant[0]), None), meant[0]


def project_of(entry: Followed) -> tuple[str, str]:
    """Its Speckle server, and the project's id."""
    return entry.hook.server_url, entry.hook.project_id
