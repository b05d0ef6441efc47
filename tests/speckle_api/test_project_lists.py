"""What was made in a project from a moment on, read from its lists, over real sockets."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.speckle.events import ModelRef, SpeckleUser
from bot.speckle.listed import ListedModel, ListedReply, ListedUpdate, ListedVersion
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_4_AS_ANNOUNCED, SpeckleServer
from tests.speckle_api.conftest import Studio

SECOND = timedelta(seconds=1)


@pytest.fixture
async def newer() -> AsyncIterator[Studio]:
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        studio = Studio(server)
        yield studio
        studio.gateway.close()


async def test_versions_and_models_are_told_with_who_made_them(
    studio: Studio,
) -> None:
    after = studio.server.now() + SECOND
    server, ilse = studio.server, SpeckleUser(studio.ilse.id, "Ilse Brandt")
    model = server.add_model(
        studio.tower, "roof", author=studio.ilse, description="Level 9", at=after + SECOND
    )
    version = server.add_version(
        studio.tower, model, author=studio.ilse, message="slabs", at=after + 2 * SECOND
    )
    model.updated_at = version.created_at
    found = await studio.gateway.changes_since(studio.login, studio.tower.id, after=after, limit=9)
    (told,), (made,) = found.versions, found.models
    assert (told.id, told.model, told.author, told.message) == (
        version.id,
        ModelRef(model.id, "roof"),
        ilse,
        "slabs",
    )
    assert made == ListedModel(model.id, made.at, ilse, "roof", "Level 9")
    assert found.whole_since is None


async def test_long_lists_are_read_in_pages_and_nothing_is_lost(studio: Studio) -> None:
    after = studio.server.now() + SECOND
    for n in range(230):
        studio.server.add_version(
            studio.tower,
            studio.model,
            author=studio.ilse,
            message=f"{n}",
            at=after + timedelta(milliseconds=n // 7),  # several in one millisecond
        )
    found = await studio.gateway.changes_since(
        studio.login, studio.tower.id, after=after, limit=500
    )
    assert {one.message for one in found.versions} == {f"{n}" for n in range(230)}
    found = await studio.gateway.changes_since(
        studio.login, studio.tower.id, after=after, limit=100
    )
    assert len(found.versions) == 100
    assert found.whole_since == min(one.at for one in found.versions) > after


async def test_what_is_too_large_is_read_alone_and_at_last_without_its_text(
    studio: Studio,
) -> None:
    studio.limit(max_answer_bytes=30_000)
    after = studio.server.now() + SECOND
    for n, size in enumerate((10, 19_000, 19_000, 10, 40_000, 10)):
        studio.server.add_version(
            studio.tower,
            studio.model,
            author=studio.ilse,
            message="x" * size,
            at=after + n * SECOND,
        )
    found = await studio.gateway.changes_since(studio.login, studio.tower.id, after=after, limit=9)
    sizes = [one.message and len(one.message) for one in found.versions]
    assert sizes == [10, None, 10, 19_000, 19_000, 10]


async def test_issues_come_with_their_changes_and_replies(newer: Studio) -> None:
    server, ilse = newer.server, SpeckleUser(newer.ilse.id, "Ilse Brandt")
    begin = server.now() + SECOND
    server.add_issue(newer.tower, "An old one", author=newer.ilse, at=begin - 9 * SECOND)
    issue, _ = server.add_issue(newer.tower, "Beam clashes", author=newer.ilse, at=begin)
    server.update_issue(issue, by=newer.ilse, at=begin + SECOND, status="resolved")
    server.reply_to_issue(issue, author=newer.bruno, text="Done", at=begin + 2 * SECOND)
    found = await newer.gateway.changes_since(newer.login, newer.tower.id, after=begin, limit=9)
    (told,) = found.issues
    assert (told.id, told.author) == (issue.id, ilse)
    assert [one.actor for one in told.updates] == [ilse]
    assert told.updates[0] == ListedUpdate(told.at + SECOND, ilse)
    assert told.replies == (
        ListedReply(
            issue.replies[0].id,
            told.at + 2 * SECOND,
            SpeckleUser(newer.bruno.id, "Bruno Achterberg"),
        ),
    )


async def test_a_server_without_issues_has_none(studio: Studio) -> None:
    after = studio.server.now() - SECOND
    found = await studio.gateway.changes_since(studio.login, studio.tower.id, after=after, limit=9)
    assert found.issues == ()
    assert {type(one) for one in found.versions} == {ListedVersion}


async def test_a_public_project_is_read_without_a_token(studio: Studio) -> None:
    hall = studio.server.add_project("Public Hall", owner=studio.ilse, visibility="PUBLIC")
    after = studio.server.now()
    studio.server.add_model(hall, "roof", at=after + SECOND)
    login = Login(studio.server.url)
    found = await studio.gateway.changes_since(login, hall.id, after=after, limit=9)
    assert [one.name for one in found.models] == ["roof"]
