"""The connections that are open: each within its time, all of them within their number.

aiohttp gives a connection that sends nothing, or half a head, an hour, reads on after its answer,
and writes what malformed requests held into the log. So its protocol is watched and overruled.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Final, cast

import structlog
from aiohttp import web
from aiohttp.http import HttpRequestParser
from aiohttp.streams import StreamReader

from bot.http_server.faults import LONG_HEAD, MALFORMED
from bot.http_server.limits import Limits
from bot.http_server.paths import PublicPath
from bot.http_server.short_way import Answer, ShortWay, WholePost

log = structlog.get_logger()

READ_BYTES: Final = 64 * 1024  # at once from a socket; of a body aiohttp keeps twice as much
# What is used here of aiohttp that its documentation does not promise; a test looks for each.
AIOHTTPS_OWN: Final = {
    web.RequestHandler: (
        "_close",
        "_force_close",
        "_handler_waiter",
        "_loop",
        "_manager",
        "_message_tail",
        "_messages",
        "_parser",
        "_reading_paused",
        "_request_count",
        "_request_in_progress",
        "_task_handler",
        "_upgraded",
        "finish_response",
    ),
    HttpRequestParser: ("message_consumed", "set_upgraded"),
}


TOO_LONG: Final = Answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, LONG_HEAD)


class ConnectionState(Enum):
    """What a connection does."""

    SILENT = auto()  # no whole head has come since it was opened or answered
    ANSWERING = auto()  # from a whole head to its answer
    SENDING = auto()  # the answer is there, and the caller may not take it
    CLOSING = auto()  # the last answer is on its way out


class HttpConnection(web.RequestHandler):
    """aiohttp's protocol, which takes one request at a time and reports what it does.

    Its parser stops behind each request, and gets what comes behind it only when the answer is out.
    So nothing is parsed that has to wait, and what waits is what was read at once: as long as there
    is any of it, the socket is not read.

    aiohttp's own task starts only with the first request that `short_way` does not answer.
    AIOHTTPS_OWN names what of aiohttp's is used here that its documentation does not promise.
    """

    __slots__ = (
        "_behind",
        "_connections",
        "_has_ended",
        "_loose_bytes",
        "_malformed",
        "_public_path",
        "_sent_ahead",
        "_short_way",
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
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, read_bufsize=READ_BYTES, **options)
        self._parser = HttpRequestParser(
            self,
            loop,
            READ_BYTES,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=1,
        )
        self._connections = connections
        self._short_way = short_way
        self._public_path = public_path
        self._behind = b""  # what came behind a request that is being answered
        self._sent_ahead = False  # the request that is being answered came before it was its turn
        self._has_ended = False  # the caller sends nothing more
        self._loose_bytes = 0  # of half a head, or behind an answer
        self._malformed = False
        self._wire: asyncio.Transport | None = None
        self.content: StreamReader | None = None
        self.state = ConnectionState.SILENT
        self.since = connections.clock()

    # ── what asyncio calls ──

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._wire = cast(asyncio.Transport, transport)
        cast(Any, transport).max_size = READ_BYTES  # asyncio's own is four times as much
        closing = cast(asyncio.Transport, _Closing(self, self._wire))
        # Without super(), which begins a task and a timer before there is a request.
        self.transport = closing
        cast(web.Server, self._manager).connection_made(self, closing)
        self._connections.add(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.remove(self)
        self._wire = self.content = None  # which refers to this: nothing is left for the collector
        self._behind = b""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.state is ConnectionState.CLOSING:
            self._drop_unread(data)
        elif self._takes_more():
            self._parse(data)
        else:
            self._keep(data)

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks, aiohttp says nothing
        """Whether to stay open: who sends nothing more may still read the answers."""
        self._has_ended = not self._takes_more() and self.state is not ConnectionState.CLOSING
        return self._has_ended

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Each read of a body asks for it, and parses nothing once again."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    # ── one request after the other ──

    def _is_busy(self) -> bool:
        return self.state in (ConnectionState.ANSWERING, ConnectionState.SENDING)

    def _takes_more(self) -> bool:
        """Whether the parser is to have what comes: not behind a whole request, or a broken one."""
        return not (self._is_busy() and self._is_whole())

    def _is_whole(self) -> bool:
        content = self.content
        return content is None or content.is_eof() or content.exception() is not None

    def _keep(self, data: bytes) -> None:
        """Let it wait, and whatever else would come."""
        self._behind += data
        if self._wire is not None:
            self._wire.pause_reading()

    def _parse(self, data: bytes) -> None:
        before = self._request_count
        try:
            super().data_received(data)
        except Exception as error:  # a fault of the parser's: asyncio would log it with the bytes
            log.warning("http.malformed", why=type(error).__name__)
            self.abort()
            return
        if self._request_count != before:
            self._begun()
        elif self.state is ConnectionState.SILENT and data and not self._upgraded:
            self._half_a_head(len(data))
        if self._upgraded:
            self._stay_with_http()

    def _stay_with_http(self) -> None:
        """Nothing here takes an upgrade: what comes behind one that was asked for is HTTP too."""
        self._upgraded = False
        cast(Any, self._parser).set_upgraded(False)
        behind, self._message_tail = self._message_tail, b""
        if self._takes_more():
            self._parse(behind)
        elif behind:
            self._keep(behind)

    def _begun(self) -> None:
        """A whole head came, or something that is none."""
        if self.content is not None and not self.content.is_eof():
            # Only what breaks the framing of a body can come before the body's end.
            self.content.set_exception(web.RequestPayloadError())
        else:
            self.content = self._messages[-1][1]
        if self.state is ConnectionState.SILENT:
            self._change(ConnectionState.ANSWERING)
        if self._task_handler is None:
            self._answer_first()

    def _answer_first(self) -> None:
        """Have the request answered; from the first that is not short on, by aiohttp."""
        post = None
        # One that does not take its answers is for aiohttp, which then waits.
        if self._short_way is not None and not self.writing_paused:
            most = self._connections.limits.head_bytes
            post = self._short_way.post_of(*self._messages[0], self._public_path, most)
        if self._short_way is None or post is None:
            self._task_handler = self._loop.create_task(self.start())
            return
        self._messages.clear()
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
        self._task_handler = None
        if self._wire is None or self.transport is None:  # the caller is gone
            return
        close = post.close or self._close or self._force_close
        self._wire.write(answer.to_bytes(close=close))
        if close:
            self.transport.close()
        else:
            self._go_on()

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Send an answer of aiohttp's way, and only then look at what came behind its request."""
        if self.state is ConnectionState.ANSWERING:
            self._change(ConnectionState.SENDING)
        sent, is_lost = await super().finish_response(request, resp, start_time)
        if sent.keep_alive and not is_lost and request.content.is_eof():
            self._go_on()
        return sent, is_lost

    def _go_on(self) -> None:
        """An answer is out: parse what waited, and read on when it is used up."""
        if self._wire is None or not self._is_busy():
            return
        self._change(ConnectionState.SILENT)
        cast(Any, self._parser).message_consumed()
        behind, self._behind = self._behind, b""
        self._parse(behind)
        self._sent_ahead = self._is_busy()
        if not self._takes_more():
            return
        if self._has_ended:
            self._wire.close()
        elif not self._reading_paused:
            self._wire.resume_reading()

    def _caller(self) -> str:
        peer = None if self._wire is None else self._wire.get_extra_info("peername")
        return str(peer[0]) if isinstance(peer, tuple) else ""

    def _half_a_head(self, size: int) -> None:
        if self._loose_bytes == 0 and self._request_count:
            self.since = self._connections.clock()  # until now it was idle
        self._loose_bytes += size
        if self._loose_bytes > self._connections.limits.head_bytes and self._wire is not None:
            log.warning("http.malformed", why="the head is too long")
            self._wire.write(TOO_LONG.to_bytes(close=True))
            self.end(unread=True)

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
        self._behind = b""
        if unread and not self._has_ended:
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

    def sends_ahead(self) -> bool:
        """Whether requests come before the one in front is answered: no proxy does that."""
        return self._sent_ahead or bool(self._behind)

    def ends_unread(self) -> bool:
        """Whether more of a request may still come, or waits to be read."""
        return self._malformed or bool(self._behind) or self._lacks_body()

    def _lacks_body(self) -> bool:
        return self.content is not None and not self.content.is_eof()

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
                if self._task_handler is None or self._task_handler.done():
                    return True  # a fault ended the task
                if not (self._malformed or self._lacks_body()):
                    return False  # we are the slow ones
                allowed = limits.body_s + limits.closing_s  # reading the body ends first
            case ConnectionState.SENDING:
                allowed = limits.head_s
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
        """Take a new one in; if there are too many, one that nobody waits for goes."""
        self._open.add(connection)
        if len(self._open) <= self.limits.connections:
            return
        if not (self.drop_silent(connection) or self._on_memory_full()):
            connection.abort()

    def remove(self, connection: HttpConnection) -> None:
        """Forget one that is closed."""
        self._open.discard(connection)

    def drop_silent(self, newest: HttpConnection | None = None) -> bool:
        """Drop the one that has said nothing for longest; False if all wait for an answer.

        Before it go those that end, and those that send ahead: they are never silent.
        """
        found = [
            c
            for c in self._open
            if c is not newest and (c.state is not ConnectionState.ANSWERING or c.sends_ahead())
        ]
        if not found:
            return False
        oldest = min(
            found,
            key=lambda c: (c.state is not ConnectionState.CLOSING, not c.sends_ahead(), c.since),
        )
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
