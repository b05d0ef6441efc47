"""The bot as Discord sees it: its cogs, its commands kept in step, and the one error handler."""

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import discord
import structlog
from discord import app_commands
from discord.ext import commands
from discord.gateway import DiscordWebSocket
from yarl import URL

from bot.cogs import COGS, DYNAMIC_ITEMS
from bot.discord_pace import Pace
from bot.errors import ConfigError, Problem, SealError, SpeckleError, StorageUnavailable
from bot.network import Network, why_not_reached
from bot.services.accounts import AccountService
from bot.services.errors import CommandRefused
from bot.services.guilds import GuildService
from bot.services.subscribing import Subscribing
from bot.services.subscriptions import SubscriptionService
from bot.storage import Storage

log = structlog.get_logger()

RETRY_S = 5.0
# Discord asks for a heartbeat about every 41 s and answers each: two have been missed by then.
SILENCE_LIMIT_S = 100.0
SILENCE_TOLD_S = 120.0  # from then on the bot calls itself not ready
SILENCE_LOOK_S = 1.0
GUILDS_APART_S = 2.0  # at the start Discord sends one after the other; then there are no more
TOKEN_VOID = 4004  # the gateway's close code
TOKEN_RETRY_S = 300.0
CLOSE_S = 2.0  # for a goodbye that nobody may answer
COMMANDS_FACT = "commands.fingerprint"
MAX_RATELIMIT_WAIT_S = 30.0  # the least that discord.py accepts; longer waits come back as Later


def use_api(api_url: str) -> None:
    """Point discord.py to another Discord-compatible API, for the whole process."""
    discord.http.Route.BASE = api_url


class SpeckleBot(commands.Bot):
    """A discord.py client with slash commands only and the `guilds` intent only."""

    def __init__(
        self,
        storage: Storage,
        subscribing: Subscribing,
        subscriptions: SubscriptionService,
        guild_service: GuildService,
        accounts: AccountService,
        pace: Pace,
        network: Network | None = None,
    ) -> None:
        # The bot has no voice: that the libraries for it are missing is worth no warning.
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False
        super().__init__(
            command_prefix=commands.when_mentioned,
            help_command=None,
            intents=discord.Intents(guilds=True),
            allowed_mentions=discord.AllowedMentions.none(),
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            max_ratelimit_timeout=MAX_RATELIMIT_WAIT_S,
            http_trace=pace.tracing(),
            guild_ready_timeout=GUILDS_APART_S,
            enable_debug_events=True,  # on_socket_raw_receive, for the gateway's sign of life
        )
        self._pace = pace
        self._network = network or Network()
        self.storage = storage
        self.subscribing = subscribing
        self.subscriptions = subscriptions
        self.guild_service = guild_service
        self.accounts = accounts
        self.logged_in = asyncio.Event()  # from now on messages can be sent, gateway or not
        self.ready_once = asyncio.Event()
        self._gateway_heard_at: float | None = None
        self.tree.on_error = self._on_command_error  # type: ignore[method-assign]  # documented way

    def gateway_silence_s(self) -> float | None:
        """Seconds since the gateway last sent anything, heartbeat answers included."""
        heard_at = self._gateway_heard_at
        return None if heard_at is None else time.monotonic() - heard_at

    def problems(self) -> Sequence[str]:
        """What keeps the bot from its work at Discord, a sentence each."""
        silence_s = self.gateway_silence_s()
        if silence_s is None:
            return ["Discord's gateway has not been heard from since the start."]
        if silence_s > SILENCE_TOLD_S:
            return [f"Discord's gateway has been silent for {silence_s:.0f} s."]
        return []

    async def on_socket_raw_receive(self, _frame: str | bytes) -> None:
        """Note the gateway's sign of life: `is_ready()` stays true on a dead connection."""
        self._gateway_heard_at = time.monotonic()

    async def login(self, token: str) -> None:
        """Log in, over connections that keep to the one rule for all."""
        self.http.connector = self._network.connector(limit=0)
        await super().login(token)

    async def setup_hook(self) -> None:
        """Find the gateway, add the cogs and sync the commands, before the gateway is dialled."""
        _, gateway_url, _ = await self.http.get_bot_gateway()
        DiscordWebSocket.DEFAULT_GATEWAY = URL(gateway_url)
        for cog in COGS:
            if self.get_cog(cog.__cog_name__) is None:  # a second login after a failed first one
                await self.add_cog(cog(self))
        self.add_dynamic_items(*DYNAMIC_ITEMS)
        await self._sync_commands()

    async def _sync_commands(self) -> None:
        """Register the commands with Discord if they are not the ones registered last time."""
        payload = [command.to_dict(self.tree) for command in self.tree.get_commands()]
        fingerprint = _fingerprint({"application": self.application_id, "commands": payload})
        if await self.storage.facts.get(COMMANDS_FACT) == fingerprint:
            return
        synced = await self.tree.sync()
        await self.storage.facts.set(COMMANDS_FACT, fingerprint)
        log.info("commands.synced", count=len(synced))

    async def stay_connected(self, token: str) -> None:
        """Log in and keep the gateway connected until cancelled; Discord may be away at any moment.

        Errors: ConfigError for a token that Discord does not accept at the start.
        """
        await self._log_in(token)
        while True:
            await self._one_connection()
            if self.is_closed():  # Discord said in the middle that the token is void
                await self._log_in_again(token)

    @contextlib.asynccontextmanager
    async def closed_at_the_end(self) -> AsyncIterator[None]:
        """Close the client when the block ends, and so after what is still being sent in it."""
        try:
            yield
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_S):
                    await self.close()

    async def _one_connection(self) -> None:
        """Stay connected, through reconnects and resumes, until that fails or goes silent."""
        dialled_at = time.monotonic()
        connected = asyncio.create_task(self.connect(), name="gateway")
        try:
            while not connected.done():
                await asyncio.wait({connected}, timeout=SILENCE_LOOK_S)
                silence_s = time.monotonic() - max(dialled_at, self._gateway_heard_at or 0.0)
                if not connected.done() and silence_s > SILENCE_LIMIT_S:
                    # It tries a dead resume address for ever, is_ready() all the while (10511).
                    log.warning("discord.gateway_silent", silence_s=round(silence_s))
                    return
            await connected
        except discord.PrivilegedIntentsRequired:
            raise
        except discord.ConnectionClosed as error:
            if error.code != TOKEN_VOID:
                raise
        except Exception:
            # discord.py ends in AttributeError where the first dial fails (issue 10520).
            log.exception("discord.gateway_failed", retry_in_s=RETRY_S)
            await asyncio.sleep(RETRY_S)
        finally:
            await self._hang_up(connected)

    async def _log_in_again(self, token: str) -> None:
        """Try a token again that Discord calls void, slowly: it may be mended on Discord's side.

        The listener goes on meanwhile, and all that it takes is kept.
        """
        while True:
            log.critical(
                "discord.token_void",
                what_to_do="Put a valid DISCORD_TOKEN into .env and start the bot again. "
                "Everything is kept until then.",
                retry_in_s=TOKEN_RETRY_S,
            )
            self._pace.close_for(TOKEN_RETRY_S + RETRY_S, "Discord calls the bot's token void")
            await self._close_http()
            await asyncio.sleep(TOKEN_RETRY_S)
            self.clear()
            self.loop = asyncio.get_running_loop()  # which close() took away
            try:
                return await self._log_in(token)
            except ConfigError:
                await self._close_http()

    async def _hang_up(self, connected: asyncio.Task[None]) -> None:
        """End a connection for good, so that the next one starts a session of its own."""
        connected.cancel()
        await asyncio.gather(connected, return_exceptions=True)
        socket = self.ws
        if socket is not None and not self.is_closed():
            with contextlib.suppress(Exception):  # whatever is wrong with it: it is given up
                async with asyncio.timeout(CLOSE_S):
                    await socket.close()

    async def _log_in(self, token: str) -> None:
        while True:
            try:
                await self.login(token)
            except discord.LoginFailure as error:
                raise ConfigError(
                    Problem(
                        "DISCORD_TOKEN",
                        "Discord does not accept it.",
                        "Copy it again from the application's Bot page, or reset it there.",
                    )
                ) from error
            except (discord.DiscordException, OSError, StorageUnavailable) as error:
                log.warning(
                    "discord.away",
                    error=type(error).__name__,
                    reason=why_not_reached(error) if isinstance(error, OSError) else None,
                    retry_in_s=RETRY_S,
                )
                await self._close_http()
                await asyncio.sleep(RETRY_S)
            else:
                self.logged_in.set()
                return

    async def _close_http(self) -> None:
        await self.http.close()
        self.http.connector = discord.utils.MISSING  # else the next login would use the closed one

    async def on_ready(self) -> None:
        """Learn which guilds there are; Discord may send this again after a new session."""
        await self.guild_service.reconcile(guild.id for guild in self.guilds)
        self.ready_once.set()
        log.info("discord.ready", bot=str(self.user), guilds=len(self.guilds))

    async def _on_command_error(
        self, interaction: discord.Interaction, error: app_commands.AppCommandError
    ) -> None:
        await answer_error(interaction, error)


async def answer_error(interaction: discord.Interaction[Any], error: Exception) -> None:
    """Tell the caller, and nobody else, what went wrong and what to do."""
    cause = error.original if isinstance(error, app_commands.CommandInvokeError) else error
    text = _sentence(cause)
    if text is None:
        log.error("command.failed", command=_name(interaction), exc_info=cause)
        text = (
            "Something went wrong inside the bot, and nothing was changed. Try again; if it "
            "happens again, tell the person who runs the bot: the log has the details."
        )
    try:
        if interaction.response.is_done():
            await interaction.followup.send(text, ephemeral=True)
        else:
            await interaction.response.send_message(text, ephemeral=True)
    except discord.HTTPException as unanswerable:
        log.warning("command.unanswered", command=_name(interaction), code=unanswerable.code)


def _sentence(cause: Exception) -> str | None:
    match cause:
        case CommandRefused():
            return cause.message
        case StorageUnavailable():
            return (
                "The bot's database does not answer at the moment, so nothing was changed. Try "
                "again in a minute; if it stays so, tell the person who runs the bot."
            )
        case app_commands.MissingPermissions():
            return "This needs the permission Manage Webhooks. Ask someone who manages this server."
        case app_commands.NoPrivateMessage():
            return "This works in a server's channel only, not in a private message."
        case SealError():
            return (
                "The bot could not open what it had sealed for this: its encryption keys were "
                "changed or lost, so nothing was changed. Tell the person who runs the bot, who "
                "may still have the old key."
            )
        case SpeckleError():
            return (
                f"{cause.server_url or 'The Speckle server'} did not do that ({cause.reason}). Try "
                "again in a minute; if it stays so, tell the person who runs the bot."
            )
        case app_commands.CheckFailure():
            return f"That did not work: {cause}"
        case _:
            return None


def _name(interaction: discord.Interaction[Any]) -> str | None:
    return interaction.command.qualified_name if interaction.command else None


def _fingerprint(value: object) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()
