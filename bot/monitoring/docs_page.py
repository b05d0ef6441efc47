"""The table of docs/monitoring.md, written from the metrics themselves."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from prometheus_client import PlatformCollector, ProcessCollector
from prometheus_client.core import Metric

from bot.lookups import Totals, Waiting
from bot.metrics import PREFIX, Metrics
from bot.monitoring.gauges import families
from bot.monitoring.readings import FromDatabase, Readings

BEGIN: Final = "<!-- Written by `make pages` out of the metrics themselves. A test compares. -->\n"
END: Final = "<!-- The end of what is written. -->\n"
SERVER: Final = "https://speckle.example.org"
OPEN_LABELS: Final = {
    "server": "each of `SPECKLE_SERVERS`",
    "version": "that of `--version`",
    "database": "`sqlite` or `postgresql`",
}


def every_metric() -> Sequence[Metric]:
    """All that there can be on the page, with each series that it can have."""
    at, nothing = datetime(2026, 3, 2, 9, 0, tzinfo=UTC), Waiting(0, None)
    readings = Readings(
        database_kind="sqlite",
        gateway_latency_s=0.02,
        live_unread_s=12.0,
        breakers={(SERVER,): False},
        trouble=(),
        database=FromDatabase(at, Totals(nothing, nothing, 0, 0, 0, {}), {}, at),
    )
    process = (ProcessCollector(registry=None), PlatformCollector(registry=None))
    return [
        *Metrics([SERVER]).registry.collect(),
        *families(readings),
        *(metric for collector in process for metric in collector.collect()),
    ]


def with_metrics_table(page: str) -> str:
    """The page with today's table."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + "\n".join(_rows()) + "\n\n" + END + after


def _rows() -> Iterator[str]:
    yield "| Metric | Kind | What it says |"
    yield "|---|---|---|"
    for metric in every_metric():
        if metric.name.startswith(PREFIX):
            says = f"{metric.documentation}.{_labels(metric)}"
            yield f"| `{_name(metric)}` | {metric.type} | {says} |"


def _name(metric: Metric) -> str:
    return metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")


def _labels(metric: Metric) -> str:
    """The labels with the values that each may have."""
    values: dict[str, dict[str, None]] = {}
    for sample in metric.samples:
        for label, value in sample.labels.items():
            values.setdefault(label, {})[value] = None
    return "".join(f" {_label(label, found)}." for label, found in values.items() if label != "le")


def _label(label: str, values: Mapping[str, None]) -> str:
    known = ", ".join(f"`{value}`" for value in values if value)
    return f"`{label}`: {OPEN_LABELS.get(label, known)}"
