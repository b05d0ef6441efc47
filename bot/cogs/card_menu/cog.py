"""*Mute its author here* and *Only this model here*, in the menu of a message, with *Undo*."""

import re
from collections.abc import Sequence
from hashlib import sha256

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs.card_menu import texts
from bot.cogs.components import Handlers, chosen_values
from bot.cogs.interaction import (
    actor_of,
    audiences_in,
    find_channel,
    for_managers,
    guild_here,
    guild_id_of,
)
from bot.cogs.persistent import PersistentButton, PersistentSelect, view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    UserError,
    defer_if_slow,
    edit_with,
    respond,
)
from bot.cogs.subscriptions.subscribe_flow import TOKEN, SubscribeFlow
from bot.cogs.subscriptions.subscribe_texts import edited
from bot.services.card_filters import Candidate, CardFilters, Narrowing
from bot.services.pending_commands import PendingCommandService
from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.subscribe_results import Subscribed

MUTE = "Mute its author here"
ONLY_MODEL = "Only this model here"
MAX_CHOICES = 25  # of a select
MAX_LABEL = 100  # characters of its option
DIGITS = 32
MESSAGE = r"(?P<message>[0-9]{1,20})"


class CardMenu:
    """The answers, and what is pressed on them."""

    def __init__(
        self,
        filters: CardFilters,
        pending_commands: PendingCommandService,
        flow: SubscribeFlow,
    ) -> None:
        self._filters = filters
        self._pending_commands = pending_commands
        self._flow = flow
        what = f"(?P<what>{'|'.join(Narrowing)})"
        self.handlers: Handlers = {
            f"card:pick:{what}:{MESSAGE}": self._on_pick,
            f"card:undo:{what}:{TOKEN}": self._on_undo,
        }

    async def narrow(
        self, interaction: Interaction, what: Narrowing, message_id: int, meant: str | None = None
    ) -> Response:
        """Narrow by what a message's card means; it is asked about if there is more than one."""
        channel_id = interaction.channel_id or 0
        actor = actor_of(interaction)
        found = await self._filters.candidates(
            what, guild_id_of(interaction), actor, channel_id, message_id
        )
        chosen = [one for one in found if meant in (None, _value(one))]
        if not chosen:  # the message was changed since
            raise CommandRefused(RefusalReason.NO_CARD)
        if len(chosen) > 1:
            return Response(texts.WHICH[what], view=view_of(_select(what, message_id, chosen)))
        (candidate,) = chosen
        done = await self._filters.narrow(
            what,
            actor,
            candidate,
            await find_channel(interaction, channel_id),
            audiences_in(guild_here(interaction)),
        )
        if not isinstance(done.outcome, Subscribed):
            return await self._flow.show(done.outcome)
        view = None if done.undo is None else view_of(_undo_button(what, done.undo))
        return Response(texts.narrowed(what, candidate, done.outcome), view=view)

    async def _on_pick(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Narrow by what was chosen, in place of the question."""
        (meant,) = chosen_values(interaction)
        work = self.narrow(interaction, Narrowing(match["what"]), int(match["message"]), meant)
        await edit_with(interaction, work)

    async def _on_undo(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Set the filters as they were, in place of the answer."""
        token = match["token"]

        async def undo() -> Response:
            async with self._pending_commands.claim(interaction.user.id, token) as command:
                actor = actor_of(interaction)
                if not await self._filters.is_last(actor, command):
                    raise UserError(texts.CHANGED_SINCE)
                outcome = await self._flow.run(actor, command)
                if not isinstance(outcome, Subscribed):
                    return await self._flow.show(outcome)
                return Response(f"{texts.UNDONE}{edited(outcome)}")

        await edit_with(interaction, undo(), lambda: self._pending_commands.release(token))


def _select(what: Narrowing, message_id: int, candidates: Sequence[Candidate]) -> PersistentSelect:
    options = []
    for one in candidates[:MAX_CHOICES]:
        label, project = texts.choice_text(one, MAX_LABEL)
        option = discord.SelectOption(label=label, description=project, value=_value(one))
        options.append(option)
    return PersistentSelect(custom_id=f"card:pick:{what}:{message_id}", options=options)


def _value(candidate: Candidate) -> str:
    """What a choice is known by: the card, and what is meant of it."""
    digest = sha256(candidate.value.encode()).hexdigest()[:DIGITS]  # as long names may begin alike
    return f"{candidate.outbox_id}:{digest}"


def _undo_button(what: Narrowing, token: str) -> PersistentButton:
    return PersistentButton(label="Undo", custom_id=f"card:undo:{what}:{token}")


class CardMenuCog(commands.Cog, name="card_menu"):
    """Lets members with Manage Webhooks narrow what a channel shows, from one of its cards."""

    def __init__(self, pages: CardMenu) -> None:
        self._pages = pages
        # Cogs cannot declare them.
        self.menus = (
            app_commands.ContextMenu(name=MUTE, callback=self._mute),
            app_commands.ContextMenu(name=ONLY_MODEL, callback=self._only_model),
        )

    @for_managers
    async def _mute(self, interaction: Interaction, message: discord.Message) -> None:
        """Show no more events of who did what a card shows."""
        await self._answer(interaction, Narrowing.AUTHOR, message)

    @for_managers
    async def _only_model(self, interaction: Interaction, message: discord.Message) -> None:
        """Show only events of the model that a card is about."""
        await self._answer(interaction, Narrowing.MODEL, message)

    async def _answer(
        self, interaction: Interaction, what: Narrowing, message: discord.Message
    ) -> None:
        work = self._pages.narrow(interaction, what, message.id)
        await respond(interaction, await defer_if_slow(interaction, work))
