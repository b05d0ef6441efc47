"""What Discord asks of selects and groups of options, in messages and in modals."""

from collections.abc import Sequence

from sandbox.discord.component_kinds import (
    CHANNEL_SELECT,
    DEFAULT_KINDS,
    MAX_CUSTOM_ID,
    STRING_SELECT,
)
from sandbox.discord.emoji_rules import KnownParts, check_emoji
from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.refusals import Form

MAX_OPTIONS = 25
# https://discord.com/developers/docs/resources/channel#channel-object-channel-types
CHANNEL_TYPES = frozenset({0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15, 16})


def check_select(form: Form, path: FieldPath, select: JSON, known: KnownParts) -> None:
    """A select, in a message or in a modal."""
    form.length((*path, "custom_id"), select.get("custom_id"), MAX_CUSTOM_ID, 1)
    form.length((*path, "placeholder"), select.get("placeholder"), 150)
    if select.get("type") == STRING_SELECT:
        options = check_options(form, path, select, MAX_OPTIONS, 1)
        for index, option in enumerate(options):
            check_emoji(form, (*path, "options", index, "emoji"), option.get("emoji"), known)
        check_counts(form, path, select, MAX_OPTIONS, offered=len(options), defaults=options)
        return
    _check_default_values(form, path, select)
    check_counts(form, path, select, MAX_OPTIONS)
    if select.get("type") == CHANNEL_SELECT:
        form.one_of_each((*path, "channel_types"), select.get("channel_types"), CHANNEL_TYPES)


def check_options(form: Form, path: FieldPath, field: JSON, most: int, least: int) -> list[JSON]:
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
    path: FieldPath,
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


def _check_default_values(form: Form, path: FieldPath, select: JSON) -> None:
    below = (*path, "default_values")
    values = form.items(below, select.get("default_values"), MAX_OPTIONS)
    kinds = DEFAULT_KINDS[select["type"]]
    for index, value in enumerate(values):
        form.snowflake((*below, index, "id"), value.get("id"))
        if value.get("type") not in kinds:
            form.choices((*below, index, "type"), ", ".join(kinds))
    least, most = select.get("min_values"), select.get("max_values")
    if values and not (1 if least is None else least) <= len(values) <= (most or 1):
        text = "The number of default values must be in the range of min_values and max_values."
        form.add(below, "SELECT_COMPONENT_INVALID_DEFAULT_VALUES", text)
