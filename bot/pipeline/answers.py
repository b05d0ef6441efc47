"""Answers of Speckle servers, each asked for once by all who may see the same."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from functools import partial
from typing import Any, Generic, TypeVar

Answer = TypeVar("Answer")


class Answers(Generic[Answer]):
    """Keeps at most `most` answers for `keep_s`, and lets one question in flight serve several.

    A key says what was asked and with whose login: nobody gets what another login may see.
    """

    def __init__(
        self, *, most: int, keep_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[Hashable, tuple[float, Answer]] = {}
        self._asked: dict[Hashable, asyncio.Task[Answer]] = {}

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, Answer]]) -> Answer:
        """The answer, from whoever asked for it last; its error, if the question fails.

        Whoever stops waiting does not end a question that others may wait for.
        """
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < self._keep_s:
            return kept[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(ask(), name="question")
            task.add_done_callback(partial(self._answered, key))
        return await asyncio.shield(task)

    def has(self, key: Hashable) -> bool:
        """Whether there is an answer that nobody has to wait for."""
        kept = self._kept.get(key)
        return kept is not None and self._clock() - kept[0] < self._keep_s

    def forget(self, key: Hashable) -> None:
        """Ask anew next time."""
        self._kept.pop(key, None)

    def close(self) -> None:
        """End what is still being asked."""
        for task in self._asked.values():
            task.cancel()

    def _answered(self, key: Hashable, task: asyncio.Task[Answer]) -> None:
        del self._asked[key]
        if task.cancelled() or task.exception() is not None:
            return
        self._kept.pop(key, None)
        self._kept[key] = (self._clock(), task.result())
        while len(self._kept) > self._most:
            del self._kept[next(iter(self._kept))]
