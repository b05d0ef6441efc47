"""/subscribe, /unsubscribe and /subscriptions."""

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import (
    Picked,
    actor_of,
    audiences_in,
    channel_id_of,
    find_channel,
    for_managers,
    guild_here,
    guild_id_of,
)
from bot.cogs.responses import Interaction, Response, defer_if_slow, respond
from bot.cogs.subscriptions import subscribe_texts
from bot.cogs.subscriptions.panel import ListScope, SubscriptionPanel
from bot.cogs.subscriptions.subscribe_flow import SubscribeFlow
from bot.cogs.subscriptions.subscribe_texts import ALL_EVENTS
from bot.services.completion import Choice, complete_events
from bot.services.refusals import CommandRefused
from bot.services.subscribe_results import CommandCaller, NotFollowed, SubscribeRequest
from bot.services.subscriptions import SubscriptionService
from bot.speckle.subscription_options import MAX_TYPED, OPTIONS, TypedOptions


class SubscriptionsCog(commands.Cog, name="subscriptions"):
    """Lists what a server's channels follow."""

    def __init__(self, panel: SubscriptionPanel) -> None:
        self._panel = panel

    @app_commands.command(description="See and change which Speckle projects are followed here")
    @app_commands.describe(channel="Only this channel. Default: all channels that you can manage")
    @for_managers
    async def subscriptions(self, interaction: Interaction, channel: Picked | None = None) -> None:
        """Show the subscriptions that the caller may manage."""
        scope = ListScope(channel_id=channel.id if channel is not None else None)
        page = self._panel.list_page(interaction, actor_of(interaction, channel), scope)
        await respond(interaction, await defer_if_slow(interaction, page))


LONGEST_LINK = 2000

OptionText = app_commands.Range[str, 1, MAX_TYPED]
ProjectText = app_commands.Range[str, 1, LONGEST_LINK]


class SubscribeCog(commands.Cog, name="subscribe"):
    """Lets channels follow projects, and stop following them."""

    def __init__(self, subscriptions: SubscriptionService, flow: SubscribeFlow) -> None:
        self._subscriptions = subscriptions
        self._flow = flow

    @app_commands.command(description="Show a Speckle project's events in a channel")
    @app_commands.describe(
        stream_id="The project (once called stream): its address, or its name if you can see it",
        channel="Where to show them: a channel, thread or forum post. Default: this channel",
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

        async def work() -> Response:
            request = SubscribeRequest(
                guild_id=guild_id_of(interaction),
                actor=actor_of(interaction, channel),
                channel=await find_channel(interaction, channel_id_of(interaction, channel)),
                project=stream_id,
                options=_typed(events=events, models=models, ignore_authors=ignore_authors),
                audience_of=audiences_in(guild_here(interaction)),
            )
            try:
                outcome = await self._subscriptions.subscribe(request)
            except CommandRefused as refused:
                question = await self._flow.ask_about(request, refused.refusal)
                if question is None:
                    raise
                return question
            return await self._flow.show(outcome)

        await respond(interaction, await defer_if_slow(interaction, work()))

    @app_commands.command(description="Stop showing a Speckle project's events in a channel")
    @app_commands.describe(
        project="The project: choose one, or paste its id or a link",
        channel="The channel that stops showing the project. Default: this channel",
    )
    @for_managers
    async def unsubscribe(
        self, interaction: Interaction, project: ProjectText, channel: Picked | None = None
    ) -> None:
        """Let a channel stop following a project."""
        channel_id = channel_id_of(interaction, channel)
        outcome = await defer_if_slow(
            interaction,
            self._subscriptions.unsubscribe(
                guild_id_of(interaction), actor_of(interaction, channel), project, channel_id
            ),
        )
        if isinstance(outcome, NotFollowed):
            await respond(interaction, Response(subscribe_texts.not_followed(outcome, channel_id)))
        else:
            await respond(interaction, Response(subscribe_texts.unsubscribed(outcome)))

    @subscribe.autocomplete("events")
    async def _complete_events(
        self, _interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(complete_events(typed, ALL_EVENTS))

    @subscribe.autocomplete("stream_id")
    async def _complete_stream_id(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        return _choices(
            await self._subscriptions.autocomplete.projects(
                guild_id_of(interaction), actor_of(interaction), typed
            )
        )

    @subscribe.autocomplete("models")
    async def _complete_models(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "stream_id", None) or ""
        return _choices(
            await self._subscriptions.autocomplete.models(_caller(interaction), project, typed)
        )

    @subscribe.autocomplete("ignore_authors")
    async def _complete_authors(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        project = getattr(interaction.namespace, "stream_id", None) or ""
        return _choices(
            await self._subscriptions.autocomplete.authors(_caller(interaction), project, typed)
        )

    @unsubscribe.autocomplete("project")
    async def _complete_projects(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        followed = await self._subscriptions.autocomplete.followed_projects(
            guild_id_of(interaction), actor_of(interaction), typed
        )
        return _choices(followed)


def _caller(interaction: Interaction) -> CommandCaller:
    """Who is typing a command, and the channel that it is going to be about."""
    picked = getattr(interaction.namespace, "channel", None)
    channel_id = channel_id_of(interaction, picked)
    audience = audiences_in(guild_here(interaction))(channel_id)
    return CommandCaller(guild_id_of(interaction), actor_of(interaction), channel_id, audience)


def _typed(**options: str | None) -> TypedOptions:
    return {name: text for name, text in options.items() if text is not None}


def _choices(offered: list[Choice]) -> list[app_commands.Choice[str]]:
    return [app_commands.Choice(name=choice.name, value=choice.value) for choice in offered]
