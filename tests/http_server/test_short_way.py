"""A request that comes in one piece and one that comes in two hear the same."""

import asyncio
import re
from pathlib import Path

import pytest

from bot.http_server import Answer, Limits
from bot.speckle.signature import sign
from tests.waiting import until
from tests.webhook_listener.desk import Desk, Wire, delivery, desk, open_desk, status_of

__all__ = ["desk"]

NOT_COMPARED = re.compile(rb"Date: [^\r]*\r\n")


def seen(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    """An answer's first line, its headers in any order, and its text."""
    head, _, body = NOT_COMPARED.sub(b"", answer).partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return first, set(headers), body


async def in_two_pieces(desk: Desk, request: bytes) -> bytes:
    wire = await desk.wire(request[:-2])
    await asyncio.sleep(0.02)
    await wire.send(request[-2:])
    return await wire.answer()


def requests(desk: Desk) -> dict[str, bytes]:
    """One for each answer that a delivery can get, but for the first time of one that is taken."""
    body, other = delivery(), delivery("another1234")
    secret = desk.hook.secrets[0]
    return {
        "taken already": desk.signed(body),
        "no key": desk.signed(body, path="/webhooks/nobodys-key"),
        "wrong signature": desk.head(len(body)) + body,
        "another project": desk.head(len(other), signature=sign(other, secret)) + other,
        "no delivery": desk.head(2, signature=sign(b"{}", secret)) + b"{}",
        "no JSON": desk.signed(body).replace(b"application/json", b"text/plain"),
        "too large": desk.head(2 * 1024) + b"x" * 2 * 1024,
        "no such path": desk.signed(body, path=f"{desk.path}/more"),
        "no such method": desk.signed(body).replace(b"POST", b"PUT", 1),
    }


async def test_every_answer_is_the_same_whichever_way_it_takes(tmp_path: Path) -> None:
    async with open_desk(tmp_path, Limits(quiet_s=0.02), max_body_bytes=1024) as desk:
        assert await desk.post_signed(delivery()) == 202
        found = {}
        for name, request in requests(desk).items():
            whole = seen(await desk.say(request))
            assert whole == seen(await in_two_pieces(desk, request)), name
            found[name] = status_of(whole[0])
        await desk.storage.write(lambda tx: tx.guilds.leave(1))
        closed = desk.signed(delivery(number=1))
        assert seen(await desk.say(closed)) == seen(await in_two_pieces(desk, closed))
        assert list(found.values()) == [202, 401, 401, 403, 400, 415, 413, 404, 405]


async def test_requests_that_follow_each_other_are_answered_in_their_order(desk: Desk) -> None:
    """On one connection, some of them sent before the one in front of them is answered."""
    bodies = [delivery(number=number) for number in range(6)]
    posts = [desk.signed(body).replace(b"Connection: close\r\n", b"") for body in bodies]
    wire = await desk.wire(posts[0])
    assert status_of(await wire.head()) == 202
    assert await wire.reader.readexactly(6) == b"Taken."
    alive = b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n"
    await wire.send(b"".join([posts[1], posts[2], alive, posts[3]]))
    await wire.send(posts[4] + desk.signed(bodies[5]))
    said = re.findall(rb"(Taken\.|Alive\.)", await wire.answer())
    assert said == [b"Taken."] * 2 + [b"Alive."] + [b"Taken."] * 3
    key = desk.hook.ordering_key
    taken = await desk.storage.read(lambda tx: tx.inbox.take(key, 10, 1_000_000))
    assert [row.body for row in taken.rows] == bodies


async def test_who_hangs_up_before_the_answer_has_delivered_all_the_same(desk: Desk) -> None:
    wire = await desk.wire(desk.signed(delivery()))
    wire.writer.transport.abort()
    await until(desk.rows)


async def test_an_answer_under_way_goes_out_when_the_bot_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_desk(tmp_path) as desk:
        accept, begun = desk.storage.intake.accept, asyncio.Event()

        async def slow_accept(event: object) -> object:
            begun.set()
            await asyncio.sleep(0.1)
            return await accept(event)  # type: ignore[arg-type]

        monkeypatch.setattr(desk.storage.intake, "accept", slow_accept)
        # Not one of the desk's, which closes those before it stops.
        wire = Wire(*await asyncio.open_connection("127.0.0.1", desk.port))
        await wire.send(desk.signed(delivery()))
        await begun.wait()
    assert status_of(await wire.answer()) == 202
    wire.writer.close()


async def test_a_fault_of_ours_is_answered_and_nothing_of_it_is_quoted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(desk.storage.hook_lookup, "by_key", fails)
    request = desk.signed(delivery())
    answer = await desk.say(request)
    assert seen(answer) == seen(await in_two_pieces(desk, request))
    assert status_of(answer) == 500
    assert b"secret" not in answer


def test_an_answer_says_how_long_it_is_in_bytes() -> None:
    answer = Answer(429, "Zu viel – 100 %.", (("Retry-After", "5"),)).to_bytes(close=True)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
    assert f"Content-Length: {len(body)}".encode() in head
    assert b"Retry-After: 5" in head
    assert b"Connection: close" in head
    assert body.decode() == "Zu viel – 100 %."
