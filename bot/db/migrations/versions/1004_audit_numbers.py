"""The number of a change in its Discord server, and the audit channel that is still to be told."""

import sqlalchemy as sa
from alembic import op

revision = "1004"
down_revision = "1003"


def upgrade() -> None:
    """Add them."""
    op.add_column("audit_log", sa.Column("number", sa.BigInteger(), nullable=True))
    op.add_column("audit_log", sa.Column("left_channel_id", sa.BigInteger(), nullable=True))
    left = sa.text("left_channel_id IS NOT NULL")
    op.create_index(
        "ix_audit_log_left", "audit_log", ["id"], sqlite_where=left, postgresql_where=left
    )
