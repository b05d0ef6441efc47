"""The audit log: who changed what in a Discord server, as words with facts.

A row names people by their Discord ids alone, and projects by theirs. Its sentences are in
bot/audit_texts.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bot.speckle.subscription_options import OPTIONS, Option, SubscriptionOptions

NAMES_PEOPLE: Final = "ignore_authors"


class ActorKind(StrEnum):
    """Who changed something."""

    PERSON = "person"
    BOT = "bot"
    HOST = "host"  # the person who runs the bot, on the command line


@dataclass(frozen=True, slots=True)
class AuditActor:
    """Who changed something; `user_id` is a person's Discord id, None once that is erased."""

    kind: ActorKind
    user_id: int | None = None


BY_BOT: Final = AuditActor(ActorKind.BOT)
BY_HOST: Final = AuditActor(ActorKind.HOST)


def by_person(user_id: int) -> AuditActor:
    """A member of a Discord server."""
    return AuditActor(ActorKind.PERSON, user_id)


class AuditAction(StrEnum):
    """What can be changed; `bot/audit_texts.py` has a sentence for each."""

    # Subscriptions.
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    FILTERS_CHANGED = "filters_changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    CONSENTED = "consented"  # to show a private project
    # Webhooks.
    WEBHOOK_CREATED = "webhook_created"
    WEBHOOK_REPAIRED = "webhook_repaired"
    WEBHOOK_RESET = "webhook_reset"  # it is to be set up by hand again
    WEBHOOK_CONVERTED = "webhook_converted"  # from the operator's shared one, or to it
    WEBHOOK_REMOVED = "webhook_removed"
    SECRET_RENEWED = "secret_renewed"  # noqa: S105  # no secret
    # Of the whole server.
    GUILD_JOINED = "guild_joined"
    GUILD_LEFT = "guild_left"
    NOTICE_CHANNEL_CHANGED = "notice_channel_changed"
    AUDIT_CHANNEL_CHANGED = "audit_channel_changed"
    AUDIT_CHANNEL_PAUSED = "audit_channel_paused"
    DEFAULTS_CHANGED = "defaults_changed"
    # People's accounts, where a channel depends on them.
    LINKED = "linked"
    CONFIRMED = "confirmed"
    UNLINKED = "unlinked"
    ERASED = "erased"
    # By the person who runs the bot.
    CARDS_RETRIED = "cards_retried"
    CARDS_DROPPED = "cards_dropped"
    KEYS_ROTATED = "keys_rotated"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change. `guild_id` is None for what concerns the whole bot, `channel_id` for a server.

    `number` is its place in the server's audit channel, from the first that was posted on.
    `left_channel_id` is the audit channel that it ended, and that is still to be told.
    """

    id: int
    at: datetime
    guild_id: int | None
    channel_id: int | None
    actor: AuditActor
    action: AuditAction
    facts: Mapping[str, Any]
    number: int | None = None
    left_channel_id: int | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which changes; None for all. `before_id`: only those that are older than that one."""

    guild_id: int | None = None
    user_id: int | None = None
    channel_id: int | None = None
    since: datetime | None = None
    before_id: int | None = None


@dataclass(frozen=True, slots=True)
class AuditChannel:
    """Where a guild's changes are posted, and how much of them has been.

    Rows after `after_id` are posted. `nonce` is that of the message that is on its way, since
    `nonce_at`. `paused_at`: Discord did not take it. `notified_at`: `set_by` knows that.
    """

    guild_id: int
    channel_id: int
    set_by: int
    after_id: int
    nonce: str | None = None
    nonce_at: datetime | None = None
    paused_at: datetime | None = None
    notified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class AuditBatch:
    """The rows of one message to an audit channel."""

    channel: AuditChannel
    entries: tuple[AuditEntry, ...]


# ── facts ─────────────────────────────────────────────────────────────────────────────────────


def filter_facts(
    after: SubscriptionOptions, before: SubscriptionOptions | None = None
) -> Mapping[str, Any]:
    """What a channel shows, by option: before and after, of those that differ.

    Of ignored authors it is only how many there are: nobody is named in the audit log.
    """
    before = before or SubscriptionOptions()
    differing = [one for one in OPTIONS if one.of(before) != one.of(after)]
    return {one.name: [_kept(one, before), _kept(one, after)] for one in differing}


def _kept(option: Option, options: SubscriptionOptions) -> list[str] | int:
    entries = option.of(options)
    return len(entries) if option.name == NAMES_PEOPLE else list(entries)
