"""SQLite files that are made whole or not at all, and copies of a database's file.

VACUUM INTO makes a copy with one read, which in WAL mode holds no writer up; of the log as well,
and without the pages in which deleted rows are still to be read.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.exc import DBAPIError

from bot import new_file as private
from bot.db.failures import reason_of
from bot.db.sqlite_file import beside
from bot.errors import CopyProblem, DatabaseCopyError, StorageUnavailable

LOCK_S: Final = 30.0
COPIES_KEPT: Final = 3


def vacuum_into(path: Path, new: Path, *, unchanged: bool = False) -> None:
    """Copy a database's file and its log into an empty file. Errors: DatabaseCopyError."""
    engine = file_engine(path, unchanged=unchanged)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("VACUUM INTO ?", (str(new),))
    except DBAPIError as error:
        raise why_not_copied(error, path, new) from error
    finally:
        engine.dispose()


def why_not_copied(error: DBAPIError, path: Path, new: Path) -> DatabaseCopyError:
    """What SQLite says of copying the one into the other."""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
    reason = reason_of(error) or str(error.orig)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DatabaseCopyError(CopyProblem.DAMAGED, str(path))
    if code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY):
        return DatabaseCopyError(CopyProblem.NOT_WRITTEN, str(new.parent), reason)
    return DatabaseCopyError(CopyProblem.NOT_READ, str(path), reason)


def file_engine(path: Path, *, unchanged: bool = False) -> Engine:
    """What connects to a file that is there; without the bot's settings, and no file is made.

    `unchanged`: nobody writes it meanwhile, so that even its folder may be read-only.
    """
    log = beside(path, "-wal")
    alone = unchanged and not (log.exists() and log.stat().st_size)
    uri = f"{path.absolute().as_uri()}?{'mode=ro&immutable=1' if alone else 'mode=rw'}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            uri, uri=True, isolation_level=None, timeout=LOCK_S, check_same_thread=False
        )

    return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True)


@contextmanager
def new_file(path: Path, *, replace: bool) -> Iterator[Path]:
    """An empty private file that gets this name, whole and synced, once the block has ended.

    Errors: DatabaseCopyError if the name is taken, or the file cannot be made.
    """
    with _explained(path), private.new_file(path, replace=replace) as new:
        yield new


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """An empty private file with a hidden name in the folder of `path`, deleted at the end.

    Errors: DatabaseCopyError.
    """
    with _explained(path), private.scratch_file(path) as new:
        yield new


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise DatabaseCopyError(CopyProblem.FILE_EXISTS, str(path)) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise DatabaseCopyError(CopyProblem.NOT_WRITTEN, str(path.parent), why) from error


# ── before an upgrade ─────────────────────────────────────────────────────────────────────────


def keep_before_upgrade(path: Path, version: str, now: datetime) -> None:
    """Copy a database to a file beside it before its tables change; the newest of these are kept.

    Errors: StorageUnavailable if that cannot be done: then nothing must change.
    """
    copy = beside(path, f".version-{version}-{now:%Y%m%d-%H%M%S}")
    try:
        with new_file(copy, replace=True) as new:
            vacuum_into(path, new)
        kept = sorted(path.parent.glob(f"{path.name}.version-*"), key=_written_at)
        for old in kept[:-COPIES_KEPT]:
            old.unlink(missing_ok=True)
    except (DatabaseCopyError, OSError) as error:
        reason = error.reason if isinstance(error, DatabaseCopyError) else error.strerror
        raise StorageUnavailable(
            f"the copy before the upgrade cannot be written beside it: {reason}"
        ) from error


def _written_at(path: Path) -> int:
    return path.stat().st_mtime_ns
