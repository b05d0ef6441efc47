"""Faults of Discord that can be switched on: for a route, for a number of times, or permanently."""

import fnmatch
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sandbox.discord.gateway_server import Closing, GatewayServer
from sandbox.discord.rate_limits import TooFast, too_fast
from sandbox.discord.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Fail:
    """Answer with this error; `page` replaces Discord's JSON, as a proxy would write it.

    Without a page and a code, an error of 500 and above is a page too.
    """

    refusal: Refusal
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Reset:
    """Cut the connection before or after the request has its effect."""

    after: bool


@dataclass(frozen=True, slots=True)
class Slow:
    """Let the request wait before it has its effect."""

    seconds: float
    after: bool


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Answer 429."""

    answer: TooFast


Fault = Fail | Reset | Slow | RateLimit
F = TypeVar("F", Fail, Reset, Slow, RateLimit)


@dataclass(slots=True)
class _Switch:
    pattern: str
    fault: Fault
    times: int | None  # None: until healed

    def fits(self, method: str, template: str, path: str) -> bool:
        """Whether the pattern names this request, by the route or by the very path."""
        pattern = self.pattern.replace("/api/v10/", "/", 1)
        if " " not in pattern:
            pattern = f"* {pattern}"
        if pattern.endswith("/"):
            pattern += "*"
        return any(fnmatch.fnmatchcase(f"{method} {place}", pattern) for place in (template, path))


@dataclass(slots=True)
class DiscordFaults:
    """The switches. A `route` is "POST /channels/{channel_id}/messages", the same with true ids
    for one channel alone, or a pattern with `*`; with "/" at the end it means all below, without a
    method all methods. `times` None means until `heal()`.
    """

    gateway: GatewayServer
    _switches: list[_Switch] = field(default_factory=list)

    def fail(
        self,
        route: str,
        status: int,
        times: int | None = 1,
        code: int = 0,
        message: str = "",
        *,
        page: str | None = None,
    ) -> None:
        """Answer with this status, and Discord's JSON `code` if one is given.

        With a `page`, "" included, the body is that HTML and no JSON.
        """
        refusal = Refusal(status, code, message or f"{status}: made to fail")
        self._switches.append(_Switch(route, Fail(refusal, page), times))

    def reset_before(self, route: str, times: int | None = 1) -> None:
        """Cut the connection before anything happened."""
        self._switches.append(_Switch(route, Reset(after=False), times))

    def reset_after(self, route: str, times: int | None = 1) -> None:
        """Do what was asked, then cut the connection in place of an answer."""
        self._switches.append(_Switch(route, Reset(after=True), times))

    def slow(
        self, route: str, seconds: float, times: int | None = None, *, after: bool = False
    ) -> None:
        """Wait before (or `after`) the effect; until `heal()` unless `times` says otherwise."""
        self._switches.append(_Switch(route, Slow(seconds, after), times))

    def rate_limit(
        self,
        route: str,
        retry_after: float,
        times: int | None = 1,
        *,
        global_: bool = False,
        via: bool = True,
        scope: str = "user",
    ) -> None:
        """Answer 429; without `via` it looks like a ban by Cloudflare."""
        answer = too_fast(retry_after, is_global=global_, via=via, scope=scope)
        self._switches.append(_Switch(route, RateLimit(answer), times))

    def heal(self) -> None:
        """Switch everything off, on the gateway too."""
        self._switches.clear()
        self.gateway.refusing = self.gateway.silent = False
        self.gateway.closing = None

    def take(
        self, kind: type[F], method: str, template: str, path: str, when: Callable[[F], bool]
    ) -> F | None:
        """The next fault of this kind for the request, used up by one time."""
        for switch in self._switches:
            fault = switch.fault
            if isinstance(fault, kind) and when(fault) and switch.fits(method, template, path):
                self._use(switch)
                return fault
        return None

    def _use(self, switch: _Switch) -> None:
        if switch.times is not None:
            switch.times -= 1
            if switch.times <= 0:
                self._switches.remove(switch)

    # ── the gateway's ─────────────────────────────────────────────────────────────────────────

    def drop_gateway(self) -> None:
        """Cut each gateway connection without a word; the sessions can be resumed."""
        self.gateway.drop()

    def invalidate_session(self, *, resumable: bool = False) -> None:
        """Send INVALID_SESSION to all; not resumable, the sessions are forgotten too."""
        self.gateway.invalidate(resumable=resumable)

    def op7(self) -> None:
        """Ask each client to reconnect and resume."""
        self.gateway.ask_to_reconnect()

    def close(self, code: int) -> None:
        """Close each gateway connection with this code."""
        self.gateway.close_all(code)

    def close_each(self, code: int, times: int | None = None, *, welcome: bool = False) -> None:
        """Close each new gateway connection with this code, as soon as the client has spoken.

        `welcome`: only after READY, or the resuming. `times` None means until `heal()`.
        """
        self.gateway.closing = Closing(code, times, welcome)

    def limit_sessions(self, remaining: int, reset_after_s: float) -> None:
        """What `GET /gateway/bot` says of new sessions from now on, until the time is over."""
        self.gateway.limit_sessions(remaining, reset_after_s)

    def refuse_gateway(self, refusing: bool = True) -> None:
        """Let nobody connect to the gateway (503) until `heal()`, or `refusing=False`."""
        self.gateway.refusing = refusing

    def silence_gateway(self) -> None:
        """Keep connections open but send nothing more, heartbeat answers neither."""
        self.gateway.silent = True
