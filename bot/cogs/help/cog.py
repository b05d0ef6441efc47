"""/help: what the bot can do, with commands that can be clicked."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog
from discord import app_commands
from discord.ext import commands

from bot.cogs.help.texts import help_embed
from bot.cogs.interaction import for_everyone
from bot.cogs.responses import Interaction, Response, defer_if_slow, respond, with_contact
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text

IDS_WITHIN_S: Final = 2.0  # without them the names are shown

log = structlog.get_logger()


class HelpCog(commands.Cog, name="help"):
    """Lists what the caller may use."""

    def __init__(self, tree: app_commands.CommandTree[Any], contact: str) -> None:
        self._tree, self._contact = tree, contact
        self._ids: Mapping[str, int] = {}  # that Discord gave the commands

    @app_commands.command(description="What this bot can do, and what you can use")
    @for_everyone
    async def help(self, interaction: Interaction) -> None:
        """Show it to the caller."""
        await respond(interaction, await defer_if_slow(interaction, self._page(interaction)))

    async def _page(self, interaction: Interaction) -> Response:
        usable = [one for one in self._tree.get_commands() if _may_use(one, interaction)]
        named = {
            one.name: one.description for one in usable if isinstance(one, app_commands.Command)
        }
        menus = [one.name for one in usable if isinstance(one, app_commands.ContextMenu)]
        in_private = interaction.guild_id is None
        embed = help_embed(named, menus, await self._known_ids(), in_private=in_private)
        return Response(embed=with_contact(embed, self._contact))

    async def _known_ids(self) -> Mapping[str, int]:
        """The commands' ids; without Discord's answer those that are known, if any."""
        if not self._ids:
            try:
                async with asyncio.timeout(IDS_WITHIN_S):
                    self._ids = {one.name: one.id for one in await self._tree.fetch_commands()}
            except DISCORD_ERRORS as error:
                log.warning("help.no_ids", reason=error_text(error))
        return self._ids


def _may_use(command: object, interaction: Interaction) -> bool:
    """Whether a command is for where this is typed, and for who types it, by its own defaults."""
    if not isinstance(command, app_commands.Command | app_commands.ContextMenu):
        return False
    if command.name == "help":
        return False
    contexts = command.allowed_contexts
    if interaction.guild_id is None:
        return contexts is not None and bool(contexts.dm_channel)
    needed = command.default_permissions
    return needed is None or interaction.permissions.is_superset(needed)
