"""The indexes of tables.py that have a condition; migrations/ makes them, a test compares the two.

They are in a file of their own, which the bot does not load: for each, SQLAlchemy loads what it
knows of PostgreSQL, also where SQLite is used.
"""

from sqlalchemy import Index

from bot.db.tables import (
    HAS_BODY,
    HAS_KEY,
    HAS_SUBJECT,
    IS_NEW,
    IS_OPEN,
    IS_WAITING,
    LEAVES_A_CHANNEL,
    NOT_POSTED,
    SHOWS_SUBJECT,
    SHOWS_VERSION,
    audit_log,
    batches,
    inbox,
    outbox,
)

INDEXES = (
    Index(
        "ix_audit_log_not_posted",
        audit_log.c.guild_id,
        audit_log.c.id,
        sqlite_where=NOT_POSTED,
        postgresql_where=NOT_POSTED,
    ),
    Index(
        "ix_audit_log_left",
        audit_log.c.id,
        sqlite_where=LEAVES_A_CHANNEL,
        postgresql_where=LEAVES_A_CHANNEL,
    ),
    Index("ix_inbox_new", inbox.c.lane, inbox.c.id, sqlite_where=IS_NEW, postgresql_where=IS_NEW),
    Index(
        "ix_inbox_finished", inbox.c.finished_at, sqlite_where=HAS_BODY, postgresql_where=HAS_BODY
    ),
    Index(
        "ix_inbox_event_key",
        inbox.c.lane,
        inbox.c.event_key,
        sqlite_where=HAS_KEY,
        postgresql_where=HAS_KEY,
    ),
    Index(
        "ix_inbox_subject",
        inbox.c.lane,
        inbox.c.subject,
        sqlite_where=HAS_SUBJECT,
        postgresql_where=HAS_SUBJECT,
    ),
    Index(
        "uq_batches_open",
        batches.c.channel_id,
        unique=True,
        sqlite_where=IS_OPEN,
        postgresql_where=IS_OPEN,
    ),
    Index(
        "ix_outbox_waiting",
        outbox.c.channel_id,
        outbox.c.id,
        sqlite_where=IS_WAITING,
        postgresql_where=IS_WAITING,
    ),
    Index(
        "ix_outbox_subject",
        outbox.c.subscription_id,
        outbox.c.subject,
        sqlite_where=SHOWS_SUBJECT,
        postgresql_where=SHOWS_SUBJECT,
    ),
    Index(
        "ix_outbox_version",
        outbox.c.version_id,
        sqlite_where=SHOWS_VERSION,
        postgresql_where=SHOWS_VERSION,
    ),
)
"""They belong to the tables' metadata as soon as this is loaded."""
