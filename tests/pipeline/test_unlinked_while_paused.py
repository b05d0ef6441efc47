"""An account that is unlinked while its channel is paused for another reason."""

import pytest

from bot.model import PauseReason, PauseWhy, SubscriptionState
from tests.pipeline.conftest import Studio
from tests.pipeline.deliveries import route_to
from tests.pipeline.tower import Tower
from tests.pipeline.world import OBJECTS, OpenStage, stage, timings
from tests.stored import waiting_count
from tests.waiting import until

__all__ = ["stage", "timings"]


@pytest.mark.parametrize("reason", [PauseReason.MEMBER, PauseReason.NO_PERMISSION])
async def test_resuming_is_no_answer_for_an_account_that_was_unlinked_meanwhile(
    stage: OpenStage, studio: Studio, reason: PauseReason
) -> None:
    async with stage(made=False) as at:
        account = await at.link()
        there = await at.follow(studio.structure, account)
        storage = at.app.storage
        await storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.PAUSED, reason, "")
        )
        await at.app.linking.unlink(account)
        await storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        )
        await at.publish("version no 0")
        await at.paused(there, PauseWhy.UNLINKED)
        await at.holds(there, 1)
        assert at.messages(studio.structure) == []


async def test_cards_that_a_channel_kept_show_nothing_of_an_account_that_was_unlinked_meanwhile(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage(made=False) as at:
        account = await at.link()
        there = await at.follow(studio.structure, account)
        studio.sandbox.faults.fail(route_to(studio.structure), 403, times=None, code=50001)
        studio.structure.deny(studio.guild.bot, "view_channel")
        await at.publish("version no 0")

        async def is_paused() -> bool:
            return (await at.again(there)).pause_reason is PauseReason.NO_PERMISSION

        await until(is_paused)
        assert await at.app.storage.read(waiting_count) == 1
        await at.app.linking.unlink(account)
        studio.sandbox.faults.heal()
        studio.structure.clear_overwrites()
        await at.app.storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        )
        await at.settled()
        assert OBJECTS not in at.shown(studio.structure)
        assert at.messages(studio.structure) == []
