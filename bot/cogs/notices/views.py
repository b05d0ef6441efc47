"""The buttons of notices: of a channel that the bot paused, of a webhook that waits."""

import re
from collections.abc import Sequence
from typing import Any

import discord

from bot.cogs.components import Handlers
from bot.cogs.interaction import actor_in, audiences_in, guild_of
from bot.cogs.notices import texts as notice_texts
from bot.cogs.notices.texts import NoticeContext
from bot.cogs.persistent import PersistentButton, view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    defer_if_slow,
    edit_response,
    edit_with,
    respond,
)
from bot.cogs.subscriptions.panel import AnySetUp, setup_response
from bot.cogs.subscriptions.subscribe_flow import SubscribeFlow
from bot.discord_api.channels import fetch_channel
from bot.model import RIGHTS_PAUSES, Subscription
from bot.permissions import Actor, TargetChannel
from bot.services.refusals import CommandRefused, RefusalReason
from bot.services.subscribe_results import NeedsAccount, NeedsConsent, Resumed
from bot.services.subscriptions import SubscriptionService

MAX_WHERE = 60  # of a button's 80 characters
CHANNEL = "(?P<channel>[0-9]{1,20})"


class NoticeActions:
    """Lets a paused channel continue, and shows a set-up again, from a direct message too."""

    def __init__(self, subscriptions: SubscriptionService, flow: SubscribeFlow) -> None:
        self._subscriptions = subscriptions
        self._flow = flow
        self.handlers: Handlers = {
            f"notice:resume:{CHANNEL}": self._on_resume,
            # Both do the same: either way it is the presser who answers for it.
            f"notice:access:(?P<how>resume|take):{CHANNEL}": self._on_access,
            f"notice:setup:(?P<id>[0-9]{{1,18}}):{CHANNEL}": self._on_setup,
        }

    async def _on_resume(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Resume and report it in place of the notice; a refusal leaves notice and button there."""
        await edit_with(interaction, self._resume(interaction, int(match["channel"])))

    async def _resume(self, interaction: Interaction, channel_id: int) -> Response:
        found = await self._there(interaction, channel_id)
        resumed = Resumed(channel_id)
        if found is not None:
            guild, actor, target = found
            resumed = await self._subscriptions.resume_channel(guild.id, actor, target)
        user_id, at = interaction.user.id, interaction.created_at
        embed = notice_texts.resumed_embed(
            resumed, user_id, at, read_by_others=interaction.guild_id is not None
        )
        return _in_its_place(interaction, embed, resumed)

    async def _on_access(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Continue and report it in place of the notice; a question or refusal leaves it there."""
        work = self._take_over(interaction, int(match["channel"]))
        outcome = await defer_if_slow(interaction, work, new=False)
        if isinstance(outcome, Resumed):
            user_id, at = interaction.user.id, interaction.created_at
            embed = notice_texts.answered_embed(
                outcome, user_id, at, read_by_others=interaction.guild_id is not None
            )
            await edit_response(interaction, _in_its_place(interaction, embed, outcome))
        else:  # others may read the notice, and the question names the project
            await respond(interaction, await self._flow.show(outcome))

    async def _take_over(
        self, interaction: Interaction, channel_id: int
    ) -> Resumed | NeedsAccount | NeedsConsent:
        found = await self._there(interaction, channel_id)
        if found is None:
            return Resumed(channel_id)
        guild, actor, target = found
        return await self._subscriptions.take_over(guild.id, actor, target, audiences_in(guild))

    async def _on_setup(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Show the set-up to who pressed, and to nobody else; in a direct message only they read.

        Errors: CommandRefused for whom it is not for, or where the subscription is gone.
        """
        work = self._setup(interaction, int(match["id"]), int(match["channel"]))
        await respond(interaction, setup_response(await defer_if_slow(interaction, work)))

    async def _setup(
        self, interaction: Interaction, subscription_id: int, channel_id: int
    ) -> AnySetUp:
        found = await self._there(interaction, channel_id)
        if found is None:
            raise CommandRefused(RefusalReason.SUBSCRIPTION_GONE)
        guild, actor, _ = found
        return await self._subscriptions.setups.show(guild.id, actor, subscription_id)

    async def _there(
        self, interaction: Interaction, channel_id: int
    ) -> tuple[discord.Guild, Actor, TargetChannel] | None:
        """The channel's server, who acts there, and the channel; None if it follows nothing."""
        guild_id = await self._subscriptions.guild_of(channel_id)
        if guild_id is None:
            return None
        guild = guild_of(interaction.client, guild_id)
        actor = await actor_in(interaction, guild)
        return guild, actor, await fetch_channel(interaction.client, guild, channel_id)


def _in_its_place(interaction: Interaction, embed: discord.Embed, resumed: Resumed) -> Response:
    """The message with this in place of the channel's notice; those of others stay, with theirs."""
    message = interaction.message
    if message is None or len(message.embeds) <= 1:
        return Response(embed=embed)
    channel_id = resumed.channel_id
    embeds = [embed if _is_of(one, channel_id) else one for one in message.embeds]
    left = [
        button
        for row in message.components
        if isinstance(row, discord.ActionRow)
        for button in row.children
        if isinstance(button, discord.Button)
        and not (button.custom_id or "").endswith(f":{channel_id}")
    ]
    view = view_of(*(_again(one) for one in left))
    return Response(message.content if left else None, embeds=embeds, view=view)


def _again(button: discord.Button) -> PersistentButton:
    """The same button; discord.py would keep a plain one in memory for ever."""
    return PersistentButton(label=button.label, style=button.style, custom_id=button.custom_id)


def _is_of(embed: discord.Embed, channel_id: int) -> bool:
    return (embed.url or "").endswith(f"/{channel_id}")


def buttons(context: Sequence[NoticeContext]) -> list[discord.ui.Item[Any]]:
    """What can be pressed on a message of notices; several channels are distinguished by name."""
    items: list[discord.ui.Item[Any]] = []
    for one in context:
        notice = one.group.notice
        where = "" if len(context) == 1 else f" #{one.channel or notice.channel_id}"[:MAX_WHERE]
        if notice.reason in RIGHTS_PAUSES:
            items += [_access_button(notice.channel_id, how, where) for how in ("resume", "take")]
        else:
            items.append(_resume_button(notice.channel_id, where))
    return items


def setup_button(subscription: Subscription) -> PersistentButton:
    """Shows what to enter in Speckle, to those who may see the secret."""
    return PersistentButton(
        label="Show set-up",
        custom_id=f"notice:setup:{subscription.id}:{subscription.channel_id}",
    )


def _resume_button(channel_id: int, where: str) -> PersistentButton:
    return PersistentButton(
        label=f"Resume{where}",
        style=discord.ButtonStyle.success,
        custom_id=f"notice:resume:{channel_id}",
    )


def _access_button(channel_id: int, how: str, where: str) -> PersistentButton:
    take = how == "take"
    return PersistentButton(
        label=f"{'Take over' if take else 'Resume'}{where}",
        style=discord.ButtonStyle.primary if take else discord.ButtonStyle.success,
        custom_id=f"notice:access:{how}:{channel_id}",
    )
