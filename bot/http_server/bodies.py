"""Request bodies: read within a time and a budget of bytes that all of them share.

Who sends slowly waits alone: when the budget is used up, the slowest below a least rate is dropped,
and never the one that came last. If all are fast, they wait for each other, and the oldest goes on.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from bot.http_server.limits import Limits

log = structlog.get_logger()

TOO_SLOW = "The body took too long."
TOO_LARGE = "The body is larger than this server takes."
CUT_SHORT = "The body is not what its head says."


class Bodies:
    """Reads bodies, and holds their bytes against the budget until they are dealt with."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._reading: dict[_Reading, None] = {}  # the oldest first
        self._held = 0
        self._room = asyncio.Event()

    @asynccontextmanager
    async def body_of(self, request: web.BaseRequest, most_bytes: int) -> AsyncIterator[bytes]:
        """The whole body of a request, for as long as the block lasts.

        Errors: HTTPRequestEntityTooLarge; HTTPRequestTimeout for one that took too long or whose
        room others needed; HTTPBadRequest; ConnectionError if the caller broke off.
        """
        if (request.content_length or 0) > most_bytes:
            raise web.HTTPRequestEntityTooLarge(most_bytes, 0, text=TOO_LARGE)
        if request.content.is_eof():  # all of it came with the head: there is nothing to wait for
            body = request.content.read_nowait()
            if len(body) > most_bytes:
                raise web.HTTPRequestEntityTooLarge(most_bytes, len(body), text=TOO_LARGE)
            yield body
            return
        reading = _Reading(self._clock())
        self._reading[reading] = None
        try:
            body = await self._read(reading, request, most_bytes)
            self._reading.pop(reading)
            yield body
        finally:
            self._reading.pop(reading, None)
            self._hold(reading, 0)
            self._room.set()

    def drop_slowest(self) -> bool:
        """Drop the body that comes in slowest; False if none is slow enough for that."""
        now = self._clock()
        newest = next(reversed(self._reading), None)
        slow = {
            reading: rate
            for reading in self._reading
            if reading is not newest and (rate := self._slowness(reading, now)) is not None
        }
        if not slow:
            return False
        slowest = min(slow, key=slow.__getitem__)
        log.info("http.slow_body_dropped", body_bytes=slowest.size, after_s=now - slowest.began)
        slowest.drop()
        self._hold(slowest, 0)
        return True

    def _hold(self, reading: "_Reading", held: int) -> None:
        self._held += held - reading.held
        reading.held = held

    def _slowness(self, reading: "_Reading", now: float) -> float | None:
        """Bytes a second of one that is to be dropped if room is needed, else None."""
        if reading.waits or reading.dropped:
            return None
        rate = reading.rate(now, self._limits.rate_s)
        return rate if rate is not None and rate < self._limits.least_bytes_per_s else None

    async def _read(self, reading: "_Reading", request: web.BaseRequest, most_bytes: int) -> bytes:
        if request.transport is None:
            raise ConnectionResetError
        body = bytearray()
        try:
            async with asyncio.timeout(self._limits.body_s) as reading.deadline:
                while chunk := await request.content.readany():
                    body += chunk
                    if len(body) > most_bytes:
                        raise web.HTTPRequestEntityTooLarge(most_bytes, len(body), text=TOO_LARGE)
                    await self._grown(reading, len(body))
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=TOO_SLOW) from None
        except web.RequestPayloadError:
            raise web.HTTPBadRequest(text=CUT_SHORT) from None
        return bytes(body)

    async def _grown(self, reading: "_Reading", size: int) -> None:
        """Account for what came; wait for room where there is none."""
        if reading.dropped:
            return
        reading.grow(size, self._clock(), self._limits.rate_s)
        self._hold(reading, max(0, size - self._limits.free_body_bytes))
        while self._held > self._limits.body_bytes and reading is not self._oldest():
            if not self.drop_slowest():
                await self._wait_for_room(reading)
            if reading.dropped:
                return

    async def _wait_for_room(self, reading: "_Reading") -> None:
        """Until somebody is done, or for long enough that somebody may have become slow."""
        self._room.clear()
        reading.waits = True
        try:
            async with asyncio.timeout(self._limits.rate_s):
                await self._room.wait()
        except TimeoutError:
            pass
        finally:
            reading.waits = False
            reading.restart(self._clock())

    def _oldest(self) -> "_Reading | None":
        return next((reading for reading in self._reading if not reading.dropped), None)


@dataclass(slots=True, eq=False)
class _Reading:
    """One body on its way in, and how fast it comes."""

    began: float
    size: int = 0
    held: int = 0  # of the budget
    waits: bool = False  # for room, not for its sender
    dropped: bool = False
    deadline: asyncio.Timeout | None = None
    _marks: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart(self.began)

    def restart(self, now: float) -> None:
        """Judge the rate by what comes from now on."""
        self._marks = [(now, self.size)]

    def grow(self, size: int, now: float, span_s: float) -> None:
        self._roll(now, span_s)
        self.size = size

    def rate(self, now: float, span_s: float) -> float | None:
        """Bytes a second within the last one to two spans; None before there was one."""
        self._roll(now, span_s)
        since, size = self._marks[0]
        return None if now - since < span_s else (self.size - size) / (now - since)

    def _roll(self, now: float, span_s: float) -> None:
        if now - self._marks[-1][0] >= span_s:
            self._marks = [self._marks[-1], (now, self.size)]

    def drop(self) -> None:
        """Have its reading end as one that took too long."""
        self.dropped = True
        if self.deadline is not None:
            self.deadline.reschedule(0.0)
