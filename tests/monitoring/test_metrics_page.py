"""`GET /metrics` over a socket: of a bot at work, and of one whose database does not answer."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest
from cryptography.fernet import Fernet
from prometheus_client.parser import text_string_to_metric_families

from bot.errors import ConfigError
from bot.http_server import Limits
from bot.metrics import DeliveryResult, Metrics
from bot.monitoring.readings import Reader, RunningParts
from bot.monitoring.site import MetricsPage, serving_metrics
from bot.problems import ActiveTrouble, TroubleKind
from bot.services.quotas import QuotaService
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from tests.pipeline.conftest import StartBot, Studio, key, post, start_bot, studio, timings  # noqa: F401  # fixtures  # noqa: F401  # fixtures
from tests.pipeline.deliveries import COMMIT, follow
from tests.waiting import until

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]
SERVER = "https://speckle.example.org"


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        return int(taken.getsockname()[1])


def series_of(text: str) -> Series:
    """Each sample on a page, by its name and labels."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scraper:
    """Prometheus, as much of it as a test needs."""

    def __init__(self, http: aiohttp.ClientSession, port: int) -> None:
        self.http = http
        self.url = f"http://127.0.0.1:{port}/metrics"

    async def series(self) -> Series:
        async with self.http.get(self.url) as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            return series_of(await answer.text())

    async def value(self, name: str, **labels: str) -> float | None:
        found = await self.series()
        return found.get((f"speckle_bot_{name}", frozenset(labels.items())))


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


# ── a bot at work ─────────────────────────────────────────────────────────────────────────────


async def test_an_event_is_counted_on_its_way_and_strangers_make_no_new_series(
    studio: Studio,  # noqa: F811
    start_bot: StartBot,  # noqa: F811
    http: aiohttp.ClientSession,
) -> None:
    port = free_port()
    async with start_bot(metrics={"port": port}) as app:
        prometheus = Scraper(http, port)
        hook = await follow(app, studio, studio.structure)
        before = await prometheus.series()
        assert await post(app, hook, COMMIT) == 202
        assert await post(app, hook, COMMIT) == 202
        await bother(http, app.port, str(hook.key))

        async def accepted() -> bool:
            return await prometheus.value("card_delay_seconds_count") == 1

        await until(accepted)
        after = await prometheus.series()

        def value(name: str, **labels: str) -> float:
            return after[f"speckle_bot_{name}", frozenset(labels.items())]

        assert value("deliveries_total", result="taken") == 1
        assert value("deliveries_total", result="duplicate") == 1
        assert value("deliveries_total", result="unsigned") == 2
        assert value("deliveries_total", result="not_a_delivery") == 1
        assert value("deliveries_total", result="body_not_read") == 1
        assert value("sends_total", result="sent") == 1
        assert value("card_delay_seconds_bucket", le="30.0") == 1
        assert value("database_write_seconds_count") > 3
        assert value("subscriptions", state="active", reason="") == 1
        assert value("leader") == value("gateway_connected") == value("database_readable") == 1
        assert 0 < value("quota_used_ratio", quota="events") < 0.001
        assert {value("trouble", kind=kind.value) for kind in TroubleKind} == {0.0}
        assert after.keys() == before.keys()
        text = str(sorted(map(str, after)))
        for private in (str(studio.guild.id), str(studio.structure.id), COMMIT.payload["streamId"]):
            assert private not in text


async def bother(http: aiohttp.ClientSession, port: int, hook_key: str) -> None:
    """What strangers send: to another's address, to none, and in other forms."""
    hook, json_type = f"http://127.0.0.1:{port}/webhooks/", {"Content-Type": "application/json"}
    for address in (hook_key, 'a"b\n\\'):
        async with http.post(hook + address.replace("\n", "%0A"), data="{}", headers=json_type):
            pass
    async with http.post(hook + hook_key, data="result=taken"):
        pass
    large = {**json_type, "Content-Length": str(10**12)}
    async with http.post(hook + hook_key, data=b"{", headers=large) as answer:
        assert answer.status == 413


# ── who may ask what ──────────────────────────────────────────────────────────────────────────


async def test_only_the_page_is_there_to_be_read(http: aiohttp.ClientSession) -> None:
    page, port = MetricsPage(Metrics([SERVER])), free_port()
    async with serving_metrics(page, "127.0.0.1", port):
        base = f"http://127.0.0.1:{port}"
        for method, path, status in (
            ("GET", "/metrics", 200),
            ("HEAD", "/metrics", 200),
            ("POST", "/metrics", 405),
            ("DELETE", "/metrics", 405),
            ("GET", "/", 404),
            ("GET", "/metrics/../healthz", 404),
            ("POST", "/webhook", 404),
        ):
            async with http.request(method, base + path) as answer:
                assert (method, path, answer.status) == (method, path, status)


async def test_a_port_that_is_taken_is_reported_with_the_settings_name() -> None:
    page = MetricsPage(Metrics())
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=r"choose another port in \[metrics\]"):
            async with serving_metrics(page, "127.0.0.1", port):
                pass


async def test_who_sends_half_a_request_is_dropped_and_others_are_answered(
    http: aiohttp.ClientSession,
) -> None:
    port, limits = free_port(), Limits(connections=4, head_s=0.1, every_s=0.02)
    async with serving_metrics(MetricsPage(Metrics()), "127.0.0.1", port, limits):
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(8)]
        for _, writer in slow:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: a")
        assert await Scraper(http, port).value("leader") == 0
        async with asyncio.timeout(5):
            for reader, writer in slow:
                with suppress(ConnectionError):
                    assert await reader.read() == b""
                writer.close()


# ── a database that does not answer ───────────────────────────────────────────────────────────


def parts_of(storage: Storage, trouble: list[ActiveTrouble]) -> RunningParts:
    async def known(_within_s: float) -> list[ActiveTrouble]:
        return trouble

    return RunningParts(
        storage,
        QuotaService(storage, None, now=utc_now),
        (SERVER,),
        trouble=known,
        silent_servers=lambda: {SERVER},
        gateway_problems=lambda: (),
        gateway_latency_s=lambda: 0.02,
        live_unread_s=lambda: 12.0,
        now=utc_now,
    )


async def test_before_the_database_is_open_the_page_says_so(http: aiohttp.ClientSession) -> None:
    metrics, port = Metrics([SERVER]), free_port()
    metrics.count_delivery(DeliveryResult.NOT_STORED)
    async with serving_metrics(MetricsPage(metrics), "127.0.0.1", port):
        found = await Scraper(http, port).series()
    plain = {name: value for (name, labels), value in found.items() if not labels}
    assert plain["speckle_bot_database_readable"] == plain["speckle_bot_leader"] == 0
    assert "speckle_bot_inbox_events" not in plain
    assert found["speckle_bot_deliveries_total", frozenset({("result", "not_stored")})] == 1
    assert not [name for name, _ in found if name == "speckle_bot_trouble"]


async def test_a_database_that_hangs_is_reported_in_time_and_asked_once(
    database_url: str, http: aiohttp.ClientSession
) -> None:
    vault, goes_on = Vault([Fernet.generate_key().decode()]), threading.Event()
    began: list[datetime] = []

    def hang() -> datetime:
        began.append(datetime.now(UTC))
        goes_on.wait()
        return utc_now()

    async with Storage.open(database_url, vault) as storage:
        parts = parts_of(storage, [ActiveTrouble(TroubleKind.DISK_LOW)])
        # The clock is read in the thread of the transaction, which so never ends.
        reader = Reader(replace(parts, now=hang), within_s=0.05)
        for _ in range(3):
            readings = await reader.read()
            assert readings.database is None
            assert readings.trouble == {TroubleKind.DISK_LOW}
            assert readings.breakers == {(SERVER,): True}
            assert readings.leads is storage.leads is False
        assert len(began) == 1, "each further try would hold up another thread"
        goes_on.set()

        async def answers() -> bool:
            return (await reader.read()).database is not None

        await until(answers)
        reader.close()


async def test_who_asks_meanwhile_gets_the_same_page(database_url: str) -> None:
    vault, asked = Vault([Fernet.generate_key().decode()]), 0
    async with Storage.open(database_url, vault) as storage:
        parts = parts_of(storage, [])

        async def trouble(_within_s: float) -> list[ActiveTrouble]:
            nonlocal asked
            asked += 1
            return []

        page = MetricsPage(Metrics([SERVER]))
        async with page.reading(replace(parts, trouble=trouble)):
            pages = await asyncio.gather(*(page.text() for _ in range(20)))
    assert len(set(pages)) == 1
    assert asked == 1
