"""What every command needs: the settings files, printing, running to an end, errors in words."""

import asyncio
import gc
import io
import os
import signal
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from bot.errors import (
    BotError,
    ConfigError,
    CopyProblem,
    DatabaseCopyError,
    SchemaTooNew,
    SchemaTooOld,
    SealError,
    StorageUnavailable,
    WorkerFailed,
)
from bot.new_file import write_new
from bot.program import PROGRAM

if TYPE_CHECKING:
    from bot.settings import Settings

FAILED: Final = 1
UNUSABLE_SETTINGS: Final = 2
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the settings are."""

    config: Path
    env: Path

    def load(self, *required: str) -> "Settings":
        """The settings; a line on standard error for each name in .env that looks misspelt.

        Errors: ConfigError.
        """
        from bot.settings import load_settings, misspelt_names

        try:
            settings = load_settings(self.config, self.env, os.environ, required)
        except ConfigError as error:
            raise self._with_hints_about_keys(error) from None
        for problem in misspelt_names(self.env):
            click.echo(f"Note: {problem}", err=True)
        return settings

    def _with_hints_about_keys(self, error: ConfigError) -> ConfigError:
        if not any(one.what.startswith("ENCRYPTION_KEYS ") for one in error.problems):
            return error
        from bot.cli.lost_keys import how_to_make_one, with_hints
        from bot.settings import named_database_url

        url = named_database_url(self.config, self.env, os.environ)
        return ConfigError(*asyncio.run(with_hints(error.problems, url, how_to_make_one(self.env))))


def exit_code(done: bool) -> int:
    """What a command ends with that says whether it was done."""
    return 0 if done else FAILED


def print_line(line: str) -> None:
    """Print a line; a reader that has gone (`check | head`) ends the printing, not the check."""
    try:
        click.echo(line)
    except BrokenPipeError:
        # As Python's documentation of SIGPIPE advises: nothing else may fail on it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_private(path: Path, content: bytes) -> None:
    """Write a new file that only this user can read. Errors: DatabaseCopyError."""
    try:
        write_new(path, content)
    except FileExistsError:
        raise DatabaseCopyError(CopyProblem.FILE_EXISTS, str(path)) from None
    except OSError as error:
        why = (error.strerror or type(error).__name__).lower()
        raise DatabaseCopyError(CopyProblem.NOT_WRITTEN, str(path.parent), why) from error


def replace_what_cannot_be_shown() -> None:
    """Let no line fail for a sign in it: a Windows console may lack ✔."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Let Python not look for garbage while much is loaded: nothing of that is, and it takes long.

    What was loaded is not looked at later either.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def until_stopped(work: Coroutine[None, None, T]) -> T | None:
    """Run to the end; a stop signal is a good end too, also one before the work handles them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        return None


def in_words(error: BotError) -> str:
    """What happened and what to do, for a person at a terminal."""
    match error:
        case ConfigError():
            return "\n".join(f"✘ {problem}" for problem in error.problems)
        case StorageUnavailable():
            return (
                f"✘ The database cannot be used: {error.reason}. Look at what DATABASE_URL names, "
                f"and at its disk or server. `{PROGRAM} check` says more."
            )
        case SchemaTooNew():
            return (
                f"✘ The database has version {error.found}, which only a newer release of the bot "
                "knows. Update the bot, or put the copy back that was made before the upgrade: "
                f"`{PROGRAM} restore FILE --replace`. Of an SQLite file it is beside it, as "
                "bot.db.version-…."
            )
        case SchemaTooOld():
            return (
                f"✘ The database has version {error.found}: its tables were made before the first "
                "release, and this release cannot bring them up to date. Start the bot's commit "
                f"{error.commit} with it once, then this release, or begin with a new database."
            )
        case DatabaseCopyError():
            from bot.cli.copy_texts import copy_error_text

            return f"✘ {copy_error_text(error)}"
        case WorkerFailed():
            return (
                f"✘ The bot stopped, because its part “{error.worker}” failed; the log above shows "
                "why. No event that it has accepted is lost: start the bot again. If it happens "
                "again, please report it with those log lines."
            )
        case SealError():
            return f"✘ Look at ENCRYPTION_KEYS: {error}."
        case _:
            return f"✘ {error}"
