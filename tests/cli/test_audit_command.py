"""`audit list`: who changed what, for the person who runs the bot."""

import asyncio
import json
import os
from functools import partial
from pathlib import Path

from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from bot.__main__ import cli
from bot.audit import BY_HOST, AuditAction, by_person
from bot.lookups import DiscordName
from bot.model import HookKind
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.vault import Vault
from tests.stored import new_database

SERVER = "https://speckle.kestrel.example"


def subscribe(guild_id: int, tx: Transaction) -> None:
    hook = tx.hooks.create(guild_id, SERVER, "a1b2c3d4e5", HookKind.OWN, 72, None)
    tx.subscriptions.upsert(hook.id, 73, SubscriptionOptions(models=("struct\x1b[31m/**",)), 72)


async def filled(url: str) -> None:
    async with Storage.open(url, Vault([Fernet.generate_key().decode()])) as storage:
        await storage.write(partial(subscribe, 71), by=by_person(72))
        await storage.write(partial(subscribe, 81), by=by_person(72))
        await storage.write(lambda tx: tx.discord_names.put([DiscordName(73, 71, "structure")]))
        await storage.write(lambda tx: tx.audit_log.note(AuditAction.KEYS_ROTATED), by=BY_HOST)


def listed(url: str, *options: str) -> Result:
    files = ["--config", os.devnull, "--env-file", os.devnull]
    return CliRunner(env={"DATABASE_URL": url}).invoke(cli, [*files, "audit", "list", *options])


def test_the_host_reads_who_changed_what_in_all_servers(tmp_path: Path) -> None:
    url = new_database(tmp_path / "bot.db")
    asyncio.run(filled(url))
    lines = listed(url).output.splitlines()
    assert len(lines) == 3
    assert lines[0].endswith(
        "The person who runs the bot encrypted all secrets again with the first key."
    )
    assert "server 81: Discord user 72 subscribed channel 73 #structure (https://" in lines[1]
    assert "\x1b" not in "".join(lines)
    one = json.loads(listed(url, "--guild", "71", "--since", "1h", "--json").output)
    assert [(row["action"], row["actor"], row["actor_id"]) for row in one] == [
        ("subscribed", "person", 72)
    ]
    nothing = listed(url, "--person", "5")
    assert (nothing.exit_code, nothing.output) == (1, "Nothing was changed that fits.\n")
