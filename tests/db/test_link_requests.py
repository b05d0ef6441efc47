"""Requests to link an account, on both databases."""

import asyncio
import json

from sqlalchemy import select, update

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import link_requests
from bot.pending import LINK_VALID, NOTIFY_WITHIN, LinkDetails
from bot.speckle.tokens import Challenge, Tokens
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import MAREN_ODUYA, SERVER, Clock
from tests.db.test_accounts import OTHER_SERVER, READ, TOBIAS_LINDQVIST


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
    assert not await storage.write(lambda tx: tx.link_requests.begin("nonce", Challenge("c"), "d"))
    assert not await storage.write(lambda tx: tx.link_requests.claim("nonce"))
    late = await storage.write(
        lambda tx: tx.accounts.link("nonce", "m", "Maren", Tokens("t"), READ, notified=False)
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
    assert not await storage.write(lambda tx: tx.link_requests.begin("nonce", Challenge("c"), "d"))


async def test_a_claim_that_led_to_nothing_can_be_made_again(storage: Storage) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
    )
    assert await storage.write(
        lambda tx: tx.link_requests.begin("nonce", Challenge("challenge"), "digest")
    )
    assert await storage.write(lambda tx: tx.link_requests.claim("nonce"))
    await storage.write(lambda tx: tx.link_requests.release("nonce", Tokens("t", "r")))
    request = await storage.read(lambda tx: tx.link_requests.get("nonce"))
    assert request is not None
    assert (request.used_at, request.details.tokens) == (None, Tokens("t", "r"))
    assert request.details.challenge == "challenge"
    assert await storage.write(
        lambda tx: tx.link_requests.begin("nonce", Challenge("challenge 2", "verifier"), "digest 2")
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
    await storage.write(lambda tx: tx.link_requests.begin("used", Challenge("challenge"), "digest"))
    account, again = await storage.write(
        lambda tx: [
            tx.accounts.link("used", "maren00001", "Maren", Tokens(token), READ, notified=True)
            for token in ("t", "t2")
        ]
    )
    assert account is not None
    assert again is None
    done = {r.details.pending: r for r in await storage.read(lambda tx: tx.link_requests.linked())}
    assert set(done) == {"used", "waits too"}
    assert {request.account_id for request in done.values()} == {account.id}
    assert (done["used"].used_at, done["waits too"].used_at) == (clock(), None)
    assert done["used"].details == LinkDetails(pending="used", notified=True)
    clock.forward(minutes=16)  # a Discord that is away does not cost what waits
    assert await storage.write(lambda tx: tx.link_requests.erase_expired()) == 2
    assert len(await storage.read(lambda tx: tx.link_requests.linked())) == 2
    await storage.write(lambda tx: tx.link_requests.delete(done["used"].nonce_digest))
    clock.forward(seconds=NOTIFY_WITHIN.total_seconds())
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


async def test_a_sign_in_that_began_before_an_upgrade_of_the_bot_has_no_verifier(
    storage: Storage, database_url: str, vault: Vault
) -> None:
    await storage.write(
        lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails("maren.o"))
    )
    begun = Challenge("challenge")
    await storage.write(lambda tx: tx.link_requests.begin("nonce", begun, "digest"))
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as writing:
            (row,) = writing.execute(select(link_requests)).mappings()
            context = f"link:{MAREN_ODUYA}:{SERVER}:{row['nonce_digest']}"
            content = json.loads(vault.open(row["sealed"], context))
            del content["verifier"]
            sealed = vault.seal(json.dumps(content), context)
            writing.execute(update(link_requests).values(sealed=sealed))
    request = await storage.read(lambda tx: tx.link_requests.get("nonce"))
    assert request is not None
    assert (request.details.challenge, request.details.verifier) == ("challenge", None)
