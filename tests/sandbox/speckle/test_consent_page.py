"""The page on the sandbox's Speckle that asks a person whether an application may come in."""

import base64
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from yarl import URL

from sandbox.speckle import (
    SPECKLE_2_31,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
    SignInApp,
    SpeckleServer,
    User,
)

VERIFIER = "a verifier that only the application knows"
HASHED = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


@dataclass
class Visit:
    """A browser at a server's consent page."""

    browser: aiohttp.ClientSession
    server: SpeckleServer
    app: SignInApp
    tomas: User
    page: URL
    proof: dict[str, str]

    async def press(self, answer: str, **more: Any) -> aiohttp.ClientResponse:
        form = {"user": self.tomas.id, "answer": answer}
        headers = {"Origin": self.server.url} | more
        return await self.browser.post(self.page, data=form, headers=headers, allow_redirects=False)


@pytest.fixture(params=[SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED], ids=lambda one: str(one.name))
async def visit(request: pytest.FixtureRequest) -> AsyncIterator[Visit]:
    release: Release = request.param
    async with SpeckleServer.start(release=release) as server, aiohttp.ClientSession() as browser:
        server.add_user("<b>Maren</b>")
        tomas = server.add_user("Tomas Reyes")
        app = server.register_app("http://127.0.0.1:8003/link/callback")
        asked = f"{HASHED}?code_challenge_method=S256" if release.pkce else "a-challenge"
        proof = {"codeVerifier": VERIFIER} if release.pkce else {"challenge": "a-challenge"}
        page = URL(f"{server.url}/authn/verify/{app.id}/{asked}")
        yield Visit(browser, server, app, tomas, page, proof)


async def test_who_allows_it_is_signed_in(visit: Visit) -> None:
    async with visit.browser.get(visit.page) as page:
        text = await page.text()
        assert "http://127.0.0.1:8003" in page.headers["Content-Security-Policy"]
    assert "Tomas Reyes" in text
    assert "&lt;b&gt;Maren" in text
    assert all(scope in text for scope in visit.app.scopes)
    async with await visit.press("allow") as leaving:
        back_to = URL(leaving.headers["Location"])
    assert str(back_to.with_query(None)) == visit.app.redirect_url
    asked = {
        "appId": visit.app.id,
        "appSecret": visit.app.secret,
        "accessCode": back_to.query["access_code"],
        **visit.proof,
    }
    route = "/oauth/token" if visit.server.release.pkce else "/auth/token"
    async with visit.browser.post(visit.server.url + route, json=asked) as traded:
        token = visit.server.valid((await traded.json())["token"])
    assert token is not None
    assert token.user is visit.tomas


async def test_who_denies_it_goes_back_without_a_code(visit: Visit) -> None:
    async with await visit.press("deny") as leaving:
        assert URL(leaving.headers["Location"]).query == {"denied": "true"}
    assert visit.server.codes == {}


async def test_a_server_with_verifiers_shows_the_code_where_it_is_asked_to(visit: Visit) -> None:
    visit.page = visit.page.update_query(returnExchangeToken="true")
    async with visit.browser.get(visit.page) as page:
        asks = await page.text()
    async with await visit.press("allow") as answer:
        (code,) = visit.server.codes
        if not visit.server.release.pkce:  # which knows nothing of that
            assert URL(answer.headers["Location"]).query == {"access_code": code}
            return
        assert f'<code class="code">{code}</code>' in await answer.text()
        assert answer.headers["Cache-Control"] == "no-store"
    assert "you get a code to paste" in asks
    assert visit.server.codes[code].is_hashed
    async with await visit.press("deny") as answer:
        assert "You said no" in await answer.text()


@pytest.mark.parametrize("origin", ["http://evil.test", "null", ""])
async def test_another_site_cannot_press_the_button(visit: Visit, origin: str) -> None:
    async with await visit.press("allow", Origin=origin) as refused:
        assert refused.status == 403
    rebound = {"Origin": "http://evil.test:80", "Host": "evil.test:80"}
    async with await visit.press("allow", **rebound) as refused:
        assert refused.status == 403
    assert visit.server.codes == {}


async def test_access_that_is_taken_back_ends_the_person_s_tokens(visit: Visit) -> None:
    code = visit.server.approve(visit.tomas, visit.app, "c")
    other = visit.server.add_user("Ilse")
    pair = visit.server.oauth._pair(visit.app, visit.tomas)
    kept = visit.server.oauth._pair(visit.app, other)
    visit.server.oauth.revoke_access(visit.tomas, visit.app)
    assert visit.server.valid(pair.text) is None
    assert pair.refresh not in visit.server.refreshable
    assert visit.server.valid(kept.text) is kept
    assert code in visit.server.codes


async def test_a_project_s_address_leads_to_where_people_see_it(visit: Visit) -> None:
    address = f"{visit.server.url}/projects/abc/models/def@ghi"
    async with visit.browser.get(address) as nowhere:
        assert nowhere.status == 404
    visit.server.front = "http://127.0.0.1:8123"
    async with visit.browser.get(address, allow_redirects=False) as leaving:
        to = URL(leaving.headers["Location"])
    assert (to.origin(), to.query["speckle"]) == (URL(visit.server.front), address)
