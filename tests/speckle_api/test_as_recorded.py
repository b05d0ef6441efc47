"""The replaying server against the recordings in tests/fixtures/speckle: the same questions in the
same situation get the same answers.

Each file there is asked by some test below; test_no_recording_is_left_out sees to that. Of the 274
recordings of GraphQL those were copied whose situation the server can be in. Not copied: pages of
an object's children (nobody asks for them), markReceived's and other mutations' old forms, server
flags, the limits' headers, and further pages of lists whose content was not built up again.
"""

import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from sandbox.speckle import SpeckleServer, previews
from tests.speckle_api.recorded import RECORDED_URL, RECORDINGS, RecordedWorld, Recording, at

# Asked one after the other, below: each changes what the next one sees.
COURSE = (
    "webhook_list_empty",
    "webhook_create_ok",
    "webhook_list_after_create",
    "webhook_update_disable",
    "webhook_list_after_disable",
    "webhook_update_triggers_only",
    "webhook_list_after_update_triggers",
    "webhook_update_enabled_false_with_triggers",
    "webhook_list_after_update_enabled_false",
    "webhook_update_secret_empty",
    "webhook_list_after_secret_empty",
    "webhook_update_url_secret_enable",
    "webhook_list_after_url_change",
)
HTTP = (
    "err_http_empty_body",
    "err_http_get_graphql",
    "err_http_not_json",
    "err_http_syntax",
    "err_http_text_plain",
    "err_http_unknown_field",
    "http_batch",
)
# What is made up by the server: ids and times of what was just written, counts of all there is.
# Of these the shape is compared: each key, each null, each kind of value.
SHAPE_ALONE = (
    "comment_create_ok",
    "comment_create_priv_contributor",
    "comment_create_priv_reviewer",
    "comment_create_scope_write_only",
    "comment_reply_ok",
    "comment_reply_thread_of_other_project",
    "comment_reply_to_reply",
    "comment_thread",
    "enrich_version",
    "projects_first_page",
    "projects_limit_0",
    "threads_with_archived",
    "webhook_create_defaults",
    "webhook_create_not_a_url",
    "webhook_create_ok",
    "webhook_create_unknown_trigger",
    "webhook_create_url_326_chars_ok",
    "webhook_history_with_retryCount_BROKEN",
)
# graphql-core words these two otherwise than graphql-js: status, code and the missing `data` count.
OTHER_WORDS = ("err_comment_create_string_doc", "err_webhook_create_triggers_missing")
RATE_LIMITED = ("err_429_graphql",)
ALL = sorted(path.stem for path in RECORDINGS.glob("*.json"))
BY_THEMSELVES = {*COURSE, *HTTP, *RATE_LIMITED, *OTHER_WORDS, *SHAPE_ALONE}


@pytest.fixture
async def server() -> AsyncIterator[SpeckleServer]:
    async with SpeckleServer.start() as server:
        yield server


def situation(server: SpeckleServer, name: str) -> RecordedWorld:
    """The server as it was when this was recorded."""
    world = RecordedWorld(server)
    if name.startswith(("threads", "comment", "err_comment", "version_threads")):
        world.with_comments()
    if "BROKEN" in name:
        hook = server.add_webhook(
            world.first, "http://127.0.0.1:9/", ["commit_move"], description="d", id="4bf41bd1dc"
        )
        for _ in range(3):
            server.new_entry(hook, {}, 2)
    elif name.startswith("webhook_history") or name == "err_webhook_history_limit_negative":
        world.with_history("webhook_history_3_failed_2_delivered")
    elif name.startswith(("webhook_", "err_webhook_")):
        world.with_webhook()
    return world


async def asked(world: RecordedWorld, recording: Recording) -> tuple[int, Any]:
    question = {"query": recording.query, "variables": recording.variables}
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{world.server.url}/graphql", json=question, headers=world.signed(recording)
        ) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text.replace(world.server.url, RECORDED_URL))


def plain(answer: Any) -> Any:
    """Without the places in the question, which are counted in its text."""
    if isinstance(answer, dict):
        return {key: plain(value) for key, value in answer.items() if key != "locations"}
    return [plain(item) for item in answer] if isinstance(answer, list) else answer


def shape(value: Any) -> Any:
    """Keys, nulls and kinds of values; a list is as its first item."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__


def refusals(answer: Any) -> list[Any]:
    """What the errors say, and where."""
    return plain(answer.get("errors", [])) if isinstance(answer, dict) else []


@pytest.mark.parametrize("name", [name for name in ALL if name not in BY_THEMSELVES])
async def test_an_answer_is_the_recorded_one(server: SpeckleServer, name: str) -> None:
    recording = Recording.read(name)
    status, answer = await asked(situation(server, name), recording)
    assert (status, plain(answer)) == (recording.status, plain(recording.response))


@pytest.mark.parametrize("name", SHAPE_ALONE)
async def test_an_answer_has_the_recorded_ones_shape(server: SpeckleServer, name: str) -> None:
    recording = Recording.read(name)
    status, answer = await asked(situation(server, name), recording)
    assert status == recording.status
    assert refusals(answer) == refusals(recording.response)
    said = shape(recording.response["data"])
    # A fresh thread was seen by who wrote it, which nobody asks for.
    text = json.dumps(said).replace('"viewedAt": "str"', '"viewedAt": "NoneType"')
    assert shape(answer["data"]) == json.loads(text)


@pytest.mark.parametrize("name", OTHER_WORDS)
async def test_a_question_with_odd_variables_is_refused_as_recorded(
    server: SpeckleServer, name: str
) -> None:
    recording = Recording.read(name)
    status, answer = await asked(situation(server, name), recording)
    assert status == recording.status == 400
    assert "data" not in answer
    assert "data" not in recording.response
    codes = [error["extensions"] for error in answer["errors"]]
    assert codes == [error["extensions"] for error in recording.response["errors"]]


async def test_the_course_of_a_webhook_is_the_recorded_one(server: SpeckleServer) -> None:
    world = RecordedWorld(server)
    for name in COURSE:
        recording = Recording.read(name)
        status, answer = await asked(world, recording)
        if name == "webhook_create_ok":
            (hook,) = server.webhooks(world.hooks)
            assert answer == {"data": {"webhookCreate": hook.id}}
            hook.id = recording.response["data"]["webhookCreate"]
            continue
        assert (name, status, answer) == (name, 200, recording.response)


@pytest.mark.parametrize("name", HTTP)
async def test_a_request_that_is_no_question_is_refused_as_recorded(
    server: SpeckleServer, name: str
) -> None:
    world = RecordedWorld(server)
    read = json.loads((RECORDINGS / f"{name}.json").read_text())
    body = read["request_body"]
    body = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = world.signed(Recording.read(name))
    if kind := {k.lower(): v for k, v in read["request_headers"].items()}.get("content-type"):
        headers["Content-Type"] = kind
    async with (
        aiohttp.ClientSession(skip_auto_headers=["Content-Type"]) as http,
        http.request(
            read["method"],
            f"{server.url}{read['path']}",
            data=None if read["method"] == "GET" else body,
            headers=headers,
        ) as answer,
    ):
        text = (await answer.text()).replace("2.31.14", "dev")
    assert (answer.status, plain(json.loads(text))) == (
        read["http_status"],
        plain(read["response"]),
    )


async def test_too_many_requests_are_refused_as_recorded(server: SpeckleServer) -> None:
    recording = Recording.read("err_429_graphql")
    assert recording.retry_after is not None
    server.faults.rate_limit(float(recording.retry_after))
    status, answer = await asked(RecordedWorld(server), recording)
    assert (status, answer) == (429, recording.response)


PREVIEWS = Path(previews.__file__).with_name("recorded_previews")


@pytest.mark.parametrize("path", sorted(PREVIEWS.glob("*.json")), ids=lambda path: path.stem)
async def test_a_preview_is_the_recorded_one(server: SpeckleServer, path: Any) -> None:
    world = RecordedWorld(server)
    read = json.loads(path.read_text())
    if "rendered" in path.stem:
        for version in (*world.public.versions, *world.private.versions):
            server.render(version)
    authorization = read["request"]["headers"].get("Authorization")
    recording = Recording(path.stem, None, {}, read["status"], None, authorization, None)
    async with (
        aiohttp.ClientSession() as http,
        http.get(
            f"{server.url}{read['request']['path']}", headers=world.signed(recording)
        ) as answer,
    ):
        assert answer.status == read["status"]
        assert await answer.read() == base64.b64decode(read["body_b64"])
        for header in ("Cache-Control", "X-Preview-Error", "X-Preview-Error-Code"):
            assert answer.headers.get(header) == read["headers"].get(header)


async def test_a_line_of_the_very_millisecond_comes_again(server: SpeckleServer) -> None:
    # activity_after: the boundary item itself comes back.
    world = RecordedWorld(server)
    recording = Recording.read("activity_after_now_empty")
    (first, *_) = world.public.activity
    first.time = at("22:40:00") + timedelta(days=90)
    later = Recording(
        recording.name,
        recording.query,
        recording.variables | {"after": "2027-02-21T22:40:00.000Z"},
        200,
        None,
        recording.authorization,
        None,
    )
    _, answer = await asked(world, later)
    assert [line["id"] for line in answer["data"]["stream"]["activity"]["items"]] == [first.id]


def test_no_recording_is_left_out() -> None:
    assert set(ALL) >= BY_THEMSELVES
    assert len(ALL) > 150
