"""A project's activity list, read as deliveries."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.errors import NotADelivery
from bot.speckle.activity import Activity, body_of, event_key
from bot.speckle.events import UnknownEvent
from bot.speckle.payloads import Envelope, parse_delivery, read_envelope
from bot.speckle_api.activity_list import read_activity
from tests.pipeline.conftest import recorded

SERVER = "https://speckle.kestrel.example"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEYS = {delivery.name: event_key(read_envelope(delivery.body)) for delivery in recorded()}
LISTS = Path(__file__).parents[1] / "fixtures" / "speckle" / "activity"
# Of these the recorded list holds nothing, or not all: roles that were given and taken before
# there was a list, a project that is gone with its list, other servers, a screenshot cut short.
NOT_LISTED = {
    "comment_created",
    "old_service_commit_create",
    "old_service_stream_update",
    "stream_delete",
    "stream_permissions_add",
    "stream_permissions_remove",
}


def listed(payload: dict[str, Any], **other: Any) -> Activity:
    """The entry that a list holds of an event which a webhook told in this way."""
    event = payload["event"]
    values = {
        "id": "0123456789abcdef",
        "action": event["event_name"],
        "resource_id": None,
        "user_id": payload["userId"],
        "at": AT,
        "message": payload["activityMessage"][:255],
        "info": event["data"],
    }
    return Activity(**(values | other))


def envelope_of(entry: Activity, project_id: str = "a1b2c3d4e5") -> Envelope:
    body = body_of(
        entry,
        server_url=SERVER,
        project_id=project_id,
        project_name="Harbour Tower",
        visibility="private",
    )
    return read_envelope(body)


def read(entry: Activity, project_id: str = "a1b2c3d4e5") -> Any:
    return parse_delivery(envelope_of(entry, project_id))


def key_with(**changes: Any) -> str:
    """The key of a thread that was resolved, with something else in its payload."""
    (resolved,) = (one for one in recorded() if one.name == "comment_archived")
    return event_key(Envelope({**resolved.payload, **changes}))


def recorded_list() -> list[Activity]:
    """What the server that the deliveries are of told of them, in its activity list."""
    items = json.loads((LISTS / "of_the_deliveries.json").read_text("utf-8"))["items"]
    for number, item in enumerate(items):
        item["id"] = f"entry{number}"
    return read_activity({"stream": {"activity": {"items": items}}}, "7e14d973e6")


@pytest.mark.parametrize("delivery", recorded(), ids=lambda delivery: delivery.name)
def test_an_entry_reads_like_the_webhook_that_did_not_come(delivery: Any) -> None:
    by_webhook = parse_delivery(read_envelope(delivery.body))
    by_list = read(listed(delivery.payload), by_webhook.project.id)
    assert by_list.event == by_webhook.event
    entry = listed(delivery.payload)
    assert event_key(envelope_of(entry)) == event_key(read_envelope(delivery.body))
    assert (by_list.actor and by_list.actor.id) == delivery.payload["userId"]
    assert (by_list.server_url, by_list.project.name) == (SERVER, "Harbour Tower")


def test_the_recorded_list_and_the_recorded_deliveries_have_the_same_keys() -> None:
    by_list = {event_key(envelope_of(entry)) for entry in recorded_list()}
    assert {name for name, key in KEYS.items() if key not in by_list} == NOT_LISTED


def test_a_key_begins_with_the_events_name() -> None:
    assert KEYS["comment_archived"].startswith("comment_archived:")


def test_only_what_says_the_same_has_the_same_key() -> None:
    assert len(set(KEYS.values())) == len(KEYS)


@pytest.mark.parametrize(
    "changes",
    [
        {"userId": "0123456789", "user": {"id": "0123456789"}},
        {"user": {"id": "0123456789", "name": "Somebody else"}},
        {"activityMessage": "Comment #0123456789 archived"},
        {"event": {"event_name": "comment_archived", "data": {"input": {"archived": True}}}},
        {"event": {"event_name": "comment_archived"}},
        {"event": {"event_name": "comment_mention", "data": None}},
    ],
)
def test_an_event_that_says_anything_else_has_another_key(changes: dict[str, Any]) -> None:
    assert key_with(**changes) != key_with()


def test_what_the_list_does_not_keep_does_not_change_the_key() -> None:
    assert key_with(server={"canonicalUrl": "https://other.example"}, stream={}) == key_with()
    resolved = next(one for one in recorded() if one.name == "comment_archived")
    assert key_with(user={"id": resolved.payload["userId"], "name": "Renamed"}) == key_with()


@pytest.mark.parametrize("letter", ["a", "é", "\N{CONSTRUCTION SIGN}"])
@pytest.mark.parametrize("before", ["", "b"])
def test_a_long_message_is_cut_the_same_on_both_ways(letter: str, before: str) -> None:
    """However Speckle counts: characters, or as JavaScript does, through the middle of one."""
    whole = before + letter * 300
    in_js = whole.encode("utf-16-le")[: 2 * 255].decode("utf-16-le", "replace")
    assert key_with(activityMessage=whole) == key_with(activityMessage=whole[:255])
    assert key_with(activityMessage=whole) == key_with(activityMessage=in_js)
    assert key_with(activityMessage=whole) != key_with(activityMessage=f"{before}{letter}!")


def test_data_that_is_nested_too_deeply_is_no_delivery() -> None:
    data: Any = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(NotADelivery):
        key_with(event={"event_name": "comment_archived", "data": data})


@pytest.mark.parametrize("info", [None, 7, "text", [], {"commit": "\ud800"}, {"id": {"a": 1}}])
def test_whatever_a_list_holds_is_an_event_or_none(info: object) -> None:
    entry = listed(
        {"userId": None, "activityMessage": "\ud800", "event": {"event_name": "x", "data": None}},
        action="commit_create",
        info=info,
    )
    key = event_key(envelope_of(entry))
    assert key.startswith("commit_create:")
    assert isinstance(read(entry).event, UnknownEvent)


def test_a_body_from_the_list_is_json_in_the_wires_form() -> None:
    payload = recorded()[0].payload
    body = body_of(
        listed(payload), server_url=SERVER, project_id="p", project_name=None, visibility=None
    )
    assert set(json.loads(body)) == {"payload"}
