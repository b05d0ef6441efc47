"""What has changed since a browser last asked, as a stream of topics."""

import asyncio
from contextlib import suppress
from typing import Final

from aiohttp import web

TOPICS: Final = ("discord", "speckle", "events", "faults")
GATHER_S: Final = 0.08  # what changes within this time is said once
SIGN_OF_LIFE_S: Final = 15.0  # a browser that has gone is noticed by it


class Changes:
    """Topics that changed, for each browser that listens at /api/changes."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._closed = False

    def mark(self, topic: str) -> None:
        """Say that a view's state is another one now."""
        if topic not in TOPICS:
            raise ValueError(f"there is no topic {topic!r}")
        for listener in self._listeners:
            listener.add(topic)

    def close(self) -> None:
        """End all streams, so that the site can stop."""
        self._closed = True
        for listener in self._listeners:
            listener.changed.set()

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """GET /api/changes: an EventSource; all topics at first, then those that change."""
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        listener = _Listener()
        self._listeners.add(listener)
        try:
            with suppress(ConnectionError):
                while not self._closed:
                    await answer.write(await listener.next_lines())
        finally:
            self._listeners.discard(listener)
        return answer


class _Listener:
    """One browser, and what it does not know yet."""

    def __init__(self) -> None:
        self._topics = set(TOPICS)
        self.changed = asyncio.Event()
        self.changed.set()

    def add(self, topic: str) -> None:
        self._topics.add(topic)
        self.changed.set()

    async def next_lines(self) -> bytes:
        """What to write next: the topics that changed, or a comment where nothing did."""
        try:
            async with asyncio.timeout(SIGN_OF_LIFE_S):
                await self.changed.wait()
        except TimeoutError:
            return b": still here\n\n"
        await asyncio.sleep(GATHER_S)
        topics, self._topics = self._topics, set()
        self.changed.clear()
        return "".join(f"data: {topic}\n\n" for topic in sorted(topics)).encode()
