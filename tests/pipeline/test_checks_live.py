"""What automations found out, heard of by a socket: the whole bot between two servers."""

from dataclasses import replace

import pytest

from bot.app import Timings
from bot.pipeline.enrichment.timings import EnrichmentTimings
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4, FunctionRun, Release
from tests.pipeline.test_checks import asked_at
from tests.pipeline.test_live import BY_SOCKET, QUICK, Workshop
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.waiting import until


@pytest.fixture(params=[SPECKLE_2_31, SPECKLE_4], ids=lambda release: release.name)
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


@pytest.fixture
def timings() -> Timings:
    """Nothing is asked but what rings."""
    enrichment = EnrichmentTimings(rings_together_s=0.2, checks=asked_at(3600.0))
    return replace(QUICK, enrichment=enrichment)


async def test_a_check_that_goes_on_is_heard_by_the_socket(workshop: Workshop) -> None:
    server = workshop.server
    async with workshop.start(pace=BY_SOCKET):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        await workshop.subscribe()
        await until(lambda: bool(server.live_record.of(workshop.tower)))
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        (version,) = workshop.tower.versions
        run = server.run_automation(version, FunctionRun("RUNNING"))
        await until(lambda: "1 check still running" in workshop.shown())
        server.run_automation(version, FunctionRun("SUCCEEDED"), run=run)
        await until(lambda: "1 check passed" in workshop.shown())
        asked = len(server.asked("VersionChecks"))
        for number in range(50):  # which ring together
            late = server.run_automation(version, FunctionRun("FAILED"), name=f"Check {number}")
            server.run_automation(version, FunctionRun("SUCCEEDED"), run=late)
        await until(lambda: "51 checks passed" in workshop.shown())
        assert len(server.asked("VersionChecks")) - asked < 10
        assert workshop.shown().count("New version") == 1
