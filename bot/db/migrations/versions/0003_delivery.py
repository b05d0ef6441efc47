"""What delivery remembers of refusals, whom it tells of them, and what retention looks up."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add columns, the notices, and the indexes that old rows are found by."""
    auto_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.add_column(
        "channel_queues", sa.Column("suspects", sa.Integer(), server_default="0", nullable=False)
    )
    op.add_column("outbox", sa.Column("form", sa.String(), server_default="full", nullable=False))
    op.add_column("outbox", sa.Column("gave_up_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("guilds", sa.Column("notice_channel_id", sa.BigInteger(), nullable=True))
    op.create_table(
        "notices",
        sa.Column("id", auto_id, nullable=False),
        sa.Column("guild_id", sa.BigInteger(), nullable=False),
        sa.Column("channel_id", sa.BigInteger(), nullable=False),
        sa.Column("user_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("nonce", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["guild_id"],
            ["guilds.guild_id"],
            name=op.f("fk_notices_guild_id_guilds"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notices")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_notices_guild_id"), "notices", ["guild_id"])
    op.create_index(op.f("ix_notices_next_try_at"), "notices", ["next_try_at"])
    op.create_index(
        "ix_inbox_finished",
        "inbox",
        ["finished_at"],
        sqlite_where=sa.text("body IS NOT NULL"),
        postgresql_where=sa.text("body IS NOT NULL"),
    )
    op.create_index("ix_inbox_finished_at", "inbox", ["finished_at"])
    op.create_index("ix_outbox_sent_at", "outbox", ["sent_at"])
    op.create_index("ix_outbox_gave_up_at", "outbox", ["gave_up_at"])
    op.create_index("ix_batches_created_at", "batches", ["created_at"])
    op.create_index("ix_pictures_created_at", "pictures", ["created_at"])
