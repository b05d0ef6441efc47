"""Linking, renewing and forgetting accounts, against a server that answers as recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bot.db.accounts import Accounts
from bot.errors import SpeckleNotFound, SpeckleTokenRefused, SpeckleUnavailable, StorageUnavailable
from bot.model import Account, HookKind
from bot.services.access_rules import ReadPermit
from bot.services.accounts import (
    REFUSED_FOR,
    AnswerTo,
    LinkFailed,
    PasteToken,
    SignIn,
    TokenStatus,
    WhyNotLinked,
)
from bot.speckle.tokens import TokenScope
from bot.speckle_api.types import Login, Me
from bot.storage import Storage
from sandbox.speckle import BOT_SCOPES
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import KESTREL, MAREN, PUBLIC_URL, TOBIAS, TOWER, Clock, place

TOKEN = "of a pending command"


@pytest.fixture
async def office(storage: Storage, clock: Clock) -> AsyncIterator[Office]:
    async with open_office(storage, clock) as opened:
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
    for other in (office.service_like(apps={}), office.service_like(public_url=None)):
        pasted = await other.start_link(MAREN, office.server.url)
        assert isinstance(pasted, PasteToken)
        assert pasted.tokens_url == f"{office.server.url}/settings/user/developer"


async def test_signing_in_links_the_account_and_lets_what_waited_go_on(office: Office) -> None:
    cookie, code = await office.sign_in(pending=TOKEN)
    account = await office.service.link_by_code(cookie, code)
    assert account == await office.service.of_user(MAREN, office.server.url)
    assert (account.name, account.speckle_user_id) == ("Ilse Brandt", office.ilse.id)
    assert account.scopes == frozenset(TokenScope)
    assert account.tokens.refresh_token
    assert office.service.link_completed.is_set()
    [(request, linked)] = await office.service.completed_links()
    await office.service.resume_pending(request, linked)
    assert office.went_on == [(account, TOKEN)]
    assert await office.service.completed_links() == []


async def test_whatever_waits_fails_alone(office: Office) -> None:
    async def broken(_account: Account, _pending: str, _answer_to: AnswerTo) -> None:
        raise RuntimeError("a fault in what waits")

    office.service.on_linked = broken
    await office.service.link_by_code(*await office.sign_in(pending=TOKEN))
    [(request, account)] = await office.service.completed_links()
    await office.service.resume_pending(request, account)
    assert await office.service.completed_links() == []
    assert await office.service.of_user(MAREN, office.server.url) is not None


async def test_what_waits_is_kept_while_the_database_is_away(office: Office) -> None:
    async def away(_account: Account, _pending: str, _answer_to: AnswerTo) -> None:
        raise StorageUnavailable("the disk is full")

    went_on, office.service.on_linked = office.service.on_linked, away
    cookie, code = await office.sign_in(pending=TOKEN)
    await office.service.link_by_code(cookie, code)
    [(request, account)] = await office.service.completed_links()
    with pytest.raises(StorageUnavailable):
        await office.service.resume_pending(request, account)
    office.service.on_linked = went_on
    [(request, account)] = await office.service.completed_links()
    await office.service.resume_pending(request, account)
    assert [pending for _, pending in office.went_on] == [TOKEN]


async def test_a_link_works_once(office: Office) -> None:
    cookie, code = await office.sign_in()
    await office.service.link_by_code(cookie, code)
    again = await failure(office.service.link_by_code(cookie, code))
    assert again.why is WhyNotLinked.USED
    nonce = cookie.partition(".")[0]
    assert (await failure(office.service.begin_sign_in(nonce))).why is WhyNotLinked.USED


async def test_of_two_callbacks_at_once_one_links(office: Office) -> None:
    cookie, code = await office.sign_in()
    outcomes = await asyncio.gather(
        *(office.service.link_by_code(cookie, code) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(one, Account) for one in outcomes) == 1
    assert {one.why for one in outcomes if isinstance(one, LinkFailed)} == {WhyNotLinked.USED}


async def test_a_link_runs_out(office: Office, clock: Clock) -> None:
    cookie, code = await office.sign_in()
    clock.forward(minutes=15)
    late = await failure(office.service.link_by_code(cookie, code))
    assert late.why is WhyNotLinked.EXPIRED
    unknown = await failure(office.service.request("n" * 43))
    assert unknown.why is WhyNotLinked.EXPIRED


async def test_another_browsers_cookie_links_nothing(office: Office) -> None:
    cookie, code = await office.sign_in()
    nonce = cookie.partition(".")[0]
    for forged in (f"{nonce}.{'x' * 43}", f"{nonce}.", nonce, f"{nonce}.ü"):
        failed = await failure(office.service.link_by_code(forged, code))
        assert failed.why is WhyNotLinked.OTHER_BROWSER
    await office.service.link_by_code(cookie, code)


async def test_a_code_that_was_given_for_another_sign_in_links_nothing(office: Office) -> None:
    victims, _ = await office.sign_in()
    mallory = office.server.add_user("Mallory Quist")
    way = await office.start(TOBIAS)
    leaving = await office.service.begin_sign_in(way.nonce)
    mallorys_code = office.approve(leaving.url, mallory)
    failed = await failure(office.service.link_by_code(victims, mallorys_code))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    assert await office.service.of_user(MAREN, office.server.url) is None


async def test_starting_again_in_another_browser_voids_the_first_one(office: Office) -> None:
    way = await office.start()
    first = await office.service.begin_sign_in(way.nonce)
    second = await office.service.begin_sign_in(way.nonce)
    failed = await failure(office.service.link_by_code(first.cookie, office.approve(first.url)))
    assert failed.why is WhyNotLinked.OTHER_BROWSER
    await office.service.link_by_code(second.cookie, office.approve(second.url))


async def test_a_refused_code_leaves_the_link_to_be_tried_again(office: Office) -> None:
    way = await office.start()
    leaving = await office.service.begin_sign_in(way.nonce)
    failed = await failure(office.service.link_by_code(leaving.cookie, "f" * 42))
    assert failed.why is WhyNotLinked.CODE_REFUSED
    leaving = await office.service.begin_sign_in(way.nonce)
    await office.service.link_by_code(leaving.cookie, office.approve(leaving.url))


async def test_a_server_that_is_down_when_the_code_comes_costs_nothing(office: Office) -> None:
    cookie, code = await office.sign_in()
    office.server.faults.status = 503
    failed = await failure(office.service.link_by_code(cookie, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    office.server.faults.clear()
    assert (await again_until_it_answers(office, cookie, code)).name == "Ilse Brandt"


async def test_a_server_that_goes_down_behind_the_code_does_not_burn_it(office: Office) -> None:
    cookie, code = await office.sign_in()
    office.server.faults.status, office.server.faults.path = 503, "/graphql"
    failed = await failure(office.service.link_by_code(cookie, code))
    assert failed.why is WhyNotLinked.SERVER_AWAY
    assert code not in office.server.codes
    office.server.faults.clear()
    assert (await again_until_it_answers(office, cookie, code)).name == "Ilse Brandt"


@pytest.mark.parametrize("at", ["begin", "exchange", "keep"])
async def test_a_sign_in_that_was_killed_on_its_way_can_be_gone_on_with(
    office: Office, clock: Clock, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    """As is one that lost the database: the page says to load it again in a minute."""

    async def killed(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("the disk is full")

    def full(*_: Any, **__: Any) -> Any:
        raise StorageUnavailable("the disk is full")

    where: dict[str, tuple[Any, str, Any]] = {
        "begin": (office.service, "_exchanged", killed),
        "exchange": (office.service, "_store", killed),
        "keep": (Accounts, "link", full),
    }
    cookie, code = await office.sign_in(pending=TOKEN)
    with monkeypatch.context() as patched:
        patched.setattr(*where[at])
        with pytest.raises(StorageUnavailable):
            await office.service.link_by_code(cookie, code)
    clock.forward(minutes=1)
    account = await office.service.link_by_code(cookie, code)
    [(request, linked)] = await office.service.completed_links()
    await office.service.resume_pending(request, linked)
    assert [pending for _, pending in office.went_on] == [TOKEN]
    assert account.speckle_user_id == office.ilse.id


async def again_until_it_answers(office: Office, cookie: str, code: str) -> Account:
    """The same call again: a server that was away is left alone for some seconds."""
    for _ in range(100):
        try:
            return await office.service.link_by_code(cookie, code)
        except LinkFailed as failed:
            if failed.why is not WhyNotLinked.SERVER_AWAY:
                raise
            await asyncio.sleep(0.2)
    raise AssertionError("it did not come back")


async def test_an_app_without_a_scope_is_named_with_it(office: Office) -> None:
    office.app.scopes = (TokenScope.STREAMS_WRITE, TokenScope.PROFILE_READ)
    failed = await failure(office.service.link_by_code(*await office.sign_in()))
    assert (failed.why, failed.scopes) == (WhyNotLinked.SCOPES_MISSING, (TokenScope.STREAMS_READ,))


async def test_an_app_that_is_no_longer_configured_is_said(office: Office) -> None:
    way = await office.start()
    without = office.service_like(apps={})
    assert (await failure(without.begin_sign_in(way.nonce))).why is WhyNotLinked.NO_APP


# ── by a token ────────────────────────────────────────────────────────────────────────────────


async def test_a_pasted_token_is_tried_and_kept(office: Office) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=BOT_SCOPES)
    account = await office.service.link_by_token(MAREN, way.nonce, f"  Bearer {token}\n")
    assert (account.tokens.token, account.tokens.refresh_token) == (token, None)
    assert account.name == "Ilse Brandt"
    [(request, _)] = await office.service.completed_links()
    assert request.details.told


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
    failed = await failure(office.service.link_by_token(MAREN, way.nonce, token))
    assert (failed.why, failed.scopes) == (WhyNotLinked.SCOPES_MISSING, missing)
    good = office.server.token(office.ilse, scopes=BOT_SCOPES)
    await office.service.link_by_token(MAREN, way.nonce, good)


async def test_a_token_that_may_not_write_is_taken_with_what_it_may(office: Office) -> None:
    way = await office.start()
    token = office.server.token(office.ilse, scopes=("streams:read", "profile:read"))
    account = await office.service.link_by_token(MAREN, way.nonce, token)
    assert account.scopes == {TokenScope.STREAMS_READ, TokenScope.PROFILE_READ}


@pytest.mark.parametrize("token", ["", "two words", "ümlaut", "x" * 201, "Bearer"])
async def test_what_is_no_token_is_not_even_tried(office: Office, token: str) -> None:
    way = await office.start()
    before = len(office.server.requests)
    failed = await failure(office.service.link_by_token(MAREN, way.nonce, token))
    expected = WhyNotLinked.TOKEN_REFUSED if token == "Bearer" else WhyNotLinked.NOT_A_TOKEN
    assert failed.why is expected
    assert token == "Bearer" or len(office.server.requests) == before


async def test_a_wrong_token_and_a_server_that_is_down_are_told_apart(office: Office) -> None:
    way = await office.start()
    failed = await failure(office.service.link_by_token(MAREN, way.nonce, "f" * 42))
    assert failed.why is WhyNotLinked.TOKEN_REFUSED
    office.server.faults.status = 502
    failed = await failure(office.service.link_by_token(MAREN, way.nonce, "f" * 42))
    assert failed.why is WhyNotLinked.SERVER_AWAY


async def test_a_form_of_one_person_links_nothing_to_another(office: Office) -> None:
    way = await office.start(MAREN)
    token = office.server.token(office.ilse, scopes=BOT_SCOPES)
    failed = await failure(office.service.link_by_token(TOBIAS, way.nonce, token))
    assert failed.why is WhyNotLinked.OTHER_PERSON


# ── asking with them ──────────────────────────────────────────────────────────────────────────


async def who(office: Office, account: Account) -> str | None:
    return (await office.service.as_account(account.id, office.gateway.me)).name


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
    other = office.service_like()
    before = renewals(office)
    names = await asyncio.gather(
        *(service.as_account(account.id, office.gateway.me)
          for service in (office.service, other) for _ in range(4))
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
    assert await office.service.token_status(account) is TokenStatus.REFUSED


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
    account = await office.service.link_by_token(MAREN, way.nonce, token)
    assert await office.service.token_status(account) is TokenStatus.TAKEN
    office.server.revoke(token)
    assert await office.service.token_status(account) is TokenStatus.REFUSED


async def test_a_server_that_is_down_marks_nothing(office: Office) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    office.server.faults.status, office.server.faults.path = 503, "/auth/token"
    with pytest.raises(SpeckleUnavailable):
        await who(office, account)
    assert (await office.again(account)).refused_at is None
    assert await office.service.token_status(account) is TokenStatus.UNKNOWN


async def test_linking_anew_after_a_refusal_mends_it(office: Office) -> None:
    account = await office.linked()
    office.server.revoke(account.tokens.token)
    await office.storage.write(lambda tx: tx.accounts.mark_refused(account))
    anew = await office.linked()
    assert (anew.id, anew.refused_at) == (account.id, None)
    assert await who(office, account) == "Ilse Brandt"


async def test_an_unlinked_account_is_refused(office: Office) -> None:
    account = await office.linked()
    assert await office.service.unlink(account)
    with pytest.raises(SpeckleTokenRefused):
        await who(office, account)


async def test_other_errors_of_the_question_come_through(office: Office) -> None:
    account = await office.linked()

    async def missing(login: Login) -> Me:
        raise SpeckleNotFound(login.server_url, "no such project")

    with pytest.raises(SpeckleNotFound):
        await office.service.as_account(account.id, missing)


async def test_a_pass_asks_with_its_account_or_the_operators_token_or_as_a_stranger(
    office: Office,
) -> None:
    url = office.server.url

    async def token(login: Login) -> str | None:
        assert login.server_url == url
        return login.token

    account = await office.linked()
    service = office.service_like(operator_token="operators")
    assert await service.with_permit(ReadPermit(1, url, TOWER), token) is None
    assert (
        await service.with_permit(ReadPermit(1, url, TOWER, as_operator=True), token) == "operators"
    )
    mine = ReadPermit(1, url, TOWER, account_id=account.id)
    assert await service.with_permit(mine, token) == account.tokens.token


async def test_the_operators_token_is_for_the_first_server_and_the_operators_guilds_alone(
    office: Office,
) -> None:
    url = office.server.url
    hook = await office.storage.write(
        lambda tx: tx.hooks.create(KESTREL, url, TOWER, HookKind.OWN, MAREN, place().channel_id)
    )
    served: dict[str, Any] = {"operator_token": "operators", "served_guilds": (KESTREL,)}
    assert office.service_like(**served).serves_as_operator(hook)
    for other in (
        {"operator_token": None},
        {"served_guilds": (KESTREL + 1,)},
        {"speckle_servers": ("https://first.example", url)},
    ):
        assert not office.service_like(**served | other).serves_as_operator(hook)


# ── forgetting ────────────────────────────────────────────────────────────────────────────────


async def test_unlinking_sees_to_what_hangs_on_it_before_the_tokens_go(office: Office) -> None:
    account = await office.linked()
    seen: list[bool] = []

    async def let_go(there: Account) -> None:
        seen.append(await who(office, there) == "Ilse Brandt")

    office.service.on_before_unlink = let_go
    assert await office.service.unlink(account)
    assert seen == [True]
    assert await office.service.all_of_user(MAREN) == []


async def test_unlinking_works_while_the_server_is_down_and_says_what_was_left(
    office: Office,
) -> None:
    account = await office.linked()

    async def let_go(there: Account) -> None:
        raise SpeckleUnavailable(there.server_url, "down")

    office.service.on_before_unlink = let_go
    assert not await office.service.unlink(account)
    assert await office.service.all_of_user(MAREN) == []


async def test_what_is_stored_about_a_person_is_shown_and_erased(office: Office) -> None:
    assert (await office.service.personal_data(MAREN)).is_nothing
    account = await office.linked()
    await office.start()
    hook = await office.storage.write(
        lambda tx: tx.hooks.create(
            KESTREL, office.server.url, TOWER, HookKind.OWN, MAREN, place().channel_id
        )
    )
    stored = await office.service.personal_data(MAREN)
    assert [one.id for one, _ in stored.accounts] == [account.id]
    assert (stored.unfinished, stored.hooks) == (1, 1)
    assert (await office.service.personal_data(TOBIAS)).is_nothing
    assert await office.service.erase_personal_data(MAREN)
    assert (await office.service.personal_data(MAREN)).is_nothing
    assert await office.storage.read(lambda tx: tx.hooks.get(hook.id)) is not None
