"""Questions that are asked with accounts, against a server that answers as recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.errors import SpeckleNotFound, SpeckleTokenRefused, SpeckleUnavailable
from bot.model import Account, HookKind
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import REFUSED_FOR, TokenStatus
from bot.speckle_api.types import Login, Me
from bot.storage import Storage
from sandbox.speckle import BOT_SCOPES, Release
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import KESTREL, MAREN, TOWER, Clock, place


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


async def who(office: Office, account: Account) -> str | None:
    return (await office.lender.as_account(account.id, office.client.me)).name


async def test_a_token_that_has_run_out_is_renewed_and_the_question_asked_again(
    office: Office,
) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    assert await who(office, account) == "Ilse Brandt"
    renewed = await office.again(account)
    assert renewed.tokens.token != account.tokens.token
    assert renewed.tokens.refresh_token != account.tokens.refresh_token


async def test_many_questions_at_once_renew_once_also_from_two_processes(office: Office) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    before = renewals(office)
    names = await asyncio.gather(
        *(lender.as_account(account.id, office.client.me)
          for lender in (office.lender, office.new_lender()) for _ in range(4))
    )  # fmt: skip
    assert {me.name for me in names} == {"Ilse Brandt"}
    assert renewals(office) - before <= 2
    assert (await office.again(account)).refused_at is None


def renewals(office: Office) -> int:
    return sum(asked.path == "/auth/token" for asked in office.server.requests)


async def test_a_token_that_cannot_be_renewed_is_marked_and_left_alone_for_a_while(
    office: Office, clock: Clock
) -> None:
    account = await office.linked()
    office.server.oauth.remove_app(office.app)
    with pytest.raises(SpeckleTokenRefused):
        await who(office, account)
    assert (await office.again(account)).refused_at == clock()
    before = len(office.server.requests)
    with pytest.raises(SpeckleTokenRefused):
        await who(office, account)
    assert len(office.server.requests) == before
    assert await office.lender.token_status(account) is TokenStatus.REFUSED


async def test_a_refusal_that_was_a_mishap_is_taken_back(office: Office, clock: Clock) -> None:
    account = await office.linked()
    office.server.faults.status, office.server.faults.times = 403, None
    office.server.faults.body = '{"error":"Your token is not valid."}'
    office.server.faults.content_type = "application/json"
    office.server.faults.path = "/graphql"
    with pytest.raises(SpeckleTokenRefused):
        await who(office, account)
    assert (await office.again(account)).refused_at is not None
    office.server.faults.clear()
    clock.forward(seconds=REFUSED_FOR.total_seconds())
    assert await who(office, account) == "Ilse Brandt"
    assert (await office.again(account)).refused_at is None


async def test_a_pasted_token_that_was_revoked_is_refused(office: Office) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=BOT_SCOPES)
    account = await office.linking.link_by_token(MAREN, way.nonce, token)
    assert await office.lender.token_status(account) is TokenStatus.TAKEN
    office.server.revoke(token)
    assert await office.lender.token_status(account) is TokenStatus.REFUSED


async def test_a_server_that_is_down_marks_nothing(office: Office) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    office.server.faults.status, office.server.faults.path = 503, "/auth/token"
    with pytest.raises(SpeckleUnavailable):
        await who(office, account)
    assert (await office.again(account)).refused_at is None
    assert await office.lender.token_status(account) is TokenStatus.UNKNOWN


async def test_linking_again_after_a_refusal_repairs_it(office: Office) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    await office.storage.write(lambda tx: tx.accounts.mark_refused(account))
    again = await office.linked()
    assert (again.id, again.refused_at) == (account.id, None)
    assert await who(office, account) == "Ilse Brandt"


async def test_an_unlinked_account_is_refused(office: Office) -> None:
    account = await office.linked()
    assert await office.linking.unlink(account)
    with pytest.raises(SpeckleTokenRefused):
        await who(office, account)


async def test_other_errors_of_the_question_come_through(office: Office) -> None:
    account = await office.linked()

    async def missing(login: Login) -> Me:
        raise SpeckleNotFound(login.server_url, "no such project")

    with pytest.raises(SpeckleNotFound):
        await office.lender.as_account(account.id, missing)


async def test_a_permit_asks_with_its_account_or_the_operators_token_or_as_a_stranger(
    office: Office,
) -> None:
    url = office.server.url

    async def token(login: Login) -> str | None:
        assert login.server_url == url
        return login.token

    account = await office.linked()
    lender = office.new_lender(operator_token="operators")
    assert await lender.with_permit(ReadPermit(1, url, TOWER), token) is None
    assert (
        await lender.with_permit(ReadPermit(1, url, TOWER, as_operator=True), token) == "operators"
    )
    mine = ReadPermit(1, url, TOWER, account_id=account.id)
    assert await lender.with_permit(mine, token) == account.tokens.token


async def test_the_operators_token_is_for_the_first_server_and_the_operators_guilds_alone(
    office: Office,
) -> None:
    url = office.server.url
    hook = await office.storage.write(
        lambda tx: tx.hooks.create(KESTREL, url, TOWER, HookKind.OWN, MAREN, place().channel_id)
    )
    served: dict[str, Any] = {"operator_token": "operators", "served_guilds": (KESTREL,)}
    assert office.new_lender(**served).serves_as_operator(hook)
    for other in (
        {"operator_token": None},
        {"served_guilds": (KESTREL + 1,)},
        {"first_server": "https://first.example"},
    ):
        assert not office.new_lender(**served | other).serves_as_operator(hook)
