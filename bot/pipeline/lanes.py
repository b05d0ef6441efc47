"""Work that keeps its order within a lane and runs side by side across lanes, in turns."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Sequence
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
    """Finds due items, at most one a lane at a time, and works on up to `at_once` of them.

    `find(limit, busy)` gives due items of lanes not in `busy`, of each tenant at least its first
    `limit`; `due_in(busy)` the seconds until there are some; `lane_of` names an item's lane,
    `tenant_of` whom it is done for: tenants take turns. `work` deals with one item and leaves its
    outcome in the database, so that a lane whose work failed is simply found again.
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
        work: Callable[[Item], Awaitable[None]],
    ) -> None:
        self._name = name
        self._find = find
        self._due_in = due_in
        self._lane_of = lane_of
        self._tenant_of = tenant_of
        self._work = work
        self._turns = Turns(at_once, key_of=lane_of, tenant_of=tenant_of)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Say that there may be something to do now."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is in hand then gets `DRAIN_S` to end."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                found = await self._due()
                for item in self._turns.take(found):
                    name = f"{self._name} {self._lane_of(item)}"
                    task = asyncio.create_task(self._one(item), name=name)
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._wait(IDLE_POLL_S if found else await self._pause_s())
        finally:
            await _drain(tasks)

    async def _due(self) -> Sequence[Item]:
        if not self._turns.free:
            return ()
        try:
            return await self._find(self._turns.free, self._turns.busy)
        except StorageUnavailable as error:
            log.error("lanes.database_unavailable", lanes=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
            return ()

    async def _pause_s(self) -> float:
        """Seconds until something is due, as far as is known."""
        if not self._turns.free:
            return IDLE_POLL_S  # whoever is done first wakes it
        try:
            due_in_s = await self._due_in(self._turns.busy)
        except StorageUnavailable:
            return IDLE_POLL_S
        return IDLE_POLL_S if due_in_s is None else min(IDLE_POLL_S, max(due_in_s, LEAST_PAUSE_S))

    async def _wait(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _one(self, item: Item) -> None:
        tenant.set(self._tenant_of(item))
        try:
            await self._work(item)
        except StorageUnavailable as error:
            log.error("lanes.database_unavailable", lanes=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
        except Exception:
            log.exception("lanes.failed", lanes=self._name, lane=str(self._lane_of(item)))
            await asyncio.sleep(RECOVERY_PAUSE_S)
        finally:
            self._turns.give_back(item)
            self._wake.set()


async def _drain(tasks: set[asyncio.Task[None]]) -> None:
    """Let tasks end; cancel those that take too long: the next start finds their work again."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=DRAIN_S)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
