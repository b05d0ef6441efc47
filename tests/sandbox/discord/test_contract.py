"""The contract check catches bad bodies, and the sandbox refuses the same ones."""

import json
from typing import Any

import aiohttp
import pytest

from sandbox.discord import RecordedRequest, Sandbox, SandboxChannel, Upload
from tests.openapi_contract import available, complaints

pytestmark = pytest.mark.skipif(not available(), reason="Discord's OpenAPI description is absent")

MESSAGES = "/channels/{channel_id}/messages"
COMMANDS = "/applications/{application_id}/commands"
CALLBACK = "/interactions/{interaction_id}/{interaction_token}/callback"


def row(*components: dict[str, Any]) -> dict[str, Any]:
    return {"content": "x", "components": [{"type": 1, "components": list(components)}]}


def button(**more: Any) -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": "Pause", "custom_id": "pause"} | more


def select(**more: Any) -> dict[str, Any]:
    options = [{"label": "A", "value": "a"}]
    return {"type": 3, "custom_id": "pick", "options": options} | more


def embed(**parts: Any) -> dict[str, Any]:
    return {"embeds": [{"title": "New version"} | parts]}


BAD_MESSAGES: dict[str, dict[str, Any]] = {
    "content too long": {"content": "x" * 2001},
    "content not a text": {"content": {"text": "x"}},
    "empty": {"content": ""},
    "title too long": embed(title="x" * 257),
    "description too long": embed(description="x" * 4097),
    "field without a value": embed(fields=[{"name": "Model", "value": ""}]),
    "field's name too long": embed(fields=[{"name": "x" * 257, "value": "x"}]),
    "26 fields": embed(fields=[{"name": "x", "value": "x"}] * 26),
    "footer too long": embed(footer={"text": "x" * 2049}),
    "author without a name": embed(author={"url": "https://app.speckle.systems/"}),
    "colour out of range": embed(color=1 << 24),
    "11 embeds": {"embeds": [{"title": "x"}] * 11},
    "6,001 characters in all": {
        "embeds": [{"description": "x" * 4000}, {"description": "x" * 2001}]
    },
    "data: picture": embed(image={"url": "data:image/png;base64,AA=="}),
    "picture without a host": embed(thumbnail={"url": "http://localhost/x.png"}),
    "picture that is not attached": embed(image={"url": "attachment://lost.png"}),
    "javascript: address": embed(url="javascript:alert(1)"),
    "nonce too long": {"content": "x", "nonce": "n" * 26},
    "6 rows": {
        "content": "x",
        "components": [
            {"type": 1, "components": [button(custom_id=f"b{n}")]} for n in range(6)
        ],
    },
    "6 buttons in a row": row(*(button(custom_id=f"b{n}") for n in range(6))),
    "row without anything": row(),
    "custom_id twice": row(button(), button(label="Resume")),
    "custom_id too long": row(button(custom_id="x" * 101)),
    "button without custom_id": row(button(custom_id=None)),
    "button without label": row(button(label=None)),
    "label too long": row(button(label="x" * 81)),
    "link with custom_id": row(button(style=5, url="https://app.speckle.systems/")),
    "link without url": row(button(style=5, custom_id=None)),
    "link to a file": row(button(style=5, custom_id=None, url="file:///etc/hosts")),
    "unknown style": row(button(style=9)),
    "select without options": row(select(options=[])),
    "26 options": row(select(options=[{"label": "x", "value": str(n)} for n in range(26)])),
    "option's value twice": row(select(options=[{"label": "x", "value": "1"}] * 2)),
    "select beside a button": row(select(), button()),
    "button outside a row": {"content": "x", "components": [button()]},
    "V2 beside content": {
        "content": "x", "flags": 1 << 15, "components": [{"type": 10, "content": "x"}],
    },
    "attachment that was not sent": {"content": "x", "attachments": [{"id": "7"}]},
}  # fmt: skip
ONLY_IN_THE_CONTRACT = {
    "unknown key": {"content": "x", "colour": "red"},
    "unknown key in an embed": embed(colour=3),
}


def option(name: str = "text", **more: Any) -> dict[str, Any]:
    return {"type": 3, "name": name, "description": "A text"} | more


def command(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "subscribe", "description": "Show events", "type": 1} | more]


BAD_COMMANDS = {
    "name with capitals": command(name="Subscribe"),
    "name with a blank": command(name="sub scribe"),
    "name too long": command(name="x" * 33),
    "no description": command(description=""),
    "description too long": command(description="x" * 101),
    "name twice": command() * 2,
    "required after optional": command(options=[option("a"), option("b", required=True)]),
    "option twice": command(options=[option("a"), option("a")]),
    "26 options": command(options=[option(f"o{n}") for n in range(26)]),
    "26 choices": command(
        options=[option(choices=[{"name": f"{n}", "value": f"{n}"} for n in range(26)])]
    ),
    "more than 8,000 characters": command(
        options=[
            option(
                f"o{o}", choices=[{"name": f"{n:0100}", "value": f"{n:0100}"} for n in range(25)]
            )
            for o in range(2)
        ]
    ),
}  # fmt: skip


def recorded(
    route: str, body: Any, method: str = "POST", files: tuple[Upload, ...] = ()
) -> RecordedRequest:
    return RecordedRequest(method, route, route, {}, body, files)


@pytest.mark.parametrize("fault", [*BAD_MESSAGES, *ONLY_IN_THE_CONTRACT])
def test_a_bad_message_is_complained_about(fault: str) -> None:
    body = (BAD_MESSAGES | ONLY_IN_THE_CONTRACT)[fault]
    assert complaints([recorded(MESSAGES, body)]) != []
    as_answer = recorded(CALLBACK, {"type": 4, "data": body})
    if "nonce" not in body and "attachments" not in body:
        assert complaints([as_answer]) != []


@pytest.mark.parametrize("fault", BAD_COMMANDS)
def test_a_bad_command_is_complained_about(fault: str) -> None:
    assert complaints([recorded(COMMANDS, BAD_COMMANDS[fault], "PUT")]) != []


@pytest.mark.parametrize(
    ("route", "body"),
    [
        (CALLBACK, {"type": 8, "data": {"choices": [{"name": "x", "value": "x"}] * 26}}),
        (CALLBACK, {"type": 9, "data": {"custom_id": "x", "title": "x" * 46, "components": []}}),
        (CALLBACK, {"type": 4711}),
        (MESSAGES, None),
        ("/channels/{channel_id}/messages/{message_id}/threads", {"name": ""}),
        ("/channels/{channel_id}/threads", {"name": "x", "message": {"content": "x" * 2001}}),
        ("/no/such/route", {}),
    ],
)
def test_other_bad_bodies_are_complained_about(route: str, body: Any) -> None:
    assert complaints([recorded(route, body)]) != []


def test_files_that_are_too_large_or_too_many_are_complained_about() -> None:
    large = Upload(0, "a.bin", "application/octet-stream", bytes((10 << 20) + 1))
    small = [Upload(n, f"{n}.bin", "application/octet-stream", b"x") for n in range(11)]
    assert complaints([recorded(MESSAGES, {"content": "x"}, files=(large,))]) != []
    assert complaints([recorded(MESSAGES, {"content": "x"}, files=tuple(small))]) != []


def test_what_discord_py_sends_beyond_the_description_is_allowed() -> None:
    picture = Upload(0, "a.png", "image/png", b"x")
    sent = [
        recorded(MESSAGES, embed(flags=0, type="rich", image={"url": "attachment://a.png"})
                 | {"attachments": [{"id": 0, "filename": "a.png"}], "tts": False},
                 files=(picture,)),
        recorded(MESSAGES + "/{message_id}", {"content": "x", "tts": False}, "PATCH"),
        recorded(COMMANDS, command(nsfw=False, options=[option(required=True)]), "PUT"),
        recorded(MESSAGES, row(button(), button(style=5, custom_id=None, url="https://a.example/"))),
    ]  # fmt: skip
    assert complaints(sent) == []


@pytest.mark.parametrize("fault", BAD_MESSAGES)
async def test_the_sandbox_refuses_the_same_messages(
    sandbox: Sandbox, channel: SandboxChannel, raw: aiohttp.ClientSession, fault: str
) -> None:
    url = f"{sandbox.api_url}/channels/{channel.id}/messages"
    async with raw.post(url, json=BAD_MESSAGES[fault]) as answer:
        said = await answer.json()
    assert (answer.status, said["code"]) in ((400, 50035), (400, 50006)), said
    assert ("errors" in said) == (said["code"] == 50035)
    assert sandbox.messages(channel) == []


@pytest.mark.parametrize("fault", BAD_COMMANDS)
async def test_the_sandbox_refuses_the_same_commands(
    sandbox: Sandbox, raw: aiohttp.ClientSession, fault: str
) -> None:
    url = f"{sandbox.api_url}/applications/{sandbox.bot_id}/commands"
    async with raw.put(url, json=BAD_COMMANDS[fault]) as answer:
        said = await answer.json()
    assert (answer.status, said["code"]) == (400, 50035), json.dumps(said)
    assert sandbox.commands == []


@pytest.mark.parametrize(
    "body",
    [
        [],
        "x",
        {"content": 5},
        {"embeds": {"title": "x"}},
        {"embeds": ["x"]},
        {"embeds": [{"fields": [["x"]]}]},
        {"content": "x", "components": [{"type": [1]}]},
        {"content": "x", "components": [{"type": 1, "components": "x"}]},
        {"content": "x", "flags": "many"},
        {"content": "x", "attachments": ["x"]},
    ],
)
async def test_values_of_the_wrong_type_are_a_bad_form(
    sandbox: Sandbox, channel: SandboxChannel, raw: aiohttp.ClientSession, body: Any
) -> None:
    url = f"{sandbox.api_url}/channels/{channel.id}/messages"
    async with raw.post(url, json=body) as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50035)
