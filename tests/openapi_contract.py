"""Checks what the bot sent against Discord's OpenAPI description, and the rules that it lacks.

    complaints(sandbox.requests) == []

The description stands beside the repository and not in it: see `SPEC`, and `available()`.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema_rs import Draft202012Validator

from sandbox.discord import RecordedRequest

JSON = dict[str, Any]

SPEC = Path(__file__).parents[1] / ".." / "shared" / "discord" / "openapi.json"
MAX_CONTENT = 2000  # the description says 4,000, which is wrong for bots
MAX_EMBED_TEXT = 6000
MAX_FILES = 10
MAX_FILE_BYTES = 10 * 1024 * 1024
MAX_ALL_FILES_BYTES = 25 * 1024 * 1024
V2 = 1 << 15
LINK = 5
SELECTS = frozenset({3, 5, 6, 7, 8})
# What discord.py sends although the description does not know it: schema's name → keys.
ALSO_SENT: Mapping[str, tuple[str, ...]] = {
    "RichEmbed": ("flags",),
    "ComponentEmojiForRequest": ("animated",),
    "ApplicationCommandCreateRequest": ("nsfw",),
    "ApplicationCommandUpdateRequest": ("nsfw",),
    "MessageEditRequestPartial": ("tts",),
    "IncomingWebhookUpdateRequestPartial": ("tts",),
    "IncomingWebhookUpdateForInteractionCallbackRequestPartial": ("tts",),
    "BaseCreateMessageCreateRequest": ("tts", "nonce", "enforce_nonce"),
    "CreateForumThreadRequest": ("type",),
    # Of a file that an edit keeps.
    "MessageAttachmentRequest": ("content_type", "proxy_url", "size", "spoiler", "url"),
}
IDS_SENT_AS_NUMBERS = (
    ("MessageAttachmentRequest", "id"),
    ("CreatePrivateChannelRequest", "recipient_id"),
    ("MessageReferenceRequest", "guild_id"),
    ("MessageReferenceRequest", "channel_id"),
    ("MessageReferenceRequest", "message_id"),
)


def available() -> bool:
    """Whether the description is there; a test that needs it skips where it is not."""
    return SPEC.is_file()


def complaints(requests: Iterable[RecordedRequest]) -> list[str]:
    """What is wrong with the requests, one line each; [] is what one wants."""
    return [
        f"{request.method} {request.path}: {fault}"
        for request in requests
        for fault in faults_of(request)
    ]


def faults_of(request: RecordedRequest) -> Iterator[str]:
    """What is wrong with one request."""
    operation = _spec()["paths"].get(request.route, {}).get(request.method.lower())
    if operation is None:
        yield f"there is no {request.method} {request.route or request.path}"
        return
    content = operation.get("requestBody", {}).get("content")
    if request.json is None:
        if operation.get("requestBody", {}).get("required") and not request.unread:
            yield "the body is missing"
        return
    if content is None:
        yield "a body where none is expected"
        return
    for error in _validator(request.method, request.route).iter_errors(request.json):
        place = "".join(
            f"[{one}]" if isinstance(one, int) else f".{one}" for one in error.instance_path
        )
        yield f"${place}: {error.message[:300]}"
    yield from _faults_unknown_to_the_description(request)


# ── the description, made strict ──────────────────────────────────────────────────────────────


@functools.cache
def _spec() -> JSON:
    spec: JSON = json.loads(SPEC.read_text("utf-8"))
    schemas = spec["components"]["schemas"]
    for name, schema in schemas.items():
        for key in ALSO_SENT.get(name, ()):
            schema["properties"].setdefault(key, {})
        _tighten(schema)
    # Media channels, which Discord's documentation lists and its description does not.
    schemas["ChannelTypes"]["oneOf"].append({"title": "GUILD_MEDIA", "const": 16})
    for name, key in IDS_SENT_AS_NUMBERS:
        properties = schemas[name]["properties"]
        properties[key] = {"anyOf": [properties[key], {"type": "integer"}]}
    mentioned = schemas["MessageAllowedMentionsRequest"]["properties"]["users"]
    mentioned["items"]["oneOf"].append({"type": "integer"})  # discord.py sends numbers here too
    return spec


def _tighten(node: Any) -> None:
    """Refuse unknown keys, below too, and take the true limit of a message's content."""
    if isinstance(node, list):
        for one in node:
            _tighten(one)
    elif isinstance(node, dict):
        properties = node.get("properties")
        if isinstance(properties, dict) and "allOf" not in node:
            node.setdefault("additionalProperties", False)
            if properties.get("content", {}).get("maxLength") == 4000 and "embeds" in properties:
                properties["content"]["maxLength"] = MAX_CONTENT
        for one in node.values():
            _tighten(one)


@functools.cache
def _validator(method: str, route: str) -> Draft202012Validator:
    content = _spec()["paths"][route][method.lower()]["requestBody"]["content"]
    # A multipart body is the same with files[n] beside it, which are no part of payload_json.
    media = content.get("application/json") or content["multipart/form-data"]
    schema = dict(media["schema"])
    return Draft202012Validator(schema | {"components": _spec()["components"]})


# ── what it lacks ─────────────────────────────────────────────────────────────────────────────


def _faults_unknown_to_the_description(request: RecordedRequest) -> Iterator[str]:
    if "/commands" in request.route:
        bodies = request.json if isinstance(request.json, list) else [request.json]
        yield from _faults_of_commands(bodies)
        return
    message = _message_in(request)
    if message is not None:
        for rule in MESSAGE_RULES:
            yield from rule(message, request)
    yield from _faults_of_files(request)


def _message_in(request: RecordedRequest) -> JSON | None:
    body = request.json
    if not isinstance(body, dict):
        return None
    if request.route.endswith("/callback"):
        data = body.get("data") if body.get("type") in (4, 5, 7) else None
        return data if isinstance(data, dict) else None
    if "/messages" in request.route or request.route.startswith("/webhooks/"):
        return body if not request.route.endswith("/threads") else None
    message = body.get("message") if request.route.endswith("/threads") else None
    return message if isinstance(message, dict) else None


def _units(text: Any) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2 if isinstance(text, str) else 0


def _content_is_short(message: JSON, _: RecordedRequest) -> Iterator[str]:
    if _units(message.get("content")) > MAX_CONTENT:
        yield f"content has more than {MAX_CONTENT} characters"


def _something_is_there(message: JSON, request: RecordedRequest) -> Iterator[str]:
    parts = ("content", "embeds", "components", "attachments", "sticker_ids", "poll")
    deferred = request.route.endswith("/callback") and request.json.get("type") == 5
    new = request.method == "POST" and not deferred
    if new and not request.files and not any(message.get(part) for part in parts):
        yield "the message is empty"


def _embeds(message: JSON) -> list[JSON]:
    return [embed for embed in message.get("embeds") or () if isinstance(embed, dict)]


def _embeds_are_within_the_whole_limit(message: JSON, _: RecordedRequest) -> Iterator[str]:
    total = 0
    for embed in _embeds(message):
        total += _units(embed.get("title")) + _units(embed.get("description"))
        total += _units((embed.get("footer") or {}).get("text"))
        total += _units((embed.get("author") or {}).get("name"))
        for field in embed.get("fields") or ():
            total += _units(field.get("name")) + _units(field.get("value"))
    if total > MAX_EMBED_TEXT:
        yield f"the embeds have {total} characters together"


def _texts_are_there(message: JSON, _: RecordedRequest) -> Iterator[str]:
    for embed in _embeds(message):
        parts = [("footer", "text"), ("author", "name")]
        texts = [embed[part].get(key) for part, key in parts if embed.get(part)]
        fields = embed.get("fields") or ()
        texts += [field.get(key) for field in fields for key in ("name", "value")]
        if any(not isinstance(text, str) or not text.strip() for text in texts):
            yield "an empty text in an embed: a field, its name, the author or the footer"


def _attachments_were_sent(message: JSON, request: RecordedRequest) -> Iterator[str]:
    sent = {str(file.index) for file in request.files}
    for one in message.get("attachments") or ():
        is_new = request.method == "POST" or int(one.get("id", 0)) < MAX_FILES
        if is_new and str(one.get("id")) not in sent:
            yield f"attachment {one.get('id')} was not sent"


def _addresses_are_good(message: JSON, request: RecordedRequest) -> Iterator[str]:
    listed = [one for one in message.get("attachments") or () if isinstance(one, dict)]
    names = {one.get("filename") for one in listed} | {file.name for file in request.files}
    names |= {re.sub(r"[^\w.-]", "_", str(name)) for name in names}  # as Discord renames them
    # An edit may name a file that the message has already, unless it lists which ones it keeps.
    editing = request.method == "PATCH" and (
        "attachments" not in message or any(int(one["id"]) >= MAX_FILES for one in listed)
    )
    for place, url in _addresses(_embeds(message)):
        if url.startswith("attachment://"):
            if url.removeprefix("attachment://") not in names and not editing:
                yield f"{place}: there is no such file: {url}"
        elif not re.match(r"^https?://[^\s/.]+(\.[^\s/.]+)+", url):
            yield f"{place}: Discord takes no such address: {url[:60]}"


def _addresses(node: Any, place: str = "embeds") -> Iterator[tuple[str, str]]:
    if isinstance(node, list):
        for index, one in enumerate(node):
            yield from _addresses(one, f"{place}[{index}]")
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in ("url", "icon_url") and isinstance(value, str):
                yield f"{place}.{key}", value
            else:
                yield from _addresses(value, f"{place}.{key}")


def _walk(components: Any) -> Iterator[JSON]:
    for one in components or ():
        if isinstance(one, dict):
            yield one
            yield from _walk(one.get("components"))
            yield from _walk([one.get("accessory")])


def _components_are_laid_out_well(message: JSON, request: RecordedRequest) -> Iterator[str]:
    rows = message.get("components") or []
    if (message.get("flags") or 0) & V2:
        if message.get("content") or message.get("embeds"):
            yield "Components V2 beside content or embeds"
        if sum(1 for _ in _walk(rows)) > 40:
            yield "more than 40 components"
        return
    if len(rows) > 5:
        yield "more than 5 rows"
    for row in rows:
        inside = row.get("components") or []
        if row.get("type") != 1 and request.method == "POST":
            yield "a component outside a row, without the flag of Components V2"
        if len(inside) > 5 or (len(inside) > 1 and any(c.get("type") in SELECTS for c in inside)):
            yield "a row holds 5 buttons, or one select"


def _components_are_good(message: JSON, _: RecordedRequest) -> Iterator[str]:
    seen: set[str] = set()
    for one in _walk(message.get("components")):
        custom_id = one.get("custom_id")
        if custom_id is not None and custom_id in seen:
            yield f"custom_id twice: {custom_id}"
        seen.add(custom_id or "")
        if one.get("type") == 2:
            yield from _faults_of_button(one)
        if one.get("type") == 3:
            values = [option.get("value") for option in one.get("options") or ()]
            if len(values) != len(set(values)):
                yield "a select's value twice"


def _faults_of_button(button: JSON) -> Iterator[str]:
    if not button.get("label") and not button.get("emoji"):
        yield "a button without label or emoji"
    if button.get("style") == LINK:
        if not button.get("url") or button.get("custom_id") is not None:
            yield "a link button has a url and no custom_id"
        elif not re.match(r"^(https?|discord)://", button["url"]):
            yield f"a link button cannot go to {button['url'][:40]}"
    elif not button.get("custom_id") or button.get("url") is not None:
        yield "a button that is no link has a custom_id and no url"


Rule = Callable[[JSON, RecordedRequest], Iterator[str]]
MESSAGE_RULES: tuple[Rule, ...] = (
    _content_is_short,
    _something_is_there,
    _embeds_are_within_the_whole_limit,
    _texts_are_there,
    _attachments_were_sent,
    _addresses_are_good,
    _components_are_laid_out_well,
    _components_are_good,
)


def _faults_of_files(request: RecordedRequest) -> Iterator[str]:
    sizes = [len(file.content) for file in request.files]
    if len(sizes) > MAX_FILES:
        yield "more than 10 files"
    if any(size > MAX_FILE_BYTES for size in sizes) or sum(sizes) > MAX_ALL_FILES_BYTES:
        yield "the files are too large"


def _faults_of_commands(commands: list[JSON]) -> Iterator[str]:
    keys = [(one.get("type", 1), one.get("name")) for one in commands]
    if len(keys) != len(set(keys)):
        yield "a command's name twice"
    if len(commands) > 100:
        yield "more than 100 commands"
    for command in commands:
        if command.get("type", 1) == 1:
            yield from _faults_of_named(command, f"/{command.get('name')}")
            if not command.get("description"):
                yield f"/{command.get('name')} has no description"
        if _command_units(command) > 8000:
            yield f"/{command.get('name')} has more than 8,000 characters"


def _faults_of_named(part: JSON, place: str) -> Iterator[str]:
    name = part.get("name") or ""
    if not re.match(r"^[-_'\w]{1,32}$", name) or name != name.lower():
        yield f"{place}: no name for a command or option"
    options = part.get("options") or []
    names = [option.get("name") for option in options]
    if len(names) != len(set(names)):
        yield f"{place}: an option's name twice"
    required = [bool(option.get("required")) for option in options if option.get("type", 0) > 2]
    if required != sorted(required, reverse=True):
        yield f"{place}: required options come first"
    for option in options:
        yield from _faults_of_named(option, f"{place} {option.get('name')}")


def _command_units(part: JSON) -> int:
    own = sum(_units(part.get(key)) for key in ("name", "description", "value"))
    below = [*(part.get("options") or ()), *(part.get("choices") or ())]
    return own + sum(map(_command_units, below))
