"""/notices, and the button on what the bot tells of a channel that it paused."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import (
    Picked,
    actor_in,
    actor_of,
    audiences_in,
    find_channel,
    for_managers,
    guild_id_of,
    guild_of,
)
from bot.cogs.notices import quota_texts
from bot.cogs.notices import texts as notice_texts
from bot.cogs.notices.texts import NoticeContext
from bot.cogs.persistent import view_of
from bot.cogs.responses import (
    Interaction,
    Response,
    UserError,
    defer_if_slow,
    edit_response,
    edit_with,
    report_failure,
    respond,
)
from bot.cogs.subscriptions.pending import show_outcome
from bot.discord_api.channels import fetch_channel
from bot.model import RIGHTS_PAUSES, Actor, TargetChannel
from bot.services.subscribe_results import NeedsAccount, NeedsConsent, Resumed

if TYPE_CHECKING:
    from bot.discord_api.client import SpeckleBot

MAX_WHERE = 60  # of a button's 80 characters


class NoticesCog(commands.Cog, name="notices"):
    """Chooses where the bot tells of what it paused."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._guilds = bot.guild_service

    @app_commands.command(
        description="Choose where the bot reports that it had to pause a subscription"
    )
    @app_commands.describe(
        channel="Report it in this channel, mentioning the person who made the subscription",
        off="Report it in direct messages again",
    )
    @for_managers
    async def notices(
        self, interaction: Interaction, channel: Picked | None = None, off: bool = False
    ) -> None:
        """Show or choose the guild's notice channel."""
        await respond(
            interaction,
            Response(await defer_if_slow(interaction, self._do(interaction, channel, off))),
        )

    async def _do(self, interaction: Interaction, channel: Picked | None, off: bool) -> str:
        guild_id, actor = guild_id_of(interaction), actor_of(interaction, channel)
        if channel is None and not off:
            shown = notice_texts.shown(await self._guilds.notice_channel(guild_id, actor))
            usage = await self._guilds.usage(guild_id, actor)
            return shown if usage is None else f"{shown}\n\n{quota_texts.in_all(usage)}"
        if channel is not None and off:
            raise UserError("Give either `channel` or `off`, not both. Nothing was changed.")
        target = None if channel is None else await find_channel(interaction, channel.id)
        await self._guilds.choose_notice_channel(guild_id, actor, target)
        return notice_texts.chosen(None if target is None else target.channel_id)


class ResumeButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"notice:resume:(?P<channel>[0-9]{1,20})",
):
    """Lets a paused channel go on where it stopped, from a direct message too."""

    def __init__(self, channel_id: int, where: str = "") -> None:
        self.channel_id = channel_id
        super().__init__(
            discord.ui.Button(
                label=f"Resume{where}",
                style=discord.ButtonStyle.success,
                custom_id=f"notice:resume:{channel_id}",
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
        return cls(int(match["channel"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Resume and say so in place of the notice; a refusal leaves notice and button there."""
        await edit_with(interaction, self._resume(interaction))

    async def _resume(self, interaction: Interaction) -> Response:
        found = await _there(interaction, self.channel_id)
        resumed = Resumed(self.channel_id)
        if found is not None:
            guild, actor, target = found
            resumed = await interaction.client.subscriptions.resume_channel(guild.id, actor, target)
        user_id, at = interaction.user.id, interaction.created_at
        embed = notice_texts.resumed_embed(
            resumed, user_id, at, read_by_others=interaction.guild_id is not None
        )
        return _in_its_place(interaction, embed, resumed)


class AccessButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"notice:access:(?P<how>resume|take):(?P<channel>[0-9]{1,20})",
):
    """Lets a channel go on that was paused for who may see its project.

    *Resume* and *Take over* do the same: either way it is the presser who answers for it.
    """

    def __init__(self, channel_id: int, how: str, where: str = "") -> None:
        self.channel_id = channel_id
        take = how == "take"
        super().__init__(
            discord.ui.Button(
                label=f"{'Take over' if take else 'Resume'}{where}",
                style=discord.ButtonStyle.primary if take else discord.ButtonStyle.success,
                custom_id=f"notice:access:{how}:{channel_id}",
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
        return cls(int(match["channel"]), match["how"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Go on and say so in place of the notice; a question or a refusal leaves it there."""
        try:
            outcome = await defer_if_slow(interaction, self._go_on(interaction), new=False)
            if isinstance(outcome, Resumed):
                user_id, at = interaction.user.id, interaction.created_at
                embed = notice_texts.answered_embed(
                    outcome, user_id, at, read_by_others=interaction.guild_id is not None
                )
                await edit_response(interaction, _in_its_place(interaction, embed, outcome))
            else:  # others may read the notice, and the question names the project
                await respond(interaction, await show_outcome(interaction.client, outcome))
        except Exception as error:  # the top: discord.py would only log it
            await report_failure(interaction, error)

    async def _go_on(self, interaction: Interaction) -> Resumed | NeedsAccount | NeedsConsent:
        found = await _there(interaction, self.channel_id)
        if found is None:
            return Resumed(self.channel_id)
        guild, actor, target = found
        return await interaction.client.subscriptions.take_over(
            guild.id, actor, target, audiences_in(guild)
        )


async def _there(
    interaction: Interaction, channel_id: int
) -> tuple[discord.Guild, Actor, TargetChannel] | None:
    """The channel's server, who acts there, and the channel; None if it follows nothing."""
    guild_id = await interaction.client.subscriptions.guild_of(channel_id)
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


def _again(button: discord.Button) -> discord.ui.Item[Any]:
    """The same button; discord.py would keep a plain one in memory for ever."""
    parts, label = (button.custom_id or "").split(":"), button.label or ""
    where = label.removeprefix("Resume").removeprefix("Take over")
    if parts[1] == "access":
        return AccessButton(int(parts[-1]), parts[2], where)
    return ResumeButton(int(parts[-1]), where)


def _is_of(embed: discord.Embed, channel_id: int) -> bool:
    return (embed.url or "").endswith(f"/{channel_id}")


def buttons(context: Sequence[NoticeContext]) -> list[discord.ui.Item[Any]]:
    """What can be pressed on a message of notices; several channels are told apart by name."""
    items: list[discord.ui.Item[Any]] = []
    for one in context:
        notice = one.group.notice
        where = "" if len(context) == 1 else f" #{one.channel or notice.channel_id}"[:MAX_WHERE]
        if notice.reason in RIGHTS_PAUSES:
            items += [AccessButton(notice.channel_id, how, where) for how in ("resume", "take")]
        else:
            items.append(ResumeButton(notice.channel_id, where))
    return items
