"""/test at the whole bot: samples go the way of events and change nothing."""

from typing import Any

from sqlalchemy import select

from bot.app import App
from bot.db.tables import (
    day_use,
    held_events,
    hooks,
    late_enrichment_jobs,
    models,
    notices,
    people,
    subscriptions,
    threads,
)
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView
from tests.conftest import only_2_31
from tests.pipeline.world import BotWorld, OpenStage, stage, timings

__all__ = ["stage", "timings"]

KEPT = (subscriptions, models, people, threads, held_events, late_enrichment_jobs, notices, day_use)
OF_HOOKS = select(
    hooks.c.state,
    hooks.c.live_at,
    hooks.c.last_event_at,
    hooks.c.project_name,
    hooks.c.visibility,
    hooks.c.public_at,
)


def text_of(answer: InteractionView) -> str:
    (embed,) = answer.embeds
    fields = "\n".join(f"{one['name']}\n{one['value']}" for one in embed.get("fields", ()))
    return f"{embed['description']}\n{fields}"


def stored(app: App) -> list[Any]:
    """All that real events change, besides their own rows and cards."""
    with app.storage._database.reading() as connection:
        questions = [OF_HOOKS, *map(select, KEPT)]
        return [list(map(tuple, connection.execute(one))) for one in questions]


async def typed(world: BotWorld, name: str, **options: Any) -> InteractionView:
    studio = world.studio
    answer = await studio.sandbox.command(
        studio.guild, studio.structure, studio.maren, name, **options
    )
    return await answer.settled()


async def test_a_sample_of_each_wanted_kind_is_shown_marked_and_changes_nothing(
    stage: OpenStage,
) -> None:
    async with stage(made=False) as world:
        structure = world.studio.structure
        await world.follow(structure, await world.link())
        before = stored(world.app)
        answer = await typed(world, "test")
        embeds = world.embeds(structure)
        assert stored(world.app) == before
        again = await typed(world, "test")
        no_events = await typed(world, "events")
        await world.publish("a real one")
        await world.shows(structure, "a real one")
        events, why = await typed(world, "events"), await typed(world, "why")
    # All but the mention, which the card of its comment tells.
    assert "✅ 25 sample cards were shown: one of each kind" in text_of(answer)
    assert len(embeds) == 25
    assert all(one["title"].startswith("Test: ") for one in embeds)
    assert all("This is a test, asked for with /test" in one["description"] for one in embeds)
    assert "What Speckle adds" in text_of(answer)
    assert "less than a minute ago" in (again.content or "")
    # They never happened, so they neither hide what did nor stand in for it.
    assert "There is no event for" in no_events.content
    assert text_of(events).count("shown, ") == 1
    assert "a real one" in text_of(why)


@only_2_31
async def test_samples_go_by_the_filters_and_by_who_may_see_it_and_pause_nothing(
    stage: OpenStage,
) -> None:
    async with stage() as world:
        structure, facade = world.studio.structure, world.studio.facade
        options = SubscriptionOptions(("version_created", "models"), ("public/**",))
        account = await world.link()
        await world.follow(structure, account, options=options)
        hidden = await world.follow(facade, account)
        answer = await typed(world, "test")
        world.ilse_is_out()
        before = stored(world.app)
        studio = world.studio
        refused = await studio.sandbox.command(studio.guild, facade, studio.maren, "test")
        await refused.settled()
        assert stored(world.app) == before
        assert await world.again(hidden) == hidden
        titles = [one["title"] for one in world.embeds(structure)]
        shown = world.shown(facade)
    assert "✅ 4 sample cards were shown" in text_of(answer)
    assert titles[0].startswith("Test: New version")
    assert "public/test" in titles[0]
    # Nothing is shown that Speckle refuses the account, and a real event would have paused it.
    assert "version created" in text_of(refused)
    assert "A real event would be kept, and would pause this channel" in text_of(refused)
    assert "can no longer see the project" in text_of(refused)
    assert "Test: New version" not in shown
