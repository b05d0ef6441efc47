"""Builds everything, runs it and stops it: the only file that knows every other."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from bot.clock_watch import ClockWatch
from bot.cogs.link_telling import LinkTeller
from bot.cogs.mending import Mender, webhook_description
from bot.cogs.places import why_refused
from bot.cogs.quota_telling import QuotaTeller
from bot.cogs.telling import NotifierTimings, Teller
from bot.cogs.waiting import linked as go_on_with
from bot.cogs.watch import DiscordWatch
from bot.config import Retention, Settings
from bot.database_wait import opened
from bot.db.engine import StorageTimings
from bot.db.retention import Keep
from bot.db.vault import Vault
from bot.discord_client import ConnectionTimings, SpeckleBot, use_api
from bot.discord_out import edit, find, send
from bot.discord_pace import Pace
from bot.errors import ConfigError, Problem
from bot.link_pages import LinkPages
from bot.living import Part, background, lead, stop_signals, tune_interpreter
from bot.network import Network
from bot.pipeline.access import AccessCheck, AccessTimings
from bot.pipeline.avatars import Avatars
from bot.pipeline.catch_up import CatchUp
from bot.pipeline.catch_up_history import CatchUpLimits
from bot.pipeline.delivery import Delivery, SenderTimings
from bot.pipeline.editing import EDIT_RETRY, Editing
from bot.pipeline.enrichment import Enrichment, EnrichmentTimings
from bot.pipeline.fill_ins import FillIns
from bot.pipeline.gate import Gate
from bot.pipeline.ingest import Ingest
from bot.pipeline.replay import Replay
from bot.pipeline.routing import Routing
from bot.services.accounts import AccountService
from bot.services.browsing import Browsing
from bot.services.consents import Looking
from bot.services.copies import Copies
from bot.services.guilds import GuildService
from bot.services.housekeeping import Housekeeping
from bot.services.managing import SubscriptionService
from bot.services.notices import NoticeService
from bot.services.pending_commands import PendingCommandService
from bot.services.quotas import GuildLimits, QuotaService
from bot.services.reach import INSTANCE_FACT, Reach
from bot.services.readiness import Readiness, unopenable_text
from bot.services.subscribing import Subscribing
from bot.services.visibility import Visibility
from bot.services.webhooks import WebhookService
from bot.speckle.breaker import BreakerLimits, Breakers
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.http import SpeckleHttp
from bot.speckle.oauth import SpeckleOAuth
from bot.speckle.previews import Previews
from bot.storage import FIRST_KEY_FACT, Storage, utc_now
from bot.timing import Backoff
from bot.webhook_listener import SharedHook, WebhookListener

log = structlog.get_logger()

MIB = 1024 * 1024
GB = 1_000_000_000


@dataclass(frozen=True, slots=True)
class App:
    """The running bot, as the demo and the tests hold it."""

    storage: Storage
    bot: SpeckleBot
    catch_up: CatchUp
    port: int


@dataclass(frozen=True, slots=True)
class Timings:
    """How long each part waits, and what a few take at a time; tests hand in others."""

    storage: StorageTimings = StorageTimings()
    speckle: BreakerLimits = BreakerLimits()
    connection: ConnectionTimings = ConnectionTimings()
    access: AccessTimings = AccessTimings()
    enrichment: EnrichmentTimings = EnrichmentTimings()
    sender: SenderTimings = SenderTimings()
    editor_retry: Backoff = EDIT_RETRY
    catch_up: CatchUpLimits = CatchUpLimits()
    notifier: NotifierTimings = NotifierTimings()


async def run(settings: Settings) -> None:
    """Run the bot until a stop signal; a second signal ends the process at once."""
    stopping = asyncio.Event()
    vault = _vault(settings)
    with stop_signals(stopping):
        async with opened(settings, vault, stopping) as storage:
            if storage is None:
                return
            async with _at_work(settings, storage, vault):
                tune_interpreter()
                await stopping.wait()
                log.info("app.stopping")


@asynccontextmanager
async def running(settings: Settings, timings: Timings = Timings()) -> AsyncIterator[App]:
    """The bot at work for as long as the block runs: listener, ingest, delivery, Discord.

    Errors: ConfigError for settings that do not work out, StorageUnavailable; an error of any part
    ends the block, because a bot that works by halves looks healthy and is not.
    """
    vault = _vault(settings)
    async with (
        Storage.open(settings.database_url, vault, utc_now, timings=timings.storage) as storage,
        _at_work(settings, storage, vault, timings) as app,
    ):
        yield app


@asynccontextmanager
async def _at_work(
    settings: Settings, storage: Storage, vault: Vault, timings: Timings = Timings()
) -> AsyncIterator[App]:
    token = _required(settings)
    if settings.discord_api_url is not None:
        use_api(settings.discord_api_url)
    breakers = Breakers(timings.speckle)
    network = settings.network()
    async with SpeckleHttp.open(settings.speckle_servers, breakers, network) as http:
        copies = Copies(storage)
        await copies.at_the_start()
        await storage.write(lambda tx: tx.facts.set(FIRST_KEY_FACT, vault.first_key_id))
        instance = await storage.write(
            lambda tx: tx.facts.keep(INSTANCE_FACT, secrets.token_hex(16))
        )
        quotas = _quotas(settings, storage)
        pace = Pace(
            settings.delivery.requests_per_s,
            now=utc_now,
            banned_s=timings.connection.banned_s,
        )
        with_speckle = _with_speckle(settings, storage, http, breakers, network)
        bot, webhooks = _discord_side(
            settings, storage, with_speckle, quotas, instance, pace, network, timings
        )
        pipeline = _pipeline(settings, storage, with_speckle, quotas, bot, pace, timings)

        def discord_problems() -> Sequence[str]:
            return [*bot.problems(), *pace.problems(), *pipeline.delivery.problems()]

        readiness = Readiness(storage, discord_problems)
        await _tell_unopenable(readiness)
        listener = _listener(settings, storage, with_speckle, quotas, pipeline, readiness, instance)
        on_sqlite = settings.database_url.startswith("sqlite")
        leading = lead(
            storage,
            alone=on_sqlite,
            parts={
                **pipeline.parts(bot),
                **_tellers(bot, webhooks, quotas, pace, timings.notifier),
                "discord": partial(bot.stay_connected, token),
                **_keepers(settings, storage, bot, pace),
                # SQLite's file is not written to any more once it is replaced, until a restart.
                **({} if on_sqlite else {"copies": copies.run}),
            },
        )
        try:
            # The listener last, so that it ends first: nothing comes in while the rest is finished,
            # and what is being sent needs the client to the end.
            async with (
                bot.closed_at_the_end(),
                background(leading, name="leader"),
                listener.listening(settings.webhook_host, settings.webhook_port) as port,
            ):
                log.info("listener.up", host=settings.webhook_host, port=port)
                yield App(storage, bot, pipeline.catch_up, port)
        finally:
            pipeline.close()
            with_speckle.gateway.close()


def _tellers(
    bot: SpeckleBot,
    webhooks: WebhookService,
    quotas: QuotaService,
    pace: Pace,
    timings: NotifierTimings,
) -> Mapping[str, Part]:
    """What tells people something that they did not ask for, by name."""
    notices = NoticeService(bot.storage, utc_now)
    return {
        "notices": Teller(bot, notices, pace.closed_for_s, timings).run,
        "quotas": QuotaTeller(bot, quotas, pace.closed_for_s).run,
        "links": LinkTeller(bot).run,
        "webhooks": Mender(bot, webhooks).run,
    }


def _keepers(
    settings: Settings, storage: Storage, bot: SpeckleBot, pace: Pace
) -> Mapping[str, Part]:
    """What looks after the database, by name."""
    clock = ClockWatch(storage, pace.discord_time, utc_now)
    housekeeping = Housekeeping(
        storage,
        bot.guild_service,
        _keep(settings.retention),
        timedelta(days=settings.retention.left_guild_days),
        clock.agrees,
    )
    return {"housekeeping": housekeeping.run, "clock": clock.run}


async def _tell_unopenable(readiness: Readiness) -> None:
    """Say it loudly if the keys are not those that sealed what is stored; all else goes on."""
    if unopenable := await readiness.unopenable():
        log.critical(
            "keys.do_not_open",
            told=f"{unopenable_text(unopenable)}: put the key that sealed them behind the others, "
            "after a comma, and restart the bot, or, if it is lost, have people press Set up again "
            "under /subscriptions and type /link again; what needs no key goes on meanwhile.",
        )


# ── Speckle's side ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _WithSpeckle:
    """What asks Speckle servers."""

    gateway: SpeckleGateway
    previews: Previews
    accounts: AccountService


def _with_speckle(
    settings: Settings,
    storage: Storage,
    http: SpeckleHttp,
    breakers: Breakers,
    network: Network,
) -> _WithSpeckle:
    gateway = SpeckleGateway(
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        breakers=breakers,
        network=network,
    )
    token = settings.speckle_token
    accounts = AccountService(
        storage,
        gateway,
        SpeckleOAuth(http),
        speckle_servers=settings.speckle_servers,
        apps=settings.apps(),
        public_url=settings.public_url,
        operator_token=None if token is None else token.get_secret_value(),
        served_guilds=settings.organisation.guilds,
        now=utc_now,
        keep=_keep(settings.retention),
    )
    return _WithSpeckle(gateway, Previews(http), accounts)


# ── Discord's side ────────────────────────────────────────────────────────────────────────────


def _discord_side(
    settings: Settings,
    storage: Storage,
    speckle: _WithSpeckle,
    quotas: QuotaService,
    instance: str,
    pace: Pace,
    network: Network,
    timings: Timings,
) -> tuple[SpeckleBot, WebhookService]:
    """The client with its services; what happens to a linked account is tied to it."""
    webhooks = WebhookService(
        storage,
        speckle.gateway,
        speckle.accounts,
        Reach(settings.public_url, instance, network),
        description=lambda guild_id: webhook_description(bot, guild_id),
        now=utc_now,
    )
    guilds = GuildService(storage, utc_now, quotas)
    bot = SpeckleBot(
        storage,
        _subscriptions(settings, storage, speckle, quotas, webhooks),
        PendingCommandService(storage),
        guilds,
        speckle.accounts,
        pace,
        timings.connection,
        network,
    )
    speckle.accounts.linked = partial(go_on_with, bot)
    speckle.accounts.before_unlink = webhooks.let_go
    return bot, webhooks


def _subscriptions(
    settings: Settings,
    storage: Storage,
    speckle: _WithSpeckle,
    quotas: QuotaService,
    webhooks: WebhookService,
) -> SubscriptionService:
    shared = _shared_hook(settings) is not None
    served = frozenset(settings.organisation.guilds) if shared else frozenset[int]()
    visibility = Visibility(speckle.gateway, asks=settings.speckle.enrich_deadline_s > 0)
    looking = Looking(speckle.accounts, webhooks, visibility)
    changing = asyncio.Lock()
    subscribing = Subscribing(
        storage,
        webhooks,
        looking,
        quotas,
        changing=changing,
        served_guilds=served,
        now=utc_now,
    )
    return SubscriptionService(
        storage,
        webhooks,
        Browsing(speckle.gateway, speckle.accounts),
        subscribing,
        changing=changing,
        speckle_servers=settings.speckle_servers,
        public_url=settings.public_url,
        served_guilds=served,
        now=utc_now,
    )


# ── the way of an event ───────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Pipeline:
    """The parts that an event passes through."""

    catch_up: CatchUp
    ingest: Ingest
    replay: Replay
    delivery: Delivery
    fill_ins: FillIns
    editing: Editing
    close: Callable[[], None]

    def parts(self, bot: SpeckleBot) -> Mapping[str, Part]:
        """What is to run, by name."""
        return {
            "catch_up": self.catch_up.run,  # first: what was missed is older than what comes now
            "ingest": self.ingest.run,
            "held_events": self.replay.run,
            "delivery": partial(self.delivery.run, bot.logged_in),
            "fill_ins": self.fill_ins.run,
            "edits": partial(self.editing.run, bot.logged_in),
        }


def _pipeline(
    settings: Settings,
    storage: Storage,
    speckle: _WithSpeckle,
    quotas: QuotaService,
    bot: SpeckleBot,
    pace: Pace,
    timings: Timings,
) -> _Pipeline:
    watch = DiscordWatch(bot, timings.access.member_known_s)
    access = AccessCheck(storage, speckle.gateway, speckle.accounts, watch, utc_now, timings.access)
    gate = Gate(storage, access, held=lambda: replay.wake(), now=utc_now)
    delivery = Delivery(
        storage,
        partial(send, bot, discord_now=pace.discord_time.now),
        partial(why_refused, bot),
        gate.look,
        pace,
        find=partial(find, bot),
        channels_at_once=settings.delivery.concurrency,
        now=utc_now,
        timings=timings.sender,
    )
    retry, change = timings.editor_retry, partial(edit, bot)
    editor = Editing(storage, change, gate.may_see, pace, now=utc_now, retry=retry)
    enrichment = _enrichment(settings, speckle, timings.enrichment)
    fill_ins = FillIns(storage, enrichment, access, changed=editor.wake, now=utc_now)
    avatars = Avatars()
    routing = Routing(
        enrichment,
        access,
        avatars,
        speckle_servers=settings.speckle_servers,
        now=utc_now,
    )
    served = frozenset(settings.organisation.guilds)
    replay = Replay(
        storage,
        routing,
        served_guilds=served,
        on_cards=delivery.wake,
        on_incomplete=fill_ins.wake,
        now=utc_now,
    )
    ingest = Ingest(
        storage,
        routing,
        served_guilds=served,
        outlets=replay.outlets,
        most_model_names=quotas.model_names,
        now=utc_now,
    )
    catch_up = _catch_up(settings, storage, speckle, quotas, access, ingest.wake, timings.catch_up)

    def close() -> None:
        enrichment.close()
        avatars.close()

    return _Pipeline(catch_up, ingest, replay, delivery, fill_ins, editor, close)


def _enrichment(
    settings: Settings, speckle: _WithSpeckle, timings: EnrichmentTimings
) -> Enrichment:
    return Enrichment(
        speckle.gateway,
        speckle.previews,
        speckle.accounts,
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        timings=timings,
    )


def _catch_up(
    settings: Settings,
    storage: Storage,
    speckle: _WithSpeckle,
    quotas: QuotaService,
    access: AccessCheck,
    stored: Callable[[], None],
    limits: CatchUpLimits,
) -> CatchUp:
    return CatchUp(
        storage,
        speckle.gateway,
        speckle.accounts,
        stored=stored,
        decide=access.decide,
        quota=quotas.day_of_fetched,
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        reach=timedelta(days=settings.retention.delivered_days),
        now=utc_now,
        limits=limits,
    )


def _listener(
    settings: Settings,
    storage: Storage,
    speckle: _WithSpeckle,
    quotas: QuotaService,
    pipeline: _Pipeline,
    readiness: Readiness,
    instance: str,
) -> WebhookListener:
    listener = WebhookListener(
        storage,
        shared_hook=_shared_hook(settings),
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        stored=pipeline.ingest.wake,
        missed=pipeline.catch_up.missed,
        problems=readiness.problems,
        instance=instance,
        now=utc_now,
        public_url=settings.public_url,
        quotas=quotas,
    )
    if settings.public_url is not None:
        LinkPages(speckle.accounts, settings.public_url).add_to(listener.app)
    return listener


# ── out of the settings ───────────────────────────────────────────────────────────────────────


def _required(settings: Settings) -> str:
    problems = []
    if settings.discord_token is None:
        problems.append(
            Problem(
                "DISCORD_TOKEN",
                "It is not set.",
                "Copy the token from the application's Bot page into .env; the README shows how.",
            )
        )
    if not settings.encryption_keys:
        problems.append(
            Problem(
                "ENCRYPTION_KEYS",
                "It is not set.",
                "Make a key with `python3 run.py key` and put it into .env.",
            )
        )
    if problems or settings.discord_token is None:
        raise ConfigError(*problems)
    return settings.discord_token.get_secret_value()


def _quotas(settings: Settings, storage: Storage) -> QuotaService:
    limits = GuildLimits(
        events_a_day=settings.quotas.events_a_day,
        bytes_a_day=round(settings.quotas.gigabytes_a_day * GB),
        hooks=settings.quotas.hooks,
        subscriptions=settings.quotas.subscriptions,
        model_names=settings.quotas.model_names,
    )
    return QuotaService(storage, limits, without=settings.organisation.guilds, now=utc_now)


def _vault(settings: Settings) -> Vault:
    """The keys; whatever else a start needs is looked at first, so that all is told at once."""
    _required(settings)
    return Vault([key.get_secret_value() for key in settings.encryption_keys])


def _keep(retention: Retention) -> Keep:
    return Keep(
        timedelta(days=retention.body_days),
        timedelta(days=retention.delivered_days),
        timedelta(days=retention.undeliverable_days),
    )


def _shared_hook(settings: Settings) -> SharedHook | None:
    secret = settings.speckle_webhook_secret
    if secret is None or not settings.organisation.guilds:
        return None
    return SharedHook(secret.get_secret_value(), frozenset(settings.speckle_servers))
