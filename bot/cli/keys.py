"""`python -m bot keys rotate`: encrypts everything again with the first key, while the bot runs."""

from collections.abc import Callable, Sequence
from typing import Final

from bot.errors import ConfigError, Problem
from bot.model import RotationReport
from bot.settings import SECRET_HINTS, Settings
from bot.storage import Storage, needs_migration, schema_version
from bot.timing import utc_now
from bot.vault import Vault

RUN: Final = "python3 run.py"

Say = Callable[[str], None]


async def rotate(settings: Settings, say: Say) -> bool:
    """Encrypt everything again and report it; whether old keys can be removed now.

    Errors: ConfigError if there are no keys, or no tables of today, StorageUnavailable, SealError.
    """
    keys = [key.get_secret_value() for key in settings.encryption_keys]
    if not keys:
        hint = SECRET_HINTS["encryption_keys"]
        raise ConfigError(Problem("ENCRYPTION_KEYS", "It is not set.", hint))
    found, _ = await schema_version(settings.database_url)
    if needs_migration(found):
        what = f"The database has version {found}." if found else "There is no database yet."
        hint = f"Start the bot once, or `{RUN} migrate`; look at DATABASE_URL too."
        raise ConfigError(Problem("DATABASE_URL", what, hint))
    vault = Vault(keys)
    if await _runs_with_other_keys(settings, vault):
        say(
            "✘ A bot is running that was started with another first key. It could not decrypt what "
            "this key encrypts, so nothing was changed. Put the new key in front of the old ones "
            "in ENCRYPTION_KEYS, restart the bot (each process of it), then rotate."
        )
        return False
    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        rotated = await storage.sealed.rotate()
    return _report(rotated, len(keys), say)


async def _runs_with_other_keys(settings: Settings, vault: Vault) -> bool:
    """Whether a bot is at work that cannot open what is sealed with today's first key.

    Whether one is at work shows in who has the lead. It is given back at once.
    """
    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        if await storage.lead():
            return False
        return not await storage.sealed.is_first_key()


def _report(report: Sequence[RotationReport], keys: int, say: Say) -> bool:
    for kind in report:
        if kind.resealed or kind.already:
            told = f"{kind.resealed} encrypted again, {kind.already} use the first key already"
            say(f"✔ {kind.name}: {told}.")
    shut = {kind.name: kind.unopenable for kind in report if kind.unopenable}
    left = {kind.name: kind.left for kind in report if kind.left}
    for name, count in shut.items():
        say(
            f"✘ {name}: no key can decrypt {count} of them; they stay as they are. If you still "
            "have the key that encrypted them, add it after the others and rotate again."
        )
    for name, count in left.items():
        say(
            f"✘ {name}: {count} changed during the rotation, possibly with an old key. Rotate "
            "again."
        )
    if shut or left:
        say("Keep the old keys until this command ends without a ✘.")
        return False
    if keys > 1:
        say(
            "The first of ENCRYPTION_KEYS decrypts everything. The other keys can be removed now; "
            "then restart the bot. Older copies of the database still need them."
        )
    else:
        say("The only key decrypts everything.")
    return True
