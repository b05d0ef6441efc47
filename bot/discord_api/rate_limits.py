"""How fast the bot may ask Discord, and what each of Discord's answers says of that.

discord.py keeps the limit of each bucket. It does not keep the 50 requests a second of the whole
bot, does not count refusals towards a ban, and sleeps through a 429 or an error with whatever was
already waiting for it. This looks at the answers' headers as they come in, and reports it at once.
https://discord.com/developers/docs/topics/rate-limits
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace

import aiohttp
import discord
import structlog
from aiolimiter import AsyncLimiter
from yarl import URL

from bot.discord_api.server_time import DiscordTime
from bot.fairness import FairSemaphore, current_tenant
from bot.problems import NotReady, NotReadyWhy
from bot.timing import utc_now

log = structlog.get_logger()

DISCORDS_LIMIT = 50.0  # requests a second of the whole bot
AT_ONCE = 2.0
MAX_REFUSED = 5_000  # half of the 10,000 in 10 minutes after which Discord bans the address
REFUSED_WINDOW_S = 600.0
EXEMPT = ("/interactions/", "/webhooks/")  # answers to commands, and what follows them
UNKNOWN_WAIT_S = 5.0  # a 429 that names no time at all
IN_FLIGHT_S = 2.0  # answers that close for all and come within that say the same thing


@dataclass(frozen=True, slots=True)
class RejectedRequest:
    """An answer after which discord.py would sleep and try again on its own.

    `retry_in_s` is Discord's own word; None for an error of its servers, which names no time.
    """

    status: int
    retry_in_s: float | None


# The request that the running task sends: who waits for it hears of being turned away.
current_request: ContextVar["asyncio.Future[RejectedRequest] | None"] = ContextVar(
    "current_request", default=None
)


# Set while the running task sends something that is to wait behind new cards, such as an edit.
low_priority: ContextVar[bool] = ContextVar("low_priority", default=False)


class CancellableBucket(discord.http.Ratelimit):
    """A bucket of discord.py that stays usable when a request inside it is cancelled.

    After a request discord.py waits for the bucket's next window and then gives its places back.
    Cancelled in that wait it never does: where no answer has said when the window ends, the bucket
    stays full until someone has waited in it for 30 s, and none of our questions waits so long.
    Seen in discord.py 2.7.1, `Ratelimit.__aexit__` and `acquire`.
    """

    __slots__ = ()

    async def _refresh(self) -> None:
        await asyncio.shield(asyncio.create_task(super()._refresh(), name="bucket"))


class RateLimiter:
    """Spaces requests out, and closes for all messages when Discord asks for that.

    `requests_per_s` leaves room under Discord's 50, as a busy moment brings some closer together.
    The answers to commands wait for nobody; Discord does not count them. `discord_time` is set from
    the same heads.
    """

    def __init__(
        self,
        requests_per_s: float,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
        *,
        banned_s: float = 60.0,
    ) -> None:
        # No burst of a whole second's requests, which could meet the next one's; but one that went
        # late is made up for.
        at_once = max(1.0, min(AT_ONCE, DISCORDS_LIMIT - requests_per_s))
        self._limiter = AsyncLimiter(at_once, at_once / requests_per_s)
        self._clock = clock
        self._banned_s = banned_s
        self._messages = FairSemaphore(1)
        self._low_priority = asyncio.Lock()
        self._closed_until = 0.0
        self._refused: deque[float] = deque()
        self._banned = self._token_refused = False
        self.discord_time = DiscordTime(now, clock)

    def problems(self) -> Sequence[NotReady]:
        """Why Discord takes nothing from this bot, as its latest answers have it."""
        problems = []
        if self._token_refused:
            problems.append(NotReady(NotReadyWhy.DISCORD_TOKEN_REFUSED))
        if self._banned:
            problems.append(NotReady(NotReadyWhy.ADDRESS_BLOCKED))
        if self._has_too_many_refusals():
            problems.append(NotReady(NotReadyWhy.TOO_MANY_REFUSED, {"most": MAX_REFUSED}))
        return problems

    def blocked_for_s(self) -> float:
        """Seconds for which nothing may be sent to anybody; 0 while the way is open."""
        now = self._clock()
        if self._has_too_many_refusals():
            return self._refused[-MAX_REFUSED] + REFUSED_WINDOW_S - now
        return max(0.0, self._closed_until - now)

    def _has_too_many_refusals(self) -> bool:
        self._forget_old(self._clock())
        return len(self._refused) >= MAX_REFUSED

    def block_for(self, seconds: float, why: str) -> None:
        """Send nothing at all for this long, and log it: once for everything in flight."""
        if self._closed_until < self._clock() + seconds - IN_FLIGHT_S:
            log.warning("discord.rate_limited", seconds=round(seconds, 1), why=why)
        self.hold(seconds)

    def hold(self, seconds: float) -> None:
        """Send nothing to anybody for so long; the caller says why."""
        self._closed_until = max(self._closed_until, self._clock() + seconds)

    def tracing(self) -> aiohttp.TraceConfig:
        """What discord.py's HTTP session calls before each request and with each answer."""
        config = aiohttp.TraceConfig()
        config.on_request_start.append(self._starting)
        config.on_request_end.append(self._answered)
        return config

    async def _starting(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestStartParams,
    ) -> None:
        """Let a request wait for its turn: here, where discord.py has done its own waiting."""
        if _is_exempt(params.url):
            return
        if current_request.get() is None and current_tenant.get() is None:
            await self._limiter.acquire()
            return
        # One at a time: whatever a command needs in addition to its answer waits for one message at
        # most, and a new card waits for one edit at most. Guilds take turns, with what else is
        # asked for their events too.
        async with (
            self._low_priority if low_priority.get() else nullcontext(),
            self._messages.slot(),
        ):
            await self._limiter.acquire()

    async def _answered(
        self,
        _session: aiohttp.ClientSession,
        _context: SimpleNamespace,
        params: aiohttp.TraceRequestEndParams,
    ) -> None:
        # The gateway's handshake carries no token either.
        with_token = params.url.scheme in ("http", "https") and not _is_exempt(params.url)
        self.heard(params.response.status, params.response.headers, with_token=with_token)

    def heard(self, status: int, headers: Mapping[str, str], *, with_token: bool = True) -> None:
        """Take note of an answer; `with_token`: the request was made with the bot's own token."""
        self.discord_time.hear(headers.get("Date"))
        if status < 500:
            self._banned = status == 429 and "Via" not in headers
        if with_token and status < 500 and status != 429:
            self._token_refused = status == 401
        scope = headers.get("X-RateLimit-Scope")
        if status in (401, 403) or (status == 429 and scope != "shared"):
            self._count_refusal()
        if status == 429:
            self._limited(headers, for_all=scope == "global")
        elif status >= 500:
            _report(RejectedRequest(status, None))

    def _limited(self, headers: Mapping[str, str], *, for_all: bool) -> None:
        if "Via" not in headers:  # not Discord's own: discord.py raises at once
            self.block_for(self._banned_s, "Discord's front door turns this address away")
            return
        retry_in_s = _seconds(headers, "X-RateLimit-Reset-After", "Retry-After")
        if for_all:
            # discord.py's own gate for all of its requests must be left to open again.
            self.block_for(retry_in_s, "the bot sends too much in all")
            return
        _report(RejectedRequest(429, retry_in_s))

    def _count_refusal(self) -> None:
        now = self._clock()
        self._forget_old(now)
        self._refused.append(now)
        if len(self._refused) == MAX_REFUSED:
            log.critical("discord.too_many_refusals", count=MAX_REFUSED, within_s=REFUSED_WINDOW_S)

    def _forget_old(self, now: float) -> None:
        while self._refused and self._refused[0] <= now - REFUSED_WINDOW_S:
            self._refused.popleft()


def _is_exempt(url: URL) -> bool:
    return any(part in url.path for part in EXEMPT)


def _report(answer: RejectedRequest) -> None:
    waiting = current_request.get()
    if waiting is not None and not waiting.done():
        waiting.set_result(answer)


def _seconds(headers: Mapping[str, str], *names: str) -> float:
    for name in names:
        try:
            return max(0.0, float(headers[name]))
        except (KeyError, ValueError):
            continue
    return UNKNOWN_WAIT_S
