"""A /subscribe that waits: for an account to be linked, or for a yes to who will see a project.

What was typed is kept as a pending command, with what the person was shown; buttons and the select
carry its token, so they work after a restart. Permissions are checked again when it continues.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import discord
import structlog

from bot.cogs.accounts.cog import link_response
from bot.cogs.followups import send_followup
from bot.cogs.interaction import actor_in, audiences_in, guild_of
from bot.cogs.persistent import view_of
from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import Interaction, Response, UserError, edit_with
from bot.cogs.subscriptions import consent_texts
from bot.cogs.subscriptions import texts as subscription_texts
from bot.cogs.webhooks import texts as webhook_texts
from bot.discord_api.channels import fetch_channel, member_actor
from bot.discord_api.outcomes import DISCORD_ERRORS, outcome_of
from bot.model import Account, Actor, Audience, PendingSubscribe
from bot.services.linking import AnswerTo
from bot.services.refusals import CommandRefused
from bot.services.subscribe_results import (
    NeedsAccount,
    NeedsConsent,
    SubscribeChange,
    Subscribed,
    SubscribeRequest,
)
from bot.services.subscribing import Outcome

if TYPE_CHECKING:
    from bot.discord_api.client import SpeckleBot

log = structlog.get_logger()

MAX_LABEL = 100  # characters of a select's option


class PendingChoice(StrEnum):
    """How a command that waits continues."""

    LINK = "link"
    BY_HAND = "hand"
    SHOW = "show"
    CANCEL = "cancel"


LABELS: Mapping[PendingChoice, tuple[str, discord.ButtonStyle]] = {
    PendingChoice.LINK: ("Link my account", discord.ButtonStyle.primary),
    PendingChoice.BY_HAND: ("Set it up by hand", discord.ButtonStyle.secondary),
    PendingChoice.SHOW: ("Show it there", discord.ButtonStyle.primary),
    PendingChoice.CANCEL: ("Cancel", discord.ButtonStyle.secondary),
}


class PendingChoiceButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=rf"wait:(?P<way>{'|'.join(PendingChoice)}):(?P<token>[A-Za-z0-9_-]{{16,64}})",
):
    """Lets a command that waits continue in one way."""

    def __init__(self, choice: PendingChoice, token: str) -> None:
        self.choice = choice
        self.token = token
        label, style = LABELS[choice]
        super().__init__(
            discord.ui.Button(label=label, style=style, custom_id=f"wait:{choice}:{token}")
        )

    @classmethod
    async def from_custom_id(
        cls,
        _interaction: discord.Interaction[Any],
        _item: discord.ui.Item[Any],
        match: re.Match[str],
    ) -> Self:
        """Make the button that was pressed again."""
        return cls(PendingChoice(match["way"]), match["token"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Continue, and show the result in place of the question."""
        await _once(interaction, self.token, self._go_on)

    async def _go_on(self, interaction: Interaction, command: PendingSubscribe) -> Response:
        bot = interaction.client
        if self.choice is PendingChoice.CANCEL:
            return Response(webhook_texts.NOT_SHOWN)
        if self.choice is PendingChoice.LINK:
            pending = await bot.pending_commands.add(command, until_linked=True)
            return await link_response(interaction, command.server_url, pending)
        actor = await actor_in(interaction, guild_of(bot, command.guild_id))
        if self.choice is PendingChoice.BY_HAND:
            return await run_pending(bot, actor, replace(command, by_hand=True))
        return await run_pending(bot, actor, command, agreed=command.agreed)


class ExcludeChannelsSelect(
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

    async def _ask_again(self, interaction: Interaction, command: PendingSubscribe) -> Response:
        bot = interaction.client
        actor = await actor_in(interaction, guild_of(bot, command.guild_id))
        excluded = command.others - {int(value) for value in self.item.values}
        return await run_pending(bot, actor, replace(command, excluded=excluded))


async def _once(
    interaction: Interaction,
    token: str,
    go_on: Callable[[Interaction, PendingSubscribe], Awaitable[Response]],
) -> None:
    """Continue a pending command, which is over once that is done and shown."""
    pending = interaction.client.pending_commands

    async def work() -> Response:
        async with pending.claim(interaction.user.id, token) as command:
            return await go_on(interaction, command)

    await edit_with(interaction, work(), lambda: pending.release(token))


async def run_pending(
    bot: "SpeckleBot",
    actor: Actor,
    command: PendingSubscribe,
    agreed: Mapping[int, Audience | None] | None = None,
) -> Response:
    """Do a pending command, as if it were typed now."""
    guild = guild_of(bot, command.guild_id)
    request = SubscribeRequest(
        guild_id=guild.id,
        actor=actor,
        channel=await fetch_channel(bot, guild, command.channel_id),
        project=command.project,
        options=command.options,
        by_hand=command.by_hand,
        resume=command.resume,
        audience_of=audiences_in(guild),
        agreed=agreed,
        left_out=command.excluded,
    )
    return await show_outcome(bot, await bot.subscriptions.subscribe(request))


async def show_outcome(bot: "SpeckleBot", outcome: Outcome) -> Response:
    """What the caller sees of it; a new subscription is announced in its channel."""
    if isinstance(outcome, Subscribed):
        said = subscription_texts.subscribed(outcome)
        if outcome.change is not SubscribeChange.NEW:
            return said
        trouble = await _announce(bot, outcome)
        content = "\n".join(filter(None, (said.content, trouble)))
        return Response(content, said.embed, said.view)
    token = await bot.pending_commands.add(_command(outcome))
    view = view_of(*(PendingChoiceButton(choice, token) for choice in _choices(outcome)))
    if isinstance(outcome, NeedsAccount):
        return Response(webhook_texts.needs_account_text(outcome), view=view)
    if outcome.also:
        view.add_item(ExcludeChannelsSelect(token, _options(bot, outcome)))
    return Response(embed=consent_texts.needs_consent_text(outcome), view=view)


def _command(outcome: NeedsAccount | NeedsConsent) -> PendingSubscribe:
    request = outcome.request
    audiences: Mapping[int, Audience | None] = {}
    if isinstance(outcome, NeedsConsent):
        audiences = {request.channel.channel_id: request.channel.audience, **outcome.also}
    return PendingSubscribe(
        user_id=request.actor.id,
        guild_id=request.guild_id,
        channel_id=request.channel.channel_id,
        server_url=outcome.server_url,
        project=request.project,
        options=request.options,
        by_hand=request.by_hand,
        resume=request.resume,
        excluded=request.left_out,
        audiences=audiences,
    )


def _options(bot: "SpeckleBot", outcome: NeedsConsent) -> list[discord.SelectOption]:
    guild = bot.get_guild(outcome.request.guild_id)
    options = []
    for channel_id in outcome.also:
        channel = guild and guild.get_channel_or_thread(channel_id)
        name = f"#{channel.name}" if channel else str(channel_id)
        chosen = channel_id in outcome.chosen
        option = discord.SelectOption(label=name[:MAX_LABEL], value=str(channel_id), default=chosen)
        options.append(option)
    return options


def _choices(outcome: NeedsAccount | NeedsConsent) -> tuple[PendingChoice, ...]:
    if isinstance(outcome, NeedsConsent):
        return (PendingChoice.SHOW, PendingChoice.CANCEL)
    return (PendingChoice.LINK,) if outcome.paused else (PendingChoice.LINK, PendingChoice.BY_HAND)


async def _announce(bot: "SpeckleBot", outcome: Subscribed) -> str | None:
    """Post it for the channel's members; if Discord refuses, the subscription is still active."""
    channel_id = outcome.entry.subscription.channel_id
    channel = bot.get_partial_messageable(channel_id)
    line = subscription_texts.public_line(outcome.entry)
    try:
        await channel.send(line, allowed_mentions=discord.AllowedMentions.none())
    except DISCORD_ERRORS as error:
        failure = outcome_of(error)
        log.warning("subscriptions.not_announced", channel_id=channel_id, reason=failure.reason)
        return subscription_texts.not_announced(channel_id, failure)
    return None


async def resume_after_link(
    bot: "SpeckleBot", account: Account, token: str, where: AnswerTo
) -> None:
    """Continue a command that waited for this account, and report the result."""
    try:
        async with bot.pending_commands.claim(account.discord_user_id, token) as command:
            guild = guild_of(bot, command.guild_id)
            actor = await member_actor(guild, account.discord_user_id)
            said = await run_pending(bot, actor, command)
    except CommandRefused as refused:
        said = Response(refusal_text(refused.refusal))
    except UserError as error:
        said = Response(error.message)
    except Exception:  # the account is linked all the same
        log.exception("pending_commands.failed", account_id=account.id)
        said = Response(webhook_texts.NOT_COMPLETED)
    await send_followup(bot, where, account.discord_user_id, said)
