"""/latest, /versions and /compare."""

from collections.abc import Sequence

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import for_members
from bot.cogs.responses import Interaction, defer_if_slow, respond
from bot.cogs.versions.compare_pages import ComparePages
from bot.cogs.versions.pages import VersionPages, caller_of
from bot.services.completion import Choice
from bot.services.version_lookup import VersionLookup

LONGEST = 2000

Text = app_commands.Range[str, 1, LONGEST]
PROJECT = "Of which project. Default: the one that this channel follows"


class VersionsCog(commands.Cog, name="versions"):
    """Shows versions to who asks: those that the channel shows, or that their own account sees."""

    def __init__(self, pages: VersionPages, compare: ComparePages, lookup: VersionLookup) -> None:
        self._pages = pages
        self._compare = compare
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

    @app_commands.command(description="What changed between two versions: by category, with names")
    @app_commands.describe(
        project=PROJECT,
        model="Of which model. Default: the one of `a` or `b`, or of the newest version",
        a="From which version: pick one, its id or link. Default: the one before `b`",
        b="To which version: pick one, its id or link. Default: the newest",
    )
    @for_members
    async def compare(
        self,
        interaction: Interaction,
        project: Text | None = None,
        model: Text | None = None,
        a: Text | None = None,
        b: Text | None = None,
    ) -> None:
        """Show what changed from one version to another."""
        work = self._compare.typed(interaction, project, model, a, b)
        await respond(interaction, await defer_if_slow(interaction, work))

    @compare.autocomplete("a")
    @compare.autocomplete("b")
    async def _complete_version(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "project", None)
        model = getattr(interaction.namespace, "model", None)
        return _choices(
            await self._lookup.complete_versions(caller_of(interaction), project, model, typed)
        )

    @latest.autocomplete("project")
    @compare.autocomplete("project")
    @versions.autocomplete("project")
    async def _complete_project(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(await self._lookup.complete_projects(caller_of(interaction), typed))

    @latest.autocomplete("model")
    @compare.autocomplete("model")
    @versions.autocomplete("model")
    async def _complete_model(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "project", None)
        caller = caller_of(interaction)
        return _choices(await self._lookup.complete_models(caller, project, typed))


def _choices(offered: Sequence[Choice]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=choice.name, value=choice.value) for choice in offered]
