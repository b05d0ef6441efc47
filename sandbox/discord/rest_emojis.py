"""The application's own emojis: https://discord.com/developers/docs/resources/emoji."""

import base64
import binascii
import re
from typing import Any

from sandbox.discord import wire
from sandbox.discord.guilds import SandboxEmoji
from sandbox.discord.refusals import MISSING_ACCESS, TOO_MANY_EMOJIS, UNKNOWN_EMOJI, Form
from sandbox.discord.rest import Call, RestResponse, Route

MAX_EMOJIS = 2000
MAX_IMAGE_BYTES = 256 * 1024
NAME = re.compile(r"^\w{2,32}$", re.ASCII)
IMAGE = re.compile(r"^data:(image/(?:jpeg|png|gif|webp|avif));base64,(.+)$", re.DOTALL)


def _emojis(call: Call) -> dict[int, SandboxEmoji]:
    if call.id("application_id") != call.world.application_id:
        raise MISSING_ACCESS
    return call.world.emojis


def _emoji(call: Call) -> SandboxEmoji:
    found = _emojis(call).get(call.id("emoji_id"))
    if found is None:
        raise UNKNOWN_EMOJI
    return found


def _check_name(form: Form, call: Call, name: Any, old: SandboxEmoji | None = None) -> None:
    form.length(("name",), name, 32, 2)
    if isinstance(name, str) and not NAME.match(name):
        text = "String value did not match validation regex."
        form.add(("name",), "STRING_TYPE_REGEX", text)
    if any(one.name == name and one is not old for one in _emojis(call).values()):
        text = "This emoji name is already taken."
        form.add(("name",), "APPLICATION_EMOJI_NAME_ALREADY_TAKEN", text)


def _image(form: Form, value: Any) -> tuple[str, bytes]:
    """The media type and the bytes of a `data:` address."""
    found = IMAGE.match(value) if isinstance(value, str) else None
    try:
        content = base64.b64decode(found[2], validate=True) if found else b""
    except binascii.Error:
        content = b""
    if not found or not content:
        form.add(("image",), "IMAGE_INVALID", "Invalid image data")
        return "", b""
    if len(content) > MAX_IMAGE_BYTES:
        form.add(("image",), "BINARY_TYPE_MAX_SIZE", "File cannot be larger than 256.0 kb.")
    return found[1], content


async def listing(call: Call) -> RestResponse:
    """GET /applications/{application_id}/emojis."""
    bot = call.world.bot
    return RestResponse({"items": [wire.emoji(one, bot) for one in _emojis(call).values()]})


async def create(call: Call) -> RestResponse:
    """POST /applications/{application_id}/emojis."""
    emojis = _emojis(call)
    form = Form()
    _check_name(form, call, call.body.get("name"))
    media_type, content = _image(form, call.body.get("image"))
    form.finish()
    if len(emojis) >= MAX_EMOJIS:
        raise TOO_MANY_EMOJIS
    made = SandboxEmoji(call.world.ids.new_id(), call.body["name"], content, media_type)
    emojis[made.id] = made
    return RestResponse(wire.emoji(made, call.world.bot), 201)


async def read(call: Call) -> RestResponse:
    """GET /applications/{application_id}/emojis/{emoji_id}."""
    return RestResponse(wire.emoji(_emoji(call), call.world.bot))


async def change(call: Call) -> RestResponse:
    """PATCH /applications/{application_id}/emojis/{emoji_id}: another name."""
    emoji = _emoji(call)
    form = Form()
    if "name" in call.body:
        _check_name(form, call, call.body["name"], emoji)
    form.finish()
    emoji.name = call.body.get("name", emoji.name)
    return RestResponse(wire.emoji(emoji, call.world.bot))


async def delete(call: Call) -> RestResponse:
    """DELETE /applications/{application_id}/emojis/{emoji_id}."""
    del _emojis(call)[_emoji(call).id]
    return RestResponse()


ALL = "/applications/{application_id}/emojis"
ROUTES = (
    Route("GET", ALL, listing),
    Route("POST", ALL, create),
    Route("GET", ALL + "/{emoji_id}", read),
    Route("PATCH", ALL + "/{emoji_id}", change),
    Route("DELETE", ALL + "/{emoji_id}", delete),
)
