"""Rights that are lost while cards wait: nothing is shown, nothing is lost."""

import asyncio
from datetime import timedelta

import pytest

from bot.model import PauseWhy
from bot.storage import Storage
from tests.pipeline.conftest import Studio
from tests.pipeline.deliveries import route_to
from tests.pipeline.tower import Tower
from tests.pipeline.world import OBJECTS, OpenStage, stage, timings
from tests.stored import waiting_count
from tests.waiting import until

__all__ = ["stage", "timings"]

BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])


@BOTH
async def test_cards_that_wait_are_taken_back_and_come_as_who_takes_over_may_see_them(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        for number in range(3):
            await at.publish(f"version no {number}")

        async def all_wait() -> bool:
            return await at.app.storage.read(waiting_count) == 3

        await until(all_wait)
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 3")
        await at.paused(there, PauseWhy.FORBIDDEN)
        await at.holds(there, 4)
        studio.sandbox.faults.heal()
        assert at.messages(studio.structure) == []
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 3")
        assert at.quotes(studio.structure) == [f"version no {n}" for n in range(4)]
        assert OBJECTS not in at.shown(studio.structure)


async def test_a_message_that_got_through_without_our_hearing_of_it_is_not_shown_once_more(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 1")
        await at.paused(there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        studio.sandbox.faults.heal()
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 1")
        assert at.quotes(studio.structure) == ["version no 0", "version no 1"]


async def test_a_message_that_may_be_there_waits_until_its_channel_can_be_looked_into(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.reset_after(route_to(studio.structure), times=1)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        studio.structure.deny(studio.guild.bot, "view_channel")
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 1")
        await at.paused(there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1, waiting=1)
        studio.structure.clear_overwrites()
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 1")
        assert at.quotes(studio.structure) == ["version no 0", "version no 1"]


async def test_a_batch_of_two_projects_goes_on_for_the_one_that_may_be_shown(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.follow(studio.structure, hook=await at.by_hand())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        at.app.bot._rate_limiter.block_for(0.5, "a test wants both in one message")
        await at.publish("version no 0")

        async def both_wait() -> bool:
            return await at.app.storage.read(waiting_count) == 2

        async def tried_once() -> bool:
            paths = [one.path for one in studio.sandbox.requests if one.method == "POST"]
            return any(path.endswith(f"/channels/{studio.structure.id}/messages") for path in paths)

        await until(both_wait)
        await until(tried_once)
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        studio.sandbox.faults.heal()
        await at.shows(studio.structure, "version no 0")
        await at.paused(there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        assert OBJECTS not in at.shown(studio.structure)
        assert at.quotes(studio.structure) == ["version no 0"]


async def test_what_waits_over_a_restart_is_looked_at_again(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        await at.publish("version no 0")

        async def waits() -> bool:
            return await at.app.storage.read(waiting_count) == 1

        await until(waits)
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
    studio.sandbox.faults.heal()
    async with stage() as at:
        await at.paused(there, PauseWhy.FORBIDDEN)
        await at.holds(there, 1)
        assert at.embeds(studio.structure) == []
    async with stage() as at:
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 0")
        assert OBJECTS not in at.shown(studio.structure)


@pytest.mark.parametrize("unlinked", [True, False])
async def test_cards_of_an_account_are_not_sent_once_somebody_without_it_answers(
    stage: OpenStage, studio: Studio, tower: Tower, unlinked: bool
) -> None:
    """Nothing of Maren's comes to a channel that is Tobias's by now, however it became that."""
    async with stage() as at:
        account = await at.link()
        there = await at.follow(studio.structure, account)
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        for number in range(2):
            await at.publish(f"version no {number}")

        async def both_wait() -> bool:
            return await at.app.storage.read(waiting_count) == 2

        await until(both_wait)
        if unlinked:
            await at.app.storage.write(lambda tx: tx.hooks.detach_account(account.id))
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await asyncio.sleep(0.5)  # what was under way to Discord has been refused
        studio.sandbox.faults.heal()
        await at.shows(studio.structure, "version no 1")
        assert at.quotes(studio.structure) == ["version no 0", "version no 1"]
        assert OBJECTS not in at.shown(studio.structure)


@pytest.mark.parametrize("answered", [True, False])
async def test_what_comes_late_is_not_added_for_who_lost_access_meanwhile(
    stage: OpenStage, studio: Studio, tower: Tower, answered: bool
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        version = await at.publish("version no 0")
        await at.shows(studio.structure, OBJECTS)
        if answered:
            await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        else:
            at.ilse_is_out()
            await at.the_last_yes_was(timedelta(minutes=11))
        tower.server.render(version)
        await at.settled()
        assert "image" not in at.shown(studio.structure)


async def both_wait(storage: Storage) -> bool:
    return await storage.read(waiting_count) == 2


async def test_an_edit_that_waits_is_dropped_and_comes_along_with_no_other(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    edits = f"PATCH /channels/{studio.structure.id}/messages/*"
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        await at.follow(studio.structure, hook=await at.by_hand())
        at.app.bot._rate_limiter.block_for(60.0, "a test wants both in one message")
        version = await at.publish("version no 0")
        await until(lambda: both_wait(at.app.storage))
        at.app.bot._rate_limiter._closed_until = 0.0
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        assert len(at.embeds(studio.structure)) == 2
        studio.sandbox.faults.fail(edits, 503, times=None)
        tower.server.render(version)

        async def tried() -> bool:
            return any(r.method == "PATCH" for r in studio.sandbox.requests)

        await until(tried)
        at.ilse_is_out()
        await at.the_last_yes_was(timedelta(minutes=11))
        studio.sandbox.faults.heal()
        await at.settled()
        tower.project.visibility = "PUBLIC"  # the other one's next picture is everybody's
        await at.settled()
        assert "image" not in at.shown(studio.structure)


async def test_an_answer_that_is_given_while_a_card_is_made_counts_for_that_card(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        tower.server.faults.when = lambda operation: operation == "VersionFacts"
        tower.server.faults.delay_s = 2.0
        await at.publish("version no 0")

        async def asked() -> bool:
            return bool(tower.server.asked("VersionFacts"))

        await until(asked)
        await at.taken_over(there, studio.guild.add_member("Tobias Lindqvist"), None)
        await at.shows(studio.structure, "version no 0")
        assert OBJECTS not in at.shown(studio.structure)
        assert at.quotes(studio.structure) == ["version no 0"]
