"""Discord's permissions: their bits, and what roles and overwrites leave of them in a channel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag


class PermissionBits(IntFlag):
    """Bits as in https://discord.com/developers/docs/topics/permissions."""

    CREATE_INSTANT_INVITE = 1 << 0
    KICK_MEMBERS = 1 << 1
    BAN_MEMBERS = 1 << 2
    ADMINISTRATOR = 1 << 3
    MANAGE_CHANNELS = 1 << 4
    MANAGE_GUILD = 1 << 5
    ADD_REACTIONS = 1 << 6
    VIEW_AUDIT_LOG = 1 << 7
    VIEW_CHANNEL = 1 << 10
    SEND_MESSAGES = 1 << 11
    MANAGE_MESSAGES = 1 << 13
    EMBED_LINKS = 1 << 14
    ATTACH_FILES = 1 << 15
    READ_MESSAGE_HISTORY = 1 << 16
    MENTION_EVERYONE = 1 << 17
    USE_EXTERNAL_EMOJIS = 1 << 18
    CONNECT = 1 << 20
    SPEAK = 1 << 21
    CHANGE_NICKNAME = 1 << 26
    MANAGE_NICKNAMES = 1 << 27
    MANAGE_ROLES = 1 << 28
    MANAGE_WEBHOOKS = 1 << 29
    USE_APPLICATION_COMMANDS = 1 << 31
    MANAGE_THREADS = 1 << 34
    CREATE_PUBLIC_THREADS = 1 << 35
    CREATE_PRIVATE_THREADS = 1 << 36
    SEND_MESSAGES_IN_THREADS = 1 << 38
    SEND_POLLS = 1 << 49


ALL = (1 << 53) - 1
# What a new guild's @everyone may do.
EVERYONE = int(
    PermissionBits.CREATE_INSTANT_INVITE
    | PermissionBits.ADD_REACTIONS
    | PermissionBits.VIEW_CHANNEL
    | PermissionBits.SEND_MESSAGES
    | PermissionBits.EMBED_LINKS
    | PermissionBits.ATTACH_FILES
    | PermissionBits.READ_MESSAGE_HISTORY
    | PermissionBits.MENTION_EVERYONE
    | PermissionBits.USE_EXTERNAL_EMOJIS
    | PermissionBits.CONNECT
    | PermissionBits.SPEAK
    | PermissionBits.CHANGE_NICKNAME
    | PermissionBits.USE_APPLICATION_COMMANDS
    | PermissionBits.CREATE_PUBLIC_THREADS
    | PermissionBits.SEND_MESSAGES_IN_THREADS
    | PermissionBits.SEND_POLLS
)
# What the invite link asks for.
INVITED_BOT = 309237763072

Grant = int | str | Iterable[str]


def bits(grant: Grant) -> int:
    """Permissions as a number; names are Discord's in lower case: "manage_webhooks, send_messages".

    Raises ValueError for a name that there is not.
    """
    if isinstance(grant, int):
        return int(grant)
    names = grant.replace(",", " ").split() if isinstance(grant, str) else grant
    found = 0
    for name in names:
        try:
            found |= PermissionBits[name.strip().upper()]
        except KeyError:
            raise ValueError(f"there is no permission {name!r}") from None
    return found


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a channel allows and denies one role or one member."""

    target_id: int
    is_member: bool
    allow: int = 0
    deny: int = 0


def in_guild(everyone: int, roles: Iterable[int], *, owner: bool) -> int:
    """Permissions that the roles give, before any channel."""
    found = everyone
    for role in roles:
        found |= role
    return ALL if owner or found & PermissionBits.ADMINISTRATOR else found


def while_timed_out(granted: int) -> int:
    """What a moderator's time-out leaves: reading. Administrators are exempt."""
    if granted & PermissionBits.ADMINISTRATOR:
        return granted
    return granted & (PermissionBits.VIEW_CHANNEL | PermissionBits.READ_MESSAGE_HISTORY)


def in_channel(
    base: int,
    overwrites: Mapping[int, Overwrite],
    *,
    everyone_id: int,
    role_ids: Iterable[int],
    member_id: int,
) -> int:
    """Permissions in one channel, by Discord's order: everyone, all roles together, the member."""
    if base & PermissionBits.ADMINISTRATOR:
        return ALL
    allow = deny = 0
    for role_id in role_ids:
        if (found := overwrites.get(role_id)) is not None:
            allow, deny = allow | found.allow, deny | found.deny
    steps = [
        _pair(overwrites.get(everyone_id)),
        (allow, deny),
        _pair(overwrites.get(member_id)),
    ]
    for step_allow, step_deny in steps:
        base = base & ~step_deny | step_allow
    return base


def _pair(overwrite: Overwrite | None) -> tuple[int, int]:
    return (0, 0) if overwrite is None else (overwrite.allow, overwrite.deny)
