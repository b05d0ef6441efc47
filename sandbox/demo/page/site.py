"""The page's site: its files, the guard, and the routes of the four views."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from sandbox.demo.page import discord_view, events_view, faults_view, speckle_view
from sandbox.demo.page.actions import say_what_is_wrong
from sandbox.demo.page.changes import Changes
from sandbox.demo.page.guard import add_headers, guard
from sandbox.demo.stage import Stage
from sandbox.http_site import serving

STATIC: Final = Path(__file__).parent / "static"
VIEWS: Final = (discord_view, speckle_view, events_view, faults_view)


@asynccontextmanager
async def serving_page(stage: Stage, at: int | socket.socket = 0) -> AsyncIterator[str]:
    """Serve the page on 127.0.0.1 while the block runs, on a port (0: a free one) or a socket."""
    changes = Changes()
    async with serving(application(stage, changes), at) as url:
        for one in stage.servers:
            one.server.front = url
        watching = [
            asyncio.create_task(view.watch(stage, changes), name=f"page: {view.__name__}")
            for view in VIEWS
        ]
        try:
            yield url
        finally:
            for task in watching:
                task.cancel()
            ended = await asyncio.gather(*watching, return_exceptions=True)
        if problems := [one for one in ended if isinstance(one, Exception)]:
            raise problems[0]


def application(stage: Stage, changes: Changes) -> web.Application:
    """All routes in an aiohttp application."""
    app = web.Application(middlewares=[guard, say_what_is_wrong])

    async def close(_: web.Application) -> None:
        changes.close()

    app.on_response_prepare.append(add_headers)
    app.on_shutdown.append(close)
    app.router.add_get("/", _front)
    app.router.add_get("/api/changes", changes.stream)
    for view in VIEWS:
        app.router.add_routes(view.routes(stage, changes))
    app.router.add_static("/static/", STATIC)
    return app


async def _front(_: web.Request) -> web.FileResponse:
    return web.FileResponse(STATIC / "index.html")
