"""Discord's channels and permissions, as the values that the services judge by."""

import asyncio
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any

import discord

from bot.discord_api.error_codes import Meaning, meaning_of
from bot.discord_api.outcomes import DISCORD_ERRORS
from bot.permissions import Actor, Audience, ChannelKind, ChannelPermission, TargetChannel

_KINDS: Mapping[discord.ChannelType, ChannelKind] = {
    discord.ChannelType.text: ChannelKind.TEXT,
    discord.ChannelType.news: ChannelKind.ANNOUNCEMENT,
    discord.ChannelType.voice: ChannelKind.VOICE,
    discord.ChannelType.stage_voice: ChannelKind.STAGE,
    discord.ChannelType.public_thread: ChannelKind.THREAD,
    discord.ChannelType.private_thread: ChannelKind.THREAD,
    discord.ChannelType.news_thread: ChannelKind.THREAD,
    discord.ChannelType.forum: ChannelKind.FORUM,
    discord.ChannelType.media: ChannelKind.MEDIA,
    discord.ChannelType.category: ChannelKind.CATEGORY,
}
_FLAGS: Mapping[ChannelPermission, discord.Permissions] = {
    ChannelPermission.VIEW_CHANNEL: discord.Permissions(view_channel=True),
    ChannelPermission.SEND_MESSAGES: discord.Permissions(send_messages=True),
    ChannelPermission.SEND_IN_THREADS: discord.Permissions(send_messages_in_threads=True),
    ChannelPermission.EMBED_LINKS: discord.Permissions(embed_links=True),
    ChannelPermission.ATTACH_FILES: discord.Permissions(attach_files=True),
    ChannelPermission.READ_HISTORY: discord.Permissions(read_message_history=True),
    ChannelPermission.CONNECT: discord.Permissions(connect=True),
    ChannelPermission.MANAGE_THREADS: discord.Permissions(manage_threads=True),
    ChannelPermission.MANAGE_WEBHOOKS: discord.Permissions(manage_webhooks=True),
}
ASK_WITHIN_S = 10.0  # how long a message that was refused waits to hear why

# A channel, and the one that its permissions are of: for a thread, its parent.
_Fetched = tuple[object, object]


async def member_actor(guild: discord.Guild, user_id: int) -> Actor:
    """What a member may do, asked of Discord now."""
    try:
        return actor_by_cache(guild, await guild.fetch_member(user_id))
    except discord.NotFound:  # they left
        return Actor(user_id, False, nowhere, nowhere)


def nowhere(_channel_id: int) -> bool:
    """What somebody who is not in the server may do, in any of its channels."""
    return False


def actor_by_cache(guild: discord.Guild, member: discord.Member) -> Actor:
    in_guild = member.guild_permissions

    def manages(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id)
        if channel is None:
            return in_guild.manage_webhooks
        may = raw_permissions(channel, member).manage_webhooks
        return may and _sees(channel, member)

    def sees(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id)
        if channel is None:  # it may be gone, or an archived thread
            return in_guild.administrator
        return _sees(channel, member)

    return Actor(
        member.id,
        in_guild.manage_webhooks,
        manages,
        sees,
        manages_server=in_guild.manage_guild,
        reads_audit_log=in_guild.view_audit_log,
    )


def _sees(channel: discord.abc.GuildChannel | discord.Thread, member: discord.Member) -> bool:
    permissions = raw_permissions(channel, member)
    # Who is in a private thread is not in the cache.
    hidden = isinstance(channel, discord.Thread) and channel.is_private()
    return permissions.view_channel and (not hidden or permissions.manage_threads)


def raw_permissions(
    channel: discord.abc.GuildChannel | discord.Thread, member: discord.Member
) -> discord.Permissions:
    """Permissions as they are set; discord.py's own answer also drops what others imply."""
    parent = channel.parent if isinstance(channel, discord.Thread) else channel
    if parent is None:
        return discord.Permissions.none()
    return discord.abc.GuildChannel.permissions_for(parent, member)


async def fetch_channel(
    client: discord.Client, guild: discord.Guild, channel_id: int
) -> TargetChannel:
    """The channel as Discord has it at this moment; only the guild's roles are the cache's.

    It also finds archived threads, and threads that the bot is not in.
    """
    return _target_of(guild, channel_id, await _fetch(client, channel_id))


async def _fetch(client: discord.Client, channel_id: int) -> _Fetched | Meaning:
    """The channel, or why Discord does not give it."""
    try:
        channel = await client.fetch_channel(channel_id)
        if not isinstance(channel, discord.Thread):
            return channel, channel
        return channel, await client.fetch_channel(channel.parent_id)
    except discord.InvalidData:
        return Meaning.CHANNEL_GONE
    except discord.HTTPException as error:
        meaning = meaning_of(error.code)
        if meaning in (Meaning.NO_PERMISSION, Meaning.CHANNEL_GONE):
            return meaning
        raise  # something on the way refused it, or for a reason that says nothing of the channel


def _target_of(guild: discord.Guild, channel_id: int, fetched: _Fetched | Meaning) -> TargetChannel:
    if fetched is Meaning.NO_PERMISSION:
        return _hidden(guild, channel_id)
    if isinstance(fetched, Meaning):
        return gone_channel(channel_id)
    channel, parent = fetched
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return gone_channel(channel_id)
    return target_channel(
        channel, guild, parent if isinstance(parent, discord.abc.GuildChannel) else channel
    )


async def ask_channel(
    client: discord.Client, guild_id: int, channel_id: int
) -> TargetChannel | None:
    """The channel as Discord has it at this moment; None if it cannot be asked now."""
    guild = client.get_guild(guild_id)
    if guild is None or guild.unavailable:
        return None
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            fetched = await _fetch(client, channel_id)
    except DISCORD_ERRORS:
        return None
    return _target_of(guild, channel_id, fetched)


async def ask_time_out(client: discord.Client, guild_id: int) -> datetime | None:
    """Until when the bot is in time-out, as Discord has it at this moment."""
    guild = client.get_guild(guild_id)
    if guild is None or client.user is None:
        return None
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            me = await guild.fetch_member(client.user.id)
    except DISCORD_ERRORS:
        return None
    return _silenced_until(me)


def _silenced_until(me: discord.Member) -> datetime | None:
    return me.timed_out_until if me.is_timed_out() else None


def _as_without_silence(me: discord.Member) -> discord.Member:
    """discord.py takes a time-out for missing permissions, which are there all the same."""
    if me.timed_out_until is None:
        return me
    heard = copy(me)
    heard.timed_out_until = None
    return heard


def gone_channel(channel_id: int) -> TargetChannel:
    return TargetChannel(channel_id, ChannelKind.GONE, frozenset())


def _hidden(guild: discord.Guild, channel_id: int) -> TargetChannel:
    """A channel that Discord does not show to the bot, as the cache remembers it."""
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None:
        return gone_channel(channel_id)
    target = target_channel(channel, guild)
    return replace(target, bot_can=target.bot_can - {ChannelPermission.VIEW_CHANNEL})


def target_channel(
    channel: discord.abc.GuildChannel | discord.Thread,
    guild: discord.Guild,
    settings: discord.abc.GuildChannel | discord.Thread | None = None,
) -> TargetChannel:
    """`settings` is the channel whose permissions count, where that is known better."""
    granted = raw_permissions(settings or channel, _as_without_silence(guild.me))
    thread = channel if isinstance(channel, discord.Thread) else None
    return TargetChannel(
        channel.id,
        _KINDS.get(channel.type, ChannelKind.OTHER),
        frozenset(name for name, flag in _FLAGS.items() if granted.is_superset(flag)),
        archived=thread is not None and thread.archived,
        locked=thread is not None and thread.locked,
        bot_in_thread=thread is None
        or not thread.is_private()
        or thread.me is not None
        or guild.get_thread(thread.id) is not None,
        audience=audience_of(channel, guild, settings),
        silenced_until=_silenced_until(guild.me),
    )


def audience_of(
    channel: discord.abc.GuildChannel | discord.Thread,
    guild: discord.Guild,
    settings: discord.abc.GuildChannel | discord.Thread | None = None,
) -> Audience:
    """Who can see a channel, from its permissions and the guild's roles; no member list is needed.

    `settings` is the channel whose permissions count, where that is known better.
    """
    thread = channel if isinstance(channel, discord.Thread) else None
    decides = settings or (thread.parent if thread is not None else channel)
    parent_id = None if thread is None else thread.parent_id
    hidden = thread is not None and thread.is_private()
    if decides is None or isinstance(decides, discord.Thread):
        return Audience(False, (), (), parent_id, hidden, guild.member_count)
    rules = decides.overwrites
    by_default = _after(guild.default_role.permissions, rules.get(guild.default_role))
    roles = [
        role
        for role in guild.roles
        if not role.is_default() and not role.is_bot_managed() and _role_sees(role, guild, rules)
    ]
    members = [
        target.id
        for target, rule in rules.items()
        if rule.view_channel and not _is_role(target) and target.id != guild.me.id
    ]
    return Audience(
        everyone=by_default.view_channel and not hidden,
        roles=tuple(role.id for role in roles),
        members=tuple(members),
        parent_id=parent_id,
        in_thread=hidden,
        people=guild.member_count,
        announcement=_is_announcement(channel),
    )


def _is_announcement(channel: discord.abc.GuildChannel | discord.Thread) -> bool:
    """Whether messages can be published from there; those in its threads cannot."""
    return isinstance(channel, discord.TextChannel) and channel.is_news()


_Rules = Mapping[Any, discord.PermissionOverwrite]


def _role_sees(role: discord.Role, guild: discord.Guild, rules: _Rules) -> bool:
    """Whether somebody with this role alone sees the channel."""
    granted = guild.default_role.permissions | role.permissions
    if granted.administrator:
        return True
    granted = _after(granted, rules.get(guild.default_role))
    return _after(granted, rules.get(role)).view_channel


def _after(
    permissions: discord.Permissions, rule: discord.PermissionOverwrite | None
) -> discord.Permissions:
    if rule is None:
        return permissions
    allowed, denied = rule.pair()
    return discord.Permissions((permissions.value & ~denied.value) | allowed.value)


def _is_role(target: object) -> bool:
    kind = target.type if isinstance(target, discord.Object) else type(target)
    return issubclass(kind, discord.Role)
