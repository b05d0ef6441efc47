"""Builds everything, runs it and stops it."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import structlog

from bot.app.base import Base
from bot.app.discord_side import build_discord_side
from bot.app.from_settings import (
    quotas_of,
    rate_limiter_of,
    required_token,
    vault_of,
    ways_of,
)
from bot.app.pipeline import build_listener, build_pipeline
from bot.app.speckle_side import build_speckle_side
from bot.app.timings import Timings
from bot.app.watch import (
    checked_copy_of,
    known_trouble_of,
    maintenance_of,
    operator_notifier_of,
    readiness_of,
    report_unopenable,
    running_parts_of,
    startup_notice_of,
)
from bot.discord_api.client import SpeckleBot, use_api
from bot.metrics import Metrics
from bot.monitoring.site import MetricsPage, serving_metrics
from bot.network import Network
from bot.pipeline.catch_up.worker import CatchUp
from bot.services.known_trouble import KnownTrouble
from bot.services.linking import AccountLinking
from bot.services.public_url import INSTANCE_ID_KEY
from bot.services.token_lending import TokenLender
from bot.settings import Settings
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.live_socket import LiveSockets
from bot.startup import open_when_ready, tune_interpreter, tune_memory
from bot.storage import Storage
from bot.supervisor import Worker, background, lead, stop_signals
from bot.timing import utc_now
from bot.webhook_listener import WebhookListener

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class App:
    """The running bot, as the demo and the tests hold it."""

    storage: Storage
    metrics: Metrics
    bot: SpeckleBot
    lender: TokenLender
    linking: AccountLinking
    catch_up: CatchUp
    port: int
    known_trouble: KnownTrouble


async def run(settings: Settings) -> None:
    """Run the bot until a stop signal; a second signal ends the process at once."""
    tune_memory()
    stopping = asyncio.Event()
    vault, metrics = vault_of(settings), Metrics(settings.speckle_servers)
    page = MetricsPage(metrics)
    with stop_signals(stopping):
        async with (
            serving_metrics(page, settings.metrics.host, settings.metrics.port),
            open_when_ready(
                settings, vault, metrics, stopping, startup_notice_of(settings).on_state
            ) as storage,
        ):
            if storage is None:
                return
            async with _at_work(settings, storage, metrics, page):
                tune_interpreter()
                await stopping.wait()
                log.info("app.stopping")


@asynccontextmanager
async def running(
    settings: Settings, timings: Timings = Timings(), now: Callable[[], datetime] = utc_now
) -> AsyncIterator[App]:
    """The bot at work for as long as the block runs: listener, ingest, sender, Discord.

    `now` is this machine's clock.

    Errors: ConfigError for settings that do not work out, StorageUnavailable; an error of any part
    ends the block, because a bot that works by halves looks healthy and is not.
    """
    vault, metrics = vault_of(settings), Metrics(settings.speckle_servers)
    page = MetricsPage(metrics)
    async with (
        serving_metrics(page, settings.metrics.host, settings.metrics.port),
        Storage.open(
            settings.database_url, vault, now, timings=timings.storage, metrics=metrics
        ) as storage,
        _at_work(settings, storage, metrics, page, timings, now) as app,
    ):
        yield app


@asynccontextmanager
async def _at_work(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    page: MetricsPage,
    timings: Timings = Timings(),
    now: Callable[[], datetime] = utc_now,
) -> AsyncIterator[App]:
    if settings.discord_api_url is not None:
        use_api(settings.discord_api_url)
    log.info("app.starting", **ways_of(settings))
    breakers, network = CircuitBreakers(timings.speckle, metrics=metrics), settings.network()
    async with _speckle_connections(settings, breakers, network) as (http, sockets):
        restored_copy_check = await checked_copy_of(storage)
        await storage.sealed.record_first_key()
        base = Base(
            settings,
            timings,
            now,
            storage,
            metrics,
            network,
            breakers,
            rate_limiter_of(settings, timings, now),
            quotas_of(settings, storage, now),
            await _instance_id(storage),
        )
        speckle_side = build_speckle_side(base, http, sockets)
        discord_side = await build_discord_side(
            base,
            speckle_side,
            not_ready=lambda: readiness.problems(),
            known_trouble=lambda: known_trouble,
            on_samples=lambda: pipeline.ingest.wake(),
            listener=lambda: pipeline.listener,
        )
        bot, linking = discord_side.bot, discord_side.linking
        pipeline = build_pipeline(base, speckle_side, discord_side)
        readiness = readiness_of(base, bot, pipeline)
        known_trouble = known_trouble_of(base, readiness)
        await report_unopenable(readiness)
        listener = build_listener(base, discord_side, pipeline, readiness)
        workers: dict[str, Worker] = {
            **pipeline.workers(bot, with_emoji=settings.delivery.emoji),
            **discord_side.notifiers(base),
            "discord": partial(bot.stay_connected, required_token(settings)),
            **maintenance_of(base, discord_side.guilds),
            **({} if storage.is_sqlite else {"restored_copy": restored_copy_check.run}),
            "operator_notifier": operator_notifier_of(base, bot, known_trouble).run,
        }
        leading = lead(storage, alone=storage.is_sqlite, workers=workers)
        parts = running_parts_of(base, known_trouble, bot, pipeline)
        try:
            async with page.reading(parts), _all_started(settings, bot, leading, listener) as port:
                lender, catch_up = speckle_side.lender, pipeline.catch_up
                yield App(storage, metrics, bot, lender, linking, catch_up, port, known_trouble)
        finally:
            pipeline.close()
            speckle_side.client.close()


@asynccontextmanager
async def _speckle_connections(
    settings: Settings, breakers: CircuitBreakers, network: Network
) -> AsyncIterator[tuple[SpeckleHttp, LiveSockets]]:
    servers = settings.speckle_servers
    async with (
        SpeckleHttp.open(servers, breakers, network) as http,
        LiveSockets.open(servers, breakers, network) as sockets,
    ):
        yield http, sockets


@asynccontextmanager
async def _all_started(
    settings: Settings,
    bot: SpeckleBot,
    leading: Coroutine[None, None, None],
    listener: WebhookListener,
) -> AsyncIterator[int]:
    """Everything at work until the block ends; gives the listener's port."""
    # The listener last, so that it ends first: nothing comes in while the rest is finished,
    # and what is being sent needs the client to the end.
    async with (
        bot.closed_at_the_end(),
        background(leading, name="leader"),
        listener.listening(settings.webhook_host, settings.webhook_port) as port,
    ):
        log.info("listener.up", host=settings.webhook_host, port=port)
        yield port


async def _instance_id(storage: Storage) -> str:
    """The id that this database's bot has from its first start."""
    return await storage.write(
        lambda tx: tx.key_values.set_once(INSTANCE_ID_KEY, secrets.token_hex(16))
    )
