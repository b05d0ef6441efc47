"""Thousands of entries of a weekend away: all of them, in order, with few questions, a few at a
time.
"""

import asyncio
import re
import signal
import sys
from asyncio.subprocess import Process
from pathlib import Path

import pytest
from sqlalchemy import select

from bot.app import Timings
from bot.db.tables import inbox
from bot.speckle_api.activity_list import PAGE
from tests.conftest import only_2_31
from tests.pipeline.test_live import LIVE, QUICK, Workshop
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_stopping import process
from tests.waiting import until

ENTRIES = 1_000
SHOWN_EACH = 50
INFO = "x" * 100_000  # the bot may not hold that of all together
MORE_MB = 1.2 * len(INFO) * ENTRIES / 1e6
WITHIN_S = 120.0
MIB = 1024


@pytest.fixture
def timings() -> Timings:
    return QUICK


@pytest.fixture
def kind() -> str:
    return "sqlite"  # the same with both, and long


def shown(workshop: Workshop) -> list[int]:
    return [int(one) for one in re.findall(r"pour no (\d+)", workshop.shown())]


def most_mb(bot: Process) -> float:
    """What a process has held at most."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{bot.pid}/status").read_text("utf-8"))
    return int(line) / MIB


async def _read(bot: Process) -> None:
    assert bot.stderr is not None
    async for _ in bot.stderr:
        pass


@only_2_31
@pytest.mark.skipif(sys.platform != "linux", reason="/proc says what a process has held")
async def test_a_weekend_away(
    workshop: Workshop, database_url: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, tower = workshop.server, workshop.tower
    monkeypatch.setenv("SPECKLE_SERVERS", server.url)
    monkeypatch.setenv("SPECKLE__ENRICH_DEADLINE_S", "0")
    async with workshop.start():
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe(models="structure/**")
    seen, other = server.add_model(tower, "structure/slab"), server.add_model(tower, "site")
    for number in range(ENTRIES):
        model = other if number % SHOWN_EACH else seen
        server.add_version(
            tower, model, author=workshop.ilse, message=f"pour no {number}", object_count=0
        )
        tower.activity[-1].info["padding"] = INFO
    wanted = list(range(0, ENTRIES, SHOWN_EACH))
    asked_before = len(server.asked("Activity"))
    async with process(workshop.studio.sandbox, database_url, key) as bot:
        # What it logs is more than a pipe holds.
        logged = asyncio.create_task(_read(bot))
        held_mb = most_mb(bot)
        await until(lambda: len(shown(workshop)) >= len(wanted), WITHIN_S)
        assert most_mb(bot) - held_mb < MORE_MB
        bot.send_signal(signal.SIGTERM)
        await logged
    asked = server.asked("Activity")[asked_before:]
    assert len(asked) <= ENTRIES // PAGE + ENTRIES // (PAGE // 2) + 10
    assert max(one.variables["limit"] for one in asked) <= PAGE
    async with workshop.start() as app:
        await workshop.two_turns_more(app)
        names = select(inbox.c.happened_at).where(inbox.c.event_name == "commit_create")
        times = await app.storage.read(lambda tx: [*tx.session.scalars(names.order_by(inbox.c.id))])
        assert times == [one.time for one in tower.activity if one.action == "commit_create"]
    assert shown(workshop) == wanted
