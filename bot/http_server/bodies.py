"""Request bodies: read within a time and a budget of bytes that all of them share.

Who sends slowly waits alone: when the budget is used up, the slowest below a least rate is dropped,
and never the one that came last. If all are fast, they wait for each other, and the oldest
continues.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from bot.http_server.faults import MALFORMED
from bot.http_server.limits import Limits

log = structlog.get_logger()

TOO_SLOW = "The body took too long."
TOO_LARGE = "The body is larger than this server takes."


class Bodies:
    """Reads bodies, and holds their bytes against the budget until they are handled."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self.clock = clock
        self._reading: dict[_IncomingBody, None] = {}  # the oldest first
        self._held = 0
        self._room = asyncio.Event()

    def body_of(self, request: web.BaseRequest, most_bytes: int) -> "Body":
        """The whole body of a request, for as long as a block around it lasts.

        Errors, at the start of the block: HTTPRequestEntityTooLarge; HTTPRequestTimeout for one
        that took too long or whose room others needed; HTTPBadRequest; ConnectionError if the
        caller broke off.
        """
        return Body(self, request, most_bytes)

    async def read(
        self, reading: "_IncomingBody", request: web.BaseRequest, most_bytes: int
    ) -> bytes:
        """Read a body while others are read."""
        if request.transport is None:
            raise ConnectionResetError
        self._reading[reading] = None
        try:
            return await self._read(reading, request, most_bytes)
        except TimeoutError:
            raise web.HTTPRequestTimeout(text=TOO_SLOW) from None
        except web.RequestPayloadError:
            raise web.HTTPBadRequest(text=MALFORMED) from None
        finally:
            del self._reading[reading]

    def release(self, reading: "_IncomingBody") -> None:
        """Give back the room of a body that is handled."""
        self._hold(reading, 0)
        self._room.set()

    def drop_slowest(self) -> bool:
        """Drop the body that comes in slowest; False if none is slow enough for that."""
        now = self.clock()
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

    def _hold(self, reading: "_IncomingBody", held: int) -> None:
        self._held += held - reading.held
        reading.held = held

    def _slowness(self, reading: "_IncomingBody", now: float) -> float | None:
        """Bytes a second of one that is to be dropped if room is needed, else None."""
        if reading.waits or reading.dropped:
            return None
        rate = reading.rate(now, self._limits.rate_s)
        return rate if rate is not None and rate < self._limits.least_bytes_per_s else None

    async def _read(
        self, reading: "_IncomingBody", request: web.BaseRequest, most_bytes: int
    ) -> bytes:
        body = bytearray()
        async with asyncio.timeout(self._limits.body_s) as reading.deadline:
            while chunk := await request.content.readany():
                body += chunk
                _check_size(len(body), most_bytes)
                await self._grown(reading, len(body))
        return bytes(body)

    async def _grown(self, reading: "_IncomingBody", size: int) -> None:
        """Account for what came; wait for room where there is none."""
        if reading.dropped:
            return
        reading.grow(size, self.clock(), self._limits.rate_s)
        self._hold(reading, max(0, size - self._limits.free_body_bytes))
        while reading.held and not self._has_room_for(reading):
            if not self.drop_slowest():
                await self._wait_for_room(reading)
            if reading.dropped:
                return

    def _has_room_for(self, reading: "_IncomingBody") -> bool:
        return self._held <= self._limits.body_bytes or reading is self._oldest()

    async def _wait_for_room(self, reading: "_IncomingBody") -> None:
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
            reading.restart(self.clock())

    def _oldest(self) -> "_IncomingBody | None":
        return next((reading for reading in self._reading if not reading.dropped), None)


class Body:
    """The body of one request, held while the block lasts."""

    __slots__ = ("_bodies", "_most_bytes", "_reading", "_request")

    def __init__(self, bodies: Bodies, request: web.BaseRequest, most_bytes: int) -> None:
        self._bodies = bodies
        self._request = request
        self._most_bytes = most_bytes
        self._reading: _IncomingBody | None = None

    async def __aenter__(self) -> bytes:
        _check_size(self._request.content_length or 0, self._most_bytes)
        if self._request.content.is_eof():  # it came with the head: there is nothing to wait for
            body = self._request.content.read_nowait()
            _check_size(len(body), self._most_bytes)
            return body
        self._reading = _IncomingBody(self._bodies.clock())
        try:
            return await self._bodies.read(self._reading, self._request, self._most_bytes)
        except BaseException:
            self._bodies.release(self._reading)
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._reading is not None:
            self._bodies.release(self._reading)


def _check_size(size: int, most_bytes: int) -> None:
    if size > most_bytes:
        raise web.HTTPRequestEntityTooLarge(most_bytes, size, text=TOO_LARGE)


@dataclass(slots=True, eq=False)
class _IncomingBody:
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
