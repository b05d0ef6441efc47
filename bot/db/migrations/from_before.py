"""Databases from before the first release, brought to its tables: to be deleted a release later."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

BASELINE: Final = "1000"
HAS_BODY = sa.text("body_bytes IS NOT NULL")
OPTIONS = ("events", "models", "ignore_authors")


def upgrade(connection: sa.Connection, found: str) -> None:
    """Do what a database at version `found` lacks, and say that it has the baseline."""
    op = Operations(MigrationContext.configure(connection))
    for version, step in STEPS:
        if version > found:
            step(op)
    stamp = sa.text("UPDATE alembic_version SET version_num = :baseline")
    connection.execute(stamp, {"baseline": BASELINE})


def _move_bodies(op: Operations) -> None:
    """Move the bodies into a table of their own, and leave their sizes."""
    op.create_table(
        "bodies",
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["inbox_id"], ["inbox.id"], name="fk_bodies_inbox_id_inbox", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("inbox_id", name="pk_bodies"),
    )
    op.execute("INSERT INTO bodies SELECT id, body FROM inbox WHERE body IS NOT NULL ORDER BY id")
    op.add_column("inbox", sa.Column("body_bytes", sa.BigInteger(), nullable=True))
    op.execute("UPDATE inbox SET body_bytes = length(body) WHERE body IS NOT NULL")
    index = "ix_inbox_finished"
    op.drop_index(index, "inbox")
    op.drop_column("inbox", "body")
    op.create_index(
        index, "inbox", ["finished_at"], sqlite_where=HAS_BODY, postgresql_where=HAS_BODY
    )


def _join_options(op: Operations) -> None:
    """Put what were three columns of a subscription into one."""
    op.add_column("subscriptions", sa.Column("options", sa.JSON(), nullable=True))
    _fill_options(op.get_bind())
    counted = {"sqlite_autoincrement": True}
    # SQLite copies the table for this; what refers to it stays, as bot/db/schema.py has switched
    # foreign keys off.
    with (
        _ids_counted_on(op.get_bind()),
        op.batch_alter_table("subscriptions", table_kwargs=counted) as table,
    ):
        for name in OPTIONS:
            table.drop_column(name)
        table.alter_column("options", existing_type=sa.JSON(), nullable=False)


def _fill_options(connection: sa.Connection) -> None:
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


@contextmanager
def _ids_counted_on(connection: sa.Connection) -> Iterator[None]:
    """A copy on SQLite counts from its last row, and would give the ids of deleted ones again."""
    if connection.dialect.name != "sqlite":
        yield
        return
    of_table = "FROM sqlite_sequence WHERE name = 'subscriptions'"
    last = connection.exec_driver_sql(f"SELECT seq {of_table}").scalar()
    yield
    connection.exec_driver_sql(f"DELETE {of_table}")
    insert = "INSERT INTO sqlite_sequence (name, seq) VALUES ('subscriptions', ?)"
    connection.exec_driver_sql(insert, (last or 0,))


def _add_pending_commands(op: Operations) -> None:
    """Requests to link, which last for minutes, held the commands: people make them again."""
    op.execute("DELETE FROM link_requests")
    op.create_table(
        "pending_commands",
        sa.Column("token_digest", sa.String(), nullable=False),
        sa.Column("discord_user_id", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("token_digest", name="pk_pending_commands"),
    )
    op.create_index("ix_pending_commands_expires_at", "pending_commands", ["expires_at"])


def _count_picture_bytes(op: Operations) -> None:
    """Note how large each card's pictures are; events are no longer put off."""
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


# Each with the version that a database had after it; in this order.
STEPS: Final[Sequence[tuple[str, Callable[[Operations], None]]]] = (
    ("0007", _move_bodies),
    ("0008", _join_options),
    ("0008", _add_pending_commands),
    ("0009", _count_picture_bytes),
)
