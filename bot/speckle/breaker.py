"""A server that gives no answers is left alone for a while, so that nobody waits for it in vain.

Shared by everything that asks Speckle servers. Used from the event loop alone.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from bot.errors import SpeckleUnavailable

log = structlog.get_logger()

FAILURES = 3  # in a row; one slow answer is no dead server
SILENCE_S = 2.0  # without an answer; whoever waited less long cannot tell a slow server from a dead
REST_S = 15.0


@dataclass(slots=True)
class _Server:
    failures: int = 0
    reason: str = ""
    rests_until: float = -math.inf


class Breakers:
    """For each server, whether asking it makes sense now.

    After FAILURES questions in a row without any answer in SILENCE_S or more, questions fail at
    once for REST_S. Then one goes through: its answer ends the rest, its failure begins another.
    Any answer counts, a refusal too.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._servers: dict[str, _Server] = {}

    def check(self, server_url: str) -> None:
        """Pass, or raise SpeckleUnavailable with the time until a question may pass again."""
        server = self._servers.get(server_url)
        if server is None or server.failures < FAILURES:
            return
        left_s = server.rests_until - self._now()
        if left_s > 0:
            raise SpeckleUnavailable(server_url, server.reason, left_s)

    def begin(self, server_url: str) -> None:
        """As `check`, for a question that is asked now: after a rest it is the trial."""
        self.check(server_url)
        server = self._servers.get(server_url)
        if server is not None and server.failures >= FAILURES:
            # Should nobody ever say what came of this one, the next trial is after another rest.
            server.rests_until = self._now() + REST_S

    def answered(self, server_url: str) -> None:
        """The server is there."""
        server = self._servers.pop(server_url, None)
        if server is not None and server.failures >= FAILURES:
            log.info("speckle.server_answers_again", server=server_url)

    def failed(self, server_url: str, reason: str = "it gave no answer of late") -> None:
        """The server gave no answer, for a reason as SpeckleUnavailable has it."""
        server = self._servers.setdefault(server_url, _Server())
        server.failures += 1
        server.reason = reason
        if server.failures == FAILURES:
            log.warning("speckle.server_silent", server=server_url, why=reason, rest_s=REST_S)
        server.rests_until = self._now() + REST_S
