"""What Discord asks of application commands.

https://discord.com/developers/docs/interactions/application-commands
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import regex  # type: ignore[import-untyped]  # the package has no type hints

from sandbox.discord.json_types import JSON, FieldPath
from sandbox.discord.refusals import Form, units
from sandbox.discord.select_rules import CHANNEL_TYPES

MAX_OPTIONS = 25
MAX_TEXT = 8000
MAX_LENGTH_ASKED = 6000
MAX_PERMISSIONS = (1 << 54) - 1
MAX_INTEGER = (1 << 53) - 1
MAX_NUMBER = 1 << 53
CONTEXTS = (0, 1, 2)
INTEGRATION_TYPES = (0, 1)
NAME = regex.compile(r"[-_'\p{L}\p{N}\p{sc=Deva}\p{sc=Thai}]{1,32}")
# https://discord.com/developers/docs/reference#locales
LOCALES = frozenset(
    {
        "ar", "bg", "cs", "da", "de", "el", "en-GB", "en-US", "es-419", "es-ES", "fi", "fr", "he",
        "hi", "hr", "hu", "id", "it", "ja", "ko", "lt", "nl", "no", "pl", "pt-BR", "ro", "ru",
        "sv-SE", "th", "tr", "uk", "vi", "zh-CN", "zh-TW",
    }
)  # fmt: skip


class CommandType(IntEnum):
    """Types of commands: typed, or in the menu of a member or of a message."""

    CHAT_INPUT = 1
    USER = 2
    MESSAGE = 3


class OptionType(IntEnum):
    """Types of a command's options."""

    SUBCOMMAND = 1
    GROUP = 2
    STRING = 3
    INTEGER = 4
    BOOLEAN = 5
    USER = 6
    CHANNEL = 7
    ROLE = 8
    MENTIONABLE = 9
    NUMBER = 10
    ATTACHMENT = 11


MAX_COMMANDS = {CommandType.CHAT_INPUT: 100, CommandType.USER: 15, CommandType.MESSAGE: 15}
BRANCHES = frozenset({OptionType.SUBCOMMAND, OptionType.GROUP})
NUMBERS = frozenset({OptionType.INTEGER, OptionType.NUMBER})
TYPED = NUMBERS | {OptionType.STRING}
LEAVES = frozenset(OptionType) - BRANCHES
# Which types of options a key is for.
ONLY_FOR: Mapping[str, frozenset[OptionType]] = {
    "choices": TYPED,
    "autocomplete": TYPED,
    "min_value": NUMBERS,
    "max_value": NUMBERS,
    "min_length": frozenset({OptionType.STRING}),
    "max_length": frozenset({OptionType.STRING}),
    "channel_types": frozenset({OptionType.CHANNEL}),
    "required": LEAVES,
    "options": BRANCHES,
}


def check_commands(form: Form, commands: list[Any]) -> None:
    """Check a whole set, as PUT brings it."""
    kinds = [type_of(command) for command in commands]
    for kind, most in MAX_COMMANDS.items():
        if kinds.count(kind) > most:
            text = f"Maximum number of application commands reached ({most})."
            form.add((), "APPLICATION_COMMAND_TOO_MANY", text)
    seen: set[tuple[Any, Any]] = set()
    for index, command in enumerate(commands):
        check_command(form, (index,), command)
        key = (type_of(command), command.get("name"))
        if key in seen:
            text = "Application command names must be unique"
            form.add((index,), "APPLICATION_COMMANDS_DUPLICATE_NAME", text)
        seen.add(key)


def type_of(command: JSON) -> int:
    """The command's type, which is a typed one where it is not given."""
    kind = command.get("type")
    return CommandType.CHAT_INPUT if kind is None else kind


def check_command(form: Form, path: FieldPath, command: JSON) -> None:
    """Check one command; errors are noted below `path`."""
    kind = type_of(command)
    if kind == CommandType.CHAT_INPUT:
        _check_named(form, path, command)
        _check_options(form, (*path, "options"), command.get("options"), frozenset(OptionType))
    elif kind in MAX_COMMANDS:
        _check_of_a_menu(form, path, command)
    else:
        form.choices((*path, "type"), "1, 2, 3")
    form.one_of_each((*path, "contexts"), command.get("contexts"), CONTEXTS, 1)
    types = command.get("integration_types")
    form.one_of_each((*path, "integration_types"), types, INTEGRATION_TYPES, 1)
    permissions = command.get("default_member_permissions")
    text = str(permissions)
    if permissions is not None and not (text.isdecimal() and int(text) <= MAX_PERMISSIONS):
        text = f'"{permissions}" is not a permission bitset.'
        form.add((*path, "default_member_permissions"), "NUMBER_TYPE_COERCE", text)
    if _text_units(command) > MAX_TEXT:
        text = f"Command exceeds maximum size ({MAX_TEXT})"
        form.add(path, "APPLICATION_COMMAND_TOO_LARGE", text)


def _check_of_a_menu(form: Form, path: FieldPath, command: JSON) -> None:
    """A command of a member or of a message has a name, and nothing else to say or to ask."""
    form.length((*path, "name"), command.get("name"), 32, 1)
    for locale, name in _localized(form, path, "name_localizations", command):
        form.length((*path, "name_localizations", locale), name, 32, 1)
    if command.get("description"):
        text = "Context menu commands cannot have description"
        form.add((*path, "description"), "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION", text)
    if command.get("options"):
        text = "Context menu commands cannot have options"
        form.add((*path, "options"), "APPLICATION_COMMAND_CONTEXT_MENU_OPTIONS", text)


def _check_named(form: Form, path: FieldPath, part: JSON) -> None:
    """Name and description of a command or an option, in each language."""
    _check_name(form, (*path, "name"), part.get("name"))
    for locale, name in _localized(form, path, "name_localizations", part):
        _check_name(form, (*path, "name_localizations", locale), name)
    form.length((*path, "description"), part.get("description"), 100, 1)
    for locale, text in _localized(form, path, "description_localizations", part):
        form.length((*path, "description_localizations", locale), text, 100, 1)


def _check_name(form: Form, path: FieldPath, name: Any) -> None:
    form.length(path, name, 32, 1)
    if isinstance(name, str) and (not NAME.fullmatch(name) or name != name.lower()):
        form.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _localized(form: Form, path: FieldPath, key: str, part: JSON) -> list[tuple[str, Any]]:
    """Texts by language; a language that Discord does not speak is noted."""
    found = part.get(key) or {}
    for locale in found:
        if locale not in LOCALES:
            form.choices((*path, key, locale), ", ".join(sorted(LOCALES)))
    return list(found.items())


# ── options ───────────────────────────────────────────────────────────────────────────────────


def _check_options(form: Form, path: FieldPath, value: Any, allowed: frozenset[OptionType]) -> None:
    options = form.items(path, value, MAX_OPTIONS)
    names = [option.get("name") for option in options]
    if len(names) != len(set(map(str, names))):
        text = "Option names must be unique"
        form.add(path, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED", text)
    _check_order(form, path, options)
    for index, option in enumerate(options):
        _check_option(form, (*path, index), option, allowed)


def _check_order(form: Form, path: FieldPath, options: list[JSON]) -> None:
    """Required options come first; subcommands only among subcommands."""
    branches = [option.get("type") in BRANCHES for option in options]
    if any(branches) and not all(branches):
        text = "Sub-command and sub-command group option types are mutually exclusive to all others"
        form.add(path, "APPLICATION_COMMAND_OPTIONS_TYPE_INVALID", text)
    optional_seen = False
    for index, option in enumerate(options):
        if option.get("required") and optional_seen:
            text = "Required options must be placed before non-required options"
            form.add((*path, index), "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text)
        optional_seen |= not option.get("required") and not branches[index]


def _check_option(
    form: Form, path: FieldPath, option: JSON, allowed: frozenset[OptionType]
) -> None:
    _check_named(form, path, option)
    kind = option.get("type")
    if kind not in allowed:
        form.choices((*path, "type"), ", ".join(str(int(one)) for one in sorted(allowed)))
        return
    for key, kinds in ONLY_FOR.items():
        if option.get(key) not in (None, False, []) and kind not in kinds:
            text = f"An option of this type has no {key}"
            form.add((*path, key), "APPLICATION_COMMAND_OPTIONS_FIELD_INVALID", text)
    if kind == OptionType.GROUP:
        below = frozenset({OptionType.SUBCOMMAND})
        _check_options(form, (*path, "options"), option.get("options"), below)
    elif kind == OptionType.SUBCOMMAND:
        _check_options(form, (*path, "options"), option.get("options"), LEAVES)
    else:
        _check_asked(form, path, option)


def _check_asked(form: Form, path: FieldPath, option: JSON) -> None:
    """What an option asks of its value: choices, bounds, lengths, types of channels."""
    check_choices(form, (*path, "choices"), option.get("choices"), option["type"])
    names = [choice.get("name") for choice in option.get("choices") or ()]
    if len(names) != len(set(map(str, names))):
        text = "Choice names must be unique"
        form.add((*path, "choices"), "APPLICATION_COMMAND_OPTIONS_CHOICE_NAME_DUPLICATE", text)
    if option.get("choices") and option.get("autocomplete"):
        text = "Cannot have autocomplete and choices"
        form.add(path, "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES", text)
    form.one_of_each((*path, "channel_types"), option.get("channel_types"), CHANNEL_TYPES)
    form.between((*path, "min_length"), option.get("min_length"), 0, MAX_LENGTH_ASKED)
    form.between((*path, "max_length"), option.get("max_length"), 1, MAX_LENGTH_ASKED)
    for key in ("min_value", "max_value"):
        if option["type"] in NUMBERS and option.get(key) is not None:
            _check_number(form, (*path, key), option[key], option["type"])
    for unit in ("length", "value"):
        least, most = option.get(f"min_{unit}"), option.get(f"max_{unit}")
        if isinstance(least, int | float) and isinstance(most, int | float) and least > most:
            text = f"min_{unit} must be less than or equal to max_{unit}"
            form.add((*path, f"min_{unit}"), "APPLICATION_COMMAND_OPTIONS_RANGE_INVALID", text)


def _check_number(form: Form, path: FieldPath, value: Any, option_type: int) -> None:
    whole = option_type == OptionType.INTEGER
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        form.add(path, "NUMBER_TYPE_COERCE", f'Value "{value}" is not a number.')
    else:
        most = MAX_INTEGER if whole else MAX_NUMBER
        form.between(path, value, -most, most)


def check_choices(form: Form, path: FieldPath, value: Any, option_type: int) -> None:
    """Check choices, of an option or of an autocomplete answer."""
    for index, choice in enumerate(form.items(path, value, MAX_OPTIONS)):
        below = (*path, index)
        form.length((*below, "name"), choice.get("name"), 100, 1)
        for locale, name in _localized(form, below, "name_localizations", choice):
            form.length((*below, "name_localizations", locale), name, 100, 1)
        if option_type in NUMBERS:
            _check_number(form, (*below, "value"), choice.get("value"), option_type)
        else:
            form.length((*below, "value"), choice.get("value"), 100, 1)


def _text_units(part: JSON) -> int:
    """Names, descriptions and values of the command and all below it; of several languages the
    longest counts.
    """
    own = units(str(part.get("value") or ""))
    for key in ("name", "description"):
        texts = [part.get(key), *(part.get(f"{key}_localizations") or {}).values()]
        own += max(units(str(text or "")) for text in texts)
    below = [*(part.get("options") or ()), *(part.get("choices") or ())]
    return own + sum(_text_units(one) for one in below)
