"""Where a subscription may post, and who decides that: values, without anything of Discord."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.model import Audience


class Permission(StrEnum):
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


class PlaceKind(StrEnum):
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
class Place:
    """A channel or thread, with what the bot may do there.

    `bot_in_thread` is False for a private thread that the bot is not a member of.
    """

    channel_id: int
    kind: PlaceKind
    bot_can: frozenset[Permission]
    archived: bool = False
    locked: bool = False
    bot_in_thread: bool = True
    audience: Audience | None = None
    silenced_until: datetime | None = None  # by a moderator's time-out; the rest is as without it


@dataclass(frozen=True, slots=True)
class Lacking:
    """What keeps the bot from posting somewhere and how to change that, as text for people."""

    text: str


@dataclass(frozen=True, slots=True)
class NothingLacking:
    """The bot may post there, as far as permissions say; `silenced_until` if it is in time-out."""

    silenced_until: datetime | None


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs a command, which channels they see, and where they may manage webhooks.

    `manages(channel_id)`: they see that channel and have Manage Webhooks in it.
    `manages_guild`: they have Manage Webhooks in the whole server.
    """

    id: int
    manages_guild: bool
    manages: Callable[[int], bool]
    sees: Callable[[int], bool]


_IN_ALL_CHANNELS = (
    Permission.EMBED_LINKS,
    Permission.ATTACH_FILES,
    Permission.READ_HISTORY,
)
NEEDED = {
    PlaceKind.TEXT: (Permission.VIEW_CHANNEL, Permission.SEND_MESSAGES, *_IN_ALL_CHANNELS),
    PlaceKind.ANNOUNCEMENT: (Permission.VIEW_CHANNEL, Permission.SEND_MESSAGES, *_IN_ALL_CHANNELS),
    # SEND_MESSAGES does not count inside threads.
    PlaceKind.THREAD: (Permission.VIEW_CHANNEL, Permission.SEND_IN_THREADS, *_IN_ALL_CHANNELS),
    # Discord opens the chat of a voice channel only to those who may also connect to it.
    PlaceKind.VOICE: (
        Permission.VIEW_CHANNEL,
        Permission.CONNECT,
        Permission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
    PlaceKind.STAGE: (
        Permission.VIEW_CHANNEL,
        Permission.CONNECT,
        Permission.SEND_MESSAGES,
        *_IN_ALL_CHANNELS,
    ),
}
"""What the bot needs to post cards with pictures, by kind of channel."""


def silence_text(until: datetime | None) -> str:
    """Why Discord refuses a bot that has all it needs, and what ends that."""
    if until is not None:
        return (
            f"A moderator put the bot in time-out until {_moment(until)}. Then it goes on by "
            "itself; somebody who may moderate members can end the time-out before."
        )
    return (
        "It has every permission that it needs there, and Discord refuses its messages all the "
        "same. Look at whether a moderator put the bot in time-out, and end that. The bot tries "
        "again by itself, and goes on once Discord lets it."
    )


def _moment(at: datetime) -> str:
    """A time that each reader's Discord shows in their own zone."""
    return f"<t:{int(at.timestamp())}:f>"
