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

from bot.cogs import webhook_wording, wording
from bot.cogs.answers import Interaction, Reply, in_time, redraw, redraw_with, reply, report
from bot.cogs.buttons import view_of
from bot.cogs.form import FiltersForm
from bot.cogs.places import audiences_in, caller_of, find_place, guild_id_of, here_of
from bot.cogs.waiting import answer
from bot.db.rows import SubscriptionState
from bot.rights.decide import is_by_hand
from bot.services.outcomes import Entry, MadeSetUp, SharedSetUp, Subscribed, SubscribeRequest
from bot.services.places import Caller
from bot.services.setup import SetUp
from bot.speckle.links import Links

PAGE_SIZE = 10  # of 25 that a select could hold: a page has to fit into one embed
MAX_LABEL = 100  # characters of a select's option


@dataclass(frozen=True, slots=True)
class Scope:
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


class Action(StrEnum):
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
class Look:
    """How a button looks."""

    label: str
    style: discord.ButtonStyle = discord.ButtonStyle.secondary


LOOKS: Mapping[Action, Look] = {
    Action.SHOW: Look("Cancel"),
    Action.PAUSE: Look("Pause"),
    Action.RESUME: Look("Resume", discord.ButtonStyle.success),
    Action.EDIT: Look("Edit", discord.ButtonStyle.primary),
    Action.REMOVE: Look("Remove", discord.ButtonStyle.danger),
    Action.REMOVE_SURE: Look("Yes, remove it", discord.ButtonStyle.danger),
    Action.SETUP: Look("Show set-up"),
    Action.SETUP_AGAIN: Look("Set up again", discord.ButtonStyle.primary),
    Action.RENEW: Look("New secret"),
    Action.RENEW_SURE: Look("The old one works 24 h more", discord.ButtonStyle.primary),
    Action.RENEW_NOW: Look("The old one ends now", discord.ButtonStyle.danger),
}


# ── what is shown ─────────────────────────────────────────────────────────────────────────────


async def list_page(interaction: Interaction, caller: Caller, scope: Scope) -> Reply:
    """One page of the subscriptions that the caller may manage."""
    entries = await interaction.client.subscriptions.listing(
        guild_id_of(interaction), caller, scope.channel_id
    )
    if not entries:
        return Reply(wording.nothing_listed(scope.channel_id))
    pages = -(-len(entries) // PAGE_SIZE)
    page = min(scope.page, pages - 1)  # others may have removed some meanwhile
    shown = entries[page * PAGE_SIZE : (page + 1) * PAGE_SIZE]
    view = discord.ui.View(timeout=None)
    view.add_item(
        EntrySelect(Scope(scope.channel_id, page), [_option(interaction, e) for e in shown])
    )
    if page > 0:
        view.add_item(PageButton(Scope(scope.channel_id, page - 1), "◀ Previous"))
    if page < pages - 1:
        view.add_item(PageButton(Scope(scope.channel_id, page + 1), "Next ▶"))
    return Reply(embed=wording.list_embed(shown, page, pages, len(entries)), view=view)


def _option(interaction: Interaction, entry: Entry) -> discord.SelectOption:
    channel_id = entry.subscription.channel_id
    channel = interaction.guild and interaction.guild.get_channel_or_thread(channel_id)
    where = f"#{channel.name}" if channel else "a channel that the bot cannot see"
    return discord.SelectOption(
        label=wording.option_label(entry, MAX_LABEL),
        description=where[:MAX_LABEL],
        value=str(entry.subscription.id),
    )


def entry_page(entry: Entry, scope: Scope, note: str | None = None) -> Reply:
    """One subscription with its buttons."""
    paused = entry.subscription.state is SubscriptionState.PAUSED
    webhook = (Action.SETUP_AGAIN,) if entry.hook.unopenable else (Action.SETUP, Action.RENEW)
    first = Action.RESUME if paused else Action.PAUSE
    view = _buttons(entry, scope, first, Action.EDIT, Action.REMOVE, *webhook)
    view.add_item(PageButton(scope, "◀ Back to the list", row=1))
    return Reply(embed=wording.entry_embed(entry, note), view=view)


def _buttons(entry: Entry, scope: Scope, *actions: Action) -> discord.ui.View:
    return view_of(*(ActionButton(action, entry.subscription.id, scope) for action in actions))


# ── what is pressed ───────────────────────────────────────────────────────────────────────────


class PageButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]], template=rf"subs:page:{SCOPE}"
):
    """Goes to a page of the list."""

    def __init__(self, scope: Scope, label: str, row: int | None = None) -> None:
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
        return cls(Scope.of(match), "Page")

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the page in place of what is there."""
        await redraw_with(interaction, list_page(interaction, caller_of(interaction), self.scope))


class EntrySelect(
    discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]], template=rf"subs:pick:{SCOPE}"
):
    """Chooses one subscription of a page."""

    def __init__(self, scope: Scope, options: list[discord.SelectOption]) -> None:
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
        return cls(Scope.of(match), getattr(item, "options", []))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Show the chosen subscription in place of the list."""
        await redraw_with(interaction, _show(interaction, int(self.item.values[0]), self.scope))


class ActionButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"sub:(?P<action>{'|'.join(Action)}):(?P<id>[0-9]{{1,18}}):{SCOPE}",
):
    """Does one thing with one subscription."""

    def __init__(self, action: Action, subscription_id: int, scope: Scope) -> None:
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
        return cls(Action(match["action"]), int(match["id"]), Scope.of(match))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Do it; permissions and guild are checked in the service, at each press."""
        try:
            await HANDLERS[self.action](interaction, self.subscription_id, self.scope)
        except Exception as error:  # the top: discord.py would only log it
            await report(interaction, error)


Handler = Callable[[Interaction, int, Scope], Awaitable[None]]


async def _show(interaction: Interaction, subscription_id: int, scope: Scope) -> Reply:
    entry = await interaction.client.subscriptions.entry(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    return entry_page(entry, scope)


async def _on_show(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    page = await in_time(interaction, _show(interaction, subscription_id, scope), new=False)
    await redraw(interaction, page)


async def _on_pause(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    work = interaction.client.subscriptions.pause(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    entry = await in_time(interaction, work, new=False)
    await redraw(interaction, entry_page(entry, scope, wording.PAUSED))


async def _on_resume(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    bot, guild, caller = interaction.client, here_of(interaction), caller_of(interaction)

    async def work() -> Reply:
        entry = await bot.subscriptions.entry(guild.id, caller, subscription_id)
        place = await find_place(interaction, entry.subscription.channel_id)
        outcome = await bot.subscriptions.resume(
            guild.id, caller, subscription_id, place, audiences_in(guild)
        )
        if isinstance(outcome, Entry):
            return entry_page(outcome, scope, wording.RESUMED)
        if isinstance(outcome, Subscribed):
            return entry_page(outcome.entry, scope, wording.edited(outcome))
        return await answer(bot, outcome)

    await redraw(interaction, await in_time(interaction, work(), new=False))


async def _on_edit(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    # A form has to be the first answer: no "please wait" before it.
    entry = await interaction.client.subscriptions.entry(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    custom_id = f"sub:filters:{subscription_id}:{scope}"
    await interaction.response.send_modal(FiltersForm(entry, custom_id))


async def _on_filters(
    interaction: Interaction, match: re.Match[str], typed: Mapping[str, str]
) -> None:
    """The form of *Edit* was sent off: change the options and show the subscription as it is."""
    bot, guild, caller = interaction.client, here_of(interaction), caller_of(interaction)

    async def work() -> Reply:
        entry = await bot.subscriptions.entry(guild.id, caller, int(match["id"]))
        request = SubscribeRequest(
            guild_id=guild.id,
            caller=caller,
            place=await find_place(interaction, entry.subscription.channel_id),
            project=Links(entry.hook.server_url).project(entry.hook.project_id),
            options=typed,
            resume=False,
            audience_of=audiences_in(guild),
        )
        outcome = await bot.subscriptions.subscribe(request)
        if not isinstance(outcome, Subscribed):
            return await answer(bot, outcome)
        return entry_page(outcome.entry, Scope.of(match), wording.edited(outcome))

    await redraw(interaction, await in_time(interaction, work(), new=False))


async def _on_remove(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    subscriptions = interaction.client.subscriptions
    work = subscriptions.entry(guild_id_of(interaction), caller_of(interaction), subscription_id)
    entry = await in_time(interaction, work, new=False)
    view = _buttons(entry, scope, Action.REMOVE_SURE, Action.SHOW)
    await redraw(
        interaction, Reply(embed=wording.entry_embed(entry, wording.SURE_TO_REMOVE), view=view)
    )


async def _on_remove_sure(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    work = interaction.client.subscriptions.remove(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    outcome = await in_time(interaction, work, new=False)
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await redraw(interaction, Reply(wording.removed(outcome), view=view))


async def _on_setup(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    work = interaction.client.subscriptions.show_setup(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    await reply(interaction, _setup_reply(await in_time(interaction, work)))


async def _on_setup_again(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    work = interaction.client.subscriptions.set_up_again(
        guild_id_of(interaction), caller_of(interaction), subscription_id
    )
    answer = _setup_reply(await in_time(interaction, work, new=False))
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await redraw(interaction, Reply(answer.content, answer.embed, view))


async def _on_renew(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    subscriptions = interaction.client.subscriptions
    work = subscriptions.entry(guild_id_of(interaction), caller_of(interaction), subscription_id)
    entry = await in_time(interaction, work, new=False)
    by_hand = is_by_hand(entry.hook)
    actions = (Action.RENEW_SURE, Action.RENEW_NOW) if by_hand else (Action.RENEW_NOW,)
    note = wording.SURE_TO_RENEW if by_hand else wording.SURE_TO_RENEW_MADE
    view = _buttons(entry, scope, *actions, Action.SHOW)
    await redraw(interaction, Reply(embed=wording.entry_embed(entry, note), view=view))


async def _on_renew_sure(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    await _renew(interaction, subscription_id, scope, overlap=True)


async def _on_renew_now(interaction: Interaction, subscription_id: int, scope: Scope) -> None:
    await _renew(interaction, subscription_id, scope, overlap=False)


async def _renew(
    interaction: Interaction, subscription_id: int, scope: Scope, *, overlap: bool
) -> None:
    work = interaction.client.subscriptions.new_secret(
        guild_id_of(interaction), caller_of(interaction), subscription_id, overlap=overlap
    )
    said = _setup_reply(await in_time(interaction, work, new=False))
    view = view_of(PageButton(scope, "◀ Back to the list"))
    await redraw(interaction, Reply(said.content, said.embed, view))


def _setup_reply(setup: SetUp | SharedSetUp | MadeSetUp) -> Reply:
    if isinstance(setup, SharedSetUp):
        return Reply(wording.shared_setup(setup))
    if isinstance(setup, MadeSetUp):
        return Reply(webhook_wording.made_setup(setup, wording.project_name(setup.entry)))
    return Reply(embed=wording.setup_embed(setup))


HANDLERS: Mapping[Action, Handler] = {
    Action.SHOW: _on_show,
    Action.PAUSE: _on_pause,
    Action.RESUME: _on_resume,
    Action.EDIT: _on_edit,
    Action.REMOVE: _on_remove,
    Action.REMOVE_SURE: _on_remove_sure,
    Action.SETUP: _on_setup,
    Action.SETUP_AGAIN: _on_setup_again,
    Action.RENEW: _on_renew,
    Action.RENEW_SURE: _on_renew_sure,
    Action.RENEW_NOW: _on_renew_now,
}

PANEL_ITEMS = (PageButton, EntrySelect, ActionButton)
PANEL_FORMS = {rf"sub:filters:(?P<id>[0-9]{{1,18}}):{SCOPE}": _on_filters}
