"""Keep what was delivered apart from what becomes of it: SQLite writes a changed row whole."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

INDEX = "ix_inbox_finished"
HAS_BODY = sa.text("body_bytes IS NOT NULL")


def upgrade() -> None:
    """Move the bodies into a table of their own, and leave their sizes."""
    op.create_table(
        "bodies",
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inbox_id"],
            ["inbox.id"],
            name=op.f("fk_bodies_inbox_id_inbox"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("inbox_id", name=op.f("pk_bodies")),
    )
    op.execute("INSERT INTO bodies SELECT id, body FROM inbox WHERE body IS NOT NULL ORDER BY id")
    op.add_column("inbox", sa.Column("body_bytes", sa.BigInteger(), nullable=True))
    op.execute("UPDATE inbox SET body_bytes = length(body) WHERE body IS NOT NULL")
    op.drop_index(op.f(INDEX), "inbox")
    op.drop_column("inbox", "body")
    op.create_index(
        INDEX, "inbox", ["finished_at"], sqlite_where=HAS_BODY, postgresql_where=HAS_BODY
    )
