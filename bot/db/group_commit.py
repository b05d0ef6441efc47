"""Many tasks, one piece of work: what waits at the same time is done together."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, TypeVar

from bot.db.failures import TOO_LONG
from bot.errors import StorageUnavailable
from bot.fairness import current_tenant

T = TypeVar("T")
R = TypeVar("R")

MAX_ITEMS = 256


class GroupCommit(Generic[T, R]):
    """Collects items while one flush runs and hands all of them to the next.

    `flush(items)` gives one result an item, in order. A tenant's items are flushed in the order in
    which they were submitted; tenants take turns, item by item. An exception of a flush reaches
    each of its waiters. A waiter that is cancelled before its flush begins takes its item back;
    later ones take nothing back. So does one that has waited for `within_s`, which gets
    StorageUnavailable: one timer for all, as one for each costs a good part of what a delivery
    costs.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        within_s: float,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._name = name
        self._flush = flush
        self._within_s = within_s
        self._max_items = max_items
        # The tenant whose turn is next is the first.
        self._waiting: OrderedDict[Hashable, deque[tuple[T, asyncio.Future[R]]]] = OrderedDict()
        self._due: deque[tuple[float, asyncio.Future[R]]] = deque()  # by when each has its result
        self._timer: asyncio.TimerHandle | None = None
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Have the item flushed with whatever else waits, and give its result.

        Errors: StorageUnavailable if that takes too long; and what the flush raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.setdefault(current_tenant.get(), deque()).append((item, future))
        self._due.append((loop.time() + self._within_s, future))
        if self._timer is None:
            self._timer = loop.call_at(self._due[0][0], self._give_up, loop)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work(), name=f"batcher {self._name}")
        return await future

    async def close(self) -> None:
        """Wait until all that was submitted is flushed."""
        if self._worker is not None:
            await self._worker

    async def _work(self) -> None:
        try:
            while batch := self._next():
                await self._flush_some(batch)
        finally:
            self._worker = None
            for queue in self._waiting.values():  # left only if the worker itself was cancelled
                for _, future in queue:
                    future.cancel()
            self._waiting.clear()

    def _next(self) -> Sequence[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_items:
            whose, queue = self._waiting.popitem(last=False)
            item, future = queue.popleft()
            if queue:
                self._waiting[whose] = queue  # behind the others
            if not future.done():
                batch.append((item, future))
        return batch

    async def _flush_some(self, batch: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        futures = [future for _, future in batch]
        try:
            results = await self._flush([item for item, _ in batch])
            for future, result in zip(futures, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except Exception as error:  # raised again in each task that waits
            for future in futures:
                if not future.done():
                    future.set_exception(error)
        finally:
            for future in futures:
                future.cancel()  # no effect on those that are done
            while self._due and self._due[0][1].done():
                self._due.popleft()

    def _give_up(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let those go that have waited too long, and look again when it is so of the next."""
        self._timer = None
        while self._due and (self._due[0][1].done() or self._due[0][0] <= loop.time()):
            _, future = self._due.popleft()
            if not future.done():
                future.set_exception(StorageUnavailable(TOO_LONG))
        if self._due:
            self._timer = loop.call_at(self._due[0][0], self._give_up, loop)
