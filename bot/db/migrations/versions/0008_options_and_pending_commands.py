"""All options of a subscription in one column, and commands that wait in a table of their own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

OPTIONS = ("events", "models", "ignore_authors")
COUNTED = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Put what were three columns into one, and add a table.

    Requests to link, which live for minutes, held the commands that wait: they have to be made
    again.
    """
    op.add_column("subscriptions", sa.Column("options", sa.JSON(), nullable=True))
    _fill()
    # SQLite copies the table for this; what refers to it stays, as bot/db/schema.py has switched
    # foreign keys off.
    with _ids_counted_on(), op.batch_alter_table("subscriptions", table_kwargs=COUNTED) as table:
        for name in OPTIONS:
            table.drop_column(name)
        table.alter_column("options", existing_type=sa.JSON(), nullable=False)
    _add_pending_commands()


def _add_pending_commands() -> None:
    op.execute("DELETE FROM link_requests")
    op.create_table(
        "pending_commands",
        sa.Column("token_digest", sa.String(), nullable=False),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_digest", name=op.f("pk_pending_commands")),
    )
    op.create_index("ix_pending_commands_expires_at", "pending_commands", ["expires_at"])


@contextmanager
def _ids_counted_on() -> Iterator[None]:
    """A copy on SQLite counts from its last row, and would give the ids of deleted ones again."""
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        yield
        return
    of_table = "FROM sqlite_sequence WHERE name = 'subscriptions'"
    last = connection.exec_driver_sql(f"SELECT seq {of_table}").scalar()
    yield
    connection.exec_driver_sql(f"DELETE {of_table}")
    insert = "INSERT INTO sqlite_sequence (name, seq) VALUES ('subscriptions', ?)"
    connection.exec_driver_sql(insert, (last or 0,))


def _fill() -> None:
    connection = op.get_bind()
    rows = connection.exec_driver_sql(
        "SELECT id, events, models, ignore_authors FROM subscriptions"
    ).all()
    subscriptions = sa.table("subscriptions", sa.column("id"), sa.column("options", sa.JSON()))
    for id_, *values in rows:
        options = dict(zip(OPTIONS, map(_list, values), strict=True))
        change = subscriptions.update().where(subscriptions.c.id == id_)
        connection.execute(change.values(options=options))


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
