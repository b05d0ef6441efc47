"""Many tasks, one piece of work: what waits at the same time is done together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

MAX_ITEMS = 256


class GroupCommit(Generic[T, R]):
    """Collects items while one flush runs and hands all of them to the next.

    `flush(items)` gives one result an item, in order. Items are flushed in the order in which they
    were submitted. An exception of a flush reaches each of its waiters. A waiter that is cancelled
    before its flush begins takes its item back; later ones take nothing back.
    """

    def __init__(
        self,
        name: str,
        flush: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        max_items: int = MAX_ITEMS,
    ) -> None:
        self._name = name
        self._flush = flush
        self._max_items = max_items
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._worker: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> R:
        """Have the item flushed with whatever else waits, and give its result."""
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
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
            for _, future in self._waiting:  # left only if the worker itself was cancelled
                future.cancel()
            self._waiting.clear()

    def _next(self) -> Sequence[tuple[T, asyncio.Future[R]]]:
        batch: list[tuple[T, asyncio.Future[R]]] = []
        while self._waiting and len(batch) < self._max_items:
            item, future = self._waiting.popleft()
            if not future.cancelled():
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
