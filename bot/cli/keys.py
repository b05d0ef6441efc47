"""`python -m bot keys rotate`: everything sealed anew under the first key, while the bot runs."""

from collections.abc import Callable, Sequence
from typing import Final

from bot.errors import ConfigError, Problem
from bot.model import RotationReport
from bot.settings import SECRET_HINTS, Settings
from bot.storage import FIRST_KEY, Storage, Vault, needs_migration, schema_version, utc_now

RUN: Final = "python3 run.py"

Say = Callable[[str], None]


async def rotate(settings: Settings, say: Say) -> bool:
    """Seal all again and say what was done; whether old keys may be taken out now.

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
            "✘ A bot runs that was started with another first key. It could not open what this one "
            "seals, so nothing was changed. Put the new key in front of the old ones in "
            "ENCRYPTION_KEYS, restart the bot (each process of it), then rotate."
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
        return await storage.read(lambda tx: tx.key_values.get(FIRST_KEY)) != vault.first_key_id


def _report(report: Sequence[RotationReport], keys: int, say: Say) -> bool:
    for kind in report:
        if kind.resealed or kind.already:
            told = f"{kind.resealed} sealed anew, {kind.already} under the first key now"
            say(f"✔ {kind.name}: {told}.")
    shut = {kind.name: kind.unopenable for kind in report if kind.unopenable}
    left = {kind.name: kind.left for kind in report if kind.left}
    for name, count in shut.items():
        say(
            f"✘ {name}: {count} that none of the keys opens, left as they are. If you still have "
            "the key that sealed them, put it behind the others and rotate again."
        )
    for name, count in left.items():
        say(f"✘ {name}: {count} were changed meanwhile, with an old key perhaps. Rotate again.")
    if shut or left:
        say("Keep the old keys until this ends without a ✘.")
        return False
    if keys > 1:
        say(
            "Everything opens with the first of ENCRYPTION_KEYS. The other keys may be taken out "
            "now; then restart the bot. Copies of the database from before still need them."
        )
    else:
        say("Everything opens with the one key that there is.")
    return True
