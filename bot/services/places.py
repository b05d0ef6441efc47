"""Where a subscription may post, and who may decide that. No Discord in here: values only."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.model import Audience
from bot.services.errors import CommandRefused


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

_POSTS = "holds posts rather than messages. Pick a post in it"
_WRONG_KIND = {
    PlaceKind.FORUM: f"is a forum, which {_POSTS}",
    PlaceKind.MEDIA: f"is a media channel, which {_POSTS}",
    PlaceKind.CATEGORY: "is a category, which holds only channels. Pick a channel in it",
    PlaceKind.OTHER: "is a kind of channel that the bot cannot post in. Pick a text channel, a "
    "thread or a forum post",
    PlaceKind.GONE: "is gone, or the bot cannot see it. Give the bot *View Channel* there, or pick "
    "another channel",
}


def check_caller(caller: Caller, channel_id: int) -> None:
    """Refuse a caller who could not have made a webhook for that channel by hand."""
    if not caller.manages(channel_id):
        raise CommandRefused(
            f"You need the permissions *{Permission.VIEW_CHANNEL}* and "
            f"*{Permission.MANAGE_WEBHOOKS}* in <#{channel_id}> for this. Ask someone who manages "
            "this server."
        )


def check_guild_caller(caller: Caller) -> None:
    """Refuse a caller who may not decide for the whole server."""
    if not caller.manages_guild:
        raise CommandRefused(
            f"You need the permission *{Permission.MANAGE_WEBHOOKS}* in the whole server for this. "
            "Ask someone who manages this server."
        )


def check_place(place: Place, again: str) -> None:
    """Refuse a place where the bot could not show a card; `again` says what to do afterwards."""
    where = f"<#{place.channel_id}>"
    if place.kind in _WRONG_KIND:
        raise CommandRefused(f"{where} {_WRONG_KIND[place.kind]}, then {again}.")
    missing = missing_in(place)
    if missing:
        raise CommandRefused(_missing_text(where, place.kind, missing, again))
    if not place.bot_in_thread and Permission.MANAGE_THREADS not in place.bot_can:
        raise CommandRefused(
            f"{where} is a private thread and the bot is not in it. Mention the bot there, which "
            f"adds it, then {again}."
        )
    _check_open(place, where, again)
    if place.silenced_until is not None:
        raise CommandRefused(
            f"A moderator put the bot in time-out until {_moment(place.silenced_until)}, so it "
            f"cannot post in {where}. Ask somebody who may moderate members to end that, or wait, "
            f"then {again}."
        )


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


def missing_in(place: Place) -> list[Permission]:
    """What the bot needs there and has not; nothing for a kind that it cannot post in anyway."""
    return [needed for needed in NEEDED.get(place.kind, ()) if needed not in place.bot_can]


def _check_open(place: Place, where: str, again: str) -> None:
    if place.locked:
        raise CommandRefused(f"The thread {where} is locked. Unlock it first, then {again}.")
    if place.archived:
        raise CommandRefused(
            f"The thread {where} is archived. Open it again by writing something in it, "
            f"then {again}."
        )


def _missing_text(where: str, kind: PlaceKind, missing: list[Permission], again: str) -> str:
    names = "\n".join(f"- {permission}" for permission in missing)
    settings = "its parent channel" if kind is PlaceKind.THREAD else "the channel"
    return (
        f"The bot could not show events in {where}, because it lacks there:\n{names}\n"
        f"Open the settings of {settings} (*Edit Channel → Permissions*), add the bot's role and "
        f"allow these, then {again}."
    )
