"""The pace of the whole bot, and what the answers' heads say of it."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from yarl import URL

from bot.discord_api.client import SpeckleBot
from bot.discord_api.rate_limits import MAX_REFUSED, RateLimiter, RejectedRequest, current_request
from bot.fairness import current_tenant

LIMITED = {"Via": "1.1 google", "X-RateLimit-Scope": "user", "X-RateLimit-Reset-After": "1.25"}


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def heard(pace: RateLimiter, status: int, headers: dict[str, str]) -> RejectedRequest | None:
    """What the one hears who waits for an answer with this head."""
    waiting: asyncio.Future[RejectedRequest] = asyncio.get_running_loop().create_future()
    before = current_request.set(waiting)
    pace.heard(status, headers)
    current_request.reset(before)
    return waiting.result() if waiting.done() else None


async def test_a_limit_of_one_channel_is_told_to_who_waits_and_to_nobody_else() -> None:
    pace = RateLimiter(45)
    assert await heard(pace, 429, LIMITED) == RejectedRequest(429, 1.25)
    assert pace.blocked_for_s() == 0


async def test_a_limit_of_the_whole_bot_closes_for_all_and_leaves_discord_py_its_own_gate() -> None:
    clock = Clock()
    pace = RateLimiter(45, clock)
    assert await heard(pace, 429, LIMITED | {"X-RateLimit-Scope": "global"}) is None
    assert pace.blocked_for_s() == 1.25
    clock.now_s = 1.5
    assert pace.blocked_for_s() == 0


async def test_a_ban_closes_for_all() -> None:
    pace = RateLimiter(45, Clock())
    assert await heard(pace, 429, {"Retry-After": "3600"}) is None
    assert pace.blocked_for_s() == 60


async def test_errors_of_discords_servers_are_told_at_once_and_good_answers_are_not() -> None:
    pace = RateLimiter(45)
    assert await heard(pace, 502, {}) == RejectedRequest(502, None)
    assert await heard(pace, 200, {}) is None
    assert await heard(pace, 400, {}) is None


async def test_a_429_without_any_time_waits_some_seconds() -> None:
    assert await heard(
        RateLimiter(45), 429, {"Via": "1.1 google", "Retry-After": "soon"}
    ) == RejectedRequest(429, 5.0)


async def test_many_refusals_close_for_all_until_the_oldest_are_ten_minutes_old() -> None:
    clock = Clock()
    pace = RateLimiter(45, clock)
    for number in range(MAX_REFUSED):
        clock.now_s = number / 100
        pace.heard(403 if number % 2 else 401, {})
    assert pace.blocked_for_s() == 600 - clock.now_s
    clock.now_s = 600.005
    assert pace.blocked_for_s() == 0


async def test_limits_that_others_share_and_missing_things_are_no_refusals() -> None:
    clock = Clock()
    pace = RateLimiter(45, clock)
    for _ in range(MAX_REFUSED):
        pace.heard(429, LIMITED | {"X-RateLimit-Scope": "shared"})
        pace.heard(404, {})
    assert pace.blocked_for_s() == 0


@pytest.mark.parametrize("sends", [True, False])
async def test_guilds_take_turns(sends: bool) -> None:
    """Whether it is a message, or a question about who sees a channel."""
    pace = RateLimiter(1_000)
    went: list[str] = []

    async def ask(whose: str) -> None:
        current_tenant.set(whose)
        if sends:
            current_request.set(asyncio.get_running_loop().create_future())
        params: Any = SimpleNamespace(url=URL("https://discord.com/api/v10/channels/1/messages"))
        session: Any = None
        await pace._starting(session, SimpleNamespace(), params)
        went.append(whose)

    busy = [asyncio.create_task(ask("busy")) for _ in range(30)]
    await asyncio.sleep(0)
    await asyncio.gather(*busy, asyncio.create_task(ask("quiet")))
    assert went.index("quiet") < 10


# ── discord.py's own buckets ──────────────────────────────────────────────────────────────────


async def nothing(*_: object) -> None:
    pass


async def test_who_stops_waiting_after_an_answer_leaves_the_bucket_open_for_the_next() -> None:
    bot = SpeckleBot(RateLimiter(45), load=nothing, save=nothing, on_guilds=nothing)
    bucket = bot.http.get_ratelimit("GET /guilds/{guild_id}/members/{user_id}:1")
    answered = asyncio.Event()

    async def ask() -> None:
        async with bucket:
            answered.set()

    asking = asyncio.create_task(ask())
    await answered.wait()  # and so before discord.py, which gives the place back now, is done
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()
    async with asyncio.timeout(1.0), bucket:
        pass
