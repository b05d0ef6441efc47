"""What Discord says of a channel and of a person: who sees it, what may be done there."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Audience:
    """Who can see a channel, by its permissions; administrators can in any case.

    `everyone` in the server, else who has one of `roles` or is one of `members`. `parent_id` is
    the channel that decides for a thread; a private thread's people are not known (`in_thread`),
    but who manages threads sees it too. Messages of an `announcement` channel can be published
    to other servers, which follow it without anybody here knowing.
    """

    everyone: bool
    roles: tuple[int, ...] = ()
    members: tuple[int, ...] = ()
    parent_id: int | None = None
    in_thread: bool = False
    people: int | None = None  # in the whole server
    announcement: bool = False

    def goes_beyond(self, agreed: "Audience") -> bool:
        """Whether somebody may see the channel now who could not when `agreed` was read."""
        if self.announcement and not agreed.announcement:
            return True
        if self.in_thread or agreed.everyone:
            return False
        if self.everyone:
            return True
        return not (set(self.roles) <= set(agreed.roles)) or not (
            set(self.members) <= set(agreed.members)
        )

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it; how many people there were is not kept."""
        return {
            "everyone": self.everyone,
            "roles": list(self.roles),
            "members": list(self.members),
            "in_thread": self.in_thread,
            "announcement": self.announcement,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the database."""
        return cls(
            everyone=data["everyone"],
            roles=tuple(data["roles"]),
            members=tuple(data["members"]),
            in_thread=data["in_thread"],
            announcement=data["announcement"],
        )


class ChannelPermission(StrEnum):
    """Permissions that matter here, in the words of Discord's own settings."""

    VIEW_CHANNEL = "View Channel"
    SEND_MESSAGES = "Send Messages"
    SEND_IN_THREADS = "Send Messages in Threads"
    EMBED_LINKS = "Embed Links"
    ATTACH_FILES = "Attach Files"
    READ_HISTORY = "Read Message History"
    CONNECT = "Connect"
    MANAGE_THREADS = "Manage Threads"
    MANAGE_WEBHOOKS = "Manage Webhooks"


class ChannelKind(StrEnum):
    """What a person picked as the channel."""

    TEXT = "text channel"
    ANNOUNCEMENT = "announcement channel"
    VOICE = "voice channel"
    STAGE = "stage channel"
    THREAD = "thread"
    FORUM = "forum"
    MEDIA = "media channel"
    CATEGORY = "category"
    OTHER = "channel of another kind"
    GONE = "channel that is gone"


@dataclass(frozen=True, slots=True)
class TargetChannel:
    """A channel or thread, with what the bot may do there.

    `bot_in_thread` is False for a private thread that the bot is not a member of.
    """

    channel_id: int
    kind: ChannelKind
    bot_can: frozenset[ChannelPermission]
    archived: bool = False
    locked: bool = False
    bot_in_thread: bool = True
    audience: Audience | None = None
    silenced_until: datetime | None = None  # by a moderator's time-out; the rest is as without it


@dataclass(frozen=True, slots=True)
class PostingAllowed:
    """The bot may post there, according to permissions; `silenced_until` if it is in time-out."""

    silenced_until: datetime | None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who runs a command, which channels they see, and where they may manage webhooks.

    `manages(channel_id)`: they see that channel and have Manage Webhooks in it.
    `manages_guild`: they have Manage Webhooks in the whole server. `manages_server`: they have
    Manage Server, `reads_audit_log`: View Audit Log.
    """

    id: int
    manages_guild: bool
    manages: Callable[[int], bool]
    sees: Callable[[int], bool]
    manages_server: bool = False
    reads_audit_log: bool = False


class MemberPresence(Enum):
    """Whether the person of the account is still there, as Discord says."""

    SEES = auto()
    BLIND = auto()  # in the server, but does not see the channel
    LEFT = auto()
    UNKNOWN = auto()  # Discord could not be asked
