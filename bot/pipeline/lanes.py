"""Work that keeps its order within a lane and runs side by side across lanes, in turns."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog

from bot.errors import StorageUnavailable
from bot.turns import Turns, tenant

log = structlog.get_logger()

Item = TypeVar("Item")
Lane = TypeVar("Lane", bound=Hashable)

# After a fault of ours or the database's, before the lane is looked at again.
RECOVERY_PAUSE_S = 1.0
DRAIN_S = 4.0  # of the 10 s in all that service managers commonly give before they kill
LEAST_PAUSE_S = 0.05  # where something is due and must not go, such as while Discord is closed
IDLE_POLL_S = 2.0  # other processes commit too, and cannot wake this one


class LaneRunner(Generic[Item, Lane]):
    """Works on what is due: one item of a lane at a time, up to `at_once` in all.

    `find(limit, busy)` gives due items of lanes not in `busy`, of each tenant at least its first
    `limit`; `due_in(busy)` the seconds until there are some, None where that is not known;
    `lane_of` names an item's lane, `tenant_of` whom it is done for: tenants take turns. `work`
    deals with one item and leaves its outcome in the database, so that a lane whose work failed is
    simply found again. It says whether more of its lane is due now, None where that is to be
    looked up.
    """

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        find: Callable[[int, Collection[Lane]], Awaitable[Sequence[Item]]],
        due_in: Callable[[Collection[Lane]], Awaitable[float | None]],
        lane_of: Callable[[Item], Lane],
        tenant_of: Callable[[Item], Hashable],
        work: Callable[[Item], Awaitable[bool | None]],
    ) -> None:
        self._name = name
        self._find = find
        self._due_in = due_in
        self._lane_of = lane_of
        self._tenant_of = tenant_of
        self._work = work
        self._turns = Turns(at_once, key_of=lane_of, tenant_of=tenant_of)
        self._wake = asyncio.Event()
        self._known: dict[Lane, Item] = {}  # said to be due, and not begun yet
        self._look_at = 0.0  # by time.monotonic()
        self._left = False  # whether the last look found more than there were places for

    def wake(self, *due: Item) -> None:
        """Say that these may be due now; without any, that something may be."""
        self._known |= {self._lane_of(item): item for item in due}
        if not due:
            self._look_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is in hand then gets `DRAIN_S` to end."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                for item in await self._next():
                    name = f"{self._name} {self._lane_of(item)}"
                    task = asyncio.create_task(self._one(item), name=name)
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._wait()
        finally:
            await _drain(tasks)

    async def _next(self) -> Sequence[Item]:
        """What is begun now: of what is said to be due and, now and then, of all that is found."""
        if not self._turns.free:
            return ()
        looks = time.monotonic() >= self._look_at
        found = await self._look() if looks else {}
        busy = self._turns.busy
        due = {lane: item for lane, item in {**self._known, **found}.items() if lane not in busy}
        begun = self._turns.take(list(due.values()))
        for item in begun:
            self._known.pop(self._lane_of(item), None)
        if looks:
            self._left = not found.keys() <= self._turns.busy
        return begun

    async def _look(self) -> Mapping[Lane, Item]:
        free, busy = self._turns.free, self._turns.busy
        self._look_at = time.monotonic() + IDLE_POLL_S
        try:
            found = await self._find(free, busy)
            if not found and (due_in_s := await self._due_in(busy)) is not None:
                # The earlier one, as somebody may have said meanwhile that something is due.
                due_at = time.monotonic() + max(due_in_s, LEAST_PAUSE_S)
                self._look_at = min(self._look_at, due_at)
        except StorageUnavailable as error:
            log.error("lanes.database_unavailable", lanes=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
            return {}
        return {self._lane_of(item): item for item in found}

    async def _wait(self) -> None:
        """Wait until something is due; while there is no place, whoever is done first says so."""
        pause_s = self._look_at - time.monotonic() if self._turns.free else IDLE_POLL_S
        try:
            async with asyncio.timeout(max(0.0, pause_s)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _one(self, item: Item) -> None:
        tenant.set(self._tenant_of(item))
        more: bool | None = None
        try:
            more = await self._work(item)
        except StorageUnavailable as error:
            log.error("lanes.database_unavailable", lanes=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
        except Exception:
            log.exception("lanes.failed", lanes=self._name, lane=str(self._lane_of(item)))
            await asyncio.sleep(RECOVERY_PAUSE_S)
        finally:
            self._turns.give_back(item)
            if more:
                self._known.setdefault(self._lane_of(item), item)
            if more is None or self._left:
                self._look_at = 0.0
            self._wake.set()


async def _drain(tasks: set[asyncio.Task[None]]) -> None:
    """Let tasks end; cancel those that take too long: the next start finds their work again."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
