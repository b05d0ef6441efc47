"""A shorter way for the one kind of request that comes by the thousand: a small POST of JSON.

aiohttp parses it as any other. But where head and body came in one piece, nothing is left to wait
for, and its two tasks, its request and its response cost more than all that is done with the body.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from typing import Any, Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.streams import StreamReader

from bot.http_server.faults import OUR_FAULT, log_fault
from bot.http_server.paths import PublicPath

JSON: Final = re.compile(r"application/json *(;|\Z)", re.IGNORECASE)
# What asks for more than an answer, or says that the body is not as it is; the routes know it.
NOT_PLAIN: Final = (hdrs.CONTENT_ENCODING, hdrs.TRANSFER_ENCODING, hdrs.EXPECT, hdrs.UPGRADE)


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a sentence, either way."""

    status: int
    text: str
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> web.Response:
        """As aiohttp sends it."""
        return web.Response(status=self.status, text=self.text, headers=dict(self.headers))

    def to_bytes(self, *, close: bool) -> bytes:
        """As it is sent the short way."""
        return _around_the_date(self, close) % rfc822_formatted_time().encode()


@lru_cache(maxsize=64)
def _around_the_date(answer: Answer, close: bool) -> bytes:
    """The same with a place for the date, as nearly all answers are the same."""
    body = answer.text.encode()
    headers = [
        (hdrs.CONTENT_TYPE, "text/plain; charset=utf-8"),
        (hdrs.CONTENT_LENGTH, str(len(body))),
        *answer.headers,
        *([(hdrs.CONNECTION, "close")] if close else []),
    ]
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    head = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}\r\n{lines}".encode()
    return b"%b%b: %%b\r\n\r\n%b" % (_plain(head), hdrs.DATE.encode(), _plain(body))


def _plain(part: bytes) -> bytes:
    return part.replace(b"%", b"%%")


@dataclass(frozen=True, slots=True)
class WholePost:
    """A POST that came in one piece; `close` if no other is to follow on its connection."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    close: bool


def head_bytes(path: str, headers: Iterable[tuple[bytes, bytes]]) -> int:
    """About how long a head was, which may come in one piece or in many."""
    return len(path) + sum(len(name) + len(value) + 4 for name, value in headers)


@dataclass(frozen=True, slots=True)
class ShortWay:
    """Which paths have it, and who answers a POST there, given the address that it came from."""

    paths: re.Pattern[str]
    most_bytes: int
    handler: Callable[[WholePost, str], Awaitable[Answer]]

    def post_of(
        self, message: Any, content: StreamReader, at: PublicPath, most_head_bytes: int
    ) -> WholePost | None:
        """The request, if it is one for this way; then its body is taken out of `content`."""
        if getattr(message, "method", None) != hdrs.METH_POST:  # others, or what is no HTTP
            return None
        message = at.routed(message)
        headers, path = message.headers, message.url.raw_path
        if (
            not content.is_eof()
            or content.total_bytes > self.most_bytes
            # Another length than came is a body so large that the parser takes it for none.
            or headers.get(hdrs.CONTENT_LENGTH) != str(content.total_bytes)
            or message.version != HttpVersion11
            or not self.paths.fullmatch(path)
            or not JSON.match(headers.get(hdrs.CONTENT_TYPE, ""))
            or any(name in headers for name in NOT_PLAIN)
            or head_bytes(message.path, message.raw_headers) > most_head_bytes
        ):
            return None
        return WholePost(path, headers, content.read_nowait(), message.should_close)

    async def answer(self, post: WholePost, caller: str) -> Answer:
        """The handler's answer, or that it failed."""
        try:
            return await self.handler(post, caller)
        except Exception as error:  # the top
            log_fault(error)
            return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, OUR_FAULT)
