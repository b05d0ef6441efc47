"""Subscriptions out of another database: what of them may be made, and that nothing is shown yet.

No file says who agreed to what, so none is shown before somebody with the right to it has answered
here: each is paused as one that nobody answered for, and the person named in it is notified.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum, auto

from bot.model import AccessPause, Hook, HookKind, HookState, PauseReason, PauseWhy
from bot.services.quotas import GuildLimits
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Transaction


@dataclass(frozen=True, slots=True)
class PortableSubscription:
    """What a file says of a subscription; `by` is the Discord id of the person who made it."""

    server_url: str
    project_id: str
    guild_id: int
    channel_id: int
    options: SubscriptionOptions
    by: int


class ImportOutcome(Enum):
    """What became of one."""

    MADE = auto()
    THERE = auto()
    THERE_WITH_OTHER_FILTERS = auto()
    GUILD_UNKNOWN = auto()
    BOT_LEFT_GUILD = auto()
    SERVER_NOT_USED = auto()
    CHANNEL_OF_OTHER_GUILD = auto()
    NO_ROOM_FOR_WEBHOOK = auto()
    NO_ROOM_FOR_SUBSCRIPTION = auto()


@dataclass(frozen=True, slots=True)
class ImportRules:
    """What the settings allow; `without` are the guilds that have no limits."""

    servers: Collection[str]
    limits: GuildLimits
    without: Collection[int]


def import_all(
    tx: Transaction, wanted: Sequence[PortableSubscription], rules: ImportRules
) -> Sequence[ImportOutcome]:
    """Make those that may be made, in one transaction; what became of each."""
    return [_import(tx, one, rules) for one in wanted]


def _import(tx: Transaction, one: PortableSubscription, rules: ImportRules) -> ImportOutcome:
    hindrance = _not_at_home(tx, one, rules.servers) or _there(tx, one)
    if hindrance is not None:
        return hindrance
    hook = _begun(tx, one)
    if one.guild_id not in rules.without:
        used = tx.day_use.used(one.guild_id)
        if hook is None and used.hooks >= rules.limits.hooks:
            return ImportOutcome.NO_ROOM_FOR_WEBHOOK
        if used.subscriptions >= rules.limits.subscriptions:
            return ImportOutcome.NO_ROOM_FOR_SUBSCRIPTION
    _make(tx, one, hook)
    return ImportOutcome.MADE


def _not_at_home(
    tx: Transaction, one: PortableSubscription, servers: Collection[str]
) -> ImportOutcome | None:
    guild = tx.guilds.get(one.guild_id)
    if guild is None:
        return ImportOutcome.GUILD_UNKNOWN
    if guild.left_at is not None:
        return ImportOutcome.BOT_LEFT_GUILD
    if one.server_url not in servers:
        return ImportOutcome.SERVER_NOT_USED
    others = tx.subscriptions.of_channel(one.channel_id)
    if any(other.guild_id != one.guild_id for other in others):
        return ImportOutcome.CHANNEL_OF_OTHER_GUILD
    return None


def _there(tx: Transaction, one: PortableSubscription) -> ImportOutcome | None:
    hooks = {hook.id for hook in tx.hooks.of_project(one.guild_id, one.server_url, one.project_id)}
    for other in tx.subscriptions.of_channel(one.channel_id):
        if other.hook_id in hooks:
            same = other.options == one.options
            return ImportOutcome.THERE if same else ImportOutcome.THERE_WITH_OTHER_FILTERS
    return None


def _begun(tx: Transaction, one: PortableSubscription) -> Hook | None:
    """The webhook by hand of that person which nobody has set up yet: nobody else's is taken."""
    for hook in tx.hooks.of_project(one.guild_id, one.server_url, one.project_id):
        if hook.is_by_hand and hook.state is HookState.WAITING and hook.created_by == one.by:
            return hook
    return None


def _make(tx: Transaction, one: PortableSubscription, begun: Hook | None) -> None:
    hook = begun or tx.hooks.create(
        one.guild_id, one.server_url, one.project_id, HookKind.OWN, one.by, one.channel_id
    )
    _, made = tx.subscriptions.upsert(hook.id, one.channel_id, one.options, one.by)
    pause = AccessPause(PauseReason.ASK_AGAIN, PauseWhy.NOT_ANSWERED)
    tx.held_events.hold_back(made.id, made.created_at, pause)
