"""Discord's channels and permissions, as the values that the services judge by."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.cogs.answers import Interaction
from bot.services.places import Caller, Permission, Place, PlaceKind

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
    in_guild = member.guild_permissions.manage_webhooks

    def manages(channel_id: int) -> bool:
        if channel_id in told:
            here = channel_id == interaction.channel_id
            return told[channel_id].manage_webhooks and (here or told[channel_id].view_channel)
        channel = guild.get_channel_or_thread(channel_id)
        return in_guild if channel is None else _manages(member, channel)

    return Caller(member.id, in_guild, manages)


def _manages(member: discord.Member, channel: discord.abc.GuildChannel | discord.Thread) -> bool:
    permissions = _raw_permissions(channel, member)
    # Who is in a private thread is not in the cache.
    hidden = isinstance(channel, discord.Thread) and channel.is_private()
    seen = permissions.view_channel and (not hidden or permissions.manage_threads)
    return seen and permissions.manage_webhooks


def _raw_permissions(
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
    channel = await _find(interaction, channel_id)
    if guild is None or not isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return Place(channel_id, PlaceKind.GONE, frozenset())
    return _place(channel, guild)


async def _find(interaction: Interaction, channel_id: int) -> object:
    cached = interaction.guild and interaction.guild.get_channel_or_thread(channel_id)
    if cached is not None:
        return cached
    if interaction.channel is not None and interaction.channel.id == channel_id:
        return interaction.channel
    try:  # archived threads and threads that the bot is not in
        return await interaction.client.fetch_channel(channel_id)
    except (discord.NotFound, discord.Forbidden, discord.InvalidData):
        return None


def _place(channel: discord.abc.GuildChannel | discord.Thread, guild: discord.Guild) -> Place:
    granted = _raw_permissions(channel, guild.me)
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
    )
