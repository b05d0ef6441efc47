"""What the page's site lets in, and the stream of what has changed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.demo.page.actions import Action, CannotDo, read_action, say_what_is_wrong
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.guard import add_headers, guard
from sandbox.http_site import serving


class Wish(Action):
    """What a test asks for."""

    name: str


async def _grant(request: web.Request) -> web.Response:
    wish = await read_action(request, Wish)
    if wish.name == "impossible":
        raise CannotDo("This wish cannot be granted now.")
    return web.json_response({"granted": wish.name})


@asynccontextmanager
async def _site(changes: Changes | None = None) -> AsyncIterator[str]:
    app = web.Application(middlewares=[guard, say_what_is_wrong])
    app.on_response_prepare.append(add_headers)
    app.router.add_post("/api/wish", _grant)
    app.router.add_get("/", _front)
    app.router.add_get("/api/changes", (changes or Changes()).stream)
    async with serving(app) as url:
        yield url


async def _front(_: web.Request) -> web.Response:
    return web.Response(text="the page")


async def test_the_page_itself_may_ask_and_change_things() -> None:
    async with _site() as url, aiohttp.ClientSession() as http:
        for address in (url, url.replace("127.0.0.1", "localhost")):
            async with http.get(address) as answer:
                assert answer.status == 200
            async with http.post(
                f"{address}/api/wish", json={"name": "rain"}, headers={"Origin": address}
            ) as answer:
                assert await answer.json() == {"granted": "rain"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},  # a name that leads to 127.0.0.1: DNS rebinding
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": "evil.example@127.0.0.1"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_what_another_site_asks_is_refused(headers: dict[str, str]) -> None:
    async with _site() as url, aiohttp.ClientSession() as http:
        async with http.get(url, headers=headers) as answer:
            assert answer.status == 403
            assert (await answer.json())["error"].endswith(".")
        async with http.post(
            f"{url}/api/wish", json={"name": "rain"}, headers={"Origin": url} | headers
        ) as answer:
            assert answer.status == 403


async def test_a_change_names_its_origin_and_is_json() -> None:
    async with _site() as url, aiohttp.ClientSession() as http:
        async with http.post(f"{url}/api/wish", json={"name": "rain"}) as answer:
            assert answer.status == 403
        async with http.post(
            f"{url}/api/wish", data='{"name": "rain"}', headers={"Origin": url}
        ) as answer:
            assert answer.status == 403
        async with http.post(
            f"{url}/api/wish", data={"name": "rain"}, headers={"Origin": url}
        ) as answer:
            assert answer.status == 403


async def test_a_link_from_elsewhere_opens_the_page() -> None:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    async with _site() as url, aiohttp.ClientSession() as http:
        async with http.get(url, headers=headers) as answer:
            assert answer.status == 200
        async with http.post(f"{url}/api/wish", json={"name": "rain"}, headers=headers) as answer:
            assert answer.status == 403


async def test_each_answer_tells_the_browser_to_load_from_here_alone() -> None:
    async with _site() as url, aiohttp.ClientSession() as http:
        for path in ("/", "/nothing-here"):
            async with http.get(url + path) as answer:
                policy = answer.headers["Content-Security-Policy"]
                assert "default-src 'self'" in policy
                assert "frame-ancestors 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"


async def test_what_cannot_be_done_is_said_in_a_sentence() -> None:
    async with _site() as url, aiohttp.ClientSession(headers={"Origin": url}) as http:
        async with http.post(f"{url}/api/wish", json={"name": "impossible"}) as answer:
            assert answer.status == 409
            assert await answer.json() == {"error": "This wish cannot be granted now."}
        malformed: list[Any] = [{}, {"name": 5}, {"name": "x", "more": 1}, []]
        for body in malformed:
            async with http.post(f"{url}/api/wish", json=body) as answer:
                assert answer.status == 400
                assert (await answer.json())["error"].startswith("The request is malformed at ")


async def test_what_changes_is_told_once_for_many_changes() -> None:
    changes = Changes()
    async with (
        _site(changes) as url,
        aiohttp.ClientSession() as http,
        http.get(f"{url}/api/changes") as stream,
    ):
        first = [await stream.content.readline() for _ in range(8)]
        assert [line for line in first if line != b"\n"] == [
            b"data: discord\n", b"data: events\n", b"data: faults\n", b"data: speckle\n",
        ]  # fmt: skip
        for _ in range(200):
            changes.mark("discord")
        changes.mark("speckle")
        then = [await stream.content.readline() for _ in range(4)]
        assert then == [b"data: discord\n", b"\n", b"data: speckle\n", b"\n"]
        changes.close()
        async with asyncio.timeout(5):
            assert await stream.content.read() == b""


def test_a_topic_that_nobody_watches_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="weather"):
        Changes().mark("weather")
