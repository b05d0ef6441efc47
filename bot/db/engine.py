"""Connections: how each database is opened, read from and written to."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Hashable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from bot.db.failures import unavailable_told
from bot.db.session import Session
from bot.db.sqlite_file import WatchedFile, make_place, sqlite_path, wal_size
from bot.db.sqlite_marks import raise_mark
from bot.errors import ConfigError, Problem, StorageUnavailable
from bot.fairness import FairSemaphore

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

# Threads, each with a connection, so that none waits for one. What answers a Speckle server has
# its own, as others may wait behind a large read; on SQLite the one write at a time does, too.
AT_ONCE_SQLITE = 4
AT_ONCE_POSTGRESQL = 8
AT_ONCE_URGENT = 2
# The write-ahead log is copied into the file at once when it has grown to this size, at the same
# time as the commits and not in one of them. SQLite's own copying, which a commit waits for, is for
# when that cannot be.
CHECKPOINT_BYTES = 64 * 1024 * 1024
LAST_RESORT_PAGES = 20_000  # of 8 KiB

# FULL, because a 202 promises that the event survives a power cut, not only a crash.
SQLITE_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={LAST_RESORT_PAGES}",
    "PRAGMA journal_size_limit=0",  # a log that starts again is cut, so that its size tells its use
)

# Seconds, but tcp_user_timeout: milliseconds after which unanswered bytes end a connection.
POSTGRESQL_CONNECT_ARGS: Mapping[str, Any] = {
    "connect_timeout": 5,
    "tcp_user_timeout": 15_000,
    "keepalives_idle": 30,
    "application_name": "speckle-discord-bot",
}
POSTGRESQL_SESSION = (
    "SET statement_timeout = '15s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    # A server may be set to answer before it has synced; a 202 promises more.
    """SELECT set_config('synchronous_commit', 'on', false)
       WHERE current_setting('synchronous_commit') = 'off'""",
)

T = TypeVar("T")
Work = Callable[[Session], T]


@dataclass(frozen=True, slots=True)
class StorageTimings:
    """Seconds: for another program's lock, and from a write to its copy in SQLite's file itself.

    A delivery needs two locks, and Speckle gives up after 10 s. The copy is for those who copy the
    file alone.
    """

    lock_s: float = 2.5
    checkpoint_after_s: float = 20.0

    @property
    def lock_ms(self) -> int:
        """What the databases count the wait for a lock in."""
        return round(self.lock_s * 1000)


class Database:
    """The engine of one database, and the threads that use it.

    On SQLite one transaction writes at a time, and guilds take turns: a second writer could but
    wait for the first, and would do so in a thread, blindly.
    """

    def __init__(
        self, url: URL, engine: Engine, now: Callable[[], datetime], timings: StorageTimings
    ) -> None:
        self.url = url
        self.is_sqlite = url.drivername == SQLITE
        self._engine = engine
        self._reader = engine if self.is_sqlite else _autocommitting(engine)
        self._now = now
        at_once = AT_ONCE_SQLITE if self.is_sqlite else AT_ONCE_POSTGRESQL
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="database")
        self._urgent = ThreadPoolExecutor(AT_ONCE_URGENT, thread_name_prefix="database, urgent")
        self._turn = FairSemaphore(1)
        self._file = WatchedFile(sqlite_path(url)) if self.is_sqlite else None
        self._checkpoint_after_s = timings.checkpoint_after_s
        self._checkpoint: asyncio.Task[None] | None = None
        self._checkpoint_timer: asyncio.TimerHandle | None = None
        self._copying = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: URL,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        timings: StorageTimings = StorageTimings(),
    ) -> AsyncIterator["Database"]:
        """The database at `url`; nothing is connected before it is used.

        Errors: StorageUnavailable if an SQLite file or its folder cannot be made.
        """
        make = _sqlite_engine if url.drivername == SQLITE else _postgresql_engine
        database = cls(url, make(url, timings), now, timings)
        try:
            yield database
        finally:
            await database._close()

    async def _close(self) -> None:
        if self._checkpoint_timer is not None:
            self._checkpoint_timer.cancel()
        if self._checkpoint is not None:
            await self._checkpoint
        for threads in (self._threads, self._urgent):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()

    # ── work in threads ───────────────────────────────────────────────────────────────────────

    async def read(self, work: Work[T], *, urgent: bool = False) -> T:
        """Do `work`, which reads, in a thread; each statement sees what was committed before it."""
        return await self._in_thread(self._urgent if urgent else self._threads, self._read, work)

    async def write(self, work: Work[T], *, urgent: bool = False) -> T:
        """Do `work` in one transaction, in a thread; committed and synced when this returns.

        A caller that is cancelled meanwhile does not undo it: the transaction ends as it would.
        Errors: StorageUnavailable, also if an SQLite file is no longer the one that was opened.
        """
        if self._file is None:
            threads = self._urgent if urgent else self._threads
            return await self._in_thread(threads, self._write, work)
        whose = await self._turn.acquire()
        # Not behind reads: a write that waits for a thread holds its turn, and so all others up.
        return await self._in_thread(
            self._urgent, self._write, work, then=lambda: self._wrote_in_turn(whose)
        )

    async def _in_thread(
        self,
        threads: Executor,
        do: Callable[[Work[T]], T],
        work: Work[T],
        then: Callable[[], None] | None = None,
    ) -> T:
        done = asyncio.get_running_loop().run_in_executor(threads, do, work)
        done.add_done_callback(lambda ended: _over(ended, then))
        return await asyncio.shield(done)

    def _read(self, work: Work[T]) -> T:
        with self.reading() as session:
            return work(session)

    def _write(self, work: Work[T]) -> T:
        with self.writing() as session:
            return work(session)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reads, in this thread."""
        with unavailable_told(), self._reader.connect() as connection:
            yield Session(connection, self._now)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in a transaction, in this thread, that is committed when the block ends."""
        if self._file is not None:
            self._file.check()
        session: Session | None = None
        try:
            with unavailable_told(), self._engine.begin() as connection:
                if self.is_sqlite:
                    begin_immediate(connection)
                session = Session(connection, self._now)
                yield session
        finally:
            if session is not None:
                session.ended()
        if self._file is not None:
            self._file.remember()
            self._file.check()  # what was replaced meanwhile has lost what was written

    # ── SQLite's write-ahead log ──────────────────────────────────────────────────────────────

    def _wrote_in_turn(self, whose: Hashable) -> None:
        self._turn.release(whose)
        if wal_size(self.url) > CHECKPOINT_BYTES:
            self._begin_copying()
        else:
            self._copy_later()

    def _copy_later(self) -> None:
        if self._checkpoint_timer is None:
            loop = asyncio.get_running_loop()
            self._checkpoint_timer = loop.call_later(self._checkpoint_after_s, self._begin_copying)

    def _begin_copying(self) -> None:
        if self._checkpoint_timer is not None:
            self._checkpoint_timer.cancel()
            self._checkpoint_timer = None
        if self._checkpoint is None or self._checkpoint.done():
            self._checkpoint = asyncio.create_task(self.copy_log(), name="checkpoint")
        else:
            self._copy_later()

    async def copy_log(self) -> None:
        """Copy SQLite's log into the file: most of it at the same time as commits, the rest between
        two.

        The log starts again only at a moment when all of it is copied, and under a steady load no
        such moment comes anyway. What a reader holds back is copied later.
        """
        assert self._file is not None, "only SQLite has such a log"  # noqa: S101
        try:
            async with self._copying:
                with self._file.copying():
                    await self.read(_passive_checkpoint)
                    async with self._turn.slot():
                        mark = await self._in_thread(self._urgent, self._write, raise_mark)
                        whole = await self.read(_passive_checkpoint, urgent=True)
        except (SQLAlchemyError, StorageUnavailable):
            return  # such as a full disk: the commits report it, and the next one asks again
        if whole:
            self._file.copied(mark)
        else:
            self._copy_later()

    async def keep_marks(self) -> None:
        """From now on also keep next to the file the mark of each copying of SQLite's log."""
        assert self._file is not None, "only SQLite has marks"  # noqa: S101
        self._file.keep_marks()
        await self.copy_log()

    @contextmanager
    def own_connection(self) -> Iterator[Connection]:
        """A connection outside the pool, without transactions, for as long as the block lasts."""
        engine = create_engine(
            self.url,
            connect_args=dict(POSTGRESQL_CONNECT_ARGS),
            isolation_level="AUTOCOMMIT",
            pool_size=1,
        )
        try:
            with unavailable_told(), engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()


def _over(ended: "asyncio.Future[Any]", then: Callable[[], None] | None) -> None:
    """The thread is done, whether anybody still waits for it or not."""
    if not ended.cancelled():
        ended.exception()  # told to who waits, if anybody does
    if then is not None:
        then()


def parse_url(database_url: str) -> URL:
    """The address of a database that this bot can use.

    Errors: ConfigError for any other.
    """
    hint = f"Write {SQLITE}:///path/to/file.db or {POSTGRESQL}://user:password@host/name."
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise ConfigError(Problem("DATABASE_URL", "It is not a database URL.", hint)) from None
    if url.drivername not in (SQLITE, POSTGRESQL):
        raise ConfigError(Problem("DATABASE_URL", "It names another kind of database.", hint))
    if url.drivername == SQLITE and url.database in (None, "", ":memory:"):
        raise ConfigError(Problem("DATABASE_URL", "It names no file.", hint))
    return url


def _passive_checkpoint(session: Session) -> bool:
    """Copy what no reader holds back; whether the file holds all of the log then."""
    row = session.connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
    _busy, frames, copied = row
    return bool(frames == copied)


def set_up_sqlite(connection: DBAPIConnection, timings: StorageTimings) -> None:
    """Set what SQLite keeps for a connection only."""
    _set_up(connection, (f"PRAGMA busy_timeout={timings.lock_ms}", *SQLITE_PRAGMAS))


def use_wal(connection: DBAPIConnection, timings: StorageTimings) -> None:
    """Switch the file to a write-ahead log, which it then stays with; blocks while it is locked.

    SQLite does not wait on its own for another connection that is switching too.
    """
    patience = time.monotonic() + timings.lock_s
    with _closed_if_unusable(connection):
        while not _uses_wal(connection, last_try=time.monotonic() > patience):
            time.sleep(0.02)


def _uses_wal(connection: DBAPIConnection, *, last_try: bool) -> bool:
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if last_try or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return False
    finally:
        cursor.close()
    return True


def begin_immediate(connection: Connection) -> None:
    """Take SQLite's write lock at the start: a transaction that asks later may be refused it."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _set_up_postgresql(connection: DBAPIConnection, timings: StorageTimings) -> None:
    _set_up(connection, (f"SET lock_timeout = '{timings.lock_ms}ms'", *POSTGRESQL_SESSION))
    connection.commit()


def _set_up(connection: DBAPIConnection, statements: Sequence[str]) -> None:
    with _closed_if_unusable(connection):
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()


@contextmanager
def _closed_if_unusable(connection: DBAPIConnection) -> Iterator[None]:
    """Close a connection that fails in its set-up: the pool forgets it, and leaves it open."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _sqlite_engine(url: URL, timings: StorageTimings) -> Engine:
    make_place(url)
    engine = create_engine(
        url,
        # The driver's own BEGIN comes late and is not IMMEDIATE; without it, each statement is
        # alone until we begin.
        connect_args={"isolation_level": None, "check_same_thread": False},
        pool_size=AT_ONCE_SQLITE + AT_ONCE_URGENT,
        max_overflow=0,
        hide_parameters=True,
    )
    event.listen(engine, "connect", lambda one, _record: set_up_sqlite(one, timings))
    event.listen(engine, "connect", lambda one, _record: use_wal(one, timings))
    return engine


def _postgresql_engine(url: URL, timings: StorageTimings) -> Engine:
    engine = create_engine(
        url,
        connect_args=dict(POSTGRESQL_CONNECT_ARGS),
        pool_size=AT_ONCE_POSTGRESQL + AT_ONCE_URGENT,
        max_overflow=0,
        pool_pre_ping=True,  # a restart of the server costs no event
        hide_parameters=True,
    )
    event.listen(engine, "connect", lambda one, _record: _set_up_postgresql(one, timings))
    return engine


def _autocommitting(engine: Engine) -> Engine:
    return engine.execution_options(isolation_level="AUTOCOMMIT")
