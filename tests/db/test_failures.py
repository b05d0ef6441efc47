"""A database that does not work: told plainly, and well again without a restart."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from bot.db.connections import StorageTimings, parse_url
from bot.db.failures import reason_of
from bot.db.sqlite_file import sqlite_path
from bot.errors import StorageUnavailable
from bot.model import Hook
from bot.storage import Storage, migrate, schema_version
from bot.vault import Vault
from tests.conftest import PostgresServer, on_every_connection
from tests.db.conftest import NewDelivery
from tests.stored import new_count

IMPATIENT = StorageTimings(lock_s=0.05)
UNREACHABLE = "postgresql+psycopg://maren:swordfish@127.0.0.1:1/bot"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def put_until_full(storage: Storage, delivery: NewDelivery) -> list[int]:
    """Put one delivery after the other until the disk is full; the ids of those taken."""
    taken: list[int] = []
    for n in range(100):
        try:
            taken.append((await storage.intake.accept(delivery(b"%d" % n * 4000))).id)
        except StorageUnavailable:
            return taken
    raise AssertionError("the disk never filled up")


async def refusal(url: str, vault: Vault) -> str:
    with pytest.raises(StorageUnavailable) as caught:
        async with Storage.open(url, vault, timings=IMPATIENT):
            pass
    return caught.value.reason


async def test_a_folder_that_cannot_be_made(tmp_path: Path, vault: Vault) -> None:
    (tmp_path / "file").write_text("no folder")
    url = f"sqlite:///{tmp_path / 'file' / 'data' / 'bot.db'}"
    reason = await refusal(url, vault)
    assert reason == "the folder or file of the database cannot be made: not a directory"
    with pytest.raises(StorageUnavailable):
        await migrate(url)


async def test_a_path_that_is_a_folder(tmp_path: Path, vault: Vault) -> None:
    url = f"sqlite:///{tmp_path}"
    assert await refusal(url, vault) == "the database file cannot be opened"


async def test_a_file_that_is_no_database(tmp_path: Path, vault: Vault) -> None:
    (tmp_path / "bot.db").write_bytes(b"Harbour Tower, level 1\n" * 500)
    reason = await refusal(f"sqlite:///{tmp_path / 'bot.db'}", vault)
    assert reason == "the database file is damaged or is no SQLite database"


async def test_a_damaged_database(sqlite_url: str, tmp_path: Path, vault: Vault) -> None:
    path = tmp_path / "bot.db"
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xa5" * (len(content) - 4096))
    assert await refusal(sqlite_url, vault) == "the database file is damaged"


def test_a_read_only_database(sqlite_url: str, tmp_path: Path) -> None:
    uri = f"file:{tmp_path / 'bot.db'}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True)) as connection:
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO facts VALUES ('a', 'b')")
        error = DBAPIError.instance("", None, caught.value, sqlite3.Error)
    assert isinstance(error, OperationalError)
    assert reason_of(error) == "the database is read-only"


async def test_a_locked_database_is_refused_and_then_works_again(
    sqlite_url: str, vault: Vault, tmp_path: Path, delivery: NewDelivery
) -> None:
    async with Storage.open(sqlite_url, vault, timings=IMPATIENT) as storage:
        with locked(tmp_path / "bot.db"):
            for wait in (storage.intake.accept(delivery()), storage.ping_write()):
                with pytest.raises(StorageUnavailable) as caught:
                    await wait
                assert caught.value.reason == "the database is locked by another program"
            assert await storage.read(new_count) == 0
        assert not (await storage.intake.accept(delivery())).duplicate
        await storage.ping_write()


async def test_a_database_locked_at_the_start(
    sqlite_url: str, tmp_path: Path, vault: Vault
) -> None:
    with locked(tmp_path / "bot.db"):
        assert await refusal(sqlite_url, vault) == "the database is locked by another program"


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_full_disk_is_refused_and_loses_nothing_that_was_taken(
    storage: Storage, delivery: NewDelivery
) -> None:
    pages = await storage.read(lambda tx: tx.session.scalar(text("PRAGMA page_count")))
    on_every_connection(storage._database, f"PRAGMA max_page_count={pages + 20}")
    results = await asyncio.gather(
        *(storage.intake.accept(delivery(b"%d" % n * 4000)) for n in range(300)),
        return_exceptions=True,
    )
    assert {str(result) for result in results} == {"the disk is full"}
    taken = await put_until_full(storage, delivery)
    assert taken
    with storage._database.reading() as connection:
        ids = list(connection.scalars(text("SELECT id FROM inbox ORDER BY id")))
    assert ids == taken
    on_every_connection(storage._database, "PRAGMA max_page_count=1000000")
    assert not (await storage.intake.accept(delivery())).duplicate


async def test_a_server_that_cannot_be_reached(vault: Vault) -> None:
    assert await refusal(UNREACHABLE, vault) == "the database cannot be reached"
    with pytest.raises(StorageUnavailable):
        await schema_version(UNREACHABLE)
    with pytest.raises(StorageUnavailable):
        await migrate(UNREACHABLE)


async def test_a_database_that_is_not_there(postgres: PostgresServer, vault: Vault) -> None:
    assert await refusal(postgres.url("nowhere"), vault) == "the database does not exist"


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_a_server_that_was_restarted_costs_no_event(
    storage: Storage, postgres: PostgresServer, delivery: NewDelivery
) -> None:
    assert await storage.lead()
    await storage.intake.accept(delivery())
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'speckle-discord-bot'"
    )
    assert not (await storage.intake.accept(delivery())).duplicate
    assert await storage.read(new_count) == 2
    assert await storage.lead()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_while_the_server_is_away_the_process_that_led_does_not_say_that_another_does(
    storage: Storage, postgres: PostgresServer
) -> None:
    assert await storage.lead()
    name = storage._database.url.database
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'speckle-discord-bot'"
    )
    try:
        with pytest.raises(StorageUnavailable):
            await storage.lead()
        assert (storage.leads, storage.another_leads) == (False, False)
    finally:
        postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_a_read_only_server_is_told(
    storage: Storage, delivery: NewDelivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_every_connection(storage._database, "SET default_transaction_read_only = on")
    with pytest.raises(StorageUnavailable) as caught:
        await storage.intake.accept(delivery())
    assert caught.value.reason == "the database is read-only"


async def test_no_reason_quotes_an_address_or_a_password(vault: Vault) -> None:
    assert "swordfish" not in await refusal(UNREACHABLE, vault)


# ── somebody else's lock, for as long as it likes ─────────────────────────────────────────────

SPECKLE_MAY_WAIT_S = 8.0  # of the 10 that it does


@contextmanager
def sqlite_lock(path: Path, how: str) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(how)
        yield


@contextmanager
def table_lock(url: str, table: str) -> Iterator[None]:
    plain = make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
        yield


@contextmanager
def locked_by_another(kind: str, url: str, what: str) -> Iterator[None]:
    lock = table_lock(url, what) if kind == "postgresql" else sqlite_lock(path_of(url), what)
    with lock:
        yield


def path_of(url: str) -> Path:
    return sqlite_path(parse_url(url))


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        ("sqlite", "BEGIN IMMEDIATE"),
        ("sqlite", "BEGIN EXCLUSIVE"),
        ("postgresql", "hooks"),
        ("postgresql", "inbox"),
        ("postgresql", "inbox, hooks, facts, outbox"),
    ],
    indirect=["kind"],
)
async def test_a_delivery_is_refused_in_time_while_another_program_holds_a_lock(
    kind: str, what: str, storage: Storage, hook: Hook, delivery: NewDelivery, database_url: str
) -> None:
    async def deliver() -> None:
        found = await storage.hook_lookup.by_key(hook.key or "")
        assert found is not None
        await storage.intake.accept(delivery(hook_id=found.id, lane=f"hook:{found.id}"))

    with locked_by_another(kind, database_url, what):
        # Others of the bot's own parts want to write as well, and had their turn before.
        others = [asyncio.create_task(storage.ping_write()) for _ in range(10)]
        await asyncio.sleep(0)
        async with asyncio.timeout(SPECKLE_MAY_WAIT_S):
            results = await asyncio.gather(*(deliver() for _ in range(20)), return_exceptions=True)
        assert {type(result) for result in results} == {StorageUnavailable}
    await asyncio.gather(*others, return_exceptions=True)
    await deliver()
