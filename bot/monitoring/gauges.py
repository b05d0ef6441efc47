"""Readings as metrics: one row for each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric

from bot import __version__
from bot.metrics import PREFIX
from bot.model import PauseReason
from bot.monitoring.readings import FromDatabase, Readings
from bot.problems import TroubleKind

Values = Mapping[tuple[str, ...], float]
"""What a metric is now, by the values of its labels; empty where it could not be read."""

QUOTAS: Final = ("events", "bytes", "webhooks", "subscriptions")


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric that is read when it is asked for."""

    name: str
    text: str
    read: Callable[[Readings], Values]
    labels: tuple[str, ...] = ()


def families(readings: Readings) -> Iterator[Metric]:
    """The readings as metrics; of what is missing the name alone, without a value."""
    about = {"version": __version__, "database": readings.database_kind}
    yield InfoMetricFamily(f"{PREFIX}_build", "Version of the bot and kind of database", about)
    for gauge in GAUGES:
        family = GaugeMetricFamily(f"{PREFIX}_{gauge.name}", gauge.text, labels=gauge.labels)
        for labels, value in gauge.read(readings).items():
            family.add_metric(labels, value)
        yield family


def _plain(value: float | None) -> Values:
    return {} if value is None else {(): value}


def _stored(read: Callable[[FromDatabase], float | None]) -> Callable[[Readings], Values]:
    """A reading of the database that has no labels."""
    return lambda readings: {} if readings.database is None else _plain(read(readings.database))


def _age_s(found: FromDatabase, oldest_at: datetime | None) -> float:
    return 0.0 if oldest_at is None else max(0.0, (found.at - oldest_at).total_seconds())


def _trouble(readings: Readings) -> Values:
    found = readings.trouble
    return {} if found is None else {(kind.value,): kind in found for kind in TroubleKind}


def _subscriptions(readings: Readings) -> Values:
    if readings.database is None:
        return {}
    counts = readings.database.totals.subscriptions
    values: dict[tuple[str, ...], float] = {("active", ""): counts.get(None, 0)}
    for reason in PauseReason:
        values["paused", reason.value] = counts.get(reason, 0)
    return values


def _quotas(readings: Readings) -> Values:
    if readings.database is None:
        return {}
    shares = readings.database.quota_shares
    return {(name,): shares.get(name, 0.0) for name in QUOTAS}


def _backup_at(found: FromDatabase) -> float | None:
    return None if found.last_backup_at is None else found.last_backup_at.timestamp()


GAUGES: Final = (
    Gauge(
        "leader",
        "1 if this process handles events and sends cards; 0: another one does, or nobody yet",
        lambda readings: _plain(readings.leads),
    ),
    Gauge(
        "gateway_connected",
        "1 if the connection to Discord's gateway works, which commands and buttons need",
        lambda readings: _plain(readings.gateway_connected),
    ),
    Gauge(
        "gateway_latency_seconds",
        "From the last heartbeat to Discord's gateway to its answer",
        lambda readings: _plain(readings.gateway_latency_s),
    ),
    Gauge(
        "speckle_breaker_open",
        "1 if the Speckle server is left alone for a while, as it did not answer",
        lambda readings: readings.breakers,
        ("server",),
    ),
    Gauge(
        "live_unread_seconds",
        "How long ago Speckle was last read for what is live through an account, of the account "
        "where that is longest; 0 if nothing is live",
        lambda readings: _plain(readings.live_unread_s),
    ),
    Gauge(
        "trouble",
        "1 for each kind of trouble that there is, at most a minute ago, as in /status and the "
        "operator's notices",
        _trouble,
        ("kind",),
    ),
    Gauge(
        "database_readable",
        "1 if what the database says is in this answer; 0: it did not answer in time",
        lambda readings: _plain(readings.database is not None),
    ),
    Gauge(
        "inbox_events",
        "Events that wait to be handled",
        _stored(lambda found: found.totals.inbox.count),
    ),
    Gauge(
        "inbox_oldest_age_seconds",
        "How long the oldest event has waited to be handled; 0 if none does",
        _stored(lambda found: _age_s(found, found.totals.inbox.oldest_at)),
    ),
    Gauge(
        "outbox_cards",
        "Cards that wait to be sent",
        _stored(lambda found: found.totals.outbox.count),
    ),
    Gauge(
        "outbox_oldest_age_seconds",
        "How long the oldest card has waited to be sent; 0 if none does",
        _stored(lambda found: _age_s(found, found.totals.outbox.oldest_at)),
    ),
    Gauge(
        "held_cards",
        "Cards that wait until somebody in their Discord server does something",
        _stored(lambda found: found.totals.held_cards),
    ),
    Gauge(
        "held_events",
        "Events that are held back until it is known who may see them",
        _stored(lambda found: found.totals.held_events),
    ),
    Gauge(
        "undeliverable_cards",
        "Cards that Discord did not accept, kept for `outbox retry`",
        _stored(lambda found: found.totals.undeliverable_cards),
    ),
    Gauge(
        "subscriptions",
        "Subscriptions by state, and by why they are paused",
        _subscriptions,
        ("state", "reason"),
    ),
    Gauge(
        "quota_used_ratio",
        "The most that any Discord server uses of each of its quotas; 1 is all of it",
        _quotas,
        ("quota",),
    ),
    Gauge(
        "last_backup_timestamp_seconds",
        "When `backup` last finished; missing until it has",
        _stored(_backup_at),
    ),
)
