"""All options of a subscription in one column."""

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
    """Put what were three columns into one."""
    op.add_column("subscriptions", sa.Column("options", sa.JSON(), nullable=True))
    _fill()
    # SQLite copies the table for this; what refers to it stays, as bot/db/schema.py has switched
    # foreign keys off.
    with _ids_counted_on(), op.batch_alter_table("subscriptions", table_kwargs=COUNTED) as table:
        for name in OPTIONS:
            table.drop_column(name)
        table.alter_column("options", existing_type=sa.JSON(), nullable=False)


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
