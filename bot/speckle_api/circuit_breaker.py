"""A server that gives no answers is left alone for a while, so that nobody waits for it without
result.

Shared by everything that asks Speckle servers. Used from the event loop alone.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import structlog

from bot.errors import SpeckleUnavailable
from bot.metrics import Metrics, SpeckleResult

log = structlog.get_logger()

OUT_OF_ORDER: Final = frozenset({502, 503, 504})  # what a proxy answers while its server is away


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When a server counts as silent, and for how long it is left alone then."""

    failures: int = 3  # in a row; one slow answer is no dead server
    silence_s: float = 2.0  # who waited less long cannot tell a slow server from a dead one
    rest_s: float = 15.0


@dataclass(slots=True)
class _Server:
    failures: int = 0  # questions without any answer
    out_of_order: int = 0  # and those that something in front of the server answered
    reason: str = ""
    rests_until: float = -math.inf


class CircuitBreakers:
    """For each server, whether asking it makes sense now.

    After `failures` questions in a row without any answer in `silence_s` or more, questions fail at
    once for `rest_s`. Then one goes through: its answer ends the rest, its failure begins another.
    Any answer counts, a refusal too.
    """

    def __init__(
        self,
        limits: BreakerLimits = BreakerLimits(),
        now: Callable[[], float] = time.monotonic,
        metrics: Metrics | None = None,
    ) -> None:
        self.limits = limits
        self.count = (metrics or Metrics()).count_speckle_request  # for all who ask
        self._now = now
        self._servers: dict[str, _Server] = {}

    def check(self, server_url: str) -> None:
        """Pass, or raise SpeckleUnavailable with the time until a question may pass again."""
        server = self._servers.get(server_url)
        if server is None or server.failures < self.limits.failures:
            return
        left_s = server.rests_until - self._now()
        if left_s > 0:
            self.count(server_url, SpeckleResult.LEFT_ALONE)
            raise SpeckleUnavailable(server_url, server.reason, left_s)

    def silent(self) -> Mapping[str, str]:
        """The servers that gave no answer when they were last asked, each with the reason."""
        return {
            server_url: server.reason
            for server_url, server in self._servers.items()
            if self._is_silent(server)
        }

    def _is_silent(self, server: _Server) -> bool:
        return server.failures + server.out_of_order >= self.limits.failures

    def begin(self, server_url: str) -> None:
        """As `check`, for a question that is asked now: after a rest it is the trial."""
        self.check(server_url)
        server = self._servers.get(server_url)
        if server is not None and server.failures >= self.limits.failures:
            # Should nobody ever say what came of this one, the next trial is after another rest.
            server.rests_until = self._now() + self.limits.rest_s

    def answered(self, server_url: str) -> None:
        """The server is there."""
        server = self._servers.pop(server_url, None)
        if server is not None and self._is_silent(server):
            log.info("speckle.server_available", server=server_url)

    def out_of_order(self, server_url: str, reason: str) -> None:
        """A proxy answered for the server, which costs no waiting: it is asked on, and is silent
        all the same.
        """
        server = self._servers.setdefault(server_url, _Server())
        was_silent = self._is_silent(server)
        server.out_of_order += server.failures + 1
        server.failures, server.reason = 0, reason
        if self._is_silent(server) and not was_silent:
            log.warning("speckle.server_unavailable", server=server_url, why=reason, rest_s=0.0)

    def failed(self, server_url: str, reason: str = "it did not answer recently") -> None:
        """The server gave no answer, for a reason as SpeckleUnavailable has it."""
        server = self._servers.setdefault(server_url, _Server())
        server.failures += 1
        server.reason = reason
        rest_s = self.limits.rest_s
        if server.failures == self.limits.failures:
            log.warning("speckle.server_unavailable", server=server_url, why=reason, rest_s=rest_s)
        server.rests_until = self._now() + rest_s
