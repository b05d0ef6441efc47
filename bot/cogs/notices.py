"""/notices, and the button on what the bot tells of a channel that it paused."""

import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs import notice_wording, quota_wording
from bot.cogs.answers import Interaction, Reply, in_time, redraw_with, reply
from bot.cogs.places import (
    Picked,
    caller_in,
    caller_of,
    find_place,
    for_managers,
    fresh_place,
    guild_id_of,
    guild_of,
)
from bot.db.rows import Notice, PauseReason
from bot.services.errors import CommandRefused
from bot.services.outcomes import Resumed
from bot.services.places import Caller, Place

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

GoOn = Callable[[int, Caller, Place], Awaitable[Resumed]]


class NoticesCog(commands.Cog, name="notices"):
    """Chooses where the bot tells of what it paused."""

    def __init__(self, bot: "SpeckleBot") -> None:
        self._guilds = bot.guild_service

    @app_commands.command(description="Where the bot tells that it had to pause a subscription")
    @app_commands.describe(
        channel="Tell it in this channel, mentioning whoever made the subscription",
        off="Tell it in a direct message again",
    )
    @for_managers
    async def notices(
        self, interaction: Interaction, channel: Picked | None = None, off: bool = False
    ) -> None:
        """Show or choose the guild's notice channel."""
        await reply(
            interaction, Reply(await in_time(interaction, self._do(interaction, channel, off)))
        )

    async def _do(self, interaction: Interaction, channel: Picked | None, off: bool) -> str:
        guild_id, caller = guild_id_of(interaction), caller_of(interaction, channel)
        if channel is None and not off:
            shown = notice_wording.shown(await self._guilds.notice_channel(guild_id, caller))
            usage = await self._guilds.usage(guild_id, caller)
            return shown if usage is None else f"{shown}\n\n{quota_wording.in_all(usage)}"
        if channel is not None and off:
            raise CommandRefused("Give either `channel` or `off`, not both. Nothing was changed.")
        place = None if channel is None else await find_place(interaction, channel.id)
        await self._guilds.choose_notice_channel(guild_id, caller, place)
        return notice_wording.chosen(None if place is None else place.channel_id)


class ResumeButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"notice:resume:(?P<channel>[0-9]{1,20})",
):
    """Lets a paused channel go on where it stopped, from a direct message too."""

    def __init__(self, channel_id: int) -> None:
        self.channel_id = channel_id
        super().__init__(
            discord.ui.Button(
                label="Resume",
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
        """Make the button that was pressed anew."""
        return cls(int(match["channel"]))

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Resume and say so in place of the notice; a refusal leaves notice and button there."""
        await redraw_with(interaction, self._resume(interaction))

    async def _resume(self, interaction: Interaction) -> Reply:
        go_on = interaction.client.subscriptions.resume_channel
        resumed = await _resumed(interaction, self.channel_id, go_on)
        user_id, at = interaction.user.id, interaction.created_at
        return Reply(embed=notice_wording.resumed_embed(resumed, user_id, at))


class AccessButton(
    discord.ui.DynamicItem[discord.ui.Button[discord.ui.View]],
    template=r"notice:access:(?P<how>resume|take):(?P<channel>[0-9]{1,20})",
):
    """Goes on with the account of whoever presses it, where access to a project was lost.

    *Resume* and *Take over* do the same: either way it is the presser's account that is asked.
    """

    def __init__(self, channel_id: int, how: str) -> None:
        self.channel_id = channel_id
        take = how == "take"
        super().__init__(
            discord.ui.Button(
                label="Take over" if take else "Resume",
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
        """Make the button that was pressed anew."""
        return cls(int(match["channel"]), match["how"])

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        """Take over and say so in place of the notice; a refusal leaves notice and buttons."""
        await redraw_with(interaction, self._take_over(interaction))

    async def _take_over(self, interaction: Interaction) -> Reply:
        go_on = interaction.client.subscriptions.take_over_channel
        resumed = await _resumed(interaction, self.channel_id, go_on)
        user_id, at = interaction.user.id, interaction.created_at
        return Reply(embed=notice_wording.taken_over_embed(resumed, user_id, at))


async def _resumed(interaction: Interaction, channel_id: int, go_on: GoOn) -> Resumed:
    guild_id = await interaction.client.subscriptions.guild_of(channel_id)
    if guild_id is None:
        return Resumed(channel_id)
    guild = guild_of(interaction.client, guild_id)
    caller = await caller_in(interaction, guild)
    place = await fresh_place(interaction.client, guild, channel_id)
    return await go_on(guild_id, caller, place)


def buttons(notice: Notice) -> tuple[discord.ui.Item[Any], ...]:
    """What can be pressed on a notice."""
    if notice.reason is PauseReason.ACCESS_LOST:
        return tuple(AccessButton(notice.channel_id, how) for how in ("resume", "take"))
    return (ResumeButton(notice.channel_id),)
