"""What tests write and read in the database beside the bot, as the bot itself would."""

from datetime import datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import func, select

from bot.db.connections import parse_url
from bot.db.event_results import write_event_results
from bot.db.outbox import read_rows
from bot.db.schema import migrate_now
from bot.db.tables import IS_NEW, IS_WAITING, inbox, outbox
from bot.storage import Transaction
from bot.work import (
    EventResult,
    HookResult,
    OutboxCard,
)


def new_database(path: Path) -> str:
    """Make an SQLite file with today's tables, quicker than a migration does; returns its URL."""
    path.write_bytes(_todays_tables())
    return f"sqlite:///{path}"


@cache
def _todays_tables() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "bot.db"
        migrate_now(parse_url(f"sqlite:///{path}"))
        return path.read_bytes()


def note_event(
    tx: Transaction, hook_id: int, project_name: str | None = None, at: datetime | None = None
) -> None:
    """Note of a hook what the bot does when its webhook brought an event that nobody follows."""
    at = at or tx.session.now()
    of_hook = HookResult(hook_id, at, by_webhook=True, project_name=project_name)
    write_event_results(tx.session, [EventResult(0, of_hooks=[of_hook])], tx.session.now())


def new_count(tx: Transaction) -> int:
    """How many deliveries wait to be processed."""
    return tx.session.scalar(select(func.count()).select_from(inbox).where(IS_NEW)) or 0


def waiting_count(tx: Transaction) -> int:
    """How many cards wait, those of paused subscriptions included."""
    return tx.session.scalar(select(func.count()).select_from(outbox).where(IS_WAITING)) or 0


def stored_card(tx: Transaction, outbox_id: int) -> OutboxCard | None:
    """The card with this id."""
    return next(iter(read_rows(tx.session, outbox.c.id == outbox_id)), None)
