"""The one door to SQL: opens the database, brings its tables up to date, answers by subject."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Self, TypeVar

import structlog

from bot.audit import BY_BOT, BY_HOST, AuditActor, by_person
from bot.database_content import DatabaseContent, Restored, SupportReport, TableRows, Unopenable
from bot.db import backups, schema
from bot.db.accounts import Accounts
from bot.db.audit_channels import AuditChannels
from bot.db.audit_log import AuditLog
from bot.db.connections import SQLITE, StorageTimings, parse_url
from bot.db.content import read_content
from bot.db.day_use import DayUseRepository, UseOfToday
from bot.db.discord_names import DiscordNames
from bot.db.due_times import DueTimes
from bot.db.edits import Edits
from bot.db.engine import Database
from bot.db.event_log import EventLog
from bot.db.guild_activity import GuildActivity
from bot.db.guilds import Guilds
from bot.db.held_events import HeldEvents
from bot.db.hook_lookup import HookLookup
from bot.db.hooks import Hooks
from bot.db.inbox import Inbox
from bot.db.intake import Intake
from bot.db.key_values import KeyValues
from bot.db.late_enrichment import LateEnrichmentJobs
from bot.db.leader import Leader
from bot.db.link_requests import LinkRequests
from bot.db.listening import Listening
from bot.db.missed_events import MissedEvents
from bot.db.outbox import Outbox
from bot.db.outbox_admin import OutboxAdmin, lots
from bot.db.pause_notices import PauseNotices
from bot.db.pending_commands import PendingCommands
from bot.db.personal_data import PersonalTraces, erase_from_texts
from bot.db.pooler import refuse_shared_sessions
from bot.db.project_names import ProjectNamesRepository
from bot.db.remembered_projects import RememberedProjects
from bot.db.restored_copy import RestoredCopy
from bot.db.retention import Retention
from bot.db.samples import Samples
from bot.db.schema import migrate, needs_migration
from bot.db.sealed_values import SealedValues
from bot.db.session import Session
from bot.db.silent_webhooks import SilentWebhooks
from bot.db.sqlite_file import free_bytes, sqlite_path
from bot.db.subscriptions import Subscriptions
from bot.db.together import reads_together, writes_together
from bot.db.totals import TotalsRepository
from bot.db.webhook_removals import WebhookRemovals
from bot.lookups import OutboxActionResult
from bot.metrics import Metrics
from bot.timing import utc_now
from bot.vault import Vault

log = structlog.get_logger()

__all__ = ["Storage", "StorageTimings", "Transaction", "migrate", "needs_migration"]

LAST_PING = "storage.last_ping"


class Transaction:
    """One transaction, with a repository for each subject. It is used in one thread."""

    def __init__(self, session: Session, vault: Vault, forget_hooks: Callable[[], None]) -> None:
        self.session = session
        self.link_requests = LinkRequests(session, vault)
        self.accounts = Accounts(session, vault, self.link_requests, forget_hooks)
        self.audit_log = AuditLog(session)
        self.audit_channels = AuditChannels(session)
        self.outbox_admin = OutboxAdmin(session)
        self.edits = Edits(session)
        self.event_log = EventLog(session)
        self.key_values = KeyValues(session)
        self.late_enrichment = LateEnrichmentJobs(session)
        self.guilds = Guilds(session, forget_hooks)
        self.guild_activity = GuildActivity(session)
        self.held_events = HeldEvents(session)
        self.missed_events = MissedEvents(session)
        self.hooks = Hooks(session, vault, forget_hooks)
        self.inbox = Inbox(session)
        self.listening = Listening(session)
        self.remembered_projects = RememberedProjects(session)
        self.pause_notices = PauseNotices(session)
        self.outbox = Outbox(session)
        self.pending_commands = PendingCommands(session, vault)
        self.personal_traces = PersonalTraces(session, forget_hooks)
        self.project_names = ProjectNamesRepository(session)
        self.day_use = DayUseRepository(session)
        self.webhook_removals = WebhookRemovals(session)
        self.silent_webhooks = SilentWebhooks(session)
        self.samples = Samples(session)
        self.subscriptions = Subscriptions(session, forget_hooks)
        self.due_times = DueTimes(session)
        self.totals = TotalsRepository(session)
        self.discord_names = DiscordNames(session)


T = TypeVar("T")
Work = Callable[[Transaction], T]


class Storage:
    """Everything that the bot keeps.

    `read` and `write` do a plain function in one transaction, in a thread. What takes many
    transactions, or waits for company, has a method or an object of its own here.
    Errors, of all of them: StorageUnavailable when the database cannot read or write now.
    """

    def __init__(self, database: Database, vault: Vault, now: Callable[[], datetime]) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self.is_sqlite = database.is_sqlite
        self._leader = Leader(database)
        self.hook_lookup = HookLookup(database, vault)
        self.use_of_today = UseOfToday(now)
        self.intake = Intake(database, self.use_of_today, now)
        self.sealed = SealedValues(database, vault, now)
        self.restored_copy = RestoredCopy(database)
        self.retention = Retention(database, now)
        self._reads_together = reads_together(database, "reads")
        self._looks_together = reads_together(database, "looks")
        self._writes_together = writes_together(database)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database_url: str,
        vault: Vault,
        now: Callable[[], datetime] = utc_now,
        *,
        timings: StorageTimings = StorageTimings(),
        metrics: Metrics | None = None,
    ) -> AsyncIterator[Self]:
        """The storage at `database_url`, its tables made or brought up to date first.

        Errors: StorageUnavailable if it cannot be read and written, SchemaTooNew or
        SchemaTooOld if this release cannot upgrade its tables, ConfigError for an address of no
        known kind.
        """
        async with _opened(database_url, now, timings, metrics) as database:
            found = await schema.found_version(database)
            if schema.needs_migration(found):
                await migrate(database_url)
                if found is not None:
                    log.info("storage.upgraded", before=found, now=schema.WANTED)
            storage = cls(database, vault, now)
            await storage.ping_write()
            try:
                yield storage
            finally:
                await storage._close()

    async def read(self, work: Work[T]) -> T:
        """Do `work`, which only reads; each statement sees what was committed before it."""
        return await self._database.read(lambda session: work(self._transaction(session)))

    async def read_together(self, work: Work[T]) -> T:
        """The same for a short read, in one thread with all that are asked for at the time."""
        result: T = await self._reads_together(lambda session: work(self._transaction(session)))
        return result

    async def look_together(self, work: Work[T]) -> T:
        """The same for a look at what is due, which may take long: with other looks alone."""
        result: T = await self._looks_together(lambda session: work(self._transaction(session)))
        return result

    async def write(self, work: Work[T], *, by: AuditActor = BY_BOT) -> T:
        """Do `work` in one transaction; it is committed and synced when this returns.

        `by` is who wants it: what is changed for people is written into the audit log with it.
        """
        return await self._database.write(lambda session: work(self._transaction(session, by)))

    async def write_together(self, work: Work[T]) -> T:
        """The same for a short write, in one commit with all that are asked for at the time.

        `work` may be done twice: what fails beside it undoes the first time.
        """
        result: T = await self._writes_together(lambda session: work(self._transaction(session)))
        return result

    def _transaction(self, session: Session, by: AuditActor = BY_BOT) -> Transaction:
        session.by = by
        return Transaction(session, self._vault, self.hook_lookup.forget)

    async def content(self) -> DatabaseContent:
        """What it holds, counted."""
        return await self._database.read(lambda session: read_content(session.connection))

    async def ping_write(self) -> None:
        """Write something, really.

        Errors: StorageUnavailable if that cannot be done.
        """
        await self.write(lambda tx: tx.key_values.set(LAST_PING, self._now().isoformat()))

    async def free_disk_bytes(self) -> int | None:
        """How much room the disk of an SQLite file has; None where that cannot be asked."""
        if not self.is_sqlite:
            return None
        return await asyncio.to_thread(free_bytes, sqlite_path(self._database.url))

    async def erase_traces(self, discord_user_id: int) -> None:
        """Erase where else than in accounts a person is named, in texts too."""
        await erase_from_texts(self._database, discord_user_id)
        by = by_person(discord_user_id)
        await self.write(lambda tx: tx.personal_traces.erase(discord_user_id), by=by)

    async def retry_cards(self, ids: Sequence[int]) -> Mapping[int, OutboxActionResult]:
        """Have cards tried again now, in their old place, some at a time."""
        return await self._in_lots(ids, lambda some: lambda tx: tx.outbox_admin.retry(some))

    async def drop_cards(self, ids: Sequence[int]) -> Mapping[int, OutboxActionResult]:
        """Delete cards that are not sent, some at a time."""
        return await self._in_lots(ids, lambda some: lambda tx: tx.outbox_admin.drop(some))

    async def _in_lots(
        self,
        ids: Sequence[int],
        act: Callable[[Sequence[int]], Work[Mapping[int, OutboxActionResult]]],
    ) -> Mapping[int, OutboxActionResult]:
        done: dict[int, OutboxActionResult] = {}
        for some in lots(ids):
            done |= await self.write(act(some), by=BY_HOST)
        return done

    async def lead(self) -> bool:
        """Whether this process is the one that ingests and sends; takes the lead if it is free.

        Held until the storage is closed. On PostgreSQL a lost connection loses the lead: asking
        again reports it, or takes it once more.
        """
        return await self._leader.lead()

    @property
    def leads(self) -> bool:
        """Whether this process leads, as it was last asked."""
        return self._leader.leads

    @property
    def another_leads(self) -> bool:
        """Whether another process leads, when the database was last asked."""
        return self._leader.another_leads

    async def _close(self) -> None:
        await self.hook_lookup.close()
        await self.intake.close()
        await self._reads_together.close()
        await self._looks_together.close()
        await self._writes_together.close()
        await self._leader.close()


async def schema_version(database_url: str) -> tuple[str | None, str]:
    """The version of the tables that are there, and of those that this release wants.

    The database is left as it is. Errors: StorageUnavailable, ConfigError for an address of no
    known kind.
    """
    file = database_file(database_url)
    if file is not None and not file.exists():
        return None, schema.WANTED
    async with _opened(database_url) as database:
        return await schema.found_version(database), schema.WANTED


def database_file(database_url: str) -> Path | None:
    """The file of an SQLite database; None for another kind.

    Errors: ConfigError for an address of no known kind.
    """
    url = parse_url(database_url)
    return sqlite_path(url) if url.drivername == SQLITE else None


async def make_backup(
    database_url: str, path: Path, now: datetime, *, replace: bool = False
) -> DatabaseContent:
    """Write the whole database into one SQLite file, whole and looked at, while bots use it.

    `replace`: also over a file that is there. Errors: DatabaseCopyError, StorageUnavailable,
    SchemaTooNew, SchemaTooOld, ConfigError for an address of no known kind.
    """
    url = parse_url(database_url)
    return await asyncio.to_thread(backups.make_backup, url, path, now, replace=replace)


async def restore_backup(
    database_url: str,
    path: Path,
    now: datetime,
    *,
    replace: bool = False,
    shown_until: datetime | None = None,
) -> Restored:
    """Have the database hold what a backup holds; its next start knows that it is a copy.

    `replace`: also over one that is used, which is kept. `shown_until`: Speckle's lists are read
    from then on. Errors: as `make_backup`.
    """
    from bot.db import replacing

    return await asyncio.to_thread(
        replacing.restore_backup,
        parse_url(database_url),
        path,
        now,
        replace=replace,
        shown_until=shown_until,
    )


async def unopenable_with(database_url: str, keys: Sequence[str]) -> Unopenable:
    """What of a database none of these keys decrypts; the database stays as it is.

    Errors: StorageUnavailable, SealError, ConfigError for an address of no known kind.
    """
    file = database_file(database_url)
    if file is not None and not (file.exists() and file.stat().st_size):
        return Unopenable()
    from bot.db.unopenable import read_unopenable

    vault = Vault(keys) if keys else None

    def look() -> Unopenable:
        with backups.connected(parse_url(database_url), writes=False) as connection:
            return read_unopenable(connection, vault)

    return await asyncio.to_thread(look)


async def support_report(database_url: str, salt: bytes) -> SupportReport:
    """What a report of a bug may hold; `salt` is of this report alone. The database stays as it is.

    Errors: as `make_backup`.
    """
    from bot.db import support

    def report() -> SupportReport:
        with backups.connected(parse_url(database_url), writes=False) as connection:
            backups.require_todays_tables(connection)
            return support.support_report(connection, salt)

    return await asyncio.to_thread(report)


async def copy_database(from_url: str, to_url: str) -> Sequence[TableRows]:
    """Move all that one database holds into another one that is empty.

    Errors: as `make_backup`.
    """
    from bot.db import replacing

    return await asyncio.to_thread(replacing.copy_database, parse_url(from_url), parse_url(to_url))


@asynccontextmanager
async def _opened(
    database_url: str,
    now: Callable[[], datetime] = utc_now,
    timings: StorageTimings = StorageTimings(),
    metrics: Metrics | None = None,
) -> AsyncIterator[Database]:
    async with Database.open(parse_url(database_url), now, timings, metrics) as database:
        if not database.is_sqlite:
            await refuse_shared_sessions(database.url)
        yield database
