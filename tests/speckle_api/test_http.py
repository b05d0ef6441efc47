"""Signing in and pictures, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from bot.cards.pictures import media_type_of
from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle.tokens import Challenge, SpeckleApp
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.previews import NoPicture, Previews, Rendered, preview_url
from bot.speckle_api.sign_in import SpeckleSignIn, sign_in_url
from bot.speckle_api.types import Login, Me
from sandbox.speckle import SPECKLE_2_31, Release, SpeckleServer
from tests.cards.test_avatars import photograph
from tests.speckle_api.conftest import Studio

CHALLENGE = Challenge("c" * 43)


@pytest.fixture
def release() -> Release:
    """The one without verifiers; test_sign_in.py has the others."""
    return SPECKLE_2_31


@pytest.fixture
async def http(studio: Studio) -> AsyncIterator[SpeckleHttp]:
    async with SpeckleHttp.open([studio.server.url]) as http:
        yield http


@pytest.fixture
def oauth(http: SpeckleHttp) -> SpeckleSignIn:
    return SpeckleSignIn(http)


@pytest.fixture
def app(studio: Studio) -> SpeckleApp:
    made = studio.server.register_app("https://bot.example/speckle/callback")
    return SpeckleApp(studio.server.url, made.id, made.secret)


def approved(studio: Studio, app: SpeckleApp, challenge: Challenge = CHALLENGE) -> str:
    page = sign_in_url(app, challenge)
    return studio.server.approve(studio.ilse, studio.server.apps[app.id], page.rpartition("/")[2])


def wrong(app: SpeckleApp) -> SpeckleApp:
    return SpeckleApp(app.server_url, app.id, "not the secret")


# ── signing in ──


async def test_a_person_is_sent_to_the_server_s_own_page(
    studio: Studio, http: SpeckleHttp, app: SpeckleApp
) -> None:
    url = sign_in_url(app, CHALLENGE)
    assert url == f"{studio.server.url}/authn/verify/{app.id}/{CHALLENGE.text}"
    path = url.removeprefix(studio.server.url)
    page = await http.get(Login(studio.server.url), path, max_bytes=10_000, within_s=5.0)
    assert page.status == 200
    assert sign_in_url(app, Challenge("a/b?c")).endswith("/a%2Fb%3Fc")


async def test_an_approval_gives_tokens_that_work(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp
) -> None:
    tokens = await oauth.exchange(app, approved(studio, app), CHALLENGE)
    me = await studio.client.me(Login(studio.server.url, tokens.token))
    assert me == Me(studio.ilse.id, "Ilse Brandt")
    assert tokens.token not in repr(tokens)


async def test_a_code_works_once(studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp) -> None:
    code = approved(studio, app)
    await oauth.exchange(app, code, CHALLENGE)
    with pytest.raises(SpeckleTokenRefused) as used:
        await oauth.exchange(app, code, CHALLENGE)
    assert "used before" in used.value.reason


async def test_a_wrong_secret_or_challenge_burns_the_code(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp
) -> None:
    code = approved(studio, app)
    with pytest.raises(SpeckleTokenRefused) as refused:
        await oauth.exchange(wrong(app), code, CHALLENGE)
    assert "secret" in refused.value.reason
    for challenge in (Challenge("another"), CHALLENGE):
        with pytest.raises(SpeckleTokenRefused):
            await oauth.exchange(app, code, challenge)


async def test_a_code_lives_ten_minutes(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp
) -> None:
    code = approved(studio, app)
    studio.server.codes[code].made_at -= timedelta(minutes=11)
    with pytest.raises(SpeckleTokenRefused) as old:
        await oauth.exchange(app, code, CHALLENGE)
    assert "10 minutes" in old.value.reason


async def test_a_refresh_gives_a_new_pair_and_the_old_one_keeps_working(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp
) -> None:
    first = await oauth.exchange(app, approved(studio, app), CHALLENGE)
    assert first.refresh_token is not None
    with pytest.raises(SpeckleTokenRefused):
        await oauth.refresh(wrong(app), first.refresh_token)
    second = await oauth.refresh(app, first.refresh_token)
    third = await oauth.refresh(app, first.refresh_token)
    assert len({first.token, second.token, third.token}) == 3
    for tokens in (first, second, third):
        await studio.client.me(Login(studio.server.url, tokens.token))
    with pytest.raises(SpeckleTokenRefused):
        await oauth.refresh(app, first.token)


async def test_a_removed_app_kills_its_tokens(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp
) -> None:
    tokens = await oauth.exchange(app, approved(studio, app), CHALLENGE)
    studio.server.oauth.remove_app(studio.server.apps[app.id])
    with pytest.raises(SpeckleTokenRefused):
        await studio.client.me(Login(studio.server.url, tokens.token))
    with pytest.raises(SpeckleTokenRefused):
        await oauth.refresh(app, tokens.refresh_token or "")


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>"),
        (200, "{}"),
        (200, "[]"),
        (200, '{"token": "a b", "refreshToken": "x"}'),
        (200, '{"token": "new\\nline", "refreshToken": "x"}'),
        (200, '{"token": 5, "refreshToken": null}'),
        (401, "<html>"),
        (401, "{}"),
        (429, "{}"),
        (500, '{"err": "oh"}'),
        (502, "<html>"),
    ],
)
async def test_what_is_no_answer_about_a_code_is_no_refusal(
    studio: Studio, oauth: SpeckleSignIn, app: SpeckleApp, status: int, body: str
) -> None:
    studio.server.faults.status, studio.server.faults.body = status, body
    with pytest.raises(SpeckleUnavailable):
        await oauth.exchange(app, "a code", CHALLENGE)
    assert len(studio.server.requests) == 1


# ── pictures ──


async def test_a_picture_is_told_from_what_stands_in_for_it(
    studio: Studio, http: SpeckleHttp
) -> None:
    pictures = Previews(http)

    async def seen(login: Login, version_id: str) -> Rendered | NoPicture:
        return await pictures.of_version(login, studio.tower.id, version_id, within_s=5.0)

    assert await seen(studio.login, studio.second.id) is NoPicture.NOT_YET
    assert studio.second.preview_asked == 1
    assert await seen(studio.login, "ffffffffff") is NoPicture.MISSING
    assert await seen(studio.strangers, studio.second.id) is NoPicture.NO_ACCESS
    assert await seen(Login(studio.server.url), studio.second.id) is NoPicture.NO_ACCESS
    assert await seen(studio.limited("streams:write"), studio.second.id) is NoPicture.NO_ACCESS
    studio.server.render(studio.second)
    picture = await seen(studio.login, studio.second.id)
    assert isinstance(picture, Rendered)
    assert media_type_of(picture.content) == "image/png"
    with pytest.raises(SpeckleTokenRefused):
        await seen(Login(studio.server.url, "5a" * 21), studio.second.id)


async def test_a_public_picture_needs_no_token(studio: Studio, http: SpeckleHttp) -> None:
    hall = studio.server.add_project("Public Hall", owner=studio.ilse, visibility="PUBLIC")
    model = studio.server.add_model(hall, "hall")
    version = studio.server.add_version(hall, model, author=studio.ilse)
    studio.server.render(version)
    stranger = Login(studio.server.url)
    picture = await Previews(http).of_version(stranger, hall.id, version.id, within_s=5.0)
    assert isinstance(picture, Rendered)
    url = preview_url(studio.server.url, hall.id, version.id)
    assert url == f"{studio.server.url}/preview/{hall.id}/commits/{version.id}"
    assert preview_url("http://x", "../a", "b?c#d") == "http://x/preview/..%2Fa/commits/b%3Fc%23d"


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, "<html>"), (200, ""), (403, "<html>"), (404, ""), (502, ""), (429, "{}")],
)
async def test_what_is_no_picture_is_none(
    studio: Studio, http: SpeckleHttp, status: int, body: str
) -> None:
    studio.server.faults.status, studio.server.faults.body = status, body
    with pytest.raises(SpeckleUnavailable):
        await Previews(http).of_version(studio.login, "a", "b", within_s=5.0)


async def test_a_busy_server_says_when_to_come_back(studio: Studio, http: SpeckleHttp) -> None:
    studio.server.faults.rate_limit(0.866)
    with pytest.raises(SpeckleUnavailable) as busy:
        await Previews(http).of_version(studio.login, "a", "b", within_s=5.0)
    assert busy.value.retry_in_s == 0.866


async def test_a_picture_that_is_too_large_is_not_read(studio: Studio, http: SpeckleHttp) -> None:
    studio.server.faults.status = 200
    studio.server.faults.body = photograph(10) + bytes(50_000_000)
    with pytest.raises(SpeckleUnavailable):
        await Previews(http).of_version(studio.login, "a", "b", within_s=5.0)


# ── the session ──


async def asked(http: SpeckleHttp, login: Login, within_s: float = 5.0) -> Any:
    return await http.get(login, "/preview/a/commits/b", max_bytes=100_000, within_s=within_s)


async def test_redirects_are_not_followed_and_no_other_server_is_asked(
    studio: Studio, http: SpeckleHttp
) -> None:
    async with SpeckleServer.start() as other:
        studio.server.faults.redirect_to = f"{other.url}/"
        assert (await asked(http, studio.login)).status == 307
        with pytest.raises(SpeckleUnavailable):
            await asked(http, Login(other.url))
        assert other.requests == []


async def test_no_cookies_are_kept(studio: Studio, http: SpeckleHttp) -> None:
    await asked(http, studio.login)
    await asked(http, Login(studio.server.url))
    last = studio.server.requests[-1]
    assert "Cookie" not in last.headers
    assert last.authorization is None


async def test_a_hanging_server_is_given_up_in_time(studio: Studio, http: SpeckleHttp) -> None:
    studio.server.faults.hang = True
    began = time.monotonic()
    with pytest.raises(SpeckleUnavailable):
        await asked(http, studio.login, within_s=0.3)
    assert time.monotonic() - began < 0.6


async def test_a_dripping_answer_is_given_up_in_time(studio: Studio, http: SpeckleHttp) -> None:
    studio.server.faults.status, studio.server.faults.drip_s = 200, 0.05
    studio.server.faults.body = "x" * 200
    began = time.monotonic()
    with pytest.raises(SpeckleUnavailable):
        await asked(http, studio.login, within_s=0.3)
    assert time.monotonic() - began < 0.6


async def test_a_token_that_cannot_be_one_asks_nobody(studio: Studio, http: SpeckleHttp) -> None:
    with pytest.raises(SpeckleTokenRefused):
        await asked(http, Login(studio.server.url, "new\r\nline: x"))
    assert studio.server.requests == []


async def test_one_breaker_serves_questions_and_pictures(studio: Studio) -> None:
    breakers = CircuitBreakers(BreakerLimits(silence_s=0.1))
    server_url = studio.server.url
    client = SpeckleClient(servers=[server_url], deadline_s=5.0, breakers=breakers)
    async with SpeckleHttp.open([server_url], breakers) as http:
        studio.server.faults.hang = True
        for _ in range(breakers.limits.failures):
            with pytest.raises(SpeckleUnavailable):
                await asked(http, studio.login, within_s=0.1)
        with pytest.raises(SpeckleUnavailable) as resting:
            await client.me(studio.login)
        assert resting.value.retry_in_s is not None
    client.close()


async def test_a_question_that_nobody_waits_for_any_more_is_no_silence(
    studio: Studio, http: SpeckleHttp
) -> None:
    studio.server.faults.hang = True
    for _ in range(BreakerLimits().failures + 1):
        task = asyncio.create_task(asked(http, studio.login))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait([task])
    studio.server.faults.clear()
    assert json.loads((await asked(http, Login(studio.server.url, "5a" * 21))).body)
