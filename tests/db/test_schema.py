"""How the tables come to be, on both databases."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, select, text

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.indexes import INDEXES
from bot.db.schema import MIGRATIONS, REVISIONS, TOO_OLD, WANTED
from bot.db.tables import bodies, inbox, metadata, outbox
from bot.errors import ConfigError, SchemaTooNew, SchemaTooOld, StorageUnavailable
from bot.model import Consent, Entitlement
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, migrate, schema_version
from bot.vault import Vault

ROOT = Path(__file__).parents[2]
# What the migrations of commit 3c24090 made, filled, and written out by sqlite3's iterdump() and by
# `pg_dump --inserts`.
DUMPS = ROOT / "tests/fixtures/database"


async def run_sync(url: str, work: Callable[[Connection], Any]) -> Any:
    async with Database.open(parse_url(url)) as database:
        with database.writing() as connection:
            return work(connection.connection)


def differences(connection: Connection) -> list[Sequence[Any]]:
    """What sets the tables that are there apart from tables.py."""
    options = {"compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def test_the_tables_know_their_indexes() -> None:
    assert all(index in index.table.indexes for index in INDEXES if index.table is not None)


async def test_migrations_and_tables_agree(database_url: str) -> None:
    assert await run_sync(database_url, differences) == []


def counting(connection: Connection) -> set[str]:
    """The tables of a file that count ids on from those of rows that are gone."""
    made = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
    return set(connection.scalars(text(made)))


COUNTING = {t.name for t in metadata.tables.values() if t.dialect_kwargs["sqlite_autoincrement"]}


async def test_no_id_in_a_file_is_ever_given_twice(sqlite_url: str) -> None:
    """Lanes and traces name hooks by their ids, which outlive them."""
    assert await run_sync(sqlite_url, counting) == COUNTING


def test_the_listed_revisions_are_the_files_in_their_order() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    script = ScriptDirectory.from_config(config)
    walked = [revision.revision for revision in script.walk_revisions()]
    assert tuple(reversed(walked)) == REVISIONS


async def test_opening_makes_folder_and_tables(empty_url: str, vault: Vault) -> None:
    assert await schema_version(empty_url) == (None, WANTED)
    async with Storage.open(empty_url, vault) as storage:
        assert await schema_version(empty_url) == (WANTED, WANTED)
        await storage.write(lambda tx: tx.key_values.set("commands", "1"))
    async with Storage.open(empty_url, vault) as storage:
        assert await storage.read(lambda tx: tx.key_values.get("commands")) == "1"
    assert await schema_version(empty_url) == (WANTED, WANTED)


async def test_two_who_migrate_at_once_do_not_disturb_each_other(empty_url: str) -> None:
    await asyncio.gather(migrate(empty_url), migrate(empty_url))
    assert (await schema_version(empty_url))[0] == WANTED


@pytest.mark.parametrize(
    ("version", "error"),
    [("9999", SchemaTooNew), *((version, SchemaTooOld) for version in TOO_OLD)],
)
async def test_tables_of_a_newer_release_or_long_before_the_first_are_left_alone(
    version: str, error: type[SchemaTooNew | SchemaTooOld], database_url: str, vault: Vault
) -> None:
    def pretend(connection: Connection) -> None:
        stamp = text("UPDATE alembic_version SET version_num = :version")
        connection.execute(stamp, {"version": version})

    await run_sync(database_url, pretend)
    with pytest.raises(error) as caught:
        async with Storage.open(database_url, vault):
            pass
    assert version in str(caught.value)
    with pytest.raises(error):
        await migrate(database_url)
    assert (await schema_version(database_url))[0] == version


@pytest.mark.parametrize(
    "url", ["", "harbour", "mysql://a:swordfish@b/c", "sqlite+pysqlite:///a.db", "sqlite://"]
)
async def test_an_address_of_no_known_kind_is_refused_without_showing_it(
    url: str, vault: Vault
) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL") as caught:
        async with Storage.open(url, vault):
            pass
    assert "swordfish" not in str(caught.value)


async def test_sqlite_waits_for_the_disk_and_guards_references(sqlite_url: str) -> None:
    async with Database.open(parse_url(sqlite_url)) as database:
        with database.writing() as connection:
            found = [
                connection.scalar(text(f"PRAGMA {name}"))
                for name in (
                    "journal_mode",
                    "synchronous",
                    "foreign_keys",
                    "busy_timeout",
                    "auto_vacuum",
                    "page_size",
                )
            ]
    assert found == ["wal", 2, 1, 2500, 2, 8192]


def test_a_start_with_todays_tables_loads_neither_alembic_nor_psycopg(
    sqlite_url: str, key: str
) -> None:
    program = f"""
import asyncio, sys
from bot.vault import Vault
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


# ── databases from before the first release ──


@pytest.fixture(params=["0006", "0007"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file_before(version: str, tmp_path: Path) -> str:
    """An SQLite file from before the first release, with rows in each table."""
    path = tmp_path / "before.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript((DUMPS / f"sqlite-{version}.sql").read_text("utf-8"))
    return f"sqlite:///{path}"


@pytest.fixture
def url_before(kind: str, version: str, request: pytest.FixtureRequest) -> str:
    """A database from before the first release, with rows in each table."""
    if kind == "sqlite":
        return str(request.getfixturevalue("file_before"))
    url = str(request.getfixturevalue("empty_url"))
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute((DUMPS / f"postgresql-{version}.sql").read_bytes())
    return url


Contents = dict[str, list[dict[str, Any]]]


def contents(connection: Connection) -> Contents:
    """All rows of all tables."""
    found = MetaData()
    found.reflect(connection)
    return {
        one.name: [
            dict(row)
            for row in connection.execute(select(one).order_by(*one.primary_key)).mappings()
        ]
        for one in found.sorted_tables
    }


NEW_TABLES = {
    "audit_channels",
    "audit_log",
    "bodies",
    "discord_names",
    "pending_commands",
    "people",
    "project_names",
    "remembered_projects",
    "threads",
}
# What went to another place, or away.
LEFT_OUT = {
    "inbox": {"body", "attempts", "next_try_at"},
    "subscriptions": {"events", "models", "ignore_authors"},
}


async def test_each_row_from_before_is_there_but_for_requests_to_link(url_before: str) -> None:
    before = await run_sync(url_before, contents)
    assert all(before.values())
    await migrate(url_before)
    after = await run_sync(url_before, contents)
    assert set(after) == {*before, *NEW_TABLES}
    assert before.pop("alembic_version") != after["alembic_version"]
    assert before.pop("link_requests") != after["link_requests"] == []
    for name, rows in before.items():
        left_out = LEFT_OUT.get(name, set())
        kept = [{key: row[key] for key in row if key not in left_out} for row in rows]
        assert [{key: row[key] for key in kept[0]} for row in after[name]] == kept


async def test_the_storage_reads_what_is_kept_otherwise_than_before(
    url_before: str, vault: Vault
) -> None:
    async with Storage.open(url_before, vault) as storage:
        found = [
            await storage.read(lambda tx: tx.subscriptions.get(number)) for number in (1, 2, 3, 4)
        ]
    assert [one and one.options for one in found] == [
        SubscriptionOptions(("versions",), ("struct/**",), ("ci",)),
        SubscriptionOptions(("versions", "issues")),
        SubscriptionOptions((), (), ("Māren", "ci")),
        SubscriptionOptions((), ("façade", "!old/*")),
    ]
    owner = Consent(
        720_000_000_000_000_001,
        datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
        Entitlement.OWNER,
        SubscriptionOptions(("versions",), ("struct/**",), ("ci",)),
        "private",
        None,
        "Harbour Tower",
    )
    reader = replace(owner, by=720_000_000_000_000_002, entitlement=Entitlement.READER)
    assert [one and one.consent for one in found] == [owner, reader, None, None]

    def moved(connection: Connection) -> Any:
        delivered = select(bodies.c.inbox_id, bodies.c.body).order_by(bodies.c.inbox_id)
        sizes = select(inbox.c.id, inbox.c.body_bytes).order_by(inbox.c.id)
        pictures = select(outbox.c.id, outbox.c.picture_bytes).order_by(outbox.c.id)
        return [[tuple(row) for row in connection.execute(q)] for q in (delivered, sizes, pictures)]

    delivered, sizes, pictures = await run_sync(url_before, moved)
    of = '{"payload": {"streamId": "a1b2c3d4e5", "event": {"event_name": "commit_create"}}, '
    assert delivered == [(id_, f'{of}"of": "Brücke {id_}"}}'.encode()) for id_ in (1, 2, 3, 5)]
    assert sizes == [(1, 100), (2, 100), (3, 100), (4, None), (5, 100)]
    assert {len(body) for _, body in delivered} == {100}
    assert pictures == [(1, 61), (2, 40), (3, 0), (4, 0)]


async def test_no_id_from_before_is_given_again(url_before: str, vault: Vault) -> None:
    """The newest subscription of each dump, with id 5, was removed before it was made."""
    options = SubscriptionOptions()
    async with Storage.open(url_before, vault) as storage:
        _, newer = await storage.write(lambda tx: tx.subscriptions.upsert(3, 99, options, 2))
    assert newer.id == 6


async def test_tables_from_before_become_todays(url_before: str) -> None:
    await migrate(url_before)
    found = await run_sync(url_before, differences)
    assert [one for one in found if not _is_unread(one)] == []


def _is_unread(difference: Sequence[Any]) -> bool:
    """SQLAlchemy does not read what a column that was added later does on SQLite ON DELETE."""
    kind, constraint = difference[0], difference[1]
    if kind not in ("add_fk", "remove_fk"):
        return False
    return (constraint.table.name, constraint.column_keys) == ("inbox", ["subscription_id"])


async def test_a_file_from_before_counts_ids_and_follows_references_as_todays(
    file_before: str,
) -> None:
    def deleting(connection: Connection) -> set[tuple[str, str]]:
        found = connection.execute(text("PRAGMA foreign_key_list(inbox)")).mappings()
        return {(row["from"], row["on_delete"]) for row in found}

    await migrate(file_before)
    assert await run_sync(file_before, counting) == COUNTING
    wanted = {("subscription_id", "CASCADE"), ("hook_id", "CASCADE")}
    assert await run_sync(file_before, deleting) == wanted


async def test_two_who_migrate_a_database_from_before_at_once_do_it_once(url_before: str) -> None:
    await asyncio.gather(migrate(url_before), migrate(url_before))
    assert (await schema_version(url_before))[0] == WANTED


async def test_a_file_whose_rows_refer_to_nothing_stays_as_it_was(file_before: str) -> None:
    with closing(sqlite3.connect(file_before.removeprefix("sqlite:///"))) as database:
        database.execute("INSERT INTO history_taken VALUES (99, 'call')")
        database.commit()
    before = await run_sync(file_before, contents)
    with pytest.raises(StorageUnavailable, match="1 of its rows refer to rows") as caught:
        await migrate(file_before)
    assert caught.value.lasting
    assert await run_sync(file_before, contents) == before
