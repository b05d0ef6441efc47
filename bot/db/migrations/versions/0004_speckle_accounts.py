"""Linked Speckle accounts, webhooks made for people, what is filled in later and fetched later."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
HAS_KEY = "event_key IS NOT NULL"


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Add tables and columns."""
    op.create_table(
        "accounts",
        sa.Column("id", AUTO_ID, nullable=False),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("speckle_user_id", sa.String(), nullable=False),
        sa.Column("tokens_sealed", sa.String(), nullable=False),
        sa.Column("scopes", sa.JSON(), nullable=False),
        _time("linked_at"),
        _time("refused_at", nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint(
            "discord_user_id", "server_url", name=op.f("uq_accounts_discord_user_id_server_url")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "link_requests",
        sa.Column("nonce_digest", sa.String(), nullable=False),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        _time("expires_at"),
        _time("used_at", nullable=True),
        sa.Column("account_id", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_link_requests_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("nonce_digest", name=op.f("pk_link_requests")),
    )
    op.create_index("ix_link_requests_account_id", "link_requests", ["account_id"])
    op.create_index("ix_link_requests_expires_at", "link_requests", ["expires_at"])
    _add_columns()
    op.create_table(
        "webhook_removals",
        sa.Column("id", AUTO_ID, nullable=False),
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("server_url", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.ForeignKeyConstraint(
            ["account_id"],
            ["accounts.id"],
            name=op.f("fk_webhook_removals_account_id_accounts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_removals")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_removals_account_id", "webhook_removals", ["account_id"])
    op.create_index("ix_webhook_removals_next_try_at", "webhook_removals", ["next_try_at"])
    op.create_index(
        "ix_inbox_event_key",
        "inbox",
        ["lane", "event_key"],
        sqlite_where=sa.text(HAS_KEY),
        postgresql_where=sa.text(HAS_KEY),
    )
    op.create_table(
        "history_taken",
        sa.Column("hook_id", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["hook_id"],
            ["hooks.id"],
            name=op.f("fk_history_taken_hook_id_hooks"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("hook_id", "call_id", name=op.f("pk_history_taken")),
    )
    op.create_table(
        "fill_ins",
        sa.Column("id", AUTO_ID, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("hook_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        _time("created_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.ForeignKeyConstraint(
            ["inbox_id"], ["inbox.id"], name=op.f("fk_fill_ins_inbox_id_inbox"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["hook_id"], ["hooks.id"], name=op.f("fk_fill_ins_hook_id_hooks"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill_ins")),
        sa.UniqueConstraint(
            "inbox_id", "hook_id", "kind", name=op.f("uq_fill_ins_inbox_id_hook_id_kind")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fill_ins_hook_id", "fill_ins", ["hook_id"])
    op.create_index("ix_fill_ins_next_try_at", "fill_ins", ["next_try_at"])
    op.create_table(
        "edits",
        sa.Column("outbox_id", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default="0", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.ForeignKeyConstraint(
            ["outbox_id"], ["outbox.id"], name=op.f("fk_edits_outbox_id_outbox"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("outbox_id", name=op.f("pk_edits")),
    )
    op.create_index("ix_edits_next_try_at", "edits", ["next_try_at"])


def _add_columns() -> None:
    for table in ("hooks", "subscriptions"):
        # Not as a batch: that makes the table anew on SQLite, and dropping the old one takes along
        # all that hangs on it.
        reference = "REFERENCES accounts (id)"
        name = f"fk_{table}_account_id_accounts"
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN account_id BIGINT CONSTRAINT {name} {reference}"
        )
        op.create_index(f"ix_{table}_account_id", table, ["account_id"])
    op.add_column("hooks", sa.Column("webhook_sealed", sa.String(), nullable=True))
    op.add_column("hooks", sa.Column("visibility", sa.String(), nullable=True))
    op.add_column("hooks", _time("caught_up_at", nullable=True))
    op.add_column("subscriptions", _time("access_ok_at", nullable=True))
    op.add_column(
        "inbox", sa.Column("source", sa.String(), server_default="webhook", nullable=False)
    )
    op.add_column("inbox", _time("happened_at", nullable=True))
    op.add_column("inbox", sa.Column("event_key", sa.String(), nullable=True))
    op.add_column("batches", sa.Column("cards", sa.Integer(), nullable=True))
