"""What people look up: cards and events with what became of them, as frozen values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum, auto

from bot.model import InboxSource, PauseReason, Subscription
from bot.trace import THINGS_FACT, TraceLine, TraceStep
from bot.work import (
    FallbackLevel,
    InboxState,
    OutboxState,
)


@dataclass(frozen=True, slots=True)
class CardFilter:
    """Which cards to list; None for all guilds, all channels, all times.

    `since`: those that came into their state then or later.
    """

    states: Collection[OutboxState] = (OutboxState.WAITING, OutboxState.UNDELIVERABLE)
    guild_id: int | None = None
    channel_id: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class CardStatus:
    """The state of a card and what keeps it from being sent.

    `pause` is None for a pause that does not hold this card back. `due_at` is when its channel is
    next tried; `attempts` and `channel_error` are of the tries so far. `title` and `first_line`, of
    what is below it, are Discord markdown.
    """

    id: int
    inbox_id: int | None
    subscription_id: int
    state: OutboxState
    level: FallbackLevel
    guild_id: int
    channel_id: int
    project_id: str
    project_name: str | None
    title: str
    created_at: datetime
    sent_at: datetime | None
    gave_up_at: datetime | None
    message_id: int | None
    error: str | None
    in_flight: bool
    bot_left: bool
    pause: PauseReason | None
    due_at: datetime | None
    attempts: int
    channel_error: str | None
    guild_name: str | None = None
    channel_name: str | None = None
    first_line: str = ""

    @property
    def held(self) -> bool:
        """Whether it does not go out before somebody in its guild does something."""
        return self.bot_left or self.pause is not None

    @property
    def since(self) -> datetime:
        """When the card came into its state."""
        return self.sent_at or self.gave_up_at or self.created_at


class OutboxActionResult(StrEnum):
    """What became of a card that somebody wanted tried again or dropped."""

    REQUEUED = "requeued"
    HASTENED = "hastened"
    HELD = "held"
    DROPPED = "dropped"
    IN_FLIGHT = "in_flight"
    SENT = "sent"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events to list; None for all. `project` is an id.

    `subscriptions` are those of a channel or a guild: events that concern one of them. `samples`
    are what /test made.
    """

    project_id: str | None = None
    subscriptions: Sequence[Subscription] | None = None
    since: datetime | None = None
    until: datetime | None = None
    samples: bool = True


@dataclass(frozen=True, slots=True)
class HeldSince:
    """Since when a subscription holds an event back, and when that is looked at again."""

    subscription_id: int
    held_at: datetime
    next_try_at: datetime


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event that was taken in, without its body: what happened to it, and where it is by now.

    `hook_id` is None for the operator's shared webhook, `same_as` the event that another one
    repeats.
    """

    id: int
    hook_id: int | None
    ordering_key: str
    project_id: str
    server_url: str | None
    received_at: datetime
    happened_at: datetime | None
    finished_at: datetime | None
    state: InboxState
    event_name: str | None
    source: InboxSource
    subject: str | None
    subscription_id: int | None
    same_as: int | None
    trace: tuple[TraceLine, ...]
    cards: tuple[CardStatus, ...] = ()
    held: tuple[HeldSince, ...] = ()

    @property
    def event_at(self) -> datetime:
        """When the event happened, as well as that is known."""
        return self.happened_at or self.received_at

    @property
    def kind(self) -> str | None:
        """Our name for the event; None where it was not read yet, or not understood."""
        kinds = (line.facts.get("kind") for line in self.trace if line.step == TraceStep.READ)
        return next((str(kind) for kind in kinds), None)

    @property
    def things(self) -> frozenset[str]:
        """The ids of what it is about."""
        named = " ".join(str(line.facts.get(THINGS_FACT, "")) for line in self.trace)
        subject = (self.subject or "").partition("#")[0].split(":")[1:2]
        return frozenset([*named.split(), *subject])


@dataclass(frozen=True, slots=True)
class DiscordName:
    """What a guild is called, or a channel in it."""

    id: int
    guild_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many there are, and since when the oldest waits; None where nothing does."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Totals:
    """What all guilds have together.

    `outbox` are the cards that may go, `held_cards` those that wait until somebody does something,
    `held_events` the events whose cards are not made before somebody has said who may see them.
    `subscriptions` are counted by why they are paused, None for those that are not.
    """

    inbox: Waiting
    outbox: Waiting
    held_cards: int
    undeliverable_cards: int
    held_events: int
    subscriptions: Mapping[PauseReason | None, int]


@dataclass(frozen=True, slots=True)
class FollowingChannel:
    """A channel that follows a project of this server, and when it last had an event of it."""

    channel_id: int
    server_url: str
    last_event_at: datetime | None


class WaitsFor(Enum):
    """What must happen before a channel shows what waits for it."""

    BOT = auto()  # to look at the event
    ACCESS = auto()  # Speckle or Discord says who may see it
    DISCORD = auto()  # to take the card
    RESUMING = auto()  # the channel is paused


@dataclass(frozen=True, slots=True)
class ChannelWaiting:
    """Cards or events that wait in a channel, since when; `for_what` is how that ends."""

    channel_id: int
    for_what: WaitsFor
    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class CardDelay:
    """How long a card of a channel took, from the arrival of its event."""

    channel_id: int
    seconds: float

    def of_any(self, channel_ids: Collection[int]) -> bool:
        """Whether it is of one of these channels."""
        return self.channel_id in channel_ids
