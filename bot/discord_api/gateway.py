"""One connection to Discord's gateway, dialled again more and more slowly when it ends.

discord.py's own loop dials again at once, for ever, and ends the client at some close codes. This
one takes discord.py's connections and decides itself what comes after each.
https://discord.com/developers/docs/events/gateway
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import discord
import structlog
from discord.gateway import DiscordWebSocket, ReconnectWebSocket
from yarl import URL

from bot.discord_api.outcomes import DISCORD_ERRORS
from bot.problems import NotReady, NotReadyWhy, ProblemFacts
from bot.timing import Backoff

log = structlog.get_logger()

FLAPPING: Final = 3  # connections in a row that did not last: then it is reported
RESUMES: Final = 2  # failed tries, after which a session is given up: its address may be dead
TOKEN_VOID: Final = 4004

# Close codes after which the same again would be refused again, and who can do what about it.
# https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway
REFUSALS: Final[Mapping[int, str]] = {
    4010: "Discord does not know the part of its guilds that the bot asked for (4010, invalid "
    "shard). That is a fault of the bot: update it, and report it if it continues.",
    4011: "The bot is in so many servers that Discord wants it split into shards (4011), which "
    "this bot cannot do. Let it leave some servers, or serve them with a second application.",
    4012: "Discord no longer speaks the version of its gateway that the bot asks for (4012). "
    "Update the bot.",
    4013: "Discord does not understand which events the bot asks for (4013, invalid intents). That "
    "is a fault of the bot: update it, and report it if it continues.",
    4014: "Discord does not let the bot have the events that it asks for (4014, disallowed "
    "intents). It asks for none that need a switch on the application's Bot page: see there "
    "whether the application is limited or under review, and update the bot.",
}


@dataclass(frozen=True, slots=True)
class GatewayTimings:
    """Seconds. `again`: before the n-th dial in a row whose connection did not last.

    The longest keeps a day's dials below the 1,000 sessions that Discord lets a bot begin in one.
    """

    again: Backoff = Backoff((0.0, 1.0, 2.0, 5.0, 15.0, 60.0, 120.0), jitter=0.2)
    identifies_s: float = 5.0  # from one new session to the next, Discord's own limit
    lasts_s: float = 60.0  # a connection that lived so long begins the row again
    refused_s: float = 900.0  # after one of REFUSALS
    dial_s: float = 60.0
    # Discord asks for a heartbeat about every 41 s and answers each: two have gone unanswered then.
    silence_s: float = 100.0
    close_s: float = 2.0  # for a goodbye that nobody may answer


@dataclass(frozen=True, slots=True)
class _Session:
    """What can be resumed, and where."""

    id: str
    sequence: int | None
    address: URL


class GatewayConnection:
    """Keeps the connection, and reports its state."""

    def __init__(
        self,
        timings: GatewayTimings,
        clock: Callable[[], float] = time.monotonic,
        rand: Callable[[], float] = random.random,
    ) -> None:
        self._timings = timings
        self._clock = clock
        self._rand = rand
        self._socket: DiscordWebSocket | None = None  # of the present connection
        self._kind = _kind_of_socket(self._has_socket)
        self._session: _Session | None = None
        self._sessions_left: int | None = None  # None until Discord has said
        self._identified_at = -timings.identifies_s
        self._begun_at: float | None = None  # since when the present connection works
        self._heard_at: float | None = None
        self._failures = 0  # connections in a row that did not last
        self._failed_resumes = 0
        self._trouble: NotReady | None = None  # that waiting alone does not end

    # ── its state ─────────────────────────────────────────────────────────────────────────

    def heard(self) -> None:
        """Something came over it, be it the answer to a heartbeat."""
        self._heard_at = self._clock()

    def began(self) -> None:
        """Discord let the bot in, with a new session or the one before."""
        self._begun_at = self._clock()
        self._trouble = None
        self._failed_resumes = 0

    def problems(self) -> Sequence[NotReady]:
        """What `GET /readyz` says about it; cards need no gateway, commands and buttons do."""
        if self._trouble is not None:
            return [self._trouble]
        if self._heard_at is None:
            return [NotReady(NotReadyWhy.GATEWAY_NEVER_HEARD)]
        if self._failures >= FLAPPING and not self._lasts():
            unstable: ProblemFacts = {"failures": self._failures}
            return [NotReady(NotReadyWhy.GATEWAY_UNSTABLE, unstable)]
        silence_s = self._clock() - self._heard_at
        if silence_s > self._timings.silence_s:
            return [NotReady(NotReadyWhy.GATEWAY_SILENT, {"silence_s": silence_s})]
        return []

    def _lasts(self) -> bool:
        begun_at = self._begun_at
        return begun_at is not None and self._clock() - begun_at >= self._timings.lasts_s

    # ── keeping it ────────────────────────────────────────────────────────────────────────────

    async def stay(self, bot: discord.Client) -> None:
        """Stay connected until the client is closed.

        Errors: discord.ConnectionClosed with TOKEN_VOID, and no other.
        """
        while not bot.is_closed():
            wait_s = await self._one_connection(bot)
            if wait_s and not bot.is_closed():
                await asyncio.sleep(wait_s)

    async def _one_connection(self, bot: discord.Client) -> float:
        """From the dial to the end; gives how long to wait before the next."""
        self._begun_at = self._socket = None
        try:
            if self._session is None and (wait_s := await self._wait_for_sessions(bot)):
                return wait_s
            await self._connect(bot)
        except discord.ConnectionClosed as closed:
            return self._closed(closed, bot)
        except ReconnectWebSocket as lost:
            return self._lost(self._close_code(), resume=lost.resume, bot=bot)
        except DISCORD_ERRORS as error:  # a time-out is an OSError
            return self._lost(type(error).__name__, resume=True, bot=bot)
        except Exception as error:  # the top: a fault of discord.py's or ours ends one connection
            log.exception("discord.gateway_failed")
            return self._lost(type(error).__name__, resume=False, bot=bot)
        finally:
            await self._hang_up()

    async def _connect(self, bot: discord.Client) -> NoReturn:
        session = self._session
        more: dict[str, Any] = {}
        if session is not None:
            more = {
                "resume": True,
                "session": session.id,
                "sequence": session.sequence,
                "gateway": session.address,
            }
            self._failed_resumes += 1
        else:
            await asyncio.sleep(self._identified_at + self._timings.identifies_s - self._clock())
            self._identified_at = self._clock()
            self._sessions_left = (self._sessions_left or 1) - 1
        # Not `initial` would have discord.py do that waiting again.
        dialling = self._kind.from_client(bot, initial=True, **more)
        bot.ws = socket = await asyncio.wait_for(dialling, self._timings.dial_s)
        while True:
            async with asyncio.timeout(self._timings.silence_s):
                await socket.poll_event()

    def _has_socket(self, socket: DiscordWebSocket) -> None:
        self._socket = socket

    async def _wait_for_sessions(self, bot: discord.Client) -> float:
        """Ask where the gateway is and how many sessions may still begin: 0, or seconds to wait.

        Beyond that limit Discord makes the bot's token void.
        """
        try:
            _, address, limit = await bot.http.get_bot_gateway()
        except DISCORD_ERRORS:
            if not self._sessions_left:
                raise
            return 0.0
        DiscordWebSocket.DEFAULT_GATEWAY = URL(address)
        self._sessions_left = limit["remaining"]
        if self._sessions_left > 0:
            return 0.0
        wait_s = float(limit["reset_after"]) / 1000
        facts = {"total": limit["total"], "wait_s": wait_s}
        self._trouble = NotReady(NotReadyWhy.GATEWAY_SESSIONS_USED_UP, facts)
        log.error("discord.no_sessions_left", total=limit["total"], retry_in_s=round(wait_s))
        return wait_s

    def _closed(self, closed: discord.ConnectionClosed, bot: discord.Client) -> float:
        self._session = None
        if closed.code == TOKEN_VOID:
            self._trouble = NotReady(NotReadyWhy.GATEWAY_TOKEN_REFUSED)
            raise closed
        if closed.code not in REFUSALS:
            return self._lost(str(closed.code), resume=False, bot=bot)
        self._trouble = NotReady(NotReadyWhy.GATEWAY_REFUSED, {"code": closed.code})
        log.critical(
            "discord.gateway_refused",
            code=closed.code,
            hint=REFUSALS[closed.code],
            goes_on="Deliveries are taken and cards are sent; commands and buttons do not work.",
            retry_in_s=self._timings.refused_s,
        )
        return self._timings.refused_s

    def _lost(self, how: str, *, resume: bool, bot: discord.Client) -> float:
        if bot.is_closed():
            return 0.0
        bot.dispatch("disconnect")
        self._failures = 0 if self._lasts() else self._failures + 1
        self._session = self._resumable() if resume and self._failed_resumes < RESUMES else None
        if self._session is None:
            self._failed_resumes = 0
        wait_s = self._timings.again.delay_s(self._failures, self._rand)
        (log.warning if self._failures else log.info)(
            "discord.gateway_lost",
            how=how,
            in_a_row=self._failures,
            resumes=self._session is not None,
            retry_in_s=round(wait_s, 1),
        )
        return wait_s

    async def _hang_up(self) -> None:
        """End a connection; with 4000 its session can still be resumed."""
        socket = self._socket
        if socket is not None and socket.open:
            with contextlib.suppress(*DISCORD_ERRORS):  # whatever is wrong with it: it is given up
                async with asyncio.timeout(self._timings.close_s):
                    await socket.close(4000)

    def _close_code(self) -> str:
        code = None if self._socket is None else self._socket.socket.close_code
        return "an error" if code is None else f"close code {code}"

    def _resumable(self) -> _Session | None:
        """What the next connection can resume: a dial that failed leaves it as it was."""
        socket = self._socket
        if socket is None:
            return self._session
        if socket.session_id is None:
            return None
        return _Session(socket.session_id, socket.sequence, socket.gateway)


def _kind_of_socket(opened: Callable[[DiscordWebSocket], None]) -> type[DiscordWebSocket]:
    """discord.py's connection, known from its first moment on.

    discord.py hands it out only once it is let in; one that fails before that would stay open, and
    its thread would continue to send heartbeats.
    """

    class Known(DiscordWebSocket):
        def __init__(self, socket: Any, *, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(socket, loop=loop)
            opened(self)

    return Known
