"""Know how large a card's pictures are without reading them; events are no longer put off."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Change the tables."""
    op.add_column(
        "outbox", sa.Column("picture_bytes", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE outbox SET picture_bytes = coalesce("
        "(SELECT sum(length(pictures.content)) FROM outbox_pictures JOIN pictures"
        " ON pictures.digest = outbox_pictures.digest"
        " WHERE outbox_pictures.outbox_id = outbox.id), 0)"
        " WHERE id IN (SELECT outbox_id FROM outbox_pictures)"
    )
    op.drop_column("inbox", "attempts")
    op.drop_column("inbox", "next_try_at")
