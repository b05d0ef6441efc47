"""The whole bot at work against the sandbox Discord: real sockets, a real SQLite file."""

import asyncio
import base64
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from cryptography.fernet import Fernet
from discord.gateway import DiscordWebSocket

from bot.app import App, Timings, running
from bot.discord_api.client import ConnectionTimings
from bot.model import Hook
from bot.notifiers.pause_notifier import NotifierTimings
from bot.pipeline.enrichment.timings import AskedAt
from bot.pipeline.sender import SenderTimings
from bot.settings import Settings
from bot.speckle.signature import sign
from bot.timing import utc_now
from sandbox.discord import Sandbox, SandboxChannel, SandboxGuild, SandboxMember
from sandbox.speckle import Release, SpeckleServer
from tests.openapi_contract import available, complaints
from tests.pipeline.tower import Tower

DELIVERIES = Path(__file__).parent.parent / "fixtures" / "deliveries"
READY_WITHIN_S = 15.0
BY_HAND = "Set it up by hand"  # what somebody without an account presses
SHOW = "Show it there"  # what somebody presses who knows who will see it


@dataclass(frozen=True)
class Recorded:
    """A recorded delivery's body; `old_form` is signed over its inner text."""

    name: str
    body: bytes

    @property
    def old_form(self) -> bool:
        return isinstance(json.loads(self.body)["payload"], str)

    @property
    def payload(self) -> dict[str, Any]:
        payload: Any = json.loads(self.body)["payload"]
        loaded: dict[str, Any] = json.loads(payload) if isinstance(payload, str) else payload
        return loaded

    def signature(self, secret: str) -> str:
        if self.old_form:
            return sign(json.loads(self.body)["payload"].encode(), secret)
        return sign(self.body, secret)


def recorded() -> list[Recorded]:
    return [
        Recorded(path.stem, base64.b64decode(json.loads(path.read_text("utf-8"))["body_b64"]))
        for path in sorted(DELIVERIES.glob("*.json"))
    ]


@dataclass(frozen=True)
class Studio:
    """A guild with two channels and its BIM lead."""

    sandbox: Sandbox
    guild: SandboxGuild
    structure: SandboxChannel
    facade: SandboxChannel
    maren: SandboxMember


@pytest.fixture
async def studio(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    async with Sandbox.start(pace=False, heartbeat_s=0.3, first_answer_s=15.0) as sandbox:
        guild = sandbox.add_guild("Studio Kestrel")
        yield Studio(
            sandbox,
            guild,
            guild.add_channel("structure"),
            guild.add_channel("facade"),
            guild.add_member("Maren Oduya", permissions="manage_webhooks"),
        )
        if available():
            assert complaints(sandbox.requests) == []


StartBot = Callable[..., AbstractAsyncContextManager[App]]


quick_connection = partial(ConnectionTimings, guilds_apart_s=0.1)
TIMINGS = Timings(
    connection=quick_connection(), sender=SenderTimings(on_its_way_s=0.0), edits_apart_s=0.1
)
CHECKED_ONCE = AskedAt((timedelta(seconds=0.1),), retry_s=0.1, most=timedelta(minutes=1))
QUICK_NOTICES = NotifierTimings(poll_s=0.05, gather_s=0.05)


@pytest.fixture
def timings() -> Timings:
    """How long the bot waits; what is long on purpose is short where a file has its own."""
    return TIMINGS


@pytest.fixture
def key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def start_bot(studio: Studio, database_url: str, key: str, timings: Timings) -> StartBot:
    """Starts the bot; each block is one run over the same database."""

    @asynccontextmanager
    async def start(
        *,
        ready: bool = True,
        timings: Timings = timings,
        now: Callable[[], datetime] = utc_now,
        **more: Any,
    ) -> AsyncIterator[App]:
        values: dict[str, Any] = {
            "discord_token": studio.sandbox.token,
            "discord_api_url": studio.sandbox.api_url,
            "encryption_keys": (key,),
            "database_url": database_url,
            "public_url": "https://bot.studio-kestrel.example",
            "webhook_port": 0,
            "speckle_servers": ("https://app.speckle.systems", "http://127.0.0.1:3000"),
            "speckle": {"enrich_deadline_s": 0.0},
        }
        async with running(Settings.model_validate(values | more), timings, now) as app:
            if ready:
                async with aiohttp.ClientSession() as http:
                    await _ready(http, app)
            yield app

    return start


async def _ready(http: aiohttp.ClientSession, app: App) -> None:
    async with asyncio.timeout(READY_WITHIN_S):
        await app.bot.ready_once.wait()
        async with http.get(f"http://127.0.0.1:{app.port}/readyz") as answer:
            assert answer.status == 200, await answer.text()


async def post(app: App, hook: Hook, delivery: Recorded) -> int:
    """Post a delivery as a Speckle server does."""
    headers = {
        "Content-Type": "application/json",
        "X-WEBHOOK-SIGNATURE": delivery.signature(hook.secrets[0]),
    }
    url = f"http://127.0.0.1:{app.port}/webhooks/{hook.key}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=io.BytesIO(delivery.body), headers=headers) as answer,
    ):
        return answer.status


@pytest.fixture
async def tower(release: Release) -> AsyncIterator[Tower]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with SpeckleServer.start(release=release) as server:
        ilse = server.add_user("Ilse Brandt")
        project = server.add_project("Kestrel Tower", owner=ilse)
        model = server.add_model(project, "structure/level 1")
        yield Tower(server, ilse, server.token(ilse), project, model, port)


Run = Callable[..., AbstractAsyncContextManager[App]]


@pytest.fixture
def run(start_bot: StartBot, tower: Tower) -> Run:
    """The bot, listening where the project's webhook leads."""
    return partial(
        start_bot,
        webhook_port=tower.port,
        public_url=None,
        speckle_servers=(tower.server.url,),
    )
