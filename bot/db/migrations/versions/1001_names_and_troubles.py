"""Names of models and people, first lines of threads, troubles of webhooks, subjects of events."""

import sqlalchemy as sa
from alembic import op

revision = "1001"
down_revision = "1000"


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _key_ref(name: str, target: str) -> sa.Column[int]:
    """A part of the primary key that refers to another table."""
    foreign_key = sa.ForeignKey(target, ondelete="CASCADE")
    return sa.Column(name, sa.BigInteger(), foreign_key, primary_key=True, autoincrement=False)


def upgrade() -> None:
    """Add them."""
    op.create_table(
        "people",
        _key_ref("hook_id", "hooks.id"),
        sa.Column("person_id", sa.String(), primary_key=True),
        sa.Column("name", sa.String(), nullable=False),
    )
    op.create_table(
        "threads",
        _key_ref("hook_id", "hooks.id"),
        sa.Column("thread_id", sa.String(), primary_key=True),
        sa.Column("first_line", sa.String(), nullable=True),
        sa.Column("resources", sa.JSON(), nullable=False),
        _time("seen_at"),
    )
    op.create_index("ix_threads_seen_at", "threads", ["seen_at"])
    op.create_table(
        "project_names",
        _key_ref("account_id", "accounts.id"),
        sa.Column("project_id", sa.String(), primary_key=True),
        sa.Column("names", sa.JSON(), nullable=False),
        _time("read_at"),
    )
    op.add_column("hooks", sa.Column("trouble", sa.String(), nullable=True))
    for name in ("trouble_since", "trouble_told_at", "waiting_told_at"):
        op.add_column("hooks", _time(name, nullable=True))
    for table, by in (("inbox", "lane"), ("outbox", "subscription_id")):
        op.add_column(table, sa.Column("subject", sa.String(), nullable=True))
        with_one = sa.text("subject IS NOT NULL")
        op.create_index(
            f"ix_{table}_subject",
            table,
            [by, "subject"],
            sqlite_where=with_one,
            postgresql_where=with_one,
        )
