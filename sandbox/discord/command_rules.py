"""What Discord asks of application commands."""

import re
from enum import IntEnum
from typing import Any

from sandbox.discord.refusals import Form, units

JSON = dict[str, Any]
Path = tuple[str | int, ...]

MAX_OPTIONS = 25
MAX_TEXT = 8000
NAME = re.compile(r"^[-_'\w]{1,32}$")


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
NUMBERS = (OptionType.INTEGER, OptionType.NUMBER)


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


def check_command(form: Form, path: Path, command: JSON) -> None:
    """Check one command; errors are noted below `path`."""
    kind = type_of(command)
    if kind == CommandType.CHAT_INPUT:
        _check_name(form, (*path, "name"), command.get("name"))
        form.length((*path, "description"), command.get("description"), 100, 1)
        _check_options(form, (*path, "options"), command.get("options"))
    elif kind in MAX_COMMANDS:
        _check_of_a_menu(form, path, command)
    else:
        form.choices((*path, "type"), "1, 2, 3")
    permissions = command.get("default_member_permissions")
    if permissions is not None and not str(permissions).isdecimal():
        text = f'"{permissions}" is not a permission bitset.'
        form.add((*path, "default_member_permissions"), "NUMBER_TYPE_COERCE", text)
    if _text_units(command) > MAX_TEXT:
        text = f"Command exceeds maximum size ({MAX_TEXT})"
        form.add(path, "APPLICATION_COMMAND_TOO_LARGE", text)


def type_of(command: JSON) -> int:
    """The command's type, which is a typed one where it is not given."""
    kind = command.get("type")
    return CommandType.CHAT_INPUT if kind is None else kind


def _check_of_a_menu(form: Form, path: Path, command: JSON) -> None:
    """A command of a member or of a message has a name, and nothing else to say or to ask."""
    form.length((*path, "name"), command.get("name"), 32, 1)
    if command.get("description"):
        text = "Context menu commands cannot have description"
        form.add((*path, "description"), "APPLICATION_COMMAND_CONTEXT_MENU_DESCRIPTION", text)
    if command.get("options"):
        text = "Context menu commands cannot have options"
        form.add((*path, "options"), "APPLICATION_COMMAND_CONTEXT_MENU_OPTIONS", text)


def _check_name(form: Form, path: Path, name: Any) -> None:
    form.length(path, name, 32, 1)
    if isinstance(name, str) and (not NAME.match(name) or name != name.lower()):
        form.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _check_options(form: Form, path: Path, value: Any) -> None:
    options = form.items(path, value, MAX_OPTIONS)
    optional_seen = False
    names = [option.get("name") for option in options]
    if len(names) != len(set(names)):
        text = "Option names must be unique"
        form.add(path, "APPLICATION_COMMAND_OPTIONS_NAME_DUPLICATED", text)
    for index, option in enumerate(options):
        _check_option(form, (*path, index), option)
        if option.get("required") and optional_seen:
            text = "Required options must be placed before non-required options"
            form.add((*path, index), "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", text)
        optional_seen |= not option.get("required") and (option.get("type") or 0) > OptionType.GROUP


def _check_option(form: Form, path: Path, option: JSON) -> None:
    _check_name(form, (*path, "name"), option.get("name"))
    form.length((*path, "description"), option.get("description"), 100, 1)
    if option.get("type") not in list(OptionType):
        form.choices((*path, "type"), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11")
    elif option["type"] <= OptionType.GROUP:
        _check_options(form, (*path, "options"), option.get("options"))
    check_choices(form, (*path, "choices"), option.get("choices"), option.get("type"))
    if option.get("choices") and option.get("autocomplete"):
        text = "Cannot have autocomplete and choices"
        form.add(path, "APPLICATION_COMMAND_OPTIONS_AUTOCOMPLETE_CHOICES", text)


def check_choices(form: Form, path: Path, value: Any, option_type: int | None) -> None:
    """Check choices, of an option or of an autocomplete answer."""
    for index, choice in enumerate(form.items(path, value, MAX_OPTIONS)):
        form.length((*path, index, "name"), choice.get("name"), 100, 1)
        found = choice.get("value")
        if option_type in NUMBERS:
            if isinstance(found, bool) or not isinstance(found, int | float):
                text = f'Value "{found}" is not a number.'
                form.add((*path, index, "value"), "NUMBER_TYPE_COERCE", text)
        else:
            form.length((*path, index, "value"), found, 100, 1)


def _text_units(part: JSON) -> int:
    """Names, descriptions and values of the command and all below it."""
    own = sum(units(str(part.get(key) or "")) for key in ("name", "description", "value"))
    below = [*(part.get("options") or ()), *(part.get("choices") or ())]
    return own + sum(_text_units(one) for one in below)
