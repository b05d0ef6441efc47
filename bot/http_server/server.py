"""Serves an application on an open port, and checks requests before its routes."""

import asyncio
import errno
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, cast

import structlog
from aiohttp import hdrs, web

from bot.http_server.connections import Connections, HttpConnection
from bot.http_server.faults import OUR_FAULT, log_fault
from bot.http_server.limits import Limits
from bot.http_server.paths import PublicPath
from bot.http_server.short_way import ShortWay
from bot.http_server.sockets import BACKLOG

log = structlog.get_logger()

SHUTDOWN_S: Final = 3.0  # for what is in flight when the bot stops
# From accepting a connection to handing it to its handler, in turns of the event loop.
TURNS_TO_A_HANDLER: Final = 3
NO_FILES_LEFT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
SAY_EVERY_S: Final = 60.0
SEND_PLAIN: Final = "Send the body as it is, without a Content-Encoding."

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(
    app: web.Application,
    sockets: Sequence[socket.socket],
    limits: Limits,
    *,
    public_path: PublicPath,
    on_memory_full: Callable[[], bool],
    short_way: ShortWay | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[None]:
    """Serve the application on these sockets until the block ends, and close them."""
    loop = asyncio.get_running_loop()
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    server = cast(web.Server, runner.server)
    connections = Connections(limits, clock, on_memory_full)
    _stand_in_front(server, app, public_path)

    def connection() -> HttpConnection:
        return HttpConnection(
            server,
            connections,
            short_way,
            public_path,
            access_log=None,
            keepalive_timeout=limits.idle_s,
            tcp_keepalive=False,  # a caller that is gone is as silent as any
            lingering_time=0,
            auto_decompress=False,
        )

    with _few_words_without_files(loop, connections, clock):
        listening = [
            await loop.create_server(connection, sock=one, backlog=BACKLOG) for one in sockets
        ]
        watch = asyncio.create_task(_watch(connections), name="connections")
        try:
            yield
        finally:
            await _stop_accepting(sockets)
            for one in listening:
                one.close()
            await runner.cleanup()
            watch.cancel()
            connections.drop_all()


async def _stop_accepting(sockets: Sequence[socket.socket]) -> None:
    """Let connections that were just accepted reach their handler: closed before that, asyncio
    forgets them with their socket open.
    """
    loop = asyncio.get_running_loop()
    for one in sockets:
        loop.remove_reader(one)
    for _ in range(TURNS_TO_A_HANDLER):
        await asyncio.sleep(0)


async def _watch(connections: Connections) -> None:
    while True:
        await asyncio.sleep(connections.limits.every_s)
        connections.drop_overdue()


# ── in front of the routes ────────────────────────────────────────────────────────────────────


def _stand_in_front(server: web.Server, app: web.Application, public_path: PublicPath) -> None:
    """Have each request pass here first; middlewares would see it only after its route is found."""
    route = server.request_handler
    make_request = cast(Callable[..., web.BaseRequest], server.request_factory)
    public_path.learn(app)

    def request(message: Any, *rest: Any) -> web.BaseRequest:
        return make_request(public_path.routed(message), *rest)

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        try:
            response = _refused(request) or await route(request)
        except web.HTTPException as error:
            _close_if_unread(request, error)
            raise
        except ConnectionError:  # the caller broke off, and hears nothing of this
            return web.Response(status=400)
        except Exception as error:  # the top
            log_fault(error)
            response = web.Response(status=500, text=OUR_FAULT)
        _close_if_unread(request, response)
        return response

    server.request_handler = cast(Any, answer)
    server.request_factory = cast(Any, request)


def _close_if_unread(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Say in the answer that no other request is taken behind a body that was not read."""
    if not request.content.is_eof():
        response.force_close()


def _refused(request: web.BaseRequest) -> web.Response | None:
    """Refuse what would have to be unpacked, whatever the path, before anything is read of it."""
    headers = request.headers
    if hdrs.CONTENT_ENCODING in headers and _codings(request, hdrs.CONTENT_ENCODING) - {"identity"}:
        return web.Response(status=415, text=SEND_PLAIN)
    if hdrs.TRANSFER_ENCODING in headers and _codings(request, hdrs.TRANSFER_ENCODING) - {
        "chunked"
    }:
        return web.Response(status=415, text=SEND_PLAIN)
    return None


def _codings(request: web.BaseRequest, name: str) -> set[str]:
    values = ",".join(request.headers.getall(name)).split(",")
    return {value.strip().lower() for value in values} - {""}


# ── without files ─────────────────────────────────────────────────────────────────────────────


@contextmanager
def _few_words_without_files(
    loop: asyncio.AbstractEventLoop, connections: Connections, clock: Callable[[], float]
) -> Iterator[None]:
    """Say once a minute that no file is left for a connection, and make room.

    asyncio says it with a traceback for each of up to 128 connections a second.
    """
    before = loop.get_exception_handler()
    said_at = float("-inf")

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        nonlocal said_at
        error = context.get("exception")
        if not (
            isinstance(error, OSError) and error.errno in NO_FILES_LEFT and "socket" in context
        ):
            before(loop, context) if before else loop.default_exception_handler(context)
            return
        connections.drop_silent()
        if clock() - said_at >= SAY_EVERY_S:
            said_at = clock()
            log.error(
                "http.no_files_left",
                why=f"{error.strerror}; new connections wait until others are closed",
                hint="Raise the limit of open files (ulimit -n, LimitNOFILE=) to 1024",
            )

    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        loop.set_exception_handler(before)
