"""Until when a message is not edited again."""

import sqlalchemy as sa
from alembic import op

revision = "1007"
down_revision = "1006"


def upgrade() -> None:
    """Add it."""
    op.add_column("batches", sa.Column("next_edit_at", sa.DateTime(timezone=True), nullable=True))
