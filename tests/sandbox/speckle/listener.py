"""A client of the old `graphql-ws` subprotocol, as tests need it: it keeps every frame."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

Frame = dict[str, Any]
# No frame in so many waits, one after the other: there is none to come. A machine that is busy can
# make a single wait end before what is under way has come.
QUIET_S, QUIET_TIMES = 0.01, 4


class Listener:
    """One socket; `frames` is all that came, `close_code` how it ended."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws
        self.frames: list[Frame] = []
        self.is_closed = asyncio.Event()
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._read())

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        token: str | None = None,
        *,
        protocols: Sequence[str] = ("graphql-ws",),
        **more: Any,
    ) -> AsyncIterator["Listener"]:
        """Connect to a server's address; with a token also `connection_init`."""
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{url}/graphql", protocols=protocols, **more) as ws,
        ):
            listener = cls(ws)
            try:
                if token is not None:
                    init = {"Authorization": f"Bearer {token}"}
                    await listener.send({"type": "connection_init", "payload": init})
                    await listener.wait_for(2)
                yield listener
            finally:
                listener._task.cancel()

    @property
    def close_code(self) -> int | None:
        """As the client sees it: 1006 without a close frame."""
        return self.ws.close_code

    async def send(self, frame: Frame | str) -> None:
        """Send a frame, or a text that is none."""
        await self.ws.send_str(frame if isinstance(frame, str) else json.dumps(frame))

    async def start(self, name: str, query: str, **variables: Any) -> None:
        """Begin an operation under an id."""
        payload = {"query": query, "variables": variables}
        await self.send({"type": "start", "id": name, "payload": payload})

    async def are_started(self) -> None:
        """Wait until all that was begun runs: a question that was asked after it is answered."""
        name = f"are started? {len(self.frames)}"
        await self.start(name, "{serverInfo{version}}")
        async with asyncio.timeout(2):
            while not self.of(name):
                await self._next()

    async def wait_for(self, count: int) -> None:
        """Wait until so many frames came in all."""
        async with asyncio.timeout(2):
            while len(self.frames) < count:
                await self._next()

    async def quiet(self) -> None:
        """Wait until nothing comes any more."""
        times = 0
        while times < QUIET_TIMES:
            self._came.clear()
            try:
                async with asyncio.timeout(QUIET_S):
                    await self._came.wait()
            except TimeoutError:
                times += 1
            else:
                times = 0

    async def closed(self) -> int | None:
        """Wait for its end."""
        async with asyncio.timeout(2):
            await self.is_closed.wait()
        return self.close_code

    def of(self, name: str | None) -> list[Frame]:
        """The frames of an id."""
        return [frame for frame in self.frames if frame.get("id") == name]

    async def _next(self) -> None:
        self._came.clear()
        await self._came.wait()

    async def _read(self) -> None:
        try:
            async for message in self.ws:
                self.frames.append(json.loads(message.data))
                self._came.set()
        finally:
            self.is_closed.set()
