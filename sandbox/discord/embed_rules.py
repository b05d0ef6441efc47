"""What Discord asks of embeds: lengths, addresses, and 6,000 characters over all of a message."""

import re
from collections.abc import Container, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.refusals import Form, units

MAX_EMBEDS = 10
MAX_FIELDS = 25
MAX_ALL_TEXT = 6000
MAX_URL = 2048
LENGTHS = {
    ("title",): 256,
    ("description",): 4096,
    ("footer", "text"): 2048,
    ("author", "name"): 256,
}
LINKS = (("url",), ("author", "url"))
PICTURES = (
    ("image", "url"),
    ("thumbnail", "url"),
    ("author", "icon_url"),
    ("footer", "icon_url"),
)
# Something with a dot in it, or an IPv6 address: "localhost" is no well formed URL for Discord.
HOST = re.compile(r"^(?:[^\s.]+(?:\.[^\s.]+)+\.?|[0-9a-fA-F:]*:[0-9a-fA-F:.]+)$")


def check_embeds(form: Form, value: Any, file_names: Iterable[str]) -> list[JSON]:
    """Check the embeds of a message with these files; gives those that show anything."""
    embeds = form.items(("embeds",), value, MAX_EMBEDS)
    names = frozenset(file_names)
    shown = []
    for index, embed in enumerate(embeds):
        path: FieldPath = ("embeds", index)
        if not isinstance(embed, dict):
            form.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        _check_embed(form, path, embed, names)
        if _is_shown(embed):
            shown.append(embed)
    if sum(map(text_units, shown)) > MAX_ALL_TEXT:
        text = f"Embed size exceeds maximum size of {MAX_ALL_TEXT}"
        form.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", text)
    return shown


def _is_shown(embed: JSON) -> bool:
    parts = ("title", "description", "fields", "image", "thumbnail", "author", "footer")
    return any(embed.get(part) for part in parts)


def _check_embed(form: Form, path: FieldPath, embed: JSON, file_names: frozenset[str]) -> None:
    for place, most in LENGTHS.items():
        needed = len(place) > 1 and bool(embed.get(place[0]))
        text = _at(embed, place)
        form.length((*path, *place), text, most, 1 if needed or _is_blank(text) else 0)
    for index, field in enumerate(form.items((*path, "fields"), embed.get("fields"), MAX_FIELDS)):
        form.length((*path, "fields", index, "name"), _text(field, "name"), 256, 1)
        form.length((*path, "fields", index, "value"), _text(field, "value"), 1024, 1)
    _check_time(form, (*path, "timestamp"), embed.get("timestamp"))
    colour = embed.get("color")
    if colour is not None and (not isinstance(colour, int) or not 0 <= colour <= 0xFFFFFF):
        text = "int value should be less than or equal to 16777215."
        form.add((*path, "color"), "NUMBER_TYPE_MAX", text)
    for place in LINKS:
        check_url(form, (*path, *place), _at(embed, place), {"http", "https"})
    for place in PICTURES:
        check_picture(form, (*path, *place), _at(embed, place), file_names)


def _is_blank(text: Any) -> bool:
    """Whether something was written, and all of it is blanks."""
    return isinstance(text, str) and text != "" and not text.strip()


def _check_time(form: Form, path: FieldPath, value: Any) -> None:
    """A time as ISO 8601 writes it; None passes."""
    if value is None:
        return
    try:
        datetime.fromisoformat(str(value))
    except ValueError:
        text = f"Could not parse {value}. Should be ISO8601."
        form.add(path, "DATETIME_TYPE_PARSE_FAILED", text)


def _at(embed: JSON, place: tuple[str, ...]) -> Any:
    found: Any = embed
    for step in place:
        found = found.get(step) if isinstance(found, dict) else None
    return found


def _text(field: Any, key: str) -> Any:
    """What Discord counts as there: blanks at the ends are cut off first."""
    value = field.get(key) if isinstance(field, dict) else None
    return value.strip() if isinstance(value, str) else value


def text_units(embed: JSON) -> int:
    """What counts against the 6,000."""
    texts = [_at(embed, place) for place in LENGTHS]
    fields = [field for field in embed.get("fields") or () if isinstance(field, dict)]
    texts += [field.get(key) for field in fields for key in ("name", "value")]
    return sum(units(text) for text in texts if isinstance(text, str))


def check_picture(form: Form, path: FieldPath, url: Any, file_names: Container[str]) -> None:
    """The address of a picture: on the web, or `attachment://name` of a file that is there."""
    name = str(url).removeprefix("attachment://")
    if name == url or not isinstance(url, str):
        check_url(form, path, url, {"http", "https"}, also="attachment")
    elif name not in file_names:
        text = f"The referenced attachment {name!r} was not found in this request."
        form.add(path, "UNFURLED_MEDIA_ITEM_REFERENCED_ATTACHMENT_NOT_FOUND", text)


def check_url(
    form: Form, path: FieldPath, url: Any, schemes: set[str], *, also: str = "", most: int = MAX_URL
) -> None:
    """An address that Discord takes; `also` only completes what the refusal says."""
    if url is None:
        return
    form.length(path, url, most)
    try:
        parts = urlsplit(str(url))
        host = parts.hostname or ""
    except ValueError:
        form.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")
        return
    if parts.scheme not in schemes:
        allowed = ", ".join(f"'{one}'" for one in sorted(schemes | ({also} if also else set())))
        text = f'Scheme "{parts.scheme}" must be one of ({allowed}).'
        form.add(path, "URL_TYPE_INVALID_SCHEME", text)
    elif parts.scheme != "discord" and not HOST.match(host):
        form.add(path, "URL_TYPE_INVALID_URL", "Not a well formed URL.")


def with_addresses(embeds: list[JSON], urls: dict[str, str]) -> list[JSON]:
    """The embeds as Discord shows them: `attachment://name` has become the file's address."""
    return [_with_addresses(embed, urls) | {"type": "rich"} for embed in embeds]


def _with_addresses(part: JSON, urls: dict[str, str]) -> JSON:
    shown: JSON = {}
    for key, value in part.items():
        if isinstance(value, dict):
            shown[key] = _with_addresses(value, urls)
        elif isinstance(value, str) and value.startswith("attachment://"):
            shown[key] = urls.get(value.removeprefix("attachment://"), value)
        else:
            shown[key] = value
    return shown
