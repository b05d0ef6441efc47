"""Requests to Speckle servers are counted, each once, by what became of them."""

import socket
from contextlib import closing, suppress

from bot.errors import SpeckleError
from bot.metrics import Metrics, SpeckleResult
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.types import Login
from sandbox.speckle import SpeckleServer


def counted(metrics: Metrics, server: str) -> dict[str, float]:
    name, found = "speckle_bot_speckle_requests_total", {}
    for result in SpeckleResult:
        labels = {"server": server, "result": result.value}
        found[result.value] = metrics.registry.get_sample_value(name, labels) or 0.0
    return {result: count for result, count in found.items() if count}


async def test_questions_and_plain_requests_are_counted_by_their_result() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        dead = f"http://127.0.0.1:{taken.getsockname()[1]}"
    async with SpeckleServer.start() as server:
        servers = (server.url, dead)
        metrics = Metrics(servers)
        breakers = CircuitBreakers(BreakerLimits(failures=1), metrics=metrics)
        client = SpeckleClient(servers=servers, deadline_s=0.5, breakers=breakers)
        login = Login(server.url)
        async with SpeckleHttp.open(servers, breakers) as http:
            with suppress(SpeckleError):
                await client.me(login)  # nobody's: answered, without a person
            with suppress(SpeckleError):
                await client.project(login, "nosuchproj")
            await http.get(login, "/nothing/there", max_bytes=1000, within_s=5.0)
            for _ in range(2):
                with suppress(SpeckleError):
                    await http.get(Login(dead), "/", max_bytes=1000, within_s=5.0)
            with suppress(SpeckleError):
                await client.webhooks(Login("https://not-named.example"), "a1", within_s=0.1)
        client.close()
    assert counted(metrics, server.url) == {"answered": 1, "refused": 2}
    assert counted(metrics, dead) == {"failed": 1, "left_alone": 1}
    assert counted(metrics, "https://not-named.example") == {}
