"""Tries again and work again and again: how long each waits, and what a failure changes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from structlog.testing import capture_logs

from bot.errors import StorageUnavailable
from bot.timing import Backoff, periodic

NEVER_S = 3600.0


def test_each_failure_has_its_delay_and_the_last_one_repeats() -> None:
    backoff = Backoff((1.0, 5.0, 30.0))
    assert [backoff.delay_s(failures) for failures in range(5)] == [1.0, 5.0, 30.0, 30.0, 30.0]


@pytest.mark.parametrize(("rand", "delay_s"), [(0.0, 8.0), (0.5, 10.0), (1.0, 12.0)])
def test_jitter_makes_a_delay_shorter_or_longer(rand: float, delay_s: float) -> None:
    assert Backoff((10.0,), jitter=0.2).delay_s(0, lambda: rand) == delay_s


@contextlib.asynccontextmanager
async def at_work(
    work: Callable[[], Awaitable[float | None]],
    *,
    every_s: float = NEVER_S,
    wake: asyncio.Event | None = None,
) -> AsyncIterator[None]:
    task = asyncio.create_task(periodic("tides", work, every_s=every_s, wake=wake))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Rounds:
    """Work that counts how often it is done; each round gives or raises what stands here."""

    def __init__(self, *outcomes: float | Exception | None) -> None:
        self._outcomes = iter(outcomes)
        self._done = asyncio.Semaphore(0)

    async def __call__(self) -> float | None:
        self._done.release()
        outcome = next(self._outcomes, None)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def happen(self, count: int) -> None:
        async with asyncio.timeout(5.0):
            for _ in range(count):
                await self._done.acquire()


async def test_the_first_round_is_at_once_and_the_next_after_its_time() -> None:
    rounds = Rounds()
    async with at_work(rounds, every_s=0.01):
        await rounds.happen(3)


async def test_a_round_may_give_another_wait() -> None:
    rounds = Rounds(0.01, 0.0)
    async with at_work(rounds):
        await rounds.happen(3)


async def test_an_event_that_is_set_ends_the_wait() -> None:
    rounds, wake = Rounds(), asyncio.Event()
    async with at_work(rounds, wake=wake):
        await rounds.happen(1)
        wake.set()
        await rounds.happen(1)


async def test_a_failure_is_logged_and_the_next_round_comes() -> None:
    rounds = Rounds(StorageUnavailable("it restarts"), ValueError("odd"))
    with capture_logs() as logs:
        async with at_work(rounds, every_s=0.01):
            await rounds.happen(3)
    assert [(line["event"], line["worker"]) for line in logs] == [
        ("worker.database_unavailable", "tides"),
        ("worker.failed", "tides"),
    ]
