"""A webhook takes over what was live: nothing is lost, nothing is shown twice."""

import asyncio

import pytest

from bot.app import Timings
from bot.model import PauseReason
from sandbox.speckle import commit_create_data
from sandbox.speckle.people_at_work import PersonAtWork
from tests.conftest import only_2_31
from tests.pipeline.deliveries import wait_until_paused
from tests.pipeline.test_live import LIVE, QUICK, Workshop, handed_over, is_paused
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_owner_end_to_end import text_of
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    return QUICK


def keep_from_changing(workshop: Workshop) -> None:
    """As long as its list cannot be read, a project that has a webhook goes on to be live."""
    server = workshop.server
    server.faults.status = 503
    server.faults.when = lambda operation: (
        operation in ("Activity", "ActivityOfMany") and bool(server.webhooks(workshop.tower))
    )


@only_2_31
@pytest.mark.parametrize("first", ["delivered", "listed", "by chance"])
async def test_while_a_webhook_takes_over_events_come_both_ways(
    workshop: Workshop, first: str
) -> None:
    """Those before it are in the list alone; those after it come both ways, in either order."""
    names = ["slab poured", "columns set", *(f"beam {number}" for number in range(3))]
    async with workshop.start(public=True) as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        await workshop.link(workshop.studio.maren, workshop.ilse)
        if first != "by chance":
            keep_from_changing(workshop)
        workshop.publish("columns set")
        assert "in Speckle for you" in await workshop.subscribe()
        beams = [workshop.listed(name) for name in names[2:]]
        if first == "listed":
            workshop.server.faults.clear()
            await workshop.shows(*names)
        for beam in beams:
            await workshop.delivered(beam)
        await workshop.shows(*names)
        workshop.server.faults.clear()
        await handed_over(app)
        await workshop.happens("roof on")
        await workshop.shows(*names, "roof on")
    await workshop.starts_again()
    await workshop.shows(*names, "roof on")


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
    async with workshop.start(public=True) as app:
        await workshop.link(workshop.studio.maren, workshop.ilse)
        answer = await workshop.type(
            "subscribe", stream_id=workshop.tower.id, events="version_created"
        )
        assert "in Speckle for you" in text_of(answer)
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
        await workshop.two_turns_more(app)
        assert workshop.shown(facade).count("> columns set") == 1
        assert workshop.shown().count("> columns set") == 1
        assert "is it dry?" not in workshop.shown()


@only_2_31
async def test_events_that_say_the_same_are_counted(workshop: Workshop) -> None:
    """A thread that is resolved twice has two equal events, and each has come twice."""
    at_work = PersonAtWork(workshop.server, workshop.ilse)

    def told() -> list[int]:
        shown = workshop.shown()
        return [shown.count(f"Thread {what}") for what in ("resolved", "reopened")]

    async with workshop.start(public=True) as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        await workshop.link(workshop.studio.maren, workshop.ilse)
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        at_work.comment(workshop.tower.versions[-1], "is it dry?")
        (thread,) = workshop.tower.comments
        for resolved in (True, False):
            at_work.resolve(thread, resolved=resolved)
        await until(lambda: told() == [1, 1])
        # The list is read on after all of it: of equal deliveries within a minute one is taken.
        faults = workshop.server.faults
        faults.when, faults.status = lambda operation: operation.startswith("Activity"), 503
        assert "in Speckle for you" in await workshop.subscribe()
        for resolved in (True, False, True, False):
            at_work.resolve(thread, resolved=resolved)
        (webhook,) = workshop.server.webhooks(workshop.tower)
        await until(lambda: [one.status for one in webhook.history] == [2] * 4)
        faults.clear()
        await until(lambda: told() == [3, 3])
        await handed_over(app)
    await workshop.starts_again()
    assert told() == [3, 3]


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
        await asyncio.sleep(1.0)  # five turns, if there were any
        assert "is it dry?" not in workshop.shown(facade)
        assert not await is_paused(app, facade)


@only_2_31
async def test_an_owner_whose_account_is_not_to_be_heard_has_a_webhook_made_and_is_paused_no_more(
    workshop: Workshop,
) -> None:
    """The account would be asked, and the channel paused for it, before the webhook is there."""
    workshop.tower.visibility = "PRIVATE"
    async with workshop.start(who="owners"):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
    async with workshop.start(public=True, who="public") as app:
        await wait_until_paused(app, workshop.studio.structure, PauseReason.ACCESS_LOST)
        faults = workshop.server.faults
        faults.when, faults.status = lambda operation: operation == "CreateWebhook", 503
        refused = await workshop.subscribe()
        assert "could not be created for you" in refused
        assert "active again" not in refused
        assert await is_paused(app, workshop.studio.structure)
        faults.clear()
        answer = await workshop.subscribe()
        assert "in Speckle for you" in answer
        assert "active again" in answer
        await handed_over(app)
        assert not await is_paused(app, workshop.studio.structure)
        await workshop.happens("roof on")
        await workshop.shows("roof on")


async def test_a_bot_that_has_no_public_address_any_more_says_how_its_projects_become_live(
    workshop: Workshop,
) -> None:
    async with workshop.start(public=True):
        await workshop.link(workshop.studio.maren, workshop.ilse)
        assert "in Speckle for you" in await workshop.subscribe()
    async with workshop.start():
        doctor = text_of(await workshop.type("doctor"))
        assert "only if the address that it was made with still leads to the bot" in doctor
        assert "Or use `/unsubscribe` in all channels that follow the project" in doctor
        await workshop.type("unsubscribe", project=workshop.tower.id)
        assert not workshop.server.webhooks(workshop.tower)
        assert LIVE in await workshop.subscribe()
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
