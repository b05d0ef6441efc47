"""One WebSocket to a Speckle server for one account, in the old `graphql-ws` subprotocol.

It says that something changed, and is no proof that nothing did: a server loses frames without a
sign, and goes on sending to a token that was revoked. It does not connect again: its caller does.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any, Final, Self

import aiohttp

from bot.errors import SpeckleServerLeftOut, SpeckleUnavailable
from bot.network import Network, why_not_reached
from bot.speckle_api.circuit_breaker import OUT_OF_ORDER, CircuitBreakers
from bot.speckle_api.error_answers import check_token
from bot.speckle_api.live_frames import (
    Dead,
    Frame,
    Heard,
    LiveKind,
    NotAFrame,
    Rang,
    Settled,
    read_frame,
)
from bot.speckle_api.types import Login

PROTOCOL: Final = "graphql-ws"
STARTED_QUESTION: Final = "{ activeUser { id } }"
STRETCH_S: Final = 0.1  # the pace is kept in each: a second's frames at once hold the bot up
NAME_PARTS: Final = "."
NO_FRAME: Final = "it sent what is no frame"
NOTHING: Final[Mapping[str, Any]] = {}


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """Bounds of what a server can cost."""

    opens_s: float = 10.0  # handshake and `connection_ack`
    answers_s: float = 30.0  # from the last start to the proof that all are started
    sends_s: float = 10.0  # one frame that the server does not read
    closes_s: float = 0.2  # nothing that is still to come is needed
    heartbeat_s: float = 30.0  # a server that stands still is noticed within 45 s
    frame_bytes: int = 256 * 1024
    frames_a_second: int = 2_000  # more are read later: TCP makes the server wait


@dataclass(frozen=True, slots=True)
class _Added:
    """What a project's subscriptions are called, and what they ask."""

    number: str
    wanted: Mapping[LiveKind, str]


class LiveSockets:
    """Opens sockets to the allowed servers: no redirect is followed, no cookie kept."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        servers: Collection[str],
        breakers: CircuitBreakers,
        limits: SocketLimits,
    ) -> None:
        self._session = session
        self._servers = frozenset(servers)
        self._breakers = breakers
        self._limits = limits

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        servers: Collection[str],
        breakers: CircuitBreakers | None = None,
        network: Network | None = None,
        limits: SocketLimits = SocketLimits(),
    ) -> AsyncIterator[Self]:
        """What makes the sockets, for as long as the block lasts; `servers` are origins."""
        trace = aiohttp.TraceConfig()
        trace.on_request_redirect.append(_refuse_redirect)
        async with (network or Network()).session([trace], limit=0) as session:
            yield cls(session, servers, breakers or CircuitBreakers(), limits)

    @asynccontextmanager
    async def connect(self, login: Login) -> AsyncIterator["LiveSocket"]:
        """A socket with the login's rights, as they are now, for as long as the block lasts.

        Errors: SpeckleUnavailable; SpeckleTokenRefused for a token that cannot be one. The server
        takes any other: whether it is valid, only a question over HTTP tells.
        """
        check_token(login)
        server_url = login.server_url
        if server_url not in self._servers:
            raise SpeckleServerLeftOut(server_url)
        self._breakers.begin(server_url)
        ws = await self._opened(login)
        try:
            yield LiveSocket(ws, self._limits)
        finally:
            await _close(ws, self._limits.closes_s)

    async def _opened(self, login: Login) -> aiohttp.ClientWebSocketResponse:
        server_url = login.server_url
        try:
            async with asyncio.timeout(self._limits.opens_s):
                ws = await self._session.ws_connect(
                    f"{server_url}/graphql",
                    protocols=(PROTOCOL,),
                    heartbeat=self._limits.heartbeat_s,
                    max_msg_size=self._limits.frame_bytes,
                    timeout=aiohttp.ClientWSTimeout(ws_close=self._limits.closes_s),
                )
                try:
                    self._breakers.answered(server_url)
                    await _be_acknowledged(ws, login)
                except BaseException:
                    await _close(ws, self._limits.closes_s)
                    raise
        except TimeoutError:
            raise SpeckleUnavailable(server_url, "it opened no WebSocket in time") from None
        except _Redirected:
            raise SpeckleUnavailable(server_url, "it sends WebSockets elsewhere") from None
        except aiohttp.WSServerHandshakeError as error:
            # Questions may pass where WebSockets do not: no reason to ask none.
            if error.status not in OUT_OF_ORDER:
                self._breakers.answered(server_url)
            reason = f"it opens no WebSocket (HTTP {error.status})"
            raise SpeckleUnavailable(server_url, reason) from None
        except (aiohttp.ClientError, ConnectionError) as error:
            reason = why_not_reached(error)
            self._breakers.failed(server_url, reason)
            raise SpeckleUnavailable(server_url, reason) from None
        return ws


class LiveSocket:
    """Iterate over it to hear; it ends when the socket does, and `ended` says why.

    It has no task of its own, and reads while somebody iterates: who does only takes notes. Other
    tasks may add and remove meanwhile.
    """

    def __init__(self, ws: aiohttp.ClientWebSocketResponse, limits: SocketLimits) -> None:
        self.ended: str | None = None
        self._ws = ws
        self._limits = limits
        # A server mixes up what is started twice under one id. Those of a project's subscriptions
        # begin with a number of its own, and end with what each is about.
        self._numbers = count(1)
        self._of_number: dict[str, str] = {}  # the project's id
        self._added: dict[str, _Added] = {}
        self._dead: set[str] = set()  # ids of subscriptions that the server ended
        self._changing = asyncio.Lock()
        self._question: str | None = None
        self._answer_by: float | None = None  # by the loop's time
        self._waiting: asyncio.Timeout | None = None
        self._stretch, self._frames = 0.0, 0

    @property
    def projects(self) -> Collection[str]:
        """What it is asked to tell of, dead ones as well."""
        return self._added.keys()

    async def add(self, project_ids: Collection[str], wanted: Mapping[LiveKind, str]) -> None:
        """Have these told of as well; `Settled` is heard once they are."""
        async with self._changing:
            for project_id in project_ids:
                if project_id not in self._added:
                    await self._add(project_id, wanted)
            name = self._question = str(next(self._numbers))
            self._answer_by = asyncio.get_running_loop().time() + self._limits.answers_s
            if self._waiting is not None:
                self._waiting.reschedule(self._answer_by)
            await self._start(name, STARTED_QUESTION, NOTHING)

    async def remove(self, project_ids: Collection[str]) -> None:
        """Have these told of no more."""
        async with self._changing:
            for project_id in project_ids:
                added = self._added.pop(project_id, None)
                if added is None:
                    continue
                del self._of_number[added.number]
                names = {_name(added.number, kind) for kind in added.wanted}
                for name in sorted(names - self._dead):
                    await self._send({"id": name, "type": "stop"})
                self._dead -= names

    async def __aiter__(self) -> AsyncIterator[Heard]:
        while self.ended is None:
            frame = await self._next()
            if isinstance(frame, str):
                self._end(frame)
                break
            heard = self._read(frame)
            if heard is not None:
                yield heard

    async def _next(self) -> Frame | str:
        """The next frame, or why there is none."""
        await self._keep_pace()
        try:
            async with asyncio.timeout_at(self._answer_by) as self._waiting:
                message = await self._ws.receive()
        except TimeoutError:
            return "it did not answer in time"
        finally:
            self._waiting = None
        if message.type is not aiohttp.WSMsgType.TEXT:
            return _why_closed(self._ws, message)
        try:
            return read_frame(message.data)
        except NotAFrame:
            return NO_FRAME

    def _read(self, frame: Frame) -> Heard | None:
        if frame.type == "connection_error":
            self._end("it refuses the connection")
        if frame.id is None:
            return None
        if frame.id == self._question:
            self._question = self._answer_by = None
            return Settled()
        if frame.id in self._dead:
            return None
        number, _, about = frame.id.partition(NAME_PARTS)
        project_id = self._of_number.get(number)
        if project_id is None or about not in self._added[project_id].wanted:
            return None
        kind = LiveKind(about)
        if frame.type in ("error", "complete"):
            self._dead.add(frame.id)
            return Dead(project_id, kind)
        if frame.type != "data" or frame.is_refused_question:
            return None  # `complete` follows
        if kind is LiveKind.CHECKS and frame.version_id is None:
            return None  # no list is to be read for it
        return Rang(project_id, kind, frame.version_id)

    async def _add(self, project_id: str, wanted: Mapping[LiveKind, str]) -> None:
        number = str(next(self._numbers))
        self._of_number[number] = project_id
        self._added[project_id] = _Added(number, wanted)
        for kind, question in wanted.items():
            await self._start(_name(number, kind), question, {"p": project_id})
        await asyncio.sleep(0)  # thousands of them must not hold up the others

    async def _keep_pace(self) -> None:
        now = time.monotonic()
        if now >= self._stretch + STRETCH_S:
            self._stretch, self._frames = now, 0
        self._frames += 1
        if self._frames > self._limits.frames_a_second * STRETCH_S:
            await asyncio.sleep(self._stretch + STRETCH_S - now)

    def _end(self, why: str) -> None:
        self.ended = self.ended or why

    async def _start(self, name: str, question: str, variables: Mapping[str, Any]) -> None:
        payload = {"query": question, "variables": variables}
        await self._send({"id": name, "type": "start", "payload": payload})

    async def _send(self, frame: Mapping[str, Any]) -> None:
        """Send, unless it has ended; the task that iterates hears of that."""
        if self.ended is not None:
            return
        try:
            async with asyncio.timeout(self._limits.sends_s):
                await self._ws.send_str(json.dumps(frame))
        except TimeoutError:
            self._end("it does not read what it is sent")
            await _close(self._ws, self._limits.closes_s)
        except (aiohttp.ClientError, ConnectionError):
            self._end("the connection broke")


def _name(number: str, kind: LiveKind) -> str:
    return f"{number}{NAME_PARTS}{kind.value}"


class _Redirected(aiohttp.ClientError):
    """A server's answer leads elsewhere."""


async def _refuse_redirect(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    redirect: aiohttp.TraceRequestRedirectParams,
) -> None:
    raise _Redirected


async def _be_acknowledged(ws: aiohttp.ClientWebSocketResponse, login: Login) -> None:
    """Show the token and wait for `connection_ack`. Errors: SpeckleUnavailable."""
    if ws.protocol != PROTOCOL:
        raise SpeckleUnavailable(login.server_url, f"it does not speak {PROTOCOL}")
    token = {} if login.token is None else {"Authorization": f"Bearer {login.token}"}
    await ws.send_str(json.dumps({"type": "connection_init", "payload": token}))
    frame = Frame("", None, None)
    while frame.type != "connection_ack":
        message = await ws.receive()
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise SpeckleUnavailable(login.server_url, _why_closed(ws, message))
        try:
            frame = read_frame(message.data)
        except NotAFrame:
            raise SpeckleUnavailable(login.server_url, NO_FRAME) from None
        if frame.type == "connection_error":
            raise SpeckleUnavailable(login.server_url, "it refuses the connection")
        await asyncio.sleep(0)  # one that sends without an end must not keep the time from passing


def _why_closed(ws: aiohttp.ClientWebSocketResponse, message: aiohttp.WSMessage) -> str:
    if message.type is aiohttp.WSMsgType.BINARY:
        return NO_FRAME
    if ws.close_code == aiohttp.WSCloseCode.MESSAGE_TOO_BIG:
        return "it sent a frame that is too large"
    if isinstance(ws.exception(), aiohttp.ServerTimeoutError):
        return "it stands still"
    return f"it closed the connection ({ws.close_code or 1006})"


async def _close(ws: aiohttp.ClientWebSocketResponse, within_s: float) -> None:
    with suppress(TimeoutError, aiohttp.ClientError, ConnectionError):
        async with asyncio.timeout(within_s):
            await ws.close()
