"""Connections: how each database is opened, read from and written to."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Protocol, TypeVar, cast

from sqlalchemy import (
    URL,
    Connection,
    CursorResult,
    Dialect,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    make_url,
)
from sqlalchemy.dialects.sqlite import Insert
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from bot.db.failures import unavailable_told
from bot.db.files import WatchedFile, make_place, sqlite_path, wal_size
from bot.db.marks import raise_mark
from bot.errors import ConfigError, Problem, StorageUnavailable
from bot.turns import Door

SQLITE = "sqlite+aiosqlite"
POSTGRESQL = "postgresql+psycopg"

# How long a statement waits for another program's lock. A delivery needs two of them, and Speckle
# gives up after 10 s.
BUSY_TIMEOUT_MS = 2500
POOL_TIMEOUT_S = 10.0
SQLITE_READERS = 3  # each is a thread
POSTGRESQL_CONNECTIONS = 8
# The write-ahead log is copied into the file so long after a write, for those who copy the file
# alone, and at once when it has grown to this size; beside the commits and not in one of them.
# SQLite's own copying, which a commit waits for, is for when that cannot be.
CHECKPOINT_AFTER_S = 20.0
CHECKPOINT_BYTES = 64 * 1024 * 1024
LAST_RESORT_PAGES = 20_000  # of 8 KiB

# FULL, because a 202 promises that the event survives a power cut, not only a crash.
SQLITE_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={LAST_RESORT_PAGES}",
    "PRAGMA journal_size_limit=0",  # a log that starts anew is cut, so that its size tells its use
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
    f"SET lock_timeout = '{BUSY_TIMEOUT_MS}ms'",
    "SET idle_in_transaction_session_timeout = '60s'",
    # A server may be set to answer before it has synced; a 202 promises more.
    """SELECT set_config('synchronous_commit', 'on', false)
       WHERE current_setting('synchronous_commit') = 'off'""",
)

SQLITE_ROWS_A_STATEMENT = 1_000  # SQLite takes 32,766 values in one


T = TypeVar("T")
W = TypeVar("W")


class InsertOf(Protocol):
    """SQLite's and PostgreSQL's `insert`, which agree on ON CONFLICT."""

    def __call__(self, table: Table) -> Insert: ...


class Database:
    """The engines of one database: one that reads without transactions, one that writes, and a
    blocking one for what many wait for together.

    On SQLite only one connection writes, one transaction at a time, and guilds take turns: a
    second writer could but wait for the first, and would do so in a thread, blindly.
    """

    def __init__(
        self,
        url: URL,
        reader: AsyncEngine,
        writer: AsyncEngine,
        blocking: Engine,
        checkpoint_after_s: float,
    ) -> None:
        self.url = url
        self.is_sqlite = url.drivername == SQLITE
        self.insert = _insert_of(url)
        self._reader = reader
        self._writer = writer
        self._blocking = blocking
        self._thread = ThreadPoolExecutor(2, thread_name_prefix="database")
        self._turn = Door(1)
        self._file = WatchedFile(sqlite_path(url)) if self.is_sqlite else None
        self._checkpoint_after_s = checkpoint_after_s
        self._checkpoint: asyncio.Task[None] | None = None
        self._checkpoint_timer: asyncio.TimerHandle | None = None
        self._copying = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: URL, checkpoint_after_s: float = CHECKPOINT_AFTER_S
    ) -> AsyncIterator["Database"]:
        """The database at `url`; nothing is connected before it is used.

        Errors: StorageUnavailable if an SQLite file or its folder cannot be made.
        """
        make = _sqlite_engines if url.drivername == SQLITE else _pg_engines
        reader, writer, blocking = make(url)
        try:
            yield (database := cls(url, reader, writer, blocking, checkpoint_after_s))
        finally:
            if database._checkpoint_timer is not None:
                database._checkpoint_timer.cancel()
            if database._checkpoint is not None:
                await database._checkpoint
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
        self._wrote()

    async def write_at_once(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction and one thread; committed and synced when this returns.

        The event loop, which serves those who wait for it, is not asked between two statements.
        """
        with unavailable_told():
            async with self._my_turn():
                done = await self._in_thread(self._in_transaction, work)
        self._wrote()
        if self._file is not None:
            self._file.check()  # a delivery is answered next: what was replaced meanwhile is lost
        return done

    async def read_at_once(self, work: Callable[[Connection], T]) -> T:
        """Do `work`, which reads, in one thread."""
        with unavailable_told():
            return await self._in_thread(self._reading, work)

    async def _in_thread(self, do: Callable[[W], T], work: W) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do, work)

    def _wrote(self) -> None:
        """See to SQLite's write-ahead log after a commit."""
        if self._file is None:
            return
        self._file.remember()
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
        """Copy SQLite's log into the file: most of it beside the commits, the rest between two.

        The log starts again only at a moment when all of it is copied, and under a steady load no
        such moment comes by itself. What a reader holds back is copied later.
        """
        assert self._file is not None, "only SQLite has such a log"  # noqa: S101
        try:
            async with self._copying:
                with self._file.copying():
                    await self._in_thread(self._reading, _passive_checkpoint)
                    async with self._turn.turn():
                        mark = await self._in_thread(self._in_transaction, raise_mark)
                        whole = await self._in_thread(self._reading, _passive_checkpoint)
        except (SQLAlchemyError, StorageUnavailable):
            return  # such as a full disk: the commits say so, and the next one asks again
        if whole:
            self._file.copied(mark)
        else:
            self._copy_later()

    async def keep_marks(self) -> None:
        """Keep the mark that each copying of SQLite's log leaves beside the file, too, from now."""
        assert self._file is not None, "only SQLite has marks"  # noqa: S101
        self._file.keep_marks()
        await self.copy_log()

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

        On SQLite all rows go in one statement: each gives Python's lock away several times, and a
        busy event loop does not soon give it back.
        """
        if not rows:
            return []
        if not self.is_sqlite:
            statement = insert(table).returning(table.c.id, sort_by_parameter_order=True)
            return list(connection.scalars(statement, rows))
        ids: list[int] = []
        for some, result in _sqlite_inserts(connection, table, rows):
            # AUTOINCREMENT counts up by one, as nobody else writes while the transaction lasts.
            ids += range(result.lastrowid - len(some) + 1, result.lastrowid + 1)
        return ids

    def insert_all(
        self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
    ) -> None:
        """Insert rows that bring their keys along, the same way."""
        if not self.is_sqlite:
            if rows:
                connection.execute(insert(table), rows)
            return
        for _ in _sqlite_inserts(connection, table, rows):
            pass

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

    @asynccontextmanager
    async def _my_turn(self) -> AsyncIterator[None]:
        """Wait until nobody else writes to the SQLite file, which must still be there.

        Errors: StorageUnavailable if the file is no longer the one that was opened.
        """
        if self._file is None:
            yield
            return
        async with self._turn.turn():
            self._file.check()
            yield


def _sqlite_inserts(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Sequence[Mapping[str, Any]], CursorResult[Any]]]:
    """Insert rows, as many a statement as SQLite takes; those and what came of them."""
    for start in range(0, len(rows), SQLITE_ROWS_A_STATEMENT):
        some = rows[start : start + SQLITE_ROWS_A_STATEMENT]
        statement = _sqlite_insert(connection.dialect, table, some)
        yield some, connection.exec_driver_sql(*statement)


def _sqlite_insert(
    dialect: Dialect, table: Table, rows: Sequence[Mapping[str, Any]]
) -> tuple[str, tuple[Any, ...]]:
    """One INSERT of many rows, all with the same columns, and its parameters.

    SQLAlchemy's own takes longer to write down than SQLite to carry out.
    """
    names = list(rows[0])
    places = f"({', '.join('?' * len(names))})"
    statement = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "  # noqa: S608
    types = [table.c[name].type.dialect_impl(dialect) for name in names]
    processors = [one.bind_processor(dialect) for one in types]
    values = tuple(
        value if process is None else process(value)
        for row in rows
        for process, value in zip(processors, row.values(), strict=True)
    )
    return statement + ", ".join([places] * len(rows)), values


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


def _passive_checkpoint(connection: Connection) -> bool:
    """Copy what no reader holds back; whether the file holds all of the log then."""
    row = connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
    _busy, frames, copied = row
    return bool(frames == copied)


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
    make_place(url)
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
