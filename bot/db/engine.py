"""Connections: how each database is opened, read from and written to."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
)
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    make_url,
    text,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from bot.db.failures import unavailable_told
from bot.errors import ConfigError, Problem, StorageUnavailable

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+psycopg"

BUSY_TIMEOUT_MS = 5000  # how long SQLite waits for another process's lock
POOL_TIMEOUT_S = 10.0
SQLITE_READERS = 3  # each is a thread
POSTGRESQL_CONNECTIONS = 8
CHECKPOINT_PAGES = 2000  # of 8 KiB: a rarer checkpoint costs less, the WAL stays near 16 MiB

# FULL, because a 202 promises that the event survives a power cut, not only a crash.
SQLITE_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}",
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

SQLITE_LAST_ID = text("SELECT seq FROM sqlite_sequence WHERE name = :name")


T = TypeVar("T")


class InsertOf(Protocol):
    """SQLite's and PostgreSQL's `insert`, which agree on ON CONFLICT."""

    def __call__(self, table: Table) -> Insert: ...


class Database:
    """The engines of one database: one that reads without transactions, one that writes, and a
    blocking one for what many wait for together.

    On SQLite only one connection writes, one transaction at a time: a second writer could but wait
    for the first, and would do so in a thread, blindly.
    """

    def __init__(
        self, url: URL, reader: AsyncEngine, writer: AsyncEngine, blocking: Engine
    ) -> None:
        self.url = url
        self.is_sqlite = url.drivername == SQLITE
        self.insert = _insert_of(url)
        self._reader = reader
        self._writer = writer
        self._blocking = blocking
        self._thread = ThreadPoolExecutor(2, thread_name_prefix="database")
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, url: URL) -> AsyncIterator["Database"]:
        """The database at `url`; nothing is connected before it is used.

        Errors: StorageUnavailable if the folder of an SQLite file cannot be made.
        """
        make = _sqlite_engines if url.drivername == SQLITE else _pg_engines
        reader, writer, blocking = make(url)
        try:
            yield (database := cls(url, reader, writer, blocking))
        finally:
            database._thread.shutdown()
            blocking.dispose()
            await reader.dispose()
            await writer.dispose()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection for reads; each statement sees what was committed before it."""
        with unavailable_told():
            async with self._reader.connect() as connection:
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A connection in a transaction that is committed and synced when the block ends."""
        with unavailable_told():
            async with self._my_turn(), self._writer.begin() as connection:
                yield connection

    async def write_at_once(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction and one thread; committed and synced when this returns.

        The event loop, which serves those who wait for it, is not asked between two statements.
        """
        loop = asyncio.get_running_loop()
        with unavailable_told():
            async with self._my_turn():
                return await loop.run_in_executor(self._thread, self._in_transaction, work)

    async def read_at_once(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, which reads, in one thread."""
        loop = asyncio.get_running_loop()
        with unavailable_told():
            return await loop.run_in_executor(self._thread, self._reading, work)

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        with self._blocking.begin() as connection:
            if self.is_sqlite:
                begin_immediate(connection)
            return work(connection)

    def _reading(self, work: Callable[[Connection], T]) -> T:
        with self._blocking.connect() as connection:
            return work(connection)

    def insert_in_order(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> list[int]:
        """Insert rows at once, within `write_at_once`; their ids, ascending in their order.

        On SQLite, where RETURNING would cost a statement a row, the ids are counted here: nobody
        else writes while the transaction lasts.
        """
        if not rows:
            return []
        if not self.is_sqlite:
            statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
            return list(connection.scalars(statement, rows))
        last = connection.scalar(SQLITE_LAST_ID, {"name": table.name})
        ids = list(range((last or 0) + 1, (last or 0) + 1 + len(rows)))
        numbered = [{**row, "id": row_id} for row_id, row in zip(ids, rows, strict=True)]
        connection.execute(insert(table), numbered)
        return ids

    @asynccontextmanager
    async def own_connection(self) -> AsyncIterator[AsyncConnection]:
        """A connection outside the pools, without transactions, for as long as the block lasts."""
        engine = create_async_engine(
            self.url,
            connect_args=dict(POSTGRESQL_CONNECT_ARGS),
            isolation_level="AUTOCOMMIT",
            pool_size=1,
        )
        try:
            with unavailable_told():
                async with engine.connect() as connection:
                    yield connection
        finally:
            await engine.dispose()

    def _my_turn(self) -> AbstractAsyncContextManager[None]:
        return self._turn if self.is_sqlite else nullcontext()


def parse_url(database_url: str) -> URL:
    """The address of a database that this bot can use.

    Errors: ConfigError for any other.
    """
    mend = f"Write {SQLITE}:///path/to/file.db or {POSTGRESQL}://user:password@host/name."
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise ConfigError(Problem("DATABASE_URL", "It is not a database URL.", mend)) from None
    if url.drivername not in (SQLITE, POSTGRESQL):
        raise ConfigError(Problem("DATABASE_URL", "It names another kind of database.", mend))
    if url.drivername == SQLITE and url.database in (None, "", ":memory:"):
        raise ConfigError(Problem("DATABASE_URL", "It names no file.", mend))
    return url


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite database."""
    assert url.database is not None, "parse_url lets no other pass"  # noqa: S101
    return Path(url.database)


def make_folder(url: URL) -> None:
    """Make the folder that an SQLite file stands in.

    Errors: StorageUnavailable if that cannot be.
    """
    try:
        sqlite_path(url).absolute().parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        raise StorageUnavailable(f"the folder of the database cannot be made: {why}") from error


def set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Set what SQLite keeps for a connection only."""
    busy_timeout = f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}"
    _set_up(connection, (busy_timeout, *SQLITE_PRAGMAS))


def use_wal(connection: DBAPIConnection, _record: object) -> None:
    """Switch the file to a write-ahead log, which it then stays with; blocks while it is locked.

    SQLite does not wait by itself for another connection that is switching too.
    """
    patience = time.monotonic() + BUSY_TIMEOUT_MS / 1000
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


def _set_up_postgresql(connection: DBAPIConnection, _record: object) -> None:
    _set_up(connection, POSTGRESQL_SESSION)
    connection.commit()


def _set_up(connection: DBAPIConnection, statements: Sequence[str]) -> None:
    with _closed_if_unusable(connection):
        cursor = connection.cursor()
        for statement in statements:
            cursor.execute(statement)
        cursor.close()


@contextmanager
def _closed_if_unusable(connection: DBAPIConnection) -> Iterator[None]:
    """The pool forgets a connection that fails in its set-up; one of SQLite's leaves its thread."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def _sqlite_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine, Engine]:
    make_folder(url)
    blocking = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"isolation_level": None, "check_same_thread": False},
        pool_size=2,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
    )
    event.listen(blocking, "connect", set_up_sqlite)
    event.listen(blocking, "connect", use_wal)

    def engine(connections: int) -> AsyncEngine:
        made = create_async_engine(
            url,
            # The driver's own BEGIN comes late and is not IMMEDIATE; without it, each statement
            # stands alone until we begin.
            connect_args={"isolation_level": None},
            poolclass=AsyncAdaptedQueuePool,
            pool_size=connections,
            max_overflow=0,
            pool_timeout=POOL_TIMEOUT_S,
            hide_parameters=True,
        )
        event.listen(made.sync_engine, "connect", set_up_sqlite)
        return made

    writer = engine(1)
    event.listen(writer.sync_engine, "begin", begin_immediate)
    return engine(SQLITE_READERS), writer, blocking


def _pg_engines(url: URL) -> tuple[AsyncEngine, AsyncEngine, Engine]:
    engine = create_async_engine(
        url,
        connect_args=dict(POSTGRESQL_CONNECT_ARGS),
        pool_size=POSTGRESQL_CONNECTIONS,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,  # a restart of the server costs no event
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "connect", _set_up_postgresql)
    blocking = create_engine(
        url,
        connect_args=dict(POSTGRESQL_CONNECT_ARGS),
        pool_size=2,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        pool_pre_ping=True,
        hide_parameters=True,
    )
    event.listen(blocking, "connect", _set_up_postgresql)
    reader = engine.execution_options(isolation_level="AUTOCOMMIT")
    return reader, engine, blocking


def _insert_of(url: URL) -> InsertOf:
    if url.drivername == SQLITE:
        from sqlalchemy.dialects import sqlite

        return sqlite.insert
    from sqlalchemy.dialects import postgresql

    return cast(InsertOf, postgresql.insert)
