"""Rate limits that really pace: a bucket for each route and place, and 50 requests a second."""

import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

GLOBAL_LIMIT = 50
GLOBAL_WINDOW_S = 1.0
VIA = "1.1 google"  # its absence is how a client knows a ban by Cloudflare

# Requests and seconds. Discord names its limits in headers alone; these are those seen ?.
LIMITS: Mapping[str, tuple[int, float]] = {
    "POST /channels/{channel_id}/messages": (5, 5.0),
    "PATCH /channels/{channel_id}/messages/{message_id}": (5, 5.0),
    "DELETE /channels/{channel_id}/messages/{message_id}": (5, 1.0),
    "POST /channels/{channel_id}/threads": (50, 300.0),
    "POST /channels/{channel_id}/messages/{message_id}/threads": (50, 300.0),
    "POST /webhooks/{webhook_id}/{webhook_token}": (5, 2.0),
    "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}": (5, 2.0),
    "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original": (5, 2.0),
}
USUAL_LIMIT = (50, 1.0)
MANY_WINDOWS = 1_000
# Refused requests (401, 403, 429 but not shared-scope) until the address is banned.
MAX_REFUSED = 10_000
REFUSED_WINDOW_S = 600.0


@dataclass(slots=True)
class _Window:
    """A fixed window: it begins with the first request and is then full or over."""

    limit: int
    length_s: float
    ends_at: float = 0.0
    used: int = 0

    def take(self, now: float) -> bool:
        """Use one, if one is left."""
        if now >= self.ends_at:
            self.ends_at, self.used = now + self.length_s, 0
        if self.used >= self.limit:
            return False
        self.used += 1
        return True


@dataclass(frozen=True, slots=True)
class TooFast:
    """A 429: how long to wait, with its headers."""

    retry_after_s: float
    is_global: bool
    headers: Mapping[str, str]


def too_fast(
    retry_after_s: float,
    *,
    is_global: bool = False,
    via: bool = True,
    scope: str = "user",
    more: Mapping[str, str] | None = None,
) -> TooFast:
    """A 429 as Discord writes it."""
    headers = {"Retry-After": str(math.ceil(retry_after_s)), **(more or {})}
    headers["X-RateLimit-Scope"] = "global" if is_global else scope
    if is_global:
        headers["X-RateLimit-Global"] = "true"
    if via:
        headers["Via"] = VIA
    return TooFast(retry_after_s, is_global, headers)


@dataclass(slots=True)
class RateLimitBuckets:
    """Counts requests; switched off it lets everything pass and sends no headers."""

    enabled: bool = True
    clock: Callable[[], float] = time.monotonic
    max_refused: int = MAX_REFUSED
    _refused_at: deque[float] = field(default_factory=deque)
    _windows: dict[tuple[str, str], _Window] = field(default_factory=dict)
    _global: _Window = field(default_factory=lambda: _Window(GLOBAL_LIMIT, GLOBAL_WINDOW_S))

    @property
    def refused_count(self) -> int:
        """How many requests of the last 10 minutes count towards a ban."""
        oldest = self.clock() - REFUSED_WINDOW_S
        while self._refused_at and self._refused_at[0] < oldest:
            self._refused_at.popleft()
        return len(self._refused_at)

    @property
    def banned(self) -> bool:
        """Whether Cloudflare now answers in Discord's place."""
        return self.enabled and self.refused_count >= self.max_refused

    def note(self, status: int, headers: Mapping[str, str]) -> None:
        """Count an answer if it is a refusal that Discord counts."""
        shared = headers.get("X-RateLimit-Scope") == "shared"
        if status in (401, 403) or (status == 429 and not shared):
            self._refused_at.append(self.clock())

    def check(self, route: str, place: str, *, exempt: bool) -> Mapping[str, str] | TooFast:
        """Headers of the answer, or the refusal. `exempt`: does not count against the 50.

        `place` is what Discord counts apart: the channel, guild, or webhook and token.
        """
        if not self.enabled:
            return {}
        now = self.clock()
        if not exempt and not self._global.take(now):
            return too_fast(self._global.ends_at - now, is_global=True)
        if len(self._windows) > MANY_WINDOWS:
            self._windows = {key: one for key, one in self._windows.items() if one.ends_at > now}
        limit, length_s = LIMITS.get(route, USUAL_LIMIT)
        window = self._windows.setdefault((route, place), _Window(limit, length_s))
        passed = window.take(now)
        headers = _headers(route, window, now)
        if passed:
            return headers
        return too_fast(window.ends_at - now, more=headers)


def _headers(route: str, window: _Window, now: float) -> dict[str, str]:
    left_s = max(0.0, window.ends_at - now)
    return {
        "X-RateLimit-Limit": str(window.limit),
        "X-RateLimit-Remaining": str(window.limit - window.used),
        "X-RateLimit-Reset": f"{time.time() + left_s:.3f}",
        "X-RateLimit-Reset-After": f"{left_s:.3f}",
        "X-RateLimit-Bucket": hashlib.sha256(route.encode()).hexdigest()[:32],
    }
