"""Versions that are bundles: their artifacts, and the store elsewhere that has the files."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Self

from aiohttp import web

from sandbox.http_site import serving
from sandbox.speckle.entities import Token, Version
from sandbox.speckle.objects import readable
from sandbox.speckle.speckle_world import SpeckleWorld

ENDLESS_PART: Final = bytes(64 * 1024)


@dataclass
class BundleStore:
    """Files behind signed addresses, on an origin of its own; `requests` are the headers it saw.

    It can be made to say nothing, to send without end, or to send people elsewhere.
    """

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[Mapping[str, str]] = field(default_factory=list)
    hang: bool = False
    endless: bool = False
    redirect_to: str | None = None
    _signature: str = field(default_factory=lambda: secrets.token_hex(16))

    @classmethod
    @asynccontextmanager
    async def start(cls) -> AsyncIterator[Self]:
        """A store on a port of its own for as long as the block lasts."""
        store = cls()
        app = web.Application()
        app.router.add_get("/{key}", store._get)
        async with serving(app, shutdown_s=0.1) as store.url:
            yield store

    def put(self, content: bytes) -> str:
        """Keep a file; gives its signed address, whose escapes must stay as they are."""
        key = secrets.token_hex(8)
        self.files[key] = content
        return f"{self.url}/{key}?signature={self._signature}%2Fend%3D"

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(dict(request.headers))
        if self.hang:
            await asyncio.Event().wait()
        if self.redirect_to is not None:
            return web.Response(status=302, headers={"Location": self.redirect_to})
        if not request.raw_path.endswith(f"?signature={self._signature}%2Fend%3D"):
            return web.Response(status=403, text="SignatureDoesNotMatch")
        if self.endless:
            return await _without_end(request)
        content = self.files.get(request.match_info["key"])
        return web.Response(status=404) if content is None else web.Response(body=content)


async def _without_end(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse()
    await answer.prepare(request)
    while True:
        await answer.write(ENDLESS_PART)


def artifacts(world: SpeckleWorld, token: Token | None, request: web.Request) -> web.Response:
    """The files of a version that is a bundle."""
    project = readable(world, token, request)
    if isinstance(project, web.Response):
        return project
    asked = (request.match_info["model"], request.match_info["version"])
    found = [one for one in project.versions if (one.model.id, one.id) == asked]
    files = _files(found[0]) if found else []
    if not files:
        return web.json_response({"error": "No artifacts found"}, status=404)
    return web.json_response({"files": files})


def _files(version: Version) -> list[dict[str, str]]:
    return [{"name": name, "url": url} for name, url in version.artifacts]
