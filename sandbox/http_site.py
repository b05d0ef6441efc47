"""An aiohttp application on a port of this machine, for as long as a block lasts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

HOST: Final = "127.0.0.1"
# From accepting a connection to handing it to its handler, in turns of the event loop.
TURNS_TO_A_HANDLER: Final = 3


class HttpSite:
    """An application on a port that can be shut and opened again, the application living on."""

    def __init__(self, runner: web.AppRunner, at: int | socket.socket) -> None:
        self._runner = runner
        self._at = at
        self._site: web.SockSite | None = None
        self._bound: socket.socket | None = None
        self.url = ""

    async def open(self) -> None:
        """Listen; after `shut` at the same port as before."""
        at = self._at
        self._bound = socket.create_server((HOST, at)) if isinstance(at, int) else at
        self._at = self._bound.getsockname()[1]
        self.url = f"http://{HOST}:{self._at}"
        self._site = web.SockSite(self._runner, self._bound)
        await self._site.start()

    async def shut(self) -> None:
        """Listen no longer and cut what is connected, as where a process was killed."""
        await self.stop_accepting()
        if self._site is not None:
            await self._site.stop()
        self._site = self._bound = None
        server = self._runner.server
        for connection in server.connections if server is not None else ():
            if connection.transport is not None:
                connection.transport.abort()

    async def stop_accepting(self) -> None:
        """Take no more connections; nothing where it is shut."""
        if self._bound is not None:
            await _stop_accepting(self._bound)


@asynccontextmanager
async def running(
    app: web.Application, at: int | socket.socket = 0, *, shutdown_s: float = 1.0
) -> AsyncIterator[HttpSite]:
    """Serve on 127.0.0.1, on a port (0: a free one) or a socket."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_s)
    await runner.setup()
    site = HttpSite(runner, at)
    try:
        await site.open()
        yield site
    finally:
        await site.stop_accepting()
        await runner.cleanup()


@asynccontextmanager
async def serving(
    app: web.Application, at: int | socket.socket = 0, *, shutdown_s: float = 1.0
) -> AsyncIterator[str]:
    """As `running`, for who needs the address alone."""
    async with running(app, at, shutdown_s=shutdown_s) as site:
        yield site.url


async def _stop_accepting(listening: socket.socket) -> None:
    """Let connections that were just accepted reach their handler: closed before that, asyncio
    forgets them with their socket open.
    """
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(TURNS_TO_A_HANDLER):
        await asyncio.sleep(0)
