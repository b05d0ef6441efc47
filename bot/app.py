"""Builds everything, runs it and stops it: the only file that knows every other."""

import asyncio
import gc
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from bot.cogs.link_telling import LinkTeller
from bot.cogs.mending import Mender, webhook_description
from bot.cogs.places import missing_there
from bot.cogs.telling import Teller
from bot.cogs.waiting import linked as go_on_with
from bot.config import Retention, Settings
from bot.db.retention import Keep
from bot.db.rows import Hook
from bot.db.vault import Vault
from bot.discord_client import SpeckleBot, use_api
from bot.discord_out import edit, send
from bot.discord_pace import Pace
from bot.errors import BotError, ConfigError, PartFailed, Problem, StorageUnavailable
from bot.link_pages import LinkPages
from bot.pipeline.access import AccessCheck
from bot.pipeline.avatars import Avatars
from bot.pipeline.catch_up import CatchUp
from bot.pipeline.delivery import Delivery
from bot.pipeline.editing import Editing
from bot.pipeline.enrichment import Enrichment
from bot.pipeline.fill_ins import FillIns
from bot.pipeline.ingest import Ingest
from bot.services.accounts import AccountService
from bot.services.browsing import Browsing
from bot.services.guilds import GuildService
from bot.services.notices import NoticeService
from bot.services.reach import INSTANCE_FACT, Reach
from bot.services.subscriptions import SubscriptionService
from bot.services.webhooks import WebhookService
from bot.speckle.breaker import Breakers
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.http import SpeckleHttp
from bot.speckle.oauth import SpeckleOAuth
from bot.speckle.previews import Previews
from bot.storage import FIRST_KEY_FACT, Storage, utc_now
from bot.webhook_listener import SharedHook, WebhookListener

log = structlog.get_logger()

LEAD_RETRY_S = 5.0
HOUSEKEEPING_S = 3600.0
ECHO_S = 1.0
MIB = 1024 * 1024
GC_THRESHOLD = 20_000  # new objects between two looks; each delivery in hand holds some hundred


Work = Callable[[], Coroutine[None, None, None]]


@dataclass(frozen=True, slots=True)
class App:
    """The running bot, as the demo and the tests hold it."""

    storage: Storage
    bot: SpeckleBot
    catch_up: CatchUp
    port: int


async def run(settings: Settings) -> None:
    """Run the bot until a stop signal; a second signal ends the process at once."""
    stopping = asyncio.Event()
    with stop_signals(stopping):
        async with running(settings):
            tend_memory()
            await stopping.wait()
            log.info("app.stopping")


def tend_memory() -> None:
    """Have Python look for garbage in what comes and goes, not in all that was loaded at start."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[App]:
    """The bot at work for as long as the block runs: listener, ingest, delivery, Discord.

    Errors: ConfigError for settings that do not work out; an error of any part ends the block,
    because a bot that works by halves looks healthy and is not.
    """
    token = _required(settings)
    if settings.discord_api_url is not None:
        use_api(settings.discord_api_url)
    breakers = Breakers()
    vault = Vault([key.get_secret_value() for key in settings.encryption_keys])
    async with (
        Storage.open(settings.database_url, vault, utc_now) as storage,
        SpeckleHttp.open(settings.speckle_servers, breakers) as speckle_http,
    ):
        gateway = _speckle_gateway(settings, breakers)
        accounts = _accounts(settings, storage, gateway, SpeckleOAuth(speckle_http))
        guilds = GuildService(storage, utc_now)
        pace = Pace(settings.delivery.requests_per_s)
        await storage.facts.set(FIRST_KEY_FACT, vault.first_key_id)
        instance = await storage.facts.keep(INSTANCE_FACT, secrets.token_hex(16))
        webhooks = WebhookService(
            storage,
            gateway,
            accounts,
            Reach(settings.public_url, instance),
            description=lambda guild_id: webhook_description(bot, guild_id),
            now=utc_now,
        )
        browsing = Browsing(gateway, accounts)
        subscriptions = _subscriptions(settings, storage, accounts, webhooks, browsing)
        bot = SpeckleBot(storage, subscriptions, guilds, accounts, pace)
        accounts.linked = partial(go_on_with, bot)
        accounts.before_unlink = webhooks.let_go
        delivery = Delivery(
            storage,
            partial(send, bot),
            partial(missing_there, bot),
            pace,
            channels_at_once=settings.delivery.concurrency,
            now=utc_now,
        )
        enrichment = Enrichment(
            gateway,
            Previews(speckle_http),
            accounts,
            servers=settings.speckle_servers,
            deadline_s=settings.speckle.enrich_deadline_s,
        )
        avatars = Avatars()
        editing = Editing(storage, partial(edit, bot), pace, now=utc_now)
        fill_ins = FillIns(
            storage,
            enrichment,
            speckle_servers=settings.speckle_servers,
            changed=editing.wake,
            now=utc_now,
        )
        ingest = Ingest(
            storage,
            enrichment,
            avatars,
            AccessCheck(storage, gateway, accounts, utc_now),
            speckle_servers=settings.speckle_servers,
            served_guilds=frozenset(settings.organisation.guilds),
            queued=delivery.wake,
            lacking=fill_ins.wake,
            now=utc_now,
        )
        catch_up = CatchUp(
            storage,
            gateway,
            accounts,
            stored=ingest.wake,
            may_ask=partial(_may_ask, settings),
            max_body_bytes=settings.webhook.max_body_mib * MIB,
            reach=timedelta(days=settings.retention.delivered_days),
            now=utc_now,
        )
        listener = WebhookListener(
            storage,
            shared_hook=_shared_hook(settings),
            max_body_bytes=settings.webhook.max_body_mib * MIB,
            stored=ingest.wake,
            missed=catch_up.missed,
            gateway_silence_s=bot.gateway_silence_s,
            instance=instance,
            now=utc_now,
        )
        if settings.public_url is not None:
            LinkPages(accounts, settings.public_url).add_to(listener.app)
        try:
            # The listener last, so that it ends first: nothing comes in while the rest is finished,
            # and what is being sent needs the client to the end.
            teller = Teller(bot, NoticeService(storage, utc_now), pace.closed_for_s)
            work: Mapping[str, Work] = {
                "catch_up": catch_up.run,  # first: what was missed is older than what comes now
                "ingest": ingest.run,
                "delivery": partial(delivery.run, bot.logged_in),
                "fill_ins": fill_ins.run,
                "edits": partial(editing.run, bot.logged_in),
                "notices": teller.run,
                "links": LinkTeller(bot).run,
                "webhooks": Mender(bot, webhooks).run,
                "discord": partial(bot.stay_connected, token),
            }
            leader = _lead(storage, settings, bot, work)
            async with (
                bot.closed_at_the_end(),
                _background(leader, name="leader"),
                listener.listening(settings.webhook_host, settings.webhook_port) as port,
            ):
                log.info("listener.up", host=settings.webhook_host, port=port)
                yield App(storage, bot, catch_up, port)
        finally:
            enrichment.close()
            avatars.close()
            gateway.close()


async def _lead(
    storage: Storage,
    settings: Settings,
    bot: SpeckleBot,
    work: Mapping[str, Work],
) -> None:
    """Do what only one process may do at a time, as soon as this is the one."""
    while not await storage.lead():
        if settings.database_url.startswith("sqlite"):
            raise ConfigError(
                Problem(
                    "DATABASE_URL",
                    "Another bot runs on this database.",
                    "Stop it first, or give this one a database of its own.",
                )
            )
        log.info("app.standby", why="another process leads; this one takes webhooks meanwhile")
        await asyncio.sleep(LEAD_RETRY_S)
    parts: Mapping[str, Coroutine[None, None, None]] = {
        **{name: start() for name, start in work.items()},
        "housekeeping": _housekeeping(storage, bot.guild_service, settings.retention),
        "leadership": _keep_leading(storage),
    }
    async with asyncio.TaskGroup() as tasks:
        for name, part in parts.items():
            tasks.create_task(_vital(name, part), name=name)


async def _vital(name: str, work: Coroutine[None, None, None]) -> None:
    """Do work that must not end; whatever ends it ends the bot, with a line in the log.

    Errors: PartFailed; an error that says itself what to do stays as it is.
    """
    try:
        await work
    except BotError:
        raise
    except Exception as error:
        log.critical("app.part_failed", part=name, exc_info=error)
        raise PartFailed(name) from error
    log.critical("app.part_ended", part=name)
    raise PartFailed(name)


async def _keep_leading(storage: Storage) -> None:
    """Look again and again whether this process still leads; it stops if another one does.

    On PostgreSQL the lead goes with the connection that holds it. While the database is away
    nobody can take the lead, and this process can do nothing with it.
    """
    while True:
        await asyncio.sleep(LEAD_RETRY_S)
        try:
            leads = await storage.lead()
        except StorageUnavailable as error:
            log.error("app.lead_unknown", reason=error.reason)
            continue
        if not leads:
            log.critical("app.lead_lost", why="the connection to the database was cut")
            raise PartFailed("leadership")


async def _housekeeping(storage: Storage, guilds: GuildService, retention: Retention) -> None:
    """Erase what is old enough, and the data of guilds that removed the bot long enough ago."""
    keep = _keep(retention)
    while True:
        try:
            await storage.link_requests.erase_expired()
            erased = await guilds.erase_left(timedelta(days=retention.left_guild_days))
            if erased:
                log.info("housekeeping.guilds_erased", count=erased)
            gone = await storage.retention.tidy(keep)
            if gone:
                log.info("housekeeping.old_rows_erased", **gone)
        except StorageUnavailable as error:
            log.error("housekeeping.database_unavailable", reason=error.reason)
        await asyncio.sleep(HOUSEKEEPING_S)


@asynccontextmanager
async def _background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` beside the block; it ends with the block, and its failure ends the block.

    Errors: the first one that a part raised, out of its group.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work, name=name)
            try:
                yield
            finally:
                task.cancel()
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


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


def _subscriptions(
    settings: Settings,
    storage: Storage,
    accounts: AccountService,
    webhooks: WebhookService,
    browsing: Browsing,
) -> SubscriptionService:
    return SubscriptionService(
        storage,
        accounts,
        webhooks,
        browsing,
        speckle_servers=settings.speckle_servers,
        public_url=settings.public_url,
        served_guilds=frozenset(settings.organisation.guilds),
        shared_hook_enabled=settings.speckle_webhook_secret is not None,
        now=utc_now,
    )


def _accounts(
    settings: Settings, storage: Storage, gateway: SpeckleGateway, oauth: SpeckleOAuth
) -> AccountService:
    token = settings.speckle_token
    return AccountService(
        storage,
        gateway,
        oauth,
        speckle_servers=settings.speckle_servers,
        apps=settings.apps(),
        public_url=settings.public_url,
        operator_token=None if token is None else token.get_secret_value(),
        served_guilds=settings.organisation.guilds,
        now=utc_now,
        keep=_keep(settings.retention),
    )


def _keep(retention: Retention) -> Keep:
    return Keep(
        timedelta(days=retention.body_days),
        timedelta(days=retention.delivered_days),
        timedelta(days=retention.undeliverable_days),
    )


def _speckle_gateway(settings: Settings, breakers: Breakers) -> SpeckleGateway:
    return SpeckleGateway(
        servers=settings.speckle_servers,
        deadline_s=settings.speckle.enrich_deadline_s,
        breakers=breakers,
    )


def _may_ask(settings: Settings, hook: Hook) -> bool:
    """Whether a hook can be asked for with an account, or with the operator's token."""
    if hook.account_id is not None:
        return True
    first = hook.server_url == settings.speckle_servers[0]
    served = hook.guild_id in settings.organisation.guilds
    return settings.speckle_token is not None and first and served


def _shared_hook(settings: Settings) -> SharedHook | None:
    secret = settings.speckle_webhook_secret
    if secret is None or not settings.organisation.guilds:
        return None
    return SharedHook(secret.get_secret_value(), frozenset(settings.speckle_servers))


@contextmanager
def stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at SIGINT or SIGTERM; a second one ends the process at once.

    One that comes right behind the first is its echo: whoever stops a whole group of processes
    reaches this one directly and through run.py.
    """
    loop = asyncio.get_running_loop()
    first_at: list[float] = []

    def stop() -> None:
        if first_at and loop.time() - first_at[0] > ECHO_S:
            sys.stderr.write("Stopped at once.\n")
            os._exit(1)
        if not first_at:
            first_at.append(loop.time())
        stopping.set()

    # Not loop.add_signal_handler, which Windows lacks.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(n, lambda *_: loop.call_soon_threadsafe(stop)) for n in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
