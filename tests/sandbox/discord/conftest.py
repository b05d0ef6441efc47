"""The real discord.py client against the sandbox, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import discord
import pytest
from discord import app_commands
from discord.gateway import DiscordWebSocket
from yarl import URL

from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from tests.openapi_contract import available, complaints

READY_WITHIN_S = 10.0


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s

    def forward(self, seconds: float) -> None:
        self.now_s += seconds


class Client(discord.Client):
    """A plain client with a command tree; it does not wait where only Discord needs it."""

    def __init__(self, intents: discord.Intents | None = None) -> None:
        super().__init__(
            intents=intents or discord.Intents(guilds=True),
            guild_ready_timeout=0.05,
            allowed_mentions=discord.AllowedMentions.none(),
        )
        self.tree = app_commands.CommandTree(self)
        self.resumed = asyncio.Event()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """Identify at once: the sandbox does not limit it."""

    async def on_resumed(self) -> None:
        self.resumed.set()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> AsyncIterator[Sandbox]:
    """A sandbox that discord.py is pointed to; what it took was fit for Discord too."""
    async with Sandbox.start(pace=False, clock=clock, heartbeat_s=0.2) as running:
        monkeypatch.setattr(discord.http.Route, "BASE", running.api_url)
        monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", URL(running.gateway_url))
        monkeypatch.setattr(discord.Asset, "BASE", running.url)
        yield running
        taken = [request for request in running.requests if 200 <= request.status < 300]
        assert not available() or complaints(taken) == []


@pytest.fixture
def guild(sandbox: Sandbox) -> SandboxGuild:
    return sandbox.add_guild("Studio Kestrel")


@pytest.fixture
def channel(guild: SandboxGuild) -> SandboxChannel:
    return guild.add_channel("structure")


@pytest.fixture
def maren(guild: SandboxGuild) -> SandboxMember:
    return guild.add_member("Maren Oduya", permissions="manage_webhooks")


@pytest.fixture
async def rest(sandbox: Sandbox) -> AsyncIterator[Client]:
    """A client that has logged in and has no gateway."""
    async with Client() as client:
        await client.login(sandbox.token)
        yield client


@pytest.fixture
async def place(rest: Client, channel: SandboxChannel) -> discord.PartialMessageable:
    return rest.get_partial_messageable(channel.id)


Connect = Callable[..., AbstractAsyncContextManager[Client]]


@pytest.fixture
def connect(sandbox: Sandbox) -> Connect:
    """Brings a client to READY; its commands are synced before."""

    @asynccontextmanager
    async def connected(client: Client | None = None) -> AsyncIterator[Client]:
        client = client or Client()
        async with client:
            await client.login(sandbox.token)
            if client.tree.get_commands():
                await client.tree.sync()
            connection = asyncio.create_task(client.connect(), name="gateway")
            try:
                async with asyncio.timeout(READY_WITHIN_S):
                    await client.wait_until_ready()
                yield client
            finally:
                await client.close()
                await connection

    return connected


@pytest.fixture
async def raw(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP without a library between: sees statuses, headers and bodies as they are."""
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        yield session
