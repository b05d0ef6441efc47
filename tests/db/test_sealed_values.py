"""Sealing everything again with another key, beside bots that work meanwhile."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from bot.database_content import RotationReport
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.sealed_values import SEALED_COLUMNS, STEP_ROWS
from bot.db.tables import accounts, hooks, metadata
from bot.model import Account, Hook, HookKind
from bot.pending import LinkDetails
from bot.speckle.tokens import Tokens, TokenScope
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import MAREN_ODUYA, SERVER, STUDIO_KESTREL, Clock

ALL = frozenset(TokenScope)


@pytest.fixture
def new_key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
async def rotating(
    database_url: str, key: str, new_key: str, clock: Clock
) -> AsyncIterator[Storage]:
    """The process that rotates: it knows both keys."""
    async with Storage.open(database_url, Vault([new_key, key]), clock) as opened:
        yield opened


async def furnish(storage: Storage, projects: int = 3) -> tuple[list[Hook], Account]:
    """One of each kind that is sealed, and some hooks more."""
    for number in range(projects):
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                STUDIO_KESTREL, SERVER, f"project{number:03}", HookKind.OWN, MAREN_ODUYA, None
            )
        )
        await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails("maren.o"))
    )
    await storage.write(
        lambda tx: tx.link_requests.add("open", MAREN_ODUYA + 1, SERVER, LinkDetails("tobias"))
    )
    tokens = Tokens("token-1", "refresh-1")
    account = await storage.write(
        lambda tx: tx.accounts.link("nonce", "m1", "Maren", tokens, ALL, notified=False)
    )
    assert account is not None
    [first, *_] = await storage.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL))
    await storage.write(lambda tx: tx.hooks.record_webhook(first.id, account.id, "webhook001"))
    return await storage.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL)), account


def by_name(rotated: object) -> dict[str, RotationReport]:
    assert isinstance(rotated, list)
    return {one.name: one for one in rotated}


async def test_all_that_is_sealed_gets_the_first_key_and_means_what_it_meant(
    storage: Storage, rotating: Storage, database_url: str, new_key: str, clock: Clock
) -> None:
    before, account = await furnish(storage, STEP_ROWS + 20)
    rotated = by_name(await rotating.sealed.rotate())
    assert {name: one.resealed for name, one in rotated.items()} == {
        "webhook secret": STEP_ROWS + 20,
        "former webhook secret": STEP_ROWS + 20,
        "webhook id": 1,
        "linked account": 1,
        "request to link": 2,
        "pending command": 0,
    }
    assert all(one.already == one.resealed for one in rotated.values())
    assert not any(one.unopenable or one.left for one in rotated.values())
    async with Storage.open(database_url, Vault([new_key]), clock) as later:
        assert await later.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL)) == before
        assert await later.read(lambda tx: tx.accounts.get(account.id)) == account
        request = await later.read(lambda tx: tx.link_requests.get("open"))
        assert request is not None
        assert request.details == LinkDetails("tobias")
    again = by_name(await rotating.sealed.rotate())
    assert not any(one.resealed for one in again.values())


async def test_a_bot_that_knows_both_keys_goes_on_meanwhile(
    database_url: str, key: str, new_key: str, rotating: Storage, storage: Storage, clock: Clock
) -> None:
    before, account = await furnish(storage, 60)
    async with Storage.open(database_url, Vault([new_key, key]), clock) as bot:
        assert (
            await bot.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL)) == before
        )  # opened, and so kept in memory
        assert await bot.read(lambda tx: tx.accounts.get(account.id)) == account
        stop = asyncio.Event()

        async def work() -> int:
            rounds = 0
            while not stop.is_set():
                hook = before[rounds % len(before)]
                assert await bot.hook_lookup.by_key(hook.key or "") is not None
                renewed = await bot.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
                assert renewed is not None
                there = await bot.read(lambda tx: tx.accounts.get(account.id))
                assert there is not None
                tokens = Tokens(f"token-{rounds}", "refresh")
                kept = await bot.write(lambda tx: tx.accounts.replace_tokens(there, tokens))
                assert kept is not None
                assert kept.tokens == tokens
                rounds += 1
            return rounds

        working = asyncio.create_task(work())
        await asyncio.sleep(0.05)
        rotated = by_name(await rotating.sealed.rotate())
        stop.set()
        assert await working > 0
        assert not any(one.unopenable or one.left for one in rotated.values())
        now = await bot.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL))
    async with Storage.open(database_url, Vault([new_key]), clock) as later:
        assert await later.sealed.unopenable() == {}
        assert await later.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL)) == now


async def test_a_value_that_is_changed_between_reading_and_writing_is_not_put_back(
    storage: Storage, rotating: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks_before, _ = await furnish(storage, 1)
    hook = hooks_before[0]
    write = rotating.sealed._write
    renewed: list[Hook] = []

    async def later(kind: object, changes: object) -> int:
        if not renewed:
            made = await rotating.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
            assert made is not None
            renewed.append(made)
        return await write(kind, changes)  # type: ignore[arg-type]  # handed through

    monkeypatch.setattr(rotating.sealed, "_write", later)
    rotated = by_name(await rotating.sealed.rotate())
    assert not any(one.left for one in rotated.values())
    [after] = await rotating.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL))
    assert after.secrets == renewed[0].secrets


async def test_what_no_key_opens_is_counted_by_kind_and_left(
    storage: Storage, rotating: Storage, database_url: str, clock: Clock
) -> None:
    await furnish(storage)
    foreign = Vault([Fernet.generate_key().decode()]).seal("x", "somewhere")
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(update(accounts).values(tokens_sealed=foreign))
            writing.execute(
                update(hooks)
                .where(hooks.c.project_id == "project001")
                .values(secret_sealed="nonsense")
            )
    assert await rotating.sealed.unopenable() == {"webhook secret": 1, "linked account": 1}
    rotated = by_name(await rotating.sealed.rotate())
    assert (rotated["webhook secret"].resealed, rotated["webhook secret"].unopenable) == (2, 1)
    assert (rotated["linked account"].resealed, rotated["linked account"].unopenable) == (0, 1)
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as reading:
            assert reading.scalar(select(accounts.c.tokens_sealed)) == foreign


async def test_a_former_secret_that_is_over_counts_no_more(
    storage: Storage, database_url: str, clock: Clock
) -> None:
    await furnish(storage, 1)
    async with Storage.open(database_url, Vault([Fernet.generate_key().decode()]), clock) as other:
        assert "former webhook secret" in await other.sealed.unopenable()
        clock.forward(hours=24)
        assert "former webhook secret" not in await other.sealed.unopenable()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_no_sealed_column_is_forgotten(storage: Storage) -> None:
    sealed = {
        f"{table.name}.{column.name}"
        for table in metadata.sorted_tables
        for column in table.columns
        if "sealed" in column.name
    }
    assert {f"{kind.sealed.table.name}.{kind.sealed.name}" for kind in SEALED_COLUMNS} == sealed
