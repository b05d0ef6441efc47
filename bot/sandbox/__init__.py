"""A Discord that runs on this machine: for the demo, and for the tests over real sockets."""

from bot.sandbox.answer import Answer
from bot.sandbox.errors import NoAnswer, NotEnough, NotOffered, SandboxError, WrongOption
from bot.sandbox.faults import Faults
from bot.sandbox.message_rules import Upload
from bot.sandbox.model import (
    Appearance,
    Attachment,
    Kind,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
    SandboxRole,
    SandboxUser,
)
from bot.sandbox.permissions import Permission
from bot.sandbox.rest import RecordedRequest
from bot.sandbox.sandbox import Sandbox

__all__ = [
    "Answer",
    "Appearance",
    "Attachment",
    "Faults",
    "Kind",
    "NoAnswer",
    "NotEnough",
    "NotOffered",
    "Permission",
    "RecordedRequest",
    "Sandbox",
    "SandboxChannel",
    "SandboxError",
    "SandboxGuild",
    "SandboxMember",
    "SandboxMessage",
    "SandboxRole",
    "SandboxUser",
    "Upload",
    "WrongOption",
]
