"""Ids in an issue's event, whatever shape its data has."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.issue_hints import MAX_IDS, ids_named

ISSUE, REPLY, PROJECT, PERSON = "0c9d4e1f22", "77ab10c3de", "5f0c9a41b7", "a1f47c02d9"


@pytest.mark.parametrize(
    "data",
    [
        {"issueId": ISSUE},
        {"id": ISSUE},
        {"issue": ISSUE},
        {"issue": {"id": ISSUE, "projectId": PROJECT, "author": {"id": PERSON}}},
        {"input": {"issueId": ISSUE, "projectId": PROJECT}, "userId": PERSON},
        {"issueIds": [ISSUE]},
        {"issue_id": ISSUE, "streamId": PROJECT, "kind": "created0"},
    ],
)
def test_an_issues_id_is_found_and_nobody_elses(data: dict[str, Any]) -> None:
    assert ids_named(data, "") == (ISSUE,)


def test_what_is_named_after_issues_comes_first() -> None:
    assert ids_named({"replyId": REPLY, "input": {"issueId": ISSUE}}, "") == (ISSUE, REPLY)
    assert ids_named({"id": REPLY, "issue": {"id": ISSUE}}, "") == (ISSUE, REPLY)


def test_the_message_may_name_one_too() -> None:
    assert ids_named({}, f"Issue #{ISSUE} updated") == (ISSUE,)
    assert ids_named({}, "Issue updated") == ()


def test_there_are_never_more_than_a_few() -> None:
    assert len(ids_named({"ids": [f"{number:010x}" for number in range(99)]}, "")) == MAX_IDS


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("issueId"), inner),
)


@settings(max_examples=40)
@given(st.dictionaries(st.text() | st.just("issue"), json), st.text())
def test_any_json_gives_ids_or_none(data: dict[str, Any], message: str) -> None:
    assert all(6 <= len(one) <= 64 for one in ids_named(data, message))


def test_data_without_an_end_is_read_to_a_bound() -> None:
    deep: dict[str, Any] = {"issueId": ISSUE}
    for _ in range(90):
        deep = {"input": deep}
    wide = {f"{number}": {"issueId": ISSUE} for number in range(50_000)}
    assert ids_named(deep, "") == ()
    assert ids_named(wide, "") in ((), (ISSUE,))
