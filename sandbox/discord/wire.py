"""The sandbox's objects as Discord writes them in JSON."""

from datetime import datetime

from sandbox.discord.guilds import (
    Attachment,
    Changed,
    Poll,
    SandboxChannel,
    SandboxEmoji,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
    SandboxRole,
    SandboxUser,
)
from sandbox.discord.json_types import JSON


def time(moment: datetime) -> str:
    """A time as Discord writes it."""
    return moment.isoformat(timespec="microseconds")


def user(someone: SandboxUser) -> JSON:
    """A user object."""
    return {
        "id": str(someone.id),
        "username": someone.name,
        "discriminator": "0",
        "global_name": None if someone.bot else someone.name,
        "avatar": None,
        "bot": someone.bot,
        "public_flags": 0,
    }


def role(some: SandboxRole) -> JSON:
    """A role object."""
    return {
        "id": str(some.id),
        "name": some.name,
        "permissions": str(some.permissions),
        "position": 0 if some.id == some.guild.id else 1,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": some.managed,
        "mentionable": False,
        "flags": 0,
    }


def member(someone: SandboxMember) -> JSON:
    """A guild member object, the user included."""
    return {
        "user": user(someone.user),
        "nick": None,
        "avatar": None,
        "roles": [str(some.id) for some in someone.roles],
        "joined_at": time(someone.guild.joined_at),
        "communication_disabled_until": _time_or_none(someone.timed_out_until),
        "premium_since": None,
        "deaf": False,
        "mute": False,
        "pending": False,
        "flags": 0,
    }


def _time_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else time(moment)


def channel(some: SandboxChannel) -> JSON:
    """A channel, thread or private channel object."""
    if some.recipient is not None:
        return {
            "id": str(some.id), "type": int(some.kind), "last_message_id": None,
            "recipients": [user(some.recipient)],
        }  # fmt: skip
    shared: JSON = {
        "id": str(some.id),
        "type": int(some.kind),
        "guild_id": str(some.guild.id) if some.guild else None,
        "name": some.name,
        "parent_id": str(some.parent.id) if some.parent else None,
        "last_message_id": str(max(some.messages)) if some.messages else None,
        "rate_limit_per_user": 0,
        "flags": 0,
    }
    return shared | (_thread_part(some) if some.is_thread else _channel_part(some))


def channel_for(some: SandboxChannel, asking: SandboxMember) -> JSON:
    """A channel in an interaction: with what the asking member and the bot may do there."""
    return channel(some) | {
        "permissions": str(asking.permissions_in(some)),
        "app_permissions": str(asking.guild.bot.permissions_in(some)),
    }


def _channel_part(some: SandboxChannel) -> JSON:
    return {
        "topic": some.topic,
        "nsfw": False,
        "position": some.position,
        "bitrate": 64000,
        "user_limit": 0,
        "available_tags": [],
        "permission_overwrites": [
            {
                "id": str(one.target_id),
                "type": 1 if one.is_member else 0,
                "allow": str(one.allow),
                "deny": str(one.deny),
            }
            for one in some.overwrites.values()
        ],
    }


def _thread_part(some: SandboxChannel) -> JSON:
    part: JSON = {
        "owner_id": str(some.owner_id),
        "message_count": len(some.messages),
        "member_count": max(1, len(some.joined)),
        "total_message_sent": len(some.messages),
        "applied_tags": [],
        "thread_metadata": {
            "archived": some.archived,
            "locked": some.locked,
            "auto_archive_duration": some.auto_archive_minutes,
            "archive_timestamp": time(some.created_at),
            "create_timestamp": time(some.created_at),
            "invitable": True,
        },
    }
    if some.guild is not None and some.guild.bot.id in some.joined:
        part["member"] = {
            "id": str(some.id), "user_id": str(some.guild.bot.id),
            "join_timestamp": time(some.created_at), "flags": 0,
        }  # fmt: skip
    return part


def guild(some: SandboxGuild) -> JSON:
    """A guild object as GET /guilds gives it."""
    return {
        "id": str(some.id),
        "name": some.name,
        "icon": None,
        "owner_id": str(some.owner.id),
        "roles": [role(one) for one in some.roles.values()],
        "emojis": [],
        "stickers": [],
        "features": [],
        "verification_level": 0,
        "default_message_notifications": 0,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw_level": 0,
        "premium_tier": 0,
        "preferred_locale": "en-US",
        "afk_timeout": 300,
        "system_channel_flags": 0,
        "description": None,
    }


def guild_create(some: SandboxGuild) -> JSON:
    """A guild as GUILD_CREATE brings it: with channels, active threads and the bot's own member."""
    seen = [one for one in some.channels.values() if not one.is_thread]
    threads = [
        one for one in some.channels.values()
        if one.is_thread and not one.archived and some.bot.sees(one)
    ]  # fmt: skip
    return guild(some) | {
        "joined_at": time(some.joined_at),
        "large": False,
        "member_count": len(some.members),
        "members": [member(some.bot)],
        "channels": [channel(one) for one in seen],
        "threads": [channel(one) for one in threads],
        "voice_states": [],
        "presences": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def emoji(some: SandboxEmoji, made_by: SandboxUser) -> JSON:
    """An emoji object."""
    return {
        "id": str(some.id),
        "name": some.name,
        "roles": [],
        "user": user(made_by),
        "require_colons": True,
        "managed": False,
        "animated": some.media_type == "image/gif",
        "available": True,
    }


def attachment(file: Attachment) -> JSON:
    """An attachment object."""
    return {
        "id": str(file.id),
        "filename": file.name,
        "size": len(file.content),
        "url": file.url,
        "proxy_url": file.url,
        "content_type": file.media_type,
        "description": file.description,
    }


def poll(some: Poll, now: datetime, me: SandboxUser) -> JSON:
    """A poll object with its results."""
    return {
        "question": {"text": some.question},
        "answers": [
            {"answer_id": number, "poll_media": media}
            for number, media in enumerate(some.answers, 1)
        ],
        "expiry": time(some.expires_at),
        "allow_multiselect": some.allow_multiselect,
        "layout_type": 1,
        "results": {
            "is_finalized": some.expires_at <= now,
            "answer_counts": [
                {"id": number, "count": len(voters), "me_voted": me.id in voters}
                for number, voters in sorted(some.votes.items())
            ],
        },
    }


def message(some: SandboxMessage) -> JSON:
    """A message object; files that an embed shows are not among the attachments."""
    shown = _addresses(some.embeds)
    written: JSON = {
        "id": str(some.id),
        "channel_id": str(some.channel.id),
        "author": user(some.author),
        "content": some.content,
        "timestamp": time(some.created_at),
        "edited_timestamp": time(some.edited_at) if some.edited_at else None,
        "tts": False,
        "mention_everyone": False,
        "mentions": [],
        "mention_roles": [],
        "attachments": [attachment(file) for file in some.files if file.url not in shown],
        "embeds": some.embeds,
        "components": some.components,
        "pinned": False,
        "type": some.kind,
        "flags": some.flags,
    }
    if some.poll is not None:
        now = some.channel.directory.ids.time()
        written["poll"] = poll(some.poll, now, some.channel.directory.bot)
    if some.nonce is not None:
        written["nonce"] = some.nonce
    if some.reference is not None:
        written["message_reference"] = some.reference
    return written


def changed(some: Changed) -> JSON:
    """What an event says of a role, member or channel that changed."""
    match some:
        case SandboxRole():
            return {"role": role(some)}
        case SandboxMember():
            return member(some)
        case SandboxChannel():
            return channel(some)


def _addresses(embeds: list[JSON]) -> set[str]:
    parts = [part for embed in embeds for part in embed.values() if isinstance(part, dict)]
    return {part[key] for part in parts for key in ("url", "icon_url") if key in part}
