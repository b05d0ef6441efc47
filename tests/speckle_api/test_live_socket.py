"""A WebSocket to a server: what is heard, and what a hostile server can cost."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest
from aiohttp import web

from bot.errors import SpeckleTokenRefused, SpeckleUnavailable
from bot.network import Network
from bot.speckle_api.live_frames import WITH_LISTS, Dead, LiveKind, Rang, Settled
from bot.speckle_api.live_socket import LiveSocket, LiveSockets, SocketLimits
from bot.speckle_api.types import Login
from tests.speckle_api.conftest import Studio

QUICK = SocketLimits(opens_s=0.5, answers_s=0.5, sends_s=0.5, closes_s=0.2)
WITHIN_S = 15.0
TOKEN = "b" * 42
VERSIONS = {LiveKind.VERSIONS: WITH_LISTS[LiveKind.VERSIONS]}
Speak = Callable[[web.WebSocketResponse], Awaitable[None]]


@dataclass
class Site:
    """A server that speaks as a test says, after it has acknowledged."""

    url: str = ""
    asked: list[dict[str, object]] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def has_been_asked(self, times: int) -> None:
        async with asyncio.timeout(2):
            while len(self.asked) < times:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(
    speak: Speak | None = None,
    *,
    protocols: tuple[str, ...] = ("graphql-ws",),
    acknowledges: bool = True,
    redirects_to: str | None = None,
) -> AsyncIterator[Site]:
    site = Site()

    async def answer(request: web.Request) -> web.StreamResponse:
        site.requests.append(request.path)
        if redirects_to is not None:
            raise web.HTTPTemporaryRedirect(redirects_to)
        ws = web.WebSocketResponse(protocols=protocols, timeout=0.1)
        await ws.prepare(request)
        if acknowledges:
            site.asked.append(await ws.receive_json())
            await ws.send_json({"type": "connection_ack"})
            await ws.send_json({"type": "ka"})
        if speak is not None:
            await speak(ws)
        async for message in ws:
            site.asked.append(json.loads(message.data))
        return ws

    app = web.Application()
    app.router.add_get("/graphql", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield site
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    url: str, token: str | None = TOKEN, limits: SocketLimits = QUICK
) -> AsyncIterator[LiveSocket]:
    async with (
        LiveSockets.open([url], limits=limits) as sockets,
        sockets.connect(Login(url, token)) as socket,
    ):
        yield socket


async def heard_until_settled(socket: LiveSocket) -> list[object]:
    heard: list[object] = []
    async with asyncio.timeout(5):
        async for one in socket:
            heard.append(one)
            if isinstance(one, Settled):
                break
    return heard


async def why_it_ended(socket: LiveSocket) -> str | None:
    async with asyncio.timeout(5):
        async for _ in socket:
            pass
    return socket.ended


# ── a server of the sandbox ───────────────────────────────────────────────────────────────────


async def test_a_version_rings(studio: Studio) -> None:
    async with connected(studio.server.url, studio.login.token) as socket:
        await socket.add([studio.tower.id], VERSIONS)
        await heard_until_settled(socket)
        studio.server.add_version(studio.tower, studio.model, author=studio.ilse)
        async with asyncio.timeout(2):
            rang = await anext(aiter(socket))
    assert rang == Rang(studio.tower.id, LiveKind.VERSIONS)


async def test_what_was_removed_rings_no_more(studio: Studio) -> None:
    async with connected(studio.server.url, studio.login.token) as socket:
        await socket.add([studio.tower.id], VERSIONS)
        await heard_until_settled(socket)
        await socket.remove([studio.tower.id])
        await socket.add([], VERSIONS)
        await heard_until_settled(socket)
        studio.server.add_version(studio.tower, studio.model, author=studio.ilse)
        await socket.add([], VERSIONS)
        assert await heard_until_settled(socket) == [Settled()]
        assert not socket.projects


async def test_a_kind_that_the_server_does_not_have_is_dead(studio: Studio) -> None:
    unknown = {LiveKind.ISSUES: "subscription($p: ID!) { nothingOfTheKind(id: $p) { id } }"}
    async with connected(studio.server.url, studio.login.token) as socket:
        await socket.add([studio.tower.id], unknown)
        heard = await heard_until_settled(socket)
        if len(heard) == 1:  # the server may look at the question later
            async with asyncio.timeout(2):
                heard.append(await anext(aiter(socket)))
    assert Dead(studio.tower.id, LiveKind.ISSUES) in heard


# ── what is sent ──────────────────────────────────────────────────────────────────────────────


async def test_an_id_is_never_used_twice() -> None:
    async with serving() as site, connected(site.url) as socket:
        for _ in range(3):
            await socket.add(["a", "b"], WITH_LISTS)
            await socket.remove(["a", "b"])
        await socket.add(["a"], WITH_LISTS)
        await site.has_been_asked(1 + 3 * (8 + 1 + 8) + 4 + 1)
    assert site.asked[0] == {
        "type": "connection_init",
        "payload": {"Authorization": f"Bearer {TOKEN}"},
    }
    started = [frame["id"] for frame in site.asked if frame["type"] == "start"]
    stopped = [frame["id"] for frame in site.asked if frame["type"] == "stop"]
    assert len(set(started)) == len(started)
    assert set(stopped) < set(started)


async def test_no_other_server_is_connected_to() -> None:
    async with serving() as site, LiveSockets.open(["http://127.0.0.1:1"]) as sockets:
        with pytest.raises(SpeckleUnavailable, match="SPECKLE_SERVERS"):
            async with sockets.connect(Login(site.url, TOKEN)):
                pass
    assert not site.requests


async def test_a_redirect_is_not_followed() -> None:
    async with serving() as elsewhere:
        target = f"{elsewhere.url}/graphql"
        async with serving(redirects_to=target) as site:
            with pytest.raises(SpeckleUnavailable, match="elsewhere"):
                async with connected(site.url):
                    pass
        assert not elsewhere.requests


async def test_a_token_that_can_be_none_is_not_sent() -> None:
    async with serving() as site:
        with pytest.raises(SpeckleTokenRefused):
            async with connected(site.url, "a\r\nb"):
                pass
    assert not site.requests


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://speckle.example", "CONNECT speckle.example:443 HTTP/1.1"),
        ("http://speckle.example", "GET http://speckle.example/graphql HTTP/1.1"),
    ],
)
async def test_it_goes_through_the_proxy(url: str, asked: str) -> None:
    seen: list[str] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append((await reader.readline()).decode().strip())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        proxy = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        network = Network(https_proxy=proxy, http_proxy=proxy)
        async with LiveSockets.open([url], network=network, limits=QUICK) as sockets:
            with pytest.raises(SpeckleUnavailable, match="403"):
                async with sockets.connect(Login(url, TOKEN)):
                    pass
    assert seen == [asked]


# ── a server that is hostile, or broken ───────────────────────────────────────────────────────


async def test_a_server_that_speaks_something_else_sees_no_token() -> None:
    async with serving(protocols=(), acknowledges=False) as site:
        with pytest.raises(SpeckleUnavailable, match="does not speak"):
            async with connected(site.url):
                pass
    assert not site.asked


async def test_a_server_that_never_acknowledges_is_left_in_time() -> None:
    async with serving(acknowledges=False) as site:
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(SpeckleUnavailable, match="in time"):
                async with connected(site.url):
                    pass


async def test_keep_alives_are_no_acknowledgement() -> None:
    async def speak(ws: web.WebSocketResponse) -> None:
        while not ws.closed:
            await ws.send_str('{"type":"ka"}')

    async with serving(speak, acknowledges=False) as site:
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(SpeckleUnavailable, match="in time"):
                async with connected(site.url):
                    pass


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        ("no frame", "it sent what is no frame"),
        ("[]", "it sent what is no frame"),
        ("{}", "it sent what is no frame"),
        ("[" * 100_000, "it sent what is no frame"),
        (
            '{"type":"ka","x":"' + "x" * QUICK.frame_bytes + '"}',
            "it sent a frame that is too large",
        ),
        ('{"type":"connection_error"}', "it refuses the connection"),
    ],
)
async def test_a_frame_that_is_none_ends_it_with_a_reason(sent: str, why: str) -> None:
    async with serving(lambda ws: ws.send_str(sent)) as site, connected(site.url) as socket:
        assert await why_it_ended(socket) == why


@pytest.mark.parametrize(
    "sent",
    [
        '{"type":"data","id":1}',
        '{"type":"data","id":"99"}',
        '{"type":"data","id":"1","payload":[]}',
        '{"type":"complete"}',
        '{"type":"error","id":null,"payload":{"message":"Invalid message type!"}}',
        '{"type":"of later releases","id":"1"}',
    ],
)
async def test_a_frame_about_nothing_is_passed_over(sent: str) -> None:
    async def speak(ws: web.WebSocketResponse) -> None:
        await ws.send_str(sent)
        await ws.close()

    async with serving(speak) as site, connected(site.url) as socket:
        assert await why_it_ended(socket) == "it closed the connection (1000)"


async def test_starts_that_are_never_answered_end_it() -> None:
    async with serving() as site, connected(site.url) as socket:
        reading = asyncio.create_task(why_it_ended(socket))
        await asyncio.sleep(0.05)  # it waits without a limit by now
        await socket.add(["a"], VERSIONS)
        assert await reading == "it did not answer in time"


async def test_a_server_that_stands_still_is_noticed() -> None:
    async def speak(ws: web.WebSocketResponse) -> None:
        await asyncio.sleep(2)  # reads nothing, and so answers no ping

    limits = replace(QUICK, heartbeat_s=0.2)
    async with serving(speak) as site, connected(site.url, limits=limits) as socket:
        assert await why_it_ended(socket) == "it stands still"


async def test_closing_does_not_wait_for_a_server_that_does_not() -> None:
    async def speak(ws: web.WebSocketResponse) -> None:
        await asyncio.sleep(2)

    async with serving(speak) as site:
        async with connected(site.url) as socket:
            began = time.monotonic()
        assert time.monotonic() - began < 1
        assert socket.ended is None


async def test_frames_without_an_end_are_read_at_a_pace() -> None:
    async def speak(ws: web.WebSocketResponse) -> None:
        name = (await ws.receive_json())["id"]
        ring = {"type": "data", "id": name, "payload": {"data": {"projectVersionsUpdated": None}}}
        with_no_end = json.dumps(ring)
        while not ws.closed:
            await ws.send_str(with_no_end)

    limits = replace(QUICK, frames_a_second=50, answers_s=60)
    heard = 0
    async with serving(speak) as site, connected(site.url, limits=limits) as socket:
        await socket.add(["a"], VERSIONS)

        async def listen() -> None:
            nonlocal heard
            async for _ in socket:
                heard += 1

        reading = asyncio.create_task(listen())
        await asyncio.sleep(1.5)
        reading.cancel()
    assert 0 < heard <= 2 * 50


# ── what it costs ─────────────────────────────────────────────────────────────────────────────


async def test_2500_subscriptions_cost_no_task_and_little_memory() -> None:
    answered = asyncio.Event()

    async def speak(ws: web.WebSocketResponse) -> None:
        async for message in ws:
            frame = json.loads(message.data)
            if "activeUser" in frame["payload"]["query"]:
                await ws.send_json({"type": "data", "id": frame["id"], "payload": {"data": {}}})
                answered.set()

    projects = [f"{number:010x}" for number in range(2_500)]
    limits = replace(QUICK, answers_s=20)
    async with serving(speak) as site, connected(site.url, limits=limits) as socket:
        tasks = len(asyncio.all_tasks())
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            await socket.add(projects, VERSIONS)
            assert len(asyncio.all_tasks()) == tasks
            await heard_until_settled(socket)
            after, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert answered.is_set()
        assert (after - before) / len(projects) < 1_000
        assert peak - before < 5_000_000
