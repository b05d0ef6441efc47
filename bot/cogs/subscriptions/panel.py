"""The panel under /subscriptions: a list, one subscription, and the buttons that change it.

Each component carries in its custom_id all that it needs, so it works after a restart, and each
press asks again who may do what: the message may be older than the caller's permissions.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

import discord

from bot.cogs.interaction import actor_of, audiences_in, find_channel, guild_here, guild_id_of
from bot.cogs.persistent import view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    defer_if_slow,
    edit_response,
    edit_with,
    report_failure,
    respond,
)
from bot.cogs.subscriptions import texts as subscription_texts
from bot.cogs.subscriptions.modal import OptionsModal
from bot.cogs.subscriptions.pending import show_outcome
from bot.cogs.webhooks import texts as webhook_texts
from bot.model import Actor, SubscriptionState
from bot.services.access_rules import is_by_hand
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


# ── what is shown ─────────────────────────────────────────────────────────────────────────────


async def list_page(interaction: Interaction, actor: Actor, scope: ListScope) -> Response:
    """One page of the subscriptions that the caller may manage."""
    entries = await interaction.client.subscriptions.listing(
        guild_id_of(interaction), actor, scope.channel_id
    )
    if not entries:
        return Response(subscription_texts.nothing_listed(scope.channel_id))
    pages = -(-len(entries) // PAGE_SIZE)
    page = min(scope.page, pages - 1)  # others may have removed some meanwhile
    shown = entries[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    view = discord.ui.View(timeout=None)
    view.add_item(
        EntrySelect(ListScope(scope.channel_id, page), [_option(interaction, e) for e in shown])
    )
    if page > 0:
        view.add_item(PageButton(ListScope(scope.channel_id, page - 1), "◀ Previous"))
    if page < pages - 1:
        view.add_item(PageButton(ListScope(scope.channel_id, page + 1), "Next ▶"))
    return Response(
        embed=subscription_texts.list_embed(shown, page, pages, len(entries)), view=view
    )


def _option(interaction: Interaction, entry: Followed) -> discord.SelectOption:
    channel_id = entry.subscription.channel_id
    channel = interaction.guild and interaction.guild.get_channel_or_thread(channel_id)
    where = f"#{channel.name}" if channel else "a channel that the bot cannot see"
    return discord.SelectOption(
        label=subscription_texts.option_label(entry, MAX_LABEL),
        description=where[:MAX_LABEL],
        value=str(entry.subscription.id),
    )


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
    view.add_item(PageButton(scope, "◀ Back to the list", row=1))
    return Response(embed=subscription_texts.entry_embed(entry, note), view=view)


def _buttons(entry: Followed, scope: ListScope, *actions: PanelAction) -> discord.ui.View:
    return view_of(*(ActionButton(action, entry.subscription.id, scope) for action in actions))


# ── what is pressed ───────────────────────────────────────────────────────────────────────────


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"subs:page:{SCOPE}"
):
    """Goes to a page of the list."""

    def __init__(self, scope: ListScope, label: str, row: int | None = None) -> None:
        self.scope = scope
        super().__init__(
            discord.ui.Button(label=label, custom_id=f"subs:page:{scope}", row=row), row=row
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(ListScope.of(match), "Page")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of what is there."""
        await edit_with(interaction, list_page(interaction, actor_of(interaction), self.scope))


class EntrySelect(
    discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=rf"subs:pick:{SCOPE}"
):
    """Chooses one subscription of a page."""

    def __init__(self, scope: ListScope, options: list[discord.SelectOption]) -> None:
        self.scope = scope
        super().__init__(
            discord.ui.Select(
                custom_id=f"subs:pick:{scope}",
                placeholder="Choose a subscription to change it",
                options=options,
            )
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the select that was used again."""
        return cls(ListScope.of(match), getattr(item, "options", []))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the chosen subscription in place of the list."""
        await edit_with(interaction, _show(interaction, int(self.item.values[0]), self.scope))


class ActionButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"sub:(?P<action>{'|'.join(PanelAction)}):(?P<id>[0-9]{{1,18}}):{SCOPE}",
):
    """Does one thing with one subscription."""

    def __init__(self, action: PanelAction, subscription_id: int, scope: ListScope) -> None:
        self.action = action
        self.subscription_id = subscription_id
        self.scope = scope
        look = LOOKS[action]
        super().__init__(
            discord.ui.Button(
                label=look.label,
                style=look.style,
                custom_id=f"sub:{action}:{subscription_id}:{scope}",
            )
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(PanelAction(match["action"]), int(match["id"]), ListScope.of(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it; permissions and guild are checked in the service, at each press."""
        try:
            await HANDLERS[self.action](interaction, self.subscription_id, self.scope)
        except Exception as error:  # the top: discord.py would only log it
            await report_failure(interaction, error)


Handler = Callable[[Interaction, int, ListScope], Awaitable[None]]


async def _show(interaction: Interaction, subscription_id: int, scope: ListScope) -> Response:
    entry = await interaction.client.subscriptions.entry(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    return entry_page(entry, scope)


async def _on_show(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    page = await defer_if_slow(interaction, _show(interaction, subscription_id, scope), new=False)
    await edit_response(interaction, page)


async def _on_pause(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    work = interaction.client.subscriptions.pause(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    entry = await defer_if_slow(interaction, work, new=False)
    await edit_response(interaction, entry_page(entry, scope, subscription_texts.PAUSED))


async def _on_resume(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    bot, guild, actor = interaction.client, guild_here(interaction), actor_of(interaction)

    async def work() -> Response:
        entry = await bot.subscriptions.entry(guild.id, actor, subscription_id)
        target = await find_channel(interaction, entry.subscription.channel_id)
        outcome = await bot.subscriptions.resume(
            guild.id, actor, subscription_id, target, audiences_in(guild)
        )
        if isinstance(outcome, Followed):
            return entry_page(outcome, scope, subscription_texts.RESUMED)
        if isinstance(outcome, Subscribed):
            return entry_page(outcome.entry, scope, subscription_texts.edited(outcome))
        return await show_outcome(bot, outcome)

    await edit_response(interaction, await defer_if_slow(interaction, work(), new=False))


async def _on_edit(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    # A form has to be the first answer: no "please wait" before it.
    entry = await interaction.client.subscriptions.entry(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    custom_id = f"sub:filters:{subscription_id}:{scope}"
    await interaction.response.send_modal(OptionsModal(entry, custom_id))


async def _on_filters(
    interaction: Interaction, match: re.Match[str], typed: Mapping[str, str]
) -> None:
    """The form of *Edit* was sent off: change the options and show the subscription as it is."""
    bot, guild, actor = interaction.client, guild_here(interaction), actor_of(interaction)

    async def work() -> Response:
        entry = await bot.subscriptions.entry(guild.id, actor, int(match["id"]))
        request = SubscribeRequest(
            guild_id=guild.id,
            actor=actor,
            channel=await find_channel(interaction, entry.subscription.channel_id),
            project=Links(entry.hook.server_url).project(entry.hook.project_id),
            options=typed,
            resume=False,
            audience_of=audiences_in(guild),
        )
        outcome = await bot.subscriptions.subscribe(request)
        if not isinstance(outcome, Subscribed):
            return await show_outcome(bot, outcome)
        return entry_page(outcome.entry, ListScope.of(match), subscription_texts.edited(outcome))

    await edit_response(interaction, await defer_if_slow(interaction, work(), new=False))


async def _on_remove(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    subscriptions = interaction.client.subscriptions
    work = subscriptions.entry(guild_id_of(interaction), actor_of(interaction), subscription_id)
    entry = await defer_if_slow(interaction, work, new=False)
    view = _buttons(entry, scope, PanelAction.REMOVE_SURE, PanelAction.SHOW)
    await edit_response(
        interaction,
        Response(
            embed=subscription_texts.entry_embed(entry, subscription_texts.SURE_TO_REMOVE),
            view=view,
        ),
    )


async def _on_remove_sure(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    work = interaction.client.subscriptions.remove(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    outcome = await defer_if_slow(interaction, work, new=False)
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await edit_response(interaction, Response(subscription_texts.unsubscribed(outcome), view=view))


async def _on_setup(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    work = interaction.client.subscriptions.show_setup(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    await respond(interaction, _setup_response(await defer_if_slow(interaction, work)))


async def _on_setup_again(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    work = interaction.client.subscriptions.set_up_again(
        guild_id_of(interaction), actor_of(interaction), subscription_id
    )
    response = _setup_response(await defer_if_slow(interaction, work, new=False))
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await edit_response(interaction, Response(response.content, response.embed, view))


async def _on_renew(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    subscriptions = interaction.client.subscriptions
    work = subscriptions.entry(guild_id_of(interaction), actor_of(interaction), subscription_id)
    entry = await defer_if_slow(interaction, work, new=False)
    by_hand = is_by_hand(entry.hook)
    actions = (
        (PanelAction.RENEW_SURE, PanelAction.RENEW_NOW) if by_hand else (PanelAction.RENEW_NOW,)
    )
    note = subscription_texts.SURE_TO_RENEW if by_hand else subscription_texts.SURE_TO_RENEW_MADE
    view = _buttons(entry, scope, *actions, PanelAction.SHOW)
    await edit_response(
        interaction, Response(embed=subscription_texts.entry_embed(entry, note), view=view)
    )


async def _on_renew_sure(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    await _renew(interaction, subscription_id, scope, overlap=True)


async def _on_renew_now(interaction: Interaction, subscription_id: int, scope: ListScope) -> None:
    await _renew(interaction, subscription_id, scope, overlap=False)


async def _renew(
    interaction: Interaction, subscription_id: int, scope: ListScope, *, overlap: bool
) -> None:
    work = interaction.client.subscriptions.new_secret(
        guild_id_of(interaction), actor_of(interaction), subscription_id, overlap=overlap
    )
    said = _setup_response(await defer_if_slow(interaction, work, new=False))
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await edit_response(interaction, Response(said.content, said.embed, view))


def _setup_response(setup: WebhookSetup | SharedSetUp | MadeSetUp) -> Response:
    if isinstance(setup, SharedSetUp):
        return Response(subscription_texts.shared_setup(setup))
    if isinstance(setup, MadeSetUp):
        return Response(
            webhook_texts.made_setup(setup, subscription_texts.project_name(setup.entry))
        )
    return Response(embed=subscription_texts.setup_embed(setup))


HANDLERS: Mapping[PanelAction, Handler] = {
    PanelAction.SHOW: _on_show,
    PanelAction.PAUSE: _on_pause,
    PanelAction.RESUME: _on_resume,
    PanelAction.EDIT: _on_edit,
    PanelAction.REMOVE: _on_remove,
    PanelAction.REMOVE_SURE: _on_remove_sure,
    PanelAction.SETUP: _on_setup,
    PanelAction.SETUP_AGAIN: _on_setup_again,
    PanelAction.RENEW: _on_renew,
    PanelAction.RENEW_SURE: _on_renew_sure,
    PanelAction.RENEW_NOW: _on_renew_now,
}

PANEL_ITEMS = (PageButton, EntrySelect, ActionButton)
PANEL_MODALS = {rf"sub:filters:(?P<id>[0-9]{{1,18}}):{SCOPE}": _on_filters}
