"""`python -m bot keys rotate`: what a host reads, and when it refuses."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet

from bot.__main__ import cli
from bot.errors import ConfigError
from bot.model import HookKind
from bot.storage import Storage
from bot.vault import Vault
from tests.stored import new_database

GUILD, MAREN = 71, 72
SERVER = "https://speckle.kestrel.example"
T = TypeVar("T")


def a_key() -> str:
    return Fernet.generate_key().decode()


class Host:
    """A host's folder with a database, and the command line over it."""

    def __init__(self, folder: Path) -> None:
        self.url = new_database(folder / "bot.db")
        self._empty = os.devnull

    def rotate(self, *keys: str) -> Result:
        files = ["--config", self._empty, "--env-file", self._empty]
        env = {"DATABASE_URL": self.url, "ENCRYPTION_KEYS": ",".join(keys)}
        return CliRunner(env=env).invoke(cli, [*files, "keys", "rotate"])

    def stored(self, work: Callable[[Storage], Awaitable[T]], *keys: str) -> T:
        """Do something with the storage, as the bot would with these keys."""

        async def opened() -> T:
            async with Storage.open(self.url, Vault(keys)) as storage:
                return await work(storage)

        return asyncio.run(opened())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


async def one_hook(storage: Storage) -> str:
    hook = await storage.write(
        lambda tx: tx.hooks.create(GUILD, SERVER, "a1b2c3d4e5", HookKind.OWN, MAREN, None)
    )
    return hook.secrets[0]


async def its_secret(storage: Storage) -> str:
    return (await storage.read(lambda tx: tx.hooks.of_guild(GUILD)))[0].secrets[0]


def test_all_is_sealed_anew_and_old_keys_may_go(host: Host) -> None:
    old, new = a_key(), a_key()
    secret = host.stored(one_hook, old)
    done = host.rotate(new, old)
    assert done.exit_code == 0
    assert "✔ secrets of webhooks: 1 use the first key, 1 of them from now on." in done.output
    assert "other keys can be removed" in done.output
    assert host.stored(its_secret, new) == secret
    for shown in (old, new, secret):
        assert shown not in done.output
    again = host.rotate(new)
    assert again.exit_code == 0
    assert "1 use the first key, 0 of them from now on" in again.output
    assert "The only key decrypts everything." in again.output


def test_what_no_key_opens_is_named_and_old_keys_are_to_stay(host: Host) -> None:
    host.stored(one_hook, a_key())
    done = host.rotate(a_key(), a_key())
    assert done.exit_code == 1
    assert "✘ secrets of webhooks: no key can decrypt 1 of them" in done.output
    assert "Keep the old keys" in done.output


def test_a_bot_that_runs_without_the_new_key_is_not_locked_out(host: Host) -> None:
    old, new = a_key(), a_key()
    secret = host.stored(one_hook, old)

    async def beside_a_bot(bot: Storage, bots_first_key: str) -> Result:
        assert await bot.lead()
        async with Storage.open(host.url, Vault([bots_first_key])) as started:
            await started.sealed.record_first_key()
        return await asyncio.to_thread(host.rotate, new, old)

    refused = host.stored(lambda bot: beside_a_bot(bot, old), old)
    assert refused.exit_code == 1
    assert "restart the bot" in refused.output
    assert host.stored(its_secret, old) == secret
    done = host.stored(lambda bot: beside_a_bot(bot, new), new, old)
    assert done.exit_code == 0
    assert host.stored(its_secret, new) == secret


def test_a_bot_that_is_stopped_may_have_had_any_keys(host: Host) -> None:
    old, new = a_key(), a_key()
    host.stored(one_hook, old)
    host.stored(lambda bot: bot.sealed.record_first_key(), old)
    assert host.rotate(new, old).exit_code == 0


def test_without_keys_or_tables_it_says_what_to_do(host: Host, tmp_path: Path) -> None:
    (tmp_path / "bot.db").unlink()
    with pytest.raises(ConfigError, match=r"run\.py key`"):
        raise host.rotate().exception or AssertionError
    with pytest.raises(ConfigError, match="There is no database yet"):
        raise host.rotate(a_key()).exception or AssertionError
