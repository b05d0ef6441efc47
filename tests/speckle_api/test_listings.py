"""A project's lists: what changed since, and what everything and everybody is called."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.errors import SpeckleForbidden
from bot.speckle.events import ModelRef, ProjectNames, SpeckleUser
from bot.speckle.listed import ListedModel, ListedReply, ListedUpdate, ListedVersion
from bot.speckle_api import listings
from bot.speckle_api.asker import PAGE
from bot.speckle_api.client import MAX_MODELS
from sandbox.speckle import SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED, Release
from tests.speckle_api.conftest import Studio
from tests.speckle_api.test_questions import ODD, TIME, places, replaced

EARLY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=[SPECKLE_2_31, SPECKLE_4_AS_ANNOUNCED], ids=lambda found: str(found.name))
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


def test_a_version_that_a_list_has_twice_is_one() -> None:
    """Discord takes no menu that offers the same twice."""
    items = [{"id": one, "moved": "2026-01-01T00:00:00Z"} for one in ("b", "a", "b")]
    found = listings.read_versions(listings.Listing(tuple(items)))
    assert [one.id for one in found] == ["b", "a"]


async def test_what_was_made_since_is_listed_whole(studio: Studio) -> None:
    server, ilse = studio.server, SpeckleUser(studio.ilse.id, "Ilse Brandt")
    after = server.now()
    facade = server.add_model(studio.tower, "facade", author=studio.ilse, description="south")
    version = server.add_version(studio.tower, facade, author=studio.ilse, message="panels")
    found = await studio.client.changes_since(studio.login, studio.tower.id, after=after, limit=100)
    assert found.versions == (
        ListedVersion(
            version.id,
            version.created_at,
            ModelRef(facade.id, "facade"),
            ilse,
            "panels",
            None,
            version.object_id,
        ),
    )
    assert found.models == (ListedModel(facade.id, facade.created_at, ilse, "facade", "south"),)
    assert (found.issues, found.whole_since) == ((), None)


@pytest.mark.parametrize("release", [SPECKLE_4_AS_ANNOUNCED], indirect=True, ids=["4"])
async def test_what_was_done_to_issues_since_is_listed(studio: Studio) -> None:
    server, ilse = studio.server, SpeckleUser(studio.ilse.id, "Ilse Brandt")
    server.add_issue(studio.tower, "Old", author=studio.ilse)
    issue, _ = server.add_issue(studio.tower, "Clash", author=studio.ilse)
    after = server.now()
    server.update_issue(issue, by=studio.ilse, status="resolved")
    updated_at = issue.updated_at
    server.reply_to_issue(issue, author=studio.bruno, text="done")
    found = await studio.client.changes_since(studio.login, studio.tower.id, after=after, limit=100)
    (listed,) = found.issues
    assert (listed.id, listed.at, listed.author) == (issue.id, issue.created_at, ilse)
    assert listed.updates == (ListedUpdate(updated_at, ilse),)
    bruno = SpeckleUser(studio.bruno.id, "Bruno Achterberg")
    assert listed.replies == (ListedReply(issue.replies[0].id, issue.updated_at, bruno),)


async def test_a_list_is_read_page_by_page_and_no_further_than_needed(studio: Studio) -> None:
    after = studio.server.now()
    for number in range(3 * PAGE):
        studio.server.add_version(
            studio.tower, studio.model, author=studio.ilse, message=f"v{number}", object_count=1
        )
    newest = studio.tower.versions[-1]
    found = await studio.client.changes_since(
        studio.login, studio.tower.id, after=after, limit=1_000
    )
    assert len({one.id for one in found.versions}) == 3 * PAGE
    assert found.whole_since is None
    studio.server.requests.clear()
    await studio.client.changes_since(
        studio.login, studio.tower.id, after=newest.created_at, limit=1_000
    )
    assert len(studio.server.asked("Versions")) == 2
    found = await studio.client.changes_since(
        studio.login, studio.tower.id, after=after, limit=2 * PAGE
    )
    assert len(found.versions) == 2 * PAGE
    assert found.whole_since == found.versions[-1].at


async def test_a_page_that_is_too_large_is_asked_for_in_smaller_ones(studio: Studio) -> None:
    after = studio.server.now()
    for _ in range(40):
        studio.server.add_version(
            studio.tower, studio.model, author=studio.ilse, message="m" * 5_000, object_count=1
        )
    studio.limit(max_answer_bytes=50_000)
    found = await studio.client.changes_since(
        studio.login, studio.tower.id, after=after, limit=1_000
    )
    assert len({one.id for one in found.versions}) == 40


async def test_what_is_too_large_alone_comes_without_its_text(studio: Studio) -> None:
    studio.limit(max_answer_bytes=30_000)
    after = studio.server.now()
    for size in (10, 19_000, 19_000, 10, 40_000, 10):
        studio.server.add_version(
            studio.tower, studio.model, author=studio.ilse, message="x" * size, object_count=1
        )
    found = await studio.client.changes_since(studio.login, studio.tower.id, after=after, limit=9)
    sizes = [one.message and len(one.message) for one in found.versions]
    assert sizes == [10, None, 10, 19_000, 19_000, 10]


async def test_what_was_made_at_the_same_moment_is_not_lost_between_two_pages(
    studio: Studio,
) -> None:
    after = studio.server.now()
    for number in range(3 * PAGE):
        studio.server.add_version(
            studio.tower,
            studio.model,
            author=studio.ilse,
            message=f"v{number}",
            object_count=1,
            at=after + timedelta(milliseconds=number // 7),
        )
    found = await studio.client.changes_since(
        studio.login, studio.tower.id, after=after, limit=1_000
    )
    assert {one.message for one in found.versions} == {f"v{n}" for n in range(3 * PAGE)}
    assert len(found.versions) == 3 * PAGE


async def test_the_names_of_a_project_are_read(studio: Studio) -> None:
    studio.server.set_role(studio.tower, studio.bruno, "stream:reviewer")
    for number in range(PAGE):
        studio.server.add_model(studio.tower, f"m{number}")
    found = await studio.client.project_names(studio.login, studio.tower.id)
    assert found.models[studio.model.id] == "structure/level 1"
    assert len(found.models) == PAGE + 1
    people = {studio.ilse.id: "Ilse Brandt", studio.bruno.id: "Bruno Achterberg"}
    assert (found.people, found.complete) == (people, True)


async def test_where_no_question_about_people_is_answered_models_have_names_still(
    studio: Studio,
) -> None:
    studio.server.lose("Stream.collaborators")
    found = await studio.client.project_names(studio.login, studio.tower.id)
    names = {studio.model.id: "structure/level 1"}
    assert found == ProjectNames(names, {}, complete=True)
    with pytest.raises(SpeckleForbidden):
        await studio.client.project_names(studio.strangers, studio.tower.id)


async def test_of_very_many_models_not_all_names_are_read(studio: Studio) -> None:
    for number in range(MAX_MODELS):
        studio.server.add_model(studio.tower, f"m{number}")
    found = await studio.client.project_names(studio.login, studio.tower.id, within_s=30.0)
    assert len(found.models) == MAX_MODELS
    assert not found.complete


async def test_names_are_complete_only_if_the_server_has_no_more_models(studio: Studio) -> None:
    for number in range(3 * PAGE):  # of one moment: the server's cursor skips most
        studio.server.add_model(studio.tower, f"m{number}", at=studio.tower.created_at)
    found = await studio.client.project_names(studio.login, studio.tower.id)
    assert len(found.models) < 3 * PAGE
    assert not found.complete


ITEM: dict[str, Any] = {
    "id": "x1",
    "moved": TIME,
    "createdAt": TIME,
    "message": "m",
    "name": "n",
    "model": {"id": "m1", "name": "n"},
    "author": {"id": "u1", "name": "Ilse", "user": {"id": "u1", "name": "Ilse"}},
    "activities": {"items": [{"eventType": "updated", "createdAt": TIME, "actor": {"id": "u1"}}]},
    "replies": {"items": [{"id": "r1", "createdAt": TIME, "author": {"id": "u1"}}]},
}


def test_whatever_stands_in_a_list_it_is_read() -> None:
    for place in places(ITEM):
        for odd in ODD:
            page = {"project": {"listed": {"cursor": odd, "items": [replaced(ITEM, place, odd)]}}}
            listing = listings.Listing().then(listings.read_page(page))
            changes = listings.read_changes(listing, listing, listing, EARLY)
            assert "\\ud800" not in repr(changes)
            assert "\\ud800" not in repr(listings.read_names(listing, []))


@pytest.mark.parametrize("limit", [None, 1_500])
async def test_the_lists_with_what_there_is_are_one_request_where_that_is_answered(
    studio: Studio, release: Release, limit: int | None
) -> None:
    """Where it is too large, or the server has no issues, each list is asked for."""
    for number in range(20):
        studio.server.add_version(
            studio.tower, studio.model, author=studio.ilse, message=f"{number} {'m' * 300}"
        )
    if limit is not None:
        studio.limit(max_answer_bytes=limit)
    studio.server.requests.clear()
    after = studio.server.now()
    found = await studio.client.changes_since(
        studio.login, studio.tower.id, after=after, limit=1_000, with_state=True
    )
    assert found.versions == ()
    assert found.state is not None
    assert len(found.state.versions) == (22 if limit is None else 2)
    has_issues = release is SPECKLE_4_AS_ANNOUNCED
    assert (found.state.issues is not None) == has_issues
    asked = {one.operation for one in studio.server.requests}
    if limit is None and has_issues:
        assert asked == {"FirstPages"}
    else:
        assert asked > {"FirstPages", "Versions", "ModelsMade"}
