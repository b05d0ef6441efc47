"""Until when a message is not edited again, and which version a card shows."""

import sqlalchemy as sa
from alembic import op

revision = "1007"
down_revision = "1006"


def upgrade() -> None:
    """Add them."""
    op.add_column("batches", sa.Column("next_edit_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("outbox", sa.Column("version_id", sa.String(), nullable=True))
    of_version = sa.text("version_id IS NOT NULL")
    op.create_index(
        "ix_outbox_version",
        "outbox",
        ["version_id"],
        sqlite_where=of_version,
        postgresql_where=of_version,
    )
