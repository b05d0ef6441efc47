"""What Discord asks of allowed_mentions and of a reference to another message."""

from sandbox.discord.guilds import SandboxChannel
from sandbox.discord.json_types import JSON
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.refusals import NO_HISTORY_TO_REPLY, Form

KINDS = ("everyone", "roles", "users")
MAX_MENTIONED = 100
REPLY, FORWARD = 0, 1


def check_allowed_mentions(form: Form, allowed: JSON | None) -> None:
    """Kinds of mentions, or single people and roles, but not both of one kind."""
    if allowed is None:
        return
    parse = allowed.get("parse")
    form.one_of_each(("allowed_mentions", "parse"), parse, KINDS)
    for key in ("users", "roles"):
        path = ("allowed_mentions", key)
        named = form.items(path, allowed.get(key), MAX_MENTIONED)
        for index, one in enumerate(named):
            form.snowflake((*path, index), one)
        if len(named) != len(set(map(str, named))):
            form.add(path, "SET_TYPE_ALREADY_CONTAINS_VALUE", "The set already contains it.")
        if named and isinstance(parse, list) and key in parse:
            text = f'parse:["{key}"] and {key}: [ids...] are mutually exclusive.'
            form.add(("allowed_mentions",), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", text)


def check_reference(form: Form, channel: SandboxChannel, reference: JSON | None) -> JSON | None:
    """What a new message refers to; None where it is gone and that does not matter."""
    if reference is None:
        return None
    for key in ("channel_id", "guild_id"):
        if reference.get(key) is not None:
            form.snowflake(("message_reference", key), reference[key])
    form.snowflake(("message_reference", "message_id"), reference.get("message_id"))
    if reference.get("type") not in (None, REPLY, FORWARD):
        form.choices(("message_reference", "type"), "0, 1")
    source = _source(channel, reference)
    message_id = str(reference.get("message_id"))
    there = source is not None and message_id.isdecimal() and int(message_id) in source.messages
    if not there and reference.get("fail_if_not_exists") is False:
        return None
    if not there:
        form.add(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
    return reference


def _source(channel: SandboxChannel, reference: JSON) -> SandboxChannel | None:
    """The channel of the message that is meant: a reply stays in its own."""
    named = str(reference.get("channel_id") or channel.id)
    if (reference.get("type") or REPLY) == REPLY:
        return channel if named == str(channel.id) else None
    return channel.directory.channels.get(int(named) if named.isdecimal() else 0)


def check_may_reply(channel: SandboxChannel) -> None:
    """Raise what Discord says to a reply by a bot that may not read what was said."""
    guild = channel.guild
    if guild is not None and not guild.bot.may(PermissionBits.READ_MESSAGE_HISTORY, channel):
        raise NO_HISTORY_TO_REPLY
