"""The real client against the sandbox Discord, over real sockets and a real SQLite file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import discord
import pytest
from discord.gateway import DiscordWebSocket

from bot.discord_client import SpeckleBot, use_api
from bot.sandbox import Answer, Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from bot.services.guilds import GuildService
from bot.services.subscriptions import SubscriptionService
from bot.storage import Storage
from tests.services.conftest import (
    CLOUD,
    OWN_SERVER,
    PUBLIC_URL,
    Clock,
    clock,
    migrated_file,
    storage,
)

__all__ = ["clock", "migrated_file", "storage"]

READY_WITHIN_S = 15.0


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    async with Sandbox.start() as running:
        yield running


RunClient = Callable[..., AbstractAsyncContextManager[SpeckleBot]]


@pytest.fixture
def run_client(sandbox: Sandbox, storage: Storage, clock: Clock) -> RunClient:
    """Starts the bot's client; each block is one start of the bot over the same database."""

    @asynccontextmanager
    async def running(**settings: Any) -> AsyncIterator[SpeckleBot]:
        use_api(sandbox.api_url)
        values: dict[str, Any] = {
            "speckle_servers": (CLOUD, OWN_SERVER),
            "public_url": PUBLIC_URL,
            "served_guilds": frozenset(),
            "shared_hook_enabled": True,
            "now": clock,
        }
        service = SubscriptionService(storage, **(values | settings))
        bot = SpeckleBot(storage, service, GuildService(storage, clock))
        async with bot:
            await bot.login(sandbox.token)
            connection = asyncio.create_task(bot.connect(), name="gateway")
            try:
                async with asyncio.timeout(READY_WITHIN_S):
                    await bot.ready_once.wait()
                yield bot
            finally:
                await bot.close()
                await connection

    return running


@dataclass(frozen=True)
class Studio:
    """The guild "Studio Kestrel" with its channels and people."""

    sandbox: Sandbox
    guild: SandboxGuild
    structure: SandboxChannel
    facade: SandboxChannel
    maren: SandboxMember  # manages webhooks everywhere
    tobias: SandboxMember  # manages none

    async def type(
        self,
        name: str,
        *,
        where: SandboxChannel | None = None,
        who: SandboxMember | None = None,
        **options: Any,
    ) -> Answer:
        return await self.sandbox.command(
            self.guild, where or self.structure, who or self.maren, name, **options
        )


@pytest.fixture
def studio(sandbox: Sandbox) -> Studio:
    guild = sandbox.add_guild("Studio Kestrel")
    return Studio(
        sandbox,
        guild,
        guild.add_channel("structure"),
        guild.add_channel("facade"),
        guild.add_member("Maren Oduya", permissions="manage_webhooks"),
        guild.add_member("Tobias Lindqvist"),
    )
