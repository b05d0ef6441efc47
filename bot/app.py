"""Builds everything, runs it and stops it: the only file that knows every other."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from bot.cogs.build import add_cogs
from bot.cogs.guilds.names import NameKeeper
from bot.cogs.interaction import why_posting_failed
from bot.discord_api.application_emoji import ApplicationEmoji
from bot.discord_api.channel_audience import DiscordChannelAudience
from bot.discord_api.client import ConnectionTimings, SpeckleBot, use_api
from bot.discord_api.rate_limits import RateLimiter
from bot.discord_api.send import edit, find_sent, send
from bot.errors import ConfigError, Problem
from bot.link_pages import LinkPages
from bot.metrics import Metrics
from bot.model import RetentionPolicy
from bot.monitoring.readings import RunningParts
from bot.monitoring.site import MetricsPage, serving_metrics
from bot.network import Network
from bot.notifiers.audit_poster import AuditPoster
from bot.notifiers.link_followups import LinkFollowUps
from bot.notifiers.operator_notifier import (
    CHANNEL,
    LOG,
    WEBHOOK,
    OperatorChannel,
    OperatorNotifier,
    OperatorTimings,
    OperatorWebhook,
    Send,
    StartupNotice,
    to_log,
)
from bot.notifiers.pause_notifier import NotifierTimings, PauseNotifier
from bot.notifiers.quota_notifier import QuotaNotifier
from bot.notifiers.setup_reminder import SetupReminder
from bot.notifiers.webhook_reconciler import WebhookReconciler, describe_webhook
from bot.pipeline.access import AccessCheck, AccessTimings
from bot.pipeline.access_gate import AccessGate
from bot.pipeline.catch_up.from_history import CatchUpLimits
from bot.pipeline.catch_up.worker import CatchUp
from bot.pipeline.clock_watch import ClockWatch
from bot.pipeline.editor import EDIT_RETRY, Editor
from bot.pipeline.enrichment import Enrichment, EnrichmentTimings
from bot.pipeline.event_pictures import EventPictures
from bot.pipeline.ingest import Ingest
from bot.pipeline.late_enrichment import LateEnrichment
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.replay import Replay
from bot.pipeline.routing import Routing
from bot.pipeline.sender import Sender, SenderTimings
from bot.problem_texts import unopenable_text
from bot.problems import NotReady
from bot.program import PROGRAM
from bot.services.audit import AuditService
from bot.services.card_filters import CardFilters
from bot.services.consent_check import ConsentCheck
from bot.services.discord_names import DiscordNameService
from bot.services.doctor import DoctorService
from bot.services.event_log import EventLogService
from bot.services.former_addresses import FormerAddresses
from bot.services.guild_settings import GuildSettingsService
from bot.services.guild_status import GuildStatusService
from bot.services.guilds import GuildService
from bot.services.housekeeping import Housekeeping
from bot.services.known_names import KnownNames
from bot.services.known_trouble import KnownTrouble, TroubleLimits
from bot.services.linking import AccountLinking, ResumePending
from bot.services.message_cards import MessageCards
from bot.services.operator_notices import NoticeBook
from bot.services.pause_notices import PauseNoticeService
from bot.services.pending_commands import PendingCommandService
from bot.services.personal_data import PersonalDataService
from bot.services.public_access import PublicAccess
from bot.services.public_url import INSTANCE_ID_KEY, PublicUrlProbe
from bot.services.quotas import GuildLimits, QuotaService
from bot.services.readiness import Readiness
from bot.services.refused_deliveries import RefusedDeliveries
from bot.services.restored_copy import RestoredCopyCheck
from bot.services.samples import SampleService
from bot.services.search import Search
from bot.services.subscriptions import SubscriptionService
from bot.services.token_lending import TokenLender
from bot.services.waiting_setups import WaitingSetups
from bot.services.webhook_looks import WebhookLooks
from bot.services.webhook_page import WebhookPages
from bot.services.webhooks import WebhookService
from bot.settings import OperatorSettings, RetentionSettings, Settings
from bot.speckle_api.circuit_breaker import BreakerLimits, CircuitBreakers
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.files import ServerFiles
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import Previews
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.startup import open_when_ready, tune_interpreter, tune_memory
from bot.storage import Storage, StorageTimings
from bot.supervisor import Worker, background, lead, stop_signals
from bot.timing import Backoff, utc_now
from bot.vault import Vault
from bot.webhook_listener import SharedHook, WebhookListener

log = structlog.get_logger()

MIB = 1024 * 1024
GB = 1_000_000_000


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
    operator: OperatorTimings = OperatorTimings()


async def run(settings: Settings) -> None:
    """Run the bot until a stop signal; a second signal ends the process at once."""
    tune_memory()
    stopping = asyncio.Event()
    vault, metrics = _vault(settings), Metrics(settings.speckle_servers)
    page = MetricsPage(metrics)
    with stop_signals(stopping):
        async with (
            serving_metrics(page, settings.metrics.host, settings.metrics.port),
            open_when_ready(
                settings, vault, metrics, stopping, _startup_notice(settings).on_state
            ) as storage,
        ):
            if storage is None:
                return
            async with _at_work(settings, storage, metrics, page):
                tune_interpreter()
                await stopping.wait()
                log.info("app.stopping")


@asynccontextmanager
async def running(settings: Settings, timings: Timings = Timings()) -> AsyncIterator[App]:
    """The bot at work for as long as the block runs: listener, ingest, sender, Discord.

    Errors: ConfigError for settings that do not work out, StorageUnavailable; an error of any part
    ends the block, because a bot that works by halves looks healthy and is not.
    """
    vault, metrics = _vault(settings), Metrics(settings.speckle_servers)
    page = MetricsPage(metrics)
    async with (
        serving_metrics(page, settings.metrics.host, settings.metrics.port),
        Storage.open(
            settings.database_url, vault, utc_now, timings=timings.storage, metrics=metrics
        ) as storage,
        _at_work(settings, storage, metrics, page, timings) as app,
    ):
        yield app


@asynccontextmanager
async def _at_work(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    page: MetricsPage,
    timings: Timings = Timings(),
) -> AsyncIterator[App]:
    if settings.discord_api_url is not None:
        use_api(settings.discord_api_url)
    breakers, network = CircuitBreakers(timings.speckle, metrics=metrics), settings.network()
    async with SpeckleHttp.open(settings.speckle_servers, breakers, network) as http:
        restored_copy_check = await _checked_copy(storage)
        await storage.sealed.record_first_key()
        instance = await _instance_id(storage)
        quotas = _quotas(settings, storage)
        rate_limiter = _rate_limiter(settings, timings)
        speckle_side = _speckle_side(settings, storage, http, breakers, network)
        discord_side = await _discord_side(
            settings,
            storage,
            speckle_side,
            quotas,
            instance,
            rate_limiter,
            network,
            timings,
            not_ready=lambda: readiness.problems(),
            known_trouble=lambda: known_trouble,
            on_samples=lambda: pipeline.ingest.wake(),
        )
        bot, linking = discord_side.bot, discord_side.linking
        pipeline = _pipeline(
            settings, storage, metrics, speckle_side, discord_side, quotas, rate_limiter, timings
        )
        readiness = _readiness(storage, bot, rate_limiter, pipeline)
        known_trouble = _known_trouble(settings.operator, storage, readiness, breakers)
        await _report_unopenable(readiness)
        listener = _listener(
            settings, storage, metrics, discord_side, quotas, pipeline, readiness, instance
        )
        workers: dict[str, Worker] = {
            **pipeline.workers(bot, with_emoji=settings.delivery.emoji),
            **discord_side.notifiers(storage, quotas, rate_limiter, timings.notifier),
            "discord": partial(bot.stay_connected, _required(settings)),
            **_maintenance(settings, storage, discord_side.guilds, rate_limiter),
            **({} if storage.is_sqlite else {"restored_copy": restored_copy_check.run}),
            "operator_notifier": _operator_notifier(
                settings, storage, bot, rate_limiter, network, known_trouble, timings.operator
            ).run,
        }
        leading = lead(storage, alone=storage.is_sqlite, workers=workers)
        parts = _running_parts(settings, storage, quotas, known_trouble, breakers, bot)
        try:
            async with page.reading(parts), _all_started(settings, bot, leading, listener) as port:
                lender, catch_up = speckle_side.lender, pipeline.catch_up
                yield App(storage, metrics, bot, lender, linking, catch_up, port, known_trouble)
        finally:
            pipeline.close()
            speckle_side.client.close()


def _running_parts(
    settings: Settings,
    storage: Storage,
    quotas: QuotaService,
    known_trouble: KnownTrouble,
    breakers: CircuitBreakers,
    bot: SpeckleBot,
) -> RunningParts:
    return RunningParts(
        storage,
        quotas,
        settings.speckle_servers,
        trouble=known_trouble.lately,
        silent_servers=breakers.silent,
        gateway_problems=bot.gateway.problems,
        gateway_latency_s=lambda: bot.latency_s,
        now=utc_now,
    )


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


async def _checked_copy(storage: Storage) -> RestoredCopyCheck:
    # Of SQLite once: its file is not written to any more once it is replaced, until a restart.
    restored_copy_check = RestoredCopyCheck(storage)
    await restored_copy_check.check_at_start()
    return restored_copy_check


def _rate_limiter(settings: Settings, timings: Timings) -> RateLimiter:
    pace, banned_s = settings.delivery.requests_per_s, timings.connection.banned_s
    return RateLimiter(pace, now=utc_now, banned_s=banned_s)


async def _instance_id(storage: Storage) -> str:
    """The id that this database's bot has from its first start."""
    return await storage.write(
        lambda tx: tx.key_values.set_once(INSTANCE_ID_KEY, secrets.token_hex(16))
    )


def _startup_notice(settings: Settings) -> StartupNotice:
    url = settings.operator_webhook_url
    if url is None:
        return StartupNotice(None, utc_now)
    return StartupNotice(OperatorWebhook(url.get_secret_value(), settings.network()).send, utc_now)


def _operator_notifier(
    settings: Settings,
    storage: Storage,
    bot: SpeckleBot,
    rate_limiter: RateLimiter,
    network: Network,
    known_trouble: KnownTrouble,
    timings: OperatorTimings,
) -> OperatorNotifier:
    outlets: dict[str, Send] = {LOG: to_log}
    if channel_id := settings.operator.channel:
        outlets[CHANNEL] = OperatorChannel(bot, channel_id, rate_limiter.blocked_for_s).send
    if (url := settings.operator_webhook_url) is not None:
        outlets[WEBHOOK] = OperatorWebhook(url.get_secret_value(), network).send
    book = NoticeBook(storage, outlets, utc_now, timings.limits)
    return OperatorNotifier(known_trouble, book, outlets, timings)


def _maintenance(
    settings: Settings, storage: Storage, guilds: GuildService, rate_limiter: RateLimiter
) -> Mapping[str, Worker]:
    """What looks after the database, by name."""
    clock = ClockWatch(storage, rate_limiter.discord_time, utc_now)
    housekeeping = Housekeeping(
        storage,
        guilds,
        _retention_policy(settings.retention),
        timedelta(days=settings.retention.left_guild_days),
        clock.agrees,
    )
    return {"housekeeping": housekeeping.run, "clock": clock.run}


def _readiness(
    storage: Storage, bot: SpeckleBot, rate_limiter: RateLimiter, pipeline: "_Pipeline"
) -> Readiness:
    return Readiness(storage, bot.problems, rate_limiter.problems, pipeline.sender.problems)


def _known_trouble(
    operator: OperatorSettings, storage: Storage, readiness: Readiness, breakers: CircuitBreakers
) -> KnownTrouble:
    days = operator.backup_days
    backup_age = timedelta(days=days) if days else None
    limits = TroubleLimits(round(operator.free_disk_gb * GB), backup_age)
    return KnownTrouble(storage, readiness, breakers.silent, utc_now, limits)


async def _report_unopenable(readiness: Readiness) -> None:
    """Say it loudly if the keys are not those that sealed what is stored; all else continues."""
    if unopenable := await readiness.unopenable():
        log.critical(
            "keys.cannot_decrypt",
            hint=f"{unopenable_text(unopenable)}: add the key that encrypted them after the "
            "others, after a comma, and restart the bot. If it is lost, people press Set up again "
            "under /subscriptions and type /link again. What needs no key works in the meantime.",
        )


# ── Speckle's side ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _SpeckleSide:
    """What asks Speckle servers."""

    client: SpeckleClient
    pictures: EventPictures
    sign_in: SpeckleSignIn
    lender: TokenLender
    known_names: KnownNames
    counts: ObjectCounts


def _speckle_side(
    settings: Settings,
    storage: Storage,
    http: SpeckleHttp,
    breakers: CircuitBreakers,
    network: Network,
) -> _SpeckleSide:
    client = SpeckleClient(
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        breakers=breakers,
        network=network,
    )
    token = settings.speckle_token
    sign_in = SpeckleSignIn(http)
    lender = TokenLender(
        storage,
        client,
        sign_in,
        apps=settings.apps(),
        first_server=settings.speckle_servers[0],
        operator_token=None if token is None else token.get_secret_value(),
        served_guilds=settings.organisation.guilds,
        now=utc_now,
    )
    known_names = KnownNames(storage, client, lender, now=utc_now)
    counts = ObjectCounts(http)
    pictures = EventPictures(Previews(http), ServerFiles(http), lender)
    return _SpeckleSide(client, pictures, sign_in, lender, known_names, counts)


# ── Discord's side ────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _DiscordSide:
    """The client with its cogs, and the services that they share with others."""

    bot: SpeckleBot
    guilds: GuildService
    webhooks: WebhookService
    linking: AccountLinking
    access: AccessCheck
    refused: RefusedDeliveries
    resume_pending: ResumePending

    def notifiers(
        self,
        storage: Storage,
        quotas: QuotaService,
        rate_limiter: RateLimiter,
        timings: NotifierTimings,
    ) -> Mapping[str, Worker]:
        """What notifies people of something that they did not ask for, and keeps names, by name."""
        bot, blocked_for_s = self.bot, rate_limiter.blocked_for_s
        notices = PauseNoticeService(storage, utc_now)
        reconciler = WebhookReconciler(bot, storage, self.webhooks)
        follow_ups = LinkFollowUps(
            bot, self.linking, self.resume_pending, reconciler.look_after, timings.poll_s
        )
        return {
            "pause_notifier": PauseNotifier(bot, notices, blocked_for_s, timings).run,
            "quota_notifier": QuotaNotifier(bot, quotas, blocked_for_s, timings.poll_s).run,
            "link_followups": follow_ups.run,
            "webhook_reconciler": reconciler.run,
            "discord_names": NameKeeper(bot, DiscordNameService(storage)).run,
            "audit_poster": AuditPoster(bot, storage, blocked_for_s, timings.poll_s).run,
            "setup_reminder": SetupReminder(
                bot, WaitingSetups(storage, utc_now), blocked_for_s
            ).run,
        }


async def _discord_side(
    settings: Settings,
    storage: Storage,
    speckle: _SpeckleSide,
    quotas: QuotaService,
    instance: str,
    rate_limiter: RateLimiter,
    network: Network,
    timings: Timings,
    *,
    not_ready: Callable[[], Awaitable[Sequence[NotReady]]],
    known_trouble: Callable[[], KnownTrouble],
    on_samples: Callable[[], None],
) -> _DiscordSide:
    """Build the client, its services and its cogs; what is handed in is there when they work."""
    guilds = GuildService(storage, utc_now)
    bot = _client(storage, guilds, rate_limiter, network, timings)
    webhooks = WebhookService(
        storage,
        speckle.client,
        speckle.lender,
        PublicUrlProbe(settings.public_url, instance, network),
        describe_webhook=partial(describe_webhook, bot),
        now=utc_now,
    )
    linking = _linking(settings, storage, speckle, webhooks)
    pages = WebhookPages(speckle.client, asks=settings.speckle.enrich_deadline_s > 0)
    subscriptions = _subscriptions(settings, storage, speckle, quotas, webhooks, pages)
    watch = DiscordChannelAudience(bot, timings.access.member_known_s)
    access = AccessCheck(storage, speckle.client, speckle.lender, watch, utc_now, timings.access)
    webhook_looks = WebhookLooks(webhooks, speckle.lender, access.decide_and_record)
    event_log = EventLogService(
        storage,
        access.decide_and_record,
        webhook_looks,
        speckle_servers=settings.speckle_servers,
        now=utc_now,
    )
    pending_commands, refused = PendingCommandService(storage), RefusedDeliveries(utc_now)
    flow = await add_cogs(
        bot,
        subscriptions,
        pending_commands,
        guilds,
        GuildSettingsService(storage, quotas),
        speckle.lender,
        linking,
        PersonalDataService(storage, linking, _retention_policy(settings.retention)),
        DoctorService(
            storage, subscriptions, webhooks, webhook_looks, pages, quotas, refused, not_ready
        ),
        SampleService(storage, subscriptions, on_samples),
        CardFilters(storage, MessageCards(storage), subscriptions, pending_commands),
        event_log,
        AuditService(storage, utc_now),
        GuildStatusService(storage, known_trouble, utc_now),
        guilds_known=bot.ready_once,
    )
    resume = flow.resume_after_link
    return _DiscordSide(bot, guilds, webhooks, linking, access, refused, resume)


def _linking(
    settings: Settings, storage: Storage, speckle: _SpeckleSide, webhooks: WebhookService
) -> AccountLinking:
    return AccountLinking(
        storage,
        speckle.client,
        speckle.sign_in,
        webhooks.remover.detach_account,
        speckle_servers=settings.speckle_servers,
        apps=settings.apps(),
        public_url=settings.public_url,
        now=utc_now,
    )


def _client(
    storage: Storage,
    guilds: GuildService,
    rate_limiter: RateLimiter,
    network: Network,
    timings: Timings,
) -> SpeckleBot:
    return SpeckleBot(
        rate_limiter,
        load=lambda key: storage.read(lambda tx: tx.key_values.get(key)),
        save=lambda key, value: storage.write(lambda tx: tx.key_values.set(key, value)),
        on_guilds=guilds.reconcile,
        timings=timings.connection,
        network=network,
    )


def _subscriptions(
    settings: Settings,
    storage: Storage,
    speckle: _SpeckleSide,
    quotas: QuotaService,
    webhooks: WebhookService,
    pages: WebhookPages,
) -> SubscriptionService:
    shared = _shared_hook(settings) is not None
    served = frozenset(settings.organisation.guilds) if shared else frozenset[int]()
    asks = settings.speckle.enrich_deadline_s > 0
    public_access = PublicAccess(speckle.client, asks=asks)
    consent_check = ConsentCheck(speckle.lender, webhooks, public_access)
    return SubscriptionService(
        storage,
        webhooks,
        Search(speckle.client, speckle.lender, now=utc_now, asks_public=asks),
        consent_check,
        quotas,
        pages,
        speckle.known_names,
        FormerAddresses(speckle.client, settings.speckle_servers, asks=asks),
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
    sender: Sender
    late_enrichment: LateEnrichment
    editor: Editor
    emoji: ApplicationEmoji
    close: Callable[[], None]

    def workers(self, bot: SpeckleBot, *, with_emoji: bool) -> Mapping[str, Worker]:
        """What is to run, by name; the emoji of titles only for a host who wants them."""
        emoji = {"emoji": partial(self.emoji.run, bot, bot.logged_in)} if with_emoji else {}
        return {
            **emoji,
            "catch_up": self.catch_up.run,  # first: what was missed is older than what comes now
            "ingest": self.ingest.run,
            "held_events": self.replay.run,
            "sender": partial(self.sender.run, bot.logged_in),
            "late_enrichment": self.late_enrichment.run,
            "editor": partial(self.editor.run, bot.logged_in),
        }


def _pipeline(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    speckle: _SpeckleSide,
    discord_side: _DiscordSide,
    quotas: QuotaService,
    rate_limiter: RateLimiter,
    timings: Timings,
) -> _Pipeline:
    bot, access = discord_side.bot, discord_side.access
    access_gate = AccessGate(storage, access, on_held=lambda: replay.wake(), now=utc_now)
    emoji = ApplicationEmoji()
    sender = _sender(
        settings, storage, metrics, bot, rate_limiter, access_gate, emoji, timings.sender
    )
    retry, change = timings.editor_retry, partial(edit, bot, emoji=emoji)
    editor = Editor(storage, change, access_gate.may_edit, rate_limiter, now=utc_now, retry=retry)
    enrichment = _enrichment(settings, speckle, timings.enrichment)
    known_names = speckle.known_names
    late_enrichment = LateEnrichment(
        storage, enrichment, access, known_names, on_changed=editor.wake, now=utc_now
    )
    picture_resizer = PictureResizer()
    routing = Routing(
        enrichment,
        access,
        known_names,
        picture_resizer,
        speckle_servers=settings.speckle_servers,
        now=utc_now,
    )
    served = frozenset(settings.organisation.guilds)
    replay = Replay(
        storage,
        routing,
        served_guilds=served,
        on_cards=sender.wake,
        on_incomplete=late_enrichment.wake,
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
        known_names.close()
        picture_resizer.close()

    return _Pipeline(catch_up, ingest, replay, sender, late_enrichment, editor, emoji, close)


def _sender(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    bot: SpeckleBot,
    rate_limiter: RateLimiter,
    access_gate: AccessGate,
    emoji: ApplicationEmoji,
    timings: SenderTimings,
) -> Sender:
    return Sender(
        storage,
        partial(send, bot, discord_now=rate_limiter.discord_time.now, emoji=emoji),
        partial(why_posting_failed, bot),
        access_gate.hold_back_forbidden,
        rate_limiter,
        find_sent=partial(find_sent, bot),
        channels_at_once=settings.delivery.concurrency,
        now=utc_now,
        timings=timings,
        metrics=metrics,
    )


def _enrichment(
    settings: Settings, speckle: _SpeckleSide, timings: EnrichmentTimings
) -> Enrichment:
    return Enrichment(
        speckle.client,
        speckle.pictures,
        speckle.lender,
        speckle.counts,
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        timings=timings,
    )


def _catch_up(
    settings: Settings,
    storage: Storage,
    speckle: _SpeckleSide,
    quotas: QuotaService,
    access: AccessCheck,
    stored: Callable[[], None],
    limits: CatchUpLimits,
) -> CatchUp:
    return CatchUp(
        storage,
        speckle.client,
        speckle.lender,
        on_stored=stored,
        decide=access.decide_and_record,
        quota=quotas.day_of_fetched,
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        look_back=timedelta(days=settings.retention.delivered_days),
        now=utc_now,
        limits=limits,
    )


def _listener(
    settings: Settings,
    storage: Storage,
    metrics: Metrics,
    discord_side: _DiscordSide,
    quotas: QuotaService,
    pipeline: _Pipeline,
    readiness: Readiness,
    instance: str,
) -> WebhookListener:
    listener = WebhookListener(
        storage,
        shared_hook=_shared_hook(settings),
        max_body_bytes=settings.webhook.max_body_mib * MIB,
        on_stored=pipeline.ingest.wake,
        on_missed=pipeline.catch_up.missed,
        problems=readiness.problems,
        instance=instance,
        now=utc_now,
        public_url=settings.public_url,
        quotas=quotas,
        refused=discord_side.refused,
        metrics=metrics,
    )
    if settings.public_url is not None:
        LinkPages(discord_side.linking, settings.public_url).add_to(listener.app)
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
                f"Make a key with `{PROGRAM} key` and put it into .env.",
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
    """The keys; whatever else a start needs is looked at first, so that all is reported at once."""
    _required(settings)
    return Vault([key.get_secret_value() for key in settings.encryption_keys])


def _retention_policy(retention: RetentionSettings) -> RetentionPolicy:
    return RetentionPolicy(
        timedelta(days=retention.body_days),
        timedelta(days=retention.delivered_days),
        timedelta(days=retention.undeliverable_days),
        timedelta(days=retention.audit_days),
    )


def _shared_hook(settings: Settings) -> SharedHook | None:
    secret = settings.speckle_webhook_secret
    if secret is None or not settings.organisation.guilds:
        return None
    return SharedHook(secret.get_secret_value(), frozenset(settings.speckle_servers))
