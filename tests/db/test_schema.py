"""How the tables come to be, on both databases."""

import asyncio
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    Connection,
    LargeBinary,
    TableClause,
    column,
    delete,
    func,
    insert,
    select,
    table,
    text,
)

from bot.db.engine import Database, parse_url
from bot.db.schema import MIGRATIONS, REVISIONS, _one_migrator
from bot.db.sqlite_file import make_place
from bot.db.tables import bodies, hooks, inbox, metadata, subscriptions
from bot.db.vault import Vault
from bot.errors import ConfigError, SchemaTooNew
from bot.model import Consent, Entitlement
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, migrate, schema_version

ROOT = Path(__file__).parents[2]


async def run_sync(url: str, work: Callable[[Connection], Any]) -> Any:
    async with Database.open(parse_url(url)) as database:
        with database.writing() as connection:
            return work(connection.connection)


async def test_migrations_and_tables_agree(database_url: str) -> None:
    def differences(connection: Connection) -> object:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return [one for one in compare_metadata(context, metadata) if not _is_unread(one)]

    assert await run_sync(database_url, differences) == []


def _is_unread(difference: Sequence[Any]) -> bool:
    """SQLAlchemy does not read what a column that was added later does on SQLite ON DELETE."""
    kind, constraint = difference[0], difference[1]
    if kind not in ("add_fk", "remove_fk"):
        return False
    return (constraint.table.name, constraint.column_keys) == ("inbox", ["subscription_id"])


async def test_no_id_in_a_file_is_ever_given_twice(sqlite_url: str) -> None:
    """Lanes and traces name hooks by their ids, which outlive them."""
    counting = {
        t.name for t in metadata.tables.values() if t.dialect_kwargs["sqlite_autoincrement"]
    }

    def found(connection: Connection) -> set[str]:
        made = "SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'"
        return set(connection.scalars(text(made)))

    assert await run_sync(sqlite_url, found) == counting


async def test_an_event_for_one_subscription_goes_with_it_in_an_older_file_too(
    sqlite_url: str,
) -> None:
    def deleting(connection: Connection) -> set[tuple[str, str]]:
        found = connection.execute(text("PRAGMA foreign_key_list(inbox)")).mappings()
        return {(row["from"], row["on_delete"]) for row in found}

    wanted = {("subscription_id", "CASCADE"), ("hook_id", "CASCADE")}
    assert await run_sync(sqlite_url, deleting) == wanted


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
        await storage.write(lambda tx: tx.key_values.set("commands", "1"))
    async with Storage.open(empty_url, vault) as storage:
        assert await storage.read(lambda tx: tx.key_values.get("commands")) == "1"
    assert await schema_version(empty_url) == (REVISIONS[-1], REVISIONS[-1])


async def test_what_an_older_release_kept_survives(empty_url: str, vault: Vault) -> None:
    await asyncio.to_thread(upgrade_to, empty_url, "0003")
    guild = {"guild_id": 1, "joined_at": datetime(2026, 3, 2, 9, 0, tzinfo=UTC)}
    by = {"created_by": 2, "created_at": guild["joined_at"]}
    hook = by | {"guild_id": 1, "server_url": "https://s.example", "project_id": "a1b2c3d4e5"}
    hook |= {"kind": "shared", "state": "live"}
    channel = by | {"hook_id": 1, "guild_id": 1, "channel_id": 3, "state": "active"}
    channel |= {"events": ["versions"], "models": [], "ignore_authors": ["ci"]}
    channel |= {"updated_at": by["created_at"]}

    def fill(connection: Connection) -> None:
        for into, row in (("guilds", guild), ("hooks", hook), ("subscriptions", channel)):
            connection.execute(insert(as_it_was(into, row)), row)
        connection.execute(insert(as_it_was("subscriptions", channel)), channel | {"channel_id": 4})
        connection.execute(delete(subscriptions).where(subscriptions.c.channel_id == 4))

    await run_sync(empty_url, fill)
    async with Storage.open(empty_url, vault) as storage:
        (subscription,) = await storage.read(lambda tx: tx.subscriptions.of_channel(3))
        _, newer = await storage.write(
            lambda tx: tx.subscriptions.upsert(1, 5, SubscriptionOptions(), 2)
        )
        assert (subscription.id, newer.id) == (1, 3)  # no id is given twice
        assert (await storage.read(lambda tx: tx.hooks.get(subscription.hook_id))) is not None
    assert subscription.options == SubscriptionOptions(("versions",), (), ("ci",))


def as_it_was(name: str, row: Mapping[str, Any]) -> TableClause:
    """A table with the columns that it had then, as far as a row has them."""
    now = metadata.tables[name].c
    then: dict[str, Any] = {key: now[key].type if key in now else THEN[key] for key in row}
    return table(name, *(column(key, type_) for key, type_ in then.items()))


THEN: dict[str, Any] = {
    "body": LargeBinary(),
    "events": JSON(),
    "models": JSON(),
    "ignore_authors": JSON(),
}


AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = {"created_by": 2, "created_at": AT}
TOWER = BY | {
    "guild_id": 1,
    "server_url": "https://s.example",
    "project_id": "a1b2c3d4e5",
    "project_name": "Harbour Tower",
    "kind": "own",
    "key": "k" * 43,
    "state": "live",
    "visibility": "private",
}
FOLLOWS = BY | {
    "guild_id": 1,
    "state": "active",
    "events": ["versions"],
    "models": ["struct/**"],
    "ignore_authors": [],
    "updated_at": AT,
}
BEFORE: dict[str, list[dict[str, Any]]] = {
    "guilds": [{"guild_id": 1, "joined_at": AT}],
    "accounts": [
        {
            "id": number,
            "discord_user_id": number,
            "server_url": "https://s.example",
            "speckle_user_id": f"u{number}",
            "tokens_sealed": "sealed",
            "scopes": [],
            "linked_at": AT,
        }
        for number in (1, 2)
    ],
    "hooks": [
        TOWER | {"id": 1, "account_id": 1, "webhook_sealed": "sealed"},
        TOWER | {"id": 2, "project_id": "byhand", "key": "h" * 43, "account_id": 2},
    ],
    "subscriptions": [
        FOLLOWS | {"id": 1, "hook_id": 1, "channel_id": 11, "account_id": 1, "access_ok_at": AT},
        FOLLOWS | {"id": 2, "hook_id": 1, "channel_id": 12, "account_id": 2},
        FOLLOWS | {"id": 3, "hook_id": 1, "channel_id": 13},
        FOLLOWS | {"id": 4, "hook_id": 2, "channel_id": 11},
    ],
    "models": [{"hook_id": 1, "model_id": "m1", "name": "level 1"}],
    "inbox": [
        {
            "id": number,
            "hook_id": hook_id,
            "lane": "lane",
            "project_id": "a1b2c3d4e5",
            "digest": str(number) * 64,
            "received_at": AT,
            "state": state,
            "trace": [],
            "body": b"{}",
            "source": source,
        }
        for number, hook_id, state, source in (
            (1, 1, "done", "webhook"),
            (2, None, "done", "webhook"),
            (3, 1, "new", "activity"),
            (4, 1, "done", "activity"),
            (5, 1, "new", "history"),
        )
    ],
    "outbox": [
        {
            "id": number,
            "inbox_id": 1,
            "subscription_id": number,
            "guild_id": 1,
            "channel_id": 10 + number,
            "card": {"title": "card"},
            "state": "waiting",
            "created_at": AT,
        }
        for number in (1, 2, 3)
    ],
}


async def test_all_that_a_bot_of_the_release_before_had_is_there_and_answers_are_kept(
    empty_url: str, vault: Vault
) -> None:
    await asyncio.to_thread(upgrade_to, empty_url, "0004")

    def fill(connection: Connection) -> None:
        for name, rows in BEFORE.items():
            for row in rows:
                connection.execute(insert(as_it_was(name, row)), row)

    await run_sync(empty_url, fill)
    await migrate(empty_url)

    def read(connection: Connection) -> dict[str, int]:
        counts = {name: select(func.count()).select_from(metadata.tables[name]) for name in BEFORE}
        return {name: connection.scalar(count) or 0 for name, count in counts.items()}

    # What was read for all channels of a hook with one account, and is not shown yet, is nobody's.
    kept = {name: len(rows) for name, rows in BEFORE.items()} | {"inbox": 4}
    assert await run_sync(empty_url, read) == kept

    def columns(connection: Connection) -> Any:
        makers = connection.execute(select(hooks.c.id, hooks.c.account_id)).all()
        sources = connection.execute(select(inbox.c.id, inbox.c.source)).all()
        return {row[0]: row[1] for row in makers}, {row[0]: row[1] for row in sources}

    def delivered(connection: Connection) -> Any:
        each = select(bodies.c.inbox_id, bodies.c.body, inbox.c.body_bytes).join(inbox)
        return [tuple(row) for row in connection.execute(each.order_by(inbox.c.id))]

    assert await run_sync(empty_url, delivered) == [(id_, b"{}", 2) for id_ in (1, 2, 4, 5)]
    makers, sources = await run_sync(empty_url, columns)
    assert makers == {1: 1, 2: None}  # who only looked at a project made no webhook
    assert sources == {1: "webhook", 2: "operator", 4: "activity", 5: "history"}
    async with Storage.open(empty_url, vault) as storage:
        follows = [
            await storage.read(lambda tx: tx.subscriptions.get(number)) for number in (1, 2, 3, 4)
        ]
    owner = Consent(
        2,
        AT,
        Entitlement.OWNER,
        SubscriptionOptions(("versions",), ("struct/**",)),
        "private",
        None,
        "Harbour Tower",
    )
    assert [None if one is None else one.consent for one in follows] == [
        owner,
        replace(owner, entitlement=Entitlement.READER),
        None,
        None,
    ]
    assert [one and one.options for one in follows] == [owner.options] * 4


def upgrade_to(url: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    if url.startswith("sqlite"):
        make_place(parse_url(url))
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
