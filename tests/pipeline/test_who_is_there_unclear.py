"""Refusals that do not say that a person left, or that a channel is gone."""

from typing import Any

import pytest

from bot.model import SubscriptionState
from tests.pipeline.conftest import Studio
from tests.pipeline.deliveries import route_to
from tests.pipeline.tower import answer
from tests.pipeline.world import OpenStage, stage, timings
from tests.waiting import until

__all__ = ["stage", "timings"]

UNCLEAR = pytest.mark.parametrize(
    "unclear",
    [
        {"status": 404, "page": "<html>nothing here</html>"},
        {"status": 404, "code": 999_999},
        {"status": 403, "page": "<html>blocked</html>"},
        {"status": 404, "code": 0},
    ],
)


@UNCLEAR
async def test_only_discords_own_word_that_a_person_left_pauses_a_channel(
    stage: OpenStage, studio: Studio, unclear: dict[str, Any]
) -> None:
    members = f"GET /guilds/{studio.guild.id}/members/{studio.maren.id}"
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        studio.sandbox.faults.fail(members, times=None, **unclear)
        await at.publish("version no 0")
        await at.holds(there, 1)
        assert (await at.again(there)).state is SubscriptionState.ACTIVE
        studio.sandbox.faults.heal()
        await at.shows(studio.structure, "version no 0")


@UNCLEAR
async def test_an_archived_thread_that_cannot_be_asked_about_is_shown_nothing_meanwhile(
    stage: OpenStage, studio: Studio, unclear: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    thread = studio.structure.add_thread("level 1", bot_joined=True)
    async with stage() as at:
        audience = await at.audience(thread)
        there = await at.follow(thread, consent=answer(studio.maren.id, audience=audience))
        thread.archive()

        async def is_archived() -> bool:
            guild = at.app.bot.get_guild(studio.guild.id)
            return guild is not None and guild.get_thread(thread.id) is None

        await until(is_archived)
        studio.sandbox.faults.fail(f"GET /channels/{thread.id}", times=None, **unclear)
        await at.publish("version no 0")
        await at.holds(there, 1)
        assert at.messages(thread) == []
        studio.sandbox.faults.heal()
        await at.shows(thread, "version no 0")


@UNCLEAR
async def test_why_a_message_was_refused_is_not_made_up_where_the_channel_cannot_be_asked_about(
    stage: OpenStage, studio: Studio, unclear: dict[str, Any]
) -> None:
    channel = studio.structure
    async with stage() as at:
        there = await at.follow(channel, await at.link())
        studio.sandbox.faults.fail(route_to(channel), 403, times=None, code=50013)
        studio.sandbox.faults.fail(f"GET /channels/{channel.id}", times=None, **unclear)
        await at.publish("version no 0")

        async def is_paused() -> str | None:
            return (await at.again(there)).pause_detail

        detail = await until(is_paused)
        assert "50013" in detail
        assert "gone" not in detail
        assert "View Channel" not in detail
