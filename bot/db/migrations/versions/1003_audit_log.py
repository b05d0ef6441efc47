"""Who changed what, where that is posted, and what new subscriptions of a guild start with."""

import sqlalchemy as sa
from alembic import op

revision = "1003"
down_revision = "1002"

AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _guild(*, key: bool) -> sa.Column[int]:
    foreign_key = sa.ForeignKey("guilds.guild_id", ondelete="CASCADE")
    if key:
        return sa.Column(
            "guild_id", sa.BigInteger(), foreign_key, primary_key=True, autoincrement=False
        )
    return sa.Column("guild_id", sa.BigInteger(), foreign_key, nullable=True)


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "audit_log",
        sa.Column("id", AUTO_ID, primary_key=True),
        _time("at"),
        _guild(key=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_log_at", "audit_log", ["at"])
    op.create_index("ix_audit_log_guild_id_id", "audit_log", ["guild_id", "id"])
    op.create_index("ix_audit_log_actor_id", "audit_log", ["actor_id"])
    not_posted = sa.text("nonce IS NULL")
    op.create_index(
        "ix_audit_log_not_posted",
        "audit_log",
        ["guild_id", "id"],
        sqlite_where=not_posted,
        postgresql_where=not_posted,
    )
    op.create_table(
        "audit_channels",
        _guild(key=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.BigInteger(), nullable=False),
        sa.Column("after_id", sa.BigInteger(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=True),
        _time("nonce_at", nullable=True),
        _time("paused_at", nullable=True),
        _time("notified_at", nullable=True),
    )
    op.add_column("guilds", sa.Column("default_options", sa.JSON(), nullable=True))
