"""Stop signals, to the bot as a process of its own."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from sandbox.discord import Sandbox
from tests.pipeline.conftest import StartBot, Studio
from tests.pipeline.deliveries import follow, numbers_in, route_to, send_numbers, wait_for_numbers
from tests.stored import waiting_count
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are signals of Unix")

ROOT = Path(__file__).parents[2]
SLOW_S = 1.5


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@asynccontextmanager
async def process(
    sandbox: Sandbox, database_url: str, key: str, port: int | None = None
) -> AsyncIterator[Process]:
    """`python -m bot run` over the same database as `start_bot`, logged in."""
    port = port or free_port()
    environment = os.environ | {
        "DISCORD_TOKEN": sandbox.token,
        "DISCORD_API_URL": sandbox.api_url,
        "ENCRYPTION_KEYS": key,
        "DATABASE_URL": database_url,
        "WEBHOOK_PORT": str(port),
        "LOG_LEVEL": "info",
    }
    words = ("-m", "bot", "--config", os.devnull, "--env-file", os.devnull, "run")
    bot = await asyncio.create_subprocess_exec(
        sys.executable, *words, cwd=ROOT, env=environment, stderr=PIPE
    )

    async def ready() -> bool:
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{port}/readyz") as answer,
            ):
                return answer.ok
        except aiohttp.ClientError:
            return False

    try:
        await until(ready)
        yield bot
    finally:
        if bot.returncode is None:
            bot.kill()
        if bot.stderr is not None and not bot.stderr.at_eof():
            await bot.communicate()


async def in_flight(studio: Studio, start_bot: StartBot, slow_s: float) -> None:
    """Leave a card behind that the next bot will be sending for so long."""
    async with start_bot() as app:
        hook = await follow(app, studio, studio.structure)
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        await send_numbers(app, hook, range(1))

        async def waits() -> bool:
            return await app.storage.read(waiting_count) == 1

        await until(waits)
    studio.sandbox.faults.heal()
    studio.sandbox.faults.slow(route_to(studio.structure), slow_s, times=1)


async def being_sent(studio: Studio) -> bool:
    """Whether a request to the channel is in the sandbox's hands, and not yet looked at."""
    path = f"/channels/{studio.structure.id}/messages"
    return any(r.path == path and r.status == 0 for r in studio.sandbox.requests)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_signal_ends_what_is_in_flight_and_then_the_bot_with_0(
    studio: Studio, start_bot: StartBot, database_url: str, key: str, number: int
) -> None:
    await in_flight(studio, start_bot, SLOW_S)
    async with process(studio.sandbox, database_url, key) as bot:
        await until(partial(being_sent, studio), 30)
        bot.send_signal(number)
        _, said = await asyncio.wait_for(bot.communicate(), 15)
        assert bot.returncode == 0, said.decode()
        assert numbers_in(studio, studio.structure) == [0]
    async with start_bot() as app:
        assert await app.storage.read(waiting_count) == 0


async def test_a_second_signal_ends_the_bot_at_once_and_the_card_comes_once_all_the_same(
    studio: Studio, start_bot: StartBot, database_url: str, key: str
) -> None:
    await in_flight(studio, start_bot, 60.0)
    async with process(studio.sandbox, database_url, key) as bot:
        await until(partial(being_sent, studio), 30)
        bot.terminate()
        bot.terminate()  # an echo of the first
        assert bot.stderr is not None
        while b"app.stopping" not in await bot.stderr.readline():
            pass
        await asyncio.sleep(1.1)
        bot.terminate()
        _, said = await asyncio.wait_for(bot.communicate(), 15)
        assert bot.returncode == 1
        assert b"Stopped at once." in said
    async with start_bot():
        await wait_for_numbers(studio, studio.structure, range(1))
