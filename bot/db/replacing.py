"""Filling a database from another one: a backup that is put back, and a move to the other kind.

The bot must not run meanwhile, and what is there stays there until the new content is whole.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, delete, insert, make_url, update

from bot.database_content import Restored, TableRows
from bot.db.backups import (
    changed_file,
    connected,
    content_of,
    refuse_its_own_files,
    require_todays_tables,
    tables_in,
)
from bot.db.connections import SQLITE, own_connection
from bot.db.failures import driver_errors_translated
from bot.db.file_copies import file_engine, new_file, scratch_file, vacuum_into
from bot.db.leader import leading
from bot.db.restored_copy import IDENTITY_KEY, identity_of
from bot.db.schema import migrate_now
from bot.db.sqlite_file import beside, keep_mark, make_private_folder, sqlite_path
from bot.db.sqlite_marks import MARK_KEY, CopyMark
from bot.db.table_copy import copy_tables, empty_tables, holds_rows, lock_tables
from bot.db.tables import hooks, key_values, subscriptions
from bot.errors import CopyProblem, DatabaseCopyError, StorageError, StorageUnavailable

FOREIGN: Final = "another"  # no server calls its tables so


def restore_backup(
    url: URL,
    path: Path,
    now: datetime,
    *,
    replace: bool = False,
    shown_until: datetime | None = None,
) -> Restored:
    """Have the database hold what a backup holds; its next start then knows that it is a copy.

    `replace`: also over one that is used, which is kept under another name. `shown_until`: lists at
    Speckle are read from then on. Errors: DatabaseCopyError, StorageUnavailable, SchemaTooNew,
    SchemaTooOld.
    """
    refuse_its_own_files(url, path)
    content_of(path)
    with _no_bot(url):
        if url.drivername == SQLITE:
            return _restore_file(_real(sqlite_path(url)), path, now, replace, shown_until)
        migrate_now(url)
        return _restore_tables(url, path, now, replace, shown_until)


def _restore_file(
    target: Path, path: Path, now: datetime, replace: bool, shown_until: datetime | None
) -> Restored:
    used = _is_used(target)
    if used and not replace:
        raise DatabaseCopyError(CopyProblem.USED, str(target))
    with new_file(target, replace=True) as new:
        _prepare(path, new, shown_until)
        content = content_of(new)
        kept = _put_aside(target, now) if used else None
    return Restored(content, kept)


def _restore_tables(
    url: URL, path: Path, now: datetime, replace: bool, shown_until: datetime | None
) -> Restored:
    aside = path.with_name(f"before-restore-{now:%Y%m%d-%H%M%S}.db")
    with scratch_file(path) as new:
        _prepare(path, new, shown_until)
        with connected(url) as target:
            lock_tables(target, "ACCESS EXCLUSIVE")
            used = holds_rows(target)
            if used and not replace:
                raise DatabaseCopyError(CopyProblem.USED, url.database or "")
            if used:
                with new_file(aside, replace=False) as old, tables_in(old) as kept:
                    copy_tables(target, kept)
            empty_tables(target)
            with file_engine(new).connect() as source:
                copy_tables(source, target)
            content = content_of(new)
    return Restored(content, aside if used else None)


def _prepare(path: Path, new: Path, shown_until: datetime | None) -> None:
    """A backup's content with today's tables, as one that its next start takes for a copy."""
    vacuum_into(path, new, unchanged=True)
    migrate_now(_url_of(new), keep_copy=False)
    with changed_file(new) as connection:
        mark_as_copy(connection)
        for table in (hooks, subscriptions) if shown_until is not None else ():
            earlier = table.c.caught_up_at.is_(None) | (table.c.caught_up_at < shown_until)
            connection.execute(update(table).where(earlier).values(caught_up_at=shown_until))


def _is_used(target: Path) -> bool:
    """Whether there is more in a file than a bot's empty tables; a damaged one counts as used."""
    if not target.exists() or not target.stat().st_size:
        return False
    try:
        with connected(_url_of(target)) as connection:
            require_todays_tables(connection)
            return holds_rows(connection)
    except StorageError:
        return True


def _put_aside(target: Path, now: datetime) -> Path:
    """Give a database's file a second name, with its log, and take the log from the first one.

    The file itself stays in its place until another one takes it, so that a bot never finds none.
    """
    aside = named = target.with_name(f"{target.name}.before-restore-{now:%Y%m%d-%H%M%S}")
    number = 1
    while os.path.lexists(aside):  # of another one within the second
        number += 1
        aside = beside(named, f"-{number}")
    _close_log(target)
    try:
        aside.hardlink_to(target)
    except OSError:  # a disk that knows no such links
        target.rename(aside)
    for suffix in ("-wal", "-shm"):  # still there where it is damaged, or open in another program
        with suppress(FileNotFoundError):
            beside(target, suffix).rename(beside(aside, suffix))
    return aside


def _close_log(target: Path) -> None:
    """Copy the log into the file, if that can be; the last one to close it deletes the log."""
    engine = file_engine(target)
    try:
        with suppress(StorageUnavailable), driver_errors_translated(), engine.connect() as one:
            one.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        engine.dispose()


# ── a move ────────────────────────────────────────────────────────────────────────────────────


def copy_database(source: URL, target: URL) -> Sequence[TableRows]:
    """Have an empty database hold all that another one holds, and be the one that the bot has.

    The other one counts as an older copy from then on. Errors: DatabaseCopyError,
    StorageUnavailable, SchemaTooNew, SchemaTooOld.
    """
    if _place(source) == _place(target):
        raise DatabaseCopyError(CopyProblem.SAME, "")
    if source.drivername == SQLITE and not sqlite_path(source).exists():
        raise DatabaseCopyError(CopyProblem.NO_DATABASE, str(sqlite_path(source)))
    with _no_bot(source), _no_bot(target), connected(source) as reading:
        require_todays_tables(reading)
        if source.drivername != SQLITE:
            lock_tables(reading, "SHARE")
        fill = _fill_file if target.drivername == SQLITE else _fill_tables
        copied = fill(reading, target)
        # Only now: if it failed, the source stays the bot's own.
        mark_as_copy(reading)
    return copied


def _fill_file(source: Connection, target: URL) -> Sequence[TableRows]:
    path = sqlite_path(target)
    if _is_used(path):
        raise DatabaseCopyError(CopyProblem.USED, str(path))
    with new_file(_real(path), replace=True) as new:
        with tables_in(new) as filled:
            copied = copy_tables(source, filled)
            mark = CopyMark(secrets.token_hex(8), 0)
            _set_marks(filled, {MARK_KEY: str(mark)})
        _delete_log(_real(path))
        keep_mark(path, mark)
    return copied


def _fill_tables(source: Connection, target: URL) -> Sequence[TableRows]:
    migrate_now(target)
    with own_connection(target) as asked:
        identity = identity_of(asked)
    with connected(target) as filled:
        lock_tables(filled, "ACCESS EXCLUSIVE")
        if holds_rows(filled):
            raise DatabaseCopyError(CopyProblem.USED, target.database or "")
        empty_tables(filled)
        copied = copy_tables(source, filled)
        _set_marks(filled, {IDENTITY_KEY: identity})
    return copied


def mark_as_copy(connection: Connection) -> None:
    """Have the next start find that this is not the database that the bot had last."""
    mark = CopyMark(secrets.token_hex(8), 0)
    _set_marks(connection, {MARK_KEY: str(mark), IDENTITY_KEY: FOREIGN})


def _set_marks(connection: Connection, marks: Mapping[str, str]) -> None:
    both = key_values.c.name.in_([MARK_KEY, IDENTITY_KEY])
    connection.execute(delete(key_values).where(both))
    for name, value in marks.items():
        connection.execute(insert(key_values).values(name=name, value=value))


@contextmanager
def _no_bot(url: URL) -> Iterator[None]:
    """No bot works on the database while the block lasts. Errors: DatabaseCopyError if one does."""
    if url.drivername == SQLITE:
        make_private_folder(sqlite_path(url).absolute().parent)
    with leading(url) as alone:
        if not alone:
            raise DatabaseCopyError(CopyProblem.BOT_RUNS, url.database or "")
        yield


def _place(url: URL) -> object:
    if url.drivername == SQLITE:
        return os.path.realpath(sqlite_path(url))
    return url.host, url.port, url.database


def _real(path: Path) -> Path:
    """Where a database's file really is: a link to it stays one, and SQLite's log is there too."""
    return Path(os.path.realpath(path))


def _url_of(path: Path) -> URL:
    return make_url(f"{SQLITE}://").set(database=str(path))


def _delete_log(path: Path) -> None:
    """What was beside an empty database: SQLite would mix it with the new one's."""
    for suffix in ("-wal", "-shm"):
        beside(path, suffix).unlink(missing_ok=True)
