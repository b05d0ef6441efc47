"""Whether a database is the one that the bot had last, or a copy from before."""

import shutil

from sqlalchemy import make_url

from bot.db.connections import parse_url
from bot.db.sqlite_file import beside, sqlite_path
from bot.storage import Storage
from bot.vault import Vault
from tests.conftest import PostgresServer
from tests.stored import new_database


async def is_restored(url: str, vault: Vault) -> bool:
    """What a start finds, which then takes the database for its own."""
    async with Storage.open(url, vault) as storage:
        found = await storage.restored_copy.is_restored()
        await storage.restored_copy.accept()
        return found


async def test_a_new_database_and_the_same_one_again_are_no_copies(
    empty_url: str, vault: Vault
) -> None:
    assert [await is_restored(empty_url, vault) for _ in range(3)] == [False] * 3


async def test_a_database_of_an_earlier_release_is_no_copy(database_url: str, vault: Vault) -> None:
    assert not await is_restored(database_url, vault)


async def test_other_commands_beside_the_bot_change_nothing(
    database_url: str, vault: Vault
) -> None:
    await is_restored(database_url, vault)
    async with Storage.open(database_url, vault) as other:
        await other.ping_write()
    assert not await is_restored(database_url, vault)


async def test_an_older_copy_is_known_whichever_way_it_came(sqlite_url: str, vault: Vault) -> None:
    path = sqlite_path(parse_url(sqlite_url))
    await is_restored(sqlite_url, vault)
    shutil.copy(path, path.with_name("backup"))
    await is_restored(sqlite_url, vault)
    shutil.copy(path.with_name("backup"), path)
    assert await is_restored(sqlite_url, vault)
    assert not await is_restored(sqlite_url, vault)


async def test_a_file_that_came_without_its_mark_is_a_copy(sqlite_url: str, vault: Vault) -> None:
    path = sqlite_path(parse_url(sqlite_url))
    await is_restored(sqlite_url, vault)
    beside(path, ".mark").unlink()
    assert await is_restored(sqlite_url, vault)


async def test_another_database_in_its_place_is_a_copy(sqlite_url: str, vault: Vault) -> None:
    await is_restored(sqlite_url, vault)
    new_database(sqlite_path(parse_url(sqlite_url)))
    assert await is_restored(sqlite_url, vault)


async def test_one_that_nobody_has_accepted_yet_stays_a_copy(sqlite_url: str, vault: Vault) -> None:
    path = sqlite_path(parse_url(sqlite_url))
    await is_restored(sqlite_url, vault)
    beside(path, ".mark").unlink()
    for _ in range(2):
        async with Storage.open(sqlite_url, vault) as killed_early:
            await killed_early._database.copy_log()
            assert await killed_early.restored_copy.is_restored()


async def test_a_copy_in_postgresql_is_known(
    postgres: PostgresServer, postgres_url: str, vault: Vault
) -> None:
    assert not await is_restored(postgres_url, vault)
    copy = postgres.new_database(str(make_url(postgres_url).database))
    assert await is_restored(postgres.url(copy), vault)
    assert not await is_restored(postgres.url(copy), vault)
    postgres.execute(f"DROP DATABASE {copy} WITH (FORCE)")
