"""The panel under /subscriptions: a list, one subscription, and the buttons that change it.

Each component carries in its custom_id all that it needs, so it works after a restart, and each
press asks again who may do what: the message may be older than the caller's permissions.
"""

import re
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any, Self, TypeAlias

import discord

from bot.cogs.components import Handlers, chosen_values, form_fields
from bot.cogs.interaction import (
    NOWHERE,
    actor_of,
    audiences_in,
    find_channel,
    guild_here,
    guild_id_of,
)
from bot.cogs.persistent import ButtonLook, PersistentButton, PersistentSelect, view_of
from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import (
    Interaction,
    Response,
    defer_if_slow,
    edit_with,
    respond,
)
from bot.cogs.subscriptions import panel_texts, subscribe_texts
from bot.cogs.subscriptions.options_modal import OptionsModal
from bot.cogs.subscriptions.subscribe_flow import TOKEN, SubscribeFlow
from bot.model import SubscriptionState
from bot.pending import PendingSubscribe
from bot.permissions import Actor
from bot.services.options_form import changed_options, typed_into
from bot.services.pending_commands import PendingCommandService
from bot.services.refusals import CannotPost, CommandRefused
from bot.services.subscribe_results import (
    Followed,
    MadeSetUp,
    NothingToSetUp,
    Subscribed,
    SubscribeRequest,
)
from bot.services.subscribing import SubscribeOutcome
from bot.services.subscriptions import SubscriptionService
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.links import Links
from bot.speckle.subscription_options import OptionProblem, TypedOptions

PAGE_SIZE = 10  # of 25 that a select could hold: a page has to fit into one embed
MAX_LABEL = 100  # characters of a select's option


@dataclass(frozen=True, slots=True)
class ListScope:
    """Which list one came from: of the guild or of one channel, and the page of it."""

    channel_id: int | None = None
    page: int = 0

    def __str__(self) -> str:
        return f"{self.channel_id or 0}:{self.page}"

    @classmethod
    def of(cls, match: re.Match[str]) -> Self:
        """The scope in a custom_id."""
        return cls(int(match["channel"]) or None, int(match["page"]))


SCOPE = r"(?P<channel>[0-9]{1,20}):(?P<page>[0-9]{1,6})"


class PanelAction(StrEnum):
    """What a button does with one subscription."""

    SHOW = "show"
    PAUSE = "pause"
    RESUME = "resume"
    EDIT = "edit"
    REMOVE = "remove"
    REMOVE_SURE = "remove-sure"
    SETUP = "setup"
    SETUP_AGAIN = "setup-again"
    RENEW = "renew"
    RENEW_SURE = "renew-sure"
    RENEW_NOW = "renew-now"


LOOKS: Mapping[PanelAction, ButtonLook] = {
    PanelAction.SHOW: ButtonLook("Cancel"),
    PanelAction.PAUSE: ButtonLook("Pause"),
    PanelAction.RESUME: ButtonLook("Resume", discord.ButtonStyle.success),
    PanelAction.EDIT: ButtonLook("Edit", discord.ButtonStyle.primary),
    PanelAction.REMOVE: ButtonLook("Remove", discord.ButtonStyle.danger),
    PanelAction.REMOVE_SURE: ButtonLook("Yes, remove it", discord.ButtonStyle.danger),
    PanelAction.SETUP: ButtonLook("Show set-up"),
    PanelAction.SETUP_AGAIN: ButtonLook("Set up again", discord.ButtonStyle.primary),
    PanelAction.RENEW: ButtonLook("New secret"),
    PanelAction.RENEW_SURE: ButtonLook("The old one works 24 h more", discord.ButtonStyle.primary),
    PanelAction.RENEW_NOW: ButtonLook("The old one ends now", discord.ButtonStyle.danger),
}


AnySetUp: TypeAlias = WebhookSetup | NothingToSetUp | MadeSetUp


@dataclass(frozen=True, slots=True)
class Press:
    """A button that was pressed on one subscription, and the list that it was opened from."""

    interaction: Interaction
    subscription_id: int
    scope: ListScope

    @property
    def subscription(self) -> tuple[int, Actor, int]:
        """The subscription for the service: in which Discord server, and who asks for it."""
        here = self.interaction
        return guild_id_of(here), actor_of(here), self.subscription_id


Page: TypeAlias = Callable[[Press], Coroutine[Any, Any, Response]]
"""Does something and gives what is shown in place of the message that the button is on."""


class SubscriptionPanel:
    """The pages of the panel, and what is pressed on them."""

    def __init__(
        self,
        subscriptions: SubscriptionService,
        flow: SubscribeFlow,
        pending_commands: PendingCommandService,
    ) -> None:
        self._subscriptions = subscriptions
        self._flow = flow
        self._pending_commands = pending_commands
        action = f"(?P<action>{'|'.join(PanelAction)})"
        self.handlers: Handlers = {
            f"subs:page:{SCOPE}": self._on_page,
            f"subs:pick:{SCOPE}": self._on_pick,
            f"sub:{action}:(?P<id>[0-9]{{1,18}}):{SCOPE}": self._on_action,
            f"sub:filters:(?P<id>[0-9]{{1,18}}):{SCOPE}": self._on_filters,
            f"sub:again:(?P<id>[0-9]{{1,18}}):{TOKEN}:{SCOPE}": self._on_again,
        }
        self._pages: Mapping[PanelAction, Page] = {
            PanelAction.SHOW: self._show,
            PanelAction.PAUSE: self._pause,
            PanelAction.RESUME: self._resume,
            PanelAction.REMOVE: self._ask_before_remove,
            PanelAction.REMOVE_SURE: self._remove,
            PanelAction.SETUP_AGAIN: self._set_up_again,
            PanelAction.RENEW: self._ask_before_renew,
            PanelAction.RENEW_SURE: partial(self._renew, overlap=True),
            PanelAction.RENEW_NOW: partial(self._renew, overlap=False),
        }

    async def list_page(self, interaction: Interaction, actor: Actor, scope: ListScope) -> Response:
        """One page of the subscriptions that the caller may manage."""
        entries = await self._subscriptions.listing(
            guild_id_of(interaction), actor, scope.channel_id
        )
        if not entries:
            return Response(panel_texts.nothing_listed(scope.channel_id))
        pages = -(-len(entries) // PAGE_SIZE)
        page = min(scope.page, pages - 1)  # others may have removed some meanwhile
        shown = entries[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
        options = [_option(interaction, entry) for entry in shown]
        view = view_of(_entry_select(ListScope(scope.channel_id, page), options))
        if page > 0:
            view.add_item(_page_button(ListScope(scope.channel_id, page - 1), "◀ Previous"))
        if page < pages - 1:
            view.add_item(_page_button(ListScope(scope.channel_id, page + 1), "Next ▶"))
        return Response(embed=panel_texts.list_embed(shown, page, pages, len(entries)), view=view)

    # ── what is pressed ───────────────────────────────────────────────────────────────────────

    async def _on_page(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show a page of the list in place of what is there."""
        page = self.list_page(interaction, actor_of(interaction), ListScope.of(match))
        await edit_with(interaction, page)

    async def _on_pick(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the chosen subscription in place of the list."""
        (subscription_id,) = chosen_values(interaction)
        press = Press(interaction, int(subscription_id), ListScope.of(match))
        await edit_with(interaction, self._show(press))

    async def _on_action(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Do it; permissions and guild are checked in the service, at each press."""
        action = PanelAction(match["action"])
        press = Press(interaction, int(match["id"]), ListScope.of(match))
        if action is PanelAction.EDIT:
            await self._open_form(press)
        elif action is PanelAction.SETUP:
            setup = self._subscriptions.setups.show(*press.subscription)
            await respond(interaction, setup_response(await defer_if_slow(interaction, setup)))
        else:
            await edit_with(interaction, self._pages[action](press))

    async def _open_form(self, press: Press, typed: TypedOptions | None = None) -> None:
        # A form has to be the first answer: no "please wait" before it.
        audiences = audiences_in(guild_here(press.interaction))
        form = await self._subscriptions.form(*press.subscription, audiences, typed)
        custom_id = f"sub:filters:{press.subscription_id}:{press.scope}"
        await press.interaction.response.send_modal(OptionsModal(form, custom_id))

    async def _on_filters(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Change the options as the form of *Edit* says, and show the subscription as it is."""
        press = Press(interaction, int(match["id"]), ListScope.of(match))
        typed = typed_into(form_fields(interaction))
        try:
            await edit_with(interaction, self._edit(press, typed))
        except CommandRefused as refused:
            await respond(interaction, await self._refused(press, typed, refused))

    async def _refused(
        self, press: Press, typed: TypedOptions, refused: CommandRefused
    ) -> Response:
        """Why the form changed nothing, with the way back to what was typed into it."""
        text = refusal_text(refused.refusal)
        if not isinstance(refused.refusal, OptionProblem | CannotPost):
            return Response(text)
        token = await self._pending_commands.add(
            PendingSubscribe(
                user_id=press.interaction.user.id,
                guild_id=guild_id_of(press.interaction),
                channel_id=press.interaction.channel_id or NOWHERE,
                server_url="",
                project="",
                options=typed,
            )
        )
        custom_id = f"sub:again:{press.subscription_id}:{token}:{press.scope}"
        again = PersistentButton(
            label="Edit again", style=discord.ButtonStyle.primary, custom_id=custom_id
        )
        if "Nothing was changed." not in text:
            text = f"{text} Nothing was changed."
        return Response(text, view=view_of(again))

    async def _on_again(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Open the form with what was typed into it before it was refused."""
        press = Press(interaction, int(match["id"]), ListScope.of(match))
        command = await self._pending_commands.look(interaction.user.id, match["token"])
        await self._open_form(press, command.options)

    # ── what is shown in place of the message that the button is on ───────────────────────────

    async def _show(self, press: Press) -> Response:
        return entry_page(await self._subscriptions.entry(*press.subscription), press.scope)

    async def _pause(self, press: Press) -> Response:
        entry = await self._subscriptions.pause(*press.subscription)
        return entry_page(entry, press.scope, panel_texts.PAUSED)

    async def _resume(self, press: Press) -> Response:
        guild, actor = guild_here(press.interaction), actor_of(press.interaction)
        entry = await self._subscriptions.entry(guild.id, actor, press.subscription_id)
        target = await find_channel(press.interaction, entry.subscription.channel_id)
        outcome = await self._subscriptions.resume(
            guild.id, actor, press.subscription_id, target, audiences_in(guild)
        )
        if isinstance(outcome, Followed):
            return entry_page(outcome, press.scope, panel_texts.RESUMED)
        return await self._changed(press, outcome)

    async def _edit(self, press: Press, typed: TypedOptions) -> Response:
        guild, actor = guild_here(press.interaction), actor_of(press.interaction)
        entry = await self._subscriptions.entry(guild.id, actor, press.subscription_id)
        request = SubscribeRequest(
            guild_id=guild.id,
            actor=actor,
            channel=await find_channel(press.interaction, entry.subscription.channel_id),
            project=Links(entry.hook.server_url).project(entry.hook.project_id),
            options=changed_options(typed, entry.subscription.options),
            resume=False,
            audience_of=audiences_in(guild),
        )
        return await self._changed(press, await self._subscriptions.subscribe(request))

    async def _changed(self, press: Press, outcome: SubscribeOutcome) -> Response:
        if isinstance(outcome, Subscribed):
            return entry_page(outcome.entry, press.scope, subscribe_texts.edited(outcome))
        return await self._flow.show(outcome)

    async def _ask_before_remove(self, press: Press) -> Response:
        entry = await self._subscriptions.entry(*press.subscription)
        return Response(
            embed=panel_texts.entry_embed(entry, panel_texts.SURE_TO_REMOVE),
            view=_buttons(entry, press.scope, PanelAction.REMOVE_SURE, PanelAction.SHOW),
        )

    async def _remove(self, press: Press) -> Response:
        outcome = await self._subscriptions.remove(*press.subscription)
        return Response(
            subscribe_texts.unsubscribed(outcome), view=view_of(_back_button(press.scope))
        )

    async def _set_up_again(self, press: Press) -> Response:
        return _setup_page(
            await self._subscriptions.setups.set_up_again(*press.subscription), press.scope
        )

    async def _ask_before_renew(self, press: Press) -> Response:
        entry = await self._subscriptions.entry(*press.subscription)
        actions: tuple[PanelAction, ...] = (PanelAction.RENEW_NOW,)
        note = panel_texts.SURE_TO_RENEW_MADE
        if entry.hook.is_by_hand:
            actions = (PanelAction.RENEW_SURE, PanelAction.RENEW_NOW)
            note = panel_texts.SURE_TO_RENEW
        return Response(
            embed=panel_texts.entry_embed(entry, note),
            view=_buttons(entry, press.scope, *actions, PanelAction.SHOW),
        )

    async def _renew(self, press: Press, *, overlap: bool) -> Response:
        setup = await self._subscriptions.setups.new_secret(*press.subscription, overlap=overlap)
        return _setup_page(setup, press.scope)


# ── what is shown ─────────────────────────────────────────────────────────────────────────────


def entry_page(entry: Followed, scope: ListScope, note: str | None = None) -> Response:
    """One subscription with its buttons."""
    paused = entry.subscription.state is SubscriptionState.PAUSED
    webhook: tuple[PanelAction, ...] = (PanelAction.SETUP, PanelAction.RENEW)
    if entry.hook.is_heard:
        webhook = (PanelAction.SETUP,)  # there is no secret, and an owner's way to a webhook
    elif entry.hook.unopenable:
        webhook = (PanelAction.SETUP_AGAIN,)
    first = PanelAction.RESUME if paused else PanelAction.PAUSE
    view = _buttons(entry, scope, first, PanelAction.EDIT, PanelAction.REMOVE, *webhook)
    view.add_item(_back_button(scope, row=1))
    return Response(embed=panel_texts.entry_embed(entry, note), view=view)


def _buttons(entry: Followed, scope: ListScope, *actions: PanelAction) -> discord.ui.View:
    return view_of(*(action_button(action, entry.subscription.id, scope) for action in actions))


def _option(interaction: Interaction, entry: Followed) -> discord.SelectOption:
    channel_id = entry.subscription.channel_id
    channel = interaction.guild and interaction.guild.get_channel_or_thread(channel_id)
    where = f"#{channel.name}" if channel else "a channel that the bot cannot see"
    return discord.SelectOption(
        label=panel_texts.option_label(entry, MAX_LABEL),
        description=where[:MAX_LABEL],
        value=str(entry.subscription.id),
    )


def _page_button(scope: ListScope, label: str, row: int | None = None) -> PersistentButton:
    """Goes to a page of the list."""
    return PersistentButton(label=label, custom_id=f"subs:page:{scope}", row=row)


def _back_button(scope: ListScope, row: int | None = None) -> PersistentButton:
    return _page_button(scope, "◀ Back to the list", row)


def _entry_select(scope: ListScope, options: Sequence[discord.SelectOption]) -> PersistentSelect:
    """Chooses one subscription of a page."""
    return PersistentSelect(
        custom_id=f"subs:pick:{scope}",
        placeholder="Choose a subscription to change it",
        options=list(options),
    )


def action_button(action: PanelAction, subscription_id: int, scope: ListScope) -> PersistentButton:
    """Does one thing with one subscription."""
    return LOOKS[action].button(f"sub:{action}:{subscription_id}:{scope}")


def _setup_page(setup: AnySetUp, scope: ListScope) -> Response:
    """The set-up in place of the subscription, with the way back to the list."""
    return replace(setup_response(setup), view=view_of(_back_button(scope)))


def setup_response(setup: AnySetUp) -> Response:
    """What to enter in Speckle, or why there is nothing to enter."""
    if isinstance(setup, NothingToSetUp):
        return Response(panel_texts.nothing_to_set_up(setup))
    if isinstance(setup, MadeSetUp):
        return Response(panel_texts.made_setup(setup))
    return Response(embed=panel_texts.setup_embed(setup))
