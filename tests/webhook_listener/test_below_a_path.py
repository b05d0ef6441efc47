"""PUBLIC_URL with a path, behind reverse proxies that keep it and ones that strip it."""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import product

import aiohttp
import pytest
from aiohttp import web

from bot.link_pages import LinkPages
from bot.model import HookKind
from bot.problems import NotReady
from bot.services.linking import SignIn
from bot.services.public_url import ProbeResult, PublicUrlProbe
from bot.services.webhook_page import WebhookPage
from bot.services.webhook_setup import webhook_setup
from bot.speckle.signature import sign
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.timing import utc_now
from bot.webhook_listener import WebhookListener
from sandbox.http_site import serving
from tests.link_pages.test_link_pages import Browser
from tests.services.accounts_setup import Office, open_office
from tests.services.conftest import MAREN, Clock, clock, storage
from tests.webhook_listener.desk import PROJECT, SERVER, delivery

__all__ = ["clock", "storage"]


@dataclass
class Behind:
    """The whole listener behind a reverse proxy; `url` is what the operator wrote down."""

    office: Office
    url: str


@asynccontextmanager
async def proxy(at: socket.socket, before: str, to: str) -> AsyncIterator[None]:
    """Pass on what is asked for below `before`, as what is below `to`."""

    async def forward(request: web.Request) -> web.Response:
        path = request.raw_path.removeprefix(before)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
            http.request(
                request.method,
                f"{to}{path}",
                data=await request.read(),
                headers=request.headers,
                allow_redirects=False,
            ) as answer,
        ):
            body = await answer.read()
            return web.Response(status=answer.status, body=body, headers=answer.headers)

    app = web.Application()
    app.router.add_route("*", f"{before}/{{path:.*}}", forward)
    async with serving(app, at):
        yield


WAYS = {"kept": "/speckle", "stripped": "", "stripped by half": "/"}


@pytest.fixture(params=list(product(WAYS, ["", "/"])), ids=lambda way: "".join(way))
async def behind(
    storage: Storage, clock: Clock, request: pytest.FixtureRequest
) -> AsyncIterator[Behind]:
    way, end = request.param
    at = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{at.getsockname()[1]}/speckle"
    async with AsyncExitStack() as stack:
        office = await stack.enter_async_context(open_office(storage, clock, public_url=url))
        listener = WebhookListener(
            storage,
            shared_hook=None,
            max_body_bytes=1_000_000,
            on_stored=lambda _lane: None,
            on_missed=lambda: None,
            problems=no_problems,
            instance="0f0f",
            now=utc_now,
            public_url=url + end,
        )
        LinkPages(office.linking, url + end).add_to(listener.app)
        port = await stack.enter_async_context(listener.listening("127.0.0.1", 0))
        to = f"http://127.0.0.1:{port}{WAYS[way]}"
        await stack.enter_async_context(proxy(at, "/speckle", to))
        yield Behind(office, url + end)


async def test_a_person_signs_in(behind: Behind) -> None:
    office = behind.office
    way = await office.start(MAREN)
    assert isinstance(way, SignIn)
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        browser = Browser(session, behind.url.rstrip("/"))
        start = await browser.open(way.url)
        assert start.status == 200
        leaving = await browser.press(start)
        assert leaving.status == 303
        code = office.approve(leaving.headers["Location"])
        done = await browser.open(f"/link/callback?access_code={code}")
    assert done.status == 200
    assert "It worked" in done.read


async def test_a_delivery_arrives_under_the_address_that_people_are_shown(
    behind: Behind, storage: Storage
) -> None:
    hook = await storage.write(lambda tx: tx.hooks.create(5, SERVER, PROJECT, HookKind.OWN, 2, 3))
    shown = webhook_setup(
        hook, [SubscriptionOptions()], behind.url, "Harbour Tower", WebhookPage()
    ).url
    assert shown is not None
    body = delivery()
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": sign(body, hook.secrets[0]),
    }
    async with (
        aiohttp.ClientSession() as http,
        http.post(shown, data=body, headers=headers) as answer,
    ):
        assert answer.status == 202


async def test_the_bot_finds_itself(behind: Behind) -> None:
    reached = await PublicUrlProbe(behind.url, "0f0f").check("http://127.0.0.1:3000")
    assert reached == ProbeResult(local_speckle=True, local_bot=True)


async def no_problems() -> list[NotReady]:
    return []
