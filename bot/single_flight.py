"""A cache that asks once for all who want the same at the same time."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar

from cachetools import TTLCache

Value = TypeVar("Value")


class SingleFlightCache(Generic[Value]):
    """Keeps at most `max_values` for `ttl_s`; a question in flight serves everybody with its key.

    A key says what was asked and with whose login: nobody gets what another login may see.
    """

    def __init__(
        self, *, max_values: int, ttl_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._values = TTLCache[Hashable, Value, float](max_values, ttl_s, clock)
        self._asked: dict[Hashable, asyncio.Task[Value]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """The value of the last question for it; the error of the question, if it fails.

        A caller that stops waiting does not end a question that others may wait for.
        """
        with suppress(KeyError):
            return self._values[key]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(ask(), name="question")
            task.add_done_callback(partial(self._answered, key))
        return await asyncio.shield(task)

    def has(self, key: Hashable) -> bool:
        """Whether there is a value that nobody has to wait for."""
        return key in self._values

    def forget(self, key: Hashable) -> None:
        """Ask again next time."""
        self._values.pop(key, None)

    def close(self) -> None:
        """End what is still being asked."""
        for task in self._asked.values():
            task.cancel()

    def _answered(self, key: Hashable, task: asyncio.Task[Value]) -> None:
        del self._asked[key]
        if not task.cancelled() and task.exception() is None:
            self._values[key] = task.result()
