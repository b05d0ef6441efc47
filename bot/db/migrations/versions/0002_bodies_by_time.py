"""Find equal bodies by time first: the index by digest alone grew everywhere at once."""

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Change the index of the inbox that finds doubles."""
    op.drop_index(op.f("ix_inbox_digest_lane_received_at"), "inbox")
    op.create_index(op.f("ix_inbox_received_at_digest"), "inbox", ["received_at", "digest"])
