"""What storage keeps and all rooms speak of: hooks, subscriptions, accounts, answers, pauses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import Tokens, TokenScope


class Entitlement(StrEnum):
    """What entitled a person to answer for a project."""

    OWNER = "owner"  # their linked account may manage the project's webhooks
    READER = "reader"  # their linked account may see the project
    MANAGER = "manager"  # Manage Webhooks in the whole Discord server, no account
    ANYONE = "anyone"  # none of these: the project was public


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's answer to "who will see this project here", kept with one subscription.

    `by` is their Discord id. It covers events within `options`, in a channel that nobody beyond
    `audience` can see (None: not looked at), of a project as open as `visibility` says (None: not
    known, which counts as private). `project_name` is what the person's account called it.
    `unlinked`: the account that it was given with was unlinked since, so that it no longer covers
    a private project.
    """

    by: int
    at: datetime
    entitlement: Entitlement
    options: SubscriptionOptions
    visibility: str | None = None
    audience: Audience | None = None
    project_name: str | None = None
    unlinked: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the database keeps it."""
        return {
            "by": self.by,
            "at": self.at.isoformat(),
            "standing": self.entitlement.value,
            **self.options.to_json(),
            "visibility": self.visibility,
            "audience": None if self.audience is None else self.audience.to_json(),
            "project_name": self.project_name,
            "unlinked": self.unlinked,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Back from the database."""
        audience = data["audience"]
        return cls(
            by=data["by"],
            at=datetime.fromisoformat(data["at"]),
            entitlement=Entitlement(data["standing"]),
            options=SubscriptionOptions.from_json(data),
            visibility=data["visibility"],
            audience=None if audience is None else Audience.from_json(audience),
            project_name=data["project_name"],
            unlinked=data.get("unlinked", False),  # older answers do not say
        )


class PauseWhy(StrEnum):
    """Why a subscription may not be shown its project any more, or not yet."""

    # Of the account that shows the project in the channel.
    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    SCOPE_MISSING = "scope_missing"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    UNLINKED = "unlinked"
    UNCONFIRMED = "unconfirmed"  # the database was restored, and its person has not confirmed it
    NOT_LIVE = "not_live"  # the operator lets no account hear of such a project
    # Of the person whose account it is.
    PERSON_LEFT = "person_left"
    PERSON_BLIND = "person_blind"  # they no longer see the channel
    # Of the answer.
    NOT_ANSWERED = "not_answered"
    FILTERS_WIDER = "filters_wider"
    AUDIENCE_WIDER = "audience_wider"
    TURNED_PRIVATE = "turned_private"


PREVIOUS_SECRET_VALID = timedelta(hours=24)  # promised by the button that makes a new secret
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


class HookTrouble(StrEnum):
    """Why a webhook cannot be looked after, or brings nothing."""

    TOKEN_REFUSED = "token_refused"  # noqa: S105  # no token
    NO_RIGHT = "no_right"  # its account does not own the project any more, or lacks a scope
    SWITCHED_OFF = "switched_off"
    UNOPENABLE = "unopenable"  # the bot's keys do not open the account
    NOT_RESTORED = "not_restored"  # deleted or changed there, and the bot cannot set it right
    PROJECT_GONE = "project_gone"
    NOT_ARRIVING = "not_arriving"  # what it should have brought was read with an account


# What a signed event shows to be over.
ENDED_BY_EVENT = frozenset(
    {
        HookTrouble.SWITCHED_OFF,
        HookTrouble.NOT_RESTORED,
        HookTrouble.PROJECT_GONE,
        HookTrouble.NOT_ARRIVING,
    }
)


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
    SILENCED = "silenced"  # Discord refuses although every permission is there; ends automatically
    ACCESS_LOST = "access_lost"
    ASK_AGAIN = "ask_again"  # something is wider than the answer that was given


# Paused because Discord did not take the cards: they are kept, new ones too, until it is resumed.
SENDING_PAUSES = frozenset(
    {
        PauseReason.CHANNEL_GONE,
        PauseReason.NO_PERMISSION,
        PauseReason.THREAD_CLOSED,
        PauseReason.SILENCED,
    }
)


# Paused because of who may see the project: the events are kept, not their cards. They are
# rendered again once somebody has answered for the channel.
RIGHTS_PAUSES = frozenset({PauseReason.ACCESS_LOST, PauseReason.ASK_AGAIN})
# What happens during these pauses is kept, and shown once somebody resumes.
KEEPING_PAUSES = SENDING_PAUSES | RIGHTS_PAUSES


class InboxSource(StrEnum):
    """How an event came, which says whom it is for."""

    WEBHOOK = "webhook"  # of one guild's own hook
    OPERATOR = "operator"  # by the operator's shared webhook, for the operator's own guilds
    HISTORY = "history"  # of a webhook: the very body that could not be delivered
    ACTIVITY = "activity"  # read with one account: a body made from what the list says
    LIVE = "live"  # the same, of a project that is listened to: no webhook was to bring it
    TEST = "test"  # a sample that /test made, for one subscription: it never happened
    CHECKS = "checks"  # what the bot found out of a version's checks, for one subscription

    @property
    def is_listed(self) -> bool:
        """Whether it was read in a project's lists, with one account and for one subscription."""
        return self in LISTED_SOURCES

    @property
    def tells_of_hook(self) -> bool:
        """Whether a webhook sent it, so that it shows what the webhook and its project are like."""
        return not self.is_listed and self not in (InboxSource.TEST, InboxSource.CHECKS)


LISTED_SOURCES = frozenset({InboxSource.ACTIVITY, InboxSource.LIVE})


@dataclass(frozen=True, slots=True)
class Guild:
    """A Discord server that the bot is in, or was in until `left_at`.

    `default_options` are what a new subscription starts with, None for the bot's own defaults.
    """

    guild_id: int
    joined_at: datetime
    left_at: datetime | None
    notice_channel_id: int | None
    default_options: SubscriptionOptions | None = None


def own_ordering_key(hook_id: int) -> str:
    """Within what the events of a guild's own hook keep their order."""
    return f"hook:{hook_id}"


def sample_ordering_key(subscription_id: int) -> str:
    """Within what the samples of a subscription keep their order: no real event is among them."""
    return f"test:{subscription_id}"


def shared_ordering_key(server_url: str, project_id: str) -> str:
    """Within what the events of the operator's shared webhook keep their order."""
    return f"shared:{server_url}:{project_id}"


@dataclass(frozen=True, slots=True)
class Hook:
    """One guild's tie to one project.

    `key` is the last part of the webhook's address; `secrets` are opened, the current one first,
    then the previous one while it is valid. Both are None or empty for a shared hook.
    `webhook_id` is the webhook at Speckle and `account_id` the account that made it, if the bot
    did; by hand both are None. The account serves the webhook alone, no channel. `visibility` as
    a question without a token last found it, `public_at` when that last could read the project.
    `trouble` is why the webhook cannot be looked after, `waiting_told_at` when somebody was
    notified that its first event has not come. `unopenable`: no key opens the current secret, so
    there are none and nothing can be verified; a `webhook_id` that no key opens is "", and the
    webhook is found by its address. `listens`: the project's lists are read all the time, for those
    of its channels that have an account.
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
    trouble: HookTrouble | None = None
    trouble_since: datetime | None = None
    waiting_told_at: datetime | None = None
    listens: bool = False
    unopenable: bool = False

    @property
    def ordering_key(self) -> str:
        """The ordering key that its events are kept with."""
        if self.kind is HookKind.OWN:
            return own_ordering_key(self.id)
        return shared_ordering_key(self.server_url, self.project_id)

    @property
    def is_heard(self) -> bool:
        """Whether its events come through accounts alone, without any webhook."""
        return self.listens and self.webhook_id is None

    @property
    def is_by_hand(self) -> bool:
        """Whether someone entered the webhook's address and secret at Speckle, or still has to."""
        return self.kind is HookKind.OWN and self.webhook_id is None and not self.listens


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel that follows a hook's project, and which events it wants.

    `account_id` is the linked account of the person who subscribed the channel, and reads for this
    channel alone; `access_ok_at` is when it was last seen to have access. `consent` is the answer
    to who will see the project here, None where nobody was asked. `moved_at` is when it came to its
    hook from another one, `caught_up_at` until when the activity list was read for it, and
    `listened_until` the same by the server's own clock, while its hook listens.
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
    listened_until: datetime | None = None

    @property
    def shows_since(self) -> datetime:
        """Since when its hook's events concern it: nothing from before is fetched for it."""
        return self.moved_at or self.created_at

    @property
    def is_paused_for_rights(self) -> bool:
        """Whether the bot paused it because of who may see the project."""
        return self.state is SubscriptionState.PAUSED and self.pause_reason in RIGHTS_PAUSES

    @property
    def is_paused_by_discord(self) -> bool:
        """Whether the bot paused it because Discord did not take its cards."""
        return self.state is SubscriptionState.PAUSED and self.pause_reason in SENDING_PAUSES

    def came_after(self, hook_id: int | None, event_at: datetime) -> bool:
        """Whether it happened before the subscription was there, or came to the hook it is of.

        What came by an earlier hook, and is held back since, is the subscription's too.
        """
        of_this_hook = hook_id == self.hook_id
        return event_at < (self.shows_since if of_this_hook else self.created_at)


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
    scopes: frozenset[TokenScope]
    linked_at: datetime
    refused_at: datetime | None
    unconfirmed_at: datetime | None = None
    unopenable: bool = False


@dataclass(frozen=True, slots=True)
class Dependents:
    """What an account holds up: channels by their guild, and webhooks that the bot made with it."""

    channels: Mapping[int, int]
    webhooks: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A subscription that is no more; with the last one of its hook the hook went too.

    `removal_id`: the hook's webhook was made with an account, and still has to be removed.
    """

    subscription: Subscription
    last_of_hook: bool
    removal_id: int | None = None


@dataclass(frozen=True, slots=True)
class WebhookRemoval:
    """A webhook at Speckle whose hook is gone, and the account that is to remove it."""

    id: int
    account_id: int
    server_url: str
    project_id: str
    key: str = field(repr=False)
    attempts: int
    next_try_at: datetime


@dataclass(frozen=True, slots=True)
class AccessPause:
    """Why a subscription stops here; `detail` says what it depends on, if anything."""

    reason: PauseReason
    why: PauseWhy | None = None


@dataclass(frozen=True, slots=True)
class PauseNotice:
    """What one member must be notified of: a channel that the bot paused.

    `detail` is what Discord answered, or which permissions are missing. `next_try_at` is None once
    it is sent or given up.
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
