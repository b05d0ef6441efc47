"""A /subscribe that waits: for an account to be linked, or for a yes to who will see a project.

What was typed is kept as a pending command, with what the person was shown; buttons and the select
carry its token, so they work after a restart. Permissions are checked again when it continues.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from enum import StrEnum

import discord
import structlog

from bot.cogs.accounts.views import AccountViews
from bot.cogs.components import Handlers, chosen_values
from bot.cogs.followups import send_followup
from bot.cogs.interaction import actor_in, audiences_in, guild_of
from bot.cogs.persistent import ButtonLook, PersistentButton, PersistentSelect, view_of
from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import Interaction, Response, UserError, edit_with
from bot.cogs.subscriptions import subscribe_texts
from bot.cogs.subscriptions.filter_texts import needs_choice_text
from bot.discord_api.channels import fetch_channel, member_actor
from bot.discord_api.outcomes import DISCORD_ERRORS, outcome_of
from bot.errors import StorageUnavailable
from bot.model import Account
from bot.pending import PendingSubscribe
from bot.permissions import Actor, Audience
from bot.services.linking import AnswerTo
from bot.services.pending_commands import PendingCommandService
from bot.services.refusals import CommandRefused, Refusal
from bot.services.subscribe_results import (
    LinkedModels,
    NeedsAccount,
    NeedsChoice,
    NeedsConsent,
    SubscribeChange,
    Subscribed,
    SubscribeRequest,
)
from bot.services.subscribing import SubscribeOutcome
from bot.services.subscriptions import SubscriptionService
from bot.services.webhook_results import EnsureProblem
from bot.speckle.filter_hints import corrected
from bot.speckle.links import Links
from bot.speckle.subscription_options import OptionFault, OptionProblem, TypedOptions

log = structlog.get_logger()

MAX_LABEL = 100  # characters of a select's option
TOKEN = r"(?P<token>[A-Za-z0-9_-]{16,64})"  # noqa: S105  # a pattern


class PendingChoice(StrEnum):
    """How a command that waits continues."""

    LINK = "link"
    BY_HAND = "hand"
    SHOW = "show"
    CANCEL = "cancel"
    ADD = "add"
    REPLACE = "replace"
    KEEP = "keep"
    NEAREST = "nearest"
    ALL_MODELS = "all-models"
    NO_MODELS = "no-models"


LOOKS: Mapping[PendingChoice, ButtonLook] = {
    PendingChoice.LINK: ButtonLook("Link my account", discord.ButtonStyle.primary),
    PendingChoice.BY_HAND: ButtonLook("Set it up by hand"),
    PendingChoice.SHOW: ButtonLook("Show it there", discord.ButtonStyle.primary),
    PendingChoice.CANCEL: ButtonLook("Cancel"),
    PendingChoice.ADD: ButtonLook("Add to what it shows", discord.ButtonStyle.primary),
    PendingChoice.REPLACE: ButtonLook("Show only this"),
    PendingChoice.KEEP: ButtonLook("Keep as it is"),
    PendingChoice.NEAREST: ButtonLook("Use what comes nearest", discord.ButtonStyle.primary),
    PendingChoice.ALL_MODELS: ButtonLook("Show all models", discord.ButtonStyle.primary),
    PendingChoice.NO_MODELS: ButtonLook("Only project and people"),
}
INSTEAD: Mapping[PendingChoice, TypedOptions] = {
    PendingChoice.ALL_MODELS: {"models": "all"},
    PendingChoice.NO_MODELS: {"models": "all", "events": "project, people"},
}
"""What patterns that leave out every model may mean, as it would be typed."""
LINKED: Mapping[PendingChoice, LinkedModels] = {
    PendingChoice.ADD: LinkedModels.ADD,
    PendingChoice.REPLACE: LinkedModels.REPLACE,
    PendingChoice.KEEP: LinkedModels.KEEP,
}


class SubscribeFlow:
    """Runs /subscribe, asks what has to be asked, and continues once that is answered."""

    def __init__(
        self,
        client: discord.Client,
        subscriptions: SubscriptionService,
        pending_commands: PendingCommandService,
        accounts: AccountViews,
    ) -> None:
        self._client = client
        self._subscriptions = subscriptions
        self._pending_commands = pending_commands
        self._accounts = accounts
        self.handlers: Handlers = {
            f"wait:(?P<choice>{'|'.join(PendingChoice)}):{TOKEN}": self._on_choice,
            f"wait:pick:{TOKEN}": self._on_channels,
        }

    async def show(self, outcome: SubscribeOutcome) -> Response:
        """What the caller sees of it; a new subscription is announced in its channel."""
        if isinstance(outcome, Subscribed):
            said = await self._with_nearest(subscribe_texts.subscribed(outcome), outcome)
            if outcome.change is not SubscribeChange.NEW:
                return said
            trouble = await self._announce(outcome)
            content = "\n".join(filter(None, (said.content, trouble)))
            return Response(content, said.embed, said.view)
        token = await self._pending_commands.add(_command(outcome))
        by_hand = self._subscriptions.has_public_url
        choices = [one for one in _choices(outcome) if by_hand or one is not PendingChoice.BY_HAND]
        view = view_of(*(_choice_button(choice, token) for choice in choices))
        if isinstance(outcome, NeedsChoice):
            return Response(needs_choice_text(outcome), view=view)
        if isinstance(outcome, NeedsAccount):
            live_for = self._subscriptions.live_for
            text = subscribe_texts.needs_account_text(outcome, live_for, by_hand=by_hand)
            return Response(text, view=view)
        if outcome.also:
            guild = self._client.get_guild(outcome.request.guild_id)
            view.add_item(_channels_select(token, guild, outcome))
        return Response(embed=subscribe_texts.needs_consent_text(outcome), view=view)

    async def ask_about(self, request: SubscribeRequest, refusal: Refusal) -> Response | None:
        """Ask what patterns mean that leave out every model; None for any other refusal."""
        if not isinstance(refusal, OptionProblem) or refusal.option != "models":
            return None
        if refusal.fault is not OptionFault.NOTHING_LEFT:
            return None
        token = await self._pending_commands.add(_pending(request, ""))
        view = view_of(*(_choice_button(choice, token) for choice in INSTEAD))
        return Response(refusal_text(refusal), view=view)

    async def _with_nearest(self, said: Response, outcome: Subscribed) -> Response:
        """The answer, with a button for what comes nearest to filters without effect."""
        entry = outcome.entry
        options = corrected(entry.subscription.options, outcome.hints)
        if not options or entry.subscription.is_paused_for_rights:
            return said
        token = await self._pending_commands.add(
            PendingSubscribe(
                user_id=outcome.asked_by,
                guild_id=entry.subscription.guild_id,
                channel_id=entry.subscription.channel_id,
                server_url=entry.hook.server_url,
                project=Links(entry.hook.server_url).project(entry.hook.project_id),
                options=options,
                resume=False,
            )
        )
        return replace(said, view=view_of(_choice_button(PendingChoice.NEAREST, token)))

    async def _announce(self, outcome: Subscribed) -> str | None:
        """Post it for the channel's members; a refusal leaves the subscription active."""
        channel_id = outcome.entry.subscription.channel_id
        channel = self._client.get_partial_messageable(channel_id)
        line = subscribe_texts.public_line(outcome.entry)
        try:
            await channel.send(line, allowed_mentions=discord.AllowedMentions.none())
        except DISCORD_ERRORS as error:
            failure = outcome_of(error)
            facts = failure.reason.to_facts()
            log.warning("subscriptions.not_announced", channel_id=channel_id, **facts)
            return subscribe_texts.not_announced(channel_id, failure)
        return None

    async def _run(
        self,
        actor: Actor,
        command: PendingSubscribe,
        agreed: Mapping[int, Audience | None] | None = None,
        linked_models: LinkedModels = LinkedModels.ASK,
    ) -> Response:
        """Do a pending command, and give what the caller sees of it."""
        return await self.show(await self.run(actor, command, agreed, linked_models))

    async def run(
        self,
        actor: Actor,
        command: PendingSubscribe,
        agreed: Mapping[int, Audience | None] | None = None,
        linked_models: LinkedModels = LinkedModels.ASK,
    ) -> SubscribeOutcome:
        """Do a pending command, as if it were typed now."""
        guild = guild_of(self._client, command.guild_id)
        request = SubscribeRequest(
            guild_id=guild.id,
            actor=actor,
            channel=await fetch_channel(self._client, guild, command.channel_id),
            project=command.project,
            options=command.options,
            by_hand=command.by_hand,
            resume=command.resume,
            audience_of=audiences_in(guild),
            agreed=agreed,
            left_out=command.excluded,
            linked_models=linked_models,
            defaulted=command.defaulted,
        )
        return await self._subscriptions.subscribe(request)

    async def resume_after_link(self, account: Account, token: str, where: AnswerTo) -> None:
        """Continue a command that waited for this account, and report the result.

        Errors: StorageUnavailable, with the command still waiting.
        """
        try:
            async with self._pending_commands.claim(account.discord_user_id, token) as command:
                guild = guild_of(self._client, command.guild_id)
                actor = await member_actor(guild, account.discord_user_id)
                said = await self._run(actor, command)
        except CommandRefused as refused:
            said = Response(refusal_text(refused.refusal))
        except UserError as error:
            said = Response(error.message)
        except StorageUnavailable:
            raise
        except Exception:  # ours: the account is linked all the same, and its person reads so
            log.exception("pending_commands.failed", account_id=account.id)
            said = Response(subscribe_texts.NOT_COMPLETED)
        await send_followup(self._client, where, account.discord_user_id, said)

    # ── what is pressed ───────────────────────────────────────────────────────────────────────

    async def _on_choice(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Continue in one way, and show the result in place of the question."""
        choice = PendingChoice(match["choice"])

        async def resume(command: PendingSubscribe) -> Response:
            return await self._resume(interaction, choice, command)

        await self._once(interaction, match["token"], resume)

    async def _resume(
        self, interaction: Interaction, choice: PendingChoice, command: PendingSubscribe
    ) -> Response:
        if choice is PendingChoice.CANCEL:
            return Response(subscribe_texts.NOT_SHOWN)
        if choice is PendingChoice.LINK:
            pending = await self._pending_commands.add_until_linked(command)
            return await self._accounts.link_page(interaction, command.server_url, pending)
        actor = await actor_in(interaction, guild_of(self._client, command.guild_id))
        if choice is PendingChoice.BY_HAND:
            return await self._run(actor, replace(command, by_hand=True))
        if choice in LINKED:
            return await self._run(actor, command, linked_models=LINKED[choice])
        if choice is PendingChoice.NEAREST:
            return await self._run(actor, command)
        if choice in INSTEAD:
            options = {**command.options, **INSTEAD[choice]}
            return await self._run(actor, replace(command, options=options))
        return await self._run(actor, command, agreed=command.agreed or None)

    async def _on_channels(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Ask again, with the channels that are chosen now."""
        chosen = {int(value) for value in chosen_values(interaction)}

        async def ask_again(command: PendingSubscribe) -> Response:
            actor = await actor_in(interaction, guild_of(self._client, command.guild_id))
            return await self._run(actor, replace(command, excluded=command.others - chosen))

        await self._once(interaction, match["token"], ask_again)

    async def _once(
        self,
        interaction: Interaction,
        token: str,
        resume: Callable[[PendingSubscribe], Awaitable[Response]],
    ) -> None:
        """Continue a pending command, which is over once that is done and shown."""
        pending = self._pending_commands

        async def work() -> Response:
            async with pending.claim(interaction.user.id, token) as command:
                return await resume(command)

        await edit_with(interaction, work(), lambda: pending.release(token))


def _choice_button(choice: PendingChoice, token: str) -> PersistentButton:
    return LOOKS[choice].button(f"wait:{choice}:{token}")


def _channels_select(
    token: str, guild: discord.Guild | None, outcome: NeedsConsent
) -> PersistentSelect:
    """Chooses which other channels an answer is to cover; what is not chosen is left out."""
    options = []
    for channel_id in outcome.also:
        channel = guild and guild.get_channel_or_thread(channel_id)
        name = f"#{channel.name}" if channel else str(channel_id)
        chosen = channel_id in outcome.chosen
        option = discord.SelectOption(label=name[:MAX_LABEL], value=str(channel_id), default=chosen)
        options.append(option)
    return PersistentSelect(
        custom_id=f"wait:pick:{token}",
        placeholder="No other channel shows it",
        min_values=0,
        max_values=len(options),
        options=options,
    )


def _command(outcome: NeedsAccount | NeedsConsent | NeedsChoice) -> PendingSubscribe:
    request = outcome.request
    pending = _pending(request, outcome.server_url)
    if not isinstance(outcome, NeedsConsent):
        return pending
    asked = {request.channel.channel_id: request.channel.audience, **outcome.also}
    return replace(pending, audiences=asked)


def _pending(request: SubscribeRequest, server_url: str) -> PendingSubscribe:
    return PendingSubscribe(
        user_id=request.actor.id,
        guild_id=request.guild_id,
        channel_id=request.channel.channel_id,
        server_url=server_url,
        project=request.project,
        options=request.options,
        by_hand=request.by_hand,
        resume=request.resume,
        excluded=request.left_out,
        defaulted=request.defaulted,
    )


def _choices(outcome: NeedsAccount | NeedsConsent | NeedsChoice) -> tuple[PendingChoice, ...]:
    if isinstance(outcome, NeedsChoice):
        return (PendingChoice.ADD, PendingChoice.REPLACE, PendingChoice.KEEP)
    if isinstance(outcome, NeedsConsent):
        return (PendingChoice.SHOW, PendingChoice.CANCEL)
    if outcome.paused:
        return (PendingChoice.LINK,)
    if outcome.why is EnsureProblem.SPECKLE_AWAY:
        return (PendingChoice.BY_HAND,)  # there is an account, and none could be linked now
    return (PendingChoice.LINK, PendingChoice.BY_HAND)
