"""What a server adds to an event, over real sockets."""

from datetime import UTC, datetime, timedelta

import pytest

from bot.errors import SpeckleNotFound
from bot.speckle.events import ModelRef, ResourceRef, SpeckleUser, VersionCreated
from bot.speckle.facts import CommentFacts, PreviousVersion, ReceivedFacts, VersionFacts
from sandbox.speckle.documents import paragraph
from tests.conftest import only_2_31
from tests.speckle_api.conftest import Studio, created


@only_2_31
async def test_a_version_s_facts_come_in_two_questions_side_by_side(studio: Studio) -> None:
    studio.server.add_comment(studio.tower, [studio.first], author=studio.ilse, text="open")
    studio.server.add_comment(
        studio.tower, [studio.first], author=studio.ilse, text="done", archived=True
    )
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second)
    )
    assert facts == VersionFacts(
        previous=PreviousVersion(studio.first.id, studio.first.created_at, studio.first.object_id),
        open_threads=1,
        made_at=studio.second.created_at,
        application="revit",
        author=SpeckleUser(studio.ilse.id, "Ilse Brandt"),
        model=ModelRef(studio.model.id, "structure/level 1"),
        message=studio.second.message,
        object_id=studio.second.object_id,
        parents=facts.parents,
    )
    asked = sorted(asked.operation for asked in studio.server.requests)
    assert asked == ["OpenIssues", "OpenThreads", "VersionFacts"]


@pytest.mark.parametrize("hang", [True, False], ids=["hangs", "refused"])
@only_2_31
async def test_a_version_s_facts_come_without_the_number_of_threads(
    studio: Studio, hang: bool
) -> None:
    faults = studio.server.faults
    faults.when = lambda operation: operation == "OpenThreads"
    faults.hang, faults.status = hang, None if hang else 502
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second), within_s=3.0
    )
    assert (facts.application, facts.open_threads) == ("revit", None)


async def test_newer_versions_do_not_change_which_one_came_before(studio: Studio) -> None:
    for _ in range(3):
        studio.server.add_version(studio.tower, studio.model, author=studio.ilse)
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second)
    )
    assert facts.previous is not None
    assert facts.previous.id == studio.first.id
    first = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.first)
    )
    assert first.previous is None


async def test_an_old_server_s_event_without_object_and_model_gets_what_can_be_had(
    studio: Studio,
) -> None:
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, VersionCreated(studio.second.id)
    )
    assert (facts.application, facts.open_threads) == ("revit", None)


async def test_a_version_that_is_gone_is_not_found(studio: Studio) -> None:
    studio.server.remove_version(studio.second)
    with pytest.raises(SpeckleNotFound):
        await studio.client.facts.of_version(studio.login, studio.tower.id, created(studio.second))


@only_2_31
async def test_a_reply_s_facts_are_its_thread_s(studio: Studio) -> None:
    thread = studio.server.add_comment(
        studio.tower, [studio.second], author=studio.ilse, text="Beam clashes\nwith the duct"
    )
    reply = studio.server.add_reply(thread, author=studio.ilse, text="moved it")
    for comment in (thread, reply):
        facts = await studio.client.facts.of_comment(studio.login, studio.tower.id, comment.id)
        assert facts == CommentFacts(
            thread.id,
            "Beam clashes",
            (ResourceRef(studio.model.id, studio.second.id),),
            is_reply=comment is reply,
            made_at=comment.created_at,
            author=SpeckleUser(studio.ilse.id, "Ilse Brandt"),
            models=(ModelRef(studio.model.id, "structure/level 1"),),
        )


@only_2_31
async def test_a_thread_s_first_line_is_not_run_together_with_the_next(studio: Studio) -> None:
    doc = paragraph("x") | {
        "content": [
            {"type": "paragraph"},
            {
                "type": "paragraph",
                "content": [
                    {"type": "mention", "attrs": {"label": "Ilse Brandt"}},
                    {"type": "text", "text": " look,  "},
                    {"type": "text", "text": "here", "marks": [{"type": "bold"}]},
                    {"type": "hardBreak"},
                    {"type": "text", "text": "not this"},
                ],
            },
        ]
    }
    thread = studio.server.add_comment(studio.tower, [studio.second], author=studio.ilse, doc=doc)
    facts = await studio.client.facts.of_comment(studio.login, studio.tower.id, thread.id)
    assert facts is not None
    assert facts.first_line == "@Ilse Brandt look, here"


@only_2_31
async def test_a_comment_of_another_project_is_not_found(studio: Studio) -> None:
    other = studio.server.add_project("Harbour", owner=studio.ilse)
    thread = studio.server.add_comment(other, [], author=studio.ilse, text="elsewhere")
    for comment_id in (thread.id, "ffffffffff"):
        with pytest.raises(SpeckleNotFound):
            await studio.client.facts.of_comment(studio.login, studio.tower.id, comment_id)


@only_2_31
async def test_a_received_version_is_found_in_the_activity_list(studio: Studio) -> None:
    studio.server.set_role(studio.tower, studio.bruno, "stream:reviewer")
    now = datetime.now(UTC)
    studio.server.receive(studio.first, user=studio.bruno, at=now - timedelta(minutes=3))
    studio.server.receive(studio.second, user=studio.bruno, at=now)
    studio.server.receive(studio.first, user=studio.ilse, at=now)
    facts = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now + timedelta(seconds=1)
    )
    model = ModelRef(studio.model.id, "structure/level 1")
    assert facts == ReceivedFacts(studio.second.id, model, "beams")
    earlier = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now - timedelta(minutes=3)
    )
    assert earlier == ReceivedFacts(studio.first.id, model, "grid")
    long_ago = now - timedelta(days=1)
    assert (
        await studio.client.facts.of_received(
            studio.login, studio.tower.id, studio.bruno.id, long_ago
        )
        is None
    )
    studio.server.remove_version(studio.second)
    gone = await studio.client.facts.of_received(
        studio.login, studio.tower.id, studio.bruno.id, now
    )
    assert gone == ReceivedFacts(studio.second.id)
