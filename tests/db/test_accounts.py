"""Linked accounts, on both databases."""

import asyncio
import json

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import accounts, link_requests, subscriptions
from bot.model import Account, Hook, Subscription
from bot.pending import LinkDetails
from bot.speckle.tokens import Challenge, Tokens, TokenScope
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import MAREN_ODUYA, SERVER, STUDIO_KESTREL, Clock

TOBIAS_LINDQVIST = 720_000_000_000_000_099
READ = frozenset({TokenScope.STREAMS_READ, TokenScope.PROFILE_READ})
ALL = frozenset(TokenScope)
FIRST = Tokens("token-1", "refresh-1")
OTHER_SERVER = "https://speckle.heron.example"


async def linked(
    storage: Storage,
    nonce: str = "nonce",
    *,
    who: int = MAREN_ODUYA,
    speckle_id: str = "maren00001",
    tokens: Tokens = FIRST,
    server: str = SERVER,
) -> Account:
    await storage.write(lambda tx: tx.link_requests.add(nonce, who, server, LinkDetails()))
    account = await storage.write(
        lambda tx: tx.accounts.link(nonce, speckle_id, "Maren Oduya", tokens, ALL, notified=False)
    )
    assert account is not None
    return account


async def everything_in(database_url: str) -> str:
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as reading:
            rows = [
                dict(row)
                for table in (accounts, link_requests)
                for row in reading.execute(select(table)).mappings()
            ]
    return json.dumps(rows, default=str)


async def test_an_account_is_found_by_its_person_and_server_alone(storage: Storage) -> None:
    account = await linked(storage)
    assert account.tokens == Tokens("token-1", "refresh-1")
    assert (account.name, account.scopes, account.refused_at) == ("Maren Oduya", ALL, None)
    assert await storage.read(lambda tx: tx.accounts.get(account.id)) == account
    assert await storage.read(lambda tx: tx.accounts.of_user(MAREN_ODUYA, SERVER)) == account
    assert await storage.read(lambda tx: tx.accounts.of_user(MAREN_ODUYA, OTHER_SERVER)) is None
    assert await storage.read(lambda tx: tx.accounts.of_user(TOBIAS_LINDQVIST, SERVER)) is None
    elsewhere = await linked(storage, "other", server=OTHER_SERVER)
    assert await storage.read(lambda tx: tx.accounts.all_of_user(MAREN_ODUYA)) == [
        account,
        elsewhere,
    ]


async def test_neither_tokens_nor_names_nor_nonces_stand_in_the_database(
    storage: Storage, database_url: str
) -> None:
    await linked(storage, "the-nonce")
    await storage.write(
        lambda tx: tx.link_requests.add(
            "another-nonce",
            MAREN_ODUYA,
            SERVER,
            LinkDetails("maren.o", "the-token"),
        )
    )
    await storage.write(
        lambda tx: tx.link_requests.begin(
            "another-nonce", Challenge("the-challenge", "the-verifier"), "cookie"
        )
    )
    stored = await everything_in(database_url)
    for secret in ("token-1", "refresh-1", "Maren", "maren.o", "the-nonce", "another-nonce",
                   "the-challenge", "the-verifier", "the-token"):  # fmt: skip
        assert secret not in stored


async def test_linking_anew_keeps_the_id_and_what_hangs_on_it_and_has_access_asked_again(
    storage: Storage, database_url: str, subscription: Subscription, clock: Clock
) -> None:
    before = await linked(storage)
    await hang(database_url, subscription, before, clock)
    clock.forward(days=1)
    after = await linked(storage, "second", speckle_id="office0001", tokens=Tokens("token-2"))
    assert (after.id, after.speckle_user_id) == (before.id, "office0001")
    assert after.tokens == Tokens("token-2")
    assert after.linked_at == clock()
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert (kept.account_id, kept.access_ok_at) == (before.id, None)


async def hang(
    database_url: str, subscription: Subscription, account: Account, clock: Clock
) -> None:
    """Have the account hold a subscription up."""
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(
                update(subscriptions)
                .where(subscriptions.c.id == subscription.id)
                .values(account_id=account.id, access_ok_at=clock())
            )


async def test_a_row_that_is_moved_to_another_person_does_not_open(
    storage: Storage, database_url: str
) -> None:
    account = await linked(storage)
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(update(accounts).values(discord_user_id=TOBIAS_LINDQVIST))
    moved = await storage.read(lambda tx: tx.accounts.of_user(TOBIAS_LINDQVIST, SERVER))
    assert moved is not None
    assert moved.id == account.id
    assert moved.tokens == Tokens("")
    assert moved.name is None
    assert moved.unopenable


async def test_an_account_that_no_key_opens_can_be_seen_linked_again_and_erased(
    storage: Storage, database_url: str
) -> None:
    account = await linked(storage)
    async with Storage.open(database_url, Vault([Fernet.generate_key().decode()])) as stranger:
        shut = await stranger.read(lambda tx: tx.accounts.get(account.id))
        assert shut is not None
        assert (shut.tokens, shut.name, shut.unopenable) == (Tokens(""), None, True)
        again = await linked(stranger, "again", tokens=Tokens("token-2"))
        assert (again.id, again.unopenable) == (account.id, False)
        assert await stranger.write(lambda tx: tx.accounts.delete(account.id))


async def test_of_two_renewals_one_is_kept_and_both_get_it(storage: Storage) -> None:
    account = await linked(storage)
    renewed = [Tokens("token-2", "refresh-2"), Tokens("token-3", "refresh-3")]
    both = await asyncio.gather(
        *(
            storage.write(lambda tx: tx.accounts.replace_tokens(account, tokens))
            for tokens in renewed
        )
    )
    assert both[0] is not None
    assert both[0] == both[1] == await storage.read(lambda tx: tx.accounts.get(account.id))
    assert both[0].tokens in renewed


async def test_a_refusal_of_old_tokens_does_not_count_against_new_ones(storage: Storage) -> None:
    account = await linked(storage)
    renewed = await storage.write(
        lambda tx: tx.accounts.replace_tokens(account, Tokens("token-2", "refresh-2"))
    )
    assert renewed is not None
    assert not await storage.write(lambda tx: tx.accounts.mark_refused(account))
    assert await storage.write(lambda tx: tx.accounts.mark_refused(renewed))
    assert not await storage.write(lambda tx: tx.accounts.mark_refused(renewed))
    refused = await storage.read(lambda tx: tx.accounts.get(account.id))
    assert refused is not None
    assert refused.refused_at is not None
    await storage.write(lambda tx: tx.accounts.mark_taken(refused))
    taken = await storage.read(lambda tx: tx.accounts.get(account.id))
    assert taken is not None
    assert taken.refused_at is None
    third = await storage.write(lambda tx: tx.accounts.replace_tokens(taken, Tokens("token-3")))
    assert third is not None
    assert await storage.write(lambda tx: tx.accounts.delete(account.id))
    assert (
        await storage.write(lambda tx: tx.accounts.replace_tokens(third, Tokens("token-4"))) is None
    )


async def test_deleting_an_account_takes_it_off_what_hangs_on_it(
    storage: Storage, database_url: str, hook: Hook, subscription: Subscription, clock: Clock
) -> None:
    account = await linked(storage)
    await hang(database_url, subscription, account, clock)
    await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, "webhook001"))
    hanging = await storage.read(lambda tx: tx.accounts.dependents(account.id))
    assert hanging.channels == {STUDIO_KESTREL: 1}
    assert hanging.webhooks == 1
    assert await storage.write(lambda tx: tx.accounts.delete(account.id))
    assert not await storage.write(lambda tx: tx.accounts.delete(account.id))
    assert await storage.read(lambda tx: tx.accounts.all_of_user(MAREN_ODUYA)) == []
    kept_hook = await storage.read(lambda tx: tx.hooks.get(hook.id))
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept_hook is not None
    assert kept is not None
    assert (kept_hook.account_id, kept.account_id) == (None, None)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_an_account_shows_no_token_when_it_is_printed(storage: Storage) -> None:
    account = await linked(storage)
    request_details = LinkDetails(tokens=Tokens("token-1"))
    assert "token-1" not in f"{account!r} {request_details!r}"
