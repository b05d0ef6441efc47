"""All that the try-out plays with: a Discord, two Speckle servers, and the bot as a process."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from cryptography.fernet import Fernet
from yarl import URL

from bot.settings import Settings
from bot.storage import Storage
from bot.vault import Vault
from sandbox.bot_process import (
    HOST,
    BotProcess,
    Broken,
    bot_environment,
    free_port,
    is_free,
)
from sandbox.demo.days import ILSE, MAREN, NAMES, DemoProject
from sandbox.demo.studio import LIBRARY, open_harbour_tower, open_quay_house
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.discord.discord import TOKEN
from sandbox.speckle import (
    SPECKLE_2_31,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
    ServerProject,
    SignInApp,
    SpeckleServer,
)

CONNECTS_WITHIN_S: Final = 30.0
STOPS_WITHIN_S: Final = 5.0
WATCHED_S: Final = 60.0
READY: Final = "discord.ready"  # in the bot's log
LOG_LINES: Final = 100
LOG_TAIL_BYTES: Final = 64 * 1024
POLL_S: Final = 0.05
GUILD: Final = "Studio Kestrel"
ADMIN: Final = "Noor Haddad"  # owns the Discord server
GUEST: Final = "Jonas Vik"  # may manage nothing
ROLE: Final = "BIM team"
EVERY_S: Final = 10  # half of the usual time between two looks, as people wait for it here


@dataclass(frozen=True, slots=True)
class DemoChannel:
    """A channel of the guild, what it is for, and the threads in it."""

    name: str
    topic: str
    kind: str = "text"
    threads: tuple[str, ...] = ()


# By category. Nobody has subscribed those of the last one.
CHANNELS: Final[Mapping[str, Sequence[DemoChannel]]] = {
    "Harbour Tower": (
        DemoChannel("project-log", "Everything in Harbour Tower"),
        DemoChannel("structure", "The structure of Harbour Tower: models and versions"),
        DemoChannel("coordination", "What people say about Harbour Tower", threads=("Grid C/4",)),
    ),
    "Quay House": (DemoChannel("quay-house", "Everything in Quay House"),),
    LIBRARY: (DemoChannel("library", f"{LIBRARY}, live: Maren does not own it, so no webhook"),),
    "To try out": (
        DemoChannel("facade", "For you to try: type /subscribe"),
        DemoChannel("playground", "For you to try, too"),
        DemoChannel("reviews", "A forum: its posts can follow projects", "forum", ("Level 1",)),
    ),
}


class BotState(StrEnum):
    """Whether the bot's process runs."""

    STARTING = "starting"
    RUNNING = "running"
    KILLED = "killed"
    ENDED = "ended"  # by itself


@dataclass(frozen=True, slots=True)
class LogLine:
    """One thing that the bot wrote into its log: when, how bad, what, and its facts."""

    at: str
    level: str
    event: str
    facts: Mapping[str, Any]


class DemoBot:
    """The bot's process; `url` is where it takes deliveries."""

    def __init__(self, process: BotProcess, log: Path, url: str) -> None:
        self.url = url
        self._process = process
        self._log = log
        self._state = BotState.KILLED

    @property
    def state(self) -> BotState:
        """Whether it runs."""
        if self._state is BotState.RUNNING and not self._process.runs:
            self._state = BotState.ENDED
        return self._state

    async def start(self) -> None:
        """Start it, and wait until it takes deliveries; nothing if it runs. Errors: Broken."""
        if self.state in (BotState.RUNNING, BotState.STARTING):
            return
        self._state = BotState.STARTING
        try:
            await self._process.start()
        except BaseException:
            await self._process.kill()
            self._state = BotState.ENDED
            raise
        self._state = BotState.RUNNING

    async def until_ready(self) -> None:
        """Wait until it is in its guilds. Errors: TimeoutError, Broken."""
        async with asyncio.timeout(CONNECTS_WITHIN_S):
            while not any(line.event == READY for line in self.log_lines(LOG_LINES)):
                await self._process.live(POLL_S)

    async def kill(self) -> None:
        """End it without a warning, as a power cut would."""
        await self._process.kill()
        self._state = BotState.KILLED

    async def stop(self) -> None:
        """End it in order; what takes too long, as with a Discord that is slow, ends at once."""
        if self._process.runs:
            with suppress(Broken, TimeoutError):
                async with asyncio.timeout(STOPS_WITHIN_S):
                    await self._process.stop()
        await self.kill()

    async def watch(self) -> None:
        """Wait until it ends by itself. Errors: Broken, then."""
        while True:
            await self._process.live(WATCHED_S)

    @property
    def log_size(self) -> int:
        """How many bytes it wrote into its log."""
        return self._log.stat().st_size if self._log.exists() else 0

    def log_lines(self, most: int) -> Sequence[LogLine]:
        """What it wrote last, the oldest first."""
        if not self._log.exists():
            return ()
        with self._log.open("rb") as log:
            log.seek(max(0, self.log_size - LOG_TAIL_BYTES))
            lines = log.read().decode("utf-8", "replace").splitlines()[-most:]
        return [_log_line(line) for line in lines if line.strip()]


def _log_line(line: str) -> LogLine:
    """A line of JSON; what is none came from elsewhere in the process."""
    try:
        facts = json.loads(line)
    except ValueError:
        return LogLine("", "error", line, {})
    if not isinstance(facts, dict):
        return LogLine("", "error", line, {})
    at, level, event = (str(facts.pop(name, "")) for name in ("timestamp", "level", "event"))
    return LogLine(at, level, event, facts)


@dataclass(frozen=True, slots=True)
class DemoServer:
    """A Speckle server with the app that the bot signs people in by, and its main project.

    All of its people and projects are in `server.users` and `server.projects`.
    """

    label: str
    server: SpeckleServer
    sign_in_app: SignInApp
    main: DemoProject


@dataclass(frozen=True, slots=True)
class Stage:
    """All that the try-out plays with."""

    discord: Sandbox
    guild: SandboxGuild
    members: Mapping[str, SandboxMember]  # by name
    servers: Sequence[DemoServer]  # one with comments and object trees, one with issues
    bot: DemoBot
    storage: Storage  # the bot's own database, to read from
    database_url: str
    folder: Path

    @property
    def manager(self) -> SandboxMember:
        """Who may subscribe channels, and has an account on both Speckle servers."""
        return self.members[NAMES[MAREN]]

    @property
    def library(self) -> ServerProject | None:
        """The project that is live through Maren's account; None once somebody has deleted it."""
        projects = self.servers[0].server.projects.values()
        return next((one for one in projects if one.name == LIBRARY), None)

    def channel(self, name: str) -> SandboxChannel:
        """The guild's channel of this name."""
        return next(one for one in self.guild.channels.values() if one.name == name)


@asynccontextmanager
async def open_stage(folder: Path, port: int | None = None) -> AsyncIterator[Stage]:
    """Start everything, and stop it after the block; nothing is left of it outside `folder`.

    `port` is the bot's; None takes 8003, or any free one where that is taken.
    """
    async with AsyncExitStack() as stack:
        token = f"{TOKEN.rpartition('.')[0]}.{secrets.token_urlsafe(27)}"  # no site can know it
        discord = await stack.enter_async_context(Sandbox.start(token=token))
        url = f"http://{HOST}:{_bot_port(port)}"
        tower = await _server(stack, url, "Speckle 2", SPECKLE_2_31, open_harbour_tower)
        house = await _server(stack, url, "Speckle 4", SPECKLE_4_AS_ANNOUNCED, open_quay_house)
        guild = discord.add_guild(GUILD)
        members = _members(guild)
        _add_channels(guild)
        key = Fernet.generate_key().decode()
        database_url = f"sqlite:///{folder / 'bot.db'}"
        bot = _bot(folder, url, discord, (tower, house), key, database_url)
        stack.push_async_callback(bot.stop)
        await bot.start()
        storage = await stack.enter_async_context(Storage.open(database_url, Vault([key])))
        await bot.until_ready()
        yield Stage(discord, guild, members, (tower, house), bot, storage, database_url, folder)


async def _server(
    stack: AsyncExitStack,
    bot_url: str,
    label: str,
    release: Release,
    open_main: Callable[[SpeckleServer], DemoProject],
) -> DemoServer:
    server = await stack.enter_async_context(SpeckleServer.start(release=release))
    app = server.register_app(f"{bot_url}/link/callback")
    app.name = "Speckle in Discord"
    return DemoServer(label, server, app, open_main(server))


def _members(guild: SandboxGuild) -> Mapping[str, SandboxMember]:
    guild.owner.user.name = ADMIN
    maren = guild.add_member(NAMES[MAREN], permissions="manage_webhooks")
    ilse = guild.add_member(NAMES[ILSE], permissions="manage_webhooks")
    jonas = guild.add_member(GUEST)
    team = guild.add_role(ROLE)
    for one in (maren, ilse):
        one.add_role(team)
    return {one.name: one for one in (maren, ilse, guild.owner, jonas)}


def _add_channels(guild: SandboxGuild) -> None:
    for name, channels in CHANNELS.items():
        category = guild.add_channel(name, "category")
        for one in channels:
            channel = guild.add_channel(one.name, one.kind, parent=category, topic=one.topic)
            for thread in one.threads:
                channel.add_thread(thread)


def _bot(
    folder: Path,
    url: str,
    discord: Sandbox,
    servers: Sequence[DemoServer],
    key: str,
    database_url: str,
) -> DemoBot:
    config = folder / "config.toml"
    config.write_text(f"[live]\nevery_s = {EVERY_S}\nsockets_from = 0\n")
    apps = {one.server.url: one.sign_in_app for one in servers}
    settings = {
        "DISCORD_TOKEN": discord.token,
        "DISCORD_API_URL": discord.api_url,
        "ENCRYPTION_KEYS": key,
        "DATABASE_URL": database_url,
        "PUBLIC_URL": url,
        "WEBHOOK_HOST": HOST,
        "WEBHOOK_PORT": str(URL(url).port),
        "SPECKLE_SERVERS": ",".join(apps),
        "SPECKLE_APPS": ",".join(f"{app.id}:{app.secret}@{at}" for at, app in apps.items()),
        "LOG_LEVEL": "info",
        "LOG_FORMAT": "json",
    }
    log = folder / "bot.log"
    return DemoBot(BotProcess(bot_environment(settings), config, log, url), log, url)


def _bot_port(wanted: int | None) -> int:
    """The wanted port; without a wish 8003, or any free one where that is taken. Errors: Broken."""
    usual: int = Settings.model_fields["webhook_port"].default
    if wanted and not is_free(wanted):
        raise Broken(f"Something else listens at port {wanted}. Choose another one with --port.")
    if wanted:
        return wanted
    return usual if wanted is None and is_free(usual) else free_port()
