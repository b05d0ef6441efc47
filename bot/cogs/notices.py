"""/notices, and the button on what the bot tells of a channel that it paused."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs import notice_wording, quota_wording
from bot.cogs.answers import (
    Interaction,
    Reply,
    UserError,
    in_time,
    redraw,
    redraw_with,
    reply,
    report,
)
from bot.cogs.buttons import view_of
from bot.cogs.notice_wording import Seen
from bot.cogs.places import (
    Picked,
    audiences_in,
    caller_in,
    caller_of,
    find_place,
    for_managers,
    fresh_place,
    guild_id_of,
    guild_of,
)
from bot.cogs.waiting import answer
from bot.db.rows import RIGHTS_PAUSES
from bot.services.outcomes import LinkFirst, Resumed, ShowFirst
from bot.services.places import Caller, Place

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

MAX_WHERE = 60  # of a button's 80 characters


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
            raise UserError("Give either `channel` or `off`, not both. Nothing was changed.")
        place = None if channel is None else await find_place(interaction, channel.id)
        await self._guilds.choose_notice_channel(guild_id, caller, place)
        return notice_wording.chosen(None if place is None else place.channel_id)


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
        await redraw_with(interaction, self._resume(interaction))

    async def _resume(self, interaction: Interaction) -> Reply:
        found = await _there(interaction, self.channel_id)
        resumed = Resumed(self.channel_id)
        if found is not None:
            guild, caller, place = found
            resumed = await interaction.client.subscriptions.resume_channel(guild.id, caller, place)
        user_id, at = interaction.user.id, interaction.created_at
        embed = notice_wording.resumed_embed(
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
            outcome = await in_time(interaction, self._go_on(interaction), new=False)
            if isinstance(outcome, Resumed):
                user_id, at = interaction.user.id, interaction.created_at
                embed = notice_wording.answered_embed(
                    outcome, user_id, at, read_by_others=interaction.guild_id is not None
                )
                await redraw(interaction, _in_its_place(interaction, embed, outcome))
            else:  # others may read the notice, and the question names the project
                await reply(interaction, await answer(interaction.client, outcome))
        except Exception as error:  # the top: discord.py would only log it
            await report(interaction, error)

    async def _go_on(self, interaction: Interaction) -> Resumed | LinkFirst | ShowFirst:
        found = await _there(interaction, self.channel_id)
        if found is None:
            return Resumed(self.channel_id)
        guild, caller, place = found
        return await interaction.client.subscriptions.take_over(
            guild.id, caller, place, audiences_in(guild)
        )


async def _there(
    interaction: Interaction, channel_id: int
) -> tuple[discord.Guild, Caller, Place] | None:
    """The channel's server, who acts there, and the channel; None if it follows nothing."""
    guild_id = await interaction.client.subscriptions.guild_of(channel_id)
    if guild_id is None:
        return None
    guild = guild_of(interaction.client, guild_id)
    caller = await caller_in(interaction, guild)
    return guild, caller, await fresh_place(interaction.client, guild, channel_id)


def _in_its_place(interaction: Interaction, embed: discord.Embed, resumed: Resumed) -> Reply:
    """The message with this in place of the channel's notice; those of others stay, with theirs."""
    message = interaction.message
    if message is None or len(message.embeds) <= 1:
        return Reply(embed=embed)
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
    return Reply(message.content if left else None, embeds=embeds, view=view)


def _again(button: discord.Button) -> discord.ui.Item[Any]:
    """The same button; discord.py would keep a plain one in memory for ever."""
    parts, label = (button.custom_id or "").split(":"), button.label or ""
    where = label.removeprefix("Resume").removeprefix("Take over")
    if parts[1] == "access":
        return AccessButton(int(parts[-1]), parts[2], where)
    return ResumeButton(int(parts[-1]), where)


def _is_of(embed: discord.Embed, channel_id: int) -> bool:
    return (embed.url or "").endswith(f"/{channel_id}")


def buttons(seen: Sequence[Seen]) -> list[discord.ui.Item[Any]]:
    """What can be pressed on a message of notices; several channels are told apart by name."""
    items: list[discord.ui.Item[Any]] = []
    for one in seen:
        notice = one.telling.notice
        where = "" if len(seen) == 1 else f" #{one.channel or notice.channel_id}"[:MAX_WHERE]
        if notice.reason in RIGHTS_PAUSES:
            items += [AccessButton(notice.channel_id, how, where) for how in ("resume", "take")]
        else:
            items.append(ResumeButton(notice.channel_id, where))
    return items
