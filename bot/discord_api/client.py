"""The connection to Discord: logging in, the gateway, and commands kept in step."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import discord
import structlog
from discord.ext import commands

from bot.discord_api.command_sync import RETRY, CommandSync, LoadValue, SaveValue
from bot.discord_api.gateway import GatewayConnection, GatewayTimings
from bot.discord_api.outcomes import (
    DISCORD_ERRORS,
    BotUnavailable,
    RetryLater,
    SendFailure,
    outcome_of,
)
from bot.discord_api.rate_limits import CancellableBucket, RateLimiter
from bot.errors import ConfigError, Problem, StorageUnavailable
from bot.network import Network
from bot.problems import NotReady, NotReadyWhy
from bot.timing import Backoff

log = structlog.get_logger()

CLOSE_S = 2.0  # for a goodbye that nobody may answer
LOGGED_IN_KEY = "discord.logged_in"  # as which application, so it has a token that worked once
MAX_RATELIMIT_WAIT_S = 30.0  # the least that discord.py accepts; longer ones become RetryLater


def use_api(api_url: str) -> None:
    """Point discord.py to another Discord-compatible API, for the whole process."""
    discord.http.Route.BASE = api_url


@dataclass(frozen=True, slots=True)
class ConnectionTimings:
    """Seconds: before the n-th try to log in, and for a token that Discord calls void."""

    login: Backoff = Backoff((5.0, 15.0, 60.0, 300.0))
    token_s: float = 300.0
    first_sync_s: float = 3.0  # that logging in waits for the commands; the rest is done beside it
    commands: Backoff = RETRY
    # At the start Discord sends guilds one after the other; so long after one there are no more.
    guilds_apart_s: float = 2.0
    # For a ban's answer, which comes from Cloudflare and names no time that could be trusted.
    banned_s: float = 60.0
    gateway: GatewayTimings = GatewayTimings()


class SpeckleBot(commands.Bot):
    """A discord.py client with slash commands only and the `guilds` intent only."""

    def __init__(
        self,
        rate_limiter: RateLimiter,
        load: LoadValue,
        save: SaveValue,
        on_guilds: Callable[[Iterable[int]], Awaitable[None]],
        timings: ConnectionTimings = ConnectionTimings(),
        network: Network | None = None,
    ) -> None:
        """`load` and `save` keep what is to be known after a restart; `on_guilds` is called with
        all guilds that the bot is in.
        """
        # The bot has no voice: no warning is needed where the libraries for it are missing.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        # discord.py's HTTP client makes its buckets of this class, and takes no other from anybody.
        discord.http.Ratelimit = CancellableBucket  # type: ignore[misc]
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            max_ratelimit_timeout=MAX_RATELIMIT_WAIT_S,
            http_trace=rate_limiter.tracing(),
            guild_ready_timeout=timings.guilds_apart_s,
            enable_debug_events=True,  # on_socket_raw_receive, for the gateway's sign of life
        )
        self._rate_limiter = rate_limiter
        self._network = network or Network()
        self._load = load
        self._save = save
        self._on_guilds = on_guilds
        self.logged_in = asyncio.Event()  # from now on messages can be sent, gateway or not
        self.ready_once = asyncio.Event()
        self.gateway = GatewayConnection(timings.gateway)
        self._timings = timings
        self._syncing: asyncio.Task[None] | None = None
        self._not_logged_in: NotReady | None = None

    def problems(self) -> Sequence[NotReady]:
        """What keeps the bot from Discord."""
        if not self.logged_in.is_set() and self._not_logged_in is not None:
            return [self._not_logged_in]
        return self.gateway.problems()

    @property
    def latency_s(self) -> float | None:
        """Seconds from the gateway's last heartbeat to its answer; None before there was one."""
        return self.latency if math.isfinite(self.latency) else None

    async def on_socket_raw_receive(self, _frame: str | bytes) -> None:
        """Note the gateway's sign of life: `is_ready()` stays true on a dead connection."""
        self.gateway.heard()

    async def on_connect(self) -> None:
        """Discord let the bot in with a new session."""
        self.gateway.began()

    async def on_resumed(self) -> None:
        """Discord let the bot continue the session before."""
        self.gateway.began()

    async def login(self, token: str) -> None:
        """Log in, over connections that keep to the one rule for all."""
        self.http.connector = self._network.connector(limit=0)
        await super().login(token)

    async def setup_hook(self) -> None:
        """Sync the commands; what Discord does not take soon is tried later."""
        if self._syncing is None:
            sync = CommandSync(self.tree, self._load, self._save, self._timings.commands)
            self._syncing = asyncio.create_task(sync.run(), name="commands")
        await asyncio.wait({self._syncing}, timeout=self._timings.first_sync_s)

    async def connect(self, *, reconnect: bool = True) -> None:
        """Stay connected to the gateway until the client is closed, in place of discord.py's loop.

        Errors: discord.ConnectionClosed where the token is void.
        """
        await self.gateway.stay(self)

    async def close(self) -> None:
        """Say goodbye to Discord."""
        if self._syncing is not None:
            self._syncing.cancel()
            await asyncio.gather(self._syncing, return_exceptions=True)
        # discord.py would keep waiting for guilds, and stumble over the closed client.
        ready = self._connection._ready_task
        if ready is not None:
            ready.cancel()
        await super().close()

    async def stay_connected(self, token: str) -> None:
        """Log in and keep the gateway connected until cancelled; Discord may be away at any moment.

        Errors: ConfigError for a token that Discord does not accept at the very first start.
        """
        await self._log_in(token)
        while True:
            try:
                await self.connect()
            except discord.ConnectionClosed:
                await self._wait_for_token()

    @contextlib.asynccontextmanager
    async def closed_at_the_end(self) -> AsyncIterator[None]:
        """Close the client when the block ends, and so after what is still being sent in it."""
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self.close()

    async def _wait_for_token(self) -> None:
        """Wait until Discord takes a token again that it calls void: that may be its own fault.

        The listener continues meanwhile, and all that it takes is kept.
        """
        while True:
            self._report_invalid_token()
            self._rate_limiter.block_for(
                self._timings.token_s, "Discord calls the bot's token void"
            )
            await asyncio.sleep(self._timings.token_s)
            try:
                await self.application_info()
            except DISCORD_ERRORS as error:
                if isinstance(outcome_of(error), BotUnavailable):
                    continue
            return

    def _report_invalid_token(self) -> None:
        log.critical(
            "discord.token_invalid",
            hint="Put a valid DISCORD_TOKEN into .env and start the bot again. "
            "Everything is kept until then.",
            retry_in_s=self._timings.token_s,
        )

    # ── logging in ────────────────────────────────────────────────────────────────────────────

    async def _log_in(self, token: str) -> None:
        tries = 0
        while True:
            try:
                await self.login(token)
            except discord.LoginFailure as error:
                wait_s = await self._token_refused(error)
            except DISCORD_ERRORS as error:
                wait_s = self._retry_after(outcome_of(error), tries)
            else:
                try:
                    await self._note_login()
                except StorageUnavailable as error:
                    away = NotReady(NotReadyWhy.LOGIN_NOT_NOTED, {"reason": error.reason})
                    wait_s = self._report_not_logged_in(away, tries)
                else:
                    self.logged_in.set()
                    return
            tries += 1
            await self._close_http()
            await asyncio.sleep(wait_s)

    async def _note_login(self) -> None:
        await self._save(LOGGED_IN_KEY, str(self.application_id))

    async def _token_refused(self, error: discord.LoginFailure) -> float:
        """At the very first start it is a setting that cannot be right. Later on deliveries come
        that have to be taken, so it is waited for.
        """
        with contextlib.suppress(StorageUnavailable):
            if await self._load(LOGGED_IN_KEY) is None:
                raise ConfigError(
                    Problem(
                        "DISCORD_TOKEN",
                        "Discord does not accept it.",
                        "Copy it again from the application's Bot page, or reset it there.",
                    )
                ) from error
        self._report_invalid_token()
        self._not_logged_in = NotReady(NotReadyWhy.LOGIN_REFUSED)
        return self._timings.token_s

    def _retry_after(self, trouble: SendFailure, tries: int) -> float:
        asked_for_s = trouble.retry_in_s if isinstance(trouble, RetryLater) else None
        failed = NotReady(NotReadyWhy.LOGIN_FAILED, trouble.reason.to_facts())
        return self._report_not_logged_in(failed, tries, asked_for_s or 0.0)

    def _report_not_logged_in(self, why: NotReady, tries: int, least_s: float = 0.0) -> float:
        step_s = self._timings.login.delay_s(tries)
        # Asking on and on would only lengthen a ban.
        wait_s = max(step_s, least_s, self._rate_limiter.blocked_for_s())
        self._not_logged_in = why
        retry_in_s = round(wait_s, 1)
        log.warning(
            "discord.not_logged_in", problem=why.why.value, **why.facts, retry_in_s=retry_in_s
        )
        return wait_s

    async def _close_http(self) -> None:
        await self.http.close()
        self.http.connector = discord.utils.MISSING  # else the next login would use the closed one

    async def on_ready(self) -> None:
        """Learn which guilds there are; Discord may send this again after a new session."""
        await self._on_guilds(guild.id for guild in self.guilds)
        self.ready_once.set()
        log.info("discord.ready", bot=str(self.user), guilds=len(self.guilds))
