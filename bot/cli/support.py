"""`support`: a bundle for a report of a bug, with nothing in it that is anybody's."""

import io
import json
import platform
import secrets
import sqlite3
import sys
import zipfile
from collections.abc import Mapping
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel

from bot.cli.check import check_all
from bot.cli.check.report import CheckMark, CheckResult
from bot.cli.terminal import print_line, write_private
from bot.database_content import SMALLEST_ID
from bot.errors import BotError
from bot.program import version
from bot.settings import Settings
from bot.storage import database_file, support_report
from bot.timing import utc_now

# Lines of `check` whose words are this program's alone; others name addresses, bots or folders.
OPEN_LINES: Final = frozenset({"Content", "Backup", "Disk", "Restored", "Objects of bundles"})
WORDS: Final = frozenset({"log_level", "log_format"})
README: Final = """\
For a report of a bug in the Speckle bot for Discord. Please look at these files before you send
them: they are plain text.

versions.json   the versions of the bot, of Python and of its packages, the system
settings.json   numbers and switches; of all others only whether they are set
check.json      what `check` found; without the words of lines that name addresses or names
database.json   how many rows each table has, and in which state
failures.json   the last cards that Discord did not take at once: why, as words and codes
events.json     the last events: the steps of their ways, as words

Not in it: secrets, tokens, addresses, hosts, names of projects, models, channels and people, texts
and titles, ids. A word of eight letters and digits stands for an id: the same word for the same id
within this bundle, and another one in the next. The log is not in it: the bot writes it to standard
error, and its lines have ids and addresses. Add those that matter yourself, and read them before.
"""


async def write_bundle(settings: Settings, path: Path) -> None:
    """Write the bundle and print what is in it.

    Errors: DatabaseCopyError if the file is there already or cannot be written.
    """
    files = {
        "versions.json": _versions(),
        "settings.json": _settings(settings),
        "check.json": await _checked(settings),
        **await _database(settings),
    }
    _write(path, files)
    print_line(README)
    print_line(f"✔ {path} is written. Nobody has sent it anywhere: look at it, then attach it.")


def _write(path: Path, files: Mapping[str, Any]) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as bundle:
        bundle.writestr("README.txt", README)
        for name, content in files.items():
            bundle.writestr(name, json.dumps(content, indent=1))
    write_private(path, packed.getvalue())


def _versions() -> Mapping[str, Any]:
    installed = {one.metadata["Name"]: one.version for one in distributions()}
    return {
        "bot": version(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "sqlite": sqlite3.sqlite_version,
        "encoding": sys.getfilesystemencoding(),
        "packages": {name: installed[name] for name in sorted(set(installed) & PACKAGES)},
    }


# Packages by name, as others that are installed beside may say where somebody works.
PACKAGES: Final = frozenset(
    {
        "aiohttp",
        "aiolimiter",
        "alembic",
        "cachetools",
        "click",
        "cryptography",
        "discord.py",
        "duckdb",
        "Jinja2",
        "pillow",
        "prometheus_client",
        "psycopg",
        "pydantic",
        "pydantic-settings",
        "specklepy",
        "SQLAlchemy",
        "stamina",
        "structlog",
    }
)


def _settings(model: BaseModel) -> Mapping[str, Any]:
    """Each setting by its name: a number or a switch as it is, of all else whether it is set."""
    return {
        name: _shown(name, getattr(model, name), field.default)
        for name, field in type(model).model_fields.items()
    }


def _shown(name: str, value: Any, default: Any) -> Any:
    if isinstance(value, BaseModel):
        return _settings(value)
    if isinstance(value, bool) or value is None or name in WORDS:
        return value
    if isinstance(value, int | float) and abs(value) < SMALLEST_ID:
        return value
    if name == "database_url":
        return urlsplit(str(value)).scheme
    if isinstance(value, tuple):
        return f"{len(value)} of them"
    return "the default" if value == default else "set"


async def _checked(settings: Settings) -> Any:
    rows: list[CheckResult] = []
    try:
        await check_all(settings, rows.append)
    except BotError as error:  # such as a file of certificates that is not there
        rows.append(CheckResult(CheckMark.BAD, type(error).__name__, ""))
    return [
        {
            "line": row.what.split(" http")[0],
            "mark": row.mark.name,
            **({"text": row.text} if row.what in OPEN_LINES else {}),
        }
        for row in rows
    ]


async def _database(settings: Settings) -> Mapping[str, Any]:
    file = database_file(settings.database_url)
    try:
        found = await support_report(settings.database_url, secrets.token_bytes(16))
    except BotError as error:
        return {"database.json": {"cannot be read": type(error).__name__}}
    size = file.stat().st_size if file is not None else None
    head = {"made_at": f"{utc_now():%Y-%m-%d %H:%M}", "file_bytes": size}
    return {
        "database.json": {**head, **found.database},
        "failures.json": found.failures,
        "events.json": found.events,
    }
