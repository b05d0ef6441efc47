"""What waits in the inbox and the outbox, and what is done to it, as frozen values."""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self, TypeAlias

from bot.cards.card import Card, Picture
from bot.model import AccessPause, Hook, InboxSource, Subscription
from bot.quota import DayQuota
from bot.speckle.events import KnownThread
from bot.trace import TraceLine


class InboxState(StrEnum):
    """How far a delivery has come: not yet looked at, turned into cards, or not understood."""

    NEW = "new"
    DONE = "done"
    FAILED = "failed"


class LateAddition(StrEnum):
    """What a card still lacks when it goes out, and gets by an edit."""

    FACTS = "facts"
    PICTURE = "picture"
    OBJECT_COUNT = "object_count"
    CHANGES = "changes"  # what differs from the version before
    CHECKS = "checks"  # what automations found out about it
    OPENED = "opened"  # that it was opened, on the card of the version that it is on


class OutboxState(StrEnum):
    """How far a card has come."""

    WAITING = "waiting"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"


class FallbackLevel(StrEnum):
    """How much of a card is sent: what Discord refused whole is tried with less."""

    FULL = "full"
    NO_MEDIA = "bare"  # without pictures and links
    TEXT = "plain"  # as text


class BatchState(StrEnum):
    """Open: its message may or may not be at Discord already. Closed: that is settled."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class HookFollowers:
    """A hook, and subscriptions that follow it."""

    hook: Hook
    subscriptions: Sequence[Subscription]


LISTENED_AGAIN = timedelta(seconds=15)  # entries of a server's processes come in out of order
CLOCKS_APART = timedelta(seconds=5)  # an entry that is so far ahead is none of the future


@dataclass(frozen=True, slots=True)
class Listened:
    """One subscription that hears of its project through its account.

    Entries that are up to LISTENED_AGAIN older than `listened_until`, by the server's clock, are
    read again; None where nothing was read yet. `made`: the bot has made a webhook since.
    """

    subscription_id: int
    account_id: int
    hook_id: int
    server_url: str
    project_id: str
    listened_until: datetime | None
    made: bool


ToldEntry: TypeAlias = tuple[int, str, datetime]
"""An entry of a project's lists that was taken in: for which subscription, its kind, its time."""


@dataclass(frozen=True, slots=True)
class NewInboxEvent:
    """A verified delivery to keep; `digest` is the body's SHA-256 in hex.

    `quota` is what it counts towards; None for what no quota is for.
    """

    hook_id: int | None
    ordering_key: str
    project_id: str
    server_url: str | None
    digest: str
    body: bytes = field(repr=False)
    received_at: datetime
    source: InboxSource = InboxSource.WEBHOOK
    quota: DayQuota | None = None


@dataclass(frozen=True, slots=True)
class InboxReceipt:
    """Where a delivery is kept; a duplicate gives the first one's id.

    `over_quota`: it is not kept, as its hook has sent as much as it may today.
    """

    id: int
    duplicate: bool
    over_quota: bool = False


@dataclass(frozen=True, slots=True)
class InboxEvent:
    """A delivery that is kept; `body` is empty once it has been erased."""

    id: int
    hook_id: int | None
    ordering_key: str
    project_id: str
    server_url: str | None
    digest: str
    body: bytes = field(repr=False)
    received_at: datetime
    state: InboxState
    finished_at: datetime | None
    event_name: str | None
    trace: tuple[TraceLine, ...]
    source: InboxSource = InboxSource.WEBHOOK
    happened_at: datetime | None = None
    event_key: str | None = None
    subscription_id: int | None = None
    subject: str | None = None

    @property
    def event_at(self) -> datetime:
        """When the event happened, as well as that is known."""
        return self.happened_at or self.received_at


@dataclass(frozen=True, slots=True)
class InboxKey:
    """An ordering key of the inbox where something may be new.

    `guild_id` is None for the operator's shared hook.
    """

    ordering_key: str
    guild_id: int | None


@dataclass(frozen=True, slots=True)
class TakenEvents:
    """New rows of one ordering key, in order; `more`: something else is new there.

    `too_large`: the first one alone is more than was asked for, and so was left out.
    """

    rows: Sequence["InboxEvent"]
    too_large: int | None
    more: bool


@dataclass(frozen=True, slots=True)
class NewCard:
    """A card for one subscription's channel.

    `made_at`: what it shows was decided by what was known then; None for when it is written.
    `version_id` is the new version that it shows.
    """

    subscription_id: int
    guild_id: int
    channel_id: int
    card: Mapping[str, Any] = field(repr=False)
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    made_at: datetime | None = None
    version_id: str | None = None

    @classmethod
    def of(
        cls,
        subscription: Subscription,
        card: Card,
        made_at: datetime | None = None,
        version_id: str | None = None,
    ) -> Self:
        """The card, addressed to the subscription's channel."""
        return cls(
            subscription.id,
            subscription.guild_id,
            subscription.channel_id,
            card.to_json(),
            card.pictures,
            made_at,
            version_id,
        )


@dataclass(frozen=True, slots=True)
class SubscriptionResult:
    """What one event leads to in one subscription.

    A `card` to send, or the event is held until `held_until` at least, or neither. `late` is what
    the card still lacks, and when it is first asked for again. `pause` comes after the card.
    `access_ok`: its account has just been seen to have access. `subject` is what the card shows of
    an issue; what was shown of it before is not shown again. A `sample` leaves its card and nothing
    else: where that would have to wait for other events, there is none. `on_versions` are the
    versions that an issue is on: their cards, if there are any, are to name it.
    """

    subscription_id: int
    card: NewCard | None = None
    late: Mapping[LateAddition, datetime] = field(default_factory=dict)
    held_until: datetime | None = None
    pause: AccessPause | None = None
    access_ok: bool = False
    subject: str | None = None
    sample: bool = False
    on_versions: tuple[str, ...] = ()

    def as_sample(self) -> "SubscriptionResult":
        """The same of an event that never happened: it changes nothing of the subscription."""
        card = self.card if self.held_until is None else None
        card = None if card is None else replace(card, version_id=None)
        return SubscriptionResult(self.subscription_id, card, sample=True)


@dataclass(frozen=True, slots=True)
class NameChanges:
    """Names by id that are to be kept, and the ids of those that are to be forgotten for them."""

    kept: Mapping[str, str] = field(default_factory=dict)
    forgotten: Sequence[str] = ()

    def after(self, known: Mapping[str, str]) -> Mapping[str, str]:
        """The names that are known once this is done."""
        left = {id_: name for id_, name in known.items() if id_ not in self.forgotten}
        return {**left, **self.kept}


NO_CHANGES = NameChanges()


@dataclass(frozen=True, slots=True)
class HookResult:
    """What one event changes for one hook, and leads to in the hook's subscriptions (`results`).

    Where the hook's own webhook brought it (`by_webhook`), the hook turns live if it waited, takes
    the project's name, and remembers `at`, the names of models and people by their ids, because
    some events have ids only, and forgets others; it remembers threads, because a reply does not
    say what it replies to. What an account received changes nothing of the hook. `visibility` is
    what a question without a token found. `already` are the rows by which subscriptions were shown
    the same event another way, `subject` is what it is about, where only its server could say.
    """

    hook_id: int
    at: datetime
    by_webhook: bool
    project_name: str | None = None
    models: NameChanges = NO_CHANGES
    people: NameChanges = NO_CHANGES
    threads: Mapping[str, KnownThread] = field(default_factory=dict)
    results: Sequence[SubscriptionResult] = ()
    visibility: str | None = None
    already: Mapping[int, int] = field(default_factory=dict)
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event of the inbox; without a name it is one that nobody understands.

    `event_key` is the same for events that say the same, `subject` for those of the same thing.
    """

    inbox_id: int
    trace: Sequence[TraceLine] = ()
    event_name: str | None = None
    event_key: str | None = None
    subject: str | None = None
    of_hooks: Sequence[HookResult] = ()


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that has not been shown to a subscription yet."""

    subscription_id: int
    inbox_id: int
    attempts: int
    guild_id: int


@dataclass(frozen=True, slots=True)
class OutboxCard:
    """A card on its way to a channel."""

    id: int
    inbox_id: int | None
    subscription_id: int
    guild_id: int
    channel_id: int
    card: Mapping[str, Any] = field(repr=False)
    pictures: tuple[Picture, ...] = field(repr=False)
    state: OutboxState
    batch_id: int | None
    message_id: int | None
    created_at: datetime
    sent_at: datetime | None
    last_error: str | None
    level: FallbackLevel
    gave_up_at: datetime | None
    received_at: datetime | None = None  # when its event arrived, if that is still known


CardChange = Callable[[OutboxCard, Sequence[OutboxCard]], Card | None]
"""A card and the others of its message → the card as it is to be; None to leave it."""


@dataclass(frozen=True, slots=True)
class SampleProgress:
    """How far a sample that /test made has come; `card` is None while, or where, there is none.

    `error` is why its card was not sent, as it is stored.
    """

    inbox_id: int
    event: InboxState
    trace: tuple[TraceLine, ...]
    card: OutboxState | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DueSubscription:
    """Cards of one subscription that wait for a channel, whose events came in one way.

    `made_at` is when the oldest of them was made, `picture_bytes` how large their pictures are.
    """

    subscription_id: int
    source: InboxSource
    made_at: datetime
    picture_bytes: int = 0


def new_nonce() -> str:
    """What Discord knows one message by, so that the same one twice is shown once."""
    return secrets.token_hex(12)  # 24 characters; Discord takes up to 25


@dataclass(frozen=True, slots=True)
class Batch:
    """Cards that travel in one message; its nonce was on disk before the first try."""

    id: int
    channel_id: int
    nonce: str
    created_at: datetime
    state: BatchState


@dataclass(frozen=True, slots=True)
class LateEnrichmentJob:
    """Something that an event's card of one subscription still lacks, to be asked for again."""

    id: int
    inbox_id: int
    subscription_id: int
    kind: LateAddition
    created_at: datetime
    attempts: int
    next_try_at: datetime


@dataclass(frozen=True, slots=True)
class LateEnrichmentKey:
    """The jobs of one guild at one Speckle server; comparisons take long, and are apart."""

    server_url: str
    guild_id: int
    compares: bool = False


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """What the bot found out itself, in the wire's form, for one subscription."""

    event_name: str
    subject: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class RungVersion:
    """A version of which a server says that something about it has changed."""

    server_url: str
    project_id: str
    version_id: str


@dataclass(frozen=True, slots=True)
class Edit:
    """A message to be brought up to date: `rows` are all of its cards, as they are to be now.

    `rows` is empty where the message cannot be made again, because a card of it is no longer kept.
    `revisions` maps the changed cards' ids to their revisions.
    """

    channel_id: int
    batch_id: int | None
    message_id: int | None
    rows: Sequence[OutboxCard]
    revisions: Mapping[int, int]
    attempts: int


@dataclass(frozen=True, slots=True)
class EditedChannel:
    """A channel with messages to be brought up to date."""

    channel_id: int
    guild_id: int


@dataclass(frozen=True, slots=True)
class ChannelQueue:
    """The state of sending to one channel; `due_at` is None when there is nothing to do.

    `suspects` cards at its head were refused together, and one of them is at fault.
    """

    channel_id: int
    guild_id: int
    due_at: datetime | None
    attempts: int
    first_failed_at: datetime | None
    last_error: str | None
    suspects: int


@dataclass(frozen=True, slots=True)
class MissedEntry:
    """An entry of a webhook's history that did not arrive, according to Speckle.

    `at` is Speckle's time of the try; `digest` is the body's SHA-256 in hex.
    """

    call_id: str
    at: datetime
    digest: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class CountingWindow:
    """What the counting of equal bodies goes by.

    `recorded` counts by digest the events that the history has, from `since` on; `last_id` is
    the last row that the inbox had before the history was asked.
    """

    recorded: Mapping[str, int]
    since: datetime
    last_id: int


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What became of missed entries: ids of new rows, how many were there, how many are unclear.

    `full`: there was no room for the rest within today's quota.
    """

    rows: tuple[int, ...] = ()
    there: int = 0
    unclear: int = 0
    full: bool = False


# A Speckle server with several replicas sends one event several times within seconds.
DUPLICATE_WITHIN = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class FetchedEvent:
    """An event of a project's lists, its body in the wire's form.

    `subject` is what it is about, for what came from no activity list. `note` is for its card.
    """

    at: datetime
    event_name: str
    event_key: str
    body: bytes = field(repr=False)
    subject: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class SeenProject:
    """What was seen of a project, `at` a time, beside what was `before` and when; as JSON.

    `changes` are what differs, as events, each with what is known once it was told.
    """

    before: tuple[Mapping[str, Any], datetime] | None = field(repr=False)
    after: Mapping[str, Any] = field(repr=False)
    at: datetime
    changes: tuple[tuple[FetchedEvent, Callable[[], Mapping[str, Any]]], ...] = ()


@dataclass(frozen=True, slots=True)
class ToPair:
    """A row that may have come another way too: what it says, and what that is about."""

    row: InboxEvent
    event_key: str
    subject: str | None = None
