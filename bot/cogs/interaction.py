"""What an interaction says: who acts, in which guild and channel, and where they may."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import discord
from discord import app_commands

from bot.cogs.refusal_texts import GUILD_OUT_OF_REACH
from bot.cogs.responses import Interaction, UserError
from bot.discord_api.channels import (
    actor_by_cache,
    ask_channel,
    ask_time_out,
    audience_of,
    fetch_channel,
    gone_channel,
    member_actor,
    target_channel,
)
from bot.permissions import Actor, Audience, PostingAllowed, TargetChannel
from bot.services.channel_rules import what_blocks
from bot.services.refusals import CannotPost
from bot.services.subscribe_results import AudienceOf

Picked = app_commands.AppCommandChannel | app_commands.AppCommandThread
"""A channel option's value; it names the caller's permissions there."""
NOWHERE = 0  # the id of no channel

Callback = TypeVar("Callback", bound=Callable[..., Any])


def for_managers(callback: Callback) -> Callback:
    """Make it a command for servers only, by default for members with Manage Webhooks.

    Admins can change that default, so the services check each caller again.
    """
    callback = app_commands.default_permissions(manage_webhooks=True)(callback)
    callback = app_commands.allowed_installs(guilds=True, users=False)(callback)
    return app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)(callback)


def for_members(callback: Callback) -> Callback:
    """Make it a command for every member of a server, and for servers only."""
    callback = app_commands.allowed_installs(guilds=True, users=False)(callback)
    return app_commands.allowed_contexts(guilds=True, dms=False, private_channels=False)(callback)


def for_everyone(callback: Callback) -> Callback:
    """Make it a command for every member, and for direct messages with the bot."""
    callback = app_commands.allowed_installs(guilds=True, users=False)(callback)
    return app_commands.allowed_contexts(guilds=True, dms=True, private_channels=False)(callback)


def guild_id_of(interaction: Interaction) -> int:
    """The guild that the interaction came from; commands and buttons are for guilds only."""
    if interaction.guild_id is None:
        raise app_commands.NoPrivateMessage
    return interaction.guild_id


def guild_here(interaction: Interaction) -> discord.Guild:
    """The guild that the interaction came from."""
    if interaction.guild is None:
        raise app_commands.NoPrivateMessage
    return interaction.guild


def guild_of(client: discord.Client, guild_id: int) -> discord.Guild:
    """The guild. Errors: UserError where the bot does not reach it."""
    guild = client.get_guild(guild_id)
    if guild is None or guild.unavailable:
        raise UserError(GUILD_OUT_OF_REACH)
    return guild


def channel_id_of(interaction: Interaction, picked: Picked | None) -> int:
    """The channel that was picked, else the one that the interaction came from."""
    return picked.id if picked is not None else interaction.channel_id or NOWHERE


def actor_of(interaction: Interaction, picked: Picked | None = None) -> Actor:
    """Who acts, and where they may; Discord's own word where it gave one, else the cache's."""
    given = {interaction.channel_id: interaction.permissions}
    if picked is not None:
        given[picked.id] = picked.permissions
    guild, member = interaction.guild, interaction.user
    if guild is None or not isinstance(member, discord.Member):
        raise app_commands.NoPrivateMessage
    by_cache = actor_by_cache(guild, member)

    def manages(channel_id: int) -> bool:
        if channel_id in given:
            here = channel_id == interaction.channel_id
            return given[channel_id].manage_webhooks and (here or given[channel_id].view_channel)
        return by_cache.manages(channel_id)

    def sees(channel_id: int) -> bool:
        if channel_id in given:
            return channel_id == interaction.channel_id or given[channel_id].view_channel
        return by_cache.sees(channel_id)

    return replace(by_cache, manages=manages, sees=sees)


async def actor_in(interaction: Interaction, guild: discord.Guild) -> Actor:
    """Who acts on this guild, also from a direct message, which comes without a member."""
    if interaction.guild_id == guild.id:
        return actor_of(interaction)
    return await member_actor(guild, interaction.user.id)


async def find_channel(interaction: Interaction, channel_id: int) -> TargetChannel:
    """The channel or thread with this id, asking Discord for what the cache lacks."""
    guild = interaction.guild
    if guild is None:
        return gone_channel(channel_id)
    channel: object = guild.get_channel_or_thread(channel_id)
    if channel is None and interaction.channel_id == channel_id:
        channel = interaction.channel
    if isinstance(channel, discord.abc.GuildChannel | discord.Thread):
        return target_channel(channel, guild)
    return await fetch_channel(interaction.client, guild, channel_id)


async def why_posting_failed(
    client: discord.Client, guild_id: int, channel_id: int
) -> CannotPost | PostingAllowed | None:
    """What keeps the bot from posting there; None if that cannot be asked now."""
    target = await ask_channel(client, guild_id, channel_id)
    if target is None:
        return None
    found = what_blocks(replace(target, silenced_until=None))
    if found is not None:
        return found
    return PostingAllowed(target.silenced_until or await ask_time_out(client, guild_id))


def audiences_in(guild: discord.Guild) -> AudienceOf:
    """Gives who can see a channel of the guild; None for one that the bot does not know."""

    def of(channel_id: int) -> Audience | None:
        channel = guild.get_channel_or_thread(channel_id)
        return None if channel is None else audience_of(channel, guild)

    return of
