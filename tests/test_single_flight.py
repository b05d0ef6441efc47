"""Answers that several wait for: asked for once, kept for a while, never for another login."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from bot.single_flight import SingleFlightCache
from bot.speckle_api.types import Login

ILSE = Login("https://speckle.kestrel.example", "token-of-ilse")
STRANGER = Login("https://speckle.kestrel.example")


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Server:
    """Answers with a number that counts its questions, as soon as it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.open = asyncio.Event()
        self.error: Exception | None = None

    def ask(self) -> Coroutine[Any, Any, int]:
        async def answer() -> int:
            self.asked += 1
            number = self.asked
            await self.open.wait()
            if self.error is not None:
                raise self.error
            return number

        return answer()


async def test_a_question_in_flight_serves_all_who_wait() -> None:
    answers, server = SingleFlightCache[int](max_values=10, ttl_s=60), Server()
    waiting = [asyncio.create_task(answers.get((ILSE, "v"), server.ask)) for _ in range(3)]
    await asyncio.sleep(0)
    server.open.set()
    assert await asyncio.gather(*waiting) == [1, 1, 1]


async def test_who_stops_waiting_does_not_end_it_for_the_others() -> None:
    answers, server = SingleFlightCache[int](max_values=10, ttl_s=60), Server()
    first = asyncio.create_task(answers.get("v", server.ask))
    second = asyncio.create_task(answers.get("v", server.ask))
    await asyncio.sleep(0)
    first.cancel()
    server.open.set()
    assert await second == 1
    assert first.cancelled()


async def test_another_login_asks_for_itself() -> None:
    answers, server = SingleFlightCache[int](max_values=10, ttl_s=60), Server()
    server.open.set()
    assert await answers.get((ILSE, "v"), server.ask) == 1
    assert await answers.get((STRANGER, "v"), server.ask) == 2
    assert await answers.get((ILSE, "v"), server.ask) == 1


async def test_an_answer_is_kept_for_a_while_and_an_error_not_at_all() -> None:
    clock = Clock()
    answers, server = SingleFlightCache[int](max_values=10, ttl_s=60, clock=clock), Server()
    server.open.set()
    server.error = ValueError("none")
    for _ in range(2):
        with pytest.raises(ValueError, match="none"):
            await answers.get("v", server.ask)
    server.error = None
    assert await answers.get("v", server.ask) == 3
    clock.now_s = 59
    assert await answers.get("v", server.ask) == 3
    clock.now_s = 60
    assert await answers.get("v", server.ask) == 4
    answers.forget("v")
    assert await answers.get("v", server.ask) == 5


async def test_only_so_many_are_kept_and_the_oldest_goes() -> None:
    answers, server = SingleFlightCache[int](max_values=2, ttl_s=60), Server()
    server.open.set()
    for key in "abc":
        await answers.get(key, server.ask)
    assert [await answers.get(key, server.ask) for key in "bca"] == [2, 3, 4]


async def test_what_is_still_asked_ends_with_the_bot() -> None:
    answers, server = SingleFlightCache[int](max_values=2, ttl_s=60), Server()
    waiting = asyncio.create_task(answers.get("v", server.ask))
    await asyncio.sleep(0)
    answers.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
