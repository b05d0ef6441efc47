"""The database, and whether the keys open what is sealed in it."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet

from bot.amounts import GB, size_text
from bot.cards.text import counted
from bot.cli.backup import content_text
from bot.cli.check.http_probe import TIMEOUT_S
from bot.cli.check.report import CheckMark, CheckResult
from bot.cli.lost_keys import A_NEW_ONE, IF_IT_WAS_USED, LOOK_FOR_IT, cost_lines, database_name
from bot.database_content import DatabaseContent, Unopenable
from bot.errors import ConfigError, SchemaTooNew, SchemaTooOld, StorageUnavailable
from bot.problem_texts import unopenable_text
from bot.program import PROGRAM
from bot.settings import SECRET_HINTS, Settings
from bot.storage import (
    Storage,
    database_file,
    needs_migration,
    schema_version,
    unopenable_with,
)
from bot.timing import utc_now
from bot.vault import Vault


async def check_database(
    settings: Settings, make_a_key: str = SECRET_HINTS["encryption_keys"]
) -> Sequence[CheckResult]:
    """Whether it answers, has the right tables, can be written, and opens with the keys.

    `make_a_key` is what to do where there is no key yet, and nothing that needs one.
    """
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _database_rows(settings, make_a_key)
    except ConfigError as error:
        text = " ".join(str(problem) for problem in error.problems)
    except SchemaTooNew as error:
        text = (
            f"version {error.found} is from a newer release of the bot. Update the bot, or put the "
            f"copy back that was made before the upgrade: `{PROGRAM} restore FILE --replace`."
        )
    except SchemaTooOld as error:
        text = (
            f"version {error.found} was made before the first release. Start the bot's commit "
            f"{error.commit} with it once, or begin with a new database."
        )
    except StorageUnavailable as error:
        text = f"{error.reason}. {_where_to_look(settings.database_url)}"
    except TimeoutError:
        text = f"no answer within {TIMEOUT_S:.0f} s. Look at DATABASE_URL and the network."
    return [CheckResult(CheckMark.BAD, "Database", text), _keys_unknown(settings)]


async def _database_rows(settings: Settings, make_a_key: str) -> Sequence[CheckResult]:
    kind = "PostgreSQL" if database_file(settings.database_url) is None else "SQLite"
    found, wanted = await schema_version(settings.database_url)
    if found is None and (where := _closed_folder(settings.database_url)):
        text = f"the folder {where} cannot be written. Let the bot's user write there."
        return [CheckResult(CheckMark.BAD, "Database", text), _keys_skipped(settings, make_a_key)]
    keys = [key.get_secret_value() for key in settings.encryption_keys]
    lost = await unopenable_with(settings.database_url, keys)
    if needs_migration(found):
        state = f"version {found}" if found else "no tables yet"
        text = f"{kind}, {state}. The bot brings it to version {wanted} when it starts."
        untried = "not tried before the tables are there." if found is None else NOT_TRIED
        row = CheckResult(CheckMark.GOOD, "Database", text)
        return [row, _keys_skipped(settings, make_a_key, untried, lost), *_cost_rows(lost)]
    # A key of the moment where none is set: nothing is opened with it.
    vault = Vault(keys or [Fernet.generate_key().decode()])
    async with Storage.open(settings.database_url, vault) as storage:  # writes once, to try
        text = f"{kind}, can be written, version {found} as wanted."
        content = await storage.content()
        rows = [
            CheckResult(CheckMark.GOOD, "Database", text),
            CheckResult(CheckMark.GOOD, "Content", f"{content_text(content)}."),
            _backup_row(
                content,
                utc_now(),
                settings.operator.backup_days,
                is_sqlite=storage.is_sqlite,
            ),
            *_disk_rows(await storage.free_disk_bytes(), settings.operator.free_disk_gb * GB),
            *await _copy_rows(storage),
            *await _webhook_rows(settings, storage),
        ]
        if not keys:
            return [*rows, _keys_skipped(settings, make_a_key, lost=lost), *_cost_rows(lost)]
        return [*rows, _keys_row(await storage.sealed.unopenable()), *_cost_rows(lost)]


def _disk_rows(free_bytes: int | None, margin_bytes: float) -> Sequence[CheckResult]:
    """That the disk has less room than the operator is warned of; of a PostgreSQL it is unknown."""
    if free_bytes is None or free_bytes >= margin_bytes:
        return []
    text = (
        f"{size_text(free_bytes)} are left where the database is, less than the "
        f"{size_text(margin_bytes)} of free_disk_gb in [operator] of config.toml. Free some room, "
        "or shorten [retention] there."
    )
    return [CheckResult(CheckMark.WARNED, "Disk", text)]


async def _webhook_rows(settings: Settings, storage: Storage) -> list[CheckResult]:
    """That webhooks were made for an address that is not set any more."""
    if settings.public_url is not None:
        return []
    made = len(await storage.read(lambda tx: tx.hooks.with_webhooks()))
    if not made:
        return []
    text = (
        f"PUBLIC_URL is not set any more, and {counted(made, 'webhook')} that the bot created "
        f"{'leads' if made == 1 else 'lead'} to what it was: what Speckle sends arrives only if "
        "that address still leads here, and the bot repairs nothing. Set PUBLIC_URL again. Or use "
        "/unsubscribe in all channels that follow such a project, then /subscribe: then it is live "
        "through an account, where `who` in [live] of config.toml allows that."
    )
    return [CheckResult(CheckMark.WARNED, "Webhooks", text)]


def _backup_row(
    content: DatabaseContent, now: datetime, most_days: int, *, is_sqlite: bool
) -> CheckResult:
    """When `backup` last worked; of a PostgreSQL its server may make backups, unseen here.

    `most_days`: older ones are warned of; 0: none is, as backups are made in another way.
    """
    at = content.last_backup_at
    if at is None and not most_days:
        text = "none was made by the bot, and backup_days in [operator] of config.toml is 0."
        return CheckResult(CheckMark.SKIPPED, "Backup", text)
    advice = f"`{PROGRAM} backup FILE` makes one while the bot runs; have it done each day."
    if not is_sqlite:
        advice = f"If the database server's own backups are in use, all is well; else {advice}"
    if at is None:
        return CheckResult(CheckMark.WARNED, "Backup", f"none was made yet. {advice}")
    text = f"the last one was made {at:%Y-%m-%d %H:%M} (UTC)"
    if most_days and now - at > timedelta(days=most_days):
        days = counted((now - at).days, "day")
        return CheckResult(CheckMark.WARNED, "Backup", f"{text}, {days} ago. {advice}")
    return CheckResult(CheckMark.GOOD, "Backup", f"{text}.")


async def _copy_rows(storage: Storage) -> Sequence[CheckResult]:
    """Whether it is a restored copy, and whose accounts are not used because it was one."""
    if await storage.restored_copy.is_restored():
        text = (
            "it is a restored or older copy, or came here without the .mark file beside it. From "
            "its next start on, the bot uses no linked account until its person confirms it with "
            "/account."
        )
        return [CheckResult(CheckMark.WARNED, "Restored", text)]
    count = await storage.read(lambda tx: tx.accounts.unconfirmed())
    if not count:
        return []
    text = (
        f"{counted(count, 'linked account')} not used, as the database was restored from a copy. "
        "Ask its person to confirm it with /account in Discord."
    )
    return [CheckResult(CheckMark.WARNED, "Restored", text)]


def _where_to_look(database_url: str) -> str:
    if database_file(database_url) is not None:
        return "Look at the file that DATABASE_URL names, and at its folder and disk."
    return "Look at DATABASE_URL, and whether the database runs."


def _closed_folder(database_url: str) -> Path | None:
    """The folder in which an SQLite file would be created, if nothing can be created there."""
    file = database_file(database_url)
    if file is None:
        return None
    above = next(folder for folder in file.absolute().parents if folder.exists())
    return None if os.access(above, os.W_OK | os.X_OK) else above


def _keys_row(unopenable: Mapping[str, int]) -> CheckResult:
    if not unopenable:
        return CheckResult(
            CheckMark.GOOD, "Encryption keys", "decrypt everything that is encrypted."
        )
    text = f"{unopenable_text(unopenable)}. {LOOK_FOR_IT}"
    return CheckResult(CheckMark.BAD, "Encryption keys", text)


def _cost_rows(lost: Unopenable) -> Sequence[CheckResult]:
    """What has to be done again without the key; names and ids are in no other row of the keys."""
    return [CheckResult(CheckMark.WARNED, "Without that key", line) for line in cost_lines(lost)]


NOTHING_LOST: Final = Unopenable()
NOT_TRIED = "not tried, as the tables cannot be read."


def _keys_unknown(settings: Settings) -> CheckResult:
    """While the database cannot be looked at."""
    if settings.encryption_keys:
        return CheckResult(CheckMark.SKIPPED, "Encryption keys", NOT_TRIED)
    text = f"ENCRYPTION_KEYS is not set. {IF_IT_WAS_USED}"
    return CheckResult(CheckMark.BAD, "Encryption keys", text)


def _keys_skipped(
    settings: Settings,
    make_a_key: str,
    untried: str = NOT_TRIED,
    lost: Unopenable = NOTHING_LOST,
) -> CheckResult:
    if settings.encryption_keys:
        if lost:
            text = f"they do not decrypt all that is stored. {LOOK_FOR_IT}"
            return CheckResult(CheckMark.BAD, "Encryption keys", text)
        return CheckResult(CheckMark.SKIPPED, "Encryption keys", untried)
    hint = make_a_key
    if lost:
        where = database_name(settings.database_url)
        holds = f"{where[:1].upper()}{where[1:]} holds what an earlier key encrypted."
        hint = f"{holds} {LOOK_FOR_IT} {A_NEW_ONE}"
    return CheckResult(CheckMark.BAD, "Encryption keys", f"ENCRYPTION_KEYS is not set. {hint}")
