"""When Discord refuses the bot as a whole: nothing is sent to anybody, and one channel tries."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from bot.discord_api.rate_limits import RateLimiter
from bot.problems import NotReady, NotReadyWhy, SendReason
from bot.timing import Backoff

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class HoldSteps:
    """How long the bot as a whole waits, time after time.

    `several` channels that get the same refusal `within_s` make it the bot's own trouble.
    """

    token: Backoff = Backoff((60.0, 300.0, 900.0))
    # Short, as some channel may be well all the same, and is held up by it.
    refusal: Backoff = Backoff((1.0, 5.0, 15.0, 60.0))
    several: int = 2
    within_s: float = 60.0


@dataclass(slots=True)
class GlobalHold:
    """Counts steps: what was under way when it last closed is not another one.

    Note `round` before each send and hand it back with what became of it.
    """

    rate_limiter: RateLimiter
    hold_steps: HoldSteps = HoldSteps()
    clock: Callable[[], float] = time.monotonic
    round: int = 0
    _why: SendReason | None = None
    _backoff: Backoff | None = None  # of the present kind of trouble
    _taken: int = 0  # how many of them
    _seen: dict[str, dict[int, float]] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether nothing has gone through since Discord refused the bot as a whole."""
        return self._why is not None

    def problems(self) -> Sequence[NotReady]:
        """What `GET /readyz` says of it."""
        if self._why is None:
            return []
        return [NotReady(NotReadyWhy.DISCORD_TAKES_NOTHING, self._why.to_facts())]

    def token_refused(self, reason: SendReason, of_round: int) -> None:
        """Discord does not know the bot: each step is logged, as only a person can end that."""
        if not self._is_step(of_round):
            return
        wait_s = self._close(reason, self.hold_steps.token)
        log.critical(
            "sender.token_refused",
            **reason.to_facts(),
            retry_in_s=wait_s,
            hint="Put a valid DISCORD_TOKEN into .env and start the bot again. "
            "Everything is kept until then.",
        )

    def rejected(self, refusal: str, reason: SendReason, channel_id: int, of_round: int) -> bool:
        """Note what one channel got; whether it is the trouble of all, and logged as that, once."""
        if self._why is None and self._count(refusal, channel_id) < self.hold_steps.several:
            return False
        if self._is_step(of_round):
            wait_s = self._close(reason, self.hold_steps.refusal)
            if self._taken == 1:
                log.error(
                    "sender.global_hold",
                    **reason.to_facts(),
                    retry_in_s=wait_s,
                    what_it_means="Several channels get the same answer, so it is no channel's "
                    "fault: none is paused, everything is kept and tried again.",
                )
        return True

    def succeeded(self, of_round: int) -> None:
        """Discord processed what was sent to one channel."""
        self._seen.clear()
        if self._why is not None and self._is_step(of_round):
            log.info("sender.resumed", after=self._why.problem.value)
            self._why = None

    def _is_step(self, of_round: int) -> bool:
        return of_round == self.round

    def _count(self, refusal: str, channel_id: int) -> int:
        now = self.clock()
        seen = self._seen.setdefault(refusal, {})
        seen[channel_id] = now
        return sum(now - at <= self.hold_steps.within_s for at in seen.values())

    def _close(self, reason: SendReason, backoff: Backoff) -> float:
        if self._why is None or backoff is not self._backoff:
            self._backoff, self._taken = backoff, 0
        wait_s = backoff.delay_s(self._taken)
        self._why, self._taken, self.round = reason, self._taken + 1, self.round + 1
        self._seen.clear()
        self.rate_limiter.hold(wait_s)
        return wait_s
