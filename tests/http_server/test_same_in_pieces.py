"""How a request is cut into pieces changes nothing of its answer, whatever the request is."""

import asyncio
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.http_server import Limits
from tests.webhook_listener.desk import Desk, delivery, open_desk, status_of

PIECES = ("whole", "the end alone", "head and body", "byte by byte")
SOON = Limits(head_s=3, body_s=3, closing_s=0.5, quiet_s=0.02, every_s=0.1)
CHUNKED = "Transfer-Encoding: chunked"


@dataclass(frozen=True)
class Odd:
    """A signed delivery that is odd in one way, and what it is answered."""

    status: int
    more: Iterable[str] = ()
    without: str = "-"  # the headers whose names begin so
    method: str = "POST"
    path: str = "{path}"
    version: str = " HTTP/1.1"
    body: bytes | None = None
    first: bytes = b""

    def request(self, desk: Desk) -> bytes:
        whole = desk.signed(delivery())
        head, _, body = whole.partition(b"\r\n\r\n")
        _, *headers = head.decode().split("\r\n")
        kept = [header for header in headers if not header.startswith(self.without)]
        key = desk.path.rpartition("/")[2]
        path = self.path.format(path=desk.path, key=key)
        line = f"{self.method} {path}{self.version}"
        sent = "\r\n".join([line, *kept, *self.more]) + "\r\n\r\n"
        return self.first + sent.encode() + (body if self.body is None else self.body)


def chunks(*, end: bytes = b"0\r\n\r\n", extension: bytes = b"") -> bytes:
    body = delivery()
    return b"%x%b\r\n%b\r\n%b" % (len(body), extension, body, end)


SIZE = len(delivery())
ODD = {
    "plain": Odd(202),
    # versions
    "HTTP/2.0": Odd(400, version=" HTTP/2.0"),
    "HTTP/0.9": Odd(400, version=" HTTP/0.9"),
    "HTTP/1.2": Odd(400, version=" HTTP/1.2"),
    "no version": Odd(400, version=""),
    "small letters": Odd(400, version=" http/1.1"),
    "HTTP/1.0": Odd(202, version=" HTTP/1.0"),
    "HTTP/1.0 without a host": Odd(202, version=" HTTP/1.0", without="Host"),
    "no host": Odd(400, without="Host"),
    "two hosts": Odd(400, ["Host: other"]),
    # targets
    "absolute": Odd(202, path="http://bot{path}"),
    "absolute, another host": Odd(202, path="https://other.example:8003{path}"),
    "absolute, a bad port": Odd(400, path="http://bot:99999999{path}"),
    "two slashes": Odd(202, path="//webhooks//{key}"),
    "a query": Odd(202, path="{path}?a=b&c"),
    "a fragment": Odd(202, path="{path}#a"),
    "a slash at the end": Odd(404, path="{path}/"),
    "an encoded letter": Odd(202, path="/%77ebhooks/{key}"),
    "an encoded slash": Odd(401, path="{path}%2f"),
    "an encoded NUL": Odd(401, path="{path}%00"),
    "half an escape": Odd(401, path="{path}%"),
    "two dots": Odd(404, path="/x/../webhooks/{key}"),
    "a star": Odd(400, path="*"),
    "no slash": Odd(400, path="webhooks"),
    # methods
    "PUT": Odd(405, method="PUT"),
    "CONNECT": Odd(404, method="CONNECT"),
    "small method": Odd(400, method="post"),
    "longer method": Odd(400, method="POSTS"),
    # lengths
    "one length twice": Odd(400, [f"Content-Length: {SIZE}"]),
    "two lengths": Odd(400, ["Content-Length: 3"]),
    "a list of lengths": Odd(400, [f"Content-Length: {SIZE}, {SIZE}"], "Content-Length"),
    "a length with a zero": Odd(202, [f"Content-Length: 0{SIZE}"], "Content-Length"),
    "a length with a plus": Odd(400, [f"Content-Length: +{SIZE}"], "Content-Length"),
    "a hexadecimal length": Odd(400, [f"Content-Length: 0x{SIZE:x}"], "Content-Length"),
    "no number": Odd(400, ["Content-Length:"], "Content-Length"),
    "the largest length": Odd(413, [f"Content-Length: {2**64 - 1}"], "Content-Length"),
    "nearly the largest length": Odd(413, [f"Content-Length: {2**64 - 2}"], "Content-Length"),
    "a larger length": Odd(400, [f"Content-Length: {2**64}"], "Content-Length"),
    "no length": Odd(401, without="Content-Length", body=b""),
    # codings
    "chunks": Odd(202, [CHUNKED], "Content-Length", body=chunks()),
    "a chunk's extension": Odd(202, [CHUNKED], "Content-Length", body=chunks(extension=b";a=b")),
    "trailers": Odd(202, [CHUNKED], "Content-Length", body=chunks(end=b"0\r\nA: b\r\n\r\n")),
    "chunks and a length": Odd(400, [CHUNKED], body=chunks()),
    "chunks of HTTP/1.0": Odd(400, [CHUNKED], "Content-Length", body=chunks(), version=" HTTP/1.0"),
    "chunked twice": Odd(400, [CHUNKED, CHUNKED], "Content-Length", body=chunks()),
    "another coding": Odd(400, ["Transfer-Encoding: identity"]),
    "a space before the colon": Odd(400, ["Transfer-Encoding : chunked"]),
    "no size": Odd(400, [CHUNKED], "Content-Length", body=b"zz\r\n"),
    "a longer chunk": Odd(400, [CHUNKED], "Content-Length", body=b"2\r\n{}xx\r\n"),
    "bare line ends in chunks": Odd(400, [CHUNKED], "Content-Length", body=b"2\n{}\n0\n\n"),
    "gzip": Odd(415, ["Content-Encoding: gzip"]),
    "identity": Odd(202, ["Content-Encoding: identity"]),
    # headers
    "a folded header": Odd(400, ["X-A: b\r\n c"]),
    "a folded length": Odd(400, [f"Content-Length:\r\n {SIZE}"], "Content-Length"),
    "a bare CR": Odd(400, ["X-A: b\rc"]),
    "a NUL": Odd(400, ["X-A: b\0c"]),
    "no text": Odd(202, ["X-A: \N{GRINNING FACE}"]),
    "an empty line first": Odd(202, first=b"\r\n"),
    "a second signature": Odd(202, ["X-WEBHOOK-SIGNATURE: 00"]),
    "two types": Odd(400, ["Content-Type: text/plain"]),
    "another type": Odd(415, ["Content-Type: application/jsonx"], "Content-Type"),
    "a type with a charset": Odd(
        202, ["Content-Type: application/JSON ;charset=utf-8"], "Content-Type"
    ),
    "no type": Odd(415, without="Content-Type"),
    "a long path": Odd(400, path="/" + "a" * 9_000),
    "a long header": Odd(400, ["X-A: " + "b" * 9_000]),
    "many headers": Odd(400, ["X-A: b"] * 140),
    "a long head": Odd(431, ["X-A: " + "b" * 4_000] * 9),
    # what is asked for besides
    "asks first": Odd(100, ["Expect: 100-continue"]),
    "expects something": Odd(417, ["Expect: do-not-quote-me"]),
    "an upgrade": Odd(202, ["Upgrade: websocket", "Connection: upgrade"]),
}


async def in_pieces(desk: Desk, request: bytes, pieces: str) -> bytes:
    head = request.find(b"\r\n\r\n", 4) + 4
    cuts = {
        "whole": [],
        "the end alone": [len(request) - 2],
        "head and body": [head],
        # Thousands of bytes, one by one, would take a busy machine longer than a head may take.
        "byte by byte": range(1, len(request), len(request) // 4_000 + 1),
    }[pieces]
    wire, sent = await desk.wire(), 0
    answer = asyncio.create_task(wire.answer())
    with suppress(ConnectionError):  # it may be refused before it is whole
        for cut in [*cuts, len(request)]:
            await wire.send(request[sent:cut])
            sent = cut
            await asyncio.sleep(0.02 if len(cuts) == 1 else 0)
    said = await answer
    wire.writer.transport.abort()
    return said


def compared(answer: bytes) -> bytes:
    return b"\r\n".join(sorted(re.sub(rb"Date: [^\r]*\r\n", b"", answer).split(b"\r\n")))


@pytest.mark.parametrize("name", ODD)
async def test_an_odd_request_is_answered_the_same_in_any_pieces(tmp_path: Path, name: str) -> None:
    async with open_desk(tmp_path, SOON) as desk:
        assert await desk.post_signed(delivery()) == 202
        request = ODD[name].request(desk)
        answers = {pieces: await in_pieces(desk, request, pieces) for pieces in PIECES}
    assert {pieces: status_of(answer) for pieces, answer in answers.items()} == dict.fromkeys(
        PIECES, ODD[name].status
    )
    assert {compared(answer) for answer in answers.values()} == {compared(answers["whole"])}
    for answer in answers.values():
        assert b"\r\nServer:" not in answer, "it says which version of aiohttp and Python this is"
        assert b"do-not-quote-me" not in answer


async def test_behind_a_length_without_end_nothing_is_taken(tmp_path: Path) -> None:
    """aiohttp's parser takes the largest number for no length, and waits for as many bytes."""
    odd = ODD["the largest length"].request
    async with open_desk(tmp_path, SOON) as desk:
        for path in ("", "/healthz"):
            request = odd(desk).replace(b"Connection: close\r\n", b"")
            if path:
                request = re.sub(rb"POST \S+", b"GET /healthz", request)
            answer = await desk.say(request * 2)
            assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"413"]
