"""The gateway: who is connected, what each session was sent, and what can be sent again."""

import asyncio
import json
import math
import secrets
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from aiohttp import WSMsgType, web

from sandbox.discord import wire
from sandbox.discord.guilds import SandboxGuild
from sandbox.discord.json_types import JSON
from sandbox.discord.world import DiscordWorld


class Op(IntEnum):
    """Gateway opcodes."""

    DISPATCH = 0
    HEARTBEAT = 1
    IDENTIFY = 2
    PRESENCE = 3
    VOICE_STATE = 4
    RESUME = 6
    RECONNECT = 7
    REQUEST_MEMBERS = 8
    INVALID_SESSION = 9
    HELLO = 10
    HEARTBEAT_ACK = 11


UNKNOWN_OPCODE, DECODE_ERROR, NOT_AUTHENTICATED, AUTHENTICATION_FAILED = 4001, 4002, 4003, 4004
ALREADY_AUTHENTICATED, INVALID_SHARD, DISALLOWED_INTENTS = 4005, 4010, 4014
PRIVILEGED_INTENTS = 1 << 1 | 1 << 8 | 1 << 15
GONE_FOR_GOOD = frozenset({1000, 1001})  # a client that closes so ends its session
REPLAYED_EVENTS = 10_000
# What is there at once, as over no network, discord.py takes for an answer to the beat before.
ANSWERS_AFTER_S = 0.02

Frame = JSON | int  # a payload, or a close code


@dataclass(slots=True)
class Closing:
    """New connections are closed with a code; `welcome`: only after READY or the resuming."""

    code: int
    times: int | None
    welcome: bool

    def take(self) -> int | None:
        """The code, used up by one time; None once it was used often enough."""
        if self.times == 0:
            return None
        self.times = None if self.times is None else self.times - 1
        return self.code


@dataclass(slots=True, eq=False)
class GatewaySession:
    """What a client has identified as; it outlives its connections."""

    id: str
    shard: tuple[int, int]
    intents: int
    seq: int = 0
    sent: deque[JSON] = field(default_factory=lambda: deque(maxlen=REPLAYED_EVENTS))
    connection: "GatewaySocket | None" = None

    def dispatch(self, name: str, data: Any) -> None:
        """Number the event, keep it for a replay, and send it if somebody listens."""
        self.seq += 1
        event = {"op": Op.DISPATCH, "t": name, "s": self.seq, "d": data}
        self.sent.append(event)
        if self.connection is not None:
            self.connection.put(event)

    def serves(self, guild: SandboxGuild | None) -> bool:
        """Whether events of the guild go to this session's shard; private ones go to shard 0."""
        number, count = self.shard
        return number == (0 if guild is None else (guild.id >> 22) % count)


@dataclass(slots=True, eq=False)
class GatewaySocket:
    """One web socket: frames wait in `queue` until the writer sends them."""

    socket: web.WebSocketResponse
    request: web.Request
    deflate: "zlib._Compress | None"
    queue: asyncio.Queue[Frame] = field(default_factory=asyncio.Queue)
    session: GatewaySession | None = None
    closed_here: bool = False

    def put(self, frame: Frame) -> None:
        """Send this after all that waits already; a number closes the connection with it."""
        self.queue.put_nowait(frame)

    def abort(self) -> None:
        """Cut the line without a word."""
        if self.request.transport is not None:
            self.request.transport.abort()

    async def send(self, payload: JSON) -> None:
        """Write one payload, compressed if the client asked for zlib-stream."""
        text = json.dumps(payload, separators=(",", ":"))
        if self.deflate is None:
            await self.socket.send_str(text)
        else:
            data = self.deflate.compress(text.encode()) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
            await self.socket.send_bytes(data)


@dataclass(slots=True, eq=False)
class GatewayServer:
    """All sessions and connections. `dials`, `identifies`, `resumes` count what clients did."""

    world: Callable[[], DiscordWorld]
    heartbeat_s: float = 41.25
    privileged: bool = False
    refusing: bool = False
    silent: bool = False
    closing: "Closing | None" = None
    resume_url: str | None = None  # where READY sends clients to resume; None: here
    dials: int = 0
    identifies: int = 0
    resumes: int = 0
    heartbeats: int = 0
    sessions_left: int = 1000
    sessions_reset_at: float = math.inf
    clock: Callable[[], float] = time.monotonic
    sessions: dict[str, GatewaySession] = field(default_factory=dict)
    connections: set[GatewaySocket] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Where clients connect to."""
        return self.world().url.replace("http", "ws", 1) + "/gateway"

    def emit(self, name: str, data: JSON, guild: SandboxGuild | None) -> None:
        """Tell the sessions whose shard the guild belongs to."""
        for session in self.sessions.values():
            if session.serves(guild):
                session.dispatch(name, data)

    def limit_sessions(self, remaining: int, reset_after_s: float) -> None:
        """Let so many more sessions begin until the time is over."""
        self.sessions_left, self.sessions_reset_at = remaining, self.clock() + reset_after_s

    def session_start_limit(self) -> JSON:
        """What `GET /gateway/bot` says of it; beyond it Discord would reset the token."""
        reset_after_s = self.sessions_reset_at - self.clock()
        if reset_after_s <= 0:
            self.sessions_left, self.sessions_reset_at = 1000, math.inf
        return {
            "total": 1000,
            "remaining": max(0, self.sessions_left),
            "reset_after": int(1000 * min(max(reset_after_s, 0), 14_400)),
            "max_concurrency": 1,
        }

    @property
    def connected(self) -> bool:
        """Whether somebody who has identified listens."""
        return any(one.session for one in self.connections)

    # ── faults ────────────────────────────────────────────────────────────────────────────────

    def drop(self) -> None:
        """Cut all lines."""
        for connection in self.connections:
            connection.abort()

    def close_all(self, code: int) -> None:
        """Close all lines with this code."""
        for connection in self.connections:
            connection.put(code)

    def invalidate(self, *, resumable: bool) -> None:
        """Declare the sessions invalid."""
        if not resumable:
            self.sessions.clear()
        for connection in self.connections:
            connection.put({"op": Op.INVALID_SESSION, "d": resumable})

    def ask_to_reconnect(self) -> None:
        """Send opcode 7."""
        for connection in self.connections:
            connection.put({"op": Op.RECONNECT, "d": None})

    # ── one connection ────────────────────────────────────────────────────────────────────────

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Handle one connection until either side ends it."""
        self.dials += 1
        if self.refusing:
            return web.Response(status=503, text="the gateway is not available")
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        zipped = request.query.get("compress") == "zlib-stream"
        connection = GatewaySocket(socket, request, zlib.compressobj() if zipped else None)
        self.connections.add(connection)
        connection.put({"op": Op.HELLO, "d": {"heartbeat_interval": int(self.heartbeat_s * 1000)}})
        writer = asyncio.create_task(self._write(connection), name="sandbox-gateway-writer")
        try:
            await self._read(connection)
        finally:
            self._leave(connection)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        return socket

    def _leave(self, connection: GatewaySocket) -> None:
        self.connections.discard(connection)
        session = connection.session
        if session is None or session.connection is not connection:
            return
        session.connection = None
        if connection.socket.close_code in GONE_FOR_GOOD and not connection.closed_here:
            self.sessions.pop(session.id, None)

    async def _write(self, connection: GatewaySocket) -> None:
        while True:
            frame = await connection.queue.get()
            if isinstance(frame, int):
                connection.closed_here = True
                await connection.socket.close(code=frame)
                return
            if not self.silent:
                try:
                    await connection.send(frame)
                except ConnectionError:
                    return  # the line was cut; the reader sees it too

    async def _read(self, connection: GatewaySocket) -> None:
        async for message in connection.socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            try:
                payload = json.loads(message.data)
                opcode, data = payload["op"], payload.get("d")
            except (ValueError, KeyError, TypeError, AttributeError):
                connection.put(DECODE_ERROR)
                continue
            self._take(connection, opcode, data)

    def _take(self, connection: GatewaySocket, opcode: int, data: Any) -> None:
        match opcode:
            case Op.HEARTBEAT:
                self.heartbeats += 1
                loop = asyncio.get_running_loop()
                loop.call_later(ANSWERS_AFTER_S, connection.put, {"op": Op.HEARTBEAT_ACK})
            case Op.IDENTIFY | Op.RESUME if connection.session is not None:
                connection.put(ALREADY_AUTHENTICATED)
            case Op.IDENTIFY | Op.RESUME:
                self._let_in(connection, opcode, data)
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_MEMBERS if connection.session:
                pass  # presence, voice and member lists: nothing that a bot here would see
            case Op.PRESENCE | Op.VOICE_STATE | Op.REQUEST_MEMBERS:
                connection.put(NOT_AUTHENTICATED)
            case _:
                connection.put(UNKNOWN_OPCODE)

    def _let_in(self, connection: GatewaySocket, opcode: int, data: Any) -> None:
        closing = self.closing.take() if self.closing else None
        if closing is None or (self.closing and self.closing.welcome):
            (self._identify if opcode == Op.IDENTIFY else self._resume)(connection, data)
        elif opcode == Op.IDENTIFY:
            self.identifies += 1
        if closing is not None:
            connection.put(closing)

    def _identify(self, connection: GatewaySocket, data: JSON) -> None:
        self.identifies += 1
        self.sessions_left -= 1
        number, count = data.get("shard", (0, 1))
        intents = int(data.get("intents", 0))
        if data.get("token") != self.world().token:
            connection.put(AUTHENTICATION_FAILED)
        elif not 0 <= number < count:
            connection.put(INVALID_SHARD)
        elif intents & PRIVILEGED_INTENTS and not self.privileged:
            connection.put(DISALLOWED_INTENTS)
        else:
            session = GatewaySession(secrets.token_hex(16), (number, count), intents)
            self.sessions[session.id] = session
            connection.session, session.connection = session, connection
            self._welcome(session)

    def _welcome(self, session: GatewaySession) -> None:
        world = self.world()
        guilds = [one for one in world.guilds.values() if one.bot_inside and session.serves(one)]
        ready = {
            "v": 10,
            "user": wire.user(world.bot),
            "guilds": [{"id": str(one.id), "unavailable": True} for one in guilds],
            "session_id": session.id,
            "resume_gateway_url": self.resume_url or self.url,
            "shard": list(session.shard),
            "application": {"id": str(world.application_id), "flags": 0},
        }
        session.dispatch("READY", ready)
        for guild in guilds:
            # The key distinguishes a guild that comes back from one that the bot has just joined.
            session.dispatch("GUILD_CREATE", wire.guild_create(guild) | {"unavailable": False})

    def _resume(self, connection: GatewaySocket, data: JSON) -> None:
        if data.get("token") != self.world().token:
            connection.put(AUTHENTICATION_FAILED)
            return
        session = self.sessions.get(str(data.get("session_id")))
        seq = data.get("seq")
        if session is None or not isinstance(seq, int) or seq > session.seq:
            connection.put({"op": Op.INVALID_SESSION, "d": False})
            return
        self.resumes += 1
        connection.session, session.connection = session, connection
        for event in session.sent:
            if event["s"] > seq:
                connection.put(event)
        session.dispatch("RESUMED", {"_trace": []})

    async def stop(self) -> None:
        """Close what is still open, as Discord does when it restarts."""
        for connection in list(self.connections):
            await connection.socket.close(code=1001)
