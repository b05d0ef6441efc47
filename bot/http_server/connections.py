"""The connections that are open: each within its time, all of them within their number.

aiohttp gives a connection that sends nothing, or half a head, an hour, reads on after its answer,
and writes what malformed requests held into the log. So its protocol is watched and overruled.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from bot.http_server.limits import Limits
from bot.http_server.paths import PublicPath
from bot.http_server.short_way import ShortWay, WholePost

log = structlog.get_logger()

MALFORMED = "This is not the HTTP that this server speaks."
LONG_HEAD = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class ConnectionState(Enum):
    """What a connection does."""

    SILENT = auto()  # no whole head has come since it was opened or answered
    ANSWERING = auto()  # from a whole head to its answer
    CLOSING = auto()  # the answer is on its way out


class HttpConnection(web.RequestHandler):
    """aiohttp's protocol, which reports to `connections` what it does.

    It starts aiohttp's own task only with the first request that cannot be answered by
    `short_way`. So it knows private attributes of aiohttp's: `_messages`, which were parsed and
    wait, and their `_request_count`; `_task_handler`, who answers; and what tells a server that
    shuts down that there is an answer to wait for.

    aiohttp's parser stops behind 32 messages that nobody has taken, and counts them: up when one
    has come to its end, down when it is taken. One that is taken before its end would count for
    ever, so it is counted down at its end, here.
    """

    __slots__ = (
        "_connections",
        "_loose_bytes",
        "_malformed",
        "_public_path",
        "_short_way",
        "_taken_early",
        "_wire",
        "content",
        "since",
        "state",
    )

    def __init__(
        self,
        server: web.Server,
        connections: "Connections",
        short_way: ShortWay | None,
        public_path: PublicPath,
        **options: Any,
    ) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._connections = connections
        self._short_way = short_way
        self._public_path = public_path
        self._loose_bytes = 0  # of half a head, or behind an answer
        self._malformed = False
        self._taken_early: StreamReader | None = None
        self._wire: asyncio.Transport | None = None
        self.content: StreamReader | None = None
        self.state = ConnectionState.SILENT
        self.since = connections.clock()

    # ── what asyncio calls ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        closing = cast(asyncio.Transport, _Closing(self, self._wire))
        # Without super(), which begins a task and a timer before there is a request.
        self.transport = closing
        cast(web.Server, self._manager).connection_made(self, closing)
        self._connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.remove(self)
        self._wire = self.content = self._taken_early = (
            None  # which refers to this: nothing is left for the collector
        )
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.state is ConnectionState.CLOSING:
            self._drop_unread(data)
            return
        before = self._request_count
        try:
            super().data_received(data)
            if self._taken_early is not None and self._taken_early.is_eof():
                self._taken_early = None
                self._parser.message_consumed()  # type: ignore[union-attr]
                super().data_received(b"")  # what the parser kept back, if it had stopped for it
        except Exception as error:  # a fault of the parser's: asyncio would log it with the bytes
            log.warning("http.malformed", why=type(error).__name__)
            self.abort()
            return
        if self._request_count != before:
            self._begun()
        elif self.state is ConnectionState.SILENT and data:
            self._half_a_head(len(data))

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Each read of a body asks for it, and parses nothing once again."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _begun(self) -> None:
        """A whole head came, or something that is none."""
        if self.content is not None and not self.content.is_eof():
            # Only what breaks the framing of a body can come before the body's end.
            self.content.set_exception(web.RequestPayloadError())
        self._answering(self._messages[-1][1])
        if self._task_handler is None:
            self._answer_next()

    def _answer_next(self) -> None:
        """Have the request answered that waits; from the first that is not short on, by aiohttp."""
        post = None
        # One that does not take its answers is for aiohttp, which then waits.
        if self._short_way is not None and len(self._messages) == 1 and not self.writing_paused:
            post = self._short_way.post_of(*self._messages[0], self._public_path)
        if self._short_way is None or post is None:
            self._task_handler = self._loop.create_task(self.start())
            return
        _, content = self._messages.popleft()
        self.taken(content)
        cast(Any, self._parser).message_consumed()
        self._request_in_progress = True
        answering = self._answer_shortly(self._short_way, post)
        self._task_handler = self._loop.create_task(answering)

    async def _answer_shortly(self, short_way: ShortWay, post: WholePost) -> None:
        try:
            answer = await short_way.answer(post, self._caller())
        finally:
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)
        self.answered()
        self._task_handler = None
        if self._wire is None or self.transport is None:  # the caller is gone
            return
        close = post.close or self._close or self._force_close
        self._wire.write(answer.to_bytes(close=close))
        if close:
            self.transport.close()
        elif self._messages:
            self._answer_next()

    def _caller(self) -> str:
        peer = None if self._wire is None else self._wire.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def _half_a_head(self, size: int) -> None:
        if self._loose_bytes == 0 and self._request_count:
            self.since = self._connections.clock()  # until now it was idle
        self._loose_bytes += size
        if self._loose_bytes > self._connections.limits.head_bytes and self._wire is not None:
            log.warning("http.malformed", why="the head is too long")
            self._wire.write(LONG_HEAD)
            self.end(unread=True)

    # ── what the server calls ──

    def taken(self, content: StreamReader) -> None:
        """A request with this body, which may not be at its end, is the next to be answered."""
        if content is not EMPTY_PAYLOAD and not content.is_eof():
            self._taken_early = content
        self._answering(content)

    def answered(self) -> None:
        """The answer is there, and is going out; another request may wait behind it already."""
        if self.state is not ConnectionState.ANSWERING:
            return
        self._change(ConnectionState.SILENT)
        if self._messages:
            self._answering(self._messages[-1][1])

    def _answering(self, content: StreamReader) -> None:
        self.content = content
        if self.state is ConnectionState.SILENT:
            self._change(ConnectionState.ANSWERING)

    def _change(self, state: ConnectionState) -> None:
        self.state = state
        self._loose_bytes = 0
        self.since = self._connections.clock()

    # ── how it ends ──

    def end(self, *, unread: bool) -> None:
        """Close it when the answer is out; with `unread`, once the caller has had time to read it.

        A socket that is closed with bytes in it takes the answer back (RFC 9112, 9.6), and many
        callers read nothing while they send. So what comes is dropped, until they are quiet.
        """
        if self._wire is None or self.state is ConnectionState.CLOSING:
            return
        self._change(ConnectionState.CLOSING)
        if unread:
            self._wire.resume_reading()
            self._end_when_quiet(-1)
        else:
            self._wire.close()

    def _end_when_quiet(self, before: int) -> None:
        if self._wire is None:
            return
        if self._loose_bytes == before:
            with suppress(OSError):  # the caller is gone
                self._wire.write_eof()
            return
        quiet_s = self._connections.limits.quiet_s
        self._loop.call_later(quiet_s, self._end_when_quiet, self._loose_bytes)

    def ends_unread(self) -> bool:
        """Whether more of a request may still come."""
        return self._malformed or (self.content is not None and not self.content.is_eof())

    def _drop_unread(self, data: bytes) -> None:
        self._loose_bytes += len(data)
        if self._loose_bytes > self._connections.limits.closing_bytes:
            self.abort()

    def abort(self) -> None:
        """End it at once, whatever is on its way."""
        if self._wire is not None:
            self._wire.abort()

    def overdue(self, now: float) -> bool:
        """Whether what it does takes longer than it may."""
        limits = self._connections.limits
        match self.state:
            case ConnectionState.CLOSING:
                allowed = limits.closing_s
            case ConnectionState.ANSWERING:
                if not self.ends_unread() and not self.writing_paused:
                    return False  # we are the slow ones
                allowed = limits.body_s + limits.closing_s  # reading the body ends first
            case ConnectionState.SILENT:
                idle = self._request_count and not self._loose_bytes and not self.writing_paused
                allowed = limits.idle_s if idle else limits.head_s
        return now - self.since > allowed

    # ── what goes wrong ──

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is no HTTP; one line in the log, and nothing of it there or in the answer."""
        log.warning("http.malformed", why=type(exc).__name__)
        self._malformed = True
        response = web.Response(status=HTTPStatus.BAD_REQUEST, text=MALFORMED)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """In one line, as an error's text may hold what the request held."""
        log.error("http.failed", error=type(kw.get("exc_info")).__name__)


class _Closing:
    """A transport whose `close` lets the caller read the answer first."""

    def __init__(self, connection: HttpConnection, wire: asyncio.Transport) -> None:
        self._connection = connection
        self._wire = wire
        # Asked for with each request, and so not by way of __getattr__.
        self.write, self.writelines = wire.write, wire.writelines
        self.is_closing, self.get_extra_info = wire.is_closing, wire.get_extra_info
        self.resume_reading = wire.resume_reading

    def close(self) -> None:
        self._connection.end(unread=self._connection.ends_unread())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wire, name)


class Connections:
    """All that are open; drops what is overdue, and makes room for new ones.

    `on_memory_full` ends the slowest request that is slow enough for it, and says if there is one.
    """

    def __init__(
        self, limits: Limits, clock: Callable[[], float], on_memory_full: Callable[[], bool]
    ) -> None:
        self.limits = limits
        self.clock = clock
        self._on_memory_full = on_memory_full
        self._open: set[HttpConnection] = set()

    def add(self, connection: HttpConnection) -> None:
        """Take a new one in; if there are too many, the one that has been silent longest goes."""
        self._open.add(connection)
        if len(self._open) <= self.limits.connections:
            return
        if not (self.drop_silent(connection) or self._on_memory_full()):
            connection.abort()

    def remove(self, connection: HttpConnection) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)

    def drop_silent(self, newest: HttpConnection | None = None) -> bool:
        """Drop the one that has said nothing for longest; False if none is silent."""
        silent = [
            c for c in self._open if c is not newest and c.state is not ConnectionState.ANSWERING
        ]
        if not silent:
            return False
        oldest = min(silent, key=lambda c: (c.state is not ConnectionState.CLOSING, c.since))
        self._open.discard(oldest)  # it is closed only in a moment
        oldest.abort()
        return True

    def drop_all(self) -> None:
        """Drop what is still there when the server stops."""
        for connection in list(self._open):
            connection.abort()

    def drop_overdue(self) -> None:
        """Drop those that take longer than they may."""
        now = self.clock()
        for connection in [c for c in self._open if c.overdue(now)]:
            connection.abort()
