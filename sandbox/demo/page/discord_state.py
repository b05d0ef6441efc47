"""The Discord as one member sees it, as JSON for the page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sandbox.demo.page.markdown import Names, line_to_html, plain, to_html
from sandbox.demo.page.private_messages import FailedCommand, PrivateMessages
from sandbox.discord import (
    Attachment,
    ChannelType,
    PermissionBits,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
    SandboxUser,
)
from sandbox.discord.component_kinds import TEXT_DISPLAY
from sandbox.discord.component_rules import walk
from sandbox.discord.guilds import POSTS
from sandbox.discord.json_types import JSON

API: Final = "/api/discord"
EXCERPT: Final = 120
ROLE_WORDS: Final = (
    (PermissionBits.ADMINISTRATOR, "Administrator"),
    (PermissionBits.MANAGE_GUILD, "Manage Server"),
    (PermissionBits.MANAGE_WEBHOOKS, "Manage Webhooks"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """Who looks, and where."""

    member: SandboxMember
    channel: SandboxChannel | None
    most: int  # messages


def state(discord: Sandbox, look: "Look", place: Place) -> JSON:
    """All that the view shows."""
    member, channel = place.member, place.channel
    guild = member.guild
    return {
        "guild": {"id": str(guild.id), "name": guild.name},
        "me": person(member),
        "people": [person(one) for one in guild.members.values()],
        "roles": [
            {"id": str(one.id), "name": one.name}
            for one in guild.roles.values()
            if one is guild.everyone or not _is_own_role(one.id, guild)
        ],
        "channels": [look.channel(one) for one in _channels(guild, member)],
        "private": [look.channel(one) for one in _private_channels(discord, member)],
        "channel": None if channel is None else look.channel(channel),
        "posts": [] if channel is None else [look.post(one) for one in _posts(channel, member)],
        "connected": discord.gateway.connected,
    } | (
        {"messages": [], "older": False} if channel is None else look.messages(channel, place.most)
    )


def _is_own_role(role_id: int, guild: SandboxGuild) -> bool:
    return any(one.own_role.id == role_id for one in guild.members.values())


def person(member: SandboxMember) -> JSON:
    """A member, with what the roles allow in a word."""
    own = {one.own_role.id for one in member.guild.members.values()}
    named = [one.name for one in member.roles if one.id not in own]
    return user(member.user) | {
        "roles": named,
        "may": _rights(member),
        "timed_out": member.is_timed_out,
    }


def _rights(member: SandboxMember) -> str:
    if member.user.bot:
        return "The bot"
    if member.guild.owner is member:
        return "Owner"
    held = member.permissions()
    return next((word for bit, word in ROLE_WORDS if held & bit), "No special rights")


def user(someone: SandboxUser) -> JSON:
    """A person or the bot."""
    return {"id": str(someone.id), "name": someone.name, "bot": someone.bot}


def _channels(guild: SandboxGuild, member: SandboxMember) -> Sequence[SandboxChannel]:
    """What the member sees, threads below their channels, archived ones left out."""
    seen = [one for one in guild.channels.values() if member.sees(one)]
    tops = sorted((one for one in seen if not one.is_thread), key=_order)
    return [
        one for top in tops for one in (top, *(t for t in seen if _is_open_thread(t, top)))
    ]  # fmt: skip


def _order(channel: SandboxChannel) -> tuple[int, int]:
    return (channel.position, channel.id)


def _is_open_thread(thread: SandboxChannel, parent: SandboxChannel) -> bool:
    return thread.is_thread and thread.parent is parent and not thread.archived


def _private_channels(discord: Sandbox, member: SandboxMember) -> Iterable[SandboxChannel]:
    channels = discord.world.directory.channels.values()
    return [one for one in channels if one.recipient is member.user and one.messages]


def _posts(channel: SandboxChannel, member: SandboxMember) -> Sequence[SandboxChannel]:
    if channel.kind not in POSTS or channel.guild is None:
        return ()
    below = [one for one in channel.guild.channels.values() if one.parent is channel]
    return sorted((one for one in below if member.sees(one)), key=lambda one: -_last_id(one))


def _last_id(channel: SandboxChannel) -> int:
    shown = (one.id for one in channel.messages.values() if not one.thinking)
    return max(shown, default=0)


class Look:
    """How one member sees channels and messages."""

    def __init__(
        self, discord: Sandbox, private: PrivateMessages, member: SandboxMember, names: Names
    ) -> None:
        self._world = discord.world
        self._private = private
        self._member = member
        self._names = names

    def channel(self, channel: SandboxChannel) -> JSON:
        """A channel, a thread, a post or a private conversation."""
        bot = self._world.bot
        return {
            "id": str(channel.id),
            "name": bot.name if channel.guild is None else channel.name,
            "kind": channel.kind.name.lower(),
            "topic": channel.topic or "",
            "parent": str(channel.parent.id) if channel.parent else None,
            "archived": channel.archived,
            "locked": channel.locked,
            "last": str(_last_id(channel)),
            "writable": may_write(self._member, channel),
        }

    def post(self, thread: SandboxChannel) -> JSON:
        """A post of a forum, with its beginning."""
        shown = [one for one in thread.messages.values() if not one.thinking]
        first = shown[0] if shown else None
        return self.channel(thread) | {
            "author": None if first is None else user(first.author),
            "excerpt": "" if first is None else self._excerpt(first),
            "count": len(shown),
            "at": thread.created_at.isoformat(),
        }

    def messages(self, channel: SandboxChannel, most: int) -> JSON:
        """The channel's last messages, with those that this member alone sees."""
        own = self._private.of(self._member.id, channel)
        shown = sorted([*channel.messages.values(), *own], key=lambda one: one.id)
        return {
            "messages": [self._entry(one) for one in shown[-most:]],
            "older": len(shown) > most,
        }

    def _entry(self, entry: SandboxMessage | FailedCommand) -> JSON:
        return self._failed(entry) if isinstance(entry, FailedCommand) else self._message(entry)

    def _failed(self, failed: FailedCommand) -> JSON:
        return {
            "id": str(failed.id),
            "failed": failed.reason,
            "author": user(self._world.bot),
            "at": failed.at.isoformat(),
            "used": {"by": user(self._member.user), "command": failed.command},
            "ephemeral": True,
        }

    def _message(self, message: SandboxMessage) -> JSON:
        pictures = _pictures_of_embeds(message.embeds)
        return {
            "id": str(message.id),
            "author": user(message.author),
            "at": message.created_at.isoformat(),
            "edited": message.edited_at.isoformat() if message.edited_at else None,
            "html": to_html(message.content, self._names) if message.content else "",
            "embeds": [self._embed(one) for one in message.embeds],
            "components": self._components(message.components),
            "files": [file(one) for one in message.files if one.url not in pictures],
            "ephemeral": message.ephemeral,
            "thinking": message.thinking,
            "used": self._used(message),
            "reply": self._reply(message),
            "thread": self._thread(message),
            "mentions_me": f"<@{self._member.id}>" in message.content,
        }

    def _embed(self, embed: JSON) -> JSON:
        author, footer = embed.get("author") or {}, embed.get("footer") or {}
        return {
            "colour": embed.get("color"),
            "author": author
            and {
                "name": author.get("name", ""),
                "url": web_address(author.get("url")),
                "icon": self._picture(author.get("icon_url")),
            },
            "title": line_to_html(embed.get("title") or "", self._names),
            "url": web_address(embed.get("url")),
            "description": to_html(embed.get("description") or "", self._names),
            "fields": [
                {
                    "name": line_to_html(one.get("name") or "", self._names),
                    "value": to_html(one.get("value") or "", self._names),
                    "inline": bool(one.get("inline")),
                }
                for one in embed.get("fields") or ()
            ],
            "thumbnail": self._media(embed.get("thumbnail")),
            "image": self._media(embed.get("image")),
            "footer": footer
            and {"text": footer.get("text", ""), "icon": self._picture(footer.get("icon_url"))},
            "at": embed.get("timestamp"),
        }

    def _media(self, media: Mapping[str, Any] | None) -> JSON | None:
        """A picture with its alternative text; one of elsewhere is not loaded."""
        if not media or not media.get("url"):
            return None
        described = media.get("description") or self._description(media["url"])
        return {"src": self._picture(media["url"]), "alt": described or ""}

    def _description(self, url: str) -> str | None:
        found = _attachment_id(self._world.url, url)
        file = self._world.attachments.get(found) if found else None
        return file.description if file else None

    def _picture(self, url: str | None) -> str | None:
        """The path of a picture that this Discord holds; None for all others."""
        found = _attachment_id(self._world.url, url or "")
        return f"{API}/attachments/{found}" if found in self._world.attachments else None

    def _components(self, components: list[JSON]) -> list[JSON]:
        """As they came, with texts as HTML and pictures as paths."""
        return [self._component(one) for one in components]

    def _component(self, component: JSON) -> JSON:
        made = dict(component)
        if made.get("type") == TEXT_DISPLAY:
            made["html"] = to_html(made.get("content") or "", self._names)
        if "url" in made:
            made["url"] = web_address(made["url"])
        if isinstance(emoji := made.get("emoji"), dict):
            made["emoji"] = emoji | {"src": self._emoji_path(emoji.get("id"))}
        if isinstance(made.get("media"), dict):
            made["media"] = self._media(made["media"])
        if isinstance(made.get("file"), dict):
            made["file"] = self._attached(made["file"].get("url", ""))
        for key in ("components", "items", "options"):
            if isinstance(made.get(key), list):
                made[key] = self._components(made[key])
        for key in ("component", "accessory"):
            if isinstance(made.get(key), dict):
                made[key] = self._component(made[key])
        return made

    def _attached(self, url: str) -> JSON | None:
        found = self._world.attachments.get(_attachment_id(self._world.url, url))
        return None if found is None else file(found)

    def _emoji_path(self, emoji_id: str | None) -> str | None:
        return self._names.emoji.get(int(emoji_id)) if emoji_id else None

    def modal(self, modal: JSON) -> JSON:
        """A form, as a message's components are given."""
        return {"title": modal["title"], "components": self._components(modal["components"])}

    def _used(self, message: SandboxMessage) -> JSON | None:
        use = self._private.used.get(message.id)
        return None if use is None else {"by": user(use.by), "command": use.command}

    def _reply(self, message: SandboxMessage) -> JSON | None:
        """The message that this one answers, in short."""
        answered = self._private.answered.get(message.id)
        wanted = (message.reference or {}).get("message_id")
        if answered is None and wanted is not None:
            answered = message.channel.messages.get(int(wanted))
            if answered is None:
                return {"id": str(wanted), "author": None, "excerpt": "The message was deleted"}
        if answered is None or answered.deleted:
            return None
        return {
            "id": str(answered.id),
            "author": user(answered.author),
            "excerpt": self._excerpt(answered),
        }

    def _excerpt(self, message: SandboxMessage) -> str:
        texts = [message.content]
        texts += [str(one.get("content", "")) for one in walk(message.components)]
        for embed in message.embeds:
            texts += [embed.get("title") or "", embed.get("description") or ""]
        text = next(filter(None, texts), "")
        return plain(text, self._names)[:EXCERPT] or "Click to see the attachment"

    def _thread(self, message: SandboxMessage) -> JSON | None:
        """The thread that was started at this message."""
        thread = self._world.directory.channels.get(message.id)
        if thread is None or thread is message.channel or not self._member.sees(thread):
            return None
        return {"id": str(thread.id), "name": thread.name, "count": len(thread.messages)}


def may_write(member: SandboxMember, channel: SandboxChannel) -> bool:
    """Whether the member may send a message there."""
    if channel.guild is None or channel.kind in POSTS or channel.kind is ChannelType.CATEGORY:
        return False
    wanted = PermissionBits.SEND_MESSAGES
    if channel.is_thread:
        wanted = PermissionBits.SEND_MESSAGES_IN_THREADS
    return member.may(wanted, channel) and not channel.locked


def names_for(discord: Sandbox, member: SandboxMember) -> Names:
    """What ids are called for this member; a channel that is not seen has no name."""
    guild = member.guild
    return Names(
        users={one.id: one.name for one in discord.world.directory.users.values()},
        roles={one.id: one.name for one in guild.roles.values()},
        channels={one.id: one.name for one in guild.channels.values() if member.sees(one)},
        emoji={one: f"{API}/emojis/{one}" for one in discord.world.emojis},
    )


def file(attachment: Attachment) -> JSON:
    """A file, with the path where the page gives it."""
    kind = attachment.media_type.partition("/")[0]
    return {
        "id": str(attachment.id),
        "name": attachment.name.removeprefix("SPOILER_"),
        "spoiler": attachment.name.startswith("SPOILER_"),
        "bytes": len(attachment.content),
        "src": f"{API}/attachments/{attachment.id}",
        "picture": kind == "image",
        "alt": attachment.description or "",
    }


def web_address(address: Any) -> str | None:
    """An address of the web; None for any other, which a browser should not open."""
    text = str(address or "")
    return text if text.lower().startswith(("http://", "https://")) else None


def _attachment_id(discord_url: str, url: str) -> int:
    """The id in an attachment's address; 0 for what is none of this Discord."""
    if not url.startswith(f"{discord_url}/attachments/"):
        return 0
    parts = url.removeprefix(discord_url).split("/")
    return int(parts[3]) if len(parts) == 5 and parts[3].isdecimal() else 0


def _pictures_of_embeds(embeds: Iterable[JSON]) -> set[str]:
    parts = [part for embed in embeds for part in embed.values() if isinstance(part, dict)]
    return {str(part[key]) for part in parts for key in ("url", "icon_url") if part.get(key)}


def time_of(discord: Sandbox) -> datetime:
    """What the sandbox's clock says."""
    return discord.world.ids.time()
