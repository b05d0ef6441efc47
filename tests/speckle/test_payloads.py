"""The wire → events: every recorded delivery, every shape, and any JSON at all."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import NotADelivery
from bot.speckle.event_table import PARSERS
from bot.speckle.events import (
    Change,
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    EventKind,
    InvitationAccepted,
    InvitationDeclined,
    InvitationSent,
    ModelRef,
    ModelUpdated,
    ProjectUpdated,
    ResourceRef,
    UnknownEvent,
    VersionCreated,
    VersionMoved,
    VersionUpdated,
)
from bot.speckle.payloads import parse_delivery, project_id_of, read_envelope, server_url_of
from bot.speckle.raw_json import MAX_DEPTH, MAX_VALUES, find_inner_text
from bot.speckle.signature import is_signed, sign

FIXTURES = Path(__file__).parents[1] / "fixtures"
RECORDINGS = sorted((FIXTURES / "deliveries").glob("*.json"))
MODEL = ModelRef("193f26c0fa", "structure/level 01/steel frame")

KINDS = {
    "branch_create": EventKind.MODEL_CREATED,
    "branch_delete": EventKind.MODEL_DELETED,
    "branch_delete_legacy": EventKind.MODEL_DELETED,
    "branch_update": EventKind.MODEL_UPDATED,
    "comment_archived": EventKind.COMMENT_RESOLVED,
    "comment_created": EventKind.COMMENT_CREATED,
    "comment_replied": EventKind.COMMENT_REPLIED,
    "comment_rich_doc": EventKind.COMMENT_CREATED,
    "comment_unarchived": EventKind.COMMENT_REOPENED,
    "commit_create": EventKind.VERSION_CREATED,
    "commit_create_no_message": EventKind.VERSION_CREATED,
    "commit_create_with_parents": EventKind.VERSION_CREATED,
    "commit_delete": EventKind.VERSION_DELETED,
    "commit_move": EventKind.VERSION_MOVED,
    "commit_receive": EventKind.VERSION_RECEIVED,
    "commit_update": EventKind.VERSION_UPDATED,
    "hidden_access_request_sent": EventKind.ACCESS_REQUESTED,
    "hidden_comment_mention": EventKind.COMMENT_MENTIONED,
    "hidden_stream_invite_accepted_permissions_add": EventKind.INVITATION_ACCEPTED,
    "hidden_stream_invite_declined": EventKind.INVITATION_DECLINED,
    "hidden_stream_invite_sent": EventKind.INVITATION_SENT,
    "legacy_branchCreate": EventKind.MODEL_CREATED,
    "legacy_branchUpdate": EventKind.MODEL_UPDATED,
    "legacy_commentCreate": EventKind.COMMENT_CREATED,
    "legacy_commitCreate": EventKind.VERSION_CREATED,
    "legacy_commitUpdate": EventKind.VERSION_UPDATED,
    "old_service_commit_create": EventKind.VERSION_CREATED,
    "old_service_stream_update": EventKind.PROJECT_UPDATED,
    "stream_delete": EventKind.PROJECT_DELETED,
    "stream_permissions_add": EventKind.PERMISSION_GRANTED,
    "stream_permissions_remove": EventKind.PERMISSION_REVOKED,
    "stream_update": EventKind.PROJECT_UPDATED,
    "stream_update_legacy": EventKind.PROJECT_UPDATED,
    "stream_update_visibility_only": EventKind.PROJECT_UPDATED,
}


def recorded(name: str) -> dict[str, Any]:
    recording: dict[str, Any] = json.loads(
        (FIXTURES / "deliveries" / f"{name}.json").read_text("utf-8")
    )
    recording["body"] = base64.b64decode(recording["body_b64"])
    return recording


def delivery_of(name: str) -> Delivery:
    return parse_delivery(read_envelope(recorded(name)["body"]))


def parsed(event_name: str, data: Any, **payload: Any) -> Delivery:
    whole = {"streamId": "7e14d973e6", "event": {"event_name": event_name, "data": data}, **payload}
    return parse_delivery(read_envelope(json.dumps({"payload": whole}).encode()))


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_each_recorded_delivery_is_read_as_what_it_is(path: Path) -> None:
    delivery = delivery_of(path.stem)
    assert delivery.event.kind is KINDS[path.stem]
    assert delivery.server_url == "http://127.0.0.1:3000"
    assert delivery.actor is not None
    assert not delivery.legacy


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_each_recorded_signature_is_right_and_a_changed_body_wrong(path: Path) -> None:
    recording = recorded(path.stem)
    body, secret = recording["body"], recording["secret"]
    text = find_inner_text(body)
    assert (text is not None) == (recording["signed_over"] == "text")
    signed = [body] if text is None else list(text.parts())
    signature = recording["headers"]["X-WEBHOOK-SIGNATURE"].encode()
    assert is_signed(signed, signature, ["another", secret])
    assert not is_signed(signed, signature, ["another"])
    assert not is_signed([*signed, b" "], signature, [secret])


def test_an_empty_secret_signs_nothing() -> None:
    assert not is_signed([b"{}"], sign(b"{}", "").encode(), [""])
    assert not is_signed([b"{}"], sign(b"{}", "").encode(), [])
    assert is_signed([b"{}"], sign(b"{}", "a").encode(), ["", "a"])


@pytest.mark.parametrize("signature", [b"", b"\xff\xe9", b"0" * 64, "é".encode()])
def test_any_signature_is_compared_without_an_error(signature: bytes) -> None:
    assert not is_signed([b"{}"], signature, ["secret", "half a pair \ud800"])


def test_a_new_version_is_read_whole() -> None:
    assert delivery_of("commit_create_with_parents").event == VersionCreated(
        version_id="c62c66ddf9",
        model=MODEL,
        message="third",
        application="Grasshopper",
        object_id="03560cf0e9d011091cb608500bac21fb",
        parents=("3858ba37c1",),
    )


def test_an_edited_version_has_its_message_before_and_after() -> None:
    event = delivery_of("legacy_commitUpdate").event
    assert event == VersionUpdated(
        "083f346030",
        ModelRef("74c766a9de", "legacy/renamed"),
        Change("legacy", "legacy edited"),
    )


def test_a_moved_version_has_its_id_from_the_activity_message() -> None:
    assert delivery_of("commit_move").event == VersionMoved(
        "3858ba37c1", ModelRef("193f26c0fa"), ModelRef("b604a445ef")
    )


def test_a_renamed_model_has_the_name_that_the_server_stores() -> None:
    event = delivery_of("branch_update").event
    assert isinstance(event, ModelUpdated)
    assert event.model == MODEL
    assert event.description == Change("desc of model", "new desc")


def test_an_updated_project_has_only_what_changed() -> None:
    assert delivery_of("stream_update_visibility_only").event == ProjectUpdated(
        visibility=Change("private", "public")
    )
    assert delivery_of("stream_update_legacy").event == ProjectUpdated(
        name=Change("Renamed tower 🗼", "Legacy rename")
    )


def test_comments_have_their_ids_from_the_activity_message() -> None:
    created, replied = delivery_of("comment_created").event, delivery_of("comment_replied").event
    assert isinstance(created, CommentCreated)
    assert isinstance(replied, CommentReplied)
    assert created.thread_id == "858c7ede18"
    assert created.resources == (ResourceRef("193f26c0fa", "303fecc468"),)
    assert (replied.thread_id, replied.reply_id) == ("858c7ede18", "e086af111a")


def test_a_comment_from_an_old_client_is_on_its_version() -> None:
    event = delivery_of("legacy_commentCreate").event
    assert isinstance(event, CommentCreated)
    assert event.resources == (ResourceRef(version_id="303fecc468"),)
    assert event.text.nodes[0].children[0].text == "legacy text"


def test_re_opening_is_told_from_resolving() -> None:
    assert delivery_of("comment_archived").event == CommentResolved("858c7ede18")
    assert delivery_of("comment_unarchived").event == CommentReopened("858c7ede18")


def test_people_are_named_by_id_and_never_by_address() -> None:
    assert delivery_of("hidden_comment_mention").event == CommentMentioned(
        "b6a132541c", "b6a132541c", "954d254474"
    )
    assert delivery_of("hidden_stream_invite_accepted_permissions_add").event == (
        InvitationAccepted("954d254474", "stream:contributor")
    )
    assert delivery_of("hidden_stream_invite_declined").event == InvitationDeclined("651db12d88")
    by_mail = parsed("stream_invite_sent", {"targetId": None, "targetEmail": "a@b.example"})
    assert by_mail.event == InvitationSent(None)
    assert "b.example" not in repr(by_mail)


def test_addresses_in_an_activity_message_are_masked() -> None:
    delivery = parsed("issue_created", {}, activityMessage="By a.b+c@d.example, <e@f.example>")
    assert delivery.activity_message == "By (e-mail address), <(e-mail address)>"


def test_without_a_user_there_is_no_author() -> None:
    assert parsed("stream_delete", {}, userId="baf0d5abc8").actor is None


def test_an_old_server_is_known_by_its_project() -> None:
    assert parsed("stream_delete", {}, stream={"isPublic": False}).legacy
    assert not parsed("stream_delete", {}, stream={"isPublic": False, "visibility": "x"}).legacy


def test_the_servers_address_is_normalised() -> None:
    whole = {"streamId": "a", "server": {"canonicalUrl": "HTTPS://Speckle.Example:443/"}}
    envelope = read_envelope(json.dumps({"payload": whole}).encode())
    assert server_url_of(envelope) == "https://speckle.example"
    assert project_id_of(envelope) == "a"


@pytest.mark.parametrize("event_name", sorted(PARSERS))
@pytest.mark.parametrize("data", [None, 1, [], {"input": 1, "commit": [], "old": "x"}, {"id": {}}])
def test_a_known_event_of_another_shape_is_an_unknown_event(event_name: str, data: Any) -> None:
    event = parsed(event_name, data).event
    bare = {"stream_delete", "commit_receive", "stream_invite_sent"} | {
        name
        for name in PARSERS
        if "_invite_" in name or "_access_request_" in name or name.startswith("issue_")
    }
    assert isinstance(event, UnknownEvent) or event_name in bare


BODIES = {
    "nothing": b"",
    "not JSON": b"payload=1",
    "not UTF-8": b'{"payload": {"streamId": "\xff"}}',
    "a list": b"[]",
    "a number": b"3",
    "no payload": b"{}",
    "a payload of null": b'{"payload": null}',
    "a payload of text that is no JSON": b'{"payload": "x"}',
    "a payload of text in text": b'{"payload": "\\"{}\\""}',
    "deep nesting": b'{"payload": ' + b"[" * 100_000,
    "deep nesting of objects": b'{"payload": ' + b'{"a":' * 100_000,
    "deep nesting in text": b'{"payload": "' + b"[" * 100_000 + b'"}',
    "nesting that a parser would take": b'{"payload": ' + b"[" * 101 + b"]" * 101 + b"}",
    "more values than are parsed": b'{"payload": {"streamId": "a", "x": [' + b"[]," * 100_000,
    "more values than are parsed, in text": b'{"payload": "[' + b"1," * 100_000 + b'1]"}',
    "a number that is too long": b'{"payload": {"streamId": "a", "n": ' + b"9" * 5_000 + b"}}",
    "halves of pairs without end": b'{"payload": {"x": "' + rb"\ud800" * 5_000 + b'"}}',
    "a text of half a pair": b'{"payload": "\\ud800"}',
    "no project": b'{"payload": {"event": {"event_name": "stream_delete"}}}',
    "a project that is no id": b'{"payload": {"streamId": "../x", "event": {"event_name": "a"}}}',
    "no event": b'{"payload": {"streamId": "a"}}',
    "an event without a name": b'{"payload": {"streamId": "a", "event": {"event_name": 3}}}',
}


@pytest.mark.parametrize("name", BODIES)
def test_what_is_no_delivery_says_so(name: str) -> None:
    with pytest.raises(NotADelivery) as error:
        parse_delivery(read_envelope(BODIES[name]))
    assert error.value.reason


def test_odd_values_are_survived() -> None:
    body = (
        b'{"payload": {"streamId": "a", "event": {"event_name": "branch_create", "data": {"branch":'
        b'{"id": "b", "name": "x\\ud83d\\u0000y", "n": ' + b"9" * 4_000 + b', "f": NaN, "g": 1e999}'
        b"}}}}"
    )
    assert parse_delivery(read_envelope(body)).models == (
        ModelRef("b", "x\N{REPLACEMENT CHARACTER}y"),
    )


def test_half_a_pair_of_a_cut_emoji_is_read_beside_whole_ones_and_backslashes() -> None:
    name = r"\ud83d\ude00 \ude00\ud83d \\ud83d \\\ud83d"
    body = (
        '{"payload": {"streamId": "a", "event": {"event_name": "branch_create", "data": {"branch": '
        f'{{"id": "b", "name": "{name}"}}}}}}}}}}'
    )
    half = "\N{REPLACEMENT CHARACTER}"
    for form in (body, json.dumps({"payload": body[len('{"payload": ') : -1]})):
        assert parse_delivery(read_envelope(form.encode())).models == (
            ModelRef("b", f"\N{GRINNING FACE} {half}{half} \\ud83d \\{half}"),
        )


@pytest.mark.parametrize(
    "form",
    ['{"payload":%}', '{"x":[1],"payload":%}', '{"payload":{},"payload":%}', ' { "payload" : % }'],
)
@pytest.mark.parametrize("old", [False, True])
def test_both_forms_are_read_however_they_are_spelled(form: str, old: bool) -> None:
    payload = {"streamId": "a", "event": {"event_name": "later"}, "note": "payload"}
    written = json.dumps(payload)
    body = form.replace("%", json.dumps(written) if old else written)
    assert read_envelope(body.encode()).payload == payload


def test_a_screenshot_is_read_and_left_out_where_it_is_not_wanted() -> None:
    url = "data:image/png;base64," + "A" * 2_000_000
    data = {"input": {"screenshot": url, "content": {}}}
    whole = {"streamId": "a", "event": {"event_name": "comment_created", "data": data}}
    for body in ({"payload": whole}, {"payload": json.dumps(whole)}):
        raw = json.dumps(body).encode()
        event = parse_delivery(read_envelope(raw)).event
        assert isinstance(event, CommentCreated)
        assert event.screenshot == url
        assert len(str(read_envelope(raw, pictures=False).payload)) < 1_000


def test_as_much_as_may_be_is_read() -> None:
    deep: Any = []
    for _ in range(MAX_DEPTH - 5):
        deep = [deep]
    assert parsed("later", {"deep": deep, "wide": [0] * (MAX_VALUES - 200)}).event_name == "later"


KEYS = st.text(max_size=3) | st.sampled_from(
    (
        *("id", "name", "message", "commit", "branch", "old", "new", "input", "content", "doc"),
        *("text", "resourceIdString", "resources", "threadId", "commentId", "archived", "type"),
        *("visibility", "isPublic", "targetId", "marks", "attrs", "level", "start"),
    )
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("193f26c0fa"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=6),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_a_delivery_or_none(value: Any) -> None:
    for body in (value, {"payload": value}, {"payload": json.dumps(value)}):
        _read(json.dumps(body).encode())


@given(st.binary(max_size=200))
def test_any_bytes_are_a_delivery_or_none(body: bytes) -> None:
    _read(body)


@given(
    st.sampled_from(sorted(PARSERS)),
    st.dictionaries(KEYS, json_values, max_size=6),
    st.dictionaries(
        st.sampled_from(["stream", "user", "server", "activityMessage", "userId"]), json_values
    ),
)
def test_any_data_of_a_known_event_is_a_delivery(
    event_name: str, data: dict[str, Any], rest: dict[str, Any]
) -> None:
    delivery = parsed(event_name, data, **rest)
    assert delivery.event_name == event_name
    for text in _texts_in(delivery):
        text.encode("utf-8")
        assert "\0" not in text


def _read(body: bytes) -> None:
    try:
        parse_delivery(read_envelope(body))
    except NotADelivery as error:
        assert error.reason  # noqa: PT017


def _texts_in(delivery: Delivery) -> Iterator[str]:
    yield delivery.activity_message or ""
    yield delivery.project.name or ""
    yield from (model.name or "" for model in delivery.models)
    if delivery.actor is not None:
        yield delivery.actor.name or ""
