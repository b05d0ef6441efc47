"""A select or a form as a member's client fills it in: chosen, checked, and resolved."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.discord.client_errors import NotOffered, WrongOption
from sandbox.discord.component_kinds import (
    CHANNEL_SELECT,
    CHECKBOX,
    CHECKBOX_GROUP,
    FILE_UPLOAD,
    LABEL,
    RADIO_GROUP,
    ROLE_SELECT,
    TEXT_INPUT,
    USER_SELECT,
)
from sandbox.discord.json_types import JSON
from sandbox.discord.options import TRUTHS
from sandbox.discord.refusals import units
from sandbox.discord.resolving import Resolver


def filled_form(modal: JSON, values: Mapping[str, Any], resolver: Resolver) -> list[JSON]:
    """The form's `components` as they are sent off; what is not named keeps what it came with.

    Fields are named by custom_id or label. Raises NotOffered, WrongOption.
    """
    left = dict(values)
    components = [_filled(item, left, resolver) for item in modal["components"]]
    if left:
        raise WrongOption(f"the form has no field {', '.join(map(repr, left))}")
    return components


def _filled(item: JSON, values: dict[str, Any], resolver: Resolver) -> JSON:
    """One part of a form, filled in; what was used is taken out of `values`."""
    filled: JSON = {"type": item["type"], "id": item.get("id")}
    if item["type"] == LABEL:
        field = _field(item["component"], item["label"], values, resolver)
        return filled | {"component": field}
    if "components" in item:
        fields = [_field(one, one.get("label", ""), values, resolver) for one in item["components"]]
        return filled | {"components": fields}
    return filled


def _field(field: JSON, label: str, values: dict[str, Any], resolver: Resolver) -> JSON:
    key = field["custom_id"] if field["custom_id"] in values else label
    given = values.pop(key, None)
    filled: JSON = {"type": field["type"], "id": field.get("id"), "custom_id": field["custom_id"]}
    if field["type"] == TEXT_INPUT:
        return filled | {"value": _text(field, label, given)}
    if field["type"] == CHECKBOX:
        return filled | {"value": _truth(field, label, given)}
    values_chosen = chosen(field, label, given, resolver, in_modal=True)
    if field["type"] == RADIO_GROUP:
        return filled | {"value": values_chosen[0] if values_chosen else None}
    return filled | {"values": values_chosen}


def _text(field: JSON, label: str, given: Any) -> str:
    text = str(given if given is not None else field.get("value") or "")
    required = field.get("required", True) is not False
    if text == "" and not required:
        return text
    least = field.get("min_length") or (1 if required else 0)
    most = field.get("max_length") or 4000
    if not least <= units(text) <= most:
        raise WrongOption(f"the field {label!r} takes {least} to {most} characters")
    return text


def _truth(field: JSON, label: str, given: Any) -> bool:
    if given is None:
        return bool(field.get("default"))
    found = TRUTHS.get(str(given).lower())
    if found is None:
        raise WrongOption(f"the field {label!r} takes true or false, not {given!r}")
    return found


def chosen(
    field: JSON, label: str, given: Any, resolver: Resolver, *, in_modal: bool = False
) -> list[str]:
    """The values of a select, a group or a file upload; None is what it came with.

    Errors: NotOffered, WrongOption.
    """
    wanted = _came_with(field) if given is None else _as_list(given)
    least, most = _range(field, in_modal=in_modal)
    if not least <= len(wanted) <= most:
        raise WrongOption(f"{label!r} takes {least} to {most} values")
    find = _finder(field, label, resolver)
    values = [find(one) for one in wanted]
    if len(values) != len(set(values)):
        raise WrongOption(f"{label!r} takes each value once")
    return values


def _as_list(given: Any) -> list[Any]:
    is_list = isinstance(given, Sequence) and not isinstance(given, str)
    return list(given) if is_list else [given]


def _came_with(field: JSON) -> list[str]:
    options = [one["value"] for one in field.get("options") or () if one.get("default")]
    return options + [str(one["id"]) for one in field.get("default_values") or ()]


def _range(field: JSON, *, in_modal: bool) -> tuple[int, int]:
    usual = len(field["options"]) if field["type"] == CHECKBOX_GROUP else 1
    least, most = field.get("min_values"), field.get("max_values")
    # Who need not answer may leave it empty, whatever the least number of values is.
    if in_modal and field.get("required", True) is False:
        least = 0
    return 1 if least is None else least, usual if most is None else most


def _finder(field: JSON, label: str, resolver: Resolver) -> Callable[[Any], str]:
    """What makes an id or a value out of what the member named."""
    kind = field["type"]
    if "options" in field:
        return lambda one: _option(field, one)
    if kind == FILE_UPLOAD:
        return lambda one: resolver.file(one, label)
    if kind == CHANNEL_SELECT:
        return lambda one: resolver.channel(one, label, field.get("channel_types"))
    users, roles = kind != ROLE_SELECT, kind != USER_SELECT
    return lambda one: resolver.someone(one, label, users=users, roles=roles)


def _option(field: JSON, wanted: Any) -> str:
    offers = {one["label"]: one["value"] for one in field["options"]}
    if wanted in {one["value"] for one in field["options"]}:  # several may have one label
        return str(wanted)
    if wanted not in offers:
        raise NotOffered(f"there is no {wanted!r} to choose, only: {', '.join(offers)}")
    return str(offers[wanted])
