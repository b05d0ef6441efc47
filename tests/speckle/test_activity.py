"""A project's activity list, read as deliveries."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.speckle.activity import KEYED, body_of, event_key
from bot.speckle.answers import Activity
from bot.speckle.payloads import parse_delivery, read_envelope
from tests.pipeline.conftest import recorded

SERVER = "https://speckle.kestrel.example"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEYS = {
    delivery.name: event_key(parse_delivery(read_envelope(delivery.body)))
    for delivery in recorded()
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


def read(entry: Activity, project_id: str = "a1b2c3d4e5") -> Any:
    body = body_of(
        entry,
        server_url=SERVER,
        project_id=project_id,
        project_name="Harbour Tower",
        visibility="private",
    )
    return parse_delivery(read_envelope(body))


@pytest.mark.parametrize("delivery", recorded(), ids=lambda delivery: delivery.name)
def test_an_entry_reads_like_the_webhook_that_did_not_come(delivery: Any) -> None:
    by_webhook = parse_delivery(read_envelope(delivery.body))
    by_list = read(listed(delivery.payload), by_webhook.project.id)
    assert by_list.event == by_webhook.event
    assert event_key(by_list) == event_key(by_webhook)
    assert (by_list.actor and by_list.actor.id) == delivery.payload["userId"]
    assert (by_list.server_url, by_list.project.name) == (SERVER, "Harbour Tower")


def test_what_happens_to_a_thing_once_has_a_key() -> None:
    assert KEYS["commit_create"] is not None
    assert KEYS["commit_create"].startswith("commit_create:")
    for name in ("branch_create", "branch_delete", "comment_created", "comment_replied"):
        assert KEYS[name] is not None, name
    assert {key.split(":")[0] for key in KEYS.values() if key is not None} <= KEYED


def test_what_happens_often_or_says_not_to_what_has_none() -> None:
    often = ("comment_archived", "commit_receive", "commit_update", "stream_update", "commit_move")
    assert {name: KEYS[name] for name in often} == dict.fromkeys(often)


def test_a_comment_and_its_reply_are_told_apart() -> None:
    assert KEYS["comment_created"] != KEYS["comment_replied"]


@pytest.mark.parametrize("info", [None, 7, "text", [], {"commit": "\ud800"}, {"id": {"a": 1}}])
def test_whatever_a_list_holds_is_an_event_or_none(info: object) -> None:
    entry = listed(
        {"userId": None, "activityMessage": "\ud800", "event": {"event_name": "x", "data": None}},
        action="commit_create",
        info=info,
    )
    assert event_key(read(entry)) is None


def test_a_body_from_the_list_is_json_in_the_wires_form() -> None:
    payload = recorded()[0].payload
    body = body_of(
        listed(payload), server_url=SERVER, project_id="p", project_name=None, visibility=None
    )
    assert set(json.loads(body)) == {"payload"}
