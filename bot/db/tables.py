"""The tables, as SQLAlchemy Core sees them; migrations/ makes them, a test compares the two.

Their indexes that have a condition are in indexes.py.

Stored names are kept where the code has a better one by now: `lane` is an ordering key, `form` a
fallback level, `fill_ins` are jobs of late enrichment, `facts` are key values.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    UniqueConstraint,
    false,
    literal_column,
)

from bot.audit import ActorKind, AuditAction
from bot.db.column_types import CleanText, E, EnumText, JsonValue, UtcDateTime
from bot.model import (
    Consent,
    HookKind,
    HookState,
    HookTrouble,
    InboxSource,
    PauseReason,
    SubscriptionState,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.work import (
    BatchState,
    FallbackLevel,
    InboxState,
    LateAddition,
    OutboxState,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts up automatically only in a column that is exactly INTEGER.
AutoId = BigInteger().with_variant(Integer(), "sqlite")


def _id() -> Column[int]:
    return Column("id", AutoId, primary_key=True)


def _text(name: str, *, nullable: bool = False) -> Column[str]:
    return Column(name, CleanText(), nullable=nullable)


def _time(name: str, *, nullable: bool = False) -> Column[datetime]:
    return Column(name, UtcDateTime(), nullable=nullable)


def _snowflake(name: str, *, nullable: bool = False) -> Column[int]:
    return Column(name, BigInteger(), nullable=nullable)


def _enum(name: str, kind: type[E], *, nullable: bool = False) -> Column[E]:
    return Column(name, EnumText(kind), nullable=nullable)


def _json(name: str) -> Column[Any]:
    return Column(name, JSON(), nullable=False)


def _count(name: str) -> Column[int]:
    return Column(name, Integer(), nullable=False, server_default="0")


def _ref(
    name: str,
    target: str,
    ondelete: str | None = "CASCADE",
    *,
    nullable: bool = False,
    index: bool = True,
) -> Column[int]:
    foreign_key = ForeignKey(target, ondelete=ondelete)
    return Column(name, BigInteger(), foreign_key, nullable=nullable, index=index)


def _key_ref(name: str, target: str, *, index: bool = False) -> Column[int]:
    """A part of the primary key that refers to another table."""
    foreign_key = ForeignKey(target, ondelete="CASCADE")
    return Column(
        name, BigInteger(), foreign_key, primary_key=True, autoincrement=False, index=index
    )


guilds = Table(
    "guilds",
    metadata,
    Column("guild_id", BigInteger(), primary_key=True, autoincrement=False),
    _time("joined_at"),
    _time("left_at", nullable=True),
    _snowflake("notice_channel_id", nullable=True),
    # What a new subscription starts with.
    Column("default_options", JsonValue(SubscriptionOptions), nullable=True),
)

# Who changed what: words, ids and facts, no names. A guild's go with it.
audit_log = Table(
    "audit_log",
    metadata,
    _id(),
    Column("at", UtcDateTime(), nullable=False, index=True),
    _ref("guild_id", "guilds.guild_id", nullable=True, index=False),  # an index starts with it
    _snowflake("channel_id", nullable=True),
    _enum("actor", ActorKind),
    Column("actor_id", BigInteger(), nullable=True, index=True),
    _enum("action", AuditAction),
    _json("facts"),
    _text("nonce", nullable=True),  # of the message to the audit channel that has it
    Column("number", BigInteger(), nullable=True),  # in the guild's audit channel
    # The audit channel that this ended, until it is told.
    Column("left_channel_id", BigInteger(), nullable=True),
    Index(None, "guild_id", "id"),
    sqlite_autoincrement=True,
)

NOT_POSTED = audit_log.c.nonce.is_(None)
LEAVES_A_CHANNEL = audit_log.c.left_channel_id.is_not(None)

audit_channels = Table(
    "audit_channels",
    metadata,
    _key_ref("guild_id", "guilds.guild_id"),
    _snowflake("channel_id"),
    _snowflake("set_by"),
    _snowflake("after_id"),
    _text("nonce", nullable=True),
    _time("nonce_at", nullable=True),
    _time("paused_at", nullable=True),
    _time("notified_at", nullable=True),
)

# What Discord servers and channels are called, by their ids: for the person who runs the bot.
discord_names = Table(
    "discord_names",
    metadata,
    Column("id", BigInteger(), primary_key=True, autoincrement=False),
    _ref("guild_id", "guilds.guild_id"),
    _text("name"),
)

accounts = Table(
    "accounts",
    metadata,
    _id(),
    _snowflake("discord_user_id"),
    _text("server_url"),
    _text("speckle_user_id"),
    _text("tokens_sealed"),
    _json("scopes"),
    _time("linked_at"),
    _time("refused_at", nullable=True),  # since when the server no longer takes the token
    _time("unconfirmed_at", nullable=True),  # since when its person is to say that it may be used
    UniqueConstraint("discord_user_id", "server_url"),
    sqlite_autoincrement=True,
)

link_requests = Table(
    "link_requests",
    metadata,
    Column("nonce_digest", CleanText(), primary_key=True),
    _snowflake("discord_user_id"),
    _text("server_url"),
    _text("sealed"),  # challenge, cookie and the token of a pending command
    Column("expires_at", UtcDateTime(), nullable=False, index=True),
    _time("used_at", nullable=True),
    _ref("account_id", "accounts.id", nullable=True),  # once it is linked, until that is reported
)

pending_commands = Table(
    "pending_commands",
    metadata,
    Column("token_digest", CleanText(), primary_key=True),
    _snowflake("discord_user_id"),
    _text("sealed"),  # the command
    Column("expires_at", UtcDateTime(), nullable=False, index=True),
    _time("used_at", nullable=True),  # when it was done
)

hooks = Table(
    "hooks",
    metadata,
    _id(),
    _ref("guild_id", "guilds.guild_id", index=False),  # an index below starts with it
    _text("server_url"),
    _text("project_id"),
    _text("project_name", nullable=True),
    _enum("kind", HookKind),
    Column("key", CleanText(), nullable=True, unique=True),
    _text("secret_sealed", nullable=True),
    _text("previous_secret_sealed", nullable=True),
    _time("previous_secret_until", nullable=True),
    _enum("state", HookState),
    _snowflake("setup_channel_id", nullable=True),
    _snowflake("created_by"),
    _time("created_at"),
    _time("live_at", nullable=True),
    _time("last_event_at", nullable=True),
    _ref("account_id", "accounts.id", None, nullable=True),  # that made its webhook
    _text("webhook_sealed", nullable=True),  # the webhook's id at Speckle, of one the bot made
    _text("visibility", nullable=True),
    _time("public_at", nullable=True),  # when it was last readable without a token
    _time("caught_up_at", nullable=True),
    _enum("trouble", HookTrouble, nullable=True),
    _time("trouble_since", nullable=True),
    _time("trouble_told_at", nullable=True),
    _time("waiting_told_at", nullable=True),
    Column("listens", Boolean(), nullable=False, server_default=false()),
    # Not unique: each person who sets a project up by hand gets a webhook address of their own.
    Index(None, "guild_id", "server_url", "project_id"),
    Index(None, "project_id"),
    sqlite_autoincrement=True,
)

webhook_removals = Table(
    "webhook_removals",
    metadata,
    _id(),
    _ref("account_id", "accounts.id"),  # whose token removes it; without one nobody can
    _text("server_url"),
    _text("project_id"),
    _text("key"),  # the end of the webhook's URL, by which it is found
    _count("attempts"),
    Column("next_try_at", UtcDateTime(), nullable=False, index=True),
    sqlite_autoincrement=True,
)

models = Table(
    "models",
    metadata,
    _key_ref("hook_id", "hooks.id"),
    Column("model_id", CleanText(), primary_key=True),
    _text("name"),
)

people = Table(
    "people",
    metadata,
    _key_ref("hook_id", "hooks.id"),
    Column("person_id", CleanText(), primary_key=True),
    _text("name"),
)

threads = Table(
    "threads",
    metadata,
    _key_ref("hook_id", "hooks.id"),
    Column("thread_id", CleanText(), primary_key=True),
    _text("first_line", nullable=True),
    _json("resources"),
    Column("seen_at", UtcDateTime(), nullable=False, index=True),
)

# What a Speckle account may see of a project; it is shown where that account may be read with.
project_names = Table(
    "project_names",
    metadata,
    _key_ref("account_id", "accounts.id"),
    Column("project_id", CleanText(), primary_key=True),
    _json("names"),
    _time("read_at"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _id(),
    _ref("hook_id", "hooks.id", index=False),  # the unique key below starts with it
    Column("guild_id", BigInteger(), nullable=False, index=True),
    Column("channel_id", BigInteger(), nullable=False, index=True),
    Column("options", JsonValue(SubscriptionOptions), nullable=False),
    _enum("state", SubscriptionState),
    _enum("pause_reason", PauseReason, nullable=True),
    _text("pause_detail", nullable=True),
    _snowflake("created_by"),
    _time("created_at"),
    _time("updated_at"),
    _time("last_event_at", nullable=True),
    _ref("account_id", "accounts.id", None, nullable=True),
    _time("access_ok_at", nullable=True),  # when that account was last seen to have access
    Column("consent", JsonValue(Consent), nullable=True),
    _time("moved_at", nullable=True),  # when it came to its hook, if that was not at first
    _time("caught_up_at", nullable=True),  # until when the activity list was read for it
    _time("listened_until", nullable=True),  # the same by the server's clock, of live ones
    UniqueConstraint("hook_id", "channel_id"),
    sqlite_autoincrement=True,
)

# What was last seen of a project whose server has no activity list.
remembered_projects = Table(
    "remembered_projects",
    metadata,
    _key_ref("subscription_id", "subscriptions.id"),
    _json("state"),
    Column("seen_at", UtcDateTime(), nullable=False, index=True),
)

inbox = Table(
    "inbox",
    metadata,
    _id(),
    _ref("hook_id", "hooks.id", nullable=True),
    _text("lane"),
    _text("project_id"),
    _text("server_url", nullable=True),
    _text("digest"),
    _time("received_at"),
    _enum("state", InboxState),
    Column("finished_at", UtcDateTime(), nullable=True, index=True),
    _text("event_name", nullable=True),
    _json("trace"),
    Column("source", EnumText(InboxSource), nullable=False, server_default="webhook"),
    _time("happened_at", nullable=True),  # the event's own time, of one that was fetched later
    _text("event_key", nullable=True),
    _ref("subscription_id", "subscriptions.id", nullable=True),  # the only one that it is for
    # Of the activity list: the row by which a webhook sent its subscription the same. No foreign
    # key, as it continues to count once that row is erased.
    Column("same_as", BigInteger(), nullable=True),
    Column("body_bytes", BigInteger(), nullable=True),  # none once the body is deleted
    _text("subject", nullable=True),  # what it is about, however its event is worded
    Index(None, "lane", "id"),
    sqlite_autoincrement=True,
)

# What was delivered. Apart, as SQLite writes a whole row again whenever something in it changes.
bodies = Table(
    "bodies",
    metadata,
    Column(
        "inbox_id",
        BigInteger(),
        ForeignKey("inbox.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("body", LargeBinary(), nullable=False),
)

# Written out rather than bound: both databases use a partial index only for a condition that they
# can read in the statement itself.
IS_NEW = inbox.c.state == literal_column("'new'")
HAS_BODY = inbox.c.body_bytes.is_not(None)
# By time first, so that rows are added at its end and a look-up reads the last minute alone.
Index("ix_inbox_received_at_digest", inbox.c.received_at, inbox.c.digest)

HAS_KEY = inbox.c.event_key.is_not(None)

HAS_SUBJECT = inbox.c.subject.is_not(None)

history_taken = Table(
    "history_taken",
    metadata,
    Column(
        "hook_id",
        BigInteger(),
        ForeignKey("hooks.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("call_id", CleanText(), primary_key=True),
)

late_enrichment_jobs = Table(
    "fill_ins",
    metadata,
    _id(),
    _ref("inbox_id", "inbox.id", index=False),  # the unique key below starts with it
    _ref("subscription_id", "subscriptions.id"),
    _enum("kind", LateAddition),
    _time("created_at"),
    _count("attempts"),
    Column("next_try_at", UtcDateTime(), nullable=False, index=True),
    UniqueConstraint("inbox_id", "subscription_id", "kind"),
    sqlite_autoincrement=True,
)

# Events that were not shown to a subscription yet, because nobody could be asked whether it may, or
# because it is paused for that. In this order: new events of it queue up behind them.
held_events = Table(
    "held_events",
    metadata,
    _key_ref("subscription_id", "subscriptions.id"),
    _key_ref("inbox_id", "inbox.id", index=True),
    _time("held_at"),
    _count("attempts"),
    Column("next_try_at", UtcDateTime(), nullable=False, index=True),
)

batches = Table(
    "batches",
    metadata,
    _id(),
    _snowflake("channel_id"),
    Column("nonce", CleanText(), nullable=False, unique=True),
    Column("created_at", UtcDateTime(), nullable=False, index=True),
    _enum("state", BatchState),
    Column("cards", Integer(), nullable=True),  # how many; None for those before there were edits
    _time("next_edit_at", nullable=True),  # until then its message is not edited again
    sqlite_autoincrement=True,
)

IS_OPEN = batches.c.state == literal_column("'open'")

outbox = Table(
    "outbox",
    metadata,
    _id(),
    _ref("inbox_id", "inbox.id", "SET NULL", nullable=True, index=False),
    _ref("subscription_id", "subscriptions.id"),
    Column("guild_id", BigInteger(), nullable=False),
    Column("channel_id", BigInteger(), nullable=False),
    _json("card"),
    _enum("state", OutboxState),
    _ref("batch_id", "batches.id", None, nullable=True),
    _snowflake("message_id", nullable=True),
    _time("created_at"),
    Column("sent_at", UtcDateTime(), nullable=True, index=True),
    _text("last_error", nullable=True),
    Column("form", EnumText(FallbackLevel), nullable=False, server_default="full"),
    Column("gave_up_at", UtcDateTime(), nullable=True, index=True),
    # Of its pictures, together: what is large is sent in turns, which is known before it is read.
    Column("picture_bytes", BigInteger(), nullable=False, server_default="0"),
    _text("subject", nullable=True),  # what it shows of an issue, which it shows once
    _text("version_id", nullable=True),  # the new version that it shows; what comes is added to it
    UniqueConstraint("inbox_id", "subscription_id"),
    sqlite_autoincrement=True,
)

IS_WAITING = outbox.c.state == literal_column("'waiting'")

SHOWS_SUBJECT = outbox.c.subject.is_not(None)
SHOWS_VERSION = outbox.c.version_id.is_not(None)

pictures = Table(
    "pictures",
    metadata,
    Column("digest", CleanText(), primary_key=True),
    _text("media_type"),
    Column("content", LargeBinary(), nullable=False),
    Column("created_at", UtcDateTime(), nullable=False, index=True),
)

outbox_pictures = Table(
    "outbox_pictures",
    metadata,
    Column(
        "outbox_id",
        BigInteger(),
        ForeignKey("outbox.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("name", CleanText(), primary_key=True),
    Column("position", Integer(), nullable=False),
    Column("digest", CleanText(), ForeignKey("pictures.digest"), nullable=False, index=True),
)

edits = Table(
    "edits",
    metadata,
    Column(
        "outbox_id",
        BigInteger(),
        ForeignKey("outbox.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    _count("revision"),  # how often the card has changed since it went out
    _count("attempts"),
    Column("next_try_at", UtcDateTime(), nullable=False, index=True),
)

channel_queues = Table(
    "channel_queues",
    metadata,
    Column("channel_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("guild_id", BigInteger(), nullable=False, index=True),
    Column("due_at", UtcDateTime(), nullable=True, index=True),
    _count("attempts"),
    _time("first_failed_at", nullable=True),
    _text("last_error", nullable=True),
    _count("suspects"),  # how many cards at the head hold one that Discord refused
)

notices = Table(
    "notices",
    metadata,
    _id(),
    _ref("guild_id", "guilds.guild_id"),
    _snowflake("channel_id"),
    _snowflake("user_id"),
    _enum("reason", PauseReason),
    _text("detail"),
    _text("nonce"),
    _time("created_at"),
    _count("attempts"),
    Column("next_try_at", UtcDateTime(), nullable=True, index=True),  # None: sent, or given up
    sqlite_autoincrement=True,
)

# Without references: who removes a hook, or the bot, does not begin a new day by that.
day_use = Table(
    "day_use",
    metadata,
    Column("day", Date(), primary_key=True),  # UTC
    Column("guild_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("hook_id", BigInteger(), primary_key=True, autoincrement=False),
    Column("events", BigInteger(), nullable=False, server_default="0"),
    Column("bytes", BigInteger(), nullable=False, server_default="0"),
)

quota_notices = Table(
    "quota_notices",
    metadata,
    Column("day", Date(), primary_key=True),
    Column("guild_id", BigInteger(), primary_key=True, autoincrement=False),
    _snowflake("hook_id"),  # whose event was the first to be refused
    _text("nonce"),
    _time("told_at", nullable=True),  # sent, or nobody could be reached
)

key_values = Table(
    "facts",
    metadata,
    Column("name", CleanText(), primary_key=True),
    _text("value"),
)
