"""The bot is killed while it listens: nothing is lost, nothing is shown twice."""

import asyncio
import random
import signal
import sys

import pytest

from bot.app import Timings
from tests.conftest import only_2_31
from tests.pipeline.test_live import LIVE, QUICK, Workshop
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_stopping import process
from tests.waiting import until

KILLS = 4
SEED = 14


@pytest.fixture
def timings() -> Timings:
    return QUICK


@only_2_31
@pytest.mark.skipif(sys.platform == "win32", reason="these are signals of Unix")
async def test_kills_lose_nothing_and_show_nothing_twice(
    workshop: Workshop, database_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = random.Random(SEED)  # noqa: S311
    monkeypatch.setenv("SPECKLE_SERVERS", workshop.server.url)
    monkeypatch.setenv("PUBLIC_URL", "")
    monkeypatch.setenv("LIVE__EVERY_S", "1")
    monkeypatch.setenv("LIVE__SOCKETS_FROM", "0")
    names: list[str] = []

    async def work() -> None:
        while True:
            names.append(f"pour {len(names):02}")
            workshop.publish(names[-1])
            await asyncio.sleep(0.5)

    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
    working = asyncio.create_task(work())
    for _ in range(KILLS):
        async with process(workshop.studio.sandbox, database_url, key) as bot:
            await asyncio.sleep(when.uniform(0.0, 2.0))
            bot.send_signal(signal.SIGKILL)
            await bot.wait()
    working.cancel()
    async with workshop.start():
        await until(lambda: names[-1] in workshop.shown(), within_s=60)
        await workshop.shows(*names)
