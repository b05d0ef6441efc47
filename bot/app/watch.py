"""What watches over the bot itself: its readiness, what troubles it, its database and its host."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import structlog

from bot.amounts import GB
from bot.app.base import Base
from bot.app.from_settings import retention_policy_of
from bot.app.pipeline import Pipeline
from bot.discord_api.client import SpeckleBot
from bot.monitoring.readings import RunningParts
from bot.notifiers.operator_notifier import (
    CHANNEL,
    LOG,
    WEBHOOK,
    OperatorChannel,
    OperatorNotifier,
    OperatorWebhook,
    Send,
    StartupNotice,
    to_log,
)
from bot.pipeline.clock_watch import ClockWatch
from bot.problem_texts import unopenable_text
from bot.problems import NotReady, NotReadyWhy
from bot.services.guilds import GuildService
from bot.services.housekeeping import Housekeeping
from bot.services.known_trouble import KnownTrouble, TroubleLimits
from bot.services.operator_notices import NoticeBook
from bot.services.readiness import Readiness
from bot.services.restored_copy import RestoredCopyCheck
from bot.settings import Settings
from bot.storage import Storage
from bot.supervisor import Worker
from bot.timing import utc_now

log = structlog.get_logger()


def readiness_of(base: Base, bot: SpeckleBot, pipeline: Pipeline) -> Readiness:
    """Whether the bot does its work."""

    def discord_problems() -> Sequence[NotReady]:
        # Only the process that leads connects to Discord.
        stands_by = base.storage.another_leads
        return [NotReady(NotReadyWhy.STANDS_BY)] if stands_by else bot.problems()

    return Readiness(
        base.storage, discord_problems, base.rate_limiter.problems, pipeline.sender.problems
    )


def known_trouble_of(base: Base, readiness: Readiness) -> KnownTrouble:
    """What is wrong with the bot, its disk, and the servers that it needs."""
    operator = base.settings.operator
    days = operator.backup_days
    backup_age = timedelta(days=days) if days else None
    limits = TroubleLimits(round(operator.free_disk_gb * GB), backup_age)
    return KnownTrouble(base.storage, readiness, base.breakers.silent, base.now, limits)


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
    base: Base, known_trouble: KnownTrouble, bot: SpeckleBot, pipeline: Pipeline
) -> RunningParts:
    """What /metrics reads when it is asked."""
    return RunningParts(
        base.storage,
        base.quotas,
        base.settings.speckle_servers,
        trouble=known_trouble.lately,
        silent_servers=base.breakers.silent,
        gateway_problems=bot.gateway.problems,
        gateway_latency_s=lambda: bot.latency_s,
        live_unread_s=lambda: pipeline.listener.longest_unread_s,
        now=base.now,
    )


def startup_notice_of(settings: Settings) -> StartupNotice:
    """What tells the host, before Discord is there, that the bot waits for its database."""
    url = settings.operator_webhook_url
    if url is None:
        return StartupNotice(None, utc_now)
    return StartupNotice(OperatorWebhook(url.get_secret_value(), settings.network()).send, utc_now)


def operator_notifier_of(
    base: Base, bot: SpeckleBot, known_trouble: KnownTrouble
) -> OperatorNotifier:
    """What tells the host of trouble, in each way that the settings name."""
    outlets: dict[str, Send] = {LOG: to_log}
    if channel_id := base.settings.operator.channel:
        outlets[CHANNEL] = OperatorChannel(bot, channel_id, base.rate_limiter.blocked_for_s).send
    if (url := base.settings.operator_webhook_url) is not None:
        outlets[WEBHOOK] = OperatorWebhook(url.get_secret_value(), base.network).send
    timings = base.timings.operator
    book = NoticeBook(base.storage, outlets, base.now, timings.limits)
    return OperatorNotifier(known_trouble, book, outlets, timings)


def maintenance_of(base: Base, guilds: GuildService) -> Mapping[str, Worker]:
    """What looks after the database, by name."""
    clock = ClockWatch(base.storage, base.rate_limiter.discord_time, base.now)
    housekeeping = Housekeeping(
        base.storage,
        guilds,
        retention_policy_of(base.settings.retention),
        timedelta(days=base.settings.retention.left_guild_days),
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
