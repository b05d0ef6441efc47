"""/subscribe and /unsubscribe."""

from typing import TYPE_CHECKING

from discord import app_commands
from discord.ext import commands

from bot.cogs import wording
from bot.cogs.answers import Interaction, Reply, in_time, reply
from bot.cogs.places import (
    Picked,
    audiences_in,
    caller_of,
    channel_id_of,
    find_place,
    for_managers,
    guild_id_of,
    here_of,
)
from bot.cogs.waiting import answer
from bot.services.completion import Choice, complete_events
from bot.services.outcomes import NothingThere, SubscribeRequest
from bot.speckle.subscription_options import MAX_TYPED, OPTIONS, TypedOptions

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

LONGEST_LINK = 2000

OptionText = app_commands.Range[str, 1, MAX_TYPED]
ProjectText = app_commands.Range[str, 1, LONGEST_LINK]


class SubscribeCog(commands.Cog, name="subscribe"):
    """Ties channels to projects and unties them."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._subscriptions = bot.subscriptions

    @app_commands.command(description="Show a Speckle project's events in a channel")
    @app_commands.describe(
        stream_id="The project: its id, or any link into it, as copied from the browser",
        channel="Where to show them: a channel, thread or forum post. Default: here",
        **{option.name: option.description for option in OPTIONS},
    )
    @for_managers
    async def subscribe(
        self,
        interaction: Interaction,
        stream_id: ProjectText,
        events: OptionText | None = None,
        models: OptionText | None = None,
        ignore_authors: OptionText | None = None,
        channel: Picked | None = None,
    ) -> None:
        """Let a channel follow a project, or change what it follows of it."""

        async def work() -> Reply:
            request = SubscribeRequest(
                guild_id=guild_id_of(interaction),
                caller=caller_of(interaction, channel),
                place=await find_place(interaction, channel_id_of(interaction, channel)),
                project=stream_id,
                options=_typed(events=events, models=models, ignore_authors=ignore_authors),
                audience_of=audiences_in(here_of(interaction)),
            )
            outcome = await self._subscriptions.subscribe(request)
            return await answer(interaction.client, outcome)

        await reply(interaction, await in_time(interaction, work()))

    @app_commands.command(description="Stop showing a Speckle project's events in a channel")
    @app_commands.describe(
        project="The project: choose one, or paste its id or a link",
        channel="Which channel is to stop. Default: this one",
    )
    @for_managers
    async def unsubscribe(
        self, interaction: Interaction, project: ProjectText, channel: Picked | None = None
    ) -> None:
        """Let a channel stop following a project."""
        channel_id = channel_id_of(interaction, channel)
        outcome = await in_time(
            interaction,
            self._subscriptions.unsubscribe(
                guild_id_of(interaction), caller_of(interaction, channel), project, channel_id
            ),
        )
        if isinstance(outcome, NothingThere):
            await reply(interaction, Reply(wording.nothing_there(outcome, channel_id)))
        else:
            await reply(interaction, Reply(wording.removed(outcome)))

    @subscribe.autocomplete("events")
    async def _complete_events(
        self, _interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(complete_events(typed))

    @subscribe.autocomplete("stream_id")
    async def _complete_stream_id(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(
            await self._subscriptions.projects(
                guild_id_of(interaction), caller_of(interaction), typed
            )
        )

    @subscribe.autocomplete("models")
    async def _complete_models(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "stream_id", None) or ""
        return _choices(await self._subscriptions.models(interaction.user.id, project, typed))

    @unsubscribe.autocomplete("project")
    async def _complete_projects(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        followed = await self._subscriptions.followed_projects(
            guild_id_of(interaction), caller_of(interaction), typed
        )
        return _choices(followed)


def _typed(**options: str | None) -> TypedOptions:
    return {name: text for name, text in options.items() if text is not None}


def _choices(offered: list[Choice]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=choice.name, value=choice.value) for choice in offered]
