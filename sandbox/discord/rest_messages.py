"""Messages of channels: posting, reading, editing, deleting."""

from sandbox.discord import wire
from sandbox.discord.guilds import EPHEMERAL, SandboxChannel
from sandbox.discord.message_rules import (
    check_may_write,
    check_not_locked,
    check_thread_open,
    edit,
    new_message,
    read_draft,
)
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.refusals import MISSING_PERMISSIONS, NOT_THE_AUTHOR
from sandbox.discord.rest import Call, RestResponse, Route


async def post(call: Call) -> RestResponse:
    """POST /channels/{channel_id}/messages."""
    channel = call.world.channel(call.id("channel_id"))
    draft = read_draft(call.world, channel, call.body, call.uploads)
    check_may_write(channel, draft)
    if draft.enforce_nonce:
        earlier = call.world.message_of_nonce(channel, draft.nonce)
        if earlier is not None:
            return RestResponse(wire.message(earlier))
    message = new_message(call.world, channel, draft)
    message.flags &= ~EPHEMERAL  # only an answer to a member can be seen by him alone
    channel.open_again()
    channel.messages[message.id] = message
    call.world.remember_nonce(message)
    return RestResponse(wire.message(message))


async def read(call: Call) -> RestResponse:
    """GET /channels/{channel_id}/messages/{message_id}."""
    channel = _readable(call)
    return RestResponse(wire.message(call.world.message(channel, call.id("message_id"))))


def _readable(call: Call) -> SandboxChannel:
    channel = call.world.channel(call.id("channel_id"))
    if channel.guild and not channel.guild.bot.may(PermissionBits.READ_MESSAGE_HISTORY, channel):
        raise MISSING_PERMISSIONS
    return channel


async def listing(call: Call) -> RestResponse:
    """GET /channels/{channel_id}/messages, the newest first."""
    channel = _readable(call)
    before, after = call.place("before"), call.place("after")
    low, high = after or 0, before or 1 << 63
    found = [message for message in channel.messages.values() if low < message.id < high]
    limit = call.limit(50, 100)
    taken = found[:limit] if after is not None and before is None else found[-limit:]
    return RestResponse([wire.message(message) for message in reversed(taken)])


async def patch(call: Call) -> RestResponse:
    """PATCH /channels/{channel_id}/messages/{message_id}."""
    channel = call.world.channel(call.id("channel_id"))
    message = call.world.message(channel, call.id("message_id"))
    if message.author is not call.world.bot:
        raise NOT_THE_AUTHOR
    if channel.guild is not None:
        check_thread_open(channel, channel.guild.bot)
    edit(message, read_draft(call.world, channel, call.body, call.uploads, message))
    return RestResponse(wire.message(message))


async def delete(call: Call) -> RestResponse:
    """DELETE /channels/{channel_id}/messages/{message_id}."""
    channel = call.world.channel(call.id("channel_id"))
    message = call.world.message(channel, call.id("message_id"))
    others = message.author is not call.world.bot
    if (
        others
        and channel.guild
        and not channel.guild.bot.may(PermissionBits.MANAGE_MESSAGES, channel)
    ):
        raise MISSING_PERMISSIONS
    if channel.guild is not None and channel.archived:  # an unlocked one lets messages go
        check_not_locked(channel, channel.guild.bot)
    del channel.messages[message.id]
    message.deleted = True
    return RestResponse()


async def typing(call: Call) -> RestResponse:
    """POST /channels/{channel_id}/typing."""
    call.world.channel(call.id("channel_id"))
    return RestResponse()


ROUTES = (
    Route("POST", "/channels/{channel_id}/messages", post),
    Route("GET", "/channels/{channel_id}/messages", listing),
    Route("GET", "/channels/{channel_id}/messages/{message_id}", read),
    Route("PATCH", "/channels/{channel_id}/messages/{message_id}", patch),
    Route("DELETE", "/channels/{channel_id}/messages/{message_id}", delete),
    Route("POST", "/channels/{channel_id}/typing", typing),
)
