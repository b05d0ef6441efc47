"""How the tables come to be, on both databases."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, insert, text

from bot.db.engine import Database, make_folder, parse_url
from bot.db.schema import MIGRATIONS, REVISIONS, _one_migrator
from bot.db.tables import guilds, hooks, metadata, subscriptions
from bot.db.vault import Vault
from bot.errors import ConfigError, SchemaTooNew
from bot.storage import Storage, migrate, schema_version

ROOT = Path(__file__).parents[2]


async def run_sync(url: str, work: Callable[[Connection], Any]) -> Any:
    async with Database.open(parse_url(url)) as database, database.writing() as connection:
        return await connection.run_sync(work)


async def test_migrations_and_tables_agree(database_url: str) -> None:
    def differences(connection: Connection) -> object:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return compare_metadata(context, metadata)

    assert await run_sync(database_url, differences) == []


def test_the_listed_revisions_are_the_files_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    walked = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS


async def test_opening_makes_folder_and_tables(empty_url: str, vault: Vault) -> None:
    assert await schema_version(empty_url) == (None, REVISIONS[-1])
    async with Storage.open(empty_url, vault) as storage:
        assert await storage.schema_version() == (REVISIONS[-1], REVISIONS[-1])
        await storage.facts.set("commands", "1")
    async with Storage.open(empty_url, vault) as storage:
        assert await storage.facts.get("commands") == "1"
    assert await schema_version(empty_url) == (REVISIONS[-1], REVISIONS[-1])


async def test_what_an_older_release_kept_survives(empty_url: str, vault: Vault) -> None:
    await asyncio.to_thread(upgrade_to, empty_url, "0003")
    guild = {"guild_id": 1, "joined_at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC)}
    by = {"created_by": 2, "created_at": guild["joined_at"]}
    hook = by | {"guild_id": 1, "server_url": "https://s.example", "project_id": "a1b2c3d4e5"}
    hook |= {"kind": "shared", "state": "live"}
    channel = by | {"hook_id": 1, "guild_id": 1, "channel_id": 3, "state": "active"}
    channel |= {"events": [], "models": [], "ignore_authors": [], "updated_at": by["created_at"]}

    def fill(connection: Connection) -> None:
        for table, row in ((guilds, guild), (hooks, hook), (subscriptions, channel)):
            connection.execute(insert(table), row)

    await run_sync(empty_url, fill)
    async with Storage.open(empty_url, vault) as storage:
        (subscription,) = await storage.subscriptions.of_channel(3)
        assert (await storage.hooks.get(subscription.hook_id)) is not None


def upgrade_to(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    if url.startswith("sqlite"):
        make_folder(parse_url(url))
    with _one_migrator(parse_url(url)) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


async def test_two_who_migrate_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    await asyncio.gather(migrate(empty_url), migrate(empty_url))
    assert (await schema_version(empty_url))[0] == REVISIONS[-1]


async def test_tables_of_a_newer_release_are_left_alone(database_url: str, vault: Vault) -> None:
    def pretend(connection: Connection) -> None:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    await run_sync(database_url, pretend)
    with pytest.raises(SchemaTooNew) as caught:
        async with Storage.open(database_url, vault):
            pass
    assert caught.value.found == "9999"
    with pytest.raises(SchemaTooNew):
        await migrate(database_url)


@pytest.mark.parametrize(
    "url", ["", "harbour", "mysql://a:swordfish@b/c", "sqlite:///a.db", "sqlite+aiosqlite://"]
)
async def test_an_address_of_no_known_kind_is_refused_without_showing_it(
    url: str, vault: Vault
) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        async with Storage.open(url, vault):
            pass
    assert "swordfish" not in str(caught.value)


async def test_sqlite_waits_for_the_disk_and_guards_references(sqlite_url: str) -> None:
    async with Database.open(parse_url(sqlite_url)) as database, database.writing() as connection:
        found = [
            await connection.scalar(text(f"PRAGMA {name}"))
            for name in (
                "journal_mode",
                "synchronous",
                "foreign_keys",
                "busy_timeout",
                "auto_vacuum",
                "page_size",
            )
        ]
    assert found == ["wal", 2, 1, 5000, 2, 8192]


def test_a_start_with_todays_tables_loads_neither_alembic_nor_psycopg(
    sqlite_url: str, key: str
) -> None:
    program = f"""
import asyncio, sys
from bot.db.vault import Vault
from bot.storage import Storage
async def main():
    async with Storage.open({sqlite_url!r}, Vault([{key!r}])):
        pass
asyncio.run(main())
print(sorted({{"alembic", "psycopg", "mako"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
