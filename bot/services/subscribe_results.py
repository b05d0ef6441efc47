"""What commands are asked and how they end, as values; the cogs put them into words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, StrEnum, auto
from typing import TypeAlias

from bot.model import NOBODY, Hook, PauseWhy, Subscription
from bot.permissions import Actor, Audience, TargetChannel
from bot.services.access_rules import LiveFor, is_private
from bot.services.project_names import project_label
from bot.services.webhook_results import Ensured, EnsureFailed, EnsureProblem, RemovalResult
from bot.services.webhook_setup import WebhookSetup
from bot.speckle.events import EventKind
from bot.speckle.filter_hints import FilterHint
from bot.speckle.links import LinkTarget
from bot.speckle.subscription_options import SubscriptionOptions, TypedOptions

AudienceOf: TypeAlias = Callable[[int], Audience | None]


def _not_known(_channel_id: int) -> Audience | None:
    return None


class LinkedModels(Enum):
    """What a link to a model means for a channel that shows the project's models already."""

    ASK = auto()
    ADD = auto()
    REPLACE = auto()
    KEEP = auto()


@dataclass(frozen=True, slots=True)
class CommandCaller:
    """Who types, and where it is to be shown; `audience` is who sees that channel.

    `reads_history`: they may read what was said there before. `parent_id`: the channel that a
    thread is in.
    """

    guild_id: int
    actor: Actor
    channel_id: int
    audience: Audience | None = None
    reads_history: bool = False
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """What was typed into /subscribe.

    `by_hand`: the caller wants to set the webhook up in Speckle themselves. `resume`: a channel
    that is paused is to continue. `audience_of(channel_id)` gives who can see another channel of
    the server, None where that cannot be found out.

    `agreed` is None until the caller has answered who will see a private project: then it has the
    channels that they agreed to, with who could see each of them when they were asked.
    `left_out` are channels that the answer is not to cover. `defaulted` are options that nobody
    typed: they are the server's default filters, as they were when the command began.
    """

    guild_id: int
    actor: Actor
    channel: TargetChannel
    project: str
    options: TypedOptions = field(default_factory=dict)
    by_hand: bool = False
    resume: bool = True
    audience_of: AudienceOf = _not_known
    agreed: Mapping[int, Audience | None] | None = None
    left_out: frozenset[int] = frozenset()
    linked_models: LinkedModels = LinkedModels.ASK
    defaulted: frozenset[str] = frozenset()
    not_live: LiveFor | None = None

    @property
    def caller(self) -> CommandCaller:
        """Who types, and where it is to be shown."""
        target = self.channel
        return CommandCaller(self.guild_id, self.actor, target.channel_id, target.audience)


class SubscribeChange(StrEnum):
    """What /subscribe did to the channel."""

    NEW = "new"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


class NotHeard(Enum):
    """Why nothing arrives of a project, whatever happens there.

    The first two are of what is live through an account, the last is of what waits for a webhook.
    """

    SERVER_LEFT_OUT = auto()  # the bot's settings do not name its server any more
    UNOPENABLE = auto()  # the bot's keys do not open the account
    NO_ADDRESS = auto()  # the bot has no address that the webhook could lead to


@dataclass(frozen=True, slots=True)
class Followed:
    """A subscription with the hook that it gets its events through.

    `named`: the reader may know what the channel calls the project. `models` are names of models
    that its filters name by their ids. `not_heard` is looked at only for who asks about it.
    """

    hook: Hook
    subscription: Subscription
    named: bool = True
    models: Mapping[str, str] = field(default_factory=dict)
    not_heard: NotHeard | None = None

    @property
    def shown(self) -> SubscriptionOptions:
        """What the channel shows, with models by their names where they are known."""
        return self.subscription.options.named(self.models)

    @property
    def label(self) -> str:
        """The project's name as the channel may know it, else its id; not escaped."""
        if not self.named:
            return self.hook.project_id
        return project_label(self.hook, self.subscription)

    @property
    def is_unread(self) -> bool:
        """Whether it is live, and nobody's account reads for it any more."""
        return self.hook.is_heard and self.subscription.account_id is None

    def for_others(self) -> "Followed":
        """The same for people who may not see the channel: a private project has no name there."""
        return replace(self, named=not is_private(self.hook.visibility), models={})


@dataclass(frozen=True, slots=True)
class Subscribed:
    """How /subscribe ended.

    `setup` is there while the project's webhook has still to be made and the caller may see its
    secret. `new_triggers` must be chosen in addition to those that the other channels needed.
    `webhook` is what the bot did about the webhook itself, None if that is somebody's own.
    `lacking` are events that the channel wants and a webhook of the bot's does not send, because
    nobody who owns the project asked for them. `also` are the server's other channels that the
    answer covers, `unanswered` counts those that it paused. `paused` is why the channel itself
    stopped: the change goes beyond what was agreed to. `kept` events happened meanwhile. `target`
    is what the pasted link leads to, `hints` are filters that have no effect now, for
    the person who `asked_by` typing it. `defaulted` are options that a new one has from the
    server's default filters. `not_live`: the caller's account sees the project, and the operator
    lets accounts hear of such projects alone. `begins_live`: it was not live before, or through
    another account.
    """

    entry: Followed
    change: SubscribeChange
    old_options: SubscriptionOptions | None
    resumed: bool
    setup: WebhookSetup | None
    new_triggers: tuple[str, ...]
    webhook: Ensured | EnsureFailed | None = None
    also: tuple[int, ...] = ()
    unanswered: int = 0
    lacking: tuple[EventKind, ...] = ()
    paused: PauseWhy | None = None
    kept: int = 0
    target: LinkTarget = LinkTarget.PROJECT
    hints: tuple[FilterHint, ...] = ()
    asked_by: int = NOBODY
    defaulted: frozenset[str] = frozenset()
    not_live: LiveFor | None = None
    begins_live: bool = False


@dataclass(frozen=True, slots=True)
class NeedsAccount:
    """Nothing was changed yet: the caller is to link an account, or to choose the way by hand.

    `why` is None where none is linked, else what keeps the linked one from being used; `paused`:
    the channel waits for somebody with an account to answer, so the way by hand is none.
    """

    request: SubscribeRequest
    server_url: str
    why: EnsureProblem | None = None
    detail: str = ""
    paused: bool = False


@dataclass(frozen=True, slots=True)
class NeedsConsent:
    """Nothing was changed yet: the project is private, and others will see it in that place.

    `project_name` is what the caller's account calls it, None without one. `also` are other
    channels of the server that will see it because of the answer, with who can see each of them;
    `others` counts those that the caller does not see, and that the answer therefore leaves out.
    """

    request: SubscribeRequest
    server_url: str
    project_id: str
    project_name: str | None
    also: Mapping[int, Audience] = field(default_factory=dict)
    others: int = 0

    @property
    def chosen(self) -> tuple[int, ...]:
        """The other channels that the answer will cover now."""
        return tuple(channel for channel in self.also if channel not in self.request.left_out)

    @property
    def agreed(self) -> Mapping[int, Audience | None]:
        """What a yes means: each channel with who can see it now."""
        target = self.request.channel
        return {target.channel_id: target.audience} | {one: self.also[one] for one in self.chosen}


@dataclass(frozen=True, slots=True)
class NeedsChoice:
    """Nothing was changed yet: the link leads to models, and the channel follows the project.

    `linked` are those models, as patterns, `shown` the channel's patterns, none for all models,
    `hints` what the project does not have of the former.
    """

    request: SubscribeRequest
    server_url: str
    entry: Followed
    linked: tuple[str, ...]
    shown: tuple[str, ...]
    hints: tuple[FilterHint, ...] = ()


@dataclass(frozen=True, slots=True)
class Unsubscribed:
    """A subscription that is no more; `last` is the last one of the project in this guild.

    `removal` is about a webhook that the bot made, `webhook` of one that other channels still need.
    """

    entry: Followed
    last: bool
    settings_url: str
    removal: RemovalResult | None = None
    webhook: Ensured | EnsureFailed | None = None


@dataclass(frozen=True, slots=True)
class NotFollowed:
    """There was nothing to unsubscribe; `elsewhere` are the channels that do follow it."""

    project: str
    elsewhere: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class NothingToSetUp:
    """The operator's shared hook, or an account, brings the project's events."""

    entry: Followed


@dataclass(frozen=True, slots=True)
class MadeSetUp:
    """There is nothing to set up: the bot made the webhook, with the account of `made_by`.

    `webhook` says what was done about it now, `renewed` that it was to get a new secret.
    """

    entry: Followed
    made_by: int | None
    webhook: Ensured | EnsureFailed | None = None
    renewed: bool = False


@dataclass(frozen=True, slots=True)
class Resumed:
    """What continues in a channel where the bot had paused it; nothing if nothing was paused.

    `cards` were kept meanwhile, or events that become cards, and come now.
    """

    channel_id: int
    entries: tuple[Followed, ...] = ()
    cards: int = 0
