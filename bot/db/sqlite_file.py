"""The files of an SQLite database: made for their owner alone, and watched while they are open."""

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from sqlalchemy import URL

from bot.db.sqlite_marks import CopyMark, mark_in_file
from bot.errors import StorageUnavailable
from bot.new_file import make_private

log = structlog.get_logger()

PRIVATE_FOLDER = 0o700
MARK_SUFFIX = ".mark"
BESIDE = ("", "-wal", "-shm")  # SQLite gives the two that it makes itself the file's own mode
MAY_PASS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE})
LOOKS = 3
LOOK_AGAIN_S = 0.02
REPLACED = (
    "its file was replaced or removed while the bot runs, so what is written would be lost; "
    "restart the bot"
)
LOG_REMOVED = (
    "the log next to its file (-wal) was removed while the bot runs, so what is written would be "
    "lost; restart the bot"
)
OVERWRITTEN = "its file was overwritten with another copy while the bot runs; restart the bot"


def sqlite_path(url: URL) -> Path:
    """The file of an SQLite database."""
    assert url.database is not None, "parse_url lets no other pass"  # noqa: S101
    return Path(url.database)


def beside(path: Path, suffix: str) -> Path:
    """A file next to the database that is named after it."""
    return path.with_name(path.name + suffix)


def make_place(url: URL) -> None:
    """Make the file of an SQLite database, and its folder, for this user alone.

    What is there already stays as it is. Errors: StorageUnavailable if that cannot be.
    """
    path = sqlite_path(url).absolute()
    if path.is_dir():
        raise StorageUnavailable("the database file cannot be opened", lasting=True)
    try:
        make_private_folder(path.parent)
        make_private(path)
    except OSError as error:
        why = (error.strerror or "no reason given").lower()
        reason = f"the folder or file of the database cannot be made: {why}"
        raise StorageUnavailable(reason, lasting=error.errno not in MAY_PASS) from error
    if _is_read_only(path.parent):  # SQLite itself says no more than that it cannot open the file
        raise StorageUnavailable("the disk of the database is read-only")


def _is_read_only(folder: Path) -> bool:
    if sys.platform == "win32":
        return False
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)


def free_bytes(path: Path) -> int | None:
    """How much may still be written to the disk that a file is on; None if that is not known."""
    try:
        return shutil.disk_usage(path.absolute().parent).free
    except OSError:
        return None


def make_private_folder(path: Path) -> None:
    """Make a folder that only this user can look into, whatever the umask, if there is none."""
    try:
        path.mkdir(PRIVATE_FOLDER, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(PRIVATE_FOLDER)


def kept_mark(path: Path) -> CopyMark | None:
    """The mark next to a database's file; None if there is none."""
    try:
        return CopyMark.parse(beside(path, MARK_SUFFIX).read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError):
        return None


def keep_mark(path: Path, mark: CopyMark) -> None:
    """Put the mark next to a database's file. A full disk leaves an older one there,
    which is one of this database as well.
    """
    new = beside(path, f"{MARK_SUFFIX}.new")
    try:
        new.unlink(missing_ok=True)
        make_private(new)
        new.write_text(f"{mark}\n", encoding="ascii")
        new.replace(beside(path, MARK_SUFFIX))
    except OSError as error:
        log.warning("storage.mark_not_written", reason=error.strerror)


class WatchedFile:
    """The file of a database that is open: whether its path still leads to it.

    A file that was renamed over, or deleted, is known by its inode; one that was written over, such
    as by `cp`, by a mark in it that only goes up. SQLite itself notices neither.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._beside = [str(beside(path, suffix)) for suffix in BESIDE]
        self._inodes: tuple[tuple[int, int] | None, ...] | None = None
        self._seen: tuple[int, int] | None = None  # when it was last written, and its size
        self._mark: CopyMark | None = None  # that the file itself holds, or a later one
        self._keeps_marks = False
        self._copying = False
        self._reported: str | None = None

    def remember(self) -> None:
        """Take the files that are there for the ones that are open; the first time only."""
        if self._inodes is None:
            self._inodes = self._inodes_now()
            self._seen = self._seen_now()
            self._mark = mark_in_file(self._path)

    def log_bytes(self) -> int:
        """How large the write-ahead log is; 0 where there is none."""
        try:
            return beside(self._path, "-wal").stat().st_size
        except OSError:
            return 0

    @contextmanager
    def copying(self) -> Iterator[None]:
        """The block copies SQLite's log into the file, so it changes.

        Errors: StorageUnavailable, as `check`: a file that is not ours is left alone.
        """
        self.check()
        self._copying = True
        try:
            yield
        finally:
            self._copying = False
            self._seen = self._seen_now()

    def copied(self, mark: CopyMark) -> None:
        """All of the log is in the file, with this mark."""
        self._mark = mark
        if self._keeps_marks:
            keep_mark(self._path, mark)

    def keep_marks(self) -> None:
        """Keep each mark from now on next to the file as well."""
        self._keeps_marks = True

    def check(self) -> None:
        """Pass if the database's files are still the ones that were opened.

        Errors: StorageUnavailable if not, which is logged once.
        """
        reason = self._trouble()
        if reason not in (None, self._reported):
            log.critical("storage.file_replaced", reason=reason)
        self._reported = reason
        if reason is not None:
            raise StorageUnavailable(reason)

    def _trouble(self) -> str | None:
        if self._inodes is None:
            return None
        now = self._inodes_now()
        if now[0] != self._inodes[0]:
            return REPLACED
        if now != self._inodes:
            return LOG_REMOVED
        seen = self._seen_now()
        if self._copying or seen == self._seen:
            return None
        if not self._holds_our_mark():
            return OVERWRITTEN
        self._seen = seen  # another process copied its log into it
        return None

    def _holds_our_mark(self) -> bool:
        """Whether the file is at the same state as before; checked twice, as someone may be writing
        it.
        """
        if self._mark is None:
            return True
        for _ in range(LOOKS):
            if self._mark.is_in(mark_in_file(self._path)):
                return True
            time.sleep(LOOK_AGAIN_S)
        return False

    def _inodes_now(self) -> tuple[tuple[int, int] | None, ...]:
        return tuple([_inode(path) for path in self._beside])

    def _seen_now(self) -> tuple[int, int] | None:
        try:
            status = self._path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size


def _inode(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # with each commit, and a Path's takes twice as long
    except OSError:
        return None
    return status.st_dev, status.st_ino
