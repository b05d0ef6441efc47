"""Files that only this user can read, and that are there whole or not at all."""

import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
LEFT_OVER_S: Final = 3600.0  # a file that is being written changes all the time


def write_new(path: Path, content: bytes) -> None:
    """Write a new file. Errors: FileExistsError, if the name is taken; OSError."""
    with new_file(path) as new:
        new.write_bytes(content)


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[Path]:
    """An empty file that gets this name, whole and synced, once the block has ended.

    Errors: FileExistsError, if the name is taken and not to be replaced; OSError.
    """
    if os.path.lexists(path) and not replace:
        raise FileExistsError(path)
    with scratch_file(path) as new:
        yield new
        sync(new)
        _rename(new, path, replace=replace)
        sync(path.absolute().parent)


@contextmanager
def scratch_file(path: Path) -> Iterator[Path]:
    """An empty file with a hidden name in the folder of `path`, deleted at the end with whatever
    was written beside it.

    One that a kill has left is deleted by a later one. Errors: OSError.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}.new")
    _delete_left_over(path)
    make_private(new)
    try:
        yield new
    finally:
        for one in path.parent.glob(f"{_literally(new.name)}*"):
            with suppress(OSError):
                one.unlink(missing_ok=True)


def make_private(path: Path) -> None:
    """Make an empty file that only this user can read, whatever the umask, if there is none."""
    try:
        # One that is there is not opened: closing it would take SQLite's locks off it.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE))
    except FileExistsError:
        return
    path.chmod(PRIVATE)


def begins_with(path: Path, beginning: bytes) -> bool:
    """Whether a plain file, and no link to one, begins like this; with b"", whether it is empty.

    Errors: OSError.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    with path.open("rb") as file:
        return file.read(len(beginning) or 1) == beginning


def sync(path: Path) -> None:
    """Have the disk write a file, or what a folder lists. Windows cannot do the latter."""
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _rename(new: Path, path: Path, *, replace: bool) -> None:
    if replace:
        new.replace(path)
        return
    try:
        path.hardlink_to(new)  # unlike renaming, refused where a file came up meanwhile
    except FileExistsError:
        raise
    except OSError:  # a disk that knows no such links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        new.rename(path)


def _delete_left_over(path: Path) -> None:
    for left in path.parent.glob(f".{_literally(path.name)}.*.new*"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if left.stat().st_mtime < time.time() - LEFT_OVER_S:
                left.unlink()


def _literally(name: str) -> str:
    """A name as a pattern that fits it alone."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in name)
