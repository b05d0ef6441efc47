"""A Discord that runs on this machine: for the demo, and for the tests over real sockets."""

from sandbox.discord.client_errors import (
    InteractionTimeout,
    NotEnough,
    NotOffered,
    SandboxError,
    WrongOption,
)
from sandbox.discord.discord import Sandbox
from sandbox.discord.faults import DiscordFaults
from sandbox.discord.guilds import (
    Appearance,
    Attachment,
    ChannelType,
    SandboxChannel,
    SandboxEmoji,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
    SandboxRole,
    SandboxUser,
)
from sandbox.discord.interaction_view import InteractionView
from sandbox.discord.message_rules import Upload
from sandbox.discord.permissions import PermissionBits
from sandbox.discord.rest import RecordedRequest

__all__ = [
    "Appearance",
    "Attachment",
    "ChannelType",
    "DiscordFaults",
    "InteractionTimeout",
    "InteractionView",
    "NotEnough",
    "NotOffered",
    "PermissionBits",
    "RecordedRequest",
    "Sandbox",
    "SandboxChannel",
    "SandboxEmoji",
    "SandboxError",
    "SandboxGuild",
    "SandboxMember",
    "SandboxMessage",
    "SandboxRole",
    "SandboxUser",
    "Upload",
    "WrongOption",
]
