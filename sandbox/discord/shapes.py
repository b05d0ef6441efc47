"""The first look at a body: is each value of the type that its key has everywhere at Discord?

What passes can be read by the other rules without asking again; null passes here.
"""

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.discord.json_types import FieldPath
from sandbox.discord.refusals import Form

Check = Callable[[Form, FieldPath, Any], None]


def _object(form: Form, path: FieldPath, value: Any) -> None:
    if not isinstance(value, dict):
        form.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    for key, inner in value.items():
        check = KEYS.get(key)
        if inner is not None and check is not None:
            check(form, (*path, key), inner)


def _objects(form: Form, path: FieldPath, value: Any) -> None:
    if not isinstance(value, list):
        form.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")
        return
    for index, one in enumerate(value):
        _object(form, (*path, index), one)


def _text(form: Form, path: FieldPath, value: Any) -> None:
    if not isinstance(value, str):
        form.add(path, "STRING_TYPE_CONVERT", "Could not interpret the value as string.")


def _whole(form: Form, path: FieldPath, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        form.add(path, "NUMBER_TYPE_COERCE", "The value is not int.")


def _hours(form: Form, path: FieldPath, value: Any) -> None:
    """A whole number; discord.py writes it as 24.0."""
    is_whole = isinstance(value, float) and value.is_integer()
    _whole(form, path, int(value) if is_whole else value)


def _truth(form: Form, path: FieldPath, value: Any) -> None:
    if not isinstance(value, bool):
        form.add(path, "BOOLEAN_TYPE_CONVERT", "Must be either true or false.")


def _texts(form: Form, path: FieldPath, value: Any) -> None:
    """Texts by language."""
    if not isinstance(value, dict):
        form.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    for key, inner in value.items():
        _text(form, (*path, key), inner)


def _list(form: Form, path: FieldPath, value: Any) -> None:
    if not isinstance(value, list):
        form.add(path, "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType.")


def _nonce(form: Form, path: FieldPath, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        form.add(path, "STRING_TYPE_CONVERT", "Could not interpret the value as string.")


def _image(form: Form, path: FieldPath, value: Any) -> None:
    """A picture's data, but in an embed, where it is an object."""
    (_text if len(path) == 1 else _object)(form, path, value)


def _scalar(form: Form, path: FieldPath, value: Any) -> None:
    if isinstance(value, dict | list):
        form.add(path, "BASE_TYPE_CONVERT", "The value is not a text and not a number.")


def _type(form: Form, path: FieldPath, value: Any) -> None:
    """A number, but for embeds and for what a select has chosen already: a word."""
    is_word = bool({"embeds", "default_values"} & set(path[-3:-1]))
    (_text if is_word else _whole)(form, path, value)


KEYS: Mapping[str, Check] = {
    "type": _type,
    "image": _image,
    "nonce": _nonce,
    "duration": _hours,
    "name_localizations": _texts,
    "description_localizations": _texts,
    **dict.fromkeys(
        ("data", "message", "author", "footer", "thumbnail", "component", "accessory",
         "media", "allowed_mentions", "message_reference", "emoji", "poll", "question",
         "poll_media", "file"),
        _object,
    ),
    **dict.fromkeys(
        ("embeds", "fields", "components", "items", "options", "choices", "attachments",
         "default_values", "answers"),
        _objects,
    ),
    **dict.fromkeys(
        ("content", "title", "description", "text", "url", "icon_url", "custom_id", "label",
         "placeholder", "name", "filename", "topic", "timestamp"),
        _text,
    ),
    **dict.fromkeys(
        ("flags", "style", "color", "min_values", "max_values", "min_length", "max_length",
         "auto_archive_duration", "rate_limit_per_user", "spacing", "accent_color",
         "layout_type"),
        _whole,
    ),
    **dict.fromkeys(
        ("disabled", "required", "autocomplete", "inline", "enforce_nonce", "archived", "locked",
         "default", "tts", "replied_user", "fail_if_not_exists", "spoiler", "divider",
         "allow_multiselect", "dm_permission", "nsfw", "invitable"),
        _truth,
    ),
    **dict.fromkeys(("value", "id", "sku_id", "default_member_permissions"), _scalar),
    **dict.fromkeys(
        ("parse", "users", "roles", "contexts", "integration_types", "channel_types",
         "applied_tags", "sticker_ids"),
        _list,
    ),
}  # fmt: skip


def check_shapes(body: Any) -> None:
    """Raise 50035 where a value is of another type than Discord takes there."""
    form = Form()
    if isinstance(body, list):
        _objects(form, (), body)
    elif isinstance(body, dict):
        _object(form, (), body)
    form.finish()
