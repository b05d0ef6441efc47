"""One WebSocket an account, which says when a project is to be read. It is no proof of anything."""

import asyncio
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from functools import partial

import structlog

from bot.errors import SpeckleError, StorageUnavailable
from bot.services.token_lending import TokenLender
from bot.speckle_api.live_frames import (
    WITH_LISTS,
    WITHOUT_LISTS,
    Dead,
    Heard,
    LiveKind,
    Rang,
    Settled,
)
from bot.speckle_api.live_socket import LiveSocket, LiveSockets
from bot.speckle_api.types import Login
from bot.timing import Backoff

log = structlog.get_logger()

OPEN_S = 0.1  # of a server's time, about, so that all that broke together do not come back together
LONGEST_SPREAD_S = 60.0
RETRY = Backoff((1.0, 5.0, 15.0, 60.0, 300.0), jitter=0.3)
HELD_S = 60.0  # one that was open for so long had not failed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an account's socket is to tell of; `lists`: the server has activity lists."""

    server_url: str
    projects: frozenset[str]
    lists: bool


@dataclass(slots=True)
class _Held:
    """One account's socket: what it is to tell of, and the task that holds it."""

    wanted: Wanted
    task: asyncio.Task[None] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Rings:
    """Holds the sockets that are wanted, each in a task that `start` begins under a name.

    `on_ring` is told an account and a project; `on_settled` an account whose socket tells of all of
    its projects from now on: what happened before, somebody has to look for. `on_checks` is told
    the server, the project and the version that an automation runs on.
    """

    def __init__(
        self,
        sockets: LiveSockets,
        lender: TokenLender,
        *,
        start: Callable[[Coroutine[None, None, None], str], asyncio.Task[None]],
        on_ring: Callable[[int, str], None],
        on_settled: Callable[[int], None],
        on_checks: Callable[[str, str, str], None],
        retry: Backoff = RETRY,
    ) -> None:
        self._sockets = sockets
        self._lender = lender
        self._start = start
        self._on_ring = on_ring
        self._on_settled = on_settled
        self._on_checks = on_checks
        self._retry = retry
        self._held: dict[int, _Held] = {}

    def keep(self, wanted: Mapping[int, Wanted]) -> None:
        """Hold these accounts' sockets from now on, and no others."""
        for account_id in self._held.keys() - wanted.keys():
            task = self._held.pop(account_id).task
            if task is not None:
                task.cancel()
        for account_id, one in wanted.items():
            held = self._held.get(account_id)
            if held is None:
                held = self._held[account_id] = _Held(one)
                alike = sum(o.wanted.server_url == one.server_url for o in self._held.values())
                spread_s = min(alike * OPEN_S, LONGEST_SPREAD_S)
                held.task = self._start(self._hold(account_id, held, spread_s), "socket")
            elif held.wanted != one:
                held.wanted = one
                held.changed.set()

    async def _hold(self, account_id: int, held: _Held, spread_s: float) -> None:
        """Open an account's socket again and again, until cancelled."""
        loop, failures = asyncio.get_running_loop(), 0
        await asyncio.sleep(random.uniform(0, spread_s))  # noqa: S311
        while True:
            begun_at = loop.time()
            try:
                ended = await self._lender.as_account(
                    account_id, partial(self._listen, account_id, held)
                )
            except SpeckleError as error:
                ended = error.reason
            except StorageUnavailable as error:
                ended = error.reason
            except Exception:  # a fault of ours over one socket; questions are asked all the same
                log.exception("listening.socket_failed", account_id=account_id)
                ended = "fault"
            failures = 0 if loop.time() - begun_at > HELD_S else failures + 1
            log.info("listening.socket_ended", account_id=account_id, reason=ended)
            wait_s = self._retry.delay_s(failures - 1) if failures else 0.0
            await asyncio.sleep(wait_s + random.uniform(0, spread_s))  # noqa: S311

    async def _listen(self, account_id: int, held: _Held, login: Login) -> str:
        """Hear until the socket ends; why it did."""
        async with self._sockets.connect(login) as socket, asyncio.TaskGroup() as tasks:
            held.changed.set()
            following = tasks.create_task(_follow(held, socket))
            async for heard in socket:
                self._note(account_id, held.wanted.server_url, heard)
            following.cancel()
            return socket.ended or ""

    def _note(self, account_id: int, server_url: str, heard: Heard) -> None:
        match heard:
            case Rang(project_id, LiveKind.CHECKS, version_id):
                if version_id is not None:
                    self._on_checks(server_url, project_id, version_id)
            case Rang(project_id):
                self._on_ring(account_id, project_id)
            case Settled():
                log.info("listening.socket_open", account_id=account_id)
                self._on_settled(account_id)
            case Dead(project_id, kind):
                log.info("listening.subscription_ended", project_id=project_id, kind=kind.value)


async def _follow(held: _Held, socket: LiveSocket) -> None:
    """Have a socket tell of what is wanted, as that changes."""
    lists = held.wanted.lists
    while True:
        await held.changed.wait()
        held.changed.clear()
        wanted = held.wanted
        there = frozenset(socket.projects)
        # What there is to be told of was not known before the server was asked for lists.
        stays = wanted.projects if wanted.lists == lists else frozenset[str]()
        lists = wanted.lists
        await socket.remove(there - stays)
        there &= stays
        if new := wanted.projects - there:
            await socket.add(sorted(new), _questions(wanted))


def _questions(wanted: Wanted) -> Mapping[LiveKind, str]:
    return WITH_LISTS if wanted.lists else WITHOUT_LISTS
