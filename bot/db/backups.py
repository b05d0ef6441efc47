"""A database as one SQLite file of one moment, while bots write to it; and looking at such a file.

Of PostgreSQL it is copied table by table, in one snapshot, so that it needs no program of the
server's, and can be put back into either kind.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import (
    URL,
    Connection,
    NullPool,
    create_engine,
    event,
    inspect,
    make_url,
    text,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DBAPIError

from bot.database_content import DatabaseContent
from bot.db.connections import POSTGRESQL_CONNECT_ARGS, SQLITE
from bot.db.content import read_content
from bot.db.failures import driver_errors_translated
from bot.db.file_copies import (
    file_engine,
    new_file,
    vacuum_into,
    why_not_copied,
)
from bot.db.key_values import LAST_BACKUP
from bot.db.schema import WANTED, migrate_now, needs_migration, version_of
from bot.db.sqlite_file import BESIDE, MARK_SUFFIX, beside, sqlite_path
from bot.db.table_copy import copy_tables
from bot.errors import CopyProblem, DatabaseCopyError, StorageUnavailable
from bot.new_file import begins_with

WITHOUT_TIME_OUTS: Final = (
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
)
OUR_TABLES: Final = frozenset({"guilds", "hooks", "outbox"})
SQLITE_FILE: Final = b"SQLite format 3\0"
OWN_FILES: Final = (*BESIDE, MARK_SUFFIX, ".lock")
ONE_MOMENT: Final = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


def make_backup(url: URL, path: Path, now: datetime, *, replace: bool = False) -> DatabaseContent:
    """Write the whole database into a new file, look at the file, and note it in the database.

    Nothing is left at `path` if that fails, or what was there before. Errors: DatabaseCopyError,
    StorageUnavailable, SchemaTooNew, SchemaTooOld.
    """
    refuse_its_own_files(url, path)
    if replace:
        _refuse_other_files(path)
    with new_file(path, replace=replace) as new:
        copy_into(url, new)
        content = content_of(new)
    with suppress(StorageUnavailable), connected(url) as connection:
        connection.execute(SET_VALUE, {"name": LAST_BACKUP, "value": now.isoformat()})
    return content


SET_VALUE: Final = text(
    "INSERT INTO facts (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def refuse_its_own_files(url: URL, path: Path) -> None:
    """Pass if a file is none of those that a database is kept in. Errors: DatabaseCopyError."""
    if url.drivername == SQLITE:
        own = (beside(sqlite_path(url), suffix).resolve() for suffix in OWN_FILES)
        if path.resolve() in own:
            raise DatabaseCopyError(CopyProblem.ITS_OWN_FILE, str(path))


def _refuse_other_files(path: Path) -> None:
    """Pass for a name that is free, or is that of a backup: who mistypes one loses no keys.

    Errors: DatabaseCopyError.
    """
    if not os.path.lexists(path):
        return
    with suppress(OSError, DBAPIError):
        if begins_with(path, b"") or (begins_with(path, SQLITE_FILE) and _has_our_tables(path)):
            return
    raise DatabaseCopyError(CopyProblem.NOT_REPLACED, str(path))


def _has_our_tables(path: Path) -> bool:
    engine = file_engine(path, unchanged=True)
    try:
        with engine.connect() as connection:
            return set(inspect(connection).get_table_names()) >= OUR_TABLES
    finally:
        engine.dispose()


def copy_into(url: URL, new: Path) -> None:
    """Write the database into an empty file, as it is at one moment.

    Errors: DatabaseCopyError, StorageUnavailable, SchemaTooNew, SchemaTooOld.
    """
    if url.drivername == SQLITE:
        path = sqlite_path(url)
        if not path.exists() or not path.stat().st_size:
            raise DatabaseCopyError(CopyProblem.NO_DATABASE, str(path))
        vacuum_into(path, new)
        return
    with connected(url, writes=False) as source:
        require_todays_tables(source)
        with tables_in(new) as target:
            copy_tables(source, target)


@contextmanager
def tables_in(new: Path) -> Iterator[Connection]:
    """A transaction in an empty file, which gets today's tables first and is one file at the end.

    Errors: DatabaseCopyError if it cannot be written.
    """
    try:
        migrate_now(make_url(f"{SQLITE}:///").set(database=str(new)))
        with changed_file(new) as connection:
            yield connection
    except StorageUnavailable as error:
        raise DatabaseCopyError(CopyProblem.NOT_WRITTEN, str(new.parent), error.reason) from error


@contextmanager
def changed_file(new: Path) -> Iterator[Connection]:
    """A transaction in a file that nobody else has; without a log beside it at the end."""
    engine = file_engine(new)
    try:
        with driver_errors_translated(), engine.begin() as connection:
            # Nobody needs it before it is whole, and it is synced then.
            connection.exec_driver_sql("PRAGMA synchronous=OFF")
            connection.exec_driver_sql("PRAGMA journal_mode=DELETE")
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            yield connection
    finally:
        engine.dispose()


def content_of(path: Path) -> DatabaseContent:
    """What a file holds, once it is known to be whole and the bot's.

    Errors: DatabaseCopyError if it is not, SchemaTooNew, SchemaTooOld.
    """
    if not path.is_file():
        raise DatabaseCopyError(CopyProblem.NO_DATABASE, str(path))
    engine = file_engine(path, unchanged=True)
    try:
        with engine.connect() as connection:
            said = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
            if said != "ok":
                raise DatabaseCopyError(CopyProblem.DAMAGED, str(path))
            if not set(inspect(connection).get_table_names()) >= OUR_TABLES:
                raise DatabaseCopyError(CopyProblem.NOT_OURS, str(path))
            needs_migration(version_of(connection))
            return read_content(connection)
    except DBAPIError as error:
        raise why_not_copied(error, path, path) from error
    finally:
        engine.dispose()


def require_todays_tables(connection: Connection) -> None:
    """Pass if they are there. Errors: DatabaseCopyError, SchemaTooNew, SchemaTooOld."""
    found = version_of(connection)
    if found is None:
        raise DatabaseCopyError(CopyProblem.NO_DATABASE, connection.engine.url.database or "")
    if needs_migration(found):
        raise DatabaseCopyError(CopyProblem.OLD_TABLES, found, WANTED)


@contextmanager
def connected(url: URL, *, writes: bool = True) -> Iterator[Connection]:
    """A transaction of its own, without the bot's time limits, which sees one moment if it reads.

    Errors: StorageUnavailable.
    """
    if url.drivername == SQLITE:
        engine = file_engine(sqlite_path(url))
        begin = "BEGIN IMMEDIATE" if writes else "BEGIN"
    else:
        engine = create_engine(
            url,
            connect_args=dict(POSTGRESQL_CONNECT_ARGS),
            poolclass=NullPool,
            hide_parameters=True,
        )
        event.listen(engine, "connect", _without_time_outs)
        begin = "" if writes else ONE_MOMENT
    try:
        with driver_errors_translated(), engine.begin() as connection:
            if begin:
                connection.exec_driver_sql(begin)
            yield connection
    finally:
        engine.dispose()


def _without_time_outs(connection: DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    for statement in WITHOUT_TIME_OUTS:
        cursor.execute(statement)
    cursor.close()
    connection.commit()
