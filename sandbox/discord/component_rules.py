"""What Discord asks of components in messages, the second version included."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sandbox.discord.embed_rules import check_url
from sandbox.discord.refusals import Form

JSON = dict[str, Any]
Path = tuple[str | int, ...]

ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
USER_SELECT, ROLE_SELECT, MENTIONABLE_SELECT, CHANNEL_SELECT = 5, 6, 7, 8
TEXT_DISPLAY = 10
LABEL, FILE_UPLOAD = 18, 19
RADIO_GROUP, CHECKBOX_GROUP, CHECKBOX = 21, 22, 23
# What an automatic select can have chosen already.
DEFAULT_KINDS: Mapping[int, tuple[str, ...]] = {
    USER_SELECT: ("user",),
    ROLE_SELECT: ("role",),
    MENTIONABLE_SELECT: ("user", "role"),
    CHANNEL_SELECT: ("channel",),
}
SELECTS = frozenset({STRING_SELECT, *DEFAULT_KINDS})
LINK_STYLE, PREMIUM_STYLE = 5, 6
V1_TOP = frozenset({ROW})
V2_TOP = frozenset({ROW, 9, 10, 12, 13, 14, 17})
MAX_ROWS = 5
MAX_BUTTONS = 5
MAX_COMPONENTS = 40
MAX_OPTIONS = 25
MAX_CUSTOM_ID = 100
MAX_TEXT_DISPLAY = 4000
# https://discord.com/developers/docs/resources/channel#channel-object-channel-types
CHANNEL_TYPES = frozenset({0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16})


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
    check_unique(form, ("components",), components)
    return components


def check_unique(form: Form, path: Path, components: list[JSON]) -> None:
    """No custom id twice."""
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
        check_select(form, path, component)
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


def check_select(form: Form, path: Path, select: JSON) -> None:
    """A select, in a message or in a modal."""
    form.length((*path, "custom_id"), select.get("custom_id"), MAX_CUSTOM_ID, 1)
    form.length((*path, "placeholder"), select.get("placeholder"), 150)
    if select.get("type") == STRING_SELECT:
        options = check_options(form, path, select, MAX_OPTIONS, 1)
        check_counts(form, path, select, MAX_OPTIONS, offered=len(options), defaults=options)
        return
    _check_default_values(form, path, select)
    check_counts(form, path, select, MAX_OPTIONS)
    if select.get("type") == CHANNEL_SELECT:
        form.one_of_each((*path, "channel_types"), select.get("channel_types"), CHANNEL_TYPES)


def check_options(form: Form, path: Path, field: JSON, most: int, least: int) -> list[JSON]:
    """The options of a select or a group, checked one by one."""
    options = form.items((*path, "options"), field.get("options"), most, least)
    for index, option in enumerate(options):
        for key, shortest in (("label", 1), ("value", 1), ("description", 0)):
            form.length((*path, "options", index, key), option.get(key), 100, shortest)
    values = [option.get("value") for option in options]
    if len(values) != len(set(map(str, values))):
        text = "The specified option value is already used"
        form.add((*path, "options"), "SELECT_COMPONENT_OPTION_VALUE_DUPLICATED", text)
    return options


def check_counts(
    form: Form,
    path: Path,
    field: JSON,
    highest: int,
    *,
    offered: int | None = None,
    defaults: Sequence[JSON] = (),
) -> None:
    """How many values a component takes; `offered` is how many there are to choose from."""
    least, most = field.get("min_values"), field.get("max_values")
    form.between((*path, "min_values"), least, 0, highest)
    form.between((*path, "max_values"), most, 1, highest)
    least, most = 1 if least is None else least, 1 if most is None else most
    if least > most or (offered is not None and most > offered):
        text = "Must be between min_values and the number of options."
        form.add((*path, "max_values"), "BASE_TYPE_BAD_LENGTH", text)
    if sum(option.get("default") is True for option in defaults) > most:
        text = "The number of default options is above max_values."
        form.add((*path, "options"), "SELECT_COMPONENT_TOO_MANY_DEFAULT_VALUES", text)


def _check_default_values(form: Form, path: Path, select: JSON) -> None:
    below = (*path, "default_values")
    values = form.items(below, select.get("default_values"), MAX_OPTIONS)
    kinds = DEFAULT_KINDS[select["type"]]
    for index, value in enumerate(values):
        if not str(value.get("id", "")).isdecimal():
            form.add((*below, index, "id"), "NUMBER_TYPE_COERCE", "The value is not snowflake.")
        if value.get("type") not in kinds:
            form.choices((*below, index, "type"), ", ".join(kinds))
    least, most = select.get("min_values"), select.get("max_values")
    if values and not (1 if least is None else least) <= len(values) <= (most or 1):
        text = "The number of default values must be in the range of min_values and max_values."
        form.add(below, "SELECT_COMPONENT_INVALID_DEFAULT_VALUES", text)
