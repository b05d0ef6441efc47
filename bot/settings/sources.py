"""Where settings come from: config.toml, .env and the environment, with each value's origin."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Final

from dotenv.parser import parse_stream
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

from bot import toml_file
from bot.errors import Problem
from bot.settings.settings import OTHER_NAMES, Settings, environment_names
from bot.settings.validators import SECRET_HINTS

ENVIRONMENT: Final = "environment"
QUOTES: Final = "\"'`“”„‟‘’‚‛«»"
HIDDEN: Final = ("Cc", "Cf")  # Unicode's categories: a line's end, a byte order mark
COMMENT: Final = re.compile(r"(?:^|\s)#")
KEPT: Final = "docker --env-file, for one, keeps what the bot would take off in a .env file."

Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value was written, and its name as it is written there."""

    file: str
    line: int | None
    name: str
    toml_key: str | None = None

    @property
    def where(self) -> str:
        """The place in words, as in "config.toml, line 3"."""
        return f"{self.file}, line {self.line}" if self.line else self.file

    def assign(self, value: object) -> str:
        """Another value as it would be written here."""
        if self.toml_key:
            return f"{self.toml_key} = {toml_text(value)}"
        text = ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)
        return f"{self.name}={text}"


def toml_text(value: object) -> str:
    """A value as config.toml would have it."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml_text(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


class Source(PydanticBaseSettingsSource):
    """One place that settings come from; what is wrong there is kept, not raised."""

    def __init__(self) -> None:
        super().__init__(Settings)
        self.values: dict[str, Any] = {}
        self.origins: dict[Key, Origin] = {}
        self.problems: list[Problem] = []
        self.misshapen: set[str] = set()  # fields with a problem instead of a value

    def __call__(self) -> dict[str, Any]:
        """The values, as pydantic-settings asks for them."""
        return self.values

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One value, as pydantic-settings asks for it; False: nothing is left to decode."""
        return self.values.get(field_name), field_name, False

    def _read(self, path: Path) -> str:
        """The text of a settings file, "" if there is none or none that can be read."""
        try:
            return toml_file.read_text(path)
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError:
            what, hint = "is not UTF-8 text.", "Save it as UTF-8."
        except toml_file.NotToml as error:
            what, hint = f"cannot be read: {error}.", "Look at its name."
        except OSError as error:
            what = f"cannot be read ({error.strerror or 'unknown reason'})."
            hint = "Type this as the user that the bot runs as, and let that one read it."
        self.problems.append(Problem(path.name, what, hint))
        return ""


# ── config.toml ───────────────────────────────────────────────────────────────────────────────


class TomlSource(Source):
    """What config.toml sets; a missing file sets nothing."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        text = self._read(path)
        try:
            values = toml_file.parse(text)
        except toml_file.NotToml as error:
            self.problems.append(_toml_problem(path.name, text, str(error)))
            return
        self.origins = dict(_toml_origins(path.name, text, values))
        values = self._without_secrets(values)
        plain = environment_names().values()
        self.values = {k: v for k, v in values.items() if not (k in plain and v == "")}

    def _without_secrets(self, values: Mapping[str, Any], above: Key = ()) -> dict[str, Any]:
        """The values but for secrets, each of which is a problem: that file gets shared."""
        kept = {}
        for name, value in values.items():
            if isinstance(value, dict):
                kept[name] = self._without_secrets(value, (*above, name))
            elif name.lower() not in SECRET_HINTS:
                kept[name] = value
            else:
                what = f"{name} is a secret, and config.toml is no place for secrets."
                hint = f"Take it out here and put it in .env as {name.upper()}=..."
                self.problems.append(Problem(self.origins[*above, name].where, what, hint))
        return kept


def _toml_origins(file: str, text: str, values: Mapping[str, Any]) -> Iterator[tuple[Key, Origin]]:
    lines: dict[Key, int] = {}
    for key, line in _toml_lines(text):
        lines.setdefault(key, line)
    for key in _keys_of(values):
        near = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        name = f"{key[-1]} in [{'.'.join(key[:-1])}]" if len(key) > 1 else key[0]
        yield key, Origin(file, near, name, key[-1])


def _keys_of(values: Mapping[str, Any]) -> Iterator[Key]:
    for name, value in values.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, *rest) for rest in _keys_of(value))


def _toml_lines(text: str) -> Iterator[tuple[Key, int]]:
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


def _toml_problem(file: str, text: str, message: str) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found[1]) if found else max(1, len(text.splitlines()))
    if re.search("[“”„‘’]", text.splitlines()[line - 1] if text else ""):
        what, hint = "holds curly quotes, which TOML does not know.", 'Write straight ones: "text".'
    else:
        why = re.sub(r"\s*\(at .*\)$", "", message)
        what = f"cannot be read as TOML: {why[:1].lower()}{why[1:]}."
        hint = (
            'Write name = value, with text in "quotes", a list in [brackets] and one name a line.'
        )
    return Problem(f"{file}, line {line}", what, hint)


# ── .env and the environment ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Variable:
    """A NAME=value as it was written, without the space around the value."""

    name: str
    text: str
    line: int | None = None


class VariableSource(Source):
    """What variables set; an empty one sets nothing. Other programs' names are none of ours."""

    def _take(self, variables: Iterable[Variable], file: str, *, comments: bool) -> None:
        """Take over what is set; `comments`: one behind a value would be part of its text."""
        found = {one.name: one for one in variables if one.text}
        for own, setting in environment_names().items():
            names = (own, *(other for other, its in OTHER_NAMES.items() if its == setting))
            if variable := next((found[name] for name in names if name in found), None):
                self._put(setting, variable, Origin(file, variable.line, variable.name), comments)

    def _put(self, setting: str, variable: Variable, origin: Origin, comments: bool) -> None:
        info = Settings.model_fields[setting]
        if lost := _lost_shape(variable, isinstance(info.default, tuple), comments):
            what, hint = lost
            self.problems.append(Problem(origin.where, f"{variable.name} {what}", hint))
            self.misshapen.add(setting)
        else:
            self.values[setting] = _from_text(info, variable.text)
            self.origins[setting,] = origin


class DotenvSource(VariableSource):
    """What .env sets. Values are literal: no `$NAME` inside."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.variables = list(self._variables(path))
        self._take(self.variables, path.name, comments=False)

    def _variables(self, path: Path) -> Iterator[Variable]:
        for binding in parse_stream(StringIO(self._read(path))):
            # python-dotenv counts the blank lines before a binding to the binding.
            lead = re.match(r"[\r\n]*", binding.original.string)
            line = binding.original.line + len(lead[0].splitlines() if lead else "")
            if binding.error:
                what, hint = "is not NAME=value.", "Fix the quotes, or put # before a comment."
                self.problems.append(Problem(f"{path.name}, line {line}", what, hint))
            elif binding.key:
                yield Variable(binding.key, (binding.value or "").strip(), line)


class EnvironmentSource(VariableSource):
    """What the environment sets."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        variables = (Variable(name, text.strip()) for name, text in environ.items())
        self._take(variables, ENVIRONMENT, comments=True)
        ours = environment_names()
        for name in environ.keys() - ours:
            bare = name.strip().strip("\ufeff" + QUOTES).removeprefix("export ").strip()
            if bare in ours:
                what = f"{name!r} is not {bare}: there is something around the name."
                self.problems.append(Problem(ENVIRONMENT, what, f"Write {bare}=... and no more."))
                self.misshapen.add(ours[bare])


def _from_text(info: FieldInfo, text: str) -> object:
    if isinstance(info.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(info.default, int) and re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        return int(text)
    return text


def _lost_shape(variable: Variable, is_list: bool, comments: bool) -> tuple[str, str] | None:
    """What is wrong with a value that lost its shape on the way here, and what to do.

    In .env the bot takes quotes and comments off. Others, such as `docker run --env-file`, hand
    over everything after the `=`. The value is not repeated, as it may be a secret.
    """
    name, text = variable.name, variable.text
    parts = [part.strip() for part in text.split(",")] if is_list else [text]
    if hidden := next((c for c in text if unicodedata.category(c) in HIDDEN and c != "\t"), None):
        code = f"U+{ord(hidden):04X}"
        return f"holds an invisible character ({code}).", "Copy it as plain text, or type it."
    if is_list and text.startswith("[") and text.endswith("]"):
        return "is written as a list in brackets.", "Put commas between its parts, and no brackets."
    if any(part and (part[0] in QUOTES or part[-1] in QUOTES) for part in parts):
        return "has a quotation mark around it.", f"Take the quotes away. {KEPT}"
    if comments and COMMENT.search(text):
        return "has a comment (#) behind it.", f"Take it away, or put it on a line above. {KEPT}"
    if text.startswith(f"{name}="):
        return "begins with its own name.", f"Write {name}= once."
    if text.endswith(("\\n", "\\r")):
        return "ends in a backslash and a letter.", "Take them away: they mean a line's end."
    return None
