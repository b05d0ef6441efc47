"""Lists of a server without an activity list of which some cannot be read: nothing was deleted."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.speckle.remembered import differences
from bot.speckle_api.listings import Listing, read_page, read_state

NOW = datetime(2026, 5, 4, tzinfo=UTC)
EMPTY = Listing(total=0)


def page(entries: Any) -> Listing:
    return read_page({"project": {"listed": {"totalCount": 3, "items": entries}}})


def version(number: int, **other: Any) -> dict[str, Any]:
    at = f"2026-05-0{number}T10:00:00.000Z"
    return {"id": f"v{number}", "moved": at, "message": "m", "model": {"id": "m1"}} | other


@pytest.mark.parametrize(
    "entries",
    [
        [version(3, moved="9999-12-31T23:59:59.999Z"), version(2), version(1)],
        [version(3), version(2, moved=None), version(1)],
        [version(3), version(2, id=7), version(1)],
        [version(3), None, version(1)],
        [None, "text", 7],
        None,
        {"v1": version(1)},
    ],
)
def test_what_cannot_be_read_was_not_deleted(entries: Any) -> None:
    before = read_state(page([version(3), version(2), version(1)]), EMPTY, None)
    now = read_state(page(entries), EMPTY, None)
    assert not [*differences(before, now, NOW)]


def test_what_is_not_in_a_list_that_can_be_read_was_deleted() -> None:
    before = read_state(page([version(3), version(2), version(1)]), EMPTY, None)
    two = {"project": {"listed": {"totalCount": 2, "items": [version(3), version(1)]}}}
    (gone,) = differences(before, read_state(read_page(two), EMPTY, None), NOW)
    assert gone.entry.resource_id == "v2"
