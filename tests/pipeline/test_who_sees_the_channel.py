"""Who is there, who sees the channel, how open the project is: when a channel asks again."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bot.app import Timings
from bot.model import Entitlement, PauseReason, PauseWhy, Subscription, SubscriptionState
from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.discord import SandboxChannel
from sandbox.discord.guilds import ChannelType
from tests.pipeline.conftest import Studio, post
from tests.pipeline.deliveries import COMMIT, route_to, tries_in
from tests.pipeline.tower import Tower, answer
from tests.pipeline.world import OBJECTS, BotWorld, OpenStage, stage, timings
from tests.waiting import until

__all__ = ["stage", "timings"]


@pytest.mark.parametrize("back", [True, False])
async def test_an_account_serves_only_while_its_person_is_in_the_server_and_sees_the_channel(
    stage: OpenStage, studio: Studio, back: bool
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        if back:
            studio.guild.members.pop(studio.maren.id)
        else:
            studio.structure.deny(studio.maren, "view_channel")
        await at.publish("version no 1")
        why = PauseWhy.PERSON_LEFT if back else PauseWhy.PERSON_BLIND
        now = await at.paused(there, why)
        assert now.pause_reason is PauseReason.ACCESS_LOST
        await at.holds(there, 1)
        studio.guild.members[studio.maren.id] = studio.maren
        studio.structure.clear_overwrites()
        await at.taken_over(there, studio.maren, await at.link())
        await at.shows(studio.structure, "version no 1", OBJECTS)


async def test_who_comes_back_and_answers_is_not_taken_for_away_by_an_old_answer(
    stage: OpenStage, studio: Studio, timings: Timings
) -> None:
    access = replace(timings.access, member_known_s=600.0)
    async with stage(timings=replace(timings, access=access)) as at:
        there = await at.follow(studio.structure, await at.link())
        studio.guild.members.pop(studio.maren.id)
        await at.publish("version no 0")
        await at.paused(there, PauseWhy.PERSON_LEFT)
        studio.guild.members[studio.maren.id] = studio.maren
        await at.taken_over(there, studio.maren, await at.link())
        await at.shows(studio.structure, "version no 0")


def everybody(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(None, "view_channel")


def a_role(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(studio.guild.add_role("Contractors"), "view_channel")


def a_member(studio: Studio, channel: SandboxChannel) -> None:
    channel.allow(studio.guild.add_member("Tobias Lindqvist"), "view_channel")


def an_administrators_role(studio: Studio, channel: SandboxChannel) -> None:
    studio.guild.add_role("Directors", "administrator")


def announcements(studio: Studio, channel: SandboxChannel) -> None:
    channel.kind = ChannelType.ANNOUNCEMENT
    channel.changed()


Widen = Callable[[Studio, SandboxChannel], None]


@pytest.mark.parametrize(
    ("widen", "thread"),
    [
        (everybody, False),
        (a_role, False),
        (a_member, False),
        (an_administrators_role, False),
        (announcements, False),
        (everybody, True),
        (a_role, True),
    ],
)
async def test_a_channel_that_more_people_see_is_shown_nothing_before_somebody_agrees_to_that(
    stage: OpenStage, studio: Studio, widen: Widen, thread: bool
) -> None:
    closed = studio.facade
    async with stage() as at:
        closed.deny(None, "view_channel")
        closed.allow(studio.guild.bot, "view_channel")
        closed.allow(studio.maren, "view_channel")
        place = closed.add_thread("details", bot_joined=True) if thread else closed

        async def is_known() -> bool:
            return not (await at.audience(place)).everyone

        await until(is_known)
        agreed = await at.audience(place)
        there = await at.follow(place, await at.link())
        await at.publish("version no 0")
        await at.shows(place, "version no 0")
        widen(studio, closed)

        async def is_wider() -> bool:
            return (await at.audience(place)).goes_beyond(agreed)

        await until(is_wider)
        await at.publish("version no 1")
        now = await at.paused(there, PauseWhy.AUDIENCE_WIDER)
        assert now.pause_reason is PauseReason.ASK_AGAIN
        await at.holds(there, 1)
        assert at.quotes(place) == ["version no 0"]
        consent = answer(studio.maren.id, audience=await at.audience(place))
        await at.app.storage.write(lambda tx: tx.subscriptions.answered(there.id, consent))
        await at.app.storage.write(
            lambda tx: tx.subscriptions.set_state(there.id, SubscriptionState.ACTIVE)
        )
        await at.shows(place, "version no 1")


async def test_cards_that_wait_are_not_shown_to_more_people_than_was_agreed_to(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        nobody = Audience(everyone=False)
        consent = answer(studio.maren.id, audience=await at.audience(studio.structure))
        there = await at.follow(studio.structure, await at.link(), consent=consent)
        studio.sandbox.faults.fail(route_to(studio.structure), 503, times=None)
        await at.publish("version no 0")

        async def tried() -> bool:
            return bool(tries_in(studio, studio.structure))

        await until(tried)
        narrower = replace(consent, audience=nobody)
        await at.app.storage.write(lambda tx: tx.subscriptions.answered(there.id, narrower))
        studio.sandbox.faults.heal()
        await at.paused(there, PauseWhy.AUDIENCE_WIDER)
        await at.holds(there, 1)
        assert at.messages(studio.structure) == []


# ── the project ───────────────────────────────────────────────────────────────────────────────


async def agreed_to_while_public(
    at: BotWorld, options: SubscriptionOptions = SubscriptionOptions()
) -> Subscription:
    maren = at.studio.maren.id
    public = replace(answer(maren, standing=Entitlement.ANYONE), visibility="public")
    return await at.follow(at.studio.structure, hook=at.hook, consent=public, options=options)


async def test_a_project_that_turns_private_is_shown_only_once_somebody_agrees(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    tower.project.visibility = "PUBLIC"
    async with stage() as at:
        there = await agreed_to_while_public(at)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0", OBJECTS)
        tower.project.visibility = "PRIVATE"
        await at.the_last_yes_was(timedelta(minutes=11))
        await at.publish("version no 1")
        await at.paused(there, PauseWhy.TURNED_PRIVATE)
        await at.holds(there, 1)
        assert at.quotes(studio.structure) == ["version no 0"]


async def test_an_event_that_says_made_public_loosens_nothing_and_asks_at_once(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    tower.project.visibility = "PUBLIC"
    async with stage() as at:
        there = await agreed_to_while_public(at)
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        tower.project.visibility = "PRIVATE"
        data = {"old": {"isPublic": False}, "new": {"isPublic": True, "visibility": "PUBLIC"}}
        await at.fire("stream_update", data)
        await at.paused(there, PauseWhy.TURNED_PRIVATE)
        await at.holds(there, 1)
        hook = await at.app.storage.read(lambda tx: tx.hooks.get(at.hook.id))
        assert hook is not None
        assert hook.visibility == "private"


async def test_an_event_that_a_channel_does_not_show_says_all_the_same_who_sees_the_project(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    tower.project.visibility = "PUBLIC"
    async with stage() as at:
        there = await agreed_to_while_public(at, SubscriptionOptions(("versions",)))
        await at.publish("version no 0")
        await at.shows(studio.structure, "version no 0")
        tower.project.visibility = "PRIVATE"
        await at.fire("stream_update", {"old": {}, "new": {"visibility": "PRIVATE"}})
        await at.publish("version no 1")
        await at.paused(there, PauseWhy.TURNED_PRIVATE)
        await at.holds(there, 1)
        assert at.quotes(studio.structure) == ["version no 0"]


async def test_that_a_project_was_deleted_is_only_said_where_the_account_still_sees_it(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        await at.follow(studio.facade, hook=await at.by_hand())
        await at.fire("stream_delete", {})
        await at.publish("still here")
        await at.shows(studio.structure, "still here", "eleted")
        await at.shows(studio.facade, "still here")
        assert (await at.again(there)).state is SubscriptionState.ACTIVE


async def test_a_project_that_is_gone_for_its_account_ends_what_depends_on_it(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        there = await at.follow(studio.structure, await at.link())
        tower.server.remove_project(tower.project)
        await at.fire("stream_delete", {}, user=None)
        await at.shows(studio.structure, "eleted")
        now = await at.again(there)
        assert now.pause_reason is PauseReason.PROJECT_DELETED


async def test_another_servers_address_in_an_event_changes_no_link(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        payload = COMMIT.payload
        payload["streamId"] = tower.project.id
        payload["server"]["canonicalUrl"] = "https://evil.example"
        body = json.dumps({"payload": payload}).encode()
        assert await post(at.app, at.hook, replace(COMMIT, body=body)) == 202
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        assert "evil.example" not in at.shown(studio.structure)
        there = await at.app.storage.read(lambda tx: tx.hooks.get(at.hook.id))
        assert there is not None
        assert there.server_url == tower.server.url
