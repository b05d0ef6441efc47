"""Who and what an interaction names: channels, people, roles, messages and files, in its
`resolved`.
"""

import mimetypes
from typing import Any

from sandbox.discord import wire
from sandbox.discord.client_errors import WrongOption
from sandbox.discord.guilds import (
    Attachment,
    SandboxChannel,
    SandboxMember,
    SandboxMessage,
    SandboxRole,
)
from sandbox.discord.json_types import JSON
from sandbox.discord.message_rules import MAX_FILE_BYTES, Upload
from sandbox.discord.world import DiscordWorld


class Resolver:
    """Finds what one member names in one channel, and keeps it as Discord writes it."""

    def __init__(self, world: DiscordWorld, channel: SandboxChannel, member: SandboxMember) -> None:
        self._world = world
        self._channel = channel
        self._member = member
        self.resolved: JSON = {}

    def channel(self, value: Any, name: str, kinds: list[int] | None = None) -> str:
        """The id of a channel that the member sees; raises WrongOption."""
        channel = self._find_channel(value)
        if channel is None or not self._member.sees(channel):
            raise WrongOption(f"{self._member.name} sees no channel {value!r}")
        if kinds and int(channel.kind) not in kinds:
            kind = channel.kind.name.lower()
            raise WrongOption(f"{name!r} does not offer #{channel.name} ({kind})")
        shown = wire.channel_for(channel, self._member)
        self.resolved.setdefault("channels", {})[str(channel.id)] = shown
        return str(channel.id)

    def _find_channel(self, value: Any) -> SandboxChannel | None:
        guild = self._channel.guild
        if isinstance(value, SandboxChannel):
            return value
        if guild is None:
            return None
        text = str(value).strip("<>#")
        if text.isdecimal() and int(text) in guild.channels:
            return guild.channels[int(text)]
        return next((one for one in guild.channels.values() if one.name == text), None)

    def someone(self, value: Any, name: str, *, users: bool, roles: bool) -> str:
        """The id of a member or a role, by object, id or mention; raises WrongOption."""
        guild = self._channel.guild
        wanted = value.id if isinstance(value, SandboxMember | SandboxRole) else value
        text = str(wanted).strip("<>@!&")
        found_id = int(text) if text.isdecimal() else 0
        if guild and users and found_id in guild.members:
            self.member(guild.members[found_id])
        elif guild and roles and found_id in guild.roles:
            role = guild.roles[found_id]
            self.resolved.setdefault("roles", {})[text] = wire.role(role)
        else:
            raise WrongOption(f"there is no {value!r} for the option {name!r}")
        return text

    def member(self, member: SandboxMember) -> str:
        """The id of the member."""
        data = wire.member(member)
        user = data.pop("user")
        permissions = {"permissions": str(member.permissions_in(self._channel))}
        self.resolved.setdefault("users", {})[str(member.id)] = user
        self.resolved.setdefault("members", {})[str(member.id)] = data | permissions
        return str(member.id)

    def message(self, message: SandboxMessage) -> str:
        """The id of the message."""
        self.resolved.setdefault("messages", {})[str(message.id)] = wire.message(message)
        return str(message.id)

    def file(self, upload: Any, name: str) -> str:
        """The id of a file that the member uploads; raises WrongOption."""
        if not isinstance(upload, Upload):
            raise WrongOption(f"{name!r} takes a file, not {upload!r}")
        if len(upload.content) > MAX_FILE_BYTES:
            raise WrongOption(f"{upload.name!r} has more than {MAX_FILE_BYTES >> 20} MiB")
        file_id = self._world.ids.new_id()
        url = f"{self._world.url}/attachments/{self._channel.id}/{file_id}/{upload.name}"
        kind = mimetypes.guess_type(upload.name)[0] or upload.media_type
        file = Attachment(file_id, upload.name, upload.content, kind, url)
        self._world.attachments[file_id] = file
        shown = wire.attachment(file) | {"ephemeral": True}
        self.resolved.setdefault("attachments", {})[str(file_id)] = shown
        return str(file_id)
