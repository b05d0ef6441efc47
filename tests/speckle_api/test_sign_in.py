"""Signing in on servers with and without verifiers (RFC 7636), over real sockets."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.speckle.tokens import Challenge, SpeckleApp, Tokens
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.sign_in import DAY_S, SpeckleSignIn, sign_in_url
from bot.speckle_api.types import Login
from sandbox.speckle import RELEASES, SPECKLE_4, Release, SpeckleServer

PAGE = "<!DOCTYPE html><html></html>"


@dataclass
class SignInDesk:
    """Ilse, an application, and a clock."""

    server: SpeckleServer
    http: SpeckleHttp
    now: float = 0.0
    sign_in: SpeckleSignIn = field(init=False)

    def __post_init__(self) -> None:
        self.ilse = self.server.add_user("Ilse Brandt")
        self.registered = self.server.register_app("https://bot.example/link/callback")
        self.app = SpeckleApp(self.server.url, self.registered.id, self.registered.secret)
        self.sign_in = SpeckleSignIn(self.http, lambda: self.now)

    def approved(self, challenge: Challenge) -> str:
        """The code of Ilse's yes on the page that a person is sent to."""
        end = sign_in_url(self.app, challenge).rpartition("/")[2]
        return self.server.approve(self.ilse, self.registered, end)

    def asked(self, path: str) -> int:
        """How many requests there were for this path."""
        return sum(one.path == path for one in self.server.requests)

    async def works(self, tokens: Tokens) -> bool:
        """Whether they are Ilse's."""
        client = SpeckleClient(servers=[self.server.url], deadline_s=5.0)
        try:
            me = await client.me(Login(self.server.url, tokens.token))
        finally:
            client.close()
        return me.user_id == self.ilse.id


@pytest.fixture
async def desk() -> AsyncIterator[SignInDesk]:
    async with SpeckleServer.start() as server, SpeckleHttp.open([server.url]) as http:
        yield SignInDesk(server, http)


@pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)
async def test_a_person_signs_in_on_servers_of_both_kinds(
    desk: SignInDesk, release: Release
) -> None:
    desk.server.release = release
    challenge = await desk.sign_in.begin(desk.app)
    tokens = await desk.sign_in.exchange(desk.app, desk.approved(challenge), challenge)
    assert await desk.works(tokens)
    assert desk.asked("/auth/token") == (0 if release.pkce else 1)
    renewed = await desk.sign_in.refresh(desk.app, tokens.refresh_token or "")
    assert await desk.works(renewed)


async def test_the_server_sees_a_verifier_only_when_the_code_is_traded(desk: SignInDesk) -> None:
    desk.server.release = SPECKLE_4
    challenge = await desk.sign_in.begin(desk.app)
    assert challenge.verifier is not None
    digest = hashlib.sha256(challenge.verifier.encode()).digest()
    assert challenge.text == base64.urlsafe_b64encode(digest).decode().rstrip("=")
    page = f"{desk.server.url}/authn/verify/{desk.app.id}/{challenge.text}"
    assert sign_in_url(desk.app, challenge) == f"{page}?code_challenge_method=S256"
    shows = sign_in_url(desk.app, challenge, shows_code=True)
    assert shows == f"{page}?code_challenge_method=S256&returnExchangeToken=true"
    assert challenge.verifier not in repr(challenge)


async def test_who_saw_the_challenge_alone_cannot_trade_the_code(desk: SignInDesk) -> None:
    desk.server.release = SPECKLE_4
    challenge = await desk.sign_in.begin(desk.app)
    for stolen in (Challenge(challenge.text), Challenge(challenge.text, challenge.text)):
        with pytest.raises(SpeckleTokenRefused):
            await desk.sign_in.exchange(desk.app, desk.approved(challenge), stolen)


async def test_a_sign_in_that_began_before_an_upgrade_of_the_server_ends_well_after_it(
    desk: SignInDesk,
) -> None:
    challenge = await desk.sign_in.begin(desk.app)
    code = desk.approved(challenge)
    desk.server.release = SPECKLE_4
    assert await desk.works(await desk.sign_in.exchange(desk.app, code, challenge))


async def test_a_server_is_asked_once_a_day_which_way_it_has(desk: SignInDesk) -> None:
    for _ in range(3):
        assert (await desk.sign_in.begin(desk.app)).verifier is None
    assert desk.asked("/oauth/token") == 1
    desk.server.release = SPECKLE_4
    desk.now = DAY_S - 1
    assert (await desk.sign_in.begin(desk.app)).verifier is None
    desk.now = DAY_S + 1
    assert (await desk.sign_in.begin(desk.app)).verifier is not None


async def test_a_way_that_is_gone_is_asked_about_again(desk: SignInDesk) -> None:
    challenge = await desk.sign_in.begin(desk.app)
    desk.server.release = SPECKLE_4
    desk.server.faults.path, desk.server.faults.status = "/auth/token", 404
    with pytest.raises(SpeckleUnavailable):
        await desk.sign_in.exchange(desk.app, desk.approved(challenge), challenge)
    assert (await desk.sign_in.begin(desk.app)).verifier is not None


async def test_a_server_with_the_newer_way_alone_refreshes_tokens_too(desk: SignInDesk) -> None:
    desk.server.release = SPECKLE_4
    challenge = await desk.sign_in.begin(desk.app)
    tokens = await desk.sign_in.exchange(desk.app, desk.approved(challenge), challenge)
    desk.server.faults.path, desk.server.faults.status = "/auth/token", 404
    assert await desk.works(await desk.sign_in.refresh(desk.app, tokens.refresh_token or ""))


@pytest.mark.parametrize(
    ("status", "body", "asked"),
    [(200, PAGE, 1), (404, PAGE, 1), (307, "", 1), (429, "", 2), (502, "", 2)],
)
async def test_a_server_that_does_not_say_yes_has_the_older_way(
    desk: SignInDesk, status: int, body: str, asked: int
) -> None:
    desk.server.release = SPECKLE_4
    desk.server.faults.status, desk.server.faults.body = status, body
    for _ in range(2):  # where it said no, it is not asked again
        assert (await desk.sign_in.begin(desk.app)).verifier is None
    assert desk.asked("/oauth/token") == asked


@pytest.mark.parametrize("status", [400, 401])
@pytest.mark.parametrize("key", ["err", "error"])
async def test_a_code_is_refused_in_the_words_of_either_kind(
    desk: SignInDesk, status: int, key: str
) -> None:
    desk.server.faults.status, desk.server.faults.body = status, f'{{"{key}": "invalid_grant"}}'
    with pytest.raises(SpeckleTokenRefused):
        await desk.sign_in.exchange(desk.app, "a code", Challenge("hash", "verifier"))
