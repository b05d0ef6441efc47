"""One WebSocket of the old `graphql-ws` subprotocol, as a recorded 2.31 server speaks it.

A `start` is never confirmed. Rights are those that the token had at `connection_init`; a token that
is not valid is acknowledged too, and is then nobody's.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from aiohttp import ClientConnectionResetError, WSMsgType, web
from graphql import GraphQLSchema, OperationType

from sandbox.speckle.entities import User
from sandbox.speckle.graphql_executor import SYNTAX, NotUnderstood, Question, understand
from sandbox.speckle.request_context import Asking
from sandbox.speckle.subscription_frames import ServerSubscription

SUBPROTOCOLS: Final = ("graphql-ws", "graphql-subscriptions")
PROTOCOL_ERROR: Final = 1002
INTERNAL_ERROR: Final = 1011
CLOSE_WAIT_S: Final = 1.0  # for the refusal to be written
Frame = dict[str, Any]
OperationId = str | int | None  # None: a `start` without one works, recorded


class Hub(Protocol):
    """What a socket needs of the server."""

    keep_alive_s: float
    start_s: float
    thawed: asyncio.Event

    @property
    def schema(self) -> GraphQLSchema:
        """What the server understands."""

    @property
    def introspection(self) -> bool:
        """Whether it tells what it understands."""

    def asker(self, token: str) -> Asking:
        """Who has this token, or a stranger."""

    def add(self, operation: "Operation") -> None:
        """A subscription runs."""

    def remove(self, operation: "Operation") -> None:
        """It does no longer."""

    def on_sent(self, frame: Frame) -> None:
        """A frame was written."""


class Operation:
    """A running subscription: its socket, and the id under which its frames are sent."""

    def __init__(
        self, socket: "SubscriptionSocket", id: OperationId, subscription: ServerSubscription
    ) -> None:
        self.socket = socket
        self.id = id
        self.subscription = subscription

    def send(self, kind: str, payload: Any) -> None:
        """Send a frame of it."""
        self.socket.send(_of(self.id, kind, payload))


class SubscriptionSocket:
    """An open socket. `run` serves it to its end; `send` may be called from anywhere meanwhile."""

    def __init__(self, hub: Hub, request: web.Request, ws: web.WebSocketResponse) -> None:
        self._hub = hub
        self._ws = ws
        self._transport = request.transport
        self._asking: Asking | None = None
        self._outgoing: asyncio.Queue[Frame] = asyncio.Queue()
        self._pending: list[Frame] = []  # each a `start`
        self.operations: dict[OperationId, Operation] = {}

    @property
    def user(self) -> User | None:
        """Whose it is; None for a stranger and before `connection_init`."""
        return None if self._asking is None else self._asking.user

    @property
    def token(self) -> str | None:
        """The token that counted at `connection_init`."""
        token = None if self._asking is None else self._asking.token
        return None if token is None else token.text

    @property
    def is_acknowledged(self) -> bool:
        """Whether `connection_init` was answered."""
        return self._asking is not None

    def send(self, frame: Frame) -> None:
        """Send a frame after those that wait already."""
        self._outgoing.put_nowait(frame)

    def cut(self) -> None:
        """Nothing more, and no close frame: the other side sees 1006."""
        if self._transport is not None:
            self._transport.abort()

    async def close(self, code: int) -> None:
        """Close it in good order."""
        await self._ws.close(code=code)

    def read_no_more(self, frozen: bool) -> None:
        """Leave what the client sends, pings too, in the kernel's buffer; or read again."""
        if self._transport is None or self._transport.is_closing():
            return
        if frozen:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def run(self) -> None:
        """Speak until either side ends it."""
        if self._ws.ws_protocol not in SUBPROTOCOLS:
            await self._ws.receive()
            await self._ws.close(code=PROTOCOL_ERROR)
            return
        tasks = [
            asyncio.create_task(self._send_all(), name="socket sender"),
            asyncio.create_task(self._keep_alive(), name="socket keep-alive"),
        ]
        try:
            if not await self._receive_all():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._outgoing.join(), CLOSE_WAIT_S)
                await self._ws.close(code=INTERNAL_ERROR)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    # ── what comes in ─────────────────────────────────────────────────────────────────────────

    async def _receive_all(self) -> bool:
        """Take frames until the client has gone; False: it is to be refused."""
        while (message := await self._ws.receive()).type in (WSMsgType.TEXT, WSMsgType.BINARY):
            await self._hub.thawed.wait()
            try:
                frame = json.loads(message.data)
            except ValueError:
                self.send({"type": "connection_error", "id": None, "payload": _no_json(message)})
                continue
            if not self._take(frame if isinstance(frame, dict) else {}):
                return False
        return True

    def _take(self, frame: Frame) -> bool:
        match frame.get("type"):
            case "connection_init":
                return self._begin(frame.get("payload"))
            case "start":
                self._start(frame)
            case "stop":
                self._end(frame.get("id"))
            case "connection_terminate":
                self.cut()
            case _:
                self.send(_of(frame.get("id"), "error", {"message": "Invalid message type!"}))
        return True

    def _begin(self, payload: Any) -> bool:
        token = _bearer(payload)
        if token is None:
            refusal = {"message": "You need a token to subscribe"}
            self.send({"type": "connection_error", "payload": refusal})
            return False
        self._asking = self._hub.asker(token)
        self.send({"type": "connection_ack"})
        self.send({"type": "ka"})
        if self._pending:
            self._soon(self._start_pending)
        return True

    def _start(self, frame: Frame) -> None:
        """Begin soon: an id that runs already ends first; two that come together both run."""
        self._end(frame.get("id"))
        self._pending.append(frame)
        if len(self._pending) == 1 and self._asking is not None:
            self._soon(self._start_pending)

    def _soon(self, begin: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(self._hub.start_s, begin)

    def _start_pending(self) -> None:
        pending, self._pending = self._pending, []
        for frame in pending:
            self._answer(frame.get("id"), frame.get("payload"))

    def _answer(self, id: OperationId, payload: Any) -> None:
        assert self._asking is not None
        try:
            question = understand(self._hub.schema, payload, introspection=self._hub.introspection)
        except NotUnderstood as refusal:
            self._refuse(id, refusal)
            return
        if question.operation is not None and (
            question.operation.operation is OperationType.SUBSCRIPTION
        ):
            self._subscribe(id, ServerSubscription.of(question, self._asking))
        else:
            self._answer_once(id, question, self._asking)

    def _refuse(self, id: OperationId, refusal: NotUnderstood) -> None:
        if refusal.code == SYNTAX:
            self.send(_of(id, "error", {"message": refusal.message}))
            return
        self.send(_of(id, "data", {"errors": [refusal.error]}))
        self.send(_of(id, "complete", None))

    def _answer_once(self, id: OperationId, question: Question, asking: Asking) -> None:
        answer = question.answer(asking)
        for error in answer.get("errors", ()):
            error.pop("extensions", None)
        self.send(_of(id, "data", answer))
        self.send(_of(id, "complete", None))

    def _subscribe(self, id: OperationId, subscription: ServerSubscription) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        operation = Operation(self, id, subscription)
        self.operations[id] = operation
        self._hub.add(operation)

    def _end(self, id: OperationId) -> None:
        operation = self.operations.pop(id, None)
        if operation is not None:
            self._hub.remove(operation)
            operation.send("complete", None)

    # ── what goes out ─────────────────────────────────────────────────────────────────────────

    async def _send_all(self) -> None:
        while True:
            frame = await self._outgoing.get()
            await self._hub.thawed.wait()
            try:
                await self._ws.send_str(
                    json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
                )
            except (ClientConnectionResetError, RuntimeError):  # it is gone, or is being closed
                return
            finally:
                self._outgoing.task_done()
            self._hub.on_sent(frame)

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(self._hub.keep_alive_s)
            await self._hub.thawed.wait()
            if self.is_acknowledged:
                self.send({"type": "ka"})


def _of(id: OperationId, kind: str, payload: Any) -> Frame:
    """A frame of an operation."""
    named = {} if id is None else {"id": id}
    return {"type": kind, **named, "payload": payload}


def _bearer(payload: Any) -> str | None:
    """The token of a `connection_init`, in the places where the server looks."""
    if not isinstance(payload, Mapping):
        return None
    headers = payload.get("headers")
    inner = headers if isinstance(headers, Mapping) else {}
    found = (
        payload.get("Authorization")
        or payload.get("authorization")
        or inner.get("Authorization")
        or inner.get("authorization")
    )
    if not isinstance(found, str) or not found.startswith("Bearer "):
        return None
    return found.removeprefix("Bearer ")


def _no_json(message: Any) -> dict[str, str]:
    """JavaScript's words for what is no JSON."""
    text = message.data if isinstance(message.data, str) else message.data.decode(errors="replace")
    return {"message": f"Unexpected token '{text[1:2]}', \"{text}\" is not valid JSON"}
