"""A /subscribe that waits: for an account to be linked, or for a yes to who will see a project.

What was typed is kept as a pending command, with what the person was shown; buttons and the select
carry its token, so they work after a restart. Who may do what is asked again when it goes on.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
import structlog

from bot.cogs import question_wording, webhook_wording, wording
from bot.cogs.accounts import link_reply
from bot.cogs.answers import Interaction, Reply, UserError, redraw_with
from bot.cogs.buttons import view_of
from bot.cogs.later import tell_later
from bot.cogs.places import audiences_in, caller_in, fresh_place, guild_of, member_caller
from bot.cogs.refusal_wording import refusal_text
from bot.db.rows import Account
from bot.discord_outcomes import DISCORD_ERRORS, outcome_of
from bot.model import Audience, PendingSubscribe
from bot.services.accounts import AnswerTo
from bot.services.outcomes import Change, LinkFirst, ShowFirst, Subscribed, SubscribeRequest
from bot.services.places import Caller
from bot.services.refusals import CommandRefused
from bot.services.subscribing import Outcome

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

log = structlog.get_logger()

MAX_LABEL = 100  # characters of a select's option


class Way(StrEnum):
    """How a command that waits goes on."""

    LINK = "link"
    BY_HAND = "hand"
    SHOW = "show"
    CANCEL = "cancel"


LABELS: Mapping[Way, tuple[str, discord.ButtonStyle]] = {
    Way.LINK: ("Link my account", discord.ButtonStyle.primary),
    Way.BY_HAND: ("Set it up by hand", discord.ButtonStyle.secondary),
    Way.SHOW: ("Show it there", discord.ButtonStyle.primary),
    Way.CANCEL: ("Cancel", discord.ButtonStyle.secondary),
}


class WayButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"wait:(?P<way>{'|'.join(Way)}):(?P<token>[A-Za-z0-9_-]{{16,64}})",
):
    """Lets a command that waits go on in one way."""

    def __init__(self, way: Way, token: str) -> None:
        self.way = way
        self.token = token
        label, style = LABELS[way]
        super().__init__(
            discord.ui.Button(label=label, style=style, custom_id=f"wait:{way}:{token}")
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(Way(match["way"]), match["token"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Go on, and show what came of it in place of the question."""
        await _once(interaction, self.token, self._go_on)

    async def _go_on(self, interaction: Interaction, command: PendingSubscribe) -> Reply:
        bot = interaction.client
        if self.way is Way.CANCEL:
            return Reply(webhook_wording.NOT_SHOWN)
        if self.way is Way.LINK:
            pending = await bot.pending_commands.add(command, until_linked=True)
            return await link_reply(interaction, command.server_url, pending)
        caller = await caller_in(interaction, guild_of(bot, command.guild_id))
        if self.way is Way.BY_HAND:
            return await carry_out(bot, caller, replace(command, by_hand=True))
        return await carry_out(bot, caller, command, agreed=command.agreed)


class LeaveOutSelect(
    discord.ui.DynamicItem[discord.ui.Select[discord.ui.View]],
    template=r"wait:pick:(?P<token>[A-Za-z0-9_-]{16,64})",
):
    """Chooses which other channels an answer is to cover; what is not chosen is left out."""

    def __init__(self, token: str, options: Sequence[discord.SelectOption]) -> None:
        self.token = token
        super().__init__(
            discord.ui.Select(
                custom_id=f"wait:pick:{token}",
                placeholder="No other channel shows it",
                min_values=0,
                max_values=len(options),
                options=list(options),
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
        return cls(match["token"], getattr(item, "options", ()))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Ask again, with the channels that are chosen now."""
        await _once(interaction, self.token, self._ask_again)

    async def _ask_again(self, interaction: Interaction, command: PendingSubscribe) -> Reply:
        bot = interaction.client
        caller = await caller_in(interaction, guild_of(bot, command.guild_id))
        excluded = command.others - {int(value) for value in self.item.values}
        return await carry_out(bot, caller, replace(command, excluded=excluded))


async def _once(
    interaction: Interaction,
    token: str,
    go_on: Callable[[Interaction, PendingSubscribe], Awaitable[Reply]],
) -> None:
    """Go on with a pending command, which is done with once that is done and shown."""
    pending = interaction.client.pending_commands

    async def work() -> Reply:
        async with pending.claim(interaction.user.id, token) as command:
            return await go_on(interaction, command)

    await redraw_with(interaction, work(), lambda: pending.release(token))


async def carry_out(
    bot: "SpeckleBot",
    caller: Caller,
    command: PendingSubscribe,
    agreed: Mapping[int, Audience | None] | None = None,
) -> Reply:
    """Do a pending command, as if it were typed now."""
    guild = guild_of(bot, command.guild_id)
    request = SubscribeRequest(
        guild_id=guild.id,
        caller=caller,
        place=await fresh_place(bot, guild, command.channel_id),
        project=command.project,
        options=command.options,
        by_hand=command.by_hand,
        resume=command.resume,
        audience_of=audiences_in(guild),
        agreed=agreed,
        left_out=command.excluded,
    )
    return await answer(bot, await bot.subscriptions.subscribe(request))


async def answer(bot: "SpeckleBot", outcome: Outcome) -> Reply:
    """What the caller sees of it; a new subscription is announced in its channel."""
    if isinstance(outcome, Subscribed):
        said = wording.subscribed(outcome)
        if outcome.change is not Change.NEW:
            return said
        trouble = await _announce(bot, outcome)
        content = "\n".join(filter(None, (said.content, trouble)))
        return Reply(content, said.embed, said.view)
    token = await bot.pending_commands.add(_command(outcome))
    view = view_of(*(WayButton(way, token) for way in _ways(outcome)))
    if isinstance(outcome, LinkFirst):
        return Reply(webhook_wording.link_first(outcome), view=view)
    if outcome.also:
        view.add_item(LeaveOutSelect(token, _options(bot, outcome)))
    return Reply(embed=question_wording.show_first(outcome), view=view)


def _command(outcome: LinkFirst | ShowFirst) -> PendingSubscribe:
    request = outcome.request
    audiences: Mapping[int, Audience | None] = {}
    if isinstance(outcome, ShowFirst):
        audiences = {request.place.channel_id: request.place.audience, **outcome.also}
    return PendingSubscribe(
        user_id=request.caller.id,
        guild_id=request.guild_id,
        channel_id=request.place.channel_id,
        server_url=outcome.server_url,
        project=request.project,
        options=request.options,
        by_hand=request.by_hand,
        resume=request.resume,
        excluded=request.left_out,
        audiences=audiences,
    )


def _options(bot: "SpeckleBot", outcome: ShowFirst) -> list[discord.SelectOption]:
    guild = bot.get_guild(outcome.request.guild_id)
    options = []
    for channel_id in outcome.also:
        channel = guild and guild.get_channel_or_thread(channel_id)
        name = f"#{channel.name}" if channel else str(channel_id)
        chosen = channel_id in outcome.chosen
        option = discord.SelectOption(label=name[:MAX_LABEL], value=str(channel_id), default=chosen)
        options.append(option)
    return options


def _ways(outcome: LinkFirst | ShowFirst) -> tuple[Way, ...]:
    if isinstance(outcome, ShowFirst):
        return (Way.SHOW, Way.CANCEL)
    return (Way.LINK,) if outcome.paused else (Way.LINK, Way.BY_HAND)


async def _announce(bot: "SpeckleBot", outcome: Subscribed) -> str | None:
    """Tell the channel's members; if Discord refuses, the subscription stands all the same."""
    channel_id = outcome.entry.subscription.channel_id
    channel = bot.get_partial_messageable(channel_id)
    line = wording.public_line(outcome.entry)
    try:
        await channel.send(line, allowed_mentions=discord.AllowedMentions.none())
    except DISCORD_ERRORS as error:
        return wording.not_announced(channel_id, outcome_of(error))
    return None


async def linked(bot: "SpeckleBot", account: Account, token: str, where: AnswerTo) -> None:
    """Go on with a command that waited for this account, and say how that went."""
    try:
        async with bot.pending_commands.claim(account.discord_user_id, token) as command:
            guild = guild_of(bot, command.guild_id)
            caller = await member_caller(guild, account.discord_user_id)
            said = await carry_out(bot, caller, command)
    except CommandRefused as refused:
        said = Reply(refusal_text(refused.refusal))
    except UserError as error:
        said = Reply(error.message)
    except Exception:  # the account is linked all the same
        log.exception("waiting.failed", account_id=account.id)
        said = Reply(webhook_wording.NOT_COMPLETED)
    await tell_later(bot, where, account.discord_user_id, said)
