"""What Discord asks of modals.

https://discord.com/developers/docs/components/reference
"""

from collections.abc import Mapping
from typing import Any

from sandbox.discord.component_kinds import (
    CHECKBOX,
    CHECKBOX_GROUP,
    FILE_UPLOAD,
    LABEL,
    MAX_CUSTOM_ID,
    MAX_TEXT_DISPLAY,
    RADIO_GROUP,
    ROW,
    SELECTS,
    TEXT_DISPLAY,
    TEXT_INPUT,
)
from sandbox.discord.component_rules import check_id, check_unique
from sandbox.discord.emoji_rules import KnownParts
from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.refusals import Form
from sandbox.discord.select_rules import check_counts, check_options, check_select

MODAL_TOP = frozenset({ROW, TEXT_DISPLAY, LABEL})
IN_LABEL = frozenset({TEXT_INPUT, FILE_UPLOAD, RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX}) | SELECTS
MAX_ITEMS = 5
MAX_TEXT = 4000
MAX_GROUP = 10
MAX_UPLOADS = 10
LEAST_OPTIONS: Mapping[int, int] = {RADIO_GROUP: 2, CHECKBOX_GROUP: 1}


def check_modal(form: Form, data: JSON, known: KnownParts) -> None:
    """Check what a modal answer holds."""
    form.length(("data", "title"), data.get("title"), 45, 1)
    form.length(("data", "custom_id"), data.get("custom_id"), MAX_CUSTOM_ID, 1)
    path: FieldPath = ("data", "components")
    components = form.items(path, data.get("components"), MAX_ITEMS, 1)
    for index, component in enumerate(components):
        _check_item(form, (*path, index), component, known)
    check_unique(form, path, components)


def _check_item(form: Form, path: FieldPath, item: Any, known: KnownParts) -> None:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in MODAL_TOP:
        form.choices((*path, "type"), ", ".join(map(str, sorted(MODAL_TOP))))
        return
    check_id(form, path, item)
    if kind == LABEL:
        form.length((*path, "label"), item.get("label"), 45, 1)
        if item.get("description") is not None:
            form.length((*path, "description"), item["description"], 100, 1)
        _check_input(form, (*path, "component"), item.get("component"), IN_LABEL, known)
    elif kind == TEXT_DISPLAY:
        form.length((*path, "content"), item.get("content"), MAX_TEXT_DISPLAY, 1)
    else:
        inside = form.items((*path, "components"), item.get("components"), 1, 1)
        for index, one in enumerate(inside):
            below = (*path, "components", index)
            _check_input(form, below, one, frozenset({TEXT_INPUT}), known)
            form.length((*below, "label"), one.get("label"), 45, 1)


def _check_input(
    form: Form, path: FieldPath, field: Any, allowed: frozenset[int], known: KnownParts
) -> None:
    kind = field.get("type") if isinstance(field, dict) else None
    if kind not in allowed:
        form.choices((*path, "type"), ", ".join(map(str, sorted(allowed))))
        return
    check_id(form, path, field)
    if kind in SELECTS:
        check_select(form, path, field, known)
        if field.get("disabled"):
            text = "Components in modals cannot be disabled"
            form.add((*path, "disabled"), "COMPONENT_MODAL_DISABLED", text)
    else:
        form.length((*path, "custom_id"), field.get("custom_id"), MAX_CUSTOM_ID, 1)
    if kind == TEXT_INPUT:
        _check_text_input(form, path, field)
    elif kind in LEAST_OPTIONS:
        _check_group(form, path, field)
    elif kind == FILE_UPLOAD:
        check_counts(form, path, field, MAX_UPLOADS)
    if field.get("required", True) is not False and field.get("min_values") == 0:
        text = "A component that is required takes at least one value"
        form.add((*path, "min_values"), "COMPONENT_REQUIRED_MIN_VALUES", text)


def _check_text_input(form: Form, path: FieldPath, field: JSON) -> None:
    form.length((*path, "placeholder"), field.get("placeholder"), 100)
    if field.get("style") not in (1, 2):
        form.choices((*path, "style"), "1, 2")
    least, most = field.get("min_length"), field.get("max_length")
    form.between((*path, "min_length"), least, 0, MAX_TEXT)
    form.between((*path, "max_length"), most, 1, MAX_TEXT)
    if least is not None and most is not None and least > most:
        text = "Min length must be less than or equal to max length."
        form.add((*path, "min_length"), "BASE_TYPE_BAD_LENGTH", text)
    form.length((*path, "value"), field.get("value"), min(most or MAX_TEXT, MAX_TEXT))


def _check_group(form: Form, path: FieldPath, field: JSON) -> None:
    """Radio buttons, of which one can be on, or checkboxes, of which all can be."""
    radio = field["type"] == RADIO_GROUP
    options = check_options(form, path, field, MAX_GROUP, LEAST_OPTIONS[field["type"]])
    if radio:
        check_counts(form, path, {}, MAX_GROUP, defaults=options)
    else:
        most = field.get("max_values")
        counted = field | {"max_values": (len(options) or 1) if most is None else most}
        check_counts(form, path, counted, MAX_GROUP, offered=len(options), defaults=options)
