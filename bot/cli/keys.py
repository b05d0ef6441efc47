"""`python -m bot keys rotate`: encrypts everything again with the first key, while the bot runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bot.audit import BY_HOST, AuditAction
from bot.cli.lost_keys import how_to_make_one, missing_key_hint
from bot.cli.migrate import require_tables
from bot.cli.terminal import print_line
from bot.database_content import RotationReport
from bot.errors import ConfigError, Problem
from bot.settings import Settings
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault

WORDS: Final[Mapping[str, str]] = {
    "webhook secret": "secrets of webhooks",
    "former webhook secret": "secrets of webhooks that were replaced and are still accepted",
    "webhook id": "ids of webhooks that the bot made in Speckle",
    "linked account": "tokens of linked accounts",
    "request to link": "sign-ins that people have begun (minutes old)",
    "pending command": "commands that go on once their person has linked an account (minutes old)",
}
"""What hosts read of each kind of sealed value."""


async def rotate(settings: Settings, env_file: Path) -> bool:
    """Encrypt everything again and report it; whether old keys can be removed now.

    Errors: ConfigError if there are no keys, or no tables of today, StorageUnavailable, SealError.
    """
    keys = [key.get_secret_value() for key in settings.encryption_keys]
    if not keys:
        hint = await missing_key_hint(settings.database_url, how_to_make_one(env_file))
        raise ConfigError(Problem(env_file.name, "ENCRYPTION_KEYS is not set.", hint))
    await require_tables(settings)
    vault = Vault(keys)
    if await _runs_with_other_keys(settings, vault):
        print_line(
            "✘ A bot is running that was started with another first key. It could not decrypt what "
            "this key encrypts, so nothing was changed. Put the new key in front of the old ones "
            "in ENCRYPTION_KEYS, restart the bot (each process of it), then rotate."
        )
        return False
    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        rotated = await storage.sealed.rotate()
        await storage.write(lambda tx: tx.audit_log.note(AuditAction.KEYS_ROTATED), by=BY_HOST)
    return _report(rotated, len(keys))


async def _runs_with_other_keys(settings: Settings, vault: Vault) -> bool:
    """Whether a bot is at work that cannot open what is sealed with today's first key.

    Whether one is at work shows in who has the lead. It is given back at once.
    """
    async with Storage.open(settings.database_url, vault, utc_now) as storage:
        if await storage.lead():
            return False
        return not await storage.sealed.is_first_key()


def _report(report: Sequence[RotationReport], keys: int) -> bool:
    for kind in report:
        if kind.resealed or kind.already:
            counted = f"{kind.already} use the first key, {kind.resealed} of them from now on"
            print_line(f"✔ {WORDS[kind.name]}: {counted}.")
    shut = {WORDS[kind.name]: kind.unopenable for kind in report if kind.unopenable}
    left = {WORDS[kind.name]: kind.left for kind in report if kind.left}
    for name, count in shut.items():
        print_line(
            f"✘ {name}: no key can decrypt {count} of them; they stay as they are. If you still "
            "have the key that encrypted them, add it after the others and rotate again."
        )
    for name, count in left.items():
        print_line(
            f"✘ {name}: {count} changed during the rotation, possibly with an old key. Rotate "
            "again."
        )
    if shut or left:
        print_line("Keep the old keys until this command ends without a ✘.")
        return False
    if keys > 1:
        print_line(
            "The first of ENCRYPTION_KEYS decrypts everything. The other keys can be removed now; "
            "then restart the bot. Older copies of the database still need them."
        )
    else:
        print_line("The only key decrypts everything.")
    return True
