"""The one door to SQL: opens the database, brings its tables up to date, answers by subject."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Self

from bot.db import schema
from bot.db.accounts import Accounts, LinkRequests
from bot.db.deliveries import Deliveries
from bot.db.edits import Edits
from bot.db.engine import (
    CHECKPOINT_AFTER_S,
    POSTGRESQL_CONNECT_ARGS,
    SQLITE,
    Database,
    parse_url,
)
from bot.db.facts import Facts
from bot.db.files import sqlite_path
from bot.db.fill_ins import FillIns
from bot.db.guilds import Guilds
from bot.db.held import Held
from bot.db.history import History
from bot.db.hooks import Hooks
from bot.db.inbox import Inbox
from bot.db.leader import Leader
from bot.db.lineage import Lineage
from bot.db.notices import Notices
from bot.db.outbox import Outbox
from bot.db.pooler import refuse_shared_sessions
from bot.db.quotas import Quotas
from bot.db.removals import Removals
from bot.db.retention import Retention
from bot.db.schema import migrate
from bot.db.sealed import Sealed
from bot.db.subscriptions import Subscriptions
from bot.db.vault import Vault
from bot.db.waits import Waits

__all__ = ["Storage", "migrate", "schema_version"]

LAST_PING = "storage.last_ping"
FIRST_KEY_FACT = "keys.first"  # of the bot that was started last


def utc_now() -> datetime:
    """The time now, aware, UTC."""
    return datetime.now(UTC)


class Storage:
    """Everything that the bot keeps. Each method is one transaction.

    Errors, of each method: StorageUnavailable when the database cannot read or write now.
    """

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now
        self._leader = Leader(database)
        self.hooks = Hooks(database, vault, now)
        self.accounts = Accounts(database, vault, now, self.hooks.forget)
        self.link_requests = LinkRequests(database, vault, now)
        self.sealed = Sealed(database, vault, now)
        self.subscriptions = Subscriptions(database, now, self.hooks.forget)
        self.quotas = Quotas(database, now)
        self.inbox = Inbox(database, self.quotas, now)
        self.history = History(database, self.quotas, now)
        self.outbox = Outbox(database, now)
        self.held = Held(database, now)
        self.fill_ins = FillIns(database, now)
        self.edits = Edits(database, now)
        self.guilds = Guilds(database, now, self.hooks.forget)
        self.notices = Notices(database, now)
        self.facts = Facts(database)
        self.lineage = Lineage(database, self.facts)
        self.removals = Removals(database, now)
        self.retention = Retention(database, now)
        self.waits = Waits(database, now)
        self.deliveries = Deliveries(database, now)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database_url: str,
        vault: Vault,
        now: Callable[[], datetime] = utc_now,
        *,
        checkpoint_after_s: float = CHECKPOINT_AFTER_S,
    ) -> AsyncIterator[Self]:
        """The storage at `database_url`, its tables made or brought up to date first.

        Errors: StorageUnavailable if it cannot be read and written, SchemaTooNew if a newer
        release has changed its tables, ConfigError for an address of no known kind.
        """
        async with _opened(database_url, checkpoint_after_s) as database:
            if schema.needs_migration(await schema.found_version(database)):
                await migrate(database_url)
            storage = cls(database, vault, now)
            await storage.ping_write()
            try:
                yield storage
            finally:
                await storage._close()

    async def ping_write(self) -> None:
        """Write something, really.

        Errors: StorageUnavailable if that cannot be done.
        """
        await self.facts.set(LAST_PING, self._now().isoformat())

    async def schema_version(self) -> tuple[str | None, str]:
        """The version of the tables that are there, and of those that this release wants."""
        return await schema.found_version(self._database), schema.WANTED

    async def lead(self) -> bool:
        """Whether this process is the one that ingests and delivers; takes the lead if it is free.

        Held until the storage is closed. On PostgreSQL a lost connection loses the lead: asking
        again says so, or takes it anew.
        """
        return await self._leader.lead()

    async def _close(self) -> None:
        await self.hooks.close()
        await self.inbox.close()
        await self._leader.close()


async def schema_version(database_url: str) -> tuple[str | None, str]:
    """The same as `Storage.schema_version`, of a database that is left as it is.

    Errors: StorageUnavailable, ConfigError for an address of no known kind.
    """
    url = parse_url(database_url)
    if url.drivername == SQLITE and not sqlite_path(url).exists():
        return None, schema.WANTED
    async with _opened(database_url) as database:
        return await schema.found_version(database), schema.WANTED


@asynccontextmanager
async def _opened(
    database_url: str, checkpoint_after_s: float = CHECKPOINT_AFTER_S
) -> AsyncIterator[Database]:
    url = parse_url(database_url)
    if url.drivername != SQLITE:
        await refuse_shared_sessions(url, dict(POSTGRESQL_CONNECT_ARGS))
    async with Database.open(url, checkpoint_after_s) as database:
        yield database
