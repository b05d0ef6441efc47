"""Discord's channels and permissions, as the values that the services judge by."""

import asyncio
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.cogs.answers import Interaction, UserError
from bot.cogs.refusal_wording import cannot_post_text
from bot.discord_codes import Meaning, meaning_of
from bot.discord_outcomes import DISCORD_ERRORS
from bot.model import Audience
from bot.services.outcomes import AudienceOf
from bot.services.places import (
    Caller,
    Lacking,
    NothingLacking,
    Permission,
    Place,
    PlaceKind,
)
from bot.services.requirements import what_blocks

Picked = app_commands.AppCommandChannel | app_commands.AppCommandThread
"""A channel option's value; it names the caller's permissions there."""

_KINDS: Mapping[discord.ChannelType, PlaceKind] = {
    discord.ChannelType.text: PlaceKind.TEXT,
    discord.ChannelType.news: PlaceKind.ANNOUNCEMENT,
    discord.ChannelType.voice: PlaceKind.VOICE,
    discord.ChannelType.stage_voice: PlaceKind.STAGE,
    discord.ChannelType.public_thread: PlaceKind.THREAD,
    discord.ChannelType.private_thread: PlaceKind.THREAD,
    discord.ChannelType.news_thread: PlaceKind.THREAD,
    discord.ChannelType.forum: PlaceKind.FORUM,
    discord.ChannelType.media: PlaceKind.MEDIA,
    discord.ChannelType.category: PlaceKind.CATEGORY,
}
_FLAGS: Mapping[Permission, discord.Permissions] = {
    Permission.VIEW_CHANNEL: discord.Permissions(view_channel=True),
    Permission.SEND_MESSAGES: discord.Permissions(send_messages=True),
    Permission.SEND_IN_THREADS: discord.Permissions(send_messages_in_threads=True),
    Permission.EMBED_LINKS: discord.Permissions(embed_links=True),
    Permission.ATTACH_FILES: discord.Permissions(attach_files=True),
    Permission.READ_HISTORY: discord.Permissions(read_message_history=True),
    Permission.CONNECT: discord.Permissions(connect=True),
    Permission.MANAGE_THREADS: discord.Permissions(manage_threads=True),
    Permission.MANAGE_WEBHOOKS: discord.Permissions(manage_webhooks=True),
}
NOWHERE = 0  # the id of no channel
ASK_WITHIN_S = 10.0  # how long a delivery that was refused waits to hear why

# A channel, and the one that its permissions are of: for a thread, its parent.
_Fetched = tuple[object, object]

Callback = TypeVar("Callback", bound=Callable[..., Any])


def for_managers(callback: Callback) -> Callback:
    """Make it a command for servers only, by default for members with Manage Webhooks.

    Admins can change that default, so the services check each caller again.
    """
    callback = app_commands.default_permissions(manage_webhooks=True)(callback)
    callback = app_commands.allowed_installs(guilds=True, users=False)(callback)
    return app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)(callback)


def guild_id_of(interaction: Interaction) -> int:
    """The guild that the interaction came from; commands and buttons are for guilds only."""
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    return interaction.guild_id


def here_of(interaction: Interaction) -> discord.Guild:
    """The guild that the interaction came from."""
    if interaction.guild is None:
        raise app_commands.NoPrivateMessage
    return interaction.guild


def guild_of(client: discord.Client, guild_id: int) -> discord.Guild:
    """The guild. Errors: UserError where the bot does not reach it."""
    guild = client.get_guild(guild_id)
    if guild is None or guild.unavailable:
        raise UserError(
            "The bot does not reach that server at the moment, so nothing was changed. If it was "
            "removed from there, invite it again; else try again in a minute."
        )
    return guild


def channel_id_of(interaction: Interaction, picked: Picked | None) -> int:
    """The channel that was picked, else the one that the interaction came from."""
    return picked.id if picked is not None else interaction.channel_id or NOWHERE


def caller_of(interaction: Interaction, picked: Picked | None = None) -> Caller:
    """Who acts, and where they may; Discord's own word where it gave one, else the cache's."""
    told = {interaction.channel_id: interaction.permissions}
    if picked is not None:
        told[picked.id] = picked.permissions
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        raise app_commands.NoPrivateMessage
    by_cache = _caller(guild, member)

    def manages(channel_id: int) -> bool:
        if channel_id in told:
            here = channel_id == interaction.channel_id
            return told[channel_id].manage_webhooks and (here or told[channel_id].view_channel)
        return by_cache.manages(channel_id)

    def sees(channel_id: int) -> bool:
        if channel_id in told:
            return channel_id == interaction.channel_id or told[channel_id].view_channel
        return by_cache.sees(channel_id)

    return Caller(member.id, by_cache.manages_guild, manages, sees)


async def caller_in(interaction: Interaction, guild: discord.Guild) -> Caller:
    """Who acts upon this guild, be it from a direct message, which brings no member along."""
    if interaction.guild_id == guild.id:
        return caller_of(interaction)
    return await member_caller(guild, interaction.user.id)


async def member_caller(guild: discord.Guild, user_id: int) -> Caller:
    """What a member may do, asked of Discord now."""
    try:
        return _caller(guild, await guild.fetch_member(user_id))
    except discord.NotFound:  # they left
        return Caller(user_id, False, nowhere, nowhere)


def nowhere(_channel_id: int) -> bool:
    """What somebody who is not in the server may do, in any of its channels."""
    return False


def _caller(guild: discord.Guild, member: discord.Member) -> Caller:
    in_guild = member.guild_permissions.manage_webhooks

    def manages(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id)
        if channel is None:
            return in_guild
        may = raw_permissions(channel, member).manage_webhooks
        return may and _sees(channel, member)

    def sees(channel_id: int) -> bool:
        channel = guild.get_channel_or_thread(channel_id)
        if channel is None:  # it may be gone, or an archived thread
            return member.guild_permissions.administrator
        return _sees(channel, member)

    return Caller(member.id, in_guild, manages, sees)


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


async def find_place(interaction: Interaction, channel_id: int) -> Place:
    """The channel or thread with this id, asking Discord for what the cache lacks."""
    guild = interaction.guild
    if guild is None:
        return _gone(channel_id)
    channel: object = guild.get_channel_or_thread(channel_id)
    if channel is None and interaction.channel_id == channel_id:
        channel = interaction.channel
    if isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return _place(channel, guild)
    return await fresh_place(interaction.client, guild, channel_id)


async def fresh_place(client: discord.Client, guild: discord.Guild, channel_id: int) -> Place:
    """The channel as Discord has it at this moment; only the guild's roles are the cache's.

    It also finds archived threads, and threads that the bot is not in.
    """
    return _place_of(guild, channel_id, await _fetch(client, channel_id))


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


def _place_of(guild: discord.Guild, channel_id: int, fetched: _Fetched | Meaning) -> Place:
    if fetched is Meaning.NO_PERMISSION:
        return _hidden(guild, channel_id)
    if isinstance(fetched, Meaning):
        return _gone(channel_id)
    channel, parent = fetched
    if not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return _gone(channel_id)
    return _place(
        channel, guild, parent if isinstance(parent, discord.abc.GuildChannel) else channel
    )


async def ask_place(client: discord.Client, guild_id: int, channel_id: int) -> Place | None:
    """The channel as Discord has it at this moment; None if it cannot be asked now."""
    guild = client.get_guild(guild_id)
    if guild is None or guild.unavailable:
        return None
    try:
        async with asyncio.timeout(ASK_WITHIN_S):
            fetched = await _fetch(client, channel_id)
    except DISCORD_ERRORS:
        return None
    return _place_of(guild, channel_id, fetched)


async def why_refused(
    client: discord.Client, guild_id: int, channel_id: int
) -> Lacking | NothingLacking | None:
    """What keeps the bot from posting there; None if that cannot be asked now."""
    place = await ask_place(client, guild_id, channel_id)
    if place is None:
        return None
    found = what_blocks(replace(place, silenced_until=None))
    if found is not None:
        return Lacking(cannot_post_text(found))
    return NothingLacking(place.silenced_until or await _ask_silence(client, guild_id))


async def _ask_silence(client: discord.Client, guild_id: int) -> datetime | None:
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


def _gone(channel_id: int) -> Place:
    return Place(channel_id, PlaceKind.GONE, frozenset())


def _hidden(guild: discord.Guild, channel_id: int) -> Place:
    """A channel that Discord does not show to the bot, as the cache remembers it."""
    channel = guild.get_channel_or_thread(channel_id)
    if channel is None:
        return _gone(channel_id)
    place = _place(channel, guild)
    return replace(place, bot_can=place.bot_can - {Permission.VIEW_CHANNEL})


def _place(
    channel: discord.abc.GuildChannel | discord.Thread,
    guild: discord.Guild,
    settings: discord.abc.GuildChannel | discord.Thread | None = None,
) -> Place:
    """`settings` is the channel whose permissions count, where that is known better."""
    granted = raw_permissions(settings or channel, _as_without_silence(guild.me))
    thread = channel if isinstance(channel, discord.Thread) else None
    return Place(
        channel.id,
        _KINDS.get(channel.type, PlaceKind.OTHER),
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


def audiences_in(guild: discord.Guild) -> AudienceOf:
    """Gives who can see a channel of the guild; None for one that the bot does not know."""

    def of(channel_id: int) -> Audience | None:
        channel = guild.get_channel_or_thread(channel_id)
        return None if channel is None else audience_of(channel, guild)

    return of


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
