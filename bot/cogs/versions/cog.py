"""/latest and /versions."""

from collections.abc import Sequence

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import for_members
from bot.cogs.responses import Interaction, defer_if_slow, respond
from bot.cogs.versions.pages import VersionPages, caller_of
from bot.services.completion import Choice
from bot.services.version_lookup import VersionLookup

LONGEST = 2000

Text = app_commands.Range[str, 1, LONGEST]
PROJECT = "Of which project. Default: the one that this channel follows"


class VersionsCog(commands.Cog, name="versions"):
    """Shows versions to who asks: those that the channel shows, or that their own account sees."""

    def __init__(self, pages: VersionPages, lookup: VersionLookup) -> None:
        self._pages = pages
        self._lookup = lookup

    @app_commands.command(description="The newest version: who, what, its picture, what changed")
    @app_commands.describe(model="Of which model. Default: the newest of all", project=PROJECT)
    @for_members
    async def latest(
        self, interaction: Interaction, model: Text | None = None, project: Text | None = None
    ) -> None:
        """Show the newest version."""
        work = self._pages.latest(interaction, project, model)
        await respond(interaction, await defer_if_slow(interaction, work))

    @app_commands.command(description="A model's versions, the newest first: who, when, from what")
    @app_commands.describe(model="Of which model", project=PROJECT)
    @for_members
    async def versions(
        self, interaction: Interaction, model: Text, project: Text | None = None
    ) -> None:
        """List a model's versions."""
        work = self._pages.listed(interaction, project, model)
        await respond(interaction, await defer_if_slow(interaction, work))

    @latest.autocomplete("project")
    @versions.autocomplete("project")
    async def _complete_project(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(await self._lookup.complete_projects(caller_of(interaction), typed))

    @latest.autocomplete("model")
    @versions.autocomplete("model")
    async def _complete_model(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "project", None)
        caller = caller_of(interaction)
        return _choices(await self._lookup.complete_models(caller, project, typed))


def _choices(offered: Sequence[Choice]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=choice.name, value=choice.value) for choice in offered]
