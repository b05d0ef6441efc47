"""/test and /doctor."""

from discord import app_commands
from discord.ext import commands

from bot.cogs.diagnosis.views import DiagnosisViews
from bot.cogs.interaction import actor_of, for_managers, guild_id_of
from bot.cogs.responses import Interaction, defer_if_slow, respond
from bot.services.subscriptions import SubscriptionService

ProjectName = app_commands.Range[str, 1, 2000]


class DiagnosisCog(commands.Cog, name="diagnosis"):
    """Tries whether events are shown, and finds out why not."""

    def __init__(self, subscriptions: SubscriptionService, views: DiagnosisViews) -> None:
        self._subscriptions = subscriptions
        self._views = views

    @app_commands.command(description="Send a sample of each event that this channel shows")
    @app_commands.describe(project="Which project, if this channel follows several")
    @for_managers
    async def test(self, interaction: Interaction, project: ProjectName | None = None) -> None:
        """Send samples to this channel, marked as a test."""
        page = self._views.test_page(interaction, project)
        await respond(interaction, await defer_if_slow(interaction, page))

    @app_commands.command(description="Find out why a project's events do not arrive, and fix it")
    @app_commands.describe(project="Which project. Default: the one that this channel follows")
    @for_managers
    async def doctor(self, interaction: Interaction, project: ProjectName | None = None) -> None:
        """Look at all that a project's events need on their way."""
        page = self._views.doctor_page(interaction, project)
        await respond(interaction, await defer_if_slow(interaction, page))

    @test.autocomplete("project")
    @doctor.autocomplete("project")
    async def _complete_projects(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        followed = await self._subscriptions.autocomplete.followed_projects(
            guild_id_of(interaction), actor_of(interaction), typed
        )
        return [app_commands.Choice(name=one.name, value=one.value) for one in followed]
