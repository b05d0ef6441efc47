"""A webhook takes over what was live: nothing is lost, nothing is shown twice."""

import asyncio
from functools import partial

import pytest

from bot.app import Timings
from sandbox.speckle import commit_create_data
from sandbox.speckle.people_at_work import PersonAtWork
from tests.conftest import only_2_31
from tests.pipeline.test_live import LIVE, QUICK, Workshop, is_paused
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_owner_end_to_end import text_of
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    return QUICK


@only_2_31
@pytest.mark.parametrize("late", [False, True], ids=["delivered first", "listed first"])
async def test_while_a_webhook_takes_over_events_come_both_ways(
    workshop: Workshop, late: bool
) -> None:
    """Those before it are in the list alone; those after it come both ways, in either order."""
    deliveries = []

    def delivered(name: str) -> None:
        model = workshop.server.add_model(workshop.tower, f"structure/{name}")
        version = workshop.server.add_version(
            workshop.tower, model, author=workshop.ilse, message=name
        )
        deliveries.append(
            partial(
                workshop.server.fire,
                workshop.tower,
                "commit_create",
                commit_create_data(version),
                user=workshop.ilse,
            )
        )

    async with workshop.start(public=True):
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        await workshop.link(workshop.studio.maren, workshop.ilse)
        workshop.publish("columns set")
        assert "in Speckle for you" in await workshop.subscribe()
        names = [f"beam {number}" for number in range(3)]
        for name in names:
            delivered(name)
        if late:
            await asyncio.sleep(2.5)
        for deliver in deliveries:
            await deliver()
        await workshop.shows("slab poured", "columns set", *names)
        await asyncio.sleep(2.5)
        delivered("roof on")
        await deliveries[-1]()
        await workshop.shows("slab poured", "columns set", *names, "roof on")
    async with workshop.start(public=True):
        await asyncio.sleep(2.5)
        await workshop.shows("slab poured", "columns set", *names, "roof on")


@only_2_31
async def test_a_reader_of_the_project_goes_on_to_see_what_the_webhook_does_not_send(
    workshop: Workshop,
) -> None:
    at_work = PersonAtWork(workshop.server, workshop.ilse)
    facade = workshop.studio.facade
    async with workshop.start():
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno, facade)
        workshop.publish("slab poured")
        await workshop.shows("slab poured", channel=facade)
    async with workshop.start(public=True):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        answer = await workshop.type(
            "subscribe", stream_id=workshop.tower.id, events="version_created"
        )
        assert "in Speckle for you" in text_of(answer)
        await asyncio.sleep(1.5)
        await workshop.server.fire(
            workshop.tower,
            "commit_create",
            commit_create_data(
                workshop.server.add_version(
                    workshop.tower,
                    workshop.tower.models[0],
                    author=workshop.ilse,
                    message="columns set",
                )
            ),
            user=workshop.ilse,
        )
        await until(lambda: "columns set" in workshop.shown(facade))
        at_work.comment(workshop.tower.versions[-1], "is it dry?")
        await until(lambda: "is it dry?" in workshop.shown(facade))
        await asyncio.sleep(2.5)
        assert workshop.shown(facade).count("> columns set") == 1
        assert workshop.shown().count("> columns set") == 1
        assert "is it dry?" not in workshop.shown()


@only_2_31
async def test_what_the_host_allows_no_more_beside_a_webhook_is_read_no_more_and_not_paused(
    workshop: Workshop,
) -> None:
    """What the webhook sends is enough, and Resume could change nothing."""
    at_work, facade = PersonAtWork(workshop.server, workshop.ilse), workshop.studio.facade
    workshop.tower.visibility = "PRIVATE"
    async with workshop.start(public=True, who="readers"):
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno, facade)
        await workshop.link(workshop.studio.maren, workshop.ilse)
        answer = await workshop.type(
            "subscribe", stream_id=workshop.tower.id, events="version_created"
        )
        answer = await workshop.studio.sandbox.press(answer, "Show it there", workshop.studio.maren)
        await until(lambda: workshop.server.webhooks(workshop.tower))
    async with workshop.start(public=True, who="owners") as app:
        version = workshop.server.add_version(
            workshop.tower,
            workshop.server.add_model(workshop.tower, "slab"),
            author=workshop.ilse,
            message="columns set",
        )
        await workshop.server.fire(
            workshop.tower, "commit_create", commit_create_data(version), user=workshop.ilse
        )
        await until(lambda: "columns set" in workshop.shown(facade))
        at_work.comment(workshop.tower.versions[-1], "is it dry?")
        await asyncio.sleep(2.5)
        assert "is it dry?" not in workshop.shown(facade)
        assert not await is_paused(app, facade)
