"""All sockets of a server: who hears what is published, for tests to look at, cut and freeze."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import web
from graphql import GraphQLSchema

from sandbox.speckle.entities import ServerProject, User
from sandbox.speckle.faults import SocketFaults
from sandbox.speckle.live_record import LiveNoteKind, LiveRecord
from sandbox.speckle.published_changes import Publication
from sandbox.speckle.request_context import Asking
from sandbox.speckle.subscription_socket import Frame, Operation, SubscriptionSocket

KEEP_ALIVE_S: Final = 30.0  # recorded
START_S: Final = 0.002  # so that two `start` frames that come together are begun together
GOING_AWAY: Final = 1001


class SubscriptionHub:
    """The sockets that are open, their subscriptions, and what became of their frames.

    `keep_alive_s` is for sockets opened afterwards. `frames_sent` counts `data` frames that were
    written, answers to questions among them; `frames_lost` those that `faults` swallowed.
    """

    def __init__(
        self,
        asker: Callable[[str], Asking],
        schema: Callable[[], GraphQLSchema],
        *,
        introspection: bool,
        record: LiveRecord,
    ) -> None:
        self.asker = asker
        self._record = record
        self._schema = schema
        self.introspection = introspection
        self.keep_alive_s = KEEP_ALIVE_S
        self.start_s = START_S
        self.faults = SocketFaults()
        self.sockets: list[SubscriptionSocket] = []
        self.opened = 0
        self.frames_sent = 0
        self.frames_lost = 0
        self.thawed = asyncio.Event()
        self.thawed.set()
        self._operations: dict[tuple[str, str], list[Operation]] = defaultdict(list)
        self._running: Counter[tuple[str, User | None]] = Counter()  # by project

    @property
    def schema(self) -> GraphQLSchema:
        """What the server understands now."""
        return self._schema()

    # ── looking ───────────────────────────────────────────────────────────────────────────────

    def subscriptions(
        self,
        *,
        project: ServerProject | None = None,
        field: str | None = None,
        user: User | None = None,
    ) -> list[Operation]:
        """Those that run, of one project, field or person where one is given."""
        return [
            one
            for there in self._operations.values()
            for one in there
            if project is None or one.subscription.project_id == project.id
            if field is None or one.subscription.field == field
            if user is None or one.socket.user is user
        ]

    def sockets_of(self, user: User) -> list[SubscriptionSocket]:
        """The open sockets of a person."""
        return [one for one in self.sockets if one.user is user]

    # ── what goes wrong ───────────────────────────────────────────────────────────────────────

    def cut(self, user: User | None = None) -> int:
        """End sockets without a close frame, as a server that is stopped or killed does (1006).

        All of them, or a person's; gives how many.
        """
        ended = list(self.sockets) if user is None else self.sockets_of(user)
        for one in ended:
            one.cut()
        return len(ended)

    async def close(self, code: int = GOING_AWAY) -> None:
        """End all sockets in good order, as a proxy that is restarted does."""
        await asyncio.gather(*(one.close(code) for one in list(self.sockets)))

    def end(self, operations: Sequence[Operation], *, error: str | None = None) -> None:
        """End subscriptions from the server's side: with `complete`, or with `error`."""
        for one in operations:
            self.remove(one)
            one.socket.operations.pop(one.id, None)
            if error is None:
                one.send("complete", None)
            else:
                one.send("error", {"message": error})

    def freeze(self) -> None:
        """Answer nothing on any socket, pings neither, nor a new one; all stay open."""
        self.thawed.clear()
        for one in self.sockets:
            one.read_no_more(True)

    def thaw(self) -> None:
        """Go on: what was published meanwhile comes at once."""
        self.thawed.set()
        for one in self.sockets:
            one.read_no_more(False)

    # ── serving ───────────────────────────────────────────────────────────────────────────────

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One socket, from its handshake to its end. The first subprotocol offered is taken."""
        await self.thawed.wait()
        if self.faults.refuse:
            return web.Response(status=503)
        first = request.headers.get("Sec-WebSocket-Protocol", "").partition(",")[0].strip()
        ws = web.WebSocketResponse(protocols=[first] if first else [])
        try:
            await ws.prepare(request)
        except ConnectionResetError:  # the client has gone, maybe when half of it was prepared
            return web.Response(status=503)
        socket = SubscriptionSocket(self, request, ws)
        self.sockets.append(socket)
        self.opened += 1
        try:
            await socket.run()
        finally:
            self.sockets.remove(socket)
            for one in self.subscriptions():
                if one.socket is socket:
                    self.remove(one)
        return ws

    def publish(self, change: Publication) -> None:
        """Send a frame to each subscription that wants the change."""
        project_id = "" if change.user is not None else change.project.id
        for one in list(self._operations.get((change.field, project_id), ())):
            if not one.subscription.wants(change):
                continue
            is_lost = self.faults.loses()
            self._note(LiveNoteKind.LOST if is_lost else LiveNoteKind.RANG, one, change)
            if is_lost:
                self.frames_lost += 1
                continue
            one.send("data", one.subscription.frame(change))

    def add(self, operation: Operation) -> None:
        """A subscription runs."""
        if self._count(operation, 1) == 1:
            self._note(LiveNoteKind.LISTENS, operation)
        self._operations[_key(operation)].append(operation)

    def remove(self, operation: Operation) -> None:
        """It does no longer; nothing if it did not."""
        there = self._operations[_key(operation)]
        if operation in there:
            there.remove(operation)
            if self._count(operation, -1) == 0:
                self._note(LiveNoteKind.ENDED, operation)

    def _count(self, operation: Operation, change: int) -> int:
        """How many subscriptions to the same project its person has now."""
        key = operation.subscription.project_id, operation.socket.user
        self._running[key] += change
        return self._running[key]

    def _note(
        self, kind: LiveNoteKind, operation: Operation, change: Publication | None = None
    ) -> None:
        user, project_id = operation.socket.user, operation.subscription.project_id
        if user is None or not project_id:
            return
        what = "" if change is None else change.field
        how = "" if change is None else str(change.message.get("type", ""))
        self._record.note(kind, project_id, user, what, how)

    def on_sent(self, frame: Frame) -> None:
        """A frame was written."""
        self.frames_sent += frame["type"] == "data"

    def stop(self) -> None:
        """The server ends: recorded, its sockets are cut."""
        self.thaw()
        self.cut()


def _key(operation: Operation) -> tuple[str, str]:
    return operation.subscription.field, operation.subscription.project_id


def wants_socket(request: web.Request) -> bool:
    """Whether a request is a handshake."""
    return request.headers.get("Upgrade", "").lower() == "websocket"
