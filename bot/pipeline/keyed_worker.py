"""Work that keeps its order within an ordering key and runs side by side across ordering keys, in
turns.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog

from bot.errors import StorageUnavailable
from bot.fairness import FairScheduler, current_tenant

log = structlog.get_logger()

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)

# After a fault of ours or the database's, before the ordering key is looked at again.
RECOVERY_PAUSE_S = 1.0
DRAIN_S = 4.0  # of the 10 s in all that service managers commonly give before they kill
LEAST_PAUSE_S = 0.05  # where something is due and must not go, such as while Discord is closed
RESTS = 3
IDLE_POLL_S = 2.0  # other processes commit too, and cannot wake this one


class KeyedWorker(Generic[Item, Key]):
    """Works on what is due: one item of an ordering key at a time, up to `at_once` in all.

    `find_due(limit, busy)` gives due items of ordering keys not in `busy`, of each tenant at least
    its first `limit`; `due_in(busy)` the seconds until there are some, None where that is not
    known; `key_of` names an item's ordering key, `tenant_of` whom it is done for: tenants take
    turns. `handle` deals with one item and leaves its outcome in the database, so that an ordering
    key whose work failed is simply found again. It says whether more of its ordering key is due
    now, None where that is to be looked up. After a turn an ordering key rests `RESTS` times as
    long as that took, up to `rest_s`, so that the busier all is, the more goes together; where
    `handle` left more, it continues at once.
    """

    def __init__(
        self,
        name: str,
        *,
        at_once: int,
        find_due: Callable[[int, Collection[Key]], Awaitable[Sequence[Item]]],
        due_in: Callable[[Collection[Key]], Awaitable[float | None]],
        key_of: Callable[[Item], Key],
        tenant_of: Callable[[Item], Hashable],
        handle: Callable[[Item], Awaitable[bool | None]],
        rest_s: float = 0.0,
    ) -> None:
        self._name = name
        self._find_due = find_due
        self._due_in = due_in
        self._key_of = key_of
        self._tenant_of = tenant_of
        self._handle = handle
        self._scheduler = FairScheduler(at_once, key_of=key_of, tenant_of=tenant_of)
        self._wake = asyncio.Event()
        self._known: dict[Key, Item] = {}  # said to be due, and not begun yet
        self._rest_s = rest_s
        self._rests_until: dict[Key, float] = {}  # by time.monotonic(), as the next one
        self._look_at = 0.0
        self._left = False  # whether the last look found more than there were places for

    def wake(self, *due: Item) -> None:
        """Say that these may be due now; without any, that something may be."""
        self._known |= {self._key_of(item): item for item in due}
        if not due:
            self._look_at = 0.0
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled; what is being processed then gets `DRAIN_S` to end."""
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                self._wake.clear()
                for item in await self._next():
                    name = f"{self._name} {self._key_of(item)}"
                    task = asyncio.create_task(self._one(item), name=name)
                    tasks.add(task)
                    task.add_done_callback(tasks.discard)
                await self._wait()
        finally:
            await _drain(tasks)

    async def _next(self) -> Sequence[Item]:
        """What is begun now: of what is said to be due and, now and then, of all that is found."""
        if not self._scheduler.free_slots:
            return ()
        looks = time.monotonic() >= self._look_at
        found = await self._look() if looks else {}
        busy = self._scheduler.busy_keys
        resting = self._resting()
        self._known |= {key: item for key, item in found.items() if key in resting}
        ready = {**self._known, **found}.items()
        due = [item for key, item in ready if key not in busy and key not in resting]
        begun = self._scheduler.assign(due)
        for item in begun:
            self._known.pop(self._key_of(item), None)
        if looks:
            self._left = not found.keys() <= self._scheduler.busy_keys
        return begun

    def _resting(self) -> Collection[Key]:
        """The ordering keys that had their turn just now."""
        now = time.monotonic()
        self._rests_until = {key: at for key, at in self._rests_until.items() if at > now}
        return self._rests_until.keys()

    async def _look(self) -> Mapping[Key, Item]:
        free, busy = self._scheduler.free_slots, self._scheduler.busy_keys
        # All workers at the same moments, so that the database is asked once for all of them.
        self._look_at = (time.monotonic() // IDLE_POLL_S + 1) * IDLE_POLL_S
        try:
            found = await self._find_due(free, busy)
            if not found and (due_in_s := await self._due_in(busy)) is not None:
                # The earlier one, as somebody may have said meanwhile that something is due.
                due_at = time.monotonic() + max(due_in_s, LEAST_PAUSE_S)
                self._look_at = min(self._look_at, due_at)
        except StorageUnavailable as error:
            log.error("worker.database_unavailable", worker=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
            return {}
        return {self._key_of(item): item for item in found}

    async def _wait(self) -> None:
        """Wait until something is due; while there is no place, the first to finish wakes it."""
        pause_s = self._look_at - time.monotonic() if self._scheduler.free_slots else IDLE_POLL_S
        rested = [at for key, at in self._rests_until.items() if key in self._known]
        pause_s = min(pause_s, min(rested, default=math.inf) - time.monotonic())
        try:
            async with asyncio.timeout(max(0.0, pause_s)):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _one(self, item: Item) -> None:
        current_tenant.set(self._tenant_of(item))
        more: bool | None = None
        begun_at = time.monotonic()
        try:
            more = await self._handle(item)
        except StorageUnavailable as error:
            log.error("worker.database_unavailable", worker=self._name, reason=error.reason)
            await asyncio.sleep(RECOVERY_PAUSE_S)
        except Exception:  # the top: what failed is found again, and others are not held up
            log.exception("worker.failed", worker=self._name, ordering_key=str(self._key_of(item)))
            await asyncio.sleep(RECOVERY_PAUSE_S)
        finally:
            self._scheduler.release(item)
            if more:
                self._known.setdefault(self._key_of(item), item)
            elif self._rest_s:
                now = time.monotonic()
                rest_s = min(self._rest_s, RESTS * (now - begun_at))
                self._rests_until[self._key_of(item)] = now + rest_s
            if more is None or (self._left and not self._known):
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
