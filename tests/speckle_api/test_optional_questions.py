"""Servers of several releases: each understands what it must, and lacks only what may lack."""

from collections.abc import AsyncIterator, Mapping

import pytest
from graphql import parse, validate

from bot.cli.check import speckle as check
from bot.speckle.events import EventKind
from bot.speckle.issue_hints import IssueHint
from bot.speckle_api import (
    activity_list,
    avatars,
    comments,
    issues,
    listings,
    optional_questions,
    questions,
    versions,
)
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.optional_questions import DAY_S, MissingFields, OptionalQuestion
from bot.speckle_api.types import Login
from sandbox.speckle import (
    RELEASES,
    SPECKLE_2_31,
    SPECKLE_4,
    SPECKLE_4_AS_ANNOUNCED,
    Release,
    SpeckleServer,
)
from sandbox.speckle.graphql_executor import make_schema
from tests.speckle_api.conftest import created

ROOMS = (
    questions,
    versions,
    comments,
    issues,
    listings,
    activity_list,
    avatars,
    optional_questions,
)
ASKED = [*map(vars, (*ROOMS, check))]
REQUIRED = {
    name: text
    for module in ASKED
    for name, text in module.items()
    if isinstance(text, str) and text.lstrip().startswith(("query ", "mutation "))
    if not name.startswith("_")
}
OPTIONAL = {
    f"{name} {number}": question
    for module in ASKED
    for name, value in module.items()
    for number, question in enumerate(value if isinstance(value, tuple) else [value])
    if isinstance(question, OptionalQuestion)
}
# Which fields a server lacks, by release.
MISSING: Mapping[Release, set[str]] = {
    SPECKLE_2_31: {"Project.issue", "Project.issues"},
    SPECKLE_4: {"Stream.activity"},
    SPECKLE_4_AS_ANNOUNCED: {"Stream.activity", "Project.comment", "Project.commentThreads"},
}
each_release = pytest.mark.parametrize("release", RELEASES, ids=lambda release: release.name)


def faults(release: Release, text: str) -> list[str]:
    return [error.message for error in validate(make_schema(release), parse(text), max_errors=None)]


def test_there_are_questions_of_both_kinds() -> None:
    assert len(REQUIRED) >= 15
    assert len(OPTIONAL) >= 10


@each_release
@pytest.mark.parametrize("name", REQUIRED)
def test_every_server_understands_what_it_must(release: Release, name: str) -> None:
    assert faults(release, REQUIRED[name]) == []


@each_release
@pytest.mark.parametrize("name", OPTIONAL)
def test_a_server_lacks_of_an_optional_question_its_own_field_and_nothing_else(
    release: Release, name: str
) -> None:
    question = OPTIONAL[name]
    kind, field = question.field.split(".")
    found = faults(release, question.text)
    if question.field in MISSING[release]:
        # What is below the field may be of types that the server has not got either. A question may
        # ask for the field more than once.
        (cannot,) = {one for one in found if not one.startswith("Unknown type 'Issue")}
        assert cannot.startswith(f"Cannot query field '{field}' on type '{kind}'.")
    else:
        assert found == []


# ── asking ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def newer() -> AsyncIterator[SpeckleServer]:
    """A server that lacks all that the newest release lacks."""
    async with SpeckleServer.start(release=SPECKLE_4_AS_ANNOUNCED) as server:
        yield server


class Clock:
    """Seconds, that a test lets pass."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_what_a_server_lacks_costs_the_rest_nothing_and_is_asked_for_once_a_day(
    newer: SpeckleServer,
) -> None:
    clock = Clock()
    client = SpeckleClient(servers=[newer.url], deadline_s=5.0, missing=MissingFields(clock))
    wanda = newer.add_user("Wanda Okafor")
    pier = newer.add_project("Pier Four", owner=wanda)
    deck = newer.add_model(pier, "Deck")
    version = newer.add_version(pier, deck, author=wanda, object_count=31)
    login = Login(newer.url, newer.token(wanda))
    for _ in range(3):
        facts = await client.facts.of_version(login, pier.id, created(version))
        assert (facts.author and facts.author.id, facts.open_threads) == (wanda.id, None)
    assert len(newer.asked("OpenThreads")) == 1
    clock.now = DAY_S + 1.0
    await client.facts.of_version(login, pier.id, created(version))
    assert len(newer.asked("OpenThreads")) == 2


async def test_a_server_without_lists_and_comments_says_nothing_and_fails_nothing(
    newer: SpeckleServer,
) -> None:
    client = SpeckleClient(servers=[newer.url], deadline_s=5.0)
    wanda = newer.add_user("Wanda Okafor")
    pier = newer.add_project("Pier Four", owner=wanda)
    login = Login(newer.url, newer.token(wanda))
    at = newer.now()
    assert await client.activity.since(login, pier.id, after=None, limit=10) is None
    assert await client.facts.of_received(login, pier.id, wanda.id, at) is None
    assert not await client.facts.was_archived(
        login, pier.id, "c0ffee0001", at, archived=True, user_id=wanda.id
    )
    assert await client.facts.of_comment(login, pier.id, "c0ffee0001") is None
    assert await client.scopes(login)


async def test_a_server_without_issues_says_nothing() -> None:
    async with SpeckleServer.start(release=SPECKLE_2_31) as older:
        client = SpeckleClient(servers=[older.url], deadline_s=5.0)
        wanda = older.add_user("Wanda Okafor")
        pier = older.add_project("Pier Four", owner=wanda)
        login = Login(older.url, older.token(wanda))
        hint = IssueHint(EventKind.ISSUE_CREATED, ("c0ffee0001",), older.now())
        assert await client.facts.of_issue(login, pier.id, hint) is None
        changes = await client.changes_since(login, pier.id, after=pier.created_at, limit=10)
        assert changes.issues == ()


async def test_what_one_server_lacks_another_is_asked_for(newer: SpeckleServer) -> None:
    async with SpeckleServer.start() as older:
        client = SpeckleClient(servers=[newer.url, older.url], deadline_s=5.0)
        found = []
        for server in (newer, older):
            wanda = server.add_user("Wanda Okafor")
            pier = server.add_project("Pier Four", owner=wanda)
            login = Login(server.url, server.token(wanda))
            found.append(await client.activity.since(login, pier.id, after=None, limit=10))
    assert found[0] is None
    assert found[1]


async def test_whether_a_server_has_something_is_known_without_a_token(
    newer: SpeckleServer,
) -> None:
    client = SpeckleClient(servers=[newer.url], deadline_s=5.0)
    for project_id in (newer.add_project("Pier", owner=newer.add_user("Wanda")).id, "0000000000"):
        assert await client.has(newer.url, optional_questions.PERMISSIONS, project_id) is True
        assert await client.has(newer.url, optional_questions.ANY_COMMENTS, project_id) is False
    assert {one.authorization for one in newer.asked("HasPermissions")} == {None}
    newer.faults.status = 502
    has = await client.has(newer.url, optional_questions.PERMISSIONS, "0000000000", within_s=0.5)
    assert has is None
