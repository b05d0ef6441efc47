"""/test and /doctor at the whole bot: samples go the way of events and change nothing."""

from typing import Any

from sqlalchemy import select

from bot.app import App
from bot.db.tables import metadata
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView
from tests.pipeline.world import BotWorld, OpenStage, stage, timings

__all__ = ["stage", "timings"]

# What a test leaves: the events that it made, their cards and pictures, the channel's queue. What
# Speckle says to an account, and the bot's own marks, are written at any time.
WRITTEN = {"inbox", "bodies", "outbox", "batches", "channel_queues", "pictures", "outbox_pictures"}
WRITTEN |= {"project_names", "facts"}


def text_of(answer: InteractionView) -> str:
    (embed,) = answer.embeds
    fields = "\n".join(f"{one['name']}\n{one['value']}" for one in embed.get("fields", ()))
    return f"{embed['description']}\n{fields}"


def buttons_of(answer: InteractionView) -> list[str]:
    return [part["label"] for row in answer.components for part in row["components"]]


def stored(app: App) -> dict[str, list[Any]]:
    """All that the database holds, but for what a test leaves there."""
    kept = [one for one in metadata.sorted_tables if one.name not in WRITTEN]
    with app.storage._database.reading() as connection:
        return {one.name: list(map(tuple, connection.execute(select(one)))) for one in kept}


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
        await world.publish("a real one")
        await world.shows(structure, "a real one")
    # All but the mention, which the card of its comment tells.
    assert "✅ 25 sample cards were shown: one of each kind" in text_of(answer)
    assert len(embeds) == 25
    assert all(one["title"].startswith("Test: ") for one in embeds)
    assert all("This is a test, asked for with /test" in one["description"] for one in embeds)
    assert "less than a minute ago" in (again.content or "")


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
    assert titles[0] == "Test: New version of public/test"
    # Nothing is shown that Speckle refuses the account, and a real event would have paused it.
    assert "version created" in text_of(refused)
    assert "A real event would be kept, and would pause this channel" in text_of(refused)
    assert "can no longer see the project" in text_of(refused)
    assert "Test: New version" not in shown


async def test_the_doctor_finds_what_is_wrong_and_repairs_what_it_can(stage: OpenStage) -> None:
    async with stage(public_url="http://127.0.0.1:1") as unreachable:
        await unreachable.follow(unreachable.studio.structure, await unreachable.link())
        away = await typed(unreachable, "doctor")
        port = unreachable.tower.port
    async with stage(public_url=f"http://127.0.0.1:{port}") as world:
        studio, server = world.studio, world.tower.server
        (webhook,) = server.webhooks(world.tower.project)
        fine = await typed(world, "doctor")
        webhook.secret, webhook.triggers = None, ["commit_create"]
        webhook.url = webhook.url.replace("127.0.0.1", "localhost")
        wrong = await typed(world, "doctor")
        found = text_of(wrong)
        await studio.sandbox.press(wrong, "Repair the webhook", studio.maren)
        await wrong.wait_for_edits()
        after = text_of(wrong)
        assert webhook.secret is not None
        webhook.enabled = False
        off = await typed(world, "doctor")
        world.ilse_is_out()
        out = await typed(world, "doctor")
    assert "❌ Nothing answers at the bot's `PUBLIC_URL`" in text_of(away)
    assert "Nothing is wrong" in text_of(fine)
    assert (
        "✅ The webhook in Speckle is there, is switched on, has the right address, has a secret "
        "and sends all events that the channels want." in text_of(fine)
    )
    assert buttons_of(fine) == ["Look again", "Test"]
    assert "❌ The webhook has no secret" in found
    assert "❌ The webhook leads to an earlier address of the bot" in found
    assert "⚠️ The webhook does not send version updated" in found
    assert "sends all events that the channels want" in after
    assert "❌ The webhook is switched off in Speckle" in text_of(off)
    assert "can no longer maintain it" in text_of(out)
    assert "Link my account" in buttons_of(out)
