"""Requests that are sent behind others, before those are answered: by anybody, without an end."""

import asyncio
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.http_server import Limits
from bot.http_server.connections import HttpConnection
from tests.webhook_listener.desk import (
    Desk,
    Wire,
    delivery,
    desk,
    little_room,
    open_desk,
    status_of,
)

__all__ = ["desk", "little_room"]

ALIVE = b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n"
BEYOND_THE_QUEUE = 40  # aiohttp's parser stops at 32
STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")

Request = tuple[bytes, bytes]  # head and body


def with_length(desk: Desk, body: bytes | None = None) -> Request:
    """A delivery, on a connection that stays."""
    body = delivery() if body is None else body
    whole = desk.signed(body).replace(b"Connection: close\r\n", b"")
    return whole[: -len(body)], body


def chunked(desk: Desk) -> Request:
    head, body = with_length(desk)
    head = re.sub(rb"Content-Length: \d+", b"Transfer-Encoding: chunked", head)
    return head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


async def answers(wire: Wire, count: int) -> list[bytes]:
    """The statuses of so many answers, in their order."""
    read = b""
    async with asyncio.timeout(20):
        while len(STATUS.findall(read)) < count:
            some = await wire.reader.read(64 * 1024)
            assert some, "it was closed"
            read += some
    return STATUS.findall(read)


@pytest.mark.parametrize("form", [with_length, chunked], ids=["length", "chunked"])
async def test_all_are_answered_behind_ones_that_came_in_two_pieces(
    desk: Desk, form: Callable[[Desk], Request]
) -> None:
    head, body = form(desk)
    wire = await desk.wire()
    for _ in range(BEYOND_THE_QUEUE):
        await wire.send(head)
        await asyncio.sleep(0.005)
        await wire.send(body)
        assert await answers(wire, 1) == [b"202"]
    await wire.send((ALIVE + head + body) * 200)
    assert await answers(wire, 400) == [b"200", b"202"] * 200


async def test_all_are_answered_that_come_with_the_end_of_the_one_in_front(desk: Desk) -> None:
    head, body = with_length(desk)
    wire = await desk.wire(head)
    await asyncio.sleep(0.02)
    await wire.send(body + (head + body + ALIVE) * 100)
    assert await answers(wire, 201) == [b"202", *[b"202", b"200"] * 100]


@pytest.mark.usefixtures("little_room")
async def test_who_reads_no_answer_is_read_no_further_and_dropped(tmp_path: Path) -> None:
    limits = Limits(head_s=0.4, body_s=0.4, closing_s=0.2, every_s=0.05)
    async with open_desk(tmp_path, limits) as desk:
        head, body = with_length(desk)
        with socket.socket() as flood:
            flood.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            flood.connect(("127.0.0.1", desk.port))
            for _ in range(BEYOND_THE_QUEUE):
                flood.sendall(head)
                await asyncio.sleep(0.005)
                flood.sendall(body)
            flood.setblocking(False)
            sent, many = 0, (ALIVE + head + body) * 1000
            async with asyncio.timeout(20):
                while True:
                    try:
                        sent += flood.send(many)
                    except BlockingIOError:
                        await asyncio.sleep(0.01)
                    except OSError:  # it was dropped
                        break
            assert sent < 64 * 1024 * 1024  # what sockets hold
        alive = await desk.say(ALIVE.replace(b"bot\r\n", b"bot\r\nConnection: close\r\n"))
        assert status_of(alive) == 200


async def test_a_body_that_comes_while_the_answer_in_front_goes_out_is_no_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A head may have 32 KiB; the body of the request behind it has more."""
    taken_for_heads: list[int] = []
    half_a_head = HttpConnection._half_a_head

    def noted(self: HttpConnection, size: int) -> None:
        taken_for_heads.append(size)
        half_a_head(self, size)

    monkeypatch.setattr(HttpConnection, "_half_a_head", noted)
    async with open_desk(tmp_path) as desk:
        body = delivery(message="x" * 200_000)
        head = desk.signed(body)[: -len(body)]
        for _ in range(20):
            wire = await desk.wire(b"".join(with_length(desk)) + head)
            for start in range(0, len(body), 20_000):
                await wire.send(body[start : start + 20_000])
                await asyncio.sleep(0)
            assert STATUS.findall(await wire.answer()) == [b"202", b"202"]
    assert not taken_for_heads


async def test_who_sends_ahead_all_the_time_keeps_no_place_from_others(tmp_path: Path) -> None:
    most = 8

    async def flood(desk: Desk) -> None:
        """Hold a place: never silent, and never without a request that waits for its answer."""
        while True:
            wire = await desk.wire()

            async def read(wire: Wire = wire) -> None:
                while await wire.reader.read(64 * 1024):
                    pass

            reading = asyncio.create_task(read())
            try:
                while not reading.done():
                    await wire.send(ALIVE * 200)
            except ConnectionError:
                pass
            finally:
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            await asyncio.sleep(0.2)

    async with open_desk(tmp_path, Limits(connections=most)) as desk:
        floods = [asyncio.create_task(flood(desk)) for _ in range(most)]
        await asyncio.sleep(0.3)
        alive = ALIVE.replace(b"bot\r\n", b"bot\r\nConnection: close\r\n")
        said = [await desk.say(alive) for _ in range(10)]
        for one in floods:
            one.cancel()
        await asyncio.gather(*floods, return_exceptions=True)
    assert [status_of(one) if one else None for one in said] == [200] * 10
