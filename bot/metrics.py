"""What the bot counts while it works, for `GET /metrics`.

Counting is always on, as it costs a microsecond: only the port is off by default. What can be read
when it is asked for, such as how much waits, is not kept up to date here (bot/monitoring/).
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

PREFIX: Final = "speckle_bot"
# Seconds. A card that came alone takes some 20 ms; a channel that Discord slows down takes minutes.
DELAYS: Final = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
# Seconds. A write waits 2.5 s for a lock at most (StorageTimings), and 4.5 s of them are a 503.
WRITE_TIMES: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class DeliveryResult(StrEnum):
    """What became of a request to a webhook's address."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    OVER_QUOTA = "over_quota"
    UNSIGNED = "unsigned"  # no known address, no signature, or a wrong one
    NOT_A_DELIVERY = "not_a_delivery"  # nothing that Speckle sends
    REFUSED = "refused"  # another project, an unknown server, or a webhook that was removed
    BODY_NOT_READ = "body_not_read"  # too large, too slow, or broken off
    UNOPENABLE = "unopenable"  # the bot's keys do not decrypt the webhook's secret
    NOT_STORED = "not_stored"  # the database could not take it


class SendResult(StrEnum):
    """What became of one try to send a message with cards."""

    SENT = "sent"
    RETRY_LATER = "retry_later"
    REJECTED = "rejected"
    CHANNEL_UNAVAILABLE = "channel_unavailable"
    BOT_UNAVAILABLE = "bot_unavailable"


class SpeckleResult(StrEnum):
    """What became of one request to a Speckle server."""

    ANSWERED = "answered"
    REFUSED = "refused"  # with an answer that says no: a right, a scope, a thing that is not there
    FAILED = "failed"  # no usable answer: not reached, not in time, or out of order
    LEFT_ALONE = "left_alone"  # not asked, as those before it got no answer


Label = TypeVar("Label", bound=StrEnum)


class Metrics:
    """The counters of one running bot, in a registry of their own.

    Each label's values are known from the start: nothing that comes from outside makes a new one.
    `servers` are the Speckle servers that the settings name.
    """

    def __init__(self, servers: Sequence[str] = ()) -> None:
        # A second time series for each, with nothing but its start.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.servers = tuple(servers)
        self._deliveries = self._counted_by(
            DeliveryResult, "deliveries", "Requests to webhook addresses, by result"
        )
        self._sends = self._counted_by(
            SendResult,
            "sends",
            "Tries to send a message with cards to Discord, by result",
        )
        requests = Counter(
            f"{PREFIX}_speckle_requests",
            "Requests to Speckle servers, by server and result",
            ("server", "result"),
            registry=self.registry,
        )
        self._speckle = {
            (server, result): requests.labels(server, result.value)
            for server in self.servers
            for result in SpeckleResult
        }
        self._delay = self._timed(
            "card_delay", "From the arrival of an event to Discord's acceptance of its card", DELAYS
        )
        self._write = self._timed(
            "database_write", "From asking for a transaction to its commit", WRITE_TIMES
        )

    def count_delivery(self, result: DeliveryResult) -> None:
        """A request to a webhook's address was answered."""
        self._deliveries[result].inc()

    def count_send(self, result: SendResult) -> None:
        """Discord answered to a message, or did not."""
        self._sends[result].inc()

    def count_speckle_request(self, server_url: str, result: SpeckleResult) -> None:
        """A Speckle server answered, or did not; one that the settings do not name is not asked."""
        counter = self._speckle.get((server_url, result))
        if counter is not None:
            counter.inc()

    def observe_card_delays(self, delays_s: Iterable[float]) -> None:
        """Discord took a message: how long ago the events of its cards arrived."""
        for delay_s in delays_s:
            self._delay.observe(max(0.0, delay_s))  # a clock that was set back

    def observe_write(self, took_s: float) -> None:
        """A transaction was committed."""
        self._write.observe(took_s)

    def _counted_by(self, results: type[Label], name: str, text: str) -> Mapping[Label, Counter]:
        counter = Counter(f"{PREFIX}_{name}", text, ("result",), registry=self.registry)
        return {value: counter.labels(value.value) for value in results}

    def _timed(self, name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"{PREFIX}_{name}_seconds", text, buckets=buckets, registry=self.registry)
