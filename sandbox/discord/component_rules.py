"""What Discord asks of components: in messages, the second version included, and in modals."""

from collections.abc import Iterator
from typing import Any

from sandbox.discord.embed_rules import check_url
from sandbox.discord.refusals import Form

JSON = dict[str, Any]
Path = tuple[str | int, ...]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SELECTS = frozenset({3, 5, 6, 7, 8})
LABEL = 18
LINK_STYLE, PREMIUM_STYLE = 5, 6
V1_TOP = frozenset({ROW})
V2_TOP = frozenset({ROW, 9, 10, 12, 13, 14, 17})
MODAL_TOP = frozenset({ROW, 10, LABEL})
IN_LABEL = frozenset({TEXT_INPUT, 19, 21, 22, 23}) | SELECTS
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_COMPONENTS = 40
MAX_OPTIONS = 25
MAX_CUSTOM_ID = 100
MAX_MODAL_ITEMS = 5


def walk(components: list[Any]) -> Iterator[JSON]:
    """All components, the nested ones too, in order."""
    for component in components:
        if isinstance(component, dict):
            yield component
            for key in ("components", "items"):
                yield from walk(component.get(key) or [])
            yield from walk([component.get("component"), component.get("accessory")])


def check_components(form: Form, value: Any, *, v2: bool) -> list[JSON]:
    """Check the components of a message; `v2` is whether its flag says Components V2."""
    most = MAX_COMPONENTS if v2 else MAX_ROWS
    components = form.items(("components",), value, most)
    top = V2_TOP if v2 else V1_TOP
    for index, component in enumerate(components):
        _check_one(form, ("components", index), component, top)
    if sum(1 for _ in walk(components)) > MAX_COMPONENTS:
        form.add(("components",), "BASE_TYPE_MAX_LENGTH", "Must be 40 or fewer in length.")
    _check_unique(form, ("components",), components)
    return components


def _check_unique(form: Form, path: Path, components: list[JSON]) -> None:
    ids = [one["custom_id"] for one in walk(components) if isinstance(one.get("custom_id"), str)]
    if len(ids) != len(set(ids)):
        text = "Component custom id cannot be duplicated"
        form.add(path, "COMPONENT_CUSTOM_ID_DUPLICATED", text)


def _check_one(form: Form, path: Path, component: Any, allowed: frozenset[int]) -> None:
    kind = component.get("type") if isinstance(component, dict) else None
    if kind not in allowed:
        form.choices((*path, "type"), ", ".join(map(str, sorted(allowed))))
    elif kind == ROW:
        _check_row(form, path, component)
    elif kind == BUTTON:
        _check_button(form, path, component)
    elif kind in SELECTS:
        _check_select(form, path, component)
    elif kind == 10:
        form.length((*path, "content"), component.get("content"), 4000, 1)
    elif kind == 17:
        inner = V2_TOP - {17}
        for index, one in enumerate(component.get("components") or ()):
            _check_one(form, (*path, "components", index), one, inner)
    elif kind == 9 and isinstance(accessory := component.get("accessory"), dict):
        _check_one(form, (*path, "accessory"), accessory, frozenset({BUTTON, 11}))


def _check_row(form: Form, path: Path, row: JSON) -> None:
    inside = form.items((*path, "components"), row.get("components"), MAX_BUTTONS, 1)
    kinds = [one.get("type") for one in inside if isinstance(one, dict)]
    if len(inside) > 1 and SELECTS & set(kinds):
        text = "A row holds one select, or buttons."
        form.add((*path, "components"), "COMPONENT_LAYOUT_WIDTH_EXCEEDED", text)
    for index, one in enumerate(inside):
        _check_one(form, (*path, "components", index), one, SELECTS | {BUTTON})


def _check_button(form: Form, path: Path, button: JSON) -> None:
    style = button.get("style")
    form.length((*path, "label"), button.get("label"), 80)
    if not button.get("label") and not button.get("emoji") and style != PREMIUM_STYLE:
        text = "A button must have a label or emoji"
        form.add(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", text)
    if style == LINK_STYLE:
        _check_link(form, path, button)
    elif style == PREMIUM_STYLE:
        if not button.get("sku_id"):
            form.required((*path, "sku_id"))
    elif style in (1, 2, 3, 4):
        form.length((*path, "custom_id"), button.get("custom_id"), MAX_CUSTOM_ID, 1)
        if button.get("url") is not None:
            text = "A url cannot be set for this style"
            form.add((*path, "url"), "BUTTON_COMPONENT_URL_WITH_CUSTOM_ID", text)
    else:
        form.choices((*path, "style"), "1, 2, 3, 4, 5, 6")


def _check_link(form: Form, path: Path, button: JSON) -> None:
    if not button.get("url"):
        form.required((*path, "url"))
    check_url(form, (*path, "url"), button.get("url"), {"http", "https", "discord"}, most=512)
    if button.get("custom_id") is not None:
        text = "A custom id and url cannot both be specified"
        form.add((*path, "custom_id"), "BUTTON_COMPONENT_CUSTOM_ID_AND_URL", text)


def _check_select(form: Form, path: Path, select: JSON) -> None:
    form.length((*path, "custom_id"), select.get("custom_id"), MAX_CUSTOM_ID, 1)
    form.length((*path, "placeholder"), select.get("placeholder"), 150)
    if select.get("type") != STRING_SELECT:
        return
    options = form.items((*path, "options"), select.get("options"), MAX_OPTIONS, 1)
    for index, option in enumerate(options):
        for key, least in (("label", 1), ("value", 1), ("description", 0)):
            form.length((*path, "options", index, key), option.get(key), 100, least)
    values = [option.get("value") for option in options]
    if len(values) != len(set(map(str, values))):
        text = "The specified option value is already used"
        form.add((*path, "options"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", text)
    _check_counts(form, path, select, len(options))


def _check_counts(form: Form, path: Path, select: JSON, options: int) -> None:
    least, most = select.get("min_values"), select.get("max_values")
    least, most = 1 if least is None else least, 1 if most is None else most
    if not 0 <= least <= most or most > options:
        text = "Must be between min_values and the number of options."
        form.add((*path, "max_values"), "BASE_TYPE_BAD_LENGTH", text)


def check_modal(form: Form, data: JSON) -> None:
    """Check what a modal answer holds."""
    form.length(("data", "title"), data.get("title"), 45, 1)
    form.length(("data", "custom_id"), data.get("custom_id"), MAX_CUSTOM_ID, 1)
    path: Path = ("data", "components")
    components = form.items(path, data.get("components"), MAX_MODAL_ITEMS, 1)
    for index, component in enumerate(components):
        _check_modal_item(form, (*path, index), component)
    _check_unique(form, path, components)


def _check_modal_item(form: Form, path: Path, item: Any) -> None:
    kind = item.get("type") if isinstance(item, dict) else None
    if kind not in MODAL_TOP:
        form.choices((*path, "type"), ", ".join(map(str, sorted(MODAL_TOP))))
    elif kind == LABEL:
        form.length((*path, "label"), item.get("label"), 45, 1)
        form.length((*path, "description"), item.get("description"), 100)
        _check_input(form, (*path, "component"), item.get("component"), IN_LABEL)
    elif kind == ROW:
        for index, one in enumerate(form.items((*path, "components"), item.get("components"), 1)):
            _check_input(form, (*path, "components", index), one, frozenset({TEXT_INPUT}))
            form.length((*path, "components", index, "label"), one.get("label"), 45, 1)


def _check_input(form: Form, path: Path, field: Any, allowed: frozenset[int]) -> None:
    kind = field.get("type") if isinstance(field, dict) else None
    if kind not in allowed:
        form.choices((*path, "type"), ", ".join(map(str, sorted(allowed))))
    elif kind == TEXT_INPUT:
        form.length((*path, "custom_id"), field.get("custom_id"), MAX_CUSTOM_ID, 1)
        form.length((*path, "placeholder"), field.get("placeholder"), 100)
        most = field.get("max_length") or 4000
        form.length((*path, "value"), field.get("value"), most)
        if field.get("style") not in (1, 2):
            form.choices((*path, "style"), "1, 2")
    elif kind in SELECTS:
        _check_select(form, path, field)
