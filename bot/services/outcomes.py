"""What commands are asked and how they end, as values; the cogs put them into words."""

from dataclasses import dataclass
from enum import StrEnum

from bot.db.rows import Hook, Subscription
from bot.services.places import Caller, Place
from bot.services.setup import SetUp
from bot.services.webhooks import Gone, Kept, NotKept, WhyNot
from bot.speckle.filters import Filters


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """What was typed into /subscribe; None is an option left out.

    `by_hand`: the caller wants to set the webhook up in Speckle themselves; `shown`: they know
    who will see a private project in that place.
    """

    guild_id: int
    caller: Caller
    place: Place
    project: str
    events: str | None = None
    models: str | None = None
    ignore_authors: str | None = None
    by_hand: bool = False
    shown: bool = False


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
    `webhook` is what the bot did about the webhook itself, None if that is somebody's own. `also`
    are the server's channels that had waited for it too.
    """

    entry: Entry
    change: Change
    old_filters: Filters | None
    resumed: bool
    setup: SetUp | None
    new_triggers: tuple[str, ...]
    webhook: Kept | NotKept | None = None
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkFirst:
    """Nothing was changed yet: the caller is to link an account, or to choose the way by hand.

    `why` is None where none is linked, else what keeps the linked one from being used;
    `paused`: access was lost there, so the way by hand is none.
    """

    request: SubscribeRequest
    server_url: str
    why: WhyNot | None = None
    detail: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class ShowFirst:
    """Nothing was changed yet: the project is private, and others will see it in that place.

    `also` are channels of the server that wait for its events already.
    """

    request: SubscribeRequest
    server_url: str
    project_id: str
    project_name: str
    also: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Edited:
    """Filters before and after; `webhook` is what the bot did about the webhook."""

    old: Filters
    entry: Entry
    webhook: Kept | NotKept | None = None


@dataclass(frozen=True, slots=True)
class Removed:
    """A subscription that is no more; `last` is the last one of the project in this guild.

    `gone` tells of a webhook that the bot made, `webhook` of one that other channels still need.
    """

    entry: Entry
    last: bool
    settings_url: str
    gone: Gone | None = None
    webhook: Kept | NotKept | None = None


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
class MadeSetUp:
    """There is nothing to set up: the bot made the webhook, with the account of `made_by`.

    `webhook` says what was done about it now, `renewed` that it got a new secret.
    """

    hook: Hook
    made_by: int | None
    webhook: Kept | NotKept | None = None
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """What goes on in a channel where the bot had paused it; nothing if nothing was paused.

    `cards` were kept meanwhile and come now.
    """

    channel_id: int
    entries: tuple[Entry, ...] = ()
    cards: int = 0
