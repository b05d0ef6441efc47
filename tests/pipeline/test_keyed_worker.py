"""Turns of ordering keys: in company where they come fast, at once where more is left."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from bot.pipeline.keyed_worker import KeyedWorker
from tests.waiting import until


class Queue:
    """Numbers that wait for one ordering key; a turn takes up to `most` of them."""

    def __init__(self, *, turn_s: float, most: int, rest_s: float) -> None:
        self.waiting: list[int] = []
        self.turns: list[list[int]] = []
        self.looked_at: list[float] = []
        self._turn_s = turn_s
        self._most = most
        self.worker = KeyedWorker[str, str](
            "test",
            at_once=2,
            find_due=self._due,
            due_in=self._never,
            key_of=str,
            tenant_of=str,
            handle=self._turn,
            rest_s=rest_s,
        )

    async def _due(self, _limit: int, _busy: Collection[str]) -> Sequence[str]:
        self.looked_at.append(asyncio.get_running_loop().time())
        return ["key"] if self.waiting else []

    async def _never(self, _busy: Collection[str]) -> None:
        return None

    async def _turn(self, _key: str) -> bool:
        taken, self.waiting = self.waiting[: self._most], self.waiting[self._most :]
        self.turns.append(taken)
        await asyncio.sleep(self._turn_s)
        return len(taken) == self._most

    def put(self, number: int) -> None:
        self.waiting.append(number)
        self.worker.wake("key")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.worker.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_what_comes_soon_after_a_turn_waits_and_goes_together() -> None:
    queue = Queue(turn_s=0.05, most=10, rest_s=10.0)
    async with queue.working():
        queue.put(0)
        await until(lambda: len(queue.turns) == 1)
        for number in range(1, 5):
            await asyncio.sleep(0.025)  # over the turn, and into its rest of 0.15 s
            queue.put(number)
        await until(lambda: len(queue.turns) == 2)
    assert queue.turns == [[0], [1, 2, 3, 4]]


async def test_what_a_turn_left_continues_at_once() -> None:
    queue = Queue(turn_s=0.01, most=2, rest_s=10.0)
    queue.waiting = list(range(5))
    loop = asyncio.get_running_loop()
    async with queue.working():
        started = loop.time()
        await until(lambda: not queue.waiting)
    assert queue.turns == [[0, 1], [2, 3], [4]]
    assert loop.time() - started < 1.0


async def test_a_rest_is_no_longer_than_its_most() -> None:
    queue = Queue(turn_s=0.2, most=10, rest_s=0.01)
    async with queue.working():
        queue.put(0)
        await until(lambda: len(queue.turns) == 1)
        queue.put(1)
        await until(lambda: len(queue.turns) == 2)
    assert queue.turns == [[0], [1]]


async def test_workers_with_nothing_to_do_look_at_the_same_moments() -> None:
    first, second = (Queue(turn_s=0.0, most=1, rest_s=0.0) for _ in range(2))
    apart_s = 0.5
    async with first.working():
        await asyncio.sleep(apart_s)
        async with second.working():
            await until(lambda: len(first.looked_at) > 1 and len(second.looked_at) > 1)
    assert second.looked_at[0] - first.looked_at[0] >= apart_s
    assert min(abs(second.looked_at[1] - at) for at in first.looked_at) < apart_s / 2
