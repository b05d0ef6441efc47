"""Projects that are listened to through an account, and until when."""

import sqlalchemy as sa
from alembic import op

revision = "1005"
down_revision = "1004"


def upgrade() -> None:
    """Add them."""
    op.add_column(
        "hooks", sa.Column("listens", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column(
        "subscriptions", sa.Column("listened_until", sa.DateTime(timezone=True), nullable=True)
    )
