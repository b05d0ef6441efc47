"""All tables of the first release."""

import sqlalchemy as sa
from alembic import op

revision = "1000"
down_revision = None

# Types are written out rather than taken from tables.py: that file goes on, this one stays.
# Constraints get their names by the rule that tables.py has for them, through env.py.
AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _ref(
    name: str, target: str, ondelete: str | None = None, *, nullable: bool = False
) -> sa.Column[int]:
    return sa.Column(
        name, sa.BigInteger(), sa.ForeignKey(target, ondelete=ondelete), nullable=nullable
    )


def _key_ref(name: str, target: str) -> sa.Column[int]:
    """A part of the primary key that refers to another table."""
    foreign_key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger(), foreign_key, primary_key=True, autoincrement=False)


def _partial_index(
    name: str, table: str, columns: list[str], where: str, *, unique: bool = False
) -> None:
    """An index of those rows alone."""
    rows = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=rows, postgresql_where=rows)


def upgrade() -> None:
    """Make them."""
    _guilds_and_accounts()
    _hooks_and_subscriptions()
    _events()
    _cards()
    _notices_and_figures()


def _guilds_and_accounts() -> None:
    op.create_table(
        "guilds",
        sa.Column("guild_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        _time("joined_at"),
        _time("left_at", nullable=True),
        sa.Column("notice_channel_id", sa.BigInteger(), nullable=True),
    )
    op.create_table(
        "accounts",
        sa.Column("id", AUTO_ID, primary_key=True),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("speckle_user_id", sa.String(), nullable=False),
        sa.Column("tokens_sealed", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        _time("linked_at"),
        _time("refused_at", nullable=True),
        _time("unconfirmed_at", nullable=True),
        sa.UniqueConstraint("discord_user_id", "server_url"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "link_requests",
        sa.Column("nonce_digest", sa.String(), primary_key=True),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        _time("expires_at"),
        _time("used_at", nullable=True),
        _ref("account_id", "accounts.id", "CASCADE", nullable=True),
    )
    op.create_index("ix_link_requests_account_id", "link_requests", ["account_id"])
    op.create_index("ix_link_requests_expires_at", "link_requests", ["expires_at"])
    op.create_table(
        "pending_commands",
        sa.Column("token_digest", sa.String(), primary_key=True),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        _time("expires_at"),
        _time("used_at", nullable=True),
    )
    op.create_index("ix_pending_commands_expires_at", "pending_commands", ["expires_at"])


def _hooks_and_subscriptions() -> None:
    op.create_table(
        "hooks",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("guild_id", "guilds.guild_id", "CASCADE"),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("project_name", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("secret_sealed", sa.String(), nullable=True),
        sa.Column("previous_secret_sealed", sa.String(), nullable=True),
        _time("previous_secret_until", nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("setup_channel_id", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _time("created_at"),
        _time("live_at", nullable=True),
        _time("last_event_at", nullable=True),
        _ref("account_id", "accounts.id", nullable=True),
        sa.Column("webhook_sealed", sa.String(), nullable=True),
        sa.Column("visibility", sa.String(), nullable=True),
        _time("public_at", nullable=True),
        _time("caught_up_at", nullable=True),
        sa.UniqueConstraint("key"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_hooks_account_id", "hooks", ["account_id"])
    op.create_index(
        "ix_hooks_guild_id_server_url_project_id", "hooks", ["guild_id", "server_url", "project_id"]
    )
    op.create_index("ix_hooks_project_id", "hooks", ["project_id"])
    op.create_table(
        "webhook_removals",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("account_id", "accounts.id", "CASCADE"),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_removals_account_id", "webhook_removals", ["account_id"])
    op.create_index("ix_webhook_removals_next_try_at", "webhook_removals", ["next_try_at"])
    op.create_table(
        "models",
        _key_ref("hook_id", "hooks.id"),
        sa.Column("model_id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
    )
    op.create_table(
        "subscriptions",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("hook_id", "hooks.id", "CASCADE"),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("pause_reason", sa.String(), nullable=True),
        sa.Column("pause_detail", sa.String(), nullable=True),
        sa.Column("created_by", sa.BigInteger(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        _time("last_event_at", nullable=True),
        _ref("account_id", "accounts.id", nullable=True),
        _time("access_ok_at", nullable=True),
        sa.Column("consent", sa.JSON(), nullable=True),
        _time("moved_at", nullable=True),
        _time("caught_up_at", nullable=True),
        sa.UniqueConstraint("hook_id", "channel_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_subscriptions_account_id", "subscriptions", ["account_id"])
    op.create_index("ix_subscriptions_channel_id", "subscriptions", ["channel_id"])
    op.create_index("ix_subscriptions_guild_id", "subscriptions", ["guild_id"])


def _events() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("hook_id", "hooks.id", "CASCADE", nullable=True),
        sa.Column("lane", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=True),
        sa.Column("digest", sa.String(), nullable=False),
        _time("received_at"),
        sa.Column("state", sa.String(), nullable=False),
        _time("finished_at", nullable=True),
        sa.Column("event_name", sa.String(), nullable=True),
        sa.Column("trace", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(), server_default="webhook", nullable=False),
        _time("happened_at", nullable=True),
        sa.Column("event_key", sa.String(), nullable=True),
        _ref("subscription_id", "subscriptions.id", "CASCADE", nullable=True),
        sa.Column("same_as", sa.BigInteger(), nullable=True),
        sa.Column("body_bytes", sa.BigInteger(), nullable=True),
        sqlite_autoincrement=True,
    )
    _partial_index("ix_inbox_event_key", "inbox", ["lane", "event_key"], "event_key IS NOT NULL")
    _partial_index("ix_inbox_finished", "inbox", ["finished_at"], "body_bytes IS NOT NULL")
    op.create_index("ix_inbox_finished_at", "inbox", ["finished_at"])
    op.create_index("ix_inbox_hook_id", "inbox", ["hook_id"])
    _partial_index("ix_inbox_new", "inbox", ["lane", "id"], "state = 'new'")
    op.create_index("ix_inbox_received_at_digest", "inbox", ["received_at", "digest"])
    op.create_index("ix_inbox_subscription_id", "inbox", ["subscription_id"])
    op.create_table(
        "bodies",
        _key_ref("inbox_id", "inbox.id"),
        sa.Column("body", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "history_taken",
        _key_ref("hook_id", "hooks.id"),
        sa.Column("call_id", sa.String(), primary_key=True),
    )
    op.create_table(
        "fill_ins",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("inbox_id", "inbox.id", "CASCADE"),
        _ref("subscription_id", "subscriptions.id", "CASCADE"),
        sa.Column("kind", sa.String(), nullable=False),
        _time("created_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.UniqueConstraint("inbox_id", "subscription_id", "kind"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fill_ins_next_try_at", "fill_ins", ["next_try_at"])
    op.create_index("ix_fill_ins_subscription_id", "fill_ins", ["subscription_id"])
    op.create_table(
        "held_events",
        _key_ref("subscription_id", "subscriptions.id"),
        _key_ref("inbox_id", "inbox.id"),
        _time("held_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
    )
    op.create_index("ix_held_events_inbox_id", "held_events", ["inbox_id"])
    op.create_index("ix_held_events_next_try_at", "held_events", ["next_try_at"])


def _cards() -> None:
    op.create_table(
        "batches",
        sa.Column("id", AUTO_ID, primary_key=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        _time("created_at"),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("cards", sa.Integer(), nullable=True),
        sa.UniqueConstraint("nonce"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_batches_created_at", "batches", ["created_at"])
    _partial_index("uq_batches_open", "batches", ["channel_id"], "state = 'open'", unique=True)
    op.create_table(
        "outbox",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("inbox_id", "inbox.id", "SET NULL", nullable=True),
        _ref("subscription_id", "subscriptions.id", "CASCADE"),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("card", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        _ref("batch_id", "batches.id", nullable=True),
        sa.Column("message_id", sa.BigInteger(), nullable=True),
        _time("created_at"),
        _time("sent_at", nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("form", sa.String(), server_default="full", nullable=False),
        _time("gave_up_at", nullable=True),
        sa.Column("picture_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.UniqueConstraint("inbox_id", "subscription_id"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outbox_batch_id", "outbox", ["batch_id"])
    op.create_index("ix_outbox_gave_up_at", "outbox", ["gave_up_at"])
    op.create_index("ix_outbox_sent_at", "outbox", ["sent_at"])
    op.create_index("ix_outbox_subscription_id", "outbox", ["subscription_id"])
    _partial_index("ix_outbox_waiting", "outbox", ["channel_id", "id"], "state = 'waiting'")
    op.create_table(
        "pictures",
        sa.Column("digest", sa.String(), primary_key=True),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        _time("created_at"),
    )
    op.create_index("ix_pictures_created_at", "pictures", ["created_at"])
    op.create_table(
        "outbox_pictures",
        _key_ref("outbox_id", "outbox.id"),
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), sa.ForeignKey("pictures.digest"), nullable=False),
    )
    op.create_index("ix_outbox_pictures_digest", "outbox_pictures", ["digest"])
    op.create_table(
        "edits",
        _key_ref("outbox_id", "outbox.id"),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
    )
    op.create_index("ix_edits_next_try_at", "edits", ["next_try_at"])
    op.create_table(
        "channel_queues",
        sa.Column("channel_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        _time("due_at", nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("first_failed_at", nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("suspects", sa.Integer(), server_default="0", nullable=False),
    )
    op.create_index("ix_channel_queues_due_at", "channel_queues", ["due_at"])
    op.create_index("ix_channel_queues_guild_id", "channel_queues", ["guild_id"])


def _notices_and_figures() -> None:
    op.create_table(
        "notices",
        sa.Column("id", AUTO_ID, primary_key=True),
        _ref("guild_id", "guilds.guild_id", "CASCADE"),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        _time("created_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at", nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notices_guild_id", "notices", ["guild_id"])
    op.create_index("ix_notices_next_try_at", "notices", ["next_try_at"])
    op.create_table(
        "day_use",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("guild_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("hook_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("events", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "quota_notices",
        sa.Column("day", sa.Date(), primary_key=True),
        sa.Column("guild_id", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("hook_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        _time("told_at", nullable=True),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(), primary_key=True),
        sa.Column("value", sa.String(), nullable=False),
    )
