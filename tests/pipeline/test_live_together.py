"""What is live beside others: other servers, other channels, a webhook by hand, a fault."""

from dataclasses import replace
from functools import partial

import pytest
from sqlalchemy import select, update

from bot.app import App, Timings
from bot.db.tables import remembered_projects
from bot.model import HookState
from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED
from tests.conftest import name_of
from tests.pipeline.conftest import BY_HAND
from tests.pipeline.test_live import LIVE, PACE, QUICK, Workshop, is_paused
from tests.pipeline.test_live import workshop as workshop  # a fixture
from tests.pipeline.test_live_compared import LISTS
from tests.waiting import until


@pytest.fixture
def timings() -> Timings:
    return QUICK


async def test_of_two_servers_one_pauses_when_its_account_is_refused(workshop: Workshop) -> None:
    studio, server = workshop.studio, workshop.server
    guild = studio.sandbox.add_guild("Site Office")
    yard, crane = guild.add_channel("yard"), guild.add_channel("crane")
    tove = guild.add_member("Tove Lind", permissions="manage_webhooks")
    office = replace(
        workshop, studio=replace(studio, guild=guild, structure=yard, facade=crane, maren=tove)
    )
    async with workshop.start() as app:
        await workshop.link(studio.maren, workshop.ilse)
        assert LIVE in await workshop.subscribe()
        token = await office.link(tove, workshop.jonas)
        assert LIVE in await office.subscribe()
        assert LIVE in await office.subscribe(where=crane)
        workshop.publish("slab poured")
        for channel in (studio.structure, yard, crane):
            await workshop.shows("slab poured", channel=channel)
        server.revoke(token)
        for channel in (yard, crane):
            await until(partial(is_paused, app, channel))
        workshop.publish("columns set")
        await workshop.shows("slab poured", "columns set")
        await workshop.two_turns_more(app)
        assert not await is_paused(app, studio.structure)
        assert "columns set" not in office.shown(yard) + office.shown(crane)
        await office.link(tove, workshop.jonas)
        for channel in (yard, crane):
            await workshop.shows("slab poured", "columns set", channel=channel)
        await workshop.two_turns_more(app)
        for channel in (studio.structure, yard, crane):
            await workshop.shows("slab poured", "columns set", channel=channel)


async def test_a_webhook_by_hand_that_is_waited_for_becomes_live(workshop: Workshop) -> None:
    """Then somebody makes it after all, and what it sends is shown once."""
    studio, server, tower = workshop.studio, workshop.server, workshop.tower
    async with workshop.start(public=True) as app:
        offer = await workshop.type("subscribe", stream_id=tower.id)
        shown = await studio.sandbox.press(offer, BY_HAND, studio.maren)
        fields = {
            one["name"]: one["value"].strip("`\n")
            for embed in (await shown.settled()).embeds
            for one in embed["fields"]
        }
        (hook,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        assert hook.state is HookState.WAITING
        workshop.publish("before it was live")
        await workshop.link(studio.maren, workshop.jonas)
        answer = await workshop.subscribe()
        assert LIVE in answer
        assert "Nothing changed" not in answer
        workshop.publish("slab poured")
        await workshop.shows("slab poured")
        server.add_webhook(tower, fields["URL"], ["commit_create"], secret=fields["Secret"])
        await workshop.happens("columns set")
        await workshop.shows("slab poured", "columns set")
        await workshop.two_turns_more(app)
        beam = workshop.listed("beam laid")
        await workshop.shows("slab poured", "columns set", "beam laid")
        await workshop.delivered(beam)
        await workshop.two_turns_more(app)
    async with workshop.start(public=True) as app:
        await workshop.two_turns_more(app)
        await workshop.happens("roof on")
        await workshop.shows("slab poured", "columns set", "beam laid", "roof on")
    assert "before it was live" not in workshop.shown()


@pytest.mark.parametrize("release", [SPECKLE_4_AS_ANNOUNCED], indirect=True, ids=name_of)
async def test_a_fault_while_one_project_changes_over_ends_nothing_else(workshop: Workshop) -> None:
    studio, server = workshop.studio, workshop.server
    tower = workshop.tower
    mill = server.add_project("Old Mill", owner=workshop.ilse, visibility="PUBLIC")
    server.set_role(mill, workshop.jonas, "stream:contributor")
    at_the_mill = replace(workshop, tower=mill)

    async def remembered(app: App) -> bool:
        there = select(remembered_projects.c.subscription_id)
        return len(await app.storage.read(lambda tx: [*tx.session.scalars(there)])) == 2

    async def changed_over(app: App) -> bool:
        heard = await app.storage.read(lambda tx: tx.listening.all())
        return {one.project_id for one in heard} == {tower.id}

    async with workshop.start() as app:
        await workshop.link(workshop.juno, workshop.jonas)
        assert LIVE in await workshop.subscribe(workshop.juno)
        assert LIVE in await at_the_mill.subscribe(workshop.juno)
        await until(partial(remembered, app))
        await workshop.link(studio.maren, workshop.ilse)
    server.faults.when, server.faults.status = lambda operation: operation in LISTS, 503
    async with workshop.start(public=True) as app:
        assert "in Speckle for you" in await workshop.subscribe()
        assert "in Speckle for you" in await at_the_mill.subscribe()
        first, second = await app.storage.read(lambda tx: tx.listening.all())
        assert (first.project_id, second.project_id) == (tower.id, mill.id)  # in their turn
        spoilt = (
            update(remembered_projects)
            .where(remembered_projects.c.subscription_id == first.subscription_id)
            .values(state={})
        )
        await app.storage.write(lambda tx: tx.session.execute(spoilt))
    server.faults.clear()
    # The fault is logged each time, which takes a while.
    seldom = replace(PACE, soonest_s=300.0, plan_s=1.0)
    async with workshop.start(public=True, pace=seldom) as app:
        await until(partial(changed_over, app))
        await workshop.happens("slab poured")
        await at_the_mill.happens("columns set")
        await workshop.shows("slab poured", "columns set")
