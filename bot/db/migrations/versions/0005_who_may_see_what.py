"""Who may see what: answers kept with subscriptions, events addressed to one, events held back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

AUTO_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
PROJECT = ["guild_id", "server_url", "project_id"]


def _time(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    """Add columns and tables; several hooks of a guild may be of one project from now on."""
    op.add_column("accounts", _time("unconfirmed_at", nullable=True))
    op.add_column("hooks", _time("public_at", nullable=True))
    op.add_column("subscriptions", sa.Column("consent", sa.JSON(), nullable=True))
    op.add_column("subscriptions", _time("moved_at", nullable=True))
    op.add_column("subscriptions", _time("caught_up_at", nullable=True))
    op.add_column("inbox", sa.Column("same_as", sa.BigInteger(), nullable=True))
    op.execute(
        "ALTER TABLE inbox ADD COLUMN subscription_id BIGINT "
        "CONSTRAINT fk_inbox_subscription_id_subscriptions REFERENCES subscriptions (id) "
        "ON DELETE CASCADE"
    )
    op.create_index("ix_inbox_subscription_id", "inbox", ["subscription_id"])
    op.execute("UPDATE inbox SET source = 'operator' WHERE hook_id IS NULL AND source = 'webhook'")
    # What was read with one account for all channels of a hook is no longer anybody's.
    op.execute("DELETE FROM inbox WHERE source = 'activity' AND state = 'new'")
    _let_projects_have_several_hooks()
    _keep_answers()
    op.drop_table("fill_ins")  # what cards lacked for some minutes; they stay as they are
    op.create_table(
        "fill_ins",
        sa.Column("id", AUTO_ID, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), nullable=False),
        sa.Column("subscription_id", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        _time("created_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.ForeignKeyConstraint(
            ["inbox_id"], ["inbox.id"], name=op.f("fk_fill_ins_inbox_id_inbox"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_fill_ins_subscription_id_subscriptions"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fill_ins")),
        sa.UniqueConstraint(
            "inbox_id",
            "subscription_id",
            "kind",
            name=op.f("uq_fill_ins_inbox_id_subscription_id_kind"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_fill_ins_subscription_id", "fill_ins", ["subscription_id"])
    op.create_index("ix_fill_ins_next_try_at", "fill_ins", ["next_try_at"])
    op.create_table(
        "held_events",
        sa.Column("subscription_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("inbox_id", sa.BigInteger(), autoincrement=False, nullable=False),
        _time("held_at"),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        _time("next_try_at"),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["subscriptions.id"],
            name=op.f("fk_held_events_subscription_id_subscriptions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["inbox_id"],
            ["inbox.id"],
            name=op.f("fk_held_events_inbox_id_inbox"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("subscription_id", "inbox_id", name=op.f("pk_held_events")),
    )
    op.create_index("ix_held_events_inbox_id", "held_events", ["inbox_id"])
    op.create_index("ix_held_events_next_try_at", "held_events", ["next_try_at"])


def _let_projects_have_several_hooks() -> None:
    name = "uq_hooks_guild_id_server_url_project_id"
    # Said again, as the copy would else give the id of a hook that is gone to the next one.
    whole = {"sqlite_autoincrement": True}
    with _copied_whole(), op.batch_alter_table("hooks", table_kwargs=whole) as hooks:
        hooks.drop_constraint(op.f(name), type_="unique")
    op.create_index("ix_hooks_guild_id_server_url_project_id", "hooks", PROJECT)


@contextmanager
def _copied_whole() -> Iterator[None]:
    """SQLite copies the table to change it; what refers to it stays, as the caller sees to that.

    bot/db/schema.py switches foreign keys off on the connection before the transaction begins, and
    checks all of them at its end: dropping the old table would else take along what refers to it.
    """
    connection = op.get_bind()
    if connection.dialect.name == "sqlite":
        on = connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one()
        assert not on, "dropping a table would take along all that refers to it"  # noqa: S101
    yield


def _keep_answers() -> None:
    """Who subscribed with an account has answered; who joined without one is asked again."""
    connection = op.get_bind()
    rows = connection.exec_driver_sql(
        "SELECT s.id, s.created_by, s.created_at, s.events, s.models, s.ignore_authors, "
        "s.account_id, h.account_id, h.webhook_sealed, h.visibility, h.project_name "
        "FROM subscriptions s JOIN hooks h ON h.id = s.hook_id WHERE s.account_id IS NOT NULL"
    ).all()
    subscriptions = sa.table("subscriptions", sa.column("id"), sa.column("consent", sa.JSON()))
    for row in rows:
        change = subscriptions.update().where(subscriptions.c.id == row[0])
        connection.execute(change.values(consent=_consent(row)))
    # A hook's account is from now on the one that made its webhook, and no other.
    op.execute("UPDATE hooks SET account_id = NULL WHERE webhook_sealed IS NULL")


def _consent(row: Any) -> dict[str, Any]:
    (_, by, at, events, models, authors, account, maker, webhook, visibility, name) = row
    at = at if isinstance(at, str) else at.isoformat()
    return {
        "by": by,
        "at": at if at.endswith("+00:00") else f"{at}+00:00",
        "standing": "owner" if webhook is not None and maker == account else "reader",
        "events": _list(events),
        "models": _list(models),
        "ignore_authors": _list(authors),
        "visibility": visibility,
        "audience": None,
        "project_name": name,
    }


def _list(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value
