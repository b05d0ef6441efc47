"""The name of a private project is for those who are shown it, wherever the bot speaks of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.app import Timings
from bot.model import PauseWhy, Subscription
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import InteractionView, SandboxChannel, SandboxMember
from tests.pipeline.conftest import QUICK_NOTICES, Studio
from tests.pipeline.tower import answer
from tests.pipeline.world import BotWorld, OpenStage, stage
from tests.pipeline.world import timings as timings_of_the_world
from tests.waiting import until

__all__ = ["stage", "timings_of_the_world"]

NAME = "Kestrel Tower"


@pytest.fixture
def timings(timings_of_the_world: Timings) -> Timings:
    return replace(timings_of_the_world, notifier=QUICK_NOTICES)


async def closed_thread(at: BotWorld, *, private: bool) -> tuple[SandboxChannel, Subscription]:
    """A thread of a closed channel that Maren alone sees, and that follows the project."""
    closed, maren = at.studio.facade, at.studio.maren
    closed.deny(None, "view_channel")
    closed.allow(at.studio.guild.bot, "view_channel")
    closed.allow(maren, "view_channel")
    thread = closed.add_thread("fees", private=private, bot_joined=True)
    consent = replace(answer(maren.id, NAME), audience=None)
    return thread, await at.follow(thread, consent=consent)


async def listing(at: BotWorld, who: SandboxMember) -> InteractionView:
    studio = at.studio
    listed = await studio.sandbox.command(studio.guild, studio.structure, who, "subscriptions")
    return await listed.settled()


@pytest.mark.parametrize("private", [True, False])
async def test_an_archived_thread_tells_nothing_to_those_who_do_not_see_its_channel(
    stage: OpenStage, studio: Studio, private: bool
) -> None:
    tobias = studio.guild.add_member("Tobias Lindqvist", permissions="manage_webhooks")
    async with stage() as at:
        thread, _ = await closed_thread(at, private=private)
        await at.publish("version no 0")
        await at.shows(thread, "version no 0")
        before = str((await listing(at, tobias)).embeds)
        assert NAME not in before
        thread.archive()
        await studio.sandbox.world.wait_until(lambda: None, 1.0)
        after = await listing(at, tobias)
        assert NAME not in f"{after.content} {after.embeds}"
        offered = await studio.sandbox.autocomplete(
            studio.guild, studio.structure, tobias, "unsubscribe", "project", ""
        )
        assert NAME not in str(offered)


@pytest.mark.parametrize("left", [True, False])
async def test_who_set_a_channel_up_and_sees_it_no_more_is_not_told_what_its_project_is_called(
    stage: OpenStage, studio: Studio, left: bool
) -> None:
    tobias = studio.guild.add_member("Tobias Lindqvist", permissions="manage_webhooks")
    async with stage(made=False) as at:
        storage, account = at.app.storage, await at.link()
        _, there = await storage.write(
            lambda tx: tx.subscriptions.upsert(
                at.hook.id, studio.facade.id, SubscriptionOptions(), tobias.id
            )
        )
        consent = replace(answer(studio.maren.id, NAME), audience=None)
        await storage.write(
            lambda tx: tx.subscriptions.answered(there.id, consent, account_id=account.id)
        )
        if left:
            studio.guild.members.pop(tobias.id)
        else:
            studio.facade.deny(tobias, "view_channel")
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 0")
        await at.paused(there, PauseWhy.FORBIDDEN)

        async def said() -> bool:
            return not await storage.read(lambda tx: tx.pause_notices.due(5))

        await until(said, 30.0)
        theirs = studio.sandbox.world.private_channel(tobias.id)
        private = str([(m.content, m.embeds) for m in studio.sandbox.messages(theirs)])
        assert NAME not in private
        assert "#facade" not in private
        assert (private == "[]") is left
