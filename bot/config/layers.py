"""The layers that settings come from, and where in them each value stands."""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from dotenv.parser import Binding, parse_stream
from pydantic.fields import FieldInfo

from bot.config.settings import OTHER_NAMES, Settings, environment_names
from bot.config.shapes import lost_shape, misshapen_names
from bot.config.values import SECRET_MENDS
from bot.errors import ConfigError, Problem

ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value was written: the file and line, and its name as it stands there."""

    where: str
    name: str
    example: Callable[[object], str]


Key = tuple[str, ...]
Places = dict[Key, Place]


def toml_text(value: object) -> str:
    """A value as config.toml would have it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _env_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _toml_keys(text: str) -> Iterator[tuple[Key, int]]:
    """Each key and section header of a TOML text with its line, from 1.

    tomllib keeps no positions. A line inside a multi-line value may be taken for a key; that
    can only add a key that nobody asks for, as the first place found counts.
    """
    section: Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
            section = _dotted(header[1])
            yield section, number
        elif key := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
            yield section + _dotted(key[1]), number


def _dotted(name: str) -> Key:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


@dataclass(slots=True)
class Layers:
    """The values of all layers on top of each other, with the place of each that counts."""

    values: dict[str, Any] = field(default_factory=dict)
    places: Places = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    misshapen: set[str] = field(default_factory=set)  # fields with a problem instead of a value


def _read_text(path: Path) -> str:
    """The text of a settings file, "" if there is none.

    Errors:
        ConfigError: not readable, or not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")  # Windows editors put a mark in front
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError:
        raise ConfigError(Problem(path.name, "is not UTF-8 text.", "Save it as UTF-8.")) from None
    except OSError as error:
        why = error.strerror or "unknown reason"
        raise ConfigError(
            Problem(path.name, f"cannot be read ({why}).", "Let the bot's user read it.")
        ) from error


def read_toml(path: Path, layers: Layers) -> None:
    """Put on top what config.toml says; a missing file says nothing.

    Errors:
        ConfigError: the file cannot be read.
    """
    text = _read_text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        layers.problems.append(_toml_problem(path.name, text, str(error)))
        return
    lines: dict[Key, int] = {}
    for key, line in _toml_keys(text):
        lines.setdefault(key, line)
    for key in _keys_of(values):
        near = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        where = f"{path.name}, line {near}" if near else path.name
        name = f"{key[-1]} in [{'.'.join(key[:-1])}]" if len(key) > 1 else key[0]
        layers.places[key] = Place(where, name, toml_example(key[-1]))
    _refuse_secrets(values, layers)
    plain = environment_names().values()
    layers.values.update((k, v) for k, v in values.items() if not (k in plain and v == ""))


def toml_example(name: str) -> Callable[[object], str]:
    """How a value would be set in config.toml."""
    return lambda value: f"{name} = {toml_text(value)}"


def _env_example(name: str) -> Callable[[object], str]:
    return lambda value: f"{name}={_env_text(value)}"


def _toml_problem(file: str, text: str, message: str) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found[1]) if found else max(1, len(text.splitlines()))
    what = re.sub(r"\s*\(at .*\)$", "", message)
    if re.search("[“”„‘’]", text.splitlines()[line - 1] if text else ""):
        return Problem(
            f"{file}, line {line}",
            "holds curly quotes, which TOML does not know.",
            'Write straight ones: "text".',
        )
    return Problem(
        f"{file}, line {line}",
        f"cannot be read as TOML: {what[:1].lower()}{what[1:]}.",
        'Write name = value, with text in "quotes", a list in [brackets] and one name a line.',
    )


def _keys_of(values: Mapping[str, Any]) -> Iterator[Key]:
    for name, value in values.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, *rest) for rest in _keys_of(value))


def _refuse_secrets(values: dict[str, Any], layers: Layers, above: Key = ()) -> None:
    """Takes secrets out of what config.toml says, each with a problem: that file gets shared."""
    for name in list(values):
        if isinstance(values[name], dict):
            _refuse_secrets(values[name], layers, (*above, name))
        elif name.lower() in SECRET_MENDS:
            del values[name]
            layers.problems.append(
                Problem(
                    layers.places[(*above, name)].where,
                    f"{name} is a secret, and config.toml is no place for secrets.",
                    f"Take it out here and put it in .env as {name.upper()}=...",
                )
            )


def read_env_file(path: Path) -> Iterator[tuple[int, Binding]]:
    """The bindings of a .env file with their lines. Values are literal: no `$NAME` inside.

    Errors:
        ConfigError: the file cannot be read.
    """
    for binding in parse_stream(StringIO(_read_text(path))):
        # python-dotenv counts the blank lines before a binding to the binding.
        lead = len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        skipped = len(binding.original.string[:lead].splitlines())
        yield binding.original.line + skipped, binding


def read_env_layer(path: Path, layers: Layers) -> None:
    """Put on top what .env says; other programs' names in it are none of ours.

    Errors:
        ConfigError: the file cannot be read.
    """
    names, others = environment_names(), []
    for line, binding in read_env_file(path):
        where = f"{path.name}, line {line}"
        if binding.error:
            layers.problems.append(
                Problem(where, "is not NAME=value.", "Mend the quotes, or put # before a comment.")
            )
        elif binding.key and (setting := names.get(binding.key)):
            _put(layers, setting, binding.value or "", where, comments=False)
        elif binding.key and (setting := OTHER_NAMES.get(binding.key)):
            others.append((setting, binding.value or "", where))
    for setting, text, where in others:
        if setting not in layers.values:
            _put(layers, setting, text, where, comments=False)


def read_environment(environ: Mapping[str, str], layers: Layers) -> None:
    """Put on top what the environment says."""
    names = environment_names()
    for name, setting in names.items():
        others = (environ.get(other, "") for other, its in OTHER_NAMES.items() if its == setting)
        text = environ.get(name, "").strip() or next(filter(None, map(str.strip, others)), "")
        _put(layers, setting, text, ENVIRONMENT, comments=True)
    for name, bare in misshapen_names(environ, names).items():
        what = f"{name!r} is not {bare}: something stands around the name."
        layers.problems.append(Problem(ENVIRONMENT, what, f"Write {bare}=... and no more."))
        layers.misshapen.add(names[bare])


def _put(layers: Layers, setting: str, text: str, where: str, *, comments: bool) -> None:
    """One value from .env or the environment, on top of what was there; empty is unset."""
    text, name, info = text.strip(), setting.upper(), Settings.model_fields[setting]
    if not text:
        return
    is_list = isinstance(info.default, tuple)
    if lost := lost_shape(name, text, is_list=is_list, comments=comments):
        what, mend = lost
        layers.problems.append(Problem(where, f"{name} {what}", mend))
        layers.misshapen.add(setting)
        return
    layers.values[setting] = _from_text(info, text)
    layers.places[setting,] = Place(where, name, _env_example(name))


def _from_text(info: FieldInfo, text: str) -> object:
    if isinstance(info.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(info.default, int) and re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        return int(text)
    return text
