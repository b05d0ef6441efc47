"""What commands are asked and how they end, as values; the cogs put them into words."""

from dataclasses import dataclass
from enum import StrEnum

from bot.db.rows import Hook, Subscription
from bot.services.places import Caller, Place
from bot.services.setup import SetUp
from bot.speckle.filters import Filters


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """What was typed into /subscribe; None is an option left out."""

    guild_id: int
    caller: Caller
    place: Place
    project: str
    events: str | None = None
    models: str | None = None
    ignore_authors: str | None = None


class Change(StrEnum):
    """What /subscribe did to the channel."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Entry:
    """A subscription with the hook that it hangs on."""

    hook: Hook
    subscription: Subscription


@dataclass(frozen=True, slots=True)
class Subscribed:
    """How /subscribe ended.

    `setup` is there while the project's webhook has still to be made and the caller may see its
    secret. `new_triggers` have to be ticked besides those that the other channels needed.
    """

    entry: Entry
    change: Change
    old_filters: Filters | None
    resumed: bool
    setup: SetUp | None
    new_triggers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """A subscription that is no more; `last` is the last one of the project in this guild."""

    entry: Entry
    last: bool
    settings_url: str


@dataclass(frozen=True, slots=True)
class NothingThere:
    """There was nothing to unsubscribe; `elsewhere` are the channels that do follow it."""

    project: str
    elsewhere: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SharedSetUp:
    """There is nothing to set up: the operator's shared hook brings the project's events."""

    hook: Hook


@dataclass(frozen=True, slots=True)
class Resumed:
    """What goes on in a channel where the bot had paused it; nothing if nothing was paused.

    `cards` were kept meanwhile and come now.
    """

    channel_id: int
    entries: tuple[Entry, ...] = ()
    cards: int = 0
