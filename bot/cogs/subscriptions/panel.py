"""The panel under /subscriptions: a list, one subscription, and the buttons that change it.

Each component carries in its custom_id all that it needs, so it works after a restart, and each
press asks again who may do what: the message may be older than the caller's permissions.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self, TypeAlias

import discord

from bot.cogs.components import Handlers, chosen_values, form_values
from bot.cogs.interaction import actor_of, audiences_in, find_channel, guild_here, guild_id_of
from bot.cogs.persistent import PersistentButton, PersistentSelect, view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    defer_if_slow,
    edit_response,
    edit_with,
    respond,
)
from bot.cogs.subscriptions import texts as subscription_texts
from bot.cogs.subscriptions.modal import OptionsModal
from bot.cogs.subscriptions.pending import SubscribeFlow
from bot.cogs.webhooks import texts as webhook_texts
from bot.model import SubscriptionState
from bot.permissions import Actor
from bot.services.access_rules import is_by_hand
from bot.services.managing import SubscriptionService
from bot.services.subscribe_results import (
    Followed,
    MadeSetUp,
    SharedSetUp,
    Subscribed,
    SubscribeRequest,
)
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.links import Links

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


@dataclass(frozen=True, slots=True)
class ButtonLook:
    """How a button looks."""

    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


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


Handler: TypeAlias = Callable[[Interaction, int, ListScope], Awaitable[None]]


class SubscriptionPanel:
    """The pages of the panel, and what is pressed on them."""

    def __init__(self, subscriptions: SubscriptionService, flow: SubscribeFlow) -> None:
        self._subscriptions = subscriptions
        self._flow = flow
        action = f"(?P<action>{'|'.join(PanelAction)})"
        self.handlers: Handlers = {
            f"subs:page:{SCOPE}": self._on_page,
            f"subs:pick:{SCOPE}": self._on_pick,
            f"sub:{action}:(?P<id>[0-9]{{1,18}}):{SCOPE}": self._on_action,
            f"sub:filters:(?P<id>[0-9]{{1,18}}):{SCOPE}": self._on_filters,
        }
        self._actions: Mapping[PanelAction, Handler] = {
            PanelAction.SHOW: self._on_show,
            PanelAction.PAUSE: self._on_pause,
            PanelAction.RESUME: self._on_resume,
            PanelAction.EDIT: self._on_edit,
            PanelAction.REMOVE: self._on_remove,
            PanelAction.REMOVE_SURE: self._on_remove_sure,
            PanelAction.SETUP: self._on_setup,
            PanelAction.SETUP_AGAIN: self._on_setup_again,
            PanelAction.RENEW: self._on_renew,
            PanelAction.RENEW_SURE: self._on_renew_sure,
            PanelAction.RENEW_NOW: self._on_renew_now,
        }

    async def list_page(self, interaction: Interaction, actor: Actor, scope: ListScope) -> Response:
        """One page of the subscriptions that the caller may manage."""
        entries = await self._subscriptions.listing(
            guild_id_of(interaction), actor, scope.channel_id
        )
        if not entries:
            return Response(subscription_texts.nothing_listed(scope.channel_id))
        pages = -(-len(entries) // PAGE_SIZE)
        page = min(scope.page, pages - 1)  # others may have removed some meanwhile
        shown = entries[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
        options = [_option(interaction, entry) for entry in shown]
        view = view_of(_entry_select(ListScope(scope.channel_id, page), options))
        if page > 0:
            view.add_item(_page_button(ListScope(scope.channel_id, page - 1), "◀ Previous"))
        if page < pages - 1:
            view.add_item(_page_button(ListScope(scope.channel_id, page + 1), "Next ▶"))
        return Response(
            embed=subscription_texts.list_embed(shown, page, pages, len(entries)), view=view
        )

    # ── what is pressed ───────────────────────────────────────────────────────────────────────

    async def _on_page(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show a page of the list in place of what is there."""
        page = self.list_page(interaction, actor_of(interaction), ListScope.of(match))
        await edit_with(interaction, page)

    async def _on_pick(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the chosen subscription in place of the list."""
        (subscription_id,) = chosen_values(interaction)
        await edit_with(
            interaction, self._show(interaction, int(subscription_id), ListScope.of(match))
        )

    async def _on_action(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Do it; permissions and guild are checked in the service, at each press."""
        act = self._actions[PanelAction(match["action"])]
        await act(interaction, int(match["id"]), ListScope.of(match))

    async def _show(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> Response:
        entry = await self._subscriptions.entry(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        return entry_page(entry, scope)

    async def _on_show(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        page = await defer_if_slow(
            interaction, self._show(interaction, subscription_id, scope), new=False
        )
        await edit_response(interaction, page)

    async def _on_pause(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.pause(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        entry = await defer_if_slow(interaction, work, new=False)
        await edit_response(interaction, entry_page(entry, scope, subscription_texts.PAUSED))

    async def _on_resume(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        guild, actor = guild_here(interaction), actor_of(interaction)

        async def work() -> Response:
            entry = await self._subscriptions.entry(guild.id, actor, subscription_id)
            target = await find_channel(interaction, entry.subscription.channel_id)
            outcome = await self._subscriptions.resume(
                guild.id, actor, subscription_id, target, audiences_in(guild)
            )
            if isinstance(outcome, Followed):
                return entry_page(outcome, scope, subscription_texts.RESUMED)
            if isinstance(outcome, Subscribed):
                return entry_page(outcome.entry, scope, subscription_texts.edited(outcome))
            return await self._flow.show(outcome)

        await edit_response(interaction, await defer_if_slow(interaction, work(), new=False))

    async def _on_edit(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        # A form has to be the first answer: no "please wait" before it.
        entry = await self._subscriptions.entry(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        custom_id = f"sub:filters:{subscription_id}:{scope}"
        await interaction.response.send_modal(OptionsModal(entry, custom_id))

    async def _on_filters(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Change the options as the form of *Edit* says, and show the subscription as it is."""
        guild, actor = guild_here(interaction), actor_of(interaction)

        async def work() -> Response:
            entry = await self._subscriptions.entry(guild.id, actor, int(match["id"]))
            request = SubscribeRequest(
                guild_id=guild.id,
                actor=actor,
                channel=await find_channel(interaction, entry.subscription.channel_id),
                project=Links(entry.hook.server_url).project(entry.hook.project_id),
                options=form_values(interaction),
                resume=False,
                audience_of=audiences_in(guild),
            )
            outcome = await self._subscriptions.subscribe(request)
            if not isinstance(outcome, Subscribed):
                return await self._flow.show(outcome)
            return entry_page(
                outcome.entry, ListScope.of(match), subscription_texts.edited(outcome)
            )

        await edit_response(interaction, await defer_if_slow(interaction, work(), new=False))

    async def _on_remove(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.entry(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        entry = await defer_if_slow(interaction, work, new=False)
        view = _buttons(entry, scope, PanelAction.REMOVE_SURE, PanelAction.SHOW)
        await edit_response(
            interaction,
            Response(
                embed=subscription_texts.entry_embed(entry, subscription_texts.SURE_TO_REMOVE),
                view=view,
            ),
        )

    async def _on_remove_sure(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.remove(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        outcome = await defer_if_slow(interaction, work, new=False)
        view = view_of(_page_button(scope, "◀ Back to the list"))
        await edit_response(
            interaction, Response(subscription_texts.unsubscribed(outcome), view=view)
        )

    async def _on_setup(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.show_setup(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        await respond(interaction, _setup_response(await defer_if_slow(interaction, work)))

    async def _on_setup_again(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.set_up_again(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        response = _setup_response(await defer_if_slow(interaction, work, new=False))
        view = view_of(_page_button(scope, "◀ Back to the list"))
        await edit_response(interaction, Response(response.content, response.embed, view))

    async def _on_renew(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        work = self._subscriptions.entry(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        entry = await defer_if_slow(interaction, work, new=False)
        by_hand = is_by_hand(entry.hook)
        actions = (
            (PanelAction.RENEW_SURE, PanelAction.RENEW_NOW) if by_hand else (PanelAction.RENEW_NOW,)
        )
        note = (
            subscription_texts.SURE_TO_RENEW if by_hand else subscription_texts.SURE_TO_RENEW_MADE
        )
        view = _buttons(entry, scope, *actions, PanelAction.SHOW)
        await edit_response(
            interaction, Response(embed=subscription_texts.entry_embed(entry, note), view=view)
        )

    async def _on_renew_sure(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        await self._renew(interaction, subscription_id, scope, overlap=True)

    async def _on_renew_now(
        self, interaction: Interaction, subscription_id: int, scope: ListScope
    ) -> None:
        await self._renew(interaction, subscription_id, scope, overlap=False)

    async def _renew(
        self, interaction: Interaction, subscription_id: int, scope: ListScope, *, overlap: bool
    ) -> None:
        work = self._subscriptions.new_secret(
            guild_id_of(interaction), actor_of(interaction), subscription_id, overlap=overlap
        )
        said = _setup_response(await defer_if_slow(interaction, work, new=False))
        view = view_of(_page_button(scope, "◀ Back to the list"))
        await edit_response(interaction, Response(said.content, said.embed, view))


# ── what is shown ─────────────────────────────────────────────────────────────────────────────


def entry_page(entry: Followed, scope: ListScope, note: str | None = None) -> Response:
    """One subscription with its buttons."""
    paused = entry.subscription.state is SubscriptionState.PAUSED
    webhook = (
        (PanelAction.SETUP_AGAIN,)
        if entry.hook.unopenable
        else (PanelAction.SETUP, PanelAction.RENEW)
    )
    first = PanelAction.RESUME if paused else PanelAction.PAUSE
    view = _buttons(entry, scope, first, PanelAction.EDIT, PanelAction.REMOVE, *webhook)
    view.add_item(_page_button(scope, "◀ Back to the list", row=1))
    return Response(embed=subscription_texts.entry_embed(entry, note), view=view)


def _buttons(entry: Followed, scope: ListScope, *actions: PanelAction) -> discord.ui.View:
    return view_of(*(_action_button(action, entry.subscription.id, scope) for action in actions))


def _option(interaction: Interaction, entry: Followed) -> discord.SelectOption:
    channel_id = entry.subscription.channel_id
    channel = interaction.guild and interaction.guild.get_channel_or_thread(channel_id)
    where = f"#{channel.name}" if channel else "a channel that the bot cannot see"
    return discord.SelectOption(
        label=subscription_texts.option_label(entry, MAX_LABEL),
        description=where[:MAX_LABEL],
        value=str(entry.subscription.id),
    )


def _page_button(scope: ListScope, label: str, row: int | None = None) -> PersistentButton:
    """Goes to a page of the list."""
    return PersistentButton(label=label, custom_id=f"subs:page:{scope}", row=row)


def _entry_select(scope: ListScope, options: Sequence[discord.SelectOption]) -> PersistentSelect:
    """Chooses one subscription of a page."""
    return PersistentSelect(
        custom_id=f"subs:pick:{scope}",
        placeholder="Choose a subscription to change it",
        options=list(options),
    )


def _action_button(action: PanelAction, subscription_id: int, scope: ListScope) -> PersistentButton:
    """Does one thing with one subscription."""
    look = LOOKS[action]
    custom_id = f"sub:{action}:{subscription_id}:{scope}"
    return PersistentButton(label=look.label, style=look.style, custom_id=custom_id)


def _setup_response(setup: WebhookSetup | SharedSetUp | MadeSetUp) -> Response:
    if isinstance(setup, SharedSetUp):
        return Response(subscription_texts.shared_setup(setup))
    if isinstance(setup, MadeSetUp):
        return Response(
            webhook_texts.made_setup(setup, subscription_texts.project_name(setup.entry))
        )
    return Response(embed=subscription_texts.setup_embed(setup))
