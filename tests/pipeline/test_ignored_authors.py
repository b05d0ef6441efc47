"""Whom a channel ignores: by who did it as Speckle tells it, whatever the event calls them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED, User, commit_create_data
from tests.pipeline.conftest import Studio
from tests.pipeline.tower import Tower
from tests.pipeline.world import OBJECTS, SECRET, BotWorld, OpenStage, stage, timings

__all__ = ["stage", "timings"]

IGNORING = SubscriptionOptions(ignore_authors=("Ilse Brandt",))
# A machine that is busy is no Speckle that does not answer.
PATIENT = {"enrich_deadline_s": 20.0}

Forge = Callable[[BotWorld, User], Awaitable[None]]


async def version(stage: BotWorld, claimed: User) -> None:
    made = stage.version(message=SECRET)
    await stage.fire("commit_create", commit_create_data(made), user=claimed)


async def reply(stage: BotWorld, claimed: User) -> None:
    thread = stage.thread(stage.public)
    content = {"doc": {"type": "doc", "content": []}}
    data = {"threadId": thread.id, "projectId": stage.tower.project.id, "content": content}
    message = f"Comment reply #{stage.reply(thread).id} created"
    await stage.fire("comment_replied", {"input": data}, message, user=claimed)


async def resolving(stage: BotWorld, claimed: User) -> None:
    thread = stage.thread(stage.public)
    stage.tower.server.archive(thread, by=stage.tower.ilse)
    data = {"commentId": thread.id, "archived": True, "projectId": stage.tower.project.id}
    await stage.fire("comment_archived", {"input": data}, user=claimed)


async def receiving(stage: BotWorld, claimed: User) -> None:
    received = stage.version(message=SECRET)
    stage.tower.server.receive(received, user=stage.tower.ilse)
    data = {"sourceApplication": "Rhino", "message": None}
    await stage.fire("commit_receive", data, user=claimed)


async def issue(stage: BotWorld, claimed: User) -> None:
    tower = stage.tower
    _, data = tower.server.add_issue(tower.project, SECRET, author=tower.ilse)
    await stage.fire("issue_created", data, user=claimed)


@pytest.mark.parametrize(
    ("release", "forge", "same_id"),
    [
        (SPECKLE_2_31, version, True),
        (SPECKLE_2_31, version, False),
        (SPECKLE_2_31, reply, True),
        (SPECKLE_2_31, reply, False),
        (SPECKLE_2_31, resolving, False),
        (SPECKLE_2_31, receiving, False),
        (SPECKLE_4_AS_ANNOUNCED, version, True),
        (SPECKLE_4_AS_ANNOUNCED, issue, True),
        (SPECKLE_4_AS_ANNOUNCED, issue, False),
    ],
    indirect=["release"],
)
async def test_a_made_up_name_of_an_ignored_author_lets_nothing_of_theirs_through(
    stage: OpenStage, studio: Studio, forge: Forge, same_id: bool
) -> None:
    async with stage(made=False, speckle=PATIENT) as at:
        ilse = at.tower.ilse
        await at.follow(studio.structure, await at.link(), options=IGNORING)
        await at.follow(studio.facade, hook=at.hook)
        other = at.tower.server.add_user("Bea Halloran")
        await forge(at, replace(ilse, name="Nobody You Know") if same_id else other)
        await at.publish("the slab")
        await at.shows(studio.facade, "the slab")
        await at.settled()
        assert SECRET not in at.shown(studio.structure)
        assert at.public.name not in at.shown(studio.structure)
        assert "hread:" not in at.shown(studio.structure)


async def test_where_speckle_does_not_answer_in_time_the_author_in_the_event_decides_at_once(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage(speckle={"enrich_deadline_s": 0.3}) as at:
        there = await at.follow(studio.structure, await at.link(), options=IGNORING)
        bea = at.tower.server.add_user("Bea Halloran")
        tower.server.faults.when = lambda operation: operation == "VersionFacts"
        tower.server.faults.hang = True
        await at.publish("by who is ignored")
        hers = at.tower.server.add_version(tower.project, at.public, author=bea, message="by Bea")
        at.tower.server.render(hers)
        await at.fire("commit_create", commit_create_data(hers), user=bea)
        claimed = at.version(message="claimed by Bea")
        await at.fire("commit_create", commit_create_data(claimed), user=bea)
        await at.shows(studio.structure, "by Bea", "claimed by Bea")
        await at.holds(there, 0)
        tower.server.faults.clear()
        await at.settled()
        assert at.quotes(studio.structure) == ["by Bea", "claimed by Bea"]
        assert OBJECTS not in at.shown(studio.structure)
