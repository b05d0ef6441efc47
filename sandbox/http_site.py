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


@asynccontextmanager
async def serving(
    app: web.Application, at: int | socket.socket = 0, *, shutdown_s: float = 1.0
) -> AsyncIterator[str]:
    """Serve on 127.0.0.1, on a port (0: a free one) or a socket; gives the address."""
    bound = socket.create_server((HOST, at)) if isinstance(at, int) else at
    url = f"http://{HOST}:{bound.getsockname()[1]}"
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_s)
    await runner.setup()
    try:
        await web.SockSite(runner, bound).start()
        yield url
    finally:
        await _stop_accepting(bound)
        await runner.cleanup()


async def _stop_accepting(listening: socket.socket) -> None:
    """Let connections that were just accepted reach their handler: closed before that, asyncio
    forgets them with their socket open.
    """
    asyncio.get_running_loop().remove_reader(listening)
    for _ in range(TURNS_TO_A_HANDLER):
        await asyncio.sleep(0)
