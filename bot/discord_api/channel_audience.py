"""Who sees a channel, as Discord says: what the one rule asks of Discord while events come."""

import discord
from cachetools import TTLCache

from bot.discord_api.channels import audience_of, raw_permissions
from bot.discord_api.error_codes import Meaning, meaning_of
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text
from bot.permissions import Audience, MemberPresence

MOST_KNOWN = 10_000
NOBODY_SEES = Audience(everyone=False)

Channel = discord.abc.GuildChannel | discord.Thread
CLOSED = frozenset({Meaning.CHANNEL_GONE, Meaning.NO_PERMISSION})
NOBODY_CODES = frozenset({10007, 10013})  # Unknown member, Unknown user


class Unanswered(Exception):
    """Discord could not be asked; `error` is why."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error_text(error))
        self.error = error


class DiscordChannelAudience:
    """Answers from what the gateway sends, and asks Discord for what it does not send: members."""

    def __init__(self, client: discord.Client, known_s: float) -> None:
        """`known_s`: a member who left, or lost the channel, is noticed so long after at most."""
        self._client = client
        # By the ids of guild and member.
        self._members = TTLCache[tuple[int, int], discord.Member](MOST_KNOWN, known_s)

    async def audience(self, guild_id: int, channel_id: int) -> Audience | None:
        """Who can see a channel: nobody where it is gone, None if that cannot be found out now."""
        guild = self._guild(guild_id)
        if guild is None:
            return None
        try:
            channel = await self._channel(guild, channel_id)
        except Unanswered:
            return None
        return NOBODY_SEES if channel is None else audience_of(channel, guild)

    async def person(self, guild_id: int, channel_id: int, user_id: int) -> MemberPresence:
        """Whether somebody is in the guild and sees the channel, as of the last ten minutes.

        A no is always as of now: they may just have come back, and answered.
        """
        guild = self._guild(guild_id)
        if guild is None:
            return MemberPresence.UNKNOWN
        try:
            channel = await self._channel(guild, channel_id)
            known = self._members.get((guild.id, user_id))
            if known is not None and await _may_watch(channel, known):
                return MemberPresence.SEES
            member = await self._member(guild, user_id)
            if member is None:
                return MemberPresence.LEFT
            return (
                MemberPresence.SEES if await _may_watch(channel, member) else MemberPresence.BLIND
            )
        except Unanswered:
            return MemberPresence.UNKNOWN

    def _guild(self, guild_id: int) -> discord.Guild | None:
        guild = self._client.get_guild(guild_id)
        return None if guild is None or guild.unavailable else guild

    async def _channel(self, guild: discord.Guild, channel_id: int) -> Channel | None:
        """The channel; archived threads are not among those that the gateway sends.

        Errors: Unanswered.
        """
        found = guild.get_channel_or_thread(channel_id)
        if found is not None:
            return found
        try:
            fetched = await self._client.fetch_channel(channel_id)
        except discord.InvalidData:
            return None
        except DISCORD_ERRORS as error:
            if isinstance(error, discord.HTTPException) and meaning_of(error.code) in CLOSED:
                return None
            raise Unanswered(error) from error
        return fetched if isinstance(fetched, Channel) else None

    async def _member(self, guild: discord.Guild, user_id: int) -> discord.Member | None:
        member = await fetch_member(guild, user_id)
        if member is None:
            self._members.pop((guild.id, user_id), None)
        else:
            self._members[guild.id, user_id] = member
        return member


async def fetch_member(guild: discord.Guild, user_id: int) -> discord.Member | None:
    """The member as Discord has them at this moment; None for nobody.

    Errors: Unanswered.
    """
    try:
        return await guild.fetch_member(user_id)
    except DISCORD_ERRORS as error:
        if says_nobody(error):
            return None
        raise Unanswered(error) from error


def says_nobody(error: Exception) -> bool:
    """Whether Discord says that there is no such member, and not something on the way there."""
    return isinstance(error, discord.NotFound) and error.code in NOBODY_CODES


async def _may_watch(channel: Channel | None, member: discord.Member) -> bool:
    # Where the channel is gone, sending finds out and reports it.
    return channel is None or await sees(channel, member)


async def sees(channel: Channel, member: discord.Member) -> bool:
    """Whether a member sees a channel; of a private thread Discord is asked.

    Errors: Unanswered.
    """
    permissions = raw_permissions(channel, member)
    if not permissions.view_channel:
        return False
    hidden = isinstance(channel, discord.Thread) and channel.is_private()
    if not hidden or permissions.manage_threads:
        return True
    assert isinstance(channel, discord.Thread), "only threads are hidden"  # noqa: S101
    try:
        await channel.fetch_member(member.id)
    except DISCORD_ERRORS as error:
        if says_nobody(error):
            return False
        raise Unanswered(error) from error
    return True
