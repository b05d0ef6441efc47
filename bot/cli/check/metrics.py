"""Whether `GET /metrics` can be answered, and who else could read it."""

import errno
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import aiohttp
from yarl import URL

from bot.cli.check.http_probe import get
from bot.cli.check.report import CheckMark, CheckResult
from bot.http_server import bind, why_not_bound
from bot.metrics import PREFIX
from bot.settings import Settings

WHAT: Final = "Metrics"
EVERY_NETWORK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  # what the host asked for
OPEN: Final = (
    " on every network, without a password. Let a firewall, or the container's network, keep "
    "everyone but Prometheus from this port."
)


async def check_metrics(settings: Settings, http: aiohttp.ClientSession) -> Sequence[CheckResult]:
    """Whether their address can be listened on, or is answered by the bot that runs already."""
    host, port = settings.metrics.host, settings.metrics.port
    if port == 0:
        text = "off, as port in [metrics] is 0. They are for Prometheus: docs/monitoring.md."
        return [CheckResult(CheckMark.SKIPPED, WHAT, text)]
    try:
        sockets = bind(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE or not await _answered_by_the_bot(http, host, port):
            why = why_not_bound(error, host="host in [metrics]", port="port in [metrics]")
            text = f"{host} port {port} cannot be listened on: {why}"
            return [CheckResult(CheckMark.BAD, WHAT, text)]
    else:
        for one in sockets:
            one.close()
    return [_reachable(host, port)]


async def _answered_by_the_bot(http: aiohttp.ClientSession, host: str, port: int) -> bool:
    address = URL.build(
        scheme="http", host=EVERY_NETWORK.get(host, host), port=port, path="/metrics"
    )
    with suppress(aiohttp.ClientError, TimeoutError):
        answer = await get(http, str(address), {})
        return answer.status == 200 and f"{PREFIX}_build_info" in answer.text
    return False


def _reachable(host: str, port: int) -> CheckResult:
    if host in EVERY_NETWORK:
        return CheckResult(CheckMark.WARNED, WHAT, f"answered at port {port}{OPEN}")
    where = URL.build(scheme="http", host=host, port=port, path="/metrics")
    return CheckResult(CheckMark.GOOD, WHAT, f"answered at {where}.")
