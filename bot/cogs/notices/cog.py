"""/notices: where the bot reports what it paused."""

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import Picked, actor_of, find_channel, for_managers, guild_id_of
from bot.cogs.notices import quota_texts
from bot.cogs.notices import texts as notice_texts
from bot.cogs.responses import Interaction, Response, UserError, defer_if_slow, respond
from bot.services.guilds import GuildService


class NoticesCog(commands.Cog, name="notices"):
    """Chooses where the bot reports what it paused."""

    def __init__(self, guilds: GuildService) -> None:
        self._guilds = guilds

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
        if channel is not None and off:
            raise UserError(notice_texts.CHANNEL_OR_OFF)
        nothing_chosen = channel is None and not off
        work = self._show(interaction) if nothing_chosen else self._choose(interaction, channel)
        await respond(interaction, Response(await defer_if_slow(interaction, work)))

    async def _show(self, interaction: Interaction) -> str:
        guild_id, actor = guild_id_of(interaction), actor_of(interaction)
        shown = notice_texts.shown(await self._guilds.notice_channel(guild_id, actor))
        usage = await self._guilds.usage(guild_id, actor)
        return shown if usage is None else f"{shown}\n\n{quota_texts.in_all(usage)}"

    async def _choose(self, interaction: Interaction, channel: Picked | None) -> str:
        """None goes back to direct messages."""
        guild_id, actor = guild_id_of(interaction), actor_of(interaction, channel)
        target = None if channel is None else await find_channel(interaction, channel.id)
        await self._guilds.choose_notice_channel(guild_id, actor, target)
        return notice_texts.chosen(None if target is None else target.channel_id)
