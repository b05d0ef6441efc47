"""A key that is missing: the former one is asked for, and what a new one costs is said."""

import asyncio
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from sqlalchemy import insert, update

from bot.__main__ import cli
from bot.cli.terminal import in_words
from bot.db.tables import accounts, hooks
from bot.errors import ConfigError
from bot.model import HookKind
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from bot.vault import Vault
from tests.stored import new_database

GUILD, MAREN = 71, 72
SERVER = "https://speckle.kestrel.example"
TOKEN = "MTE4MDAwMDAwMDAwMDAwMDAwMQ.GabcDe.kJ8sL0pQ2rT4vW6xY8zA1bC3dE5fG7hI9jK1lM"


class Host:
    """A host's folder, and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.env = folder / ".env"
        self.config = folder / "config.toml"
        self.file = folder / "bot.db"
        self.config.write_text(f'database_url = "sqlite:///{self.file}"\n')

    def types(self, *command: str) -> str:
        done = CliRunner(env={"SPECKLE_SERVERS": "http://127.0.0.1:9"}).invoke(cli, command)
        error = done.exception
        return done.output + (in_words(error) if isinstance(error, ConfigError) else "")

    def fill(self, key: str) -> None:
        """What a bot leaves: a linked account, a webhook by hand, and one that it made."""

        sealed = Vault([key]).seal("a token", "of an account")
        account = {
            "discord_user_id": MAREN,
            "server_url": SERVER,
            "speckle_user_id": "9f8e7d6c5b",
            "tokens_sealed": sealed,
            "scopes": [],
            "linked_at": utc_now(),
        }

        def fill(tx: Transaction) -> None:
            tx.session.execute(insert(accounts).values(account))
            tx.hooks.create(GUILD, SERVER, "a1b2c3d4e5", HookKind.OWN, MAREN, None)
            made = tx.hooks.create(GUILD, SERVER, "f6a7b8c9d0", HookKind.OWN, MAREN, None)
            is_it = hooks.c.id == made.id
            tx.session.execute(update(hooks).where(is_it).values(webhook_sealed=sealed))

        async def filled() -> None:
            async with Storage.open(new_database(self.file), Vault([key])) as storage:
                await storage.write(fill)

        asyncio.run(filled())


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.chdir(tmp_path)
    return Host(tmp_path)


@pytest.mark.parametrize("command", [["run"], ["check"], ["keys", "rotate"], ["init"]])
@pytest.mark.parametrize("env", [None, f"DISCORD_TOKEN={TOKEN}\n"])
def test_a_former_key_is_asked_for_before_a_new_one_is_made(
    host: Host, command: list[str], env: str | None
) -> None:
    host.fill(Fernet.generate_key().decode())
    if env is not None:
        host.env.write_text(env)
    said = host.types(*command)
    if command == ["init"] and env is not None:
        assert ".env is there already" in said
        return
    assert str(host.file) in said
    assert said.index("Look for that key first: in a copy of .env") < said.index("run.py key`")
    assert "1 linked account: their people type /link again." in said
    assert f"{SERVER} {MAREN}." in said
    assert re.search(r"1 webhook that the bot made: .*Projects: f6a7b8c9d0\.", said)
    assert re.search(r"1 webhook made by hand: .*Projects: a1b2c3d4e5\.", said)
    if command == ["init"]:
        assert "\nENCRYPTION_KEYS=\n" in host.env.read_text()


def test_a_key_that_is_none_is_no_reason_for_a_new_one_either(host: Host) -> None:
    host.fill(Fernet.generate_key().decode())
    host.env.write_text("ENCRYPTION_KEYS=abc\n")
    assert "Look for that key first" in host.types("check")


def test_a_key_beside_others_that_is_none_is_to_be_corrected_or_taken_out(host: Host) -> None:
    key = Fernet.generate_key().decode()
    host.fill(key)
    host.env.write_text(f"ENCRYPTION_KEYS={key},abc\n")
    for command in ("run", "check"):
        said = host.types(command)
        assert "place 2 of 2" in said
        assert "take it out" in said
        assert "Look for that key first" not in said


def test_a_wrong_key_says_what_it_does_not_decrypt(host: Host) -> None:
    host.fill(Fernet.generate_key().decode())
    host.env.write_text(f"ENCRYPTION_KEYS={Fernet.generate_key().decode()}\n")
    said = host.types("check")
    assert "✘ Encryption keys: None of ENCRYPTION_KEYS can decrypt" in said
    assert "Look for that key first" in said
    assert "⚠ Without that key: 1 webhook made by hand" in said


def test_with_the_right_key_nothing_is_said(host: Host) -> None:
    key = Fernet.generate_key().decode()
    host.fill(key)
    host.env.write_text(f"ENCRYPTION_KEYS={key}\n")
    assert "Without that key" not in host.types("check")


@pytest.mark.parametrize("command", ["run", "check"])
def test_in_a_fresh_folder_init_is_named(host: Host, command: str) -> None:
    assert "Type `python3 run.py init`" in host.types(command)
    host.env.write_text(f"DISCORD_TOKEN={TOKEN}\n")
    assert "Make one with `python3 run.py key`" in host.types(command)


@pytest.mark.parametrize("command", ["run", "check"])
def test_in_a_container_whose_settings_are_in_the_environment_key_is_named(
    host: Host, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", TOKEN)
    assert "Make one with `python3 run.py key`" in host.types(command)


def test_a_database_that_is_away_may_hold_something(host: Host) -> None:
    host.config.write_text('database_url = "postgresql+psycopg://bot:hush@127.0.0.1:9/bot"\n')
    for command in ("run", "check", "init"):
        said = host.types(command)
        assert "If a bot has used it before" in said
        assert "hush" not in said
