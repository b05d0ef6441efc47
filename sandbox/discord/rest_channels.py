"""Channels, threads and forum posts."""

from typing import Any

from sandbox.discord import wire
from sandbox.discord.guilds import (
    POSTS,
    ChannelType,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
)
from sandbox.discord.json_types import JSON
from sandbox.discord.message_rules import MAX_CONTENT, MessageDraft, needed, new_message, read_draft
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.refusals import (
    HAS_THREAD,
    MISSING_PERMISSIONS,
    THREAD_ARCHIVED,
    THREAD_LOCKED,
    UNKNOWN_TAG,
    WRONG_CHANNEL_TYPE,
    Form,
)
from sandbox.discord.rest import Call, RestResponse, Route

# What kinds of threads a channel has; the first is what is made where none is named.
THREAD_TYPES = {
    ChannelType.TEXT: (ChannelType.PRIVATE_THREAD, ChannelType.PUBLIC_THREAD),
    ChannelType.ANNOUNCEMENT: (ChannelType.ANNOUNCEMENT_THREAD,),
}
ARCHIVE_MINUTES = (60, 1440, 4320, 10080)
MAX_NAME = 100
MAX_TOPIC, MAX_FORUM_TOPIC = 1024, 4096
MAX_SLOW_MODE_S = 21_600
MAX_TAGS = 5
THREAD_STARTED_BY_MESSAGE = 1 << 5  # the message's flag HAS_THREAD


async def read(call: Call) -> RestResponse:
    """GET /channels/{channel_id}."""
    return RestResponse(wire.channel(call.world.channel(call.id("channel_id"))))


async def patch(call: Call) -> RestResponse:
    """PATCH /channels/{channel_id}: names and topics, and archiving of threads."""
    channel = call.world.channel(call.id("channel_id"))
    guild = _guild_of(channel)
    _check_form(call.body, name_needed=call.body.get("name") is not None)
    _check_topic(channel, call.body.get("topic"))
    if channel.is_thread:
        _patch_thread(channel, guild.bot, call.body)
    elif guild.bot.may(PermissionBits.MANAGE_CHANNELS, channel):
        channel.topic = call.body.get("topic", channel.topic)
    else:
        raise MISSING_PERMISSIONS
    channel.name = call.body.get("name") or channel.name
    channel.changed()
    return RestResponse(wire.channel(channel))


def _guild_of(channel: SandboxChannel) -> SandboxGuild:
    if channel.guild is None:
        raise WRONG_CHANNEL_TYPE
    return channel.guild


def _patch_thread(thread: SandboxChannel, bot: SandboxMember, body: JSON) -> None:
    manages = bot.may(PermissionBits.MANAGE_THREADS, thread)
    opens = body.get("archived") is False
    if thread.locked and not manages:
        raise THREAD_LOCKED
    if thread.archived and not opens:
        raise THREAD_ARCHIVED
    owns = thread.owner_id == bot.id
    may_open = opens and bot.may(PermissionBits.SEND_MESSAGES_IN_THREADS, thread)
    if not (manages or (owns and "locked" not in body) or (may_open and set(body) <= {"archived"})):
        raise MISSING_PERMISSIONS
    thread.archived = bool(body.get("archived", thread.archived))
    thread.locked = bool(body.get("locked", thread.locked))
    thread.auto_archive_minutes = body.get("auto_archive_duration") or thread.auto_archive_minutes


def _check_form(body: JSON, *, name_needed: bool) -> None:
    form = Form()
    if name_needed:
        form.length(("name",), body.get("name"), MAX_NAME, 1)
    form.between(("rate_limit_per_user",), body.get("rate_limit_per_user"), 0, MAX_SLOW_MODE_S)
    tags = form.items(("applied_tags",), body.get("applied_tags"), MAX_TAGS)
    for index, tag in enumerate(tags):
        form.snowflake(("applied_tags", index), tag)
    minutes = body.get("auto_archive_duration")
    if minutes is not None and minutes not in ARCHIVE_MINUTES:
        form.choices(("auto_archive_duration",), ", ".join(map(str, ARCHIVE_MINUTES)))
    form.finish()
    if tags:  # no forum of the sandbox has any
        raise UNKNOWN_TAG


def _check_topic(channel: SandboxChannel, topic: str | None) -> None:
    form = Form()
    form.length(("topic",), topic, MAX_FORUM_TOPIC if channel.kind in POSTS else MAX_TOPIC)
    form.finish()


async def start_at_message(call: Call) -> RestResponse:
    """POST /channels/{channel_id}/messages/{message_id}/threads."""
    channel = call.world.channel(call.id("channel_id"))
    message = call.world.message(channel, call.id("message_id"))
    guild = _guild_of(channel)
    _check_form(call.body, name_needed=True)
    if channel.kind not in (ChannelType.TEXT, ChannelType.ANNOUNCEMENT):
        raise WRONG_CHANNEL_TYPE
    _check_may_start(channel, guild.bot, private=False)
    if message.id in call.world.directory.channels:
        raise HAS_THREAD
    message.flags |= THREAD_STARTED_BY_MESSAGE
    return RestResponse(wire.channel(_open(channel, call.body, thread_id=message.id)), 201)


async def start(call: Call) -> RestResponse:
    """POST /channels/{channel_id}/threads: a thread of its own, or a post in a forum."""
    channel = call.world.channel(call.id("channel_id"))
    guild = _guild_of(channel)
    _check_form(call.body, name_needed=True)
    if channel.kind in POSTS:
        return RestResponse(_start_post(call, channel, guild.bot), 201)
    if channel.kind not in (ChannelType.TEXT, ChannelType.ANNOUNCEMENT):
        raise WRONG_CHANNEL_TYPE
    private = _thread_type(channel, call.body.get("type")) is ChannelType.PRIVATE_THREAD
    _check_may_start(channel, guild.bot, private=private)
    return RestResponse(wire.channel(_open(channel, call.body, private=private)), 201)


def _thread_type(channel: SandboxChannel, wanted: Any) -> ChannelType:
    """The type of a new thread: one of those that the channel can have."""
    allowed = THREAD_TYPES[channel.kind]
    if wanted is None:
        return allowed[0]
    if wanted not in allowed:
        form = Form()
        form.choices(("type",), ", ".join(str(int(one)) for one in allowed))
        form.finish()
    return ChannelType(wanted)


def _check_may_start(channel: SandboxChannel, bot: SandboxMember, *, private: bool) -> None:
    wanted = (
        PermissionBits.CREATE_PRIVATE_THREADS if private else PermissionBits.CREATE_PUBLIC_THREADS
    )
    if not bot.may(wanted, channel):
        raise MISSING_PERMISSIONS


def _open(
    channel: SandboxChannel, body: JSON, *, private: bool = False, thread_id: int | None = None
) -> SandboxChannel:
    thread = channel.add_thread(body["name"], private=private, bot_joined=True, id=thread_id)
    thread.auto_archive_minutes = body.get("auto_archive_duration") or thread.auto_archive_minutes
    return thread


def _start_post(call: Call, forum: SandboxChannel, bot: SandboxMember) -> JSON:
    """A post: the thread and its first message, which has the same id."""
    form = Form()
    message_body = call.body.get("message")
    if not isinstance(message_body, dict):
        form.required(("message",))
        form.finish()
        raise AssertionError("finish() raises where something was added")
    form.length(("message", "content"), message_body.get("content"), MAX_CONTENT)
    draft = read_draft(call.world, forum, message_body, call.uploads, prefix=("message",))
    if not bot.may(needed(draft, in_thread=False), forum):
        raise MISSING_PERMISSIONS
    message = _first_message(call, forum, draft)
    return wire.channel(message.channel) | {"message": wire.message(message)}


def _first_message(call: Call, forum: SandboxChannel, draft: MessageDraft) -> SandboxMessage:
    message = new_message(call.world, forum, draft)
    thread = _open(forum, call.body, thread_id=message.id)
    message.channel = thread
    thread.messages[message.id] = message
    return message


async def join(call: Call) -> RestResponse:
    """PUT /channels/{channel_id}/thread-members/@me."""
    return _membership(call, inside=True)


async def leave(call: Call) -> RestResponse:
    """DELETE /channels/{channel_id}/thread-members/@me."""
    return _membership(call, inside=False)


def _membership(call: Call, *, inside: bool) -> RestResponse:
    thread = call.world.channel(call.id("channel_id"))
    if not thread.is_thread:
        raise WRONG_CHANNEL_TYPE
    if thread.archived:
        raise THREAD_ARCHIVED
    if inside:
        thread.joined.add(call.world.bot.id)
    else:
        thread.joined.discard(call.world.bot.id)
    return RestResponse()


ROUTES = (
    Route("GET", "/channels/{channel_id}", read),
    Route("PATCH", "/channels/{channel_id}", patch),
    Route("POST", "/channels/{channel_id}/messages/{message_id}/threads", start_at_message),
    Route("POST", "/channels/{channel_id}/threads", start),
    Route("PUT", "/channels/{channel_id}/thread-members/@me", join),
    Route("DELETE", "/channels/{channel_id}/thread-members/@me", leave),
)
