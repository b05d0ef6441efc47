"""*Mute its author here* and *Only this model here*: filters from a card, and back."""

from sqlalchemy import delete

from bot.cogs.card_menu.cog import MUTE, ONLY_MODEL
from bot.db.tables import bodies
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView, SandboxMember
from tests.conftest import only_2_31
from tests.pipeline.world import BotWorld, OpenStage, stage, timings
from tests.stored import waiting_count
from tests.waiting import until

__all__ = ["stage", "timings"]


async def noted(world: BotWorld) -> bool:
    """Whether the bot has noted which message each card became."""
    return await world.app.storage.read(waiting_count) == 0


async def choose(
    world: BotWorld, name: str, who: SandboxMember | None = None, message: int = -1
) -> InteractionView:
    studio = world.studio
    await until(lambda: noted(world), 20.0)
    card = world.messages(studio.structure)[message]
    answer = await studio.sandbox.message_command(
        studio.guild, studio.structure, who or studio.maren, name, card
    )
    return await answer.settled()


async def typed(world: BotWorld, name: str, **options: str) -> None:
    studio = world.studio
    answer = await studio.sandbox.command(
        studio.guild, studio.structure, studio.maren, name, **options
    )
    await answer.settled()


async def press(world: BotWorld, answer: InteractionView, label: str) -> str:
    await world.studio.sandbox.press(answer, label, world.studio.maren)
    await answer.wait_for_edits()
    return answer.content or ""


async def refused_undo(world: BotWorld, answer: InteractionView) -> str:
    pressed = await world.studio.sandbox.press(answer, "Undo", world.studio.maren)
    return (await pressed.settled()).content or ""


@only_2_31
async def test_an_author_is_muted_from_a_card_and_heard_again_with_undo(stage: OpenStage) -> None:
    async with stage() as world:
        structure, ada = world.studio.structure, world.tower.server.add_user("Okafor, Ada")
        subscription = await world.follow(structure, await world.link())
        await world.publish("first")
        await world.shows(structure, "first")
        muted = await choose(world, MUTE)
        assert (await world.again(subscription)).options.ignore_authors == ("Ilse Brandt",)
        twice = await choose(world, MUTE)
        await world.publish("not shown")
        data = {"input": {"commentId": "c1", "archived": True}}
        await world.fire("comment_archived", data, user=ada)
        await world.shows(structure, "Okafor")
        both = await choose(world, MUTE)  # a name with a comma
        refused = await world.studio.sandbox.press(muted, "Undo", world.studio.maren)
        late = (await refused.settled()).content
        undone = await press(world, both, "Undo")
        now = (await world.again(subscription)).options.ignore_authors
        assert "not shown" not in world.shown(structure)
    assert f"Muted: <#{structure.id}> no longer shows what **Ilse Brandt** does" in str(
        muted.content
    )
    assert "Nothing changed" in str(twice.content)
    assert muted.ephemeral
    assert "**Okafor, Ada**" in str(both.content) or "Undone" in str(both.content)
    assert "The filters were changed again in the meantime" in str(late)
    assert "**Undone.**" in undone
    assert now == ("Ilse Brandt",)


@only_2_31
async def test_one_model_is_left_from_a_card_and_the_filters_come_back_with_undo(
    stage: OpenStage,
) -> None:
    async with stage() as world:
        structure = world.studio.structure
        options = SubscriptionOptions(models=("public/**", "secret/**"))
        subscription = await world.follow(structure, await world.link(), options=options)
        await world.publish("first")
        await world.shows(structure, "first")
        await until(lambda: noted(world), 20.0)
        with world.app.storage._database.writing() as connection:
            connection.execute(delete(bodies))  # as after some days
        only = await choose(world, ONLY_MODEL)
        said = str(only.content)
        assert (await world.again(subscription)).options.models == ("public/y",)
        await world.publish("hidden", world.secret)
        await world.publish("second")
        await world.shows(structure, "second")
        assert "hidden" not in world.shown(structure)
        await press(world, only, "Undo")
        assert (await world.again(subscription)).options == options
        member = world.studio.guild.add_member("Tobias Lindqvist")
        world.studio.guild.allow_command(ONLY_MODEL, member)
        refused = await choose(world, ONLY_MODEL, member)
        project = f"{world.tower.server.url}/projects/{world.tower.project.id}"
        one = await choose(world, ONLY_MODEL)
        await typed(world, "subscribe", stream_id=project, models="other/z")
        late = await refused_undo(world, one)
        assert (await world.again(subscription)).options.models == ("other/z",)
        await typed(world, "subscribe", stream_id=project, models="all")
        one = await choose(world, ONLY_MODEL)
        await typed(world, "unsubscribe", project=project)
        too_late = await refused_undo(world, one)
        there = await world.app.storage.read(lambda tx: tx.subscriptions.of_channel(structure.id))
    assert there == []
    assert "changed again in the meantime" in late
    assert "changed again in the meantime" in too_late
    assert "now shows only the model **public/y**" in said
    assert "You need the permissions" in str(refused.content)
    assert "public/y" not in str(refused.content)


async def test_several_models_are_asked_about_and_other_messages_are_no_cards(
    stage: OpenStage,
) -> None:
    async with stage() as world:
        studio, structure = world.studio, world.studio.structure
        subscription = await world.follow(structure, await world.link())
        data = {"originalBranchId": world.public.id, "newBranchId": world.secret.id}
        await world.publish("a", world.public)
        await world.publish("b", world.secret)
        await world.shows(structure, "> a", "> b")
        await world.fire("commit_move", data, "Commit moved: 0123456789")
        await world.shows(structure, "Version moved")
        asked = await choose(world, ONLY_MODEL)
        assert "several models" in str(asked.content)
        await studio.sandbox.select(asked, "", ["secret/x"], studio.maren)
        await asked.wait_for_edits()
        assert (await world.again(subscription)).options.models == ("secret/x",)
        version = world.version(world.secret, "c")
        received = {"sourceApplication": "Grasshopper", "message": "for the brackets"}
        who, words = world.tower.ilse, received["message"]
        world.tower.server.receive(version, user=who, application="Grasshopper", message=words)
        await world.fire("commit_receive", received)
        await world.shows(structure, "for the brackets")
        asked = await choose(world, ONLY_MODEL)
        # Which version it was, only a server with an activity list says.
        named = "secret/x" in world.embeds(structure)[-1]["title"]
        assert ("secret/x" if named else "is not about a model") in str(asked.content)
        tested = await studio.sandbox.command(studio.guild, structure, studio.maren, "test")
        await tested.settled(30.0)
        test_card = await choose(world, MUTE)
        assert "That card is a test" in str(test_card.content)
