"""What rings that an automation goes on: a server that rings without end drowns no other one."""

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Final, cast

from bot.pipeline.enrichment.late import MOST_RUNG, LateEnrichment
from bot.pipeline.enrichment.timings import EnrichmentTimings
from bot.work import LateAddition, RungVersion

AT: Final = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Written:
    """A database that only notes what it is to ask about."""

    def __init__(self) -> None:
        self.asked: set[RungVersion] = set()
        self.late_enrichment = self
        self.done = asyncio.Event()

    def ask_now(self, _: LateAddition, versions: Collection[RungVersion]) -> None:
        self.asked.update(versions)
        self.done.set()

    async def write(self, work: Callable[[Any], None]) -> None:
        work(self)


async def test_a_server_that_rings_without_end_drowns_no_other_one() -> None:
    database = Written()
    enrichment = SimpleNamespace(is_on=True, timings=EnrichmentTimings(rings_together_s=0.0))
    late = LateEnrichment(
        cast(Any, database),
        cast(Any, enrichment),
        cast(Any, None),
        cast(Any, None),
        on_changed=lambda: None,
        on_found=lambda: None,
        now=lambda: AT,
    )
    for number in range(3 * MOST_RUNG):
        late.checks_rang("https://liar.example", "project", f"version{number}")
    late.checks_rang("https://speckle.example", "tower", "version")
    answering = asyncio.create_task(late._answer_rings())
    async with asyncio.timeout(5.0):
        await database.done.wait()
    answering.cancel()
    with suppress(asyncio.CancelledError):
        await answering
    assert RungVersion("https://speckle.example", "tower", "version") in database.asked
    assert len(database.asked) == MOST_RUNG + 1
