"""The activity lists of many projects in one question, read over real sockets."""

from datetime import timedelta

import pytest

from bot.errors import (
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
)
from bot.speckle_api.activity_list import NEWEST, PROJECTS_A_QUESTION
from bot.speckle_api.graphql import AnswerTooLarge
from sandbox.speckle import ServerProject
from tests.conftest import only_2_31
from tests.speckle_api.conftest import Studio


def add_lines(studio: Studio, project: ServerProject, count: int, message: str = "m") -> None:
    for n in range(count):
        at = studio.server.now() + timedelta(seconds=n)
        studio.server.add_activity(
            project, "commit_create", f"{n:010x}", "commit", studio.ilse, {}, message, at=at
        )


@only_2_31
async def test_each_project_has_its_own_moment(studio: Studio) -> None:
    quay = studio.server.add_project("Quay", owner=studio.ilse)
    lines = studio.tower.activity
    found = await studio.client.activity.of_many(
        studio.login, {studio.tower.id: lines[1].time, quay.id: None}
    )
    assert found is not None
    tower = found[studio.tower.id]
    assert not isinstance(tower, Exception)
    assert [line.id for line in tower] == [line.id for line in reversed(lines[1:])]
    assert {line.info for line in tower} == {None}
    assert list(found) == [studio.tower.id, quay.id]


@only_2_31
async def test_one_that_cannot_be_read_says_why_and_the_others_answer(studio: Studio) -> None:
    private = studio.server.add_project("Vault", owner=studio.bruno)
    wanted = dict.fromkeys([private.id, "ffffffffff", studio.tower.id])
    found = await studio.client.activity.of_many(studio.login, wanted)
    assert found is not None
    assert isinstance(found[private.id], SpeckleForbidden)
    assert isinstance(found["ffffffffff"], SpeckleNotFound)
    assert not isinstance(found[studio.tower.id], Exception)


@only_2_31
async def test_a_missing_scope_is_each_projects_own(studio: Studio) -> None:
    found = await studio.client.activity.of_many(
        studio.limited("profile:read"), {studio.tower.id: None}
    )
    assert found is not None
    assert isinstance(found[studio.tower.id], SpeckleScopeMissing)


async def test_a_refused_token_is_refused_for_all(studio: Studio) -> None:
    assert studio.login.token is not None
    studio.server.revoke(studio.login.token)
    with pytest.raises(SpeckleTokenRefused):
        await studio.client.activity.of_many(studio.login, {studio.tower.id: None})


@only_2_31
async def test_too_many_requests_say_when_to_come_again(studio: Studio) -> None:
    studio.server.faults.rate_limit(30.0)
    with pytest.raises(SpeckleUnavailable) as busy:
        await studio.client.activity.of_many(studio.login, {studio.tower.id: None}, within_s=1)
    assert busy.value.retry_in_s == pytest.approx(30, abs=1)


async def test_a_server_without_such_lists_gives_none(studio: Studio) -> None:
    found = await studio.client.activity.of_many(studio.login, {studio.tower.id: None})
    assert (found is None) is (studio.server.release.name != "2.31")


@only_2_31
async def test_more_than_one_question_holds_are_asked_in_several(studio: Studio) -> None:
    count = PROJECTS_A_QUESTION + 3
    projects = [studio.server.add_project(f"P{n}", owner=studio.ilse) for n in range(count)]
    wanted = dict.fromkeys(project.id for project in projects)
    found = await studio.client.activity.of_many(studio.login, wanted)
    assert found is not None
    assert list(found) == list(wanted)
    assert not any(isinstance(lines, Exception) for lines in found.values())


@only_2_31
async def test_a_full_page_is_seen_by_its_length(studio: Studio) -> None:
    add_lines(studio, studio.tower, NEWEST + 1)
    found = await studio.client.activity.of_many(studio.login, {studio.tower.id: None})
    assert found is not None
    lines = found[studio.tower.id]
    assert not isinstance(lines, Exception)
    assert len(lines) == NEWEST
    assert lines[0].at > lines[-1].at


@only_2_31
async def test_answers_too_large_are_asked_in_halves_and_one_alone_is_its_own_error(
    studio: Studio,
) -> None:
    quays = [studio.server.add_project(f"Quay {n}", owner=studio.ilse) for n in range(4)]
    for quay in quays:
        add_lines(studio, quay, 10, "x" * 255)
    add_lines(studio, studio.tower, 40, "x" * 255)
    studio.limit(max_answer_bytes=15_000)
    wanted = dict.fromkeys([quays[0].id, studio.tower.id, *(quay.id for quay in quays[1:])])
    found = await studio.client.activity.of_many(studio.login, wanted)
    assert found is not None
    assert list(found) == list(wanted)
    assert isinstance(found[studio.tower.id], AnswerTooLarge)
    for quay in quays:
        lines = found[quay.id]
        assert not isinstance(lines, Exception)
        assert len(lines) >= 10
