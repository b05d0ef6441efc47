"""What `check` says of the address of `GET /metrics`."""

import socket
from collections.abc import AsyncIterator
from contextlib import closing

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.cli.check.metrics import check_metrics
from bot.cli.check.report import CheckMark, CheckResult
from bot.metrics import Metrics
from bot.monitoring.site import MetricsPage, serving_metrics
from bot.settings import Settings


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def said(http: ClientSession, host: str, port: int) -> CheckResult:
    settings = Settings.model_validate({"metrics": {"host": host, "port": port}})
    [row] = await check_metrics(settings, http)
    return row


async def test_metrics_that_are_off_are_skipped(http: ClientSession) -> None:
    row = await said(http, "127.0.0.1", 0)
    assert row.mark is CheckMark.SKIPPED
    assert "off" in row.text
    assert "docs/monitoring.md" in row.text


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


async def test_a_free_port_is_good_and_so_is_one_that_the_bot_answers_already(
    http: ClientSession,
) -> None:
    port = free_port()
    free = await said(http, "127.0.0.1", port)
    async with serving_metrics(MetricsPage(Metrics()), "127.0.0.1", port):
        of_the_bot = await said(http, "127.0.0.1", port)
    for row in (free, of_the_bot):
        assert row.mark is CheckMark.GOOD
        assert f"http://127.0.0.1:{port}/metrics" in row.text


async def test_a_port_of_another_program_is_reported(http: ClientSession) -> None:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text="up 1")

    app = web.Application()
    app.router.add_get("/metrics", answer)
    async with TestServer(app) as other:
        assert other.port is not None
        row = await said(http, "127.0.0.1", other.port)
    assert row.mark is CheckMark.BAD
    assert "choose another port in [metrics]" in row.text


async def test_an_address_that_every_network_reaches_is_warned_of(http: ClientSession) -> None:
    row = await said(http, "0.0.0.0", free_port())  # noqa: S104  # what is warned of
    assert row.mark is CheckMark.WARNED
    assert "without a password" in row.text


async def test_a_host_that_is_no_address_of_this_computer_is_reported(http: ClientSession) -> None:
    row = await said(http, "192.0.2.7", 8005)
    assert row.mark is CheckMark.BAD
    assert "host in [metrics] is no address of this computer" in row.text
