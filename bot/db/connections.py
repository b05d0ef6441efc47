"""Connections: which addresses are databases, and how each kind is connected to and set up."""

import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError

from bot.db.failures import driver_errors_translated
from bot.db.sqlite_file import make_place
from bot.errors import ConfigError, Problem

SQLITE = "sqlite"
POSTGRESQL = "postgresql+psycopg"

# Threads, each with a connection, so that none waits for one. What answers a Speckle server has
# its own, as others may wait behind a large read; on SQLite the one write at a time does, too.
AT_ONCE_SQLITE = 4
AT_ONCE_POSTGRESQL = 8
AT_ONCE_URGENT = 2
CHECKPOINTS_AT_ONCE = 1
# SQLite's own copying of its log, which a commit waits for, is for when the Checkpointer cannot.
LAST_RESORT_PAGES = 20_000  # of 8 KiB

# FULL, because a 202 promises that the event survives a power cut, not only a crash.
SQLITE_PRAGMAS = (
    "PRAGMA synchronous=FULL",
    "PRAGMA cache_size=-1000",  # KiB for each connection; the system keeps the file in memory too
    "PRAGMA foreign_keys=ON",
    f"PRAGMA wal_autocheckpoint={LAST_RESORT_PAGES}",
    "PRAGMA journal_size_limit=0",  # a log that starts again is cut, so that its size shows its use
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


def create(url: URL, timings: StorageTimings) -> Engine:
    """What connects to the database at `url`; nothing is connected before it is used.

    Errors: StorageUnavailable if an SQLite file or its folder cannot be made.
    """
    return (_sqlite_engine if url.drivername == SQLITE else _postgresql_engine)(url, timings)


@contextmanager
def own_connection(url: URL) -> Iterator[Connection]:
    """A connection to PostgreSQL outside any pool, without transactions, while the block lasts."""
    engine = create_engine(
        url,
        connect_args=dict(POSTGRESQL_CONNECT_ARGS),
        isolation_level="AUTOCOMMIT",
        pool_size=1,
    )
    try:
        with driver_errors_translated(), engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _sqlite_engine(url: URL, timings: StorageTimings) -> Engine:
    make_place(url)
    engine = create_engine(
        url,
        # The driver's own BEGIN comes late and is not IMMEDIATE; without it, each statement is
        # alone until we begin.
        connect_args={"isolation_level": None, "check_same_thread": False},
        pool_size=AT_ONCE_SQLITE + AT_ONCE_URGENT + CHECKPOINTS_AT_ONCE,
        # The one that was used last: its pages and its statements are still in memory.
        pool_use_lifo=True,
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


def autocommitting(engine: Engine) -> Engine:
    """The same engine, each statement of which is a transaction."""
    return engine.execution_options(isolation_level="AUTOCOMMIT")
