"""/why, /events, and *Why is this here?* in the menu of a message."""

import re
from collections.abc import Sequence
from datetime import datetime

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs.components import Handlers, chosen_values
from bot.cogs.events import nothing_texts, texts
from bot.cogs.interaction import Picked, actor_of, channel_id_of, for_members, guild_id_of
from bot.cogs.persistent import PersistentButton, PersistentSelect, view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    UserError,
    defer_if_slow,
    edit_with,
    respond,
)
from bot.discord_api.channels import raw_permissions
from bot.services.channel_event import ChannelEvent
from bot.services.event_log import (
    EventLogService,
    NothingArrived,
    OneEvent,
    SeveralEvents,
    WhyAnswer,
)
from bot.services.event_reference import (
    EventNumber,
    EventReference,
    MessageReference,
    NotAnEventReference,
)

MENU = "Why is this here?"
LONGEST_REFERENCE = 2000
CHANNEL = r"(?P<channel>[0-9]{1,20})"

ReferenceText = app_commands.Range[str, 1, LONGEST_REFERENCE]


class EventPages:
    """The answers, and what is pressed on them."""

    def __init__(self, log: EventLogService) -> None:
        self._log = log
        self.handlers: Handlers = {
            f"events:list:{CHANNEL}": self._on_list,
            f"events:why:{CHANNEL}": self._on_pick,
        }

    async def why(
        self,
        interaction: Interaction,
        channel_id: int,
        reference: EventReference,
    ) -> Response:
        """The answer to why an event is in a channel, or is not."""
        answer = await self._log.why(
            guild_id_of(interaction),
            actor_of(interaction),
            channel_id,
            reference,
            titled=lambda channel_id: _reads_history(interaction, channel_id),
        )
        return _page(answer)

    async def listed(
        self, interaction: Interaction, channel_id: int, picked: Picked | None = None
    ) -> Response:
        """The last events of a channel."""
        log = await self._log.listed(
            guild_id_of(interaction),
            actor_of(interaction, picked),
            channel_id,
            titled=lambda channel_id: _reads_history(interaction, channel_id, picked),
        )
        if not log.events:
            return Response(texts.no_events(log))
        select = _select(channel_id, log.events, log.at)
        return Response(embed=texts.log_embed(log), view=view_of(select))

    async def _on_pick(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the chosen event in place of the list."""
        (number,) = chosen_values(interaction)
        await edit_with(
            interaction, self.why(interaction, int(match["channel"]), EventNumber(int(number)))
        )

    async def _on_list(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the list in place of an event."""
        await edit_with(interaction, self.listed(interaction, int(match["channel"])))


def _page(answer: WhyAnswer) -> Response:
    match answer:
        case OneEvent(channel_id):
            return Response(embed=texts.event_embed(answer), view=view_of(_list_button(channel_id)))
        case SeveralEvents(channel_id, at, _, events):
            view = view_of(_select(channel_id, events, at), _list_button(channel_id))
            return Response(embed=texts.several_embed(answer), view=view)
        case NothingArrived(channel_id):
            if (text := nothing_texts.nothing_text(answer)) is not None:
                return Response(text)
            return Response(
                embed=nothing_texts.nothing_embed(answer), view=view_of(_list_button(channel_id))
            )


def _select(channel_id: int, events: Sequence[ChannelEvent], now: datetime) -> PersistentSelect:
    options = [
        discord.SelectOption(label=texts.choice_text(one, now), value=str(one.id)) for one in events
    ]
    return PersistentSelect(
        custom_id=f"events:why:{channel_id}",
        placeholder="Choose an event to see its way",
        options=options,
    )


def _list_button(channel_id: int) -> PersistentButton:
    return PersistentButton(label="The last events", custom_id=f"events:list:{channel_id}")


def _reads_history(interaction: Interaction, channel_id: int, picked: Picked | None = None) -> bool:
    """Whether the caller may read messages of the channel that are there already."""
    if channel_id == interaction.channel_id:
        return interaction.permissions.read_message_history
    if picked is not None and picked.id == channel_id:
        return picked.permissions.read_message_history
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        return False
    channel = guild.get_channel_or_thread(channel_id)
    return channel is not None and raw_permissions(channel, member).read_message_history


class EventsCog(commands.Cog, name="events"):
    """Says what happened to a channel's events, to each member who sees the channel."""

    def __init__(self, pages: EventPages, log: EventLogService) -> None:
        self._pages = pages
        self._log = log
        # Cogs cannot declare one.
        self.menu = app_commands.ContextMenu(name=MENU, callback=self._why_here)

    @app_commands.command(description="Why is an event shown here, or not? Its whole way")
    @app_commands.describe(
        event="Its number, a link to its message or into Speckle, or when: 20 min ago. Default: "
        "the last"
    )
    @for_members
    async def why(self, interaction: Interaction, event: ReferenceText | None = None) -> None:
        """Show the way of one event."""
        try:
            reference = self._log.reference(event)
        except NotAnEventReference as error:
            raise UserError(texts.not_a_reference(event or "")) from error
        work = self._pages.why(interaction, channel_id_of(interaction, None), reference)
        await respond(interaction, await defer_if_slow(interaction, work))

    @app_commands.command(description="The last 25 events of a channel: shown, filtered, waiting")
    @app_commands.describe(channel="Which channel, of those that you see. Default: this channel")
    @for_members
    async def events(self, interaction: Interaction, channel: Picked | None = None) -> None:
        """Show the last events of a channel."""
        work = self._pages.listed(interaction, channel_id_of(interaction, channel), channel)
        await respond(interaction, await defer_if_slow(interaction, work))

    @for_members
    async def _why_here(self, interaction: Interaction, message: discord.Message) -> None:
        """Show the way of the event whose card a message shows."""
        reference = MessageReference(message.channel.id, message.id)
        work = self._pages.why(interaction, message.channel.id, reference)
        await respond(interaction, await defer_if_slow(interaction, work))

    @why.autocomplete("event")
    async def _complete_event(
        self, interaction: Interaction, typed: str
    ) -> list[app_commands.Choice[str]]:
        channel_id = channel_id_of(interaction, None)
        log = await self._log.listed(
            guild_id_of(interaction),
            actor_of(interaction),
            channel_id,
            titled=lambda channel_id: _reads_history(interaction, channel_id),
        )
        wanted = typed.strip().casefold()
        offered = [(texts.choice_text(one, log.at), str(one.id)) for one in log.events]
        return [
            app_commands.Choice(name=name, value=value)
            for name, value in offered
            if wanted in f"{value} {name}".casefold()
        ]
