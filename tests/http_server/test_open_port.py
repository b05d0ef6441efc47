"""What an open port has to bear below the level of deliveries, over bare sockets."""

import asyncio
import errno
import gzip
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from bot.http_server import Limits, PublicPath, bind, serving
from bot.speckle.signature import sign
from tests.waiting import until
from tests.webhook_listener.desk import (
    MAX_BODY,
    Desk,
    Wire,
    delivery,
    desk,
    little_room,
    open_desk,
    status_of,
)

__all__ = ["desk", "little_room"]

SOON = Limits(
    head_s=0.3, idle_s=0.6, body_s=0.3, closing_s=0.3, quiet_s=0.02, every_s=0.05, rate_s=0.1
)
MARK = b"do-not-quote-me"


# ── nothing is inflated, nothing lingers ──────────────────────────────────────────────────────

PLACES = (
    "POST /webhooks/nobodys-key",
    "POST /webhook",
    "GET /healthz",
    "POST /nowhere",
    "DELETE /webhook",
)
PACKED = (
    "gzip",
    "GZIP",
    " deflate ",
    "br",
    "zstd",
    "x-gzip",
    "identity, gzip",
    "gzip\r\nContent-Encoding: identity",
    "something",
)
PLAIN = ("identity", "IDENTITY", "  identity  ", "identity, identity", "")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("coding", PACKED)
async def test_what_is_packed_is_refused_whatever_the_path(
    desk: Desk, place: str, coding: str
) -> None:
    """From the head alone, and nothing more is waited for."""
    head = (
        f"{place} HTTP/1.1\r\nHost: bot\r\nContent-Type: application/json\r\n"
        f"Content-Encoding: {coding}\r\nContent-Length: 5000000\r\n\r\n"
    )
    answer = await desk.say(head.encode())
    assert status_of(answer) == 415
    assert b"Connection: close" in answer


@pytest.mark.parametrize("coding", PLAIN)
async def test_identity_is_no_packing(desk: Desk, coding: str) -> None:
    body = delivery()
    answer = await desk.say(desk.signed(body, more=f"Content-Encoding: {coding}\r\n"))
    assert status_of(answer) == 202


async def test_a_packed_body_is_not_unpacked_anywhere(desk: Desk) -> None:
    """Taken as it is, so that its signature is one over the packed bytes."""
    packed = gzip.compress(delivery())
    assert status_of(await desk.say(desk.signed(packed))) == 400
    answer = await desk.say(desk.signed(packed, more="Content-Encoding: gzip\r\n"))
    assert status_of(answer) == 415
    assert await desk.rows() == []


@pytest.mark.parametrize(
    ("coding", "status"),
    [("gzip, chunked", 415), ("deflate, chunked", 415), ("gzip", 400), ("chunked, chunked", 400)],
)
async def test_another_transfer_coding_is_refused(desk: Desk, coding: str, status: int) -> None:
    head = desk.head(0).replace(b"Content-Length: 0", f"Transfer-Encoding: {coding}".encode())
    assert status_of(await desk.say(head + b"2\r\n{}\r\n0\r\n\r\n")) == status


async def test_chunks_are_put_together(desk: Desk) -> None:
    body = delivery()
    head = desk.head(0, signature=sign(body, desk.hook.secrets[0]))
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, body[i : i + 1]) for i in range(len(body)))
    answer = await desk.say(
        head.replace(b"Content-Length: 0", b"Transfer-Encoding: Chunked") + chunks + b"0\r\n\r\n"
    )
    assert status_of(answer) == 202


async def test_who_asks_first_is_told_to_go_on_or_refused(desk: Desk) -> None:
    body = delivery()
    head = desk.signed(body, more="Expect: 100-continue\r\n")[: -len(body)]
    wire = await desk.wire(head)
    assert status_of(await wire.head()) == 100
    await wire.send(body)
    assert status_of(await wire.answer()) == 202
    packed = "Expect: 100-continue\r\nContent-Encoding: br\r\n"
    assert status_of(await desk.say(desk.head(9, more=packed))) == 415
    assert status_of(await desk.say(desk.head(9, more="Expect: miracles\r\n"))) == 417


async def test_what_comes_behind_an_answer_is_dropped_and_then_refused(tmp_path: Path) -> None:
    async with open_desk(tmp_path, replace(SOON, closing_bytes=100_000)) as desk:
        wire = await desk.wire(desk.head(MAX_BODY + 1))
        assert status_of(await wire.head()) == 413
        with pytest.raises(ConnectionError):
            await _send_again_and_again(wire, b"x" * 65_536)


async def _send_again_and_again(wire: Wire, data: bytes) -> None:
    for _ in range(5_000):
        await wire.send(data)


async def test_an_answer_reaches_a_caller_that_sends_all_before_it_reads(desk: Desk) -> None:
    for head in (
        desk.head(MAX_BODY, more="Content-Encoding: gzip\r\n"),
        desk.head(2 * MAX_BODY),
        desk.head(MAX_BODY, path="/nowhere"),
        desk.head(MAX_BODY).replace(b"Content-Length", b"Content Length"),
    ):
        answer = await desk.say(head + b"x" * MAX_BODY)
        assert 400 <= status_of(answer) < 500


# ── malformed HTTP ────────────────────────────────────────────────────────────────────────────

MALFORMED = {
    "no HTTP": MARK + b"\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00" + MARK,
    "another version": b"GET /" + MARK + b" HTTP/9.9\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe" + MARK + b" HTTP/1.1\r\nHost: bot\r\n\r\n",
    "a bad port": b"GET http://bot:99999999/" + MARK + b" HTTP/1.1\r\nHost: bot\r\n\r\n",
    "half an address": b"GET http://[::1/" + MARK + b" HTTP/1.1\r\nHost: bot\r\n\r\n",
    "a header without a colon": b"GET / HTTP/1.1\r\n" + MARK + b"\r\n\r\n",
    "a header of odd bytes": b"GET / HTTP/1.1\r\nX: \x00" + MARK + b"\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nX: " + MARK * 1_000 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: " + MARK + b"\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a negative length": b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n" + MARK,
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n" + MARK,
    "a length and chunks": (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n" + MARK
    ),
    "bad chunks": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + MARK + b"\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: " + MARK + b"\r\nHost: bot\r\n\r\n",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_malformed_http_is_one_line_and_quoted_nowhere(
    desk: Desk, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        answer = await desk.say(MALFORMED[name])
    assert status_of(answer) == 400
    assert [line["event"] for line in logs] == ["http.malformed"]
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    for said in (answer, str(logs).encode(), caplog.text.encode()):
        assert MARK not in said
        assert b"Traceback" not in said


async def test_a_signature_in_a_malformed_request_stays_out_of_the_log(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    body = delivery(message=MARK.decode())
    request = desk.signed(body).replace(b"Content-Length", b"Content Length")
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        assert status_of(await desk.say(request)) == 400
    everything = f"{logs}{caplog.text}"
    assert sign(body, desk.hook.secrets[0]) not in everything
    assert MARK.decode() not in everything
    assert str(desk.hook.key) not in everything


async def test_chunks_that_break_off_in_the_middle_are_told_at_once(desk: Desk) -> None:
    head = desk.head(0).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    wire = await desk.wire(head + b"2\r\n{}\r\n")
    await asyncio.sleep(0.05)  # so that it is being read
    await wire.send(b"not a size\r\n")
    assert status_of(await wire.answer()) == 400


async def test_an_endless_head_is_cut_off(desk: Desk) -> None:
    wire = await desk.wire(b"GET / HTTP/1.1\r\n")
    answer = asyncio.create_task(wire.answer())
    for number in range(100):
        if answer.done() or wire.writer.is_closing():
            break
        try:
            await wire.send(f"X-{number}: {'y' * 1_000}\r\n".encode())
        except ConnectionError:
            break
    assert status_of(await answer) == 431


async def test_who_breaks_off_is_no_error(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    body = delivery()
    whole = desk.signed(body)
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        for end in (0, 1, 20, len(whole) - len(body), len(whole) - 1, len(whole)):
            wire = await desk.wire(whole[:end])
            await asyncio.sleep(0.02)
            wire.writer.transport.abort()
        await asyncio.sleep(0.1)
        assert await desk.post_signed(delivery(later=True)) == 202
    assert [line for line in logs if line["log_level"] not in ("debug", "info")] == []
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []
    assert desk.missed == []


# ── each state of a connection has its time ───────────────────────────────────────────────────


@pytest.fixture
async def soon(tmp_path: Path) -> AsyncIterator[Desk]:
    """A listener with little patience."""
    async with open_desk(tmp_path, SOON) as desk:
        yield desk


@pytest.mark.parametrize("sent", [b"", b"P", b"POST /webhooks/x HTTP/1.1\r\nHost: bot\r\n"])
async def test_who_sends_no_whole_head_is_hung_up_on(soon: Desk, sent: bytes) -> None:
    assert await soon.say(sent) == b""


async def test_a_byte_now_and_then_does_not_prolong_a_head(soon: Desk) -> None:
    wire = await soon.wire(b"GET / HTTP/1.1\r\nX: ")
    ended = asyncio.create_task(wire.closed())
    for _ in range(200):
        if ended.done():
            break
        try:
            await wire.send(b"y")
        except ConnectionError:
            break
        await asyncio.sleep(0.05)
    await ended


@pytest.mark.parametrize("path", ["", "/webhook", "/webhooks/nobodys-key"])
async def test_half_a_body_is_answered_when_its_time_is_up(soon: Desk, path: str) -> None:
    body = delivery()
    answer = await soon.say(soon.head(len(body), path=path) + body[:-1])
    assert status_of(answer) == 408


async def test_half_a_body_that_nobody_reads_is_hung_up_on() -> None:
    """There is no state without an end, whatever a handler waits for."""

    async def stuck(_request: web.Request) -> web.Response:
        await asyncio.Event().wait()
        return web.Response()

    app = web.Application()
    app.router.add_post("/stuck", stuck)
    async with served(app, SOON) as port:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
        await wire.send(b"POST /stuck HTTP/1.1\r\nHost: bot\r\nContent-Length: 9\r\n\r\nhalf")
        assert await wire.answer() == b""
        wire.writer.close()


async def test_a_body_behind_an_upgrade_that_is_not_made_has_its_time_too() -> None:
    async def stuck(request: web.Request) -> web.Response:
        return web.Response(text=await request.text())

    app = web.Application()
    app.router.add_post("/stuck", stuck)
    async with served(app, SOON) as port:
        wire = Wire(*await asyncio.open_connection("127.0.0.1", port))
        upgrade = b"Host: bot\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        half = b"POST /stuck HTTP/1.1\r\nHost: bot\r\nContent-Length: 9\r\n\r\nhalf"
        await wire.send(b"GET /nowhere HTTP/1.1\r\n" + upgrade + half)
        assert status_of(await wire.head()) == 404
        await wire.closed()
        wire.writer.close()


async def test_a_connection_that_is_kept_idles_longer_and_not_for_ever(soon: Desk) -> None:
    wire = await soon.wire(b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n")
    assert status_of(await wire.head()) == 200
    await wire.send(b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n")
    answers = await wire.answer()
    assert answers.count(b"HTTP/1.1 200") == 1


@pytest.mark.usefixtures("little_room")
async def test_who_does_not_take_the_answers_is_hung_up_on(soon: Desk) -> None:
    wire = await soon.wire()
    wire.reader._transport.pause_reading()  # type: ignore[attr-defined]
    asked = b"GET /nowhere HTTP/1.1\r\nHost: bot\r\n\r\n" * 1_000
    with pytest.raises(ConnectionError):
        await _send_again_and_again(wire, asked)


# ── not more than so many ─────────────────────────────────────────────────────────────────────


async def test_silent_connections_keep_no_delivery_out(tmp_path: Path) -> None:
    async with open_desk(tmp_path, Limits(connections=20)) as desk:
        silent = [await desk.wire(b"POST /" if number % 2 else b"") for number in range(60)]
        assert await desk.post_signed(delivery()) == 202
        await asyncio.sleep(0.05)
        for wire in silent[:30]:
            await wire.closed()
        assert silent[-1].is_open()
        assert silent[-10].is_open()


async def test_the_one_that_was_silent_longest_goes_first_and_no_working_one(
    tmp_path: Path,
) -> None:
    body = delivery()
    async with open_desk(tmp_path, Limits(connections=5)) as desk:
        halfway = await desk.wire(desk.signed(body)[:-1])
        idle = await desk.wire(b"GET /healthz HTTP/1.1\r\nHost: bot\r\n\r\n")
        await idle.head()
        silent = [await desk.wire() for _ in range(3)]
        await asyncio.sleep(0.02)
        await desk.wire()
        await idle.closed()
        for oldest in silent:
            await desk.wire()
            await oldest.closed()
        await halfway.send(body[-1:])
        assert status_of(await halfway.answer()) == 202


async def test_where_all_work_the_slowest_body_gives_way(tmp_path: Path) -> None:
    limits = Limits(connections=4, rate_s=0.05)
    async with open_desk(tmp_path, limits) as desk:
        slow = [await desk.wire(desk.head(1_000)) for _ in range(4)]
        await asyncio.sleep(0.2)
        assert await desk.post_signed(delivery()) == 202
        answers = [asyncio.create_task(wire.answer()) for wire in slow[:3]]
        done, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED)
        assert {status_of(task.result()) for task in done} == {408}
        assert slow[3].is_open()
        for task in answers:
            task.cancel()


# ── bodies share their room ───────────────────────────────────────────────────────────────────

ROOM = Limits(body_bytes=400_000, free_body_bytes=10_000, rate_s=0.1, body_s=60)


async def test_slow_senders_do_not_hold_up_large_bodies(tmp_path: Path) -> None:
    async with open_desk(tmp_path, ROOM) as desk:
        slow = [await desk.wire(desk.head(MAX_BODY) + b"x" * 100_000) for _ in range(4)]
        await asyncio.sleep(0.3)
        large = delivery(filler="x" * 300_000)
        assert await desk.post_signed(large) == 202
        for wire in slow[:1]:
            assert status_of(await wire.answer()) == 408
        assert slow[3].is_open()


async def test_the_newest_body_is_never_dropped(tmp_path: Path) -> None:
    large = delivery(filler="y" * 300_000)
    async with open_desk(tmp_path, ROOM) as desk:
        slow = [await desk.wire(desk.head(MAX_BODY) + b"x" * 150_000) for _ in range(2)]
        await asyncio.sleep(0.3)
        newest = await desk.wire(desk.signed(large)[:200_000])
        await asyncio.sleep(0.5)
        assert newest.is_open()
        await newest.send(desk.signed(large)[200_000:])
        assert status_of(await newest.answer()) == 202
        assert status_of(await slow[0].answer()) == 408


async def test_fast_bodies_wait_for_each_other_and_all_are_taken(tmp_path: Path) -> None:
    async with open_desk(tmp_path, replace(ROOM, body_bytes=100_000)) as desk:
        answers = await asyncio.gather(
            *(desk.post_signed(delivery(filler=f"{n}" * 500_000)) for n in range(8))
        )
        assert answers == [202] * 8


async def test_small_bodies_need_no_room(tmp_path: Path) -> None:
    async with open_desk(tmp_path, replace(ROOM, body_bytes=1, rate_s=60)) as desk:
        await desk.wire(desk.head(MAX_BODY) + b"x" * 500_000)
        await asyncio.sleep(0.05)
        body = delivery()
        halves = await desk.wire(desk.signed(body)[:-10])
        await asyncio.sleep(0.05)
        await halves.send(body[-10:])
        assert status_of(await halves.answer()) == 202


# ── without files ─────────────────────────────────────────────────────────────────────────────


async def test_running_out_of_files_is_said_once_and_passes(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG), capture_logs() as logs:
        callers = [socket.socket() for _ in range(3)]
        with no_files_left():
            for number, caller in enumerate(callers):
                caller.connect(("127.0.0.1", desk.port))
                caller.sendall(desk.signed(delivery(number=number)))
            await until(lambda: logs)
        answers = [await asyncio.to_thread(caller.recv, 1_000) for caller in callers]
    for caller in callers:
        caller.close()
    assert [status_of(answer) for answer in answers] == [202] * 3
    errors = [line["event"] for line in logs if line["log_level"] == "error"]
    assert errors == ["http.no_files_left"]
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


async def test_without_files_the_silent_make_room(desk: Desk) -> None:
    silent = await desk.wire()
    caller = socket.socket()
    with no_files_left():
        caller.connect(("127.0.0.1", desk.port))
        await silent.closed()
    caller.close()


@contextmanager
def no_files_left() -> Iterator[None]:
    """Leave this process no file to open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 20, hard))
    held: list[int] = []
    try:
        while True:
            try:
                held.append(os.open(os.devnull, os.O_RDONLY))
            except OSError as error:
                assert error.errno == errno.EMFILE  # noqa: PT017
                break
        yield
    finally:
        for one in held:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


# ── where it listens ──────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this computer has no IPv6")
async def test_two_colons_take_both_families(tmp_path: Path) -> None:
    async with open_desk(tmp_path, host="::") as desk:
        for host in ("127.0.0.1", "::1"):
            reader, writer = await asyncio.open_connection(host, desk.port)
            writer.write(desk.signed(delivery(host=host)))
            assert status_of(await reader.read()) == 202
            writer.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1"])  # noqa: S104
async def test_other_hosts_take_what_they_name(tmp_path: Path, host: str) -> None:
    if host == "::1" and not socket.has_dualstack_ipv6():
        pytest.skip("this computer has no IPv6")
    async with open_desk(tmp_path, host=host) as desk:
        to = host if host != "0.0.0.0" else "127.0.0.1"  # noqa: S104
        reader, writer = await asyncio.open_connection(to, desk.port)
        writer.write(desk.signed(delivery()))
        assert status_of(await reader.read()) == 202
        writer.close()


# ── below a path ──────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("public_url", "before"),
    [
        ("https://example.org/speckle", "/speckle"),
        ("https://example.org/speckle/", "/speckle/"),
        ("https://example.org/speckle", "//speckle/"),
        ("https://example.org//speckle//bot/", "/speckle/bot"),
        ("https://example.org/b%C3%A4r", "/b%c3%a4r"),
        ("https://example.org/webhooks", "/webhooks"),
        ("https://example.org/webhook", "/webhook"),
        ("https://example.org/link", "/link"),
        ("https://example.org/speckle", ""),
        ("https://example.org/webhooks", ""),
        ("https://example.org", "/"),
        (None, "/"),
    ],
)
async def test_the_path_of_the_public_url_may_be_kept_or_not(
    tmp_path: Path, public_url: str | None, before: str
) -> None:
    async with open_desk(tmp_path, public_url=public_url) as desk:
        for path, status in (
            (desk.path, 202),
            ("/webhooks/nobodys-key", 401),
            ("/instance", 200),
            ("/healthz", 200),
            ("/nowhere/at/all", 404),
        ):
            method = "GET" if status in (200, 404) else "POST"
            body = delivery()
            request = desk.signed(body, path=before + path)
            if method == "GET":
                request = f"GET {before}{path}?x=1 HTTP/1.0\r\n\r\n".encode()
            assert status_of(await desk.say(request)) == status, path


async def test_another_path_than_that_of_the_public_url_leads_nowhere(tmp_path: Path) -> None:
    async with open_desk(tmp_path, public_url="https://example.org/speckle") as desk:
        body = delivery()
        for before in ("/other", "/speckle/speckle", "/speckles"):
            request = desk.signed(body, path=before + desk.path)
            assert status_of(await desk.say(request)) == 404


@asynccontextmanager
async def served(app: web.Application, limits: Limits) -> AsyncIterator[int]:
    """Another application on the same kind of server."""
    sockets = bind("127.0.0.1", 0)
    async with serving(
        app, sockets, limits, public_path=PublicPath(None), on_memory_full=lambda: False
    ):
        yield sockets[0].getsockname()[1]
