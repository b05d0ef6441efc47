"""Serves `GET /metrics`, from before the database is open until the bot has ended."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web
from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from bot.errors import ConfigError, Problem
from bot.http_server import Limits, PublicPath, bind, serving, why_not_bound
from bot.metrics import Metrics
from bot.monitoring.gauges import families
from bot.monitoring.readings import Reader, Readings, RunningParts
from bot.single_flight import SingleFlightCache

log = structlog.get_logger()

SAME_ANSWER_S: Final = 1.0  # for everybody who asks within it
PAGE: Final = "page"
# A few monitoring systems keep a connection each; none of them sends a body.
LIMITS: Final = Limits(connections=16, body_s=1.0)


class MetricsPage:
    """What `GET /metrics` answers: what was counted, what can be read now, and the process."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._process = ProcessCollector(registry=None), PlatformCollector(registry=None)
        self._read: Callable[[], Awaitable[Readings]] | None = None
        self._pages = SingleFlightCache[bytes](max_values=1, ttl_s=SAME_ANSWER_S)

    @asynccontextmanager
    async def reading(self, parts: RunningParts) -> AsyncIterator[None]:
        """Read from a bot that is at work, for as long as the block lasts."""
        reader = Reader(parts)
        self._read = reader.read
        try:
            yield
        finally:
            self._read = None
            reader.close()

    async def text(self) -> bytes:
        """The page; who asks while it is made, or just after that, gets the same."""
        return await self._pages.get(PAGE, self._made)

    def close(self) -> None:
        """Make no page any more."""
        self._pages.close()

    async def _made(self) -> bytes:
        readings = Readings() if self._read is None else await self._read()
        return generate_latest(_Together(self._metrics.registry, readings, self._process))


class _Together(Collector):
    """Everything that is on one page."""

    def __init__(
        self, counted: Collector, readings: Readings, process: tuple[Collector, ...]
    ) -> None:
        self._counted = counted
        self._readings = readings
        self._process = process

    def collect(self) -> Iterator[Metric]:
        yield from self._counted.collect()
        yield from families(self._readings)
        for collector in self._process:
            yield from collector.collect()


@asynccontextmanager
async def serving_metrics(
    page: MetricsPage, host: str, port: int, limits: Limits = LIMITS
) -> AsyncIterator[None]:
    """Answer on this address for as long as the block lasts; port 0: nobody is answered.

    Errors: ConfigError for an address that cannot be listened on.
    """
    if port == 0:
        yield
        return

    async def answer(_request: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        return web.Response(body=await page.text(), headers=headers)

    app = web.Application()
    app.router.add_get("/metrics", answer)
    try:
        sockets = bind(host, port)
    except OSError as error:
        raise ConfigError(_not_bound(host, port, error)) from error
    async with serving(
        app, sockets, limits, public_path=PublicPath(None), on_memory_full=lambda: False
    ):
        log.info("metrics.up", host=host, port=port)
        try:
            yield
        finally:
            page.close()


def _not_bound(host: str, port: int, error: OSError) -> Problem:
    return Problem(
        "host, port in [metrics]",
        f"{host} port {port} cannot be listened on:",
        why_not_bound(error, host="host in [metrics]", port="port in [metrics]"),
    )
