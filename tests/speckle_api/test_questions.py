"""Reading answers: whatever JSON comes, a value or nothing comes out."""

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import SpeckleError
from bot.speckle.events import ModelRef, VersionCreated
from bot.speckle.rich_text import MAX_LINE, first_line, read_rich_text
from bot.speckle.wire import text_of
from bot.speckle_api import activity_list, comments, error_answers, listings, questions, versions
from tests.speckle_api.recorded import Recording

CREATED = VersionCreated("v2", ModelRef("m1"), object_id="o1")

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from(["message", "extensions", "code", "scope", "path", "data"])
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=30,
)
TIME = "2026-11-23T22:15:32.536Z"
WHOLE: list[tuple[Callable[[Any], Any], Any]] = [
    (questions.read_me, {"activeUser": {"id": "a1", "name": "Ilse"}}),
    (
        lambda data: questions.read_projects(data, "t"),
        {"activeUser": {"projects": {"items": [{"id": "a1", "name": "t", "role": "r"}]}}},
    ),
    (
        lambda data: questions.read_models(data, "t"),
        {"project": {"models": {"items": [{"id": "a1", "name": "t"}]}}},
    ),
    (
        questions.read_project,
        {
            "project": {
                "id": "a1",
                "name": "t",
                "visibility": "PUBLIC",
                "role": None,
                "permissions": {"canReadWebhooks": {"authorized": False, "code": "No"}},
            }
        },
    ),
    (
        listings.read_people,
        {"project": {"team": [{"role": "stream:owner", "user": {"id": "a1", "name": "Ilse"}}]}},
    ),
    (
        questions.read_webhooks,
        {
            "project": {
                "webhooks": {
                    "items": [
                        {
                            "id": "a1",
                            "url": "u",
                            "description": "d",
                            "triggers": ["t"],
                            "enabled": True,
                            "hasSecret": True,
                        }
                    ]
                }
            }
        },
    ),
    (
        questions.read_history,
        {
            "project": {
                "webhooks": {
                    "items": [
                        {
                            "history": {
                                "totalCount": 1,
                                "items": [
                                    {"id": "a1", "status": 3, "lastUpdate": TIME, "payload": "{}"}
                                ],
                            }
                        }
                    ]
                }
            }
        },
    ),
    (
        lambda data: activity_list.read_activity(data, "tower"),
        {
            "stream": {
                "activity": {
                    "items": [
                        {
                            "id": "a1",
                            "actionType": "a",
                            "resourceId": "r1",
                            "userId": "u1",
                            "time": TIME,
                            "info": {},
                            "message": "m",
                        }
                    ]
                }
            }
        },
    ),
    (
        lambda data: versions.read_version_facts(data, CREATED.version_id),
        {
            "project": {
                "version": {
                    "sourceApplication": "revit",
                    "authorUser": {"id": "a1", "name": "Ilse"},
                    "model": {
                        "id": "m1",
                        "name": "level 1",
                        "versions": {
                            "totalCount": 2,
                            "items": [
                                {"id": "v2", "createdAt": TIME},
                                {"id": "v1", "createdAt": TIME},
                            ],
                        },
                    },
                },
            }
        },
    ),
    (
        comments.read_comment_facts,
        {
            "project": {
                "comment": {
                    "id": "c2",
                    "text": {"doc": {}},
                    "viewerResources": [],
                    "parent": {
                        "id": "c1",
                        "text": {
                            "doc": {
                                "type": "doc",
                                "content": [{"type": "text", "text": "x", "marks": []}],
                            }
                        },
                        "viewerResources": [{"modelId": "m1", "versionId": None}],
                    },
                }
            }
        },
    ),
    (
        versions.read_version_name,
        {"project": {"version": {"message": "m", "model": {"id": "m1", "name": "n"}}}},
    ),
]
ODD: tuple[Any, ...] = (
    None,
    True,
    5,
    -1,
    1.5,
    "",
    "x\ud800\0",
    "9" * 300,
    [],
    [5, None, [], {}],
    {},
    {"id": 5},
)


def places(value: Any) -> Iterator[tuple[Any, ...]]:
    """The path to each part of a JSON value, the whole one included."""
    yield ()
    if not isinstance(value, dict | list):
        return
    for key in value if isinstance(value, dict) else range(len(value)):
        for place in places(value[key]):
            yield (key, *place)


def replaced(value: Any, place: tuple[Any, ...], odd: Any) -> Any:
    if not place:
        return odd
    changed = copy.copy(value)
    changed[place[0]] = replaced(value[place[0]], place[1:], odd)
    return changed


@pytest.mark.parametrize(("read", "whole"), WHOLE)
def test_whatever_stands_in_an_answer_it_is_read(read: Callable[[Any], Any], whole: Any) -> None:
    assert read(whole)
    for place in places(whole):
        for odd in ODD:
            # What comes out can be stored and sent: no half letters, no zero characters.
            found = repr(read(replaced(whole, place, odd)))
            assert "\\x00" not in found or "info" in found
            assert "\\ud800" not in found or "info" in found


@given(st.lists(st.dictionaries(KEYS, JSON, max_size=4), min_size=1, max_size=2))
def test_any_errors_are_one_of_ours(errors: list[dict[str, Any]]) -> None:
    assert isinstance(error_answers.from_errors("https://speckle.test", errors), SpeckleError)


def test_a_recorded_history_is_read_byte_for_byte() -> None:
    recording = Recording.read("webhook_history_3_failed_2_delivered")
    history = questions.read_history(recording.response["data"])
    assert history is not None
    assert history.total == 5
    statuses = [call.status.value for call in history.calls]
    assert sorted(statuses) == ["delivered", "delivered", "failed", "failed", "failed"]
    for call in history.calls:
        assert call.body is not None
        assert json.loads(call.body)["payload"]["streamId"] == "f4e7c58a99"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0.866", 0.866),
        ("30", 30.0),
        ("0", 0.0),
        ("1e9", 3600.0),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("", None),
        (None, None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
    ],
)
def test_a_retry_after_is_read_with_its_fraction(header: str | None, seconds: float | None) -> None:
    assert error_answers.seconds(header) == seconds


def test_a_long_first_line_is_cut() -> None:
    doc = {"type": "doc", "content": [{"type": "paragraph", "content": []}]}
    doc["content"] = [{"type": "text", "text": "word " * 500}]
    line = first_line(read_rich_text(doc, text_of))
    assert line is not None
    assert len(line) <= MAX_LINE
    assert line.endswith("…")


@pytest.mark.parametrize(
    "name",
    [
        "err_version_missing",
        "err_version_private_nonmember",
        "err_models_private_anonymous",
        "err_webhooks_no_token",
        "err_webhooks_scope_read_only",
        "err_webhook_delete_again",
        "err_webhookCreate_missing_project",
        "err_webhookCreate_non_owner",
        "err_http_unknown_field",
        "err_webhook_history_limit_negative",
        "comment_missing",
        "err_model_by_id_missing",
    ],
)
def test_each_recorded_refusal_means_what_it_says(name: str) -> None:
    expected = {
        "err_version_missing": "SpeckleNotFound: there is no such version",
        "err_version_private_nonmember": "SpeckleForbidden: this account may not see the project",
        "err_models_private_anonymous": "SpeckleForbidden: only an account may see this",
        "err_webhooks_no_token": "SpeckleForbidden: only an account may do this",
        "err_webhooks_scope_read_only": "SpeckleScopeMissing: the token lacks the scope"
        " streams:write",
        "err_webhook_delete_again": "SpeckleNotFound: there is no such webhook in this project",
        "err_webhookCreate_missing_project": "SpeckleNotFound: there is no such project",
        "err_webhookCreate_non_owner": "SpeckleForbidden: this account may not do that",
        "err_http_unknown_field": "SpeckleUnknownQuestion: it does not understand this question",
        "err_webhook_history_limit_negative": "SpeckleFault: something went wrong inside the"
        " server",
        "comment_missing": "SpeckleNotFound: there is no such comment in this project",
        "err_model_by_id_missing": "SpeckleNotFound: there is no such model",
    }
    errors = Recording.read(name).response["errors"]
    error = error_answers.from_errors("https://speckle.test", errors)
    assert f"{type(error).__name__}: {error.reason}" == expected[name]
