"""Who else on this computer may read the tokens and the database, and whether the bot may."""

import os
import re
import shlex
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from bot.cli.check.report import CheckMark, CheckResult
from bot.errors import ConfigError
from bot.settings import Settings
from bot.storage import database_file

# What the bot opens for writing: SQLite's own files, the leader's lock, and the mark of a copy.
WRITTEN = ("", "-wal", "-shm", ".lock", ".mark")
OWNER_ALONE = stat.S_IRUSR | stat.S_IWUSR
# In an address, such as DATABASE_URL; the example in a comment is no secret.
PASSWORD = re.compile(r"^[^#\n]*://[^/\s:@]*:[^/\s@]+@", re.MULTILINE)


def check_files(settings: Settings, files: Iterable[Path]) -> Sequence[CheckResult]:
    """Which files with secrets others may read, and which of the database this user cannot write.

    Nothing is said where this user alone can read them, and write those of the database.
    """
    if sys.platform == "win32":
        return []
    return [*_foreign(settings.database_url), *_readable_by_others(settings, files)]


def _foreign(database_url: str) -> Sequence[CheckResult]:
    """The database's files that belong to somebody else, as after `restore` by another user."""
    main = _database_file(database_url)
    if main is None:
        return []
    written = [main.with_name(f"{main.name}{suffix}") for suffix in WRITTEN]
    closed = [one for one in written if one.exists() and not os.access(one, os.R_OK | os.W_OK)]
    if not closed:
        return []
    text = (
        "this user cannot write files of the database, perhaps as a command was typed by another "
        "one. If the bot runs as this user, type: "
        f"sudo chown {os.geteuid()} {shlex.join(map(str, closed))}"
    )
    return [CheckResult(CheckMark.BAD, "Files", text)]


def _readable_by_others(settings: Settings, files: Iterable[Path]) -> Sequence[CheckResult]:
    secret = [*filter(_holds_secrets, files), *_database_files(settings.database_url)]
    wide = [path for path in secret if _is_wide(path)]
    if not wide:
        return []
    names = shlex.join(map(str, wide))
    text = f"other users of this computer can read secrets. Type: chmod 600 {names}"
    return [CheckResult(CheckMark.WARNED, "Files", text)]


def _holds_secrets(path: Path) -> bool:
    """Whether a file of settings does; config.toml may hold a password in an address at most."""
    if not path.is_file():
        return False
    return path.suffix != ".toml" or bool(PASSWORD.search(path.read_text("utf-8", "replace")))


def _database_files(database_url: str) -> Iterable[Path]:
    """The database's file, and copies and logs next to it under its name."""
    path = _database_file(database_url)
    return sorted(path.parent.glob(f"{path.name}*")) if path is not None else []


def _database_file(database_url: str) -> Path | None:
    try:
        return database_file(database_url)
    except ConfigError:  # it has a line of its own
        return None


def _is_wide(path: Path) -> bool:
    mode = path.stat().st_mode
    return stat.S_ISREG(mode) and bool(stat.S_IMODE(mode) & ~OWNER_ALONE)
