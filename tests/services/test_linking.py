"""Linking and unlinking accounts, against a server that answers as recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.db.accounts import Accounts
from bot.errors import SpeckleUnavailable, StorageUnavailable
from bot.model import Account
from bot.services.linking import (
    AnswerTo,
    LinkFailed,
    PasteCode,
    PasteToken,
    SignIn,
    WhyNotLinked,
)
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
    pasted = await office.new_linking(apps={}).start_link(MAREN, office.server.url)
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
    account = await again_until_it_answers(lambda: office.linking.link_by_code(cookie, code))
    assert account.name == "Ilse Brandt"


async def test_a_server_that_goes_down_behind_the_code_does_not_burn_it(office: Office) -> None:
    cookie, code = await office.sign_in()
    office.server.faults.status, office.server.faults.path = 503, "/graphql"
    failed = await failure(office.linking.link_by_code(cookie, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    assert code not in office.server.codes
    office.server.faults.clear()
    account = await again_until_it_answers(lambda: office.linking.link_by_code(cookie, code))
    assert account.name == "Ilse Brandt"


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


async def again_until_it_answers(link: Callable[[], Awaitable[Account]]) -> Account:
    """The same call again: a server that was away is left alone for some seconds."""
    for _ in range(100):
        try:
            return await link()
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


# ── by a code that Speckle shows: an application, and no public address ───────────────────────


@pytest.fixture
async def at_home(storage: Storage, clock: Clock) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=SPECKLE_4, public_url=None) as opened:
        yield opened


async def shown_code(office: Office, pending: str | None = None) -> tuple[str, str]:
    """/link, and the yes on Speckle: the request's nonce, and the code that Speckle shows."""
    way = await office.start(pending=pending)
    assert isinstance(way, PasteCode)
    return way.nonce, office.approve(way.url)


async def test_without_a_public_address_speckle_shows_a_code_where_it_takes_verifiers(
    storage: Storage, clock: Clock, release: Release
) -> None:
    async with open_office(storage, clock, release=release, public_url=None) as office:
        way = await office.start()
        assert isinstance(way, PasteCode if release.pkce else PasteToken)
        assert way.tokens_url == f"{office.server.url}/settings/user/developer"
        if isinstance(way, PasteCode):
            assert way.url.startswith(f"{office.server.url}/authn/verify/{office.app.id}/")
            assert way.url.endswith("?code_challenge_method=S256&returnExchangeToken=true")
            assert way.nonce not in repr(way)
            assert way.url not in repr(way)


async def test_a_server_that_cannot_be_asked_is_linked_with_a_token(at_home: Office) -> None:
    at_home.server.faults.status = 503
    assert isinstance(await at_home.start(), PasteToken)


async def test_a_shown_code_links_the_account_and_lets_what_waited_go_on(at_home: Office) -> None:
    nonce, code = await shown_code(at_home, pending=TOKEN)
    account = await at_home.new_linking().link_by_pasted_code(MAREN, nonce, f" {code}\n")
    assert account == await at_home.lender.of_user(MAREN, at_home.server.url)
    assert (account.name, account.scopes) == ("Ilse Brandt", frozenset(TokenScope))
    assert account.tokens.refresh_token
    [(request, _)] = await at_home.linking.completed_links()
    assert request.details.notified  # in answer to the form
    await at_home.resume_all()
    assert at_home.resumed == [(account, TOKEN)]
    again = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert again.why is WhyNotLinked.EXPIRED  # it is over, and so forgotten


async def test_the_address_of_the_page_that_a_person_was_sent_on_to_has_the_code(
    at_home: Office,
) -> None:
    nonce, code = await shown_code(at_home)
    typed = f"https://localhost/link/callback?access_code={code}&more=1#top"
    assert (await at_home.linking.link_by_pasted_code(MAREN, nonce, typed)).name == "Ilse Brandt"


async def test_of_one_code_sent_off_several_times_one_links(at_home: Office) -> None:
    nonce, code = await shown_code(at_home)
    outcomes = await asyncio.gather(
        *(at_home.linking.link_by_pasted_code(MAREN, nonce, code) for _ in range(4)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, Account) for one in outcomes) == 1
    assert {one.why for one in outcomes if isinstance(one, LinkFailed)} == {WhyNotLinked.USED}


async def test_a_code_is_of_use_for_15_minutes_to_one_person(at_home: Office, clock: Clock) -> None:
    nonce, code = await shown_code(at_home)
    other = await failure(at_home.linking.link_by_pasted_code(TOBIAS, nonce, code))
    assert other.why is WhyNotLinked.OTHER_PERSON
    clock.forward(minutes=15)
    late = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert late.why is WhyNotLinked.EXPIRED


async def test_a_code_that_was_shown_to_somebody_else_links_nothing(at_home: Office) -> None:
    nonce, _ = await shown_code(at_home)
    mallorys = await at_home.start(TOBIAS)
    assert isinstance(mallorys, PasteCode)
    code = at_home.approve(mallorys.url, at_home.server.add_user("Mallory Quist"))
    failed = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    assert await at_home.lender.of_user(MAREN, at_home.server.url) is None


async def test_after_a_wrong_code_the_right_one_links(at_home: Office) -> None:
    nonce, code = await shown_code(at_home)
    wrong = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code[:-1]))
    assert wrong.why is WhyNotLinked.CODE_REFUSED
    before = len(at_home.server.requests)
    for typed in ("", "two words", "ümlaut", "x" * 201):
        untried = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, typed))
        assert untried.why is WhyNotLinked.NOT_A_CODE
    assert len(at_home.server.requests) == before
    await at_home.linking.link_by_pasted_code(MAREN, nonce, code)


async def test_where_no_code_is_shown_a_token_links_in_its_place(at_home: Office) -> None:
    nonce, code = await shown_code(at_home)
    token = at_home.server.token(at_home.ilse, scopes=BOT_SCOPES)
    account = await at_home.linking.link_by_token(MAREN, nonce, token)
    assert account.tokens.refresh_token is None
    used = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert used.why is WhyNotLinked.USED


@pytest.mark.parametrize("path", ["/oauth/token", "/graphql"])
async def test_while_the_server_is_away_a_shown_code_is_not_lost(
    at_home: Office, path: str
) -> None:
    nonce, code = await shown_code(at_home)
    at_home.server.faults.status, at_home.server.faults.path = 503, path
    failed = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    assert (code in at_home.server.codes) == (path == "/oauth/token")
    at_home.server.faults.clear()
    await again_until_it_answers(lambda: at_home.linking.link_by_pasted_code(MAREN, nonce, code))


async def test_a_link_that_leads_to_our_page_takes_no_shown_code(office: Office) -> None:
    """Its sign-in is one browser's."""
    way = await office.start()
    leaving = await office.linking.begin_sign_in(way.nonce)
    code = office.approve(leaving.url)
    failed = await failure(office.linking.link_by_pasted_code(MAREN, way.nonce, code))
    assert failed.why is WhyNotLinked.EXPIRED
    await office.linking.link_by_code(leaving.cookie, code)


async def test_a_wrong_secret_of_the_application_is_in_the_log_and_no_code_is(
    at_home: Office,
) -> None:
    nonce, code = await shown_code(at_home)
    at_home.app.secret = "another one"
    with capture_logs() as lines:
        failed = await failure(at_home.linking.link_by_pasted_code(MAREN, nonce, code))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    assert "the application's secret is wrong" in str(lines)
    assert code not in str(lines)


async def test_without_its_application_a_shown_code_is_of_no_use(at_home: Office) -> None:
    nonce, code = await shown_code(at_home)
    without = at_home.new_linking(apps={})
    failed = await failure(without.link_by_pasted_code(MAREN, nonce, code))
    assert failed.why is WhyNotLinked.NO_APP
    assert at_home.server.codes


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
