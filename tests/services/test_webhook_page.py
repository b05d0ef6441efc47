"""Which names of events the by-hand set-up lists, by what a server has."""

from collections.abc import Sequence

import pytest

from bot.services.webhook_page import WebhookPage, WebhookPages
from bot.speckle.event_table import EVENTS
from bot.speckle.events import EventKind
from bot.speckle_api.client import SpeckleClient
from sandbox.speckle import SpeckleServer
from sandbox.speckle.release import SPECKLE_2_31, SPECKLE_4, SPECKLE_4_AS_ANNOUNCED, Release

PROJECT = "a1b2c3d4e5"
ALL = [row.kind for row in EVENTS]


def test_todays_page_speaks_of_projects_models_and_versions() -> None:
    names = WebhookPage().names(ALL)
    assert {name.split("_")[0] for name in names} <= {
        "project",
        "model",
        "version",
        "comment",
        "issue",
    }
    assert {"project_permissions_add", "version_receive", "model_delete"} <= set(names)
    assert len(names) == len(set(names))


def test_an_old_page_has_the_words_of_the_wire() -> None:
    names = WebhookPage(old_names=True).names([EventKind.VERSION_CREATED, EventKind.MODEL_CREATED])
    assert names == ("commit_create", "branch_create")


def test_only_what_the_filters_need_and_the_page_offers_is_listed() -> None:
    kinds = [EventKind.VERSION_MOVED, EventKind.COMMENT_CREATED, EventKind.COMMENT_MENTIONED]
    assert WebhookPage().names(kinds) == ("comment_created",)
    assert WebhookPage(comments=False).names(kinds) == ()
    assert not any(name.startswith("issue_") for name in WebhookPage(issues=False).names(ALL))


@pytest.mark.parametrize(
    ("release", "missing", "page"),
    [
        (SPECKLE_2_31, [], WebhookPage(issues=False)),
        (SPECKLE_2_31, ["Project.permissions"], WebhookPage(old_names=True, issues=False)),
        (SPECKLE_4, [], WebhookPage()),
        (SPECKLE_4_AS_ANNOUNCED, [], WebhookPage(comments=False)),
    ],
)
async def test_what_a_server_has_is_asked_without_a_token(
    release: Release, missing: Sequence[str], page: WebhookPage
) -> None:
    async with SpeckleServer.start(release=release, missing=missing) as server:
        client = SpeckleClient(servers=[server.url], deadline_s=5.0)
        assert await WebhookPages(client).of(server.url, PROJECT) == page
        assert {one.authorization for one in server.requests} == {None}
        asked = len(server.requests)
        assert await WebhookPages(client, asks=False).of(server.url, PROJECT) == WebhookPage()
        assert len(server.requests) == asked


async def test_a_server_that_does_not_answer_gets_todays_names() -> None:
    async with SpeckleServer.start() as server:
        server.faults.status = 502
        client = SpeckleClient(servers=[server.url], deadline_s=5.0)
        assert await WebhookPages(client).of(server.url, PROJECT) == WebhookPage()
