"""What comes out of the database and goes into it, as frozen values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Self

from bot.cards.card import Card, Picture
from bot.model import Consent, PauseWhy
from bot.speckle.answers import Scope, Tokens
from bot.speckle.subscription_options import SubscriptionOptions

NOBODY = 0  # made something once, and had it forgotten who that was


class HookKind(StrEnum):
    """Whose webhook brings the events: the guild's own one, or the operator's shared one."""

    OWN = "own"
    SHARED = "shared"


class HookState(StrEnum):
    """Waiting for the first signed event, live, or closed because the bot left the guild."""

    WAITING = "waiting"
    LIVE = "live"
    CLOSED = "closed"


class SubscriptionState(StrEnum):
    """Whether a subscription shows events now."""

    ACTIVE = "active"
    PAUSED = "paused"


class PauseReason(StrEnum):
    """Why a subscription is paused."""

    MEMBER = "member"
    PROJECT_DELETED = "project_deleted"
    CHANNEL_GONE = "channel_gone"
    NO_PERMISSION = "no_permission"
    THREAD_CLOSED = "thread_closed"
    SILENCED = "silenced"  # Discord refuses although every permission is there; ends by itself
    ACCESS_LOST = "access_lost"
    ASK_AGAIN = "ask_again"  # something is wider than the answer that was given


# Paused because Discord did not take the cards: they are kept, new ones too, until it is resumed.
DELIVERY_PAUSES = frozenset(
    {
        PauseReason.CHANNEL_GONE,
        PauseReason.NO_PERMISSION,
        PauseReason.THREAD_CLOSED,
        PauseReason.SILENCED,
    }
)


# Paused because of who may see the project: the events are kept, not their cards. They are
# rendered again for whoever answers for the channel next.
RIGHTS_PAUSES = frozenset({PauseReason.ACCESS_LOST, PauseReason.ASK_AGAIN})
# What happens during these pauses is kept, and shown once somebody resumes.
KEEPING_PAUSES = DELIVERY_PAUSES | RIGHTS_PAUSES


class InboxState(StrEnum):
    """How far a delivery has come: not yet looked at, turned into cards, or not understood."""

    NEW = "new"
    DONE = "done"
    FAILED = "failed"


class InboxSource(StrEnum):
    """How an event came, which says whom it is for."""

    WEBHOOK = "webhook"  # of one guild's own hook
    OPERATOR = "operator"  # by the operator's shared webhook, for the operator's own guilds
    HISTORY = "history"  # of a webhook: the very body that could not be delivered
    ACTIVITY = "activity"  # read with one account: a body made from what the list says


class FillIn(StrEnum):
    """What a card still lacks when it goes out, and gets by an edit."""

    FACTS = "facts"
    PICTURE = "picture"


class OutboxState(StrEnum):
    """How far a card has come."""

    WAITING = "waiting"
    SENT = "sent"
    UNDELIVERABLE = "undeliverable"


class CardForm(StrEnum):
    """How much of a card is sent: what Discord refused whole is tried with less."""

    FULL = "full"
    BARE = "bare"  # without pictures and links
    PLAIN = "plain"  # as text


class BatchState(StrEnum):
    """Open: its message may or may not be at Discord already. Closed: that is settled."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Guild:
    """A Discord server that the bot is in, or was in until `left_at`."""

    guild_id: int
    joined_at: datetime
    left_at: datetime | None
    notice_channel_id: int | None


@dataclass(frozen=True, slots=True)
class Hook:
    """One guild's tie to one project.

    `key` is the last part of the webhook's address; `secrets` are opened, the current one first,
    then the previous one while it is valid. Both are None or empty for a shared hook.
    `webhook_id` is the webhook at Speckle and `account_id` the account that made it, if the bot
    did; by hand both are None. The account serves the webhook alone, no channel. `visibility` as
    a question without a token last found it, `public_at` when that last could read the project.
    `unopenable`: no key opens the current secret, so there are none and nothing can be verified;
    a `webhook_id` that no key opens is "", and the webhook is found by its address.
    """

    id: int
    guild_id: int
    server_url: str
    project_id: str
    project_name: str | None
    kind: HookKind
    key: str | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)
    state: HookState
    setup_channel_id: int | None
    created_by: int
    created_at: datetime
    live_at: datetime | None
    last_event_at: datetime | None
    account_id: int | None = None
    webhook_id: str | None = field(default=None, repr=False)
    visibility: str | None = None
    public_at: datetime | None = None
    caught_up_at: datetime | None = None
    unopenable: bool = False


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel that follows a hook's project, and which events it wants.

    `account_id` is the linked account of the person who subscribed the channel, and reads for this
    channel alone; `access_ok_at` is when it was last seen to have access. `consent` is the answer
    to who will see the project here, None where nobody was asked. `moved_at` is when it came to its
    hook from another one, `caught_up_at` until when the activity list was read for it.
    """

    id: int
    hook_id: int
    guild_id: int
    channel_id: int
    options: SubscriptionOptions
    state: SubscriptionState
    pause_reason: PauseReason | None
    pause_detail: str | None
    created_by: int
    created_at: datetime
    updated_at: datetime
    last_event_at: datetime | None
    account_id: int | None = None
    access_ok_at: datetime | None = None
    consent: Consent | None = None
    moved_at: datetime | None = None
    caught_up_at: datetime | None = None

    @property
    def shows_since(self) -> datetime:
        """Since when its hook's events concern it: nothing from before is fetched for it."""
        return self.moved_at or self.created_at

    def came_after(self, row: "InboxRow") -> bool:
        """Whether it happened before the subscription was there, or came to the hook it is of.

        What an earlier hook told, and is held back since, is the subscription's all the same.
        """
        of_this_hook = row.hook_id == self.hook_id
        return row.event_at < (self.shows_since if of_this_hook else self.created_at)


@dataclass(frozen=True, slots=True)
class HookFollowers:
    """A hook, and subscriptions that follow it."""

    hook: Hook
    subscriptions: Sequence[Subscription]


@dataclass(frozen=True, slots=True)
class Account:
    """One person's account on one Speckle server, linked to their Discord account.

    `refused_at` is since when the server no longer takes the token. `unconfirmed_at` is since when
    its person is to say that it may be used: the database was restored from a copy.
    `unopenable`: no key opens what is sealed, so there is no name and the token is "".
    """

    id: int
    discord_user_id: int
    server_url: str
    speckle_user_id: str
    name: str | None
    tokens: Tokens = field(repr=False)
    scopes: frozenset[Scope]
    linked_at: datetime
    refused_at: datetime | None
    unconfirmed_at: datetime | None = None
    unopenable: bool = False


@dataclass(frozen=True, slots=True)
class LinkDetails:
    """What is sealed in a link request.

    `person` is the Discord name that the page shows, `answer_to` where the person is told how it
    went, `pending` the token of a command that goes on once there is an account. `challenge` and
    `cookie_digest` are of the sign-in under way; `tokens` came out of it, while it could not be
    asked whose they are. `told`: the person knows already that the account is linked.
    """

    person: str = ""
    pending: str | None = field(default=None, repr=False)
    answer_to: Mapping[str, str] | None = field(default=None, repr=False)
    challenge: str | None = field(default=None, repr=False)
    cookie_digest: str | None = field(default=None, repr=False)
    tokens: Tokens | None = field(default=None, repr=False)
    told: bool = False


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """One person's wish to link an account on one server.

    `used_at` is set while a sign-in comes to its end (for a minute), and for good if it did;
    `account_id` once there is an account, until that is told and done with.
    """

    nonce_digest: str
    discord_user_id: int
    server_url: str
    details: LinkDetails = field(repr=False)
    expires_at: datetime
    used_at: datetime | None
    account_id: int | None


@dataclass(frozen=True, slots=True)
class HangsOn:
    """What an account holds up: channels by their guild, and webhooks that the bot made with it."""

    channels: Mapping[int, int]
    webhooks: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A subscription that is no more; with the last one of its hook the hook went too.

    `removal_id`: the hook's webhook was made with an account, and is yet to be removed.
    """

    subscription: Subscription
    last_of_hook: bool
    removal_id: int | None = None


@dataclass(frozen=True, slots=True)
class Removal:
    """A webhook at Speckle whose hook is gone, and the account that is to remove it."""

    id: int
    account_id: int
    server_url: str
    project_id: str
    key: str = field(repr=False)
    attempts: int
    next_try_at: datetime


@dataclass(frozen=True, slots=True)
class TraceLine:
    """One stage of an event's way, for "why did I (not) get this"."""

    at: datetime
    stage: str
    text: str
    facts: Mapping[str, int | str] = field(default_factory=dict)

    def to_json(self) -> list[Any]:
        """As the trace column holds it: [at, stage, text, facts]."""
        return [self.at.isoformat(), self.stage, self.text, dict(self.facts)]

    @classmethod
    def from_json(cls, data: Sequence[Any]) -> Self:
        """Back from the trace column."""
        at, stage, text, facts = data
        return cls(datetime.fromisoformat(at), stage, text, facts)


@dataclass(frozen=True, slots=True)
class DayQuota:
    """How many events a guild may send in a day (UTC), and how many bytes their bodies may have."""

    guild_id: int
    events: int
    bytes: int

    def halved(self) -> Self:
        """Half of it."""
        return replace(self, events=self.events // 2, bytes=self.bytes // 2)


@dataclass(frozen=True, slots=True)
class QuotaNotice:
    """A guild is to be told that a hook of it sent more than it may on a day."""

    day: date
    guild_id: int
    hook_id: int
    nonce: str


@dataclass(frozen=True, slots=True)
class NewInbox:
    """A verified delivery to keep; `digest` is the body's SHA-256 in hex.

    `quota` is what it counts towards; None for what no quota is for.
    """

    hook_id: int | None
    lane: str
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
class InboxRow:
    """A delivery that is kept; `body` is empty once it has been erased."""

    id: int
    hook_id: int | None
    lane: str
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

    @property
    def event_at(self) -> datetime:
        """When the event happened, as well as that is known."""
        return self.happened_at or self.received_at


@dataclass(frozen=True, slots=True)
class InboxLane:
    """A lane of the inbox where something may be new.

    `guild_id` is None for the operator's shared hook.
    """

    lane: str
    guild_id: int | None


@dataclass(frozen=True, slots=True)
class Taken:
    """New rows of one lane, in order; `more`: something else is new there.

    `too_large`: the first one alone is more than was asked for, and so was left out.
    """

    rows: Sequence["InboxRow"]
    too_large: int | None
    more: bool


@dataclass(frozen=True, slots=True)
class NewOutbox:
    """A card for one subscription's channel.

    `made_at`: what it shows was decided by what was known then; None for when it is written.
    """

    subscription_id: int
    guild_id: int
    channel_id: int
    card: Mapping[str, Any] = field(repr=False)
    pictures: tuple[Picture, ...] = field(default=(), repr=False)
    made_at: datetime | None = None

    @classmethod
    def of(cls, subscription: Subscription, card: Card, made_at: datetime | None = None) -> Self:
        """The card, addressed to the subscription's channel."""
        return cls(
            subscription.id,
            subscription.guild_id,
            subscription.channel_id,
            card.to_json(),
            card.pictures,
            made_at,
        )


@dataclass(frozen=True, slots=True)
class Paused:
    """Why a subscription stops here; what it depends on is told, if anything needs to be."""

    reason: PauseReason
    why: PauseWhy | None = None


@dataclass(frozen=True, slots=True)
class SubscriptionResult:
    """What one event leads to in one subscription.

    A `card` to send, or the event is held until `held_until` at least, or neither. `late` is what
    the card still lacks, and when it is first asked for again. `pause` comes after the card.
    `access_ok`: its account has just been seen to have access.
    """

    subscription_id: int
    card: NewOutbox | None = None
    late: Mapping[FillIn, datetime] = field(default_factory=dict)
    held_until: datetime | None = None
    pause: Paused | None = None
    access_ok: bool = False


@dataclass(frozen=True, slots=True)
class HookResult:
    """What one event changes for one hook, and leads to in the hook's subscriptions (`routed`).

    Where the hook's own webhook brought it (`told`), the hook turns live if it waited, takes the
    project's name, and remembers `at` and the models' names by their ids, because some events name
    a model by id only, and forgets others. What an account was told changes nothing of the hook.
    `visibility` is what a question without a token found. `already` are the rows by which
    subscriptions were shown the same event another way.
    """

    hook_id: int
    at: datetime
    told: bool
    project_name: str | None = None
    model_names: Mapping[str, str] = field(default_factory=dict)
    forgotten_models: Sequence[str] = ()
    routed: Sequence[SubscriptionResult] = ()
    visibility: str | None = None
    already: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EventResult:
    """What became of one event of the inbox; without a name it is one that nobody understands.

    `event_key` is the same for events that say the same.
    """

    inbox_id: int
    trace: Sequence[TraceLine] = ()
    event_name: str | None = None
    event_key: str | None = None
    of_hooks: Sequence[HookResult] = ()


@dataclass(frozen=True, slots=True)
class HeldEvent:
    """An event that a subscription is yet to be shown."""

    subscription_id: int
    inbox_id: int
    attempts: int
    guild_id: int


@dataclass(frozen=True, slots=True)
class OutboxRow:
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
    form: CardForm
    gave_up_at: datetime | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """Cards of one subscription that wait for a channel, whose events came in one way.

    `made_at` is when the oldest of them was made, `picture_bytes` how large their pictures are.
    """

    subscription_id: int
    source: InboxSource
    made_at: datetime
    picture_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Batch:
    """Cards that travel in one message; its nonce was on disk before the first try."""

    id: int
    channel_id: int
    nonce: str
    created_at: datetime
    state: BatchState


@dataclass(frozen=True, slots=True)
class FillInJob:
    """Something that an event's card of one subscription still lacks, to be asked for again."""

    id: int
    inbox_id: int
    subscription_id: int
    kind: FillIn
    created_at: datetime
    attempts: int
    next_try_at: datetime


@dataclass(frozen=True, slots=True)
class FillInLane:
    """The jobs of one guild at one Speckle server."""

    server_url: str
    guild_id: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A message to be brought up to date: `rows` are all of its cards, as they are to be now.

    `rows` is empty where the message cannot be made again, because a card of it is no longer kept.
    `revisions` maps the changed cards' ids to their revisions.
    """

    channel_id: int
    message_id: int | None
    rows: Sequence[OutboxRow]
    revisions: Mapping[int, int]
    attempts: int


@dataclass(frozen=True, slots=True)
class EditedChannel:
    """A channel with messages to be brought up to date."""

    channel_id: int
    guild_id: int


@dataclass(frozen=True, slots=True)
class ChannelQueue:
    """Where the delivery to one channel stands; `due_at` is None when there is nothing to do.

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
class Notice:
    """What one member is to be told of a channel that the bot paused.

    `detail` is what Discord answered, or which permissions are missing. `next_try_at` is None once
    it is told or given up.
    """

    id: int
    guild_id: int
    channel_id: int
    user_id: int
    reason: PauseReason
    detail: str
    nonce: str
    created_at: datetime
    attempts: int
    next_try_at: datetime | None
