"""Events that somebody made up who knows a webhook's secret, and accounts that are never lent."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.model import Entitlement
from bot.speckle.subscription_options import SubscriptionOptions
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED
from tests.conftest import only_2_31, over_postgresql
from tests.pipeline.conftest import Studio
from tests.pipeline.tower import Tower, answer
from tests.pipeline.world import OBJECTS, PUBLIC_ONLY, SECRET, BotWorld, OpenStage, stage, timings

__all__ = ["stage", "timings"]

Forge = Callable[[BotWorld], Awaitable[None]]
YEARS = timedelta(days=1200)


# ── a secret model, in a channel that follows the public ones ─────────────────────────────────


async def forged_version(stage: BotWorld) -> None:
    version = stage.version(stage.secret, SECRET)
    stage.tower.server.render(version)
    await stage.forge_version(version, stage.public)


async def forged_reply(stage: BotWorld) -> None:
    thread = stage.thread(stage.secret)
    await stage.tell_reply(stage.reply(thread).id, thread.id, "forged")


async def forged_resolving(stage: BotWorld) -> None:
    thread = stage.thread(stage.secret)
    stage.tower.server.archive(thread, by=stage.tower.ilse)
    await stage.tell_archived(thread.id)


async def forged_mention(stage: BotWorld) -> None:
    thread = stage.thread(stage.secret)
    await stage.tell_mention(stage.reply(thread).id, thread.id)


async def forged_thread(stage: BotWorld) -> None:
    thread = stage.thread(stage.secret)
    where = {"resourceIdString": stage.public.id, "projectId": stage.tower.project.id}
    content = {"doc": {"type": "doc", "content": []}}
    data = {"input": {**where, "content": content}}
    await stage.fire("comment_created", data, f"Comment added: {thread.id} ([object Object])")


async def forged_issue(stage: BotWorld) -> None:
    version = stage.version(stage.secret, SECRET)
    _, data = stage.tower.server.add_issue(
        stage.tower.project, SECRET, author=stage.tower.ilse, versions=[version]
    )
    await stage.fire("issue_created", data)


# A mention is shown by itself only where its comment is not.
MENTIONS = SubscriptionOptions(events=("comment_mentioned",))
FORGED = pytest.mark.parametrize(
    ("release", "forge"),
    [
        (SPECKLE_2_31, forged_version),
        (SPECKLE_2_31, forged_reply),
        (SPECKLE_2_31, forged_resolving),
        (SPECKLE_2_31, forged_mention),
        (SPECKLE_2_31, forged_thread),
        (SPECKLE_4_AS_ANNOUNCED, forged_version),
        (SPECKLE_4_AS_ANNOUNCED, forged_issue),
    ],
    indirect=["release"],
)


def _public_only(forge: Forge) -> SubscriptionOptions:
    mention = forge is forged_mention
    return (
        replace(PUBLIC_ONLY, events=("comment_mentioned", "versions")) if mention else PUBLIC_ONLY
    )


@FORGED
async def test_what_is_about_a_secret_model_is_shown_nowhere_whatever_the_event_says(
    stage: OpenStage, studio: Studio, forge: Forge
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link(), options=_public_only(forge))
        await forge(at)
        await at.publish("the slab")
        await at.shows(studio.structure, "the slab")
        assert len(at.embeds(studio.structure)) == 1


@FORGED
async def test_where_speckle_is_slow_nothing_secret_comes_later_either(
    stage: OpenStage, studio: Studio, tower: Tower, forge: Forge
) -> None:
    facts = {"VersionFacts", "CommentFacts", "Activity", "Issue", "IssuesChanged"}
    async with stage(speckle={"enrich_deadline_s": 0.3}) as at:
        await at.follow(studio.structure, await at.link(), options=_public_only(forge))
        tower.server.faults.when = lambda operation: operation in facts  # not the picture
        tower.server.faults.hang = True
        await forge(at)
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        tower.server.faults.clear()
        await at.settled()
        (message,) = at.messages(studio.structure)
        said = at.shown(studio.structure)
        assert message.files == []
        assert [r for r in studio.sandbox.requests if r.method == "PATCH"] == []
        for secret in (SECRET, "secret/x", OBJECTS, "image"):
            assert secret not in said


@over_postgresql
async def test_a_name_that_an_event_made_up_for_a_model_lets_nothing_of_it_through(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link(), options=PUBLIC_ONLY)
        secret = at.version(at.secret, SECRET)
        claimed = {"branch": {"id": at.secret.id, "name": "public/renamed"}}
        await at.fire("branch_create", claimed)
        await at.forge_version(secret, at.secret, "forged")
        thread = at.thread(at.secret)
        where = {"resourceIdString": at.secret.id, "projectId": at.tower.project.id}
        data = {"input": {**where, "content": {"doc": {"type": "doc", "content": []}}}}
        await at.fire("comment_created", data, f"Comment added: {thread.id} ([object Object])")
        await at.publish("the slab")
        await at.shows(studio.structure, "the slab")
        titles = [embed["title"] for embed in at.embeds(studio.structure)]
        assert titles == ["New model: public/renamed", "New version: public/y"], "what it said"
        assert SECRET not in at.shown(studio.structure)


# ── threads and what was received ─────────────────────────────────────────────────────────────


async def old_thread(stage: BotWorld) -> None:
    at = datetime.now(UTC) - YEARS
    thread = stage.thread(stage.public, at=at)
    await stage.tell_reply(stage.reply(thread, at=at).id, thread.id)


async def of_another_project(stage: BotWorld) -> None:
    server, ilse = stage.tower.server, stage.tower.ilse
    other = server.add_project("Harbour Pier", owner=ilse)
    model = server.add_model(other, "pier")
    thread = server.add_comment(
        other, [server.add_version(other, model, author=ilse)], author=ilse, text=SECRET
    )
    reply = server.add_reply(thread, author=ilse, text=SECRET)
    await stage.tell_reply(reply.id, thread.id)


async def of_another_thread(stage: BotWorld) -> None:
    thread, other = stage.thread(stage.public), stage.thread(stage.public, "Which one?")
    await stage.tell_reply(stage.reply(thread).id, other.id)


async def no_reply_at_all(stage: BotWorld) -> None:
    thread = stage.thread(stage.public)
    await stage.tell_reply(thread.id, thread.id)


async def old_resolving(stage: BotWorld) -> None:
    thread = stage.thread(stage.public, at=datetime.now(UTC) - YEARS)
    stage.tower.server.archive(thread, by=stage.tower.ilse)
    stage.tower.project.activity[-1].time = datetime.now(UTC) - YEARS
    await stage.tell_archived(thread.id)


async def never_reopened(stage: BotWorld) -> None:
    await stage.tell_archived(stage.thread(stage.public).id, archived=False)


async def old_mention(stage: BotWorld) -> None:
    thread = stage.thread(stage.public, at=datetime.now(UTC) - YEARS)
    await stage.tell_mention(thread.id, thread.id)


async def new_thread_that_was_not_mentioned(stage: BotWorld) -> None:
    thread, other = stage.thread(stage.public), stage.thread(stage.public, "Which one?")
    await stage.tell_mention(stage.reply(thread).id, other.id)


@pytest.mark.parametrize(
    "forge",
    [
        old_thread,
        of_another_project,
        of_another_thread,
        no_reply_at_all,
        old_resolving,
        never_reopened,
        old_mention,
        new_thread_that_was_not_mentioned,
    ],
)
@only_2_31
async def test_a_made_up_event_of_a_thread_shows_nothing_of_that_thread(
    stage: OpenStage, studio: Studio, forge: Forge
) -> None:
    mention = forge in (old_mention, new_thread_that_was_not_mentioned)
    async with stage() as at:
        options = MENTIONS if mention else SubscriptionOptions()
        await at.follow(studio.structure, await at.link(), options=options)
        await forge(at)
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        await at.settled()
        (embed,) = at.embeds(studio.structure)
        assert SECRET not in str(embed)
        assert "Thread:" not in str(embed)


@only_2_31
async def test_a_true_reply_and_a_true_resolving_show_which_thread_it_is(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        thread = at.thread(at.public, "Clash at C4", at=datetime.now(UTC) - YEARS)
        await at.tell_reply(at.reply(thread).id, thread.id)
        at.tower.server.archive(thread, by=at.tower.ilse)
        await at.tell_archived(thread.id)
        await at.settled()
        shown = [str(embed) for embed in at.embeds(studio.structure)]
        assert ["Thread: Clash at C4" in one for one in shown] == [True, True]


@only_2_31
async def test_that_something_was_received_shows_only_what_this_person_received_then(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        server, ilse = at.tower.server, at.tower.ilse
        version, mine = at.version(at.public, SECRET), at.version(at.public, "mine")
        server.receive(version, user=ilse, at=datetime.now(UTC) - timedelta(hours=1))
        server.receive(version, user=server.add_user("Bea Halloran"))
        data = {"sourceApplication": "Rhino", "message": None}
        await at.fire("commit_receive", data)
        await studio.sandbox.wait_for_messages(studio.structure.id, 1, 20)
        assert version.id not in at.shown(studio.structure)
        server.receive(mine, user=ilse)
        await at.fire("commit_receive", {**data, "message": "again"})
        await at.shows(studio.structure, mine.id)
        assert version.id not in at.shown(studio.structure)


# ── an account is never lent ──────────────────────────────────────────────────────────────────


async def everything_that_an_account_adds(stage: BotWorld) -> None:
    """Facts, a picture, a first line, and a model's name that no event of the webhook told."""
    server, tower = stage.tower.server, stage.tower
    if server.release is SPECKLE_2_31:
        thread = stage.thread(stage.public, "Clash at C4")
        await stage.tell_reply(stage.reply(thread).id, thread.id)
    else:
        on = [stage.version(stage.public)]
        _, data = server.add_issue(tower.project, "Clash at C4", author=tower.ilse, versions=on)
        await stage.fire("issue_created", data)
    version = stage.version(stage.secret, "roof")
    stage.tower.server.render(version)
    data = {"id": version.id, "commit": {"message": "roof", "objectId": version.object_id}}
    await stage.fire("commit_create", data)


ADDED = (OBJECTS, "image", "Clash at C4", "public/y", "secret/x")


@pytest.mark.parametrize("made", [True, False])
async def test_what_an_account_may_see_is_shown_in_the_channel_of_its_person_alone(
    stage: OpenStage, studio: Studio, made: bool
) -> None:
    async with stage(made=made) as at:
        await at.follow(studio.structure, await at.link())
        maren = at.studio.maren.id
        covered = answer(
            maren, standing=Entitlement.OWNER, audience=await at.audience(studio.facade)
        )
        await at.follow(studio.facade, hook=at.hook, consent=covered if made else None)
        await everything_that_an_account_adds(at)
        await at.shows(studio.structure, *ADDED)
        await at.settled()
        assert len(at.embeds(studio.facade)) == 2
        assert [word for word in ADDED if word in at.shown(studio.facade)] == []
        assert not any(message.files for message in at.messages(studio.facade))


@over_postgresql
async def test_of_two_accounts_the_one_that_lost_access_shows_nothing_more_and_pauses_its_channel(
    stage: OpenStage, studio: Studio, tower: Tower
) -> None:
    async with stage() as at:
        tobias = studio.guild.add_member("Tobias Lindqvist")
        bea = await at.link(tobias, "Bea Halloran")
        await at.follow(studio.structure, await at.link())
        hers = await at.follow(studio.facade, bea)
        tower.server.set_role(tower.project, tower.server.users[bea.speckle_user_id], None)
        await at.the_last_yes_was(timedelta(minutes=11))
        await everything_that_an_account_adds(at)
        await at.shows(studio.structure, *ADDED)
        await at.holds(hers, 2)
        assert at.messages(studio.facade) == []


@over_postgresql
async def test_a_mere_readers_hook_by_hand_gets_nothing_that_the_owner_may_see(
    stage: OpenStage, studio: Studio
) -> None:
    async with stage() as at:
        await at.follow(studio.structure, await at.link())
        await at.follow(studio.facade, hook=await at.by_hand())
        await everything_that_an_account_adds(at)
        await at.shows(studio.structure, *ADDED)
        await at.settled()
        assert [word for word in ADDED if word in at.shown(studio.facade)] == []
