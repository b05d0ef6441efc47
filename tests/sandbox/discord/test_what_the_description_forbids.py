"""Bodies that Discord's description forbids are refused, one wrong value at a time."""

import copy
import functools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator

from sandbox.discord import Sandbox
from sandbox.discord.command_rules import check_commands
from sandbox.discord.emoji_rules import KnownParts
from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.message_rules import new_message, read_draft
from sandbox.discord.modal_rules import check_modal
from sandbox.discord.refusals import Form, Refusal
from sandbox.discord.shapes import check_shapes
from tests.openapi_contract import SPEC, available

pytestmark = pytest.mark.skipif(not available(), reason="Discord's OpenAPI description is absent")

LEFT_OUT = object()
WRONG: tuple[Any, ...] = (
    LEFT_OUT, None, "", "x" * 35, "x" * 130, "x" * 5000, "junk", -1, 0, 5, 26, 99, 10**6, 2**40,
    2**60, 1.5, True, [], ["x"], [{}], {},
)  # fmt: skip
EMOJI = {"name": "🔥"}
ADDRESS = "https://app.speckle.systems/x.png"
MESSAGE: JSON = {
    "content": "x", "nonce": "1", "tts": False, "flags": 4, "enforce_nonce": True,
    "allowed_mentions": {"parse": ["roles"], "users": ["1"], "replied_user": True},
    "embeds": [{
        "title": "x", "description": "x", "url": ADDRESS, "color": 1,
        "timestamp": "2026-01-01T00:00:00Z", "footer": {"text": "x", "icon_url": ADDRESS},
        "author": {"name": "x", "url": ADDRESS}, "image": {"url": ADDRESS},
        "thumbnail": {"url": ADDRESS}, "fields": [{"name": "x", "value": "x", "inline": True}],
    }],
    "components": [
        {"type": 1, "id": 1, "components": [
            {"type": 2, "style": 1, "label": "x", "custom_id": "a", "disabled": False,
             "emoji": EMOJI},
            {"type": 2, "style": 5, "label": "x", "url": ADDRESS},
        ]},
        {"type": 1, "components": [
            {"type": 3, "custom_id": "b", "placeholder": "x", "min_values": 0, "max_values": 1,
             "options": [{"label": "x", "value": "x", "description": "x", "default": False,
                          "emoji": EMOJI}]},
        ]},
        {"type": 1, "components": [
            {"type": 8, "custom_id": "c", "channel_types": [0],
             "default_values": [{"id": "1", "type": "channel"}]},
        ]},
    ],
    "poll": {
        "question": {"text": "x"}, "answers": [{"poll_media": {"text": "x", "emoji": EMOJI}}],
        "duration": 24, "allow_multiselect": False, "layout_type": 1,
    },
}  # fmt: skip
SECOND_VERSION: JSON = {
    "flags": 1 << 15,
    "components": [
        {"type": 17, "accent_color": 1, "spoiler": False, "components": [
            {"type": 10, "content": "x"},
            {"type": 9, "components": [{"type": 10, "content": "x"}],
             "accessory": {"type": 11, "media": {"url": ADDRESS}, "description": "x"}},
            {"type": 12, "items": [{"media": {"url": ADDRESS}, "description": "x",
                                    "spoiler": False}]},
            {"type": 14, "divider": True, "spacing": 1},
        ]},
        {"type": 9, "components": [{"type": 10, "content": "x"}],
         "accessory": {"type": 2, "style": 1, "label": "x", "custom_id": "a"}},
    ],
}  # fmt: skip
OPTION = {"name": "x", "description": "x"}
COMMANDS: list[JSON] = [
    {
        "type": 1, "name": "a", "description": "x", "name_localizations": {"de": "b"},
        "description_localizations": {"de": "x"}, "default_member_permissions": 8,
        "dm_permission": True, "contexts": [0], "integration_types": [0], "nsfw": False,
        "options": [
            {"type": 3, "required": True, "min_length": 1, "max_length": 2,
             "name_localizations": {"de": "b"},
             "choices": [{"name": "x", "value": "x", "name_localizations": {"de": "x"}}],
             } | OPTION,
            {"type": 4, "min_value": 1, "max_value": 2,
             "choices": [{"name": "x", "value": 1}]} | OPTION | {"name": "b"},
            {"type": 10, "min_value": 1.5, "max_value": 2} | OPTION | {"name": "c"},
            {"type": 7, "channel_types": [0, 5]} | OPTION | {"name": "d"},
            {"type": 3, "autocomplete": True} | OPTION | {"name": "e"},
        ],
    },
    {"type": 1, "name": "b", "description": "x", "options": [
        {"type": 2, "options": [{"type": 1, "options": [{"type": 5} | OPTION]} | OPTION]} | OPTION,
    ]},
    {"type": 2, "name": "A"},
    {"type": 3, "name": "A"},
]  # fmt: skip
OPTIONS = [{"label": "x", "value": "x", "default": True}, {"label": "x", "value": "y"}]
FIELDS: list[JSON] = [
    {"type": 4, "style": 1, "min_length": 0, "max_length": 10, "value": "x", "placeholder": "x",
     "required": False},
    {"type": 3, "min_values": 0, "max_values": 1, "options": OPTIONS, "required": False},
    {"type": 21, "options": OPTIONS, "required": False},
    {"type": 22, "options": OPTIONS, "min_values": 0, "max_values": 1, "required": False},
    {"type": 23, "default": True},
    {"type": 5, "default_values": [{"id": "1", "type": "user"}]},
    {"type": 8, "channel_types": [0], "required": False},
    {"type": 19, "min_values": 0, "max_values": 1, "required": False},
]  # fmt: skip


def form(fields: list[JSON]) -> JSON:
    labels = [
        {"type": 18, "label": "x", "description": "x", "component": {"custom_id": f"{n}"} | field}
        for n, field in enumerate(fields)
    ]
    return {"type": 9, "data": {"title": "x", "custom_id": "x", "components": labels}}


# ── what the sandbox says ─────────────────────────────────────────────────────────────────────


@functools.cache
def world_and_channel() -> Any:
    world = Sandbox(
        pace=False,
        clock=lambda: 0.0,
        wall_clock=lambda: 1.7e9,
        heartbeat_s=1,
        first_answer_s=1,
        token="x",
    )
    return world.world, world.add_guild("Studio Kestrel").add_channel("structure")


def take_message(body: Any) -> None:
    world, channel = world_and_channel()
    new_message(world, channel, read_draft(world, channel, body, ()))


def take_commands(body: Any) -> None:
    faults = Form()
    check_commands(faults, body)
    faults.finish()


def take_form(body: Any) -> None:
    faults = Form()
    check_modal(faults, body.get("data") or {}, KnownParts())
    faults.finish()


def is_taken(body: Any, take: Callable[[Any], None]) -> bool:
    try:
        check_shapes(body)
        take(copy.deepcopy(body))
    except Refusal:
        return False
    return True


# ── what the description says ─────────────────────────────────────────────────────────────────


@functools.cache
def allowed(route: str, method: str) -> Draft202012Validator:
    """Unknown keys are allowed here, as Discord does not look at them."""
    spec = json.loads(SPEC.read_text("utf-8"))
    schema = spec["paths"][route][method]["requestBody"]["content"]["application/json"]["schema"]
    return Draft202012Validator(schema | {"components": spec["components"]})


def places(node: Any, at: FieldPath = ()) -> Iterator[FieldPath]:
    inside = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in inside:
        yield (*at, key)
        if isinstance(value, dict | list):
            yield from places(value, (*at, key))


def changed(body: Any, place: FieldPath, value: Any) -> Any:
    whole = copy.deepcopy(body)
    node = whole
    for step in place[:-1]:
        node = node[step]
    if value is LEFT_OUT:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    return whole


def is_known_to_be_taken(place: FieldPath, value: Any) -> bool:
    """Ids that are numbers, which discord.py sends; what says the kind of answer itself."""
    is_id = place[-1] == "id" or "users" in place
    return (is_id and isinstance(value, int)) or place == ("type",)


MESSAGES = ("/channels/{channel_id}/messages", "post")
CALLBACK = ("/interactions/{interaction_id}/{interaction_token}/callback", "post")


@pytest.mark.parametrize(
    ("route", "body", "take"),
    [
        (MESSAGES, MESSAGE, take_message),
        (MESSAGES, SECOND_VERSION, take_message),
        (("/applications/{application_id}/commands", "put"), COMMANDS, take_commands),
        (CALLBACK, form(FIELDS[:4]), take_form),
        (CALLBACK, form(FIELDS[4:]), take_form),
    ],
    ids=["message", "second version", "commands", "form", "other form"],
)
def test_what_the_description_forbids_is_refused(
    route: tuple[str, str], body: Any, take: Callable[[Any], None]
) -> None:
    validator = allowed(*route)
    assert validator.is_valid(body)
    assert is_taken(body, take)
    taken = [
        f"{place}: {value!r:.30}"
        for place in places(body)
        for value in WRONG
        if not is_known_to_be_taken(place, value)
        and not validator.is_valid(wrong := changed(body, place, value))
        and is_taken(wrong, take)
    ]
    assert taken == []
