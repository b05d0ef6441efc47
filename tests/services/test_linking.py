"""Linking and unlinking accounts, against a server that answers as recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.db.accounts import Accounts
from bot.errors import SpeckleUnavailable, StorageUnavailable
from bot.model import Account
from bot.services.linking import AnswerTo, LinkFailed, PasteToken, SignIn, WhyNotLinked
from bot.speckle.tokens import TokenScope
from bot.storage import Storage
from sandbox.speckle import BOT_SCOPES, SPECKLE_4, Release
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import MAREN, PUBLIC_URL, TOBIAS, Clock

TOKEN = "of a pending command"


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


async def failure(work: Any) -> LinkFailed:
    with pytest.raises(LinkFailed) as caught:
        await work
    return caught.value


# ── by signing in ─────────────────────────────────────────────────────────────────────────────


async def test_with_an_app_linking_is_a_page_of_ours_else_a_token_to_paste(
    office: Office,
) -> None:
    way = await office.start()
    assert isinstance(way, SignIn)
    assert way.url == f"{PUBLIC_URL}/link/{way.nonce}"
    assert way.nonce not in repr(way)
    for other in (office.new_linking(apps={}), office.new_linking(public_url=None)):
        pasted = await other.start_link(MAREN, office.server.url)
        assert isinstance(pasted, PasteToken)
        assert pasted.tokens_url == f"{office.server.url}/settings/user/developer"


async def test_signing_in_links_the_account_and_lets_what_waited_go_on(office: Office) -> None:
    cookie, code = await office.sign_in(pending=TOKEN)
    account = await office.linking.link_by_code(cookie, code)
    assert account == await office.lender.of_user(MAREN, office.server.url)
    assert (account.name, account.speckle_user_id) == ("Ilse Brandt", office.ilse.id)
    assert account.scopes == frozenset(TokenScope)
    assert account.tokens.refresh_token
    assert office.linking.link_completed.is_set()
    await office.resume_all()
    assert office.resumed == [(account, TOKEN)]
    assert await office.linking.completed_links() == []


async def test_whatever_waits_fails_alone(office: Office) -> None:
    async def broken(_account: Account, _pending: str, _answer_to: AnswerTo) -> None:
        raise RuntimeError("a fault in what waits")

    await office.linking.link_by_code(*await office.sign_in(pending=TOKEN))
    [(request, account)] = await office.linking.completed_links()
    await office.linking.resume_pending(request, account, broken)
    assert await office.linking.completed_links() == []
    assert await office.lender.of_user(MAREN, office.server.url) is not None


async def test_what_waits_is_kept_while_the_database_is_away(office: Office) -> None:
    async def away(_account: Account, _pending: str, _answer_to: AnswerTo) -> None:
        raise StorageUnavailable("the disk is full")

    cookie, code = await office.sign_in(pending=TOKEN)
    await office.linking.link_by_code(cookie, code)
    [(request, account)] = await office.linking.completed_links()
    with pytest.raises(StorageUnavailable):
        await office.linking.resume_pending(request, account, away)
    await office.resume_all()
    assert [pending for _, pending in office.resumed] == [TOKEN]


async def test_a_link_works_once(office: Office) -> None:
    cookie, code = await office.sign_in()
    await office.linking.link_by_code(cookie, code)
    again = await failure(office.linking.link_by_code(cookie, code))
    assert again.why is WhyNotLinked.USED
    nonce = cookie.partition(".")[0]
    assert (await failure(office.linking.begin_sign_in(nonce))).why is WhyNotLinked.USED


async def test_of_two_callbacks_at_once_one_links(office: Office) -> None:
    cookie, code = await office.sign_in()
    outcomes = await asyncio.gather(
        *(office.linking.link_by_code(cookie, code) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, Account) for one in outcomes) == 1
    assert {one.why for one in outcomes if isinstance(one, LinkFailed)} == {WhyNotLinked.USED}


async def test_a_link_runs_out(office: Office, clock: Clock) -> None:
    cookie, code = await office.sign_in()
    clock.forward(minutes=15)
    late = await failure(office.linking.link_by_code(cookie, code))
    assert late.why is WhyNotLinked.EXPIRED
    unknown = await failure(office.linking.request("n" * 43))
    assert unknown.why is WhyNotLinked.EXPIRED


async def test_another_browsers_cookie_links_nothing(office: Office) -> None:
    cookie, code = await office.sign_in()
    nonce = cookie.partition(".")[0]
    for forged in (f"{nonce}.{'x' * 43}", f"{nonce}.", nonce, f"{nonce}.ü"):
        failed = await failure(office.linking.link_by_code(forged, code))
        assert failed.why is WhyNotLinked.OTHER_BROWSER
    await office.linking.link_by_code(cookie, code)


async def test_a_sign_in_outlives_an_upgrade_of_the_server_and_a_restart_of_the_bot(
    office: Office, release: Release
) -> None:
    cookie, code = await office.sign_in()
    office.server.release = SPECKLE_4
    account = await office.new_linking().link_by_code(cookie, code)
    assert account.name == "Ilse Brandt"
    traded_at = [one.path for one in office.server.requests if one.path.endswith("/token")][-1]
    assert traded_at == ("/oauth/token" if release.pkce else "/auth/token")


async def test_a_code_that_was_given_for_another_sign_in_links_nothing(office: Office) -> None:
    victims, _ = await office.sign_in()
    mallory = office.server.add_user("Mallory Quist")
    way = await office.start(TOBIAS)
    leaving = await office.linking.begin_sign_in(way.nonce)
    mallorys_code = office.approve(leaving.url, mallory)
    failed = await failure(office.linking.link_by_code(victims, mallorys_code))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    assert await office.lender.of_user(MAREN, office.server.url) is None


async def test_starting_again_in_another_browser_voids_the_first_one(office: Office) -> None:
    way = await office.start()
    first = await office.linking.begin_sign_in(way.nonce)
    second = await office.linking.begin_sign_in(way.nonce)
    failed = await failure(office.linking.link_by_code(first.cookie, office.approve(first.url)))
    assert failed.why is WhyNotLinked.OTHER_BROWSER
    await office.linking.link_by_code(second.cookie, office.approve(second.url))


async def test_a_refused_code_leaves_the_link_to_be_tried_again(office: Office) -> None:
    way = await office.start()
    leaving = await office.linking.begin_sign_in(way.nonce)
    failed = await failure(office.linking.link_by_code(leaving.cookie, "f" * 42))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    leaving = await office.linking.begin_sign_in(way.nonce)
    await office.linking.link_by_code(leaving.cookie, office.approve(leaving.url))


async def test_a_server_that_is_down_when_the_code_comes_costs_nothing(office: Office) -> None:
    cookie, code = await office.sign_in()
    office.server.faults.status = 503
    failed = await failure(office.linking.link_by_code(cookie, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    office.server.faults.clear()
    assert (await again_until_it_answers(office, cookie, code)).name == "Ilse Brandt"


async def test_a_server_that_goes_down_behind_the_code_does_not_burn_it(office: Office) -> None:
    cookie, code = await office.sign_in()
    office.server.faults.status, office.server.faults.path = 503, "/graphql"
    failed = await failure(office.linking.link_by_code(cookie, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    assert code not in office.server.codes
    office.server.faults.clear()
    assert (await again_until_it_answers(office, cookie, code)).name == "Ilse Brandt"


@pytest.mark.parametrize("at", ["begin", "exchange", "keep"])
async def test_a_sign_in_that_was_killed_on_its_way_can_be_continued(
    office: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """As is one that lost the database: the page says to load it again in a minute."""

    async def killed(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("the disk is full")

    def full(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("the disk is full")

    where: dict[str, tuple[Any, str, Any]] = {
        "begin": (office.linking, "_exchanged", killed),
        "exchange": (office.linking, "_store", killed),
        "keep": (Accounts, "link", full),
    }
    cookie, code = await office.sign_in(pending=TOKEN)
    with monkeypatch.context() as patched:
        patched.setattr(*where[at])
        with pytest.raises(StorageUnavailable):
            await office.linking.link_by_code(cookie, code)
    clock.forward(minutes=1)
    account = await office.linking.link_by_code(cookie, code)
    await office.resume_all()
    assert [pending for _, pending in office.resumed] == [TOKEN]
    assert account.speckle_user_id == office.ilse.id


async def again_until_it_answers(office: Office, cookie: str, code: str) -> Account:
    """The same call again: a server that was away is left alone for some seconds."""
    for _ in range(100):
        try:
            return await office.linking.link_by_code(cookie, code)
        except LinkFailed as failed:
            if failed.why is not WhyNotLinked.SERVER_AWAY:
                raise
            await asyncio.sleep(0.2)
    raise AssertionError("it did not come back")


async def test_an_app_without_a_scope_is_named_with_it(office: Office) -> None:
    office.app.scopes = (TokenScope.STREAMS_WRITE, TokenScope.PROFILE_READ)
    failed = await failure(office.linking.link_by_code(*await office.sign_in()))
    assert (failed.why, failed.scopes) == (WhyNotLinked.SCOPES_MISSING, (TokenScope.STREAMS_READ,))


async def test_an_app_that_is_no_longer_configured_is_said(office: Office) -> None:
    way = await office.start()
    without = office.new_linking(apps={})
    assert (await failure(without.begin_sign_in(way.nonce))).why is WhyNotLinked.NO_APP


# ── by a token ────────────────────────────────────────────────────────────────────────────────


async def test_a_pasted_token_is_tried_and_kept(office: Office) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=BOT_SCOPES)
    account = await office.linking.link_by_token(MAREN, way.nonce, f"  Bearer {token}\n")
    assert (account.tokens.token, account.tokens.refresh_token) == (token, None)
    assert account.name == "Ilse Brandt"
    [(request, _)] = await office.linking.completed_links()
    assert request.details.notified


@pytest.mark.parametrize(
    ("scopes", "missing"),
    [
        (("streams:read", "streams:write"), (TokenScope.PROFILE_READ,)),
        (("profile:read", "streams:write"), (TokenScope.STREAMS_READ,)),
        (("streams:write",), (TokenScope.PROFILE_READ, TokenScope.STREAMS_READ)),
        (("users:read",), (TokenScope.PROFILE_READ, TokenScope.STREAMS_READ)),
    ],
)
async def test_a_token_without_the_scopes_is_refused_and_they_are_named(
    office: Office, scopes: tuple[str, ...], missing: tuple[TokenScope, ...]
) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=scopes)
    failed = await failure(office.linking.link_by_token(MAREN, way.nonce, token))
    assert (failed.why, failed.scopes) == (WhyNotLinked.SCOPES_MISSING, missing)
    good = office.server.token(office.ilse, scopes=BOT_SCOPES)
    await office.linking.link_by_token(MAREN, way.nonce, good)


async def test_a_token_that_may_not_write_is_taken_with_what_it_may(office: Office) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=("streams:read", "profile:read"))
    account = await office.linking.link_by_token(MAREN, way.nonce, token)
    assert account.scopes == {TokenScope.STREAMS_READ, TokenScope.PROFILE_READ}


@pytest.mark.parametrize("token", ["", "two words", "ümlaut", "x" * 201, "Bearer"])
async def test_what_is_no_token_is_not_even_tried(office: Office, token: str) -> None:
    way = await office.start()
    before = len(office.server.requests)
    failed = await failure(office.linking.link_by_token(MAREN, way.nonce, token))
    expected = WhyNotLinked.TOKEN_REFUSED if token == "Bearer" else WhyNotLinked.NOT_A_TOKEN
    assert failed.why is expected
    assert token == "Bearer" or len(office.server.requests) == before


async def test_a_wrong_token_and_a_server_that_is_down_are_told_apart(office: Office) -> None:
    way = await office.start()
    failed = await failure(office.linking.link_by_token(MAREN, way.nonce, "f" * 42))
    assert failed.why is WhyNotLinked.TOKEN_REFUSED
    office.server.faults.status = 502
    failed = await failure(office.linking.link_by_token(MAREN, way.nonce, "f" * 42))
    assert failed.why is WhyNotLinked.SERVER_AWAY


async def test_a_form_of_one_person_links_nothing_to_another(office: Office) -> None:
    way = await office.start(MAREN)
    token = office.server.token(office.ilse, scopes=BOT_SCOPES)
    failed = await failure(office.linking.link_by_token(TOBIAS, way.nonce, token))
    assert failed.why is WhyNotLinked.OTHER_PERSON


# ── unlinking ────────────────────────────────────────────────────────────────────────────────


async def test_unlinking_detaches_what_depends_on_it_before_the_tokens_go(office: Office) -> None:
    account = await office.linked()
    seen: list[bool] = []

    async def detach(there: Account) -> None:
        me = await office.lender.as_account(there.id, office.client.me)
        seen.append(me.name == "Ilse Brandt")

    assert await office.new_linking(detach).unlink(account)
    assert seen == [True]
    assert await office.lender.all_of_user(MAREN) == []


async def test_unlinking_works_while_the_server_is_down_and_says_what_was_left(
    office: Office,
) -> None:
    account = await office.linked()

    async def detach(there: Account) -> None:
        raise SpeckleUnavailable(there.server_url, "down")

    assert not await office.new_linking(detach).unlink(account)
    assert await office.lender.all_of_user(MAREN) == []
