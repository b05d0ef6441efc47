"""Every metric that there can be on the page, with all its series."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.core import Metric

from bot.lookups import Totals, Waiting
from bot.metrics import Metrics
from bot.monitoring.gauges import families
from bot.monitoring.readings import FromDatabase, Readings

SERVER: Final = "https://speckle.example.org"
AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def all_metrics() -> Sequence[Metric]:
    """As the page has them, where everything could be read."""
    nothing = Waiting(0, None)
    readings = Readings(
        database_kind="sqlite",
        gateway_latency_s=0.02,
        breakers={(SERVER,): False},
        trouble=(),
        database=FromDatabase(AT, Totals(nothing, nothing, 0, 0, 0, {}), {}, AT),
    )
    process = (ProcessCollector(registry=None), PlatformCollector(registry=None))
    return [
        *Metrics([SERVER]).registry.collect(),
        *families(readings),
        *(metric for collector in process for metric in collector.collect()),
    ]
