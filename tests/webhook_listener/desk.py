"""A listener on a real socket over a real SQLite file, and ways to speak to it."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography.fernet import Fernet

from bot.http_server import Limits
from bot.http_server.connections import HttpConnection
from bot.model import Hook, HookKind
from bot.problems import NotReady
from bot.services.readiness import Readiness
from bot.speckle.signature import sign
from bot.storage import Storage
from bot.timing import utc_now
from bot.vault import Vault
from bot.webhook_listener import SharedHook, WebhookListener
from bot.work import InboxEvent
from tests.stored import new_database

SERVER = "https://app.speckle.systems"
PROJECT = "5f0c9a41b7"
SHARED_SECRET = "shared-secret"
MAX_BODY = 1024 * 1024
ANSWER_WITHIN_S = 20.0  # a test that waits for so long has failed


@dataclass
class Wire:
    """One bare connection to the listener."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self) -> bytes:
        """All that comes until the other side closes."""
        async with asyncio.timeout(ANSWER_WITHIN_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def head(self) -> bytes:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def closed(self) -> None:
        """Wait until the other side has closed it."""
        await self.answer()

    def is_open(self) -> bool:
        return not self.reader.at_eof() and self.reader.exception() is None


@dataclass
class Desk:
    """A listening listener, a guild's hook on it, and a client."""

    storage: Storage
    hook: Hook
    base: str
    http: aiohttp.ClientSession
    problems: list[NotReady] = field(default_factory=list)
    missed: list[None] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)

    @property
    def port(self) -> int:
        return int(self.base.rpartition(":")[2])

    @property
    def path(self) -> str:
        return f"/webhooks/{self.hook.key}"

    async def post(
        self, body: bytes, signature: str | None, path: str = "", **headers: str
    ) -> tuple[int, str]:
        head = {"Content-Type": "application/json", **headers}
        if signature is not None:
            head["X-WEBHOOK-SIGNATURE"] = signature
        url = self.base + (path or self.path)
        async with self.http.post(url, data=io.BytesIO(body), headers=head) as answer:
            return answer.status, await answer.text()

    async def post_signed(self, body: bytes, path: str = "") -> int:
        status, _ = await self.post(body, sign(body, self.hook.secrets[0]), path)
        return status

    async def rows(self) -> list[InboxEvent]:
        lanes = await self.storage.read(lambda tx: tx.inbox.due_keys())
        rows: list[InboxEvent] = []
        for lane in lanes:
            taken = await self.storage.read(
                lambda tx: tx.inbox.take(lane.ordering_key, 1, 100_000_000)
            )
            rows += taken.rows
        return rows

    async def wire(self, data: bytes = b"") -> Wire:
        """A bare connection, over which this has been sent."""
        wire = Wire(*await asyncio.open_connection("127.0.0.1", self.port))
        self.wires.append(wire)
        await wire.send(data)
        return wire

    async def say(self, data: bytes) -> bytes:
        """What is answered to these bytes until the listener closes the connection."""
        return await (await self.wire(data)).answer()

    def head(
        self, size: int, *, path: str = "", signature: str = "0" * 64, more: str = ""
    ) -> bytes:
        """The head of a delivery of this size; `more` are further headers, each with its end."""
        return (
            f"POST {path or self.path} HTTP/1.1\r\nHost: bot\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nX-WEBHOOK-SIGNATURE: {signature}\r\n"
            f"{more}Content-Length: {size}\r\n\r\n"
        ).encode()

    def signed(self, body: bytes, **more: str) -> bytes:
        """A whole request that is signed."""
        return self.head(len(body), signature=sign(body, self.hook.secrets[0]), **more) + body


def status_of(answer: bytes) -> int:
    """The status in the first line of an answer."""
    return int(answer.split(b" ", 2)[1])


def delivery(project: str = PROJECT, server: str = SERVER, **more: Any) -> bytes:
    payload = {
        "streamId": project,
        "event": {"event_name": "branch_create", "data": {"branch": {"id": "b1", "name": "frame"}}},
        "server": {"canonicalUrl": server + "/"},
        **more,
    }
    return json.dumps({"payload": payload}).encode()


@asynccontextmanager
async def open_desk(
    folder: Path,
    limits: Limits | None = None,
    public_url: str | None = None,
    host: str = "127.0.0.1",
    max_body_bytes: int = MAX_BODY,
) -> AsyncIterator[Desk]:
    vault = Vault([Fernet.generate_key().decode()])
    problems: list[NotReady] = []
    missed: list[None] = []
    async with Storage.open(new_database(folder / "bot.db"), vault, utc_now) as storage:
        await storage.write(lambda tx: tx.guilds.join(1))
        hook = await storage.write(
            lambda tx: tx.hooks.create(1, SERVER, PROJECT, HookKind.OWN, 2, 3)
        )
        listener = WebhookListener(
            storage,
            shared_hook=SharedHook(SHARED_SECRET, frozenset({SERVER})),
            max_body_bytes=max_body_bytes,
            on_stored=lambda _lane: None,
            on_missed=lambda: missed.append(None),
            problems=Readiness(storage, lambda: problems).problems,
            instance="0f0f",
            now=utc_now,
            public_url=public_url,
            limits=limits,
        )
        async with listener.listening(host, 0) as port, aiohttp.ClientSession() as http:
            desk = Desk(storage, hook, f"http://127.0.0.1:{port}", http, problems, missed)
            try:
                yield desk
            finally:
                for wire in desk.wires:
                    wire.writer.close()


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system keeps few answers for who takes none: else megabytes, before one has to wait."""
    made = HttpConnection.connection_made

    def with_little_room(self: HttpConnection, transport: asyncio.BaseTransport) -> None:
        own = transport.get_extra_info("socket")
        own.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        made(self, transport)

    monkeypatch.setattr(HttpConnection, "connection_made", with_little_room)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as desk:
        yield desk
