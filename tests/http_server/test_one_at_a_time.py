"""A connection takes one request at a time, whatever is sent behind it."""

import asyncio
import os
import re
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from itertools import count, cycle, islice

import pytest
from aiohttp import web

from bot.http_server import Answer, Limits, PublicPath, ShortWay, WholePost, bind, serving
from tests.webhook_listener.desk import Wire, little_room, status_of

__all__ = ["little_room"]

KIB = 1024
SENDING_S = 0.4
MOST_BYTES = 1024 * KIB  # of one connection, in all; what waits is an eighth of it
SHORT_BODY_BYTES = 4 * KIB
SOON = Limits(
    head_s=0.5, idle_s=1.0, body_s=0.5, closing_s=0.3, quiet_s=0.02, every_s=0.05, head_bytes=4096
)


# ── a server with a short way ─────────────────────────────────────────────────────────────────


async def short(post: WholePost, _caller: str) -> Answer:
    """Say what came, the short way."""
    await asyncio.sleep(0)
    return Answer(200, f"<{post.body.decode()[:8]}>")


async def echo(request: web.Request) -> web.Response:
    """Say what came, aiohttp's way."""
    body = await request.read()
    return web.Response(text=f"<{body.decode()[:8]}>")


async def by_query(request: web.Request) -> web.Response:
    return web.Response(text=f"<{request.query_string}>")


async def slow(request: web.Request) -> web.Response:
    await asyncio.sleep(SENDING_S / 2)
    return await by_query(request)


async def unread(_request: web.Request) -> web.Response:
    return web.Response(status=403, text="no")


@asynccontextmanager
async def served(limits: Limits | None = None) -> AsyncIterator[int]:
    app = web.Application()
    app.router.add_post("/hooks/{key}", echo)
    app.router.add_post("/unread", unread)
    app.router.add_get("/number", by_query)
    app.router.add_get("/slow", slow)
    sockets = bind("127.0.0.1", 0)
    async with serving(
        app,
        sockets,
        limits or Limits(),
        public_path=PublicPath(None),
        on_memory_full=lambda: False,
        short_way=ShortWay(re.compile("/hooks/short"), SHORT_BODY_BYTES, short),
    ):
        yield sockets[0].getsockname()[1]


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Wire]:
    wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield wire
    finally:
        wire.writer.transport.abort()


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    async with served() as port, connected(port) as wire:
        yield wire


# ── what is sent ──────────────────────────────────────────────────────────────────────────────

SLOW = b"GET /slow?first HTTP/1.1\r\nHost: bot\r\n\r\n"
Pieces = list[bytes]  # with a moment between them


def post(number: int, *, path: str = "/hooks/short", size: int = 0, more: str = "") -> bytes:
    body = f"{number:08}".encode() + b"x" * size
    return (
        f"POST {path} HTTP/1.1\r\nHost: bot\r\nContent-Type: application/json\r\n{more}"
        f"Content-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def whole(number: int) -> Pieces:
    return [post(number)]


def long(number: int) -> Pieces:
    return [post(number, size=2 * SHORT_BODY_BYTES)]


def halves(number: int) -> Pieces:
    request = post(number)
    return [request[:-4], request[-4:]]


def half_a_head(number: int) -> Pieces:
    request = post(number)
    return [request[:20], request[20:]]


def chunked(number: int) -> Pieces:
    head = post(number).partition(b"Content-Length")[0]
    first, second = f"{number:08}"[:4].encode(), f"{number:08}"[4:].encode()
    coding = b"Transfer-Encoding: chunked\r\n\r\n"
    return [head + coding + b"4\r\n" + first, b"\r\n4\r\n" + second + b"\r\n0\r\n\r\n"]


def get(number: int) -> Pieces:
    return [f"GET /number?{number:08} HTTP/1.1\r\nHost: bot\r\n\r\n".encode()]


def upgrade(number: int) -> Pieces:
    more = "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    return [post(number, more=more)]


def expecting(number: int) -> Pieces:
    return [post(number, more="Expect: 100-continue\r\n")]


MIXES = {
    "short ones": (whole,),
    "long behind short": (whole, long),
    "short behind long": (long, whole, whole, whole),
    "in two pieces": (halves,),
    "short behind one in two pieces": (halves, whole),
    "heads in two pieces": (half_a_head,),
    "chunks": (chunked,),
    "short behind chunks": (chunked, whole),
    "GETs": (get,),
    "a GET between": (whole, get, halves),
    "upgrades": (upgrade,),
    "short behind an upgrade": (upgrade, whole),
    "who asks first": (expecting,),
    "all": (whole, halves, get, chunked, long, half_a_head, upgrade, expecting),
}


def requests(name: str) -> Iterator[Pieces]:
    return (kind(number) for number, kind in zip(count(), cycle(MIXES[name]), strict=False))


# ── each has its answer, in order ─────────────────────────────────────────────────────────────

MANY = 150  # more than aiohttp lets wait
LAST = b"GET /number?last HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n\r\n"


def numbers(answers: bytes) -> list[bytes]:
    return re.findall(rb"<(\w+)>", answers)


WANTED = [f"{number:08}".encode() for number in range(MANY)] + [b"last"]


@pytest.mark.parametrize("name", MIXES)
async def test_each_has_its_answer_in_order_when_all_come_at_once(wire: Wire, name: str) -> None:
    await wire.send(b"".join(b"".join(one) for one in islice(requests(name), MANY)) + LAST)
    assert numbers(await wire.answer()) == WANTED


@pytest.mark.parametrize("name", MIXES)
async def test_each_has_its_answer_in_order_when_they_come_in_pieces(wire: Wire, name: str) -> None:
    """The end of one with the beginning of the next, and a moment in between for the handlers."""
    rest = b""
    for one in islice(requests(name), MANY):
        for last, piece in zip([*[False] * (len(one) - 1), True], one, strict=True):
            rest += piece
            if not last:
                await wire.send(rest)
                await asyncio.sleep(0.001)
                rest = b""
    await wire.send(rest + LAST)
    assert numbers(await wire.answer()) == WANTED


@pytest.mark.parametrize("size", [1, 7, 64])
async def test_each_has_its_answer_in_order_when_they_come_in_crumbs(wire: Wire, size: int) -> None:
    sent = b"".join(b"".join(one) for one in islice(requests("all"), 8)) + LAST
    for start in range(0, len(sent), size):
        await wire.send(sent[start : start + size])
        await asyncio.sleep(0)
    assert numbers(await wire.answer()) == [*WANTED[:8], b"last"]


async def test_a_slow_handler_in_front_holds_back_and_loses_none(wire: Wire) -> None:
    sent = b"".join(b"".join(one) for one in islice(requests("all"), MANY))
    await wire.send(SLOW + sent + LAST)
    assert numbers(await wire.answer()) == [b"first", *WANTED]


@pytest.mark.parametrize("bad", [b"no HTTP\r\n\r\n", b"POST / HTTP/1.1\r\nA b\r\n\r\n"])
@pytest.mark.parametrize("name", ["short ones", "GETs", "short behind one in two pieces"])
async def test_what_is_in_front_of_a_malformed_one_is_answered(
    wire: Wire, name: str, bad: bytes
) -> None:
    sent = b"".join(b"".join(one) for one in islice(requests(name), 5))
    await wire.send(sent + bad + sent)
    answers = await wire.answer()
    assert numbers(answers) == WANTED[:5]
    assert re.findall(rb"HTTP/1.[01] (\d+)", answers) == [b"200"] * 5 + [b"400"]


async def test_behind_the_last_answer_nothing_is_answered(wire: Wire) -> None:
    await wire.send(whole(0)[0] + LAST + whole(1)[0] * 100)
    assert numbers(await wire.answer()) == [WANTED[0], b"last"]


@pytest.mark.parametrize("name", MIXES)
async def test_who_sends_nothing_more_reads_all_the_answers(wire: Wire, name: str) -> None:
    await wire.send(b"".join(b"".join(one) for one in islice(requests(name), MANY)))
    wire.writer.write_eof()
    assert numbers(await wire.answer()) == WANTED[:-1]


async def test_who_sends_nothing_more_in_the_middle_is_hung_up_on(wire: Wire) -> None:
    await wire.send(whole(0)[0] + halves(1)[0])
    wire.writer.write_eof()
    assert numbers(await wire.answer()) == [WANTED[0]]


async def test_a_malformed_request_is_answered_to_who_sends_nothing_more(wire: Wire) -> None:
    await wire.send(b"no HTTP\r\n\r\n")
    wire.writer.write_eof()
    assert status_of(await wire.answer()) == 400


# ── what waits is bounded ─────────────────────────────────────────────────────────────────────


async def flood(wire: Wire, data: bytes, *, reads: bool) -> int:
    """Send this again and again; by how many bytes this process grew meanwhile.

    Over the bare socket: a writer of asyncio's would keep what is sent, and a reader what comes.
    """
    wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
    loop, sent = asyncio.get_running_loop(), 0
    with socket.socket(fileno=os.dup(wire.writer.get_extra_info("socket").fileno())) as raw:
        raw.setblocking(False)
        tracemalloc.start(1)
        try:
            before, _ = tracemalloc.get_traced_memory()
            until = loop.time() + SENDING_S
            with suppress(ConnectionError):
                while loop.time() < until:
                    pause_s = 0.001  # where neither way is open
                    with suppress(BlockingIOError):
                        sent = (sent + raw.send(memoryview(data)[sent:])) % len(data)
                        pause_s = 0
                    if reads:
                        with suppress(BlockingIOError):
                            raw.recv(64 * KIB)
                            pause_s = 0
                    await asyncio.sleep(pause_s)
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    return after - before


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
@pytest.mark.parametrize("first", [b"", SLOW], ids=["", "behind a slow one"])
@pytest.mark.parametrize("name", MIXES)
async def test_what_waits_is_bounded(wire: Wire, name: str, first: bytes, reads: bool) -> None:
    for one in islice(requests(name), 40):
        for piece in one:
            await wire.send(piece)
            await asyncio.sleep(0.001)
    data = b"".join(b"".join(one) for one in islice(requests(name), 2_000))
    await wire.send(first)
    assert await flood(wire, data, reads=reads) < MOST_BYTES


@pytest.mark.parametrize("size", [KIB, 8 * KIB, 60 * KIB])
async def test_large_heads_and_bodies_wait_unparsed(wire: Wire, size: int) -> None:
    head = "".join(f"X-{n}: {'y' * 500}\r\n" for n in range(size // 520))
    data = post(0, path="/hooks/long", size=size, more=head) * 32
    await wire.send(SLOW)
    await asyncio.sleep(0.02)
    assert await flood(wire, data, reads=True) < MOST_BYTES


@pytest.mark.parametrize("reads", [True, False], ids=["read", "not read"])
async def test_what_comes_behind_a_broken_body_is_bounded(wire: Wire, reads: bool) -> None:
    await wire.send(SLOW.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"))
    await asyncio.sleep(0.01)
    data = b"no size " * 10_000
    assert await flood(wire, data, reads=reads) < MOST_BYTES


# ── a body is no head ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("front", [get(0)[0], whole(0)[0], long(0)[0], SLOW], ids=range(4))
async def test_a_body_in_pieces_behind_an_answer_is_no_head(front: bytes) -> None:
    request = post(1, size=40 * KIB)
    async with served(SOON) as port, connected(port) as wire:
        await wire.send(front + request[:300])
        for start in range(300, len(request), 4 * KIB):
            await asyncio.sleep(0.01)
            await wire.send(request[start : start + 4 * KIB])
        await wire.send(LAST)
        answers = await wire.answer()
    assert b" 431 " not in answers
    assert numbers(answers)[1:] == [WANTED[1], b"last"]


async def test_a_body_that_nobody_read_is_no_head() -> None:
    async with served(replace(SOON, quiet_s=0.2)) as port, connected(port) as wire:
        await wire.send(post(0, path="/unread", size=64 * KIB)[:300])
        with suppress(ConnectionError):
            for _ in range(20):
                await wire.send(b"x" * KIB)
                await asyncio.sleep(0.005)
        assert re.findall(rb"HTTP/1.[01] (\d+)", await wire.answer()) == [b"403"]


# ── each has its time ─────────────────────────────────────────────────────────────────────────

SLOWLY = {
    "half a head": b"POST /hooks/short HTTP/1.1\r\nHost: bot\r\n",
    "half a body": halves(1)[0],
    "half a chunk": chunked(1)[0],
}


@pytest.mark.parametrize("name", SLOWLY)
@pytest.mark.parametrize("front", [get(0)[0], whole(0)[0], SLOW], ids=["GET", "short", "slow"])
async def test_what_begins_behind_another_has_its_time(name: str, front: bytes) -> None:
    """Also while a byte comes now and then."""
    loop = asyncio.get_running_loop()
    async with served(SOON) as port, connected(port) as wire:
        await wire.send(front)
        await asyncio.sleep(0.02)
        await wire.send(SLOWLY[name])
        ended, began = asyncio.create_task(wire.closed()), loop.time()
        with suppress(ConnectionError):
            while not ended.done():
                await wire.send(b"x" if name != "half a chunk" else b"")
                await asyncio.sleep(0.3)
        await ended
    assert loop.time() - began < 3


@pytest.mark.usefixtures("little_room")
async def test_who_takes_no_answers_is_hung_up_on() -> None:
    async with served(SOON) as port, connected(port) as wire:
        wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionError):
            await flood_to_the_end(wire, whole(0)[0] * 1_000)


async def flood_to_the_end(wire: Wire, data: bytes) -> None:
    async with asyncio.timeout(10):
        while True:
            await wire.send(data)
