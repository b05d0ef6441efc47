"""The bot is killed while it takes cards back and renders them again: nothing is lost or twice."""

import asyncio
import random
import signal
import sys
from datetime import timedelta

import pytest

from tests.conftest import only_2_31
from tests.pipeline.conftest import Run, Studio
from tests.pipeline.deliveries import route_to
from tests.pipeline.test_stopping import process
from tests.pipeline.tower import Tower
from tests.pipeline.world import OBJECTS, stage_of
from tests.stored import waiting_count
from tests.waiting import until

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="these are signals of Unix")

EVENTS = 12
KILLS = 4
SEED = 9


@only_2_31
async def test_events_that_are_held_outlive_kills_at_any_moment(
    studio: Studio,
    run: Run,
    tower: Tower,
    database_url: str,
    key: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when = random.Random(SEED)  # noqa: S311
    stage = stage_of(run, studio, tower)
    monkeypatch.setenv("SPECKLE_SERVERS", tower.server.url)
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        for number in range(EVENTS):
            await at.publish(f"version no {number:02}")

        async def all_wait() -> bool:
            return await at.app.storage.read(waiting_count) == EVENTS

        await until(all_wait)
        await at.the_last_yes_was(timedelta(minutes=11))
    owner = tower.server.add_user("Ada Okafor")
    tower.server.set_role(tower.project, owner, "stream:owner")
    for kill in range(KILLS):
        # The account has no access, then it has, and so on: cards are taken back and made again.
        role = None if kill % 2 == 0 else "stream:reviewer"
        tower.server.set_role(tower.project, tower.ilse, role)
        async with process(studio.sandbox, database_url, key) as bot:
            await asyncio.sleep(when.uniform(0.0, 1.5))
            bot.send_signal(signal.SIGKILL)
            await bot.wait()
    studio.sandbox.faults.heal()
    wanted = [f"version no {number:02}" for number in range(EVENTS)]
    async with stage() as at:
        await at.taken_over(there, studio.maren, None)
        await at.shows(studio.structure, wanted[-1])
        assert at.quotes(studio.structure) == wanted
        assert OBJECTS not in at.shown(studio.structure)
