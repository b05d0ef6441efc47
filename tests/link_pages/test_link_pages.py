"""The pages of signing in, as browsers that keep their cookies walk through them."""

import asyncio
import base64
import hashlib
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs
from yarl import URL

from bot.errors import StorageUnavailable
from bot.link_pages import LinkPages
from bot.link_pages.pages import failed
from bot.services.linking import LinkFailed, SignIn, WhyNotLinked
from bot.speckle.tokens import TokenScope
from bot.storage import Storage
from sandbox.http_site import serving
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import MAREN, TOBIAS, Clock, clock, storage

__all__ = ["clock", "storage"]


@dataclass
class Page:
    """What a browser shows, and the headers behind it."""

    status: int
    text: str
    headers: Any
    address: URL

    @property
    def read(self) -> str:
        """The text that a person reads."""
        body = re.sub(r"(?s)<style>.*?</style>|<[^>]+>", " ", self.text)
        return " ".join(unescape(body).split())


class Browser:
    """Opens pages, presses the button, keeps cookies."""

    def __init__(self, session: aiohttp.ClientSession, bot_url: str) -> None:
        self.session = session
        self.bot_url = bot_url

    async def open(self, path: str, **options: Any) -> Page:
        url = path if path.startswith("http") else self.bot_url + path
        async with self.session.get(url, allow_redirects=False, **options) as response:
            return Page(response.status, await response.text(), response.headers, response.url)

    async def press(self, page: Page, **headers: str) -> Page:
        """Press the form's button."""
        proof = re.search(r'name="proof" value="([^"]+)"', page.text)
        assert proof is not None
        return await self.post(page.address, {"proof": proof[1]}, **headers)

    async def post(self, address: URL, form: dict[str, str], **headers: str) -> Page:
        async with self.session.post(
            address, data=form, allow_redirects=False, headers=headers
        ) as response:
            return Page(response.status, await response.text(), response.headers, response.url)


@dataclass
class Desk:
    """The pages on a port, an office behind them, and as many browsers as are opened."""

    office: Office
    url: str
    browser: Callable[[], Browser]

    async def link(self, who: int = MAREN) -> str:
        """The path of a person's link, as it stands under the button in Discord."""
        way = await self.office.start(who)
        assert isinstance(way, SignIn)
        return way.url.removeprefix(self.url)

    async def approved(self, browser: Browser, path: str) -> str:
        """Go on to Speckle and say yes there; gives the path that Speckle sends one back to."""
        leaving = await browser.press(await browser.open(path))
        assert leaving.status == 303
        return f"/link/callback?access_code={self.office.approve(leaving.headers['Location'])}"


@pytest.fixture
async def desk(storage: Storage, clock: Clock) -> AsyncIterator[Desk]:
    async with open_desk(storage, clock) as opened:
        yield opened


@asynccontextmanager
async def open_desk(storage: Storage, clock: Clock) -> AsyncIterator[Desk]:
    at = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{at.getsockname()[1]}"
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(open_office(storage, clock, public_url=url))
        sessions = await stack.enter_async_context(AsyncExitStack())
        app = web.Application()
        LinkPages(office.linking, url).add_to(app)
        await stack.enter_async_context(serving(app, at))

        def browser() -> Browser:
            jar = aiohttp.CookieJar(unsafe=True)  # which keeps cookies of bare addresses as well
            session = aiohttp.ClientSession(cookie_jar=jar)
            sessions.push_async_callback(session.close)
            return Browser(session, url)

        yield Desk(office, url, browser)


# ── it works ──────────────────────────────────────────────────────────────────────────────────


async def test_the_way_from_the_link_to_the_linked_account(desk: Desk) -> None:
    browser = desk.browser()
    path = await desk.link()
    start = await browser.open(path)
    assert start.status == 200
    assert "Maren Oduya (@maren.o)" in start.read
    assert desk.office.server.url in start.read
    for scope in TokenScope:
        assert scope in start.read
    leaving = await browser.press(start)
    assert leaving.status == 303
    assert leaving.headers["Location"].startswith(f"{desk.office.server.url}/authn/verify/")
    code = desk.office.approve(leaving.headers["Location"])
    done = await browser.open(f"/link/callback?access_code={code}")
    assert done.status == 200
    assert "It worked" in done.read
    assert "Ilse Brandt" in done.read
    assert "Maren Oduya (@maren.o)" in done.read
    account = await desk.office.lender.of_user(MAREN, desk.office.server.url)
    assert account is not None
    assert account.name == "Ilse Brandt"
    again = await browser.open(f"/link/callback?access_code={code}")
    assert again.status == 403  # the cookie went with the link


async def test_every_page_keeps_to_itself(desk: Desk) -> None:
    browser = desk.browser()
    path = await desk.link()
    start = await browser.open(path)
    leaving = await browser.press(start)
    pages = [
        start,
        leaving,
        await browser.open("/link/callback"),
        await browser.open(f"/link/{'n' * 43}"),
        await browser.open("/link/callback?denied=true"),
    ]
    for page in pages:
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        policy = page.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert not re.search(r"<script|<img|<link| src=| href=", page.text)
        for style in re.findall(r"(?s)<style>(.*?)</style>", page.text):
            digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
            assert f"style-src 'sha256-{digest}';" in policy
    to = f"form-action 'self' {desk.office.server.url};"
    assert to in start.headers["Content-Security-Policy"]
    [cookie] = leaving.headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Max-Age=900" in cookie
    assert "Secure" not in cookie  # plain http, on this machine


async def test_over_https_cookies_are_tied_to_this_host(desk: Desk) -> None:
    pages = LinkPages(desk.office.linking, "https://bot.kestrel.example/speckle")
    response = web.Response()
    pages._set_cookie(response, pages._cookie, "value", same_site="Lax")
    cookie = response.cookies["__Host-speckle-link"]
    assert cookie["secure"]
    assert (cookie["path"], cookie["domain"]) == ("/", "")


async def test_names_are_shown_as_text(desk: Desk) -> None:
    office, browser = desk.office, desk.browser()
    rude = '<img src=x onerror=alert(1)>"&'
    turned = "Maren\N{RIGHT-TO-LEFT OVERRIDE}\n Oduya"
    way = await office.linking.start_link(MAREN, office.server.url, person=rude)
    office.ilse.name = "<script>alert(2)</script>"
    path = f"/link/{way.nonce}"
    start = await browser.open(path)
    done = await browser.open(await desk.approved(browser, path))
    for page in (start, done):
        assert "<img" not in page.text
        assert "<script" not in page.text
    assert rude in start.read
    way = await office.linking.start_link(MAREN, office.server.url, person=turned)
    assert "Maren Oduya" in (await browser.open(f"/link/{way.nonce}")).read
    assert "<script>alert(2)</script>" in done.read


async def test_looking_at_a_link_changes_nothing(desk: Desk) -> None:
    path = await desk.link()
    for _ in range(3):
        await desk.browser().open(path)
    browser = desk.browser()
    assert "It worked" in (await browser.open(await desk.approved(browser, path))).read


# ── what must not work ────────────────────────────────────────────────────────────────────────


async def test_a_callback_without_a_cookie_or_in_another_browser_links_nothing(
    desk: Desk,
) -> None:
    browser = desk.browser()
    back = await desk.approved(browser, await desk.link())
    stranger = desk.browser()
    page = await stranger.open(back)
    assert page.status == 403
    assert "did not start the sign-in" in page.read
    await stranger.press(await stranger.open(await desk.link(TOBIAS)))
    page = await stranger.open(back)  # a cookie, but of another sign-in
    assert "did not accept the sign-in" in page.read
    assert await desk.office.lender.all_of_user(MAREN) == []
    assert await desk.office.lender.all_of_user(TOBIAS) == []


async def test_another_site_cannot_send_somebodys_browser_on_the_way(desk: Desk) -> None:
    victim = desk.browser()
    path = await desk.link(TOBIAS)
    address = URL(desk.url + path)
    assert (await victim.post(address, {})).status == 403
    assert (await victim.post(address, {"proof": "guessed"})).status == 403
    seen = await desk.browser().open(path)  # the attacker's own look at the page
    theirs = re.search(r'name="proof" value="([^"]+)"', seen.text)
    assert theirs is not None
    assert (await victim.post(address, {"proof": theirs[1]})).status == 403
    page = await victim.open(path)
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
    ):
        refused = await victim.press(page, **headers)
        assert refused.status == 403
        assert "Set-Cookie" not in refused.headers
    honest = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
    assert (await victim.press(page, **honest)).status == 303


async def test_a_form_that_is_too_large_or_of_unknown_length_is_not_read(desk: Desk) -> None:
    browser = desk.browser()
    path = await desk.link()
    await browser.open(path)
    assert (await browser.post(URL(desk.url + path), {"proof": "x" * 5000})).status == 403

    async def endless() -> AsyncIterator[bytes]:
        yield b"proof=x"

    async with browser.session.post(desk.url + path, data=endless()) as response:
        assert response.status == 403


MANGLED = ("/link", "/link/", "/link/short", f"/link/{'n' * 44}", f"/link/{'ü' * 43}", "/link/a/b")


@pytest.mark.parametrize("path", MANGLED)
async def test_a_mangled_link_gets_a_page_that_says_what_to_do(desk: Desk, path: str) -> None:
    page = await desk.browser().open(path)
    assert (page.status, "This link is not complete" in page.read) == (404, True)
    assert "Press the link in Discord itself" in page.read
    assert page.headers["Cache-Control"] == "no-store"


async def test_other_ways_of_asking_are_not_served(desk: Desk) -> None:
    browser = desk.browser()
    async with browser.session.head(desk.url + await desk.link()) as response:
        assert response.status == 405


# ── what is said when it does not work ────────────────────────────────────────────────────────


async def test_a_no_is_taken_as_one_and_can_be_changed(desk: Desk) -> None:
    browser = desk.browser()
    path = await desk.link()
    await desk.approved(browser, path)
    page = await browser.open("/link/callback?denied=true")
    assert "You said no" in page.read
    assert await desk.office.lender.all_of_user(MAREN) == []
    assert "It worked" in (await browser.open(await desk.approved(browser, path))).read


async def test_links_that_have_run_out_were_used_or_never_were(desk: Desk, clock: Clock) -> None:
    browser = desk.browser()
    path = await desk.link()
    back = await desk.approved(browser, path)
    await browser.open(back)
    used = await browser.open(path)
    assert (used.status, "has been used" in used.read) == (410, True)
    path = await desk.link()
    back = await desk.approved(browser, path)
    clock.forward(minutes=15)
    for page in (await browser.open(path), await browser.open(back)):
        assert (page.status, "has expired" in page.read) == (404, True)
    assert (await browser.open(f"/link/{'n' * 43}")).status == 404


async def test_a_refused_code_is_said_and_the_same_link_goes_again(desk: Desk) -> None:
    browser = desk.browser()
    path = await desk.link()
    await desk.approved(browser, path)
    page = await browser.open(f"/link/callback?access_code={'f' * 42}")
    assert page.status == 502
    assert "did not accept the sign-in" in page.read
    assert (await browser.open("/link/callback?access_code=")).status == 400
    assert (await browser.open(f"/link/callback?access_code={'f' * 999}")).status == 400
    assert "It worked" in (await browser.open(await desk.approved(browser, path))).read


async def test_while_speckle_is_down_the_page_can_be_loaded_again(desk: Desk) -> None:
    browser = desk.browser()
    back = await desk.approved(browser, await desk.link())
    desk.office.server.faults.status = 503
    page = await browser.open(back)
    assert page.status == 503
    assert "nothing is linked yet" in page.read
    desk.office.server.faults.clear()
    for _ in range(100):  # a server that was away is left alone for some seconds
        page = await browser.open(back)
        if page.status != 503:
            break
        await asyncio.sleep(0.2)
    assert "It worked" in page.read


async def test_an_app_without_a_scope_is_said_with_its_name(desk: Desk) -> None:
    desk.office.app.scopes = (TokenScope.PROFILE_READ, TokenScope.STREAMS_WRITE)
    browser = desk.browser()
    page = await browser.open(await desk.approved(browser, await desk.link()))
    assert page.status == 502
    assert "lacks streams:read" in page.read


async def test_an_app_that_may_not_write_is_linked_with_what_that_means(desk: Desk) -> None:
    desk.office.app.scopes = (TokenScope.PROFILE_READ, TokenScope.STREAMS_READ)
    browser = desk.browser()
    page = await browser.open(await desk.approved(browser, await desk.link()))
    assert "It worked" in page.read
    assert "cannot create webhooks" in page.read


@pytest.mark.parametrize("why", WhyNotLinked)
def test_each_reason_has_a_page_without_a_gap(why: WhyNotLinked) -> None:
    message = failed(LinkFailed(why, "https://{speckle}.example", (TokenScope.PROFILE_READ,)))
    assert message.status >= 400
    assert "{" not in message.text.replace("{speckle}", "")


@pytest.mark.parametrize("fault", [StorageUnavailable("the disk is full"), RuntimeError("oops")])
async def test_a_fault_of_our_own_is_a_page_as_well(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    async def broken(_nonce: str) -> None:
        raise fault

    monkeypatch.setattr(desk.office.linking, "request", broken)
    page = await desk.browser().open(f"/link/{'n' * 43}")
    assert page.status == 503
    assert "cannot do that at the moment" in page.read
    assert str(fault) not in page.text


@pytest.mark.parametrize("odd", ["\udcff\udce9", "\udced\udca0\udc80", "é", "x y"])
async def test_bytes_that_are_no_text_are_no_fault(desk: Desk, odd: str) -> None:
    """In cookies, forms and addresses; what a header holds as bytes comes as lone surrogates."""
    path = await desk.link()
    raw = odd.encode("utf-8", "surrogateescape")
    form = b"proof=" + raw
    cookies = b"Cookie: speckle-link=" + raw + b"; speckle-link-form=" + raw + b"\r\n"
    requests = [
        b"GET /link/callback?denied=true HTTP/1.0\r\n" + cookies + b"\r\n",
        b"GET /link/callback?access_code=%ff%00%ed%a0%80 HTTP/1.0\r\n" + cookies + b"\r\n",
        b"POST %b HTTP/1.0\r\n%bContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), cookies, len(form), form),
        b"POST %b HTTP/1.0\r\n%bContent-Type: multipart/form-data; boundary=x\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), cookies, len(form), form),
        b"POST %b HTTP/1.0\r\n%bContent-Type: text/plain; charset=nonsense\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (path.encode(), cookies, len(form), form),
    ]
    with capture_logs() as logs:
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", URL(desk.url).port)
            writer.write(request)
            answer = await reader.read()
            writer.close()
            # Another browser's, or nobody's where the cookie cannot be read at all.
            assert answer.split(b" ", 2)[1] in (b"400", b"403", b"404"), answer[:200]
    assert [line for line in logs if line["log_level"] == "error"] == []
