"""What watches over the bot itself: its readiness, what troubles it, its database and its host."""

from collections.abc import Mapping
from datetime import timedelta

import structlog

from bot.app.from_settings import retention_policy_of
from bot.app.pipeline import Pipeline
from bot.discord_api.client import SpeckleBot
from bot.discord_api.rate_limits import RateLimiter
from bot.monitoring.readings import RunningParts
from bot.network import Network
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
from bot.pipeline.clock_watch import ClockWatch
from bot.problem_texts import unopenable_text
from bot.services.guilds import GuildService
from bot.services.housekeeping import Housekeeping
from bot.services.known_trouble import KnownTrouble, TroubleLimits
from bot.services.operator_notices import NoticeBook
from bot.services.quotas import QuotaService
from bot.services.readiness import Readiness
from bot.services.restored_copy import RestoredCopyCheck
from bot.settings import OperatorSettings, Settings
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.storage import Storage
from bot.supervisor import Worker
from bot.timing import utc_now

log = structlog.get_logger()

GB = 1_000_000_000


def readiness_of(
    storage: Storage, bot: SpeckleBot, rate_limiter: RateLimiter, pipeline: Pipeline
) -> Readiness:
    """Whether the bot does its work."""
    return Readiness(storage, bot.problems, rate_limiter.problems, pipeline.sender.problems)


def known_trouble_of(
    operator: OperatorSettings, storage: Storage, readiness: Readiness, breakers: CircuitBreakers
) -> KnownTrouble:
    """What is wrong with the bot, its disk, and the servers that it needs."""
    days = operator.backup_days
    backup_age = timedelta(days=days) if days else None
    limits = TroubleLimits(round(operator.free_disk_gb * GB), backup_age)
    return KnownTrouble(storage, readiness, breakers.silent, utc_now, limits)


async def report_unopenable(readiness: Readiness) -> None:
    """Say it loudly if the keys are not those that sealed what is stored; all else continues."""
    if unopenable := await readiness.unopenable():
        log.critical(
            "keys.cannot_decrypt",
            hint=f"{unopenable_text(unopenable)}: add the key that encrypted them after the "
            "others, after a comma, and restart the bot. If it is lost, people press Set up again "
            "under /subscriptions and type /link again. What needs no key works in the meantime.",
        )


def running_parts_of(
    settings: Settings,
    storage: Storage,
    quotas: QuotaService,
    known_trouble: KnownTrouble,
    breakers: CircuitBreakers,
    bot: SpeckleBot,
) -> RunningParts:
    """What /metrics reads when it is asked."""
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


def startup_notice_of(settings: Settings) -> StartupNotice:
    """What tells the host, before Discord is there, that the bot waits for its database."""
    url = settings.operator_webhook_url
    if url is None:
        return StartupNotice(None, utc_now)
    return StartupNotice(OperatorWebhook(url.get_secret_value(), settings.network()).send, utc_now)


def operator_notifier_of(
    settings: Settings,
    storage: Storage,
    bot: SpeckleBot,
    rate_limiter: RateLimiter,
    network: Network,
    known_trouble: KnownTrouble,
    timings: OperatorTimings,
) -> OperatorNotifier:
    """What tells the host of trouble, in each way that the settings name."""
    outlets: dict[str, Send] = {LOG: to_log}
    if channel_id := settings.operator.channel:
        outlets[CHANNEL] = OperatorChannel(bot, channel_id, rate_limiter.blocked_for_s).send
    if (url := settings.operator_webhook_url) is not None:
        outlets[WEBHOOK] = OperatorWebhook(url.get_secret_value(), network).send
    book = NoticeBook(storage, outlets, utc_now, timings.limits)
    return OperatorNotifier(known_trouble, book, outlets, timings)


def maintenance_of(
    settings: Settings, storage: Storage, guilds: GuildService, rate_limiter: RateLimiter
) -> Mapping[str, Worker]:
    """What looks after the database, by name."""
    clock = ClockWatch(storage, rate_limiter.discord_time, utc_now)
    housekeeping = Housekeeping(
        storage,
        guilds,
        retention_policy_of(settings.retention),
        timedelta(days=settings.retention.left_guild_days),
        clock.agrees,
    )
    return {"housekeeping": housekeeping.run, "clock": clock.run}


async def checked_copy_of(storage: Storage) -> RestoredCopyCheck:
    """Look whether the database was put back from a copy; PostgreSQL's is looked at again later.

    Of SQLite once: its file is not written to any more once it is replaced, until a restart.
    """
    restored_copy_check = RestoredCopyCheck(storage)
    await restored_copy_check.check_at_start()
    return restored_copy_check
