"""Linked accounts and the requests that bring them, on both databases."""

import asyncio
import json

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from bot.db.engine import Database, parse_url
from bot.db.tables import accounts, link_requests, notices, subscriptions
from bot.db.vault import Vault
from bot.model import (
    LINK_VALID,
    NOBODY,
    TOLD_WITHIN,
    Account,
    Hook,
    LinkDetails,
    PauseReason,
    PendingSubscribe,
    Subscription,
    SubscriptionState,
)
from bot.speckle.tokens import Tokens, TokenScope
from bot.storage import Storage
from tests.db.conftest import MAREN_ODUYA, SERVER, STRUCTURE, STUDIO_KESTREL, Clock

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
        lambda tx: tx.accounts.link(nonce, speckle_id, "Maren Oduya", tokens, ALL, told=False)
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
        lambda tx: tx.link_requests.begin("another-nonce", "the-challenge", "cookie")
    )
    stored = await everything_in(database_url)
    for secret in ("token-1", "refresh-1", "Maren", "maren.o", "the-nonce", "another-nonce",
                   "the-challenge", "the-token"):  # fmt: skip
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


async def test_erasing_a_persons_traces_leaves_the_subscriptions_of_the_guild(
    storage: Storage, database_url: str, hook: Hook, subscription: Subscription, clock: Clock
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER, str(MAREN_ODUYA)
        )
    )
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(
                notices.insert().values(
                    guild_id=STUDIO_KESTREL, channel_id=STRUCTURE, user_id=MAREN_ODUYA,
                    reason="no_permission", detail="", nonce="n", created_at=clock(), attempts=0,
                )
            )  # fmt: skip
    command = PendingSubscribe(MAREN_ODUYA, STUDIO_KESTREL, STRUCTURE, SERVER, "a1b2c3d4e5", {})
    await storage.write(lambda tx: tx.pending_commands.add("token", command, LINK_VALID))
    before = await storage.read(lambda tx: tx.accounts.traces(MAREN_ODUYA))
    assert before == {
        "link_requests": 1,
        "pending_commands": 1,
        "notices": 1,
        "hooks": 1,
        "subscriptions": 1,
    }
    await storage.erase_traces(MAREN_ODUYA)
    assert set((await storage.read(lambda tx: tx.accounts.traces(MAREN_ODUYA))).values()) == {0}
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    kept_hook = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert kept is not None
    assert kept_hook is not None
    assert (kept.created_by, kept.pause_detail, kept_hook.created_by) == (NOBODY, None, NOBODY)
    assert kept.state is SubscriptionState.PAUSED


# ── requests ──────────────────────────────────────────────────────────────────────────────────


async def test_a_request_runs_out_after_a_quarter_of_an_hour_and_is_erased(
    storage: Storage, clock: Clock
) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails("maren.o"))
    )
    clock.forward(seconds=LINK_VALID.total_seconds() - 1)
    request = await storage.read(lambda tx: tx.link_requests.get("nonce"))
    assert request is not None
    assert request.details.person == "maren.o"
    assert await storage.write(lambda tx: tx.link_requests.erase_expired()) == 0
    clock.forward(seconds=1)
    assert await storage.read(lambda tx: tx.link_requests.get("nonce")) is None
    assert not await storage.write(lambda tx: tx.link_requests.begin("nonce", "c", "d"))
    assert not await storage.write(lambda tx: tx.link_requests.claim("nonce"))
    late = await storage.write(
        lambda tx: tx.accounts.link("nonce", "m", "Maren", Tokens("t"), READ, told=False)
    )
    assert late is None
    assert await storage.write(lambda tx: tx.link_requests.erase_expired()) == 1
    assert await storage.read(lambda tx: tx.accounts.all_of_user(MAREN_ODUYA)) == []


async def test_a_request_is_claimed_by_exactly_one(storage: Storage) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    claims = await asyncio.gather(
        *(storage.write(lambda tx: tx.link_requests.claim("nonce")) for _ in range(8))
    )
    assert sorted(claims) == [False] * 7 + [True]
    assert not await storage.write(lambda tx: tx.link_requests.begin("nonce", "c", "d"))


async def test_a_claim_that_led_to_nothing_can_be_made_again(storage: Storage) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    assert await storage.write(lambda tx: tx.link_requests.begin("nonce", "challenge", "digest"))
    assert await storage.write(lambda tx: tx.link_requests.claim("nonce"))
    await storage.write(lambda tx: tx.link_requests.release("nonce", Tokens("t", "r")))
    request = await storage.read(lambda tx: tx.link_requests.get("nonce"))
    assert request is not None
    assert (request.used_at, request.details.tokens) == (None, Tokens("t", "r"))
    assert request.details.challenge == "challenge"
    assert await storage.write(
        lambda tx: tx.link_requests.begin("nonce", "challenge 2", "digest 2")
    )
    again = await storage.read(lambda tx: tx.link_requests.get("nonce"))
    assert again is not None
    assert (again.details.tokens, again.details.cookie_digest) == (None, "digest 2")
    assert await storage.write(lambda tx: tx.link_requests.claim("nonce"))


async def test_a_request_brings_one_account_and_whatever_else_waits_gets_it_too(
    storage: Storage, clock: Clock
) -> None:
    for nonce, who, server in (
        ("used", MAREN_ODUYA, SERVER),
        ("waits too", MAREN_ODUYA, SERVER),
        ("elsewhere", MAREN_ODUYA, OTHER_SERVER),
        ("another's", TOBIAS_LINDQVIST, SERVER),
    ):
        await storage.write(
            lambda tx: tx.link_requests.add(nonce, who, server, LinkDetails(pending=nonce))
        )
    await storage.write(lambda tx: tx.link_requests.begin("used", "challenge", "digest"))
    account, again = await storage.write(
        lambda tx: [
            tx.accounts.link("used", "maren00001", "Maren", Tokens(token), READ, told=True)
            for token in ("t", "t2")
        ]
    )
    assert account is not None
    assert again is None
    done = {r.details.pending: r for r in await storage.read(lambda tx: tx.link_requests.linked())}
    assert set(done) == {"used", "waits too"}
    assert {request.account_id for request in done.values()} == {account.id}
    assert (done["used"].used_at, done["waits too"].used_at) == (clock(), None)
    assert done["used"].details == LinkDetails(pending="used", told=True)
    clock.forward(minutes=16)  # a Discord that is away does not cost what waits
    assert await storage.write(lambda tx: tx.link_requests.erase_expired()) == 2
    assert len(await storage.read(lambda tx: tx.link_requests.linked())) == 2
    await storage.write(lambda tx: tx.link_requests.delete(done["used"].nonce_digest))
    clock.forward(seconds=TOLD_WITHIN.total_seconds())
    assert await storage.write(lambda tx: tx.link_requests.erase_expired()) == 1


async def test_a_request_whose_row_is_changed_to_another_person_is_none(
    storage: Storage, database_url: str
) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            writing.execute(update(link_requests).values(discord_user_id=TOBIAS_LINDQVIST))
    assert await storage.read(lambda tx: tx.link_requests.get("nonce")) is None


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_an_account_shows_no_token_when_it_is_printed(storage: Storage) -> None:
    account = await linked(storage)
    request_details = LinkDetails(tokens=Tokens("token-1"))
    assert "token-1" not in f"{account!r} {request_details!r}"


async def test_erasing_a_person_takes_them_out_of_what_others_are_told(
    storage: Storage, database_url: str, subscription: Subscription, clock: Clock
) -> None:
    detail = f"<@{TOBIAS_LINDQVIST}> unlinked the account that it hung on"
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.ACCESS_LOST, detail
        )
    )
    await storage.erase_traces(MAREN_ODUYA)
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert kept.pause_detail == detail
    await storage.erase_traces(TOBIAS_LINDQVIST)
    kept = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert kept is not None
    assert kept.pause_detail == "somebody unlinked the account that it hung on"


def test_no_link_request_shows_what_is_sealed_in_it() -> None:
    details = LinkDetails(
        person="Maren Oduya",
        answer_to={"token": "an interaction's token"},
        challenge="the challenge",
        cookie_digest="the cookie's digest",
        tokens=Tokens("the token", "the refresh token"),
    )
    assert "the " not in repr(details)
    assert "interaction" not in repr(details)
