"""/notices: where the bot tells of what it paused."""

from discord import app_commands
from discord.ext import commands

from bot.cogs.interaction import Picked, actor_of, find_channel, for_managers, guild_id_of
from bot.cogs.notices import quota_texts
from bot.cogs.notices import texts as notice_texts
from bot.cogs.responses import Interaction, Response, UserError, defer_if_slow, respond
from bot.services.guild_membership import GuildService


class NoticesCog(commands.Cog, name="notices"):
    """Chooses where the bot tells of what it paused."""

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
