"""What models and people are called in a channel, and what a thread began with."""

from typing import Any

from sqlalchemy import insert

from bot.db.tables import project_names
from bot.model import Hook
from bot.speckle.events import ProjectNames
from bot.timing import utc_now
from sandbox.discord import SandboxChannel
from tests.pipeline.conftest import Studio
from tests.pipeline.world import PUBLIC_ONLY, BotWorld, OpenStage, stage, timings
from tests.waiting import until

__all__ = ["stage", "timings"]

SECRET_NAME, PUBLIC_NAME = "secret/x", "public/y"


async def moved(at: BotWorld) -> None:
    """An event that names both models by their ids alone, whether it happened or not."""
    data = {"originalBranchId": at.public.id, "newBranchId": at.secret.id}
    await at.fire("commit_move", data, "Commit moved: 0123456789")


async def card(at: BotWorld, channel: SandboxChannel, count: int = 1) -> str:
    async def there() -> list[Any] | None:
        found = at.embeds(channel)
        return found if len(found) >= count else None

    return str((await until(there))[-1])


async def said(at: BotWorld, hook: Hook) -> ProjectNames:
    return await at.app.storage.read(lambda tx: tx.hooks.names(hook.id))


async def test_names_that_an_account_knows_stay_in_its_own_channels(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        by_hand = await at.by_hand()
        await at.follow(studio.facade, hook=by_hand)
        await moved(at)
        assert SECRET_NAME in await card(at, studio.structure)
        stranger = await card(at, studio.facade)
        assert SECRET_NAME not in stranger
        assert PUBLIC_NAME not in stranger
        for hook in (at.hook, by_hand):
            assert (await said(at, hook)).models == {}


async def test_a_channel_of_the_same_webhook_without_an_account_gets_none_of_its_names(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        by_hand = await at.by_hand()
        await at.follow(studio.structure, await at.link(), hook=by_hand)
        await at.follow(studio.facade, hook=by_hand)
        await moved(at)
        assert SECRET_NAME in await card(at, studio.structure)
        assert SECRET_NAME not in await card(at, studio.facade)


async def test_a_channel_that_follows_some_models_is_not_told_what_another_is_called(
    stage: OpenStage, studio: Studio
) -> None:
    """Who knows the secret can name any two models."""
    async with stage() as at:
        account = await at.link()
        await at.follow(studio.structure, account, options=PUBLIC_ONLY)
        await at.follow(studio.facade, account)
        await moved(at)
        shown = await card(at, studio.structure)
        assert PUBLIC_NAME in shown
        assert SECRET_NAME not in shown
        assert SECRET_NAME in await card(at, studio.facade)


async def test_a_model_filter_goes_by_what_the_account_calls_a_model_today(
    stage: OpenStage, studio: Studio
) -> None:
    """A webhook need not tell of new names, and who knows its secret can tell wrong ones."""
    async with stage() as at:
        await at.follow(studio.structure, await at.link(), options=PUBLIC_ONLY)
        await at.publish("not for this channel", at.secret)
        await at.settled()
        assert (await said(at, at.hook)).models == {at.secret.id: SECRET_NAME}
        at.secret.name = "public/z"
        data = {"originalBranchId": at.secret.id, "newBranchId": at.secret.id}
        await at.fire("commit_move", data, "Commit moved: 0123456789")
        assert "public/z" in await card(at, studio.structure)


async def test_names_that_cannot_be_read_hold_up_no_event(stage: OpenStage, studio: Studio) -> None:
    async with stage() as at:
        account = await at.link()
        await at.follow(studio.structure, account)
        odd = {"account_id": account.id, "project_id": at.tower.project.id, "names": {}}
        row = insert(project_names).values(**odd, read_at=utc_now())
        await at.app.storage.write(lambda tx: tx.session.execute(row))
        await moved(at)
        assert SECRET_NAME not in await card(at, studio.structure)


async def test_a_thread_is_known_by_its_first_line_where_nobody_is_linked(
    stage: OpenStage, studio: Studio
) -> None:
    doc = {"type": "doc", "content": [_paragraph("The roof leaks"), _paragraph("Again")]}
    async with stage() as at:
        by_hand = await at.by_hand()
        await at.follow(studio.structure, hook=by_hand)
        where = {"resourceIdString": at.public.id, "projectId": at.tower.project.id}
        data = {"input": {**where, "content": {"doc": doc}}}
        await at.fire("comment_created", data, "Comment added: c0ffee0001 ([object Object])")
        await card(at, studio.structure)
    async with stage() as at:
        await at.tell_reply("c0ffee0002", "c0ffee0001")
        reply = await card(at, studio.structure, 2)
        assert "The roof leaks" in reply
        await at.tell_archived("c0ffee0001")
        resolved = await card(at, studio.structure, 3)
        assert "The roof leaks" in resolved
        assert "Again" not in resolved


async def test_a_first_line_is_not_shown_beyond_what_a_channel_follows(
    stage: OpenStage, studio: Studio
) -> None:
    doc = {"type": "doc", "content": [_paragraph("The roof leaks")]}
    async with stage() as at:
        by_hand = await at.by_hand()
        await at.follow(studio.structure, hook=by_hand)
        await at.follow(studio.facade, hook=by_hand, options=PUBLIC_ONLY)
        await at.publish("so that the model's name is known", at.secret)
        where = {"resourceIdString": at.secret.id, "projectId": at.tower.project.id}
        data = {"input": {**where, "content": {"doc": doc}}}
        await at.fire("comment_created", data, "Comment added: c0ffee0001 ([object Object])")
        await at.tell_archived("c0ffee0001")
        await card(at, studio.structure, 3)
        await at.publish("the last one")
        assert "the last one" in await card(at, studio.facade)
        assert "roof" not in at.shown(studio.facade)
        assert len(at.embeds(studio.facade)) == 1


def _paragraph(words: str) -> dict[str, Any]:
    return {"type": "paragraph", "content": [{"type": "text", "text": words}]}


async def test_what_a_hook_was_told_of_people_is_kept_with_it(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        by_hand = await at.by_hand()
        await at.follow(studio.structure, hook=by_hand)
        await at.publish("the slab")
        await card(at, studio.structure)
        ilse = at.tower.ilse
        assert await said(at, by_hand) == ProjectNames(
            {at.public.id: PUBLIC_NAME}, {ilse.id: "Ilse Brandt"}
        )
