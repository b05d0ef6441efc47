"""Settings are read: config.toml, below .env, below the environment. Checked once, all at once.

Every problem that was found is said together: where it is, what is wrong and what to do.
"""

import difflib
import re
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.errors import ConfigError, Problem
from bot.settings.settings import OTHER_NAMES, Settings, environment_names, expects, sections
from bot.settings.sources import (
    DotenvSource,
    EnvironmentSource,
    Key,
    Origin,
    Source,
    TomlSource,
    toml_text,
)
from bot.settings.validators import SECRET_HINTS, DatabaseUrl

MAX_SHOWN: Final = 40  # characters of a wrong value that an error message repeats


def load_settings(
    config_path: Path,
    env_file: Path,
    environ: Mapping[str, str],
    required: Collection[str] = (),
) -> Settings:
    """The settings: config.toml below .env below the environment; a missing file sets nothing.

    Args:
        required: field names that must be set, such as "discord_token".

    Errors:
        ConfigError: holds every problem that was found, not only the first.
    """
    # pydantic-settings lets the first source win.
    sources = (EnvironmentSource(environ), DotenvSource(env_file), TomlSource(config_path))
    problems = [problem for source in sources for problem in source.problems]
    problems += _missing(required, sources, env_file.name)
    try:
        # mypy knows a model's fields, and not the arguments that pydantic-settings adds.
        settings = Settings(_build_sources=(sources, {}))  # type: ignore[call-arg]
    except ValidationError as error:
        origins = ChainMap(*(source.origins for source in sources))
        details = error.errors(include_url=False)
        problems += [_problem(detail, origins) for detail in details]
    else:
        if not problems:
            return settings
    raise ConfigError(*sorted(problems, key=_reading_order))


def named_database_url(config_path: Path, env_file: Path, environ: Mapping[str, str]) -> str | None:
    """The database's address, also where other settings cannot be used; None if it cannot be."""
    sources = (EnvironmentSource(environ), DotenvSource(env_file), TomlSource(config_path))
    default = Settings.model_fields["database_url"].default
    named = ChainMap(*(source.values for source in sources)).get("database_url", default)
    try:
        return TypeAdapter(DatabaseUrl).validate_python(named)
    except ValidationError:
        return None


def _missing(required: Collection[str], sources: Sequence[Source], env_file: str) -> list[Problem]:
    found = {name for source in sources for name in (*source.values, *source.misshapen)}
    return [
        Problem(env_file, f"{field.upper()} is not set.", _missing_hint(field))
        for field in required
        if field not in found
    ]


def misspelt_names(env_file: Path) -> tuple[Problem, ...]:
    """Variables in .env that look like one of ours misspelt. Others belong to other programs."""
    ours, found = environment_names(), []
    for variable in DotenvSource(env_file).variables:
        if variable.name in ours or variable.name in OTHER_NAMES:
            continue
        if near := difflib.get_close_matches(variable.name.upper(), ours, n=1, cutoff=0.8):
            where = f"{env_file.name}, line {variable.line}"
            what = f"{variable.name} is no setting that the bot knows."
            found.append(Problem(where, what, f"Did you mean {near[0]}?"))
    return tuple(found)


def _reading_order(problem: Problem) -> tuple[str, int]:
    """By file, then line: the sort is stable, so whatever has no line keeps its place."""
    file, _, line = problem.where.partition(", line ")
    return file, int(line or 0)


def _missing_hint(field: str) -> str:
    return SECRET_HINTS.get(field, f"Put it in .env as {field.upper()}=...")


# ── what is said to a person ──────────────────────────────────────────────────────────────────


def _problem(detail: ErrorDetails, origins: Mapping[Key, Origin]) -> Problem:
    key = tuple(part for part in detail["loc"] if isinstance(part, str))
    origin = next(origins[key[:n]] for n in range(len(key), 0, -1) if key[:n] in origins)
    what, hint = _words(detail, key, origin)
    return Problem(origin.where, f"{origin.name} {what}", hint)


def _words(detail: ErrorDetails, key: Key, origin: Origin) -> tuple[str, str]:
    """What is wrong with the value at a key, and what to do."""
    if detail["type"] == "extra_forbidden":
        return "is no setting that the bot knows.", _nearest(key)
    if detail["type"] == "setting":
        return detail["ctx"]["what"], detail["ctx"]["hint"]
    field = _field(key)
    if field is None:
        hint = f"Write [{key[0]}] on a line of its own, and its settings below."
        return "is a section, not a value.", hint
    example = _example(field)
    has_none = example in ("", [])
    hint = _missing_hint(key[0]) if has_none else f"For example: {origin.assign(example)}"
    shown = "" if key[-1] in SECRET_HINTS else _shown(detail["input"])
    return f"{shown}is not {expects(field) or 'usable text'}.", hint


def _shown(value: object) -> str:
    """The wrong value, if it is short enough to be no secret and no address with a password."""
    if isinstance(value, str) and (len(value) > MAX_SHOWN or re.search(r"[@.]", value)):
        return ""
    return f"({toml_text(value)}) " if isinstance(value, str | int | float) else ""


def _example(field: FieldInfo) -> object:
    """A value that would do: the default, else what the field's own words name."""
    if field.default not in (None, ()):
        return field.default
    example = expects(field).partition("such as ")[2]
    return [int(i) for i in re.findall(r"\d+", example)] if example.startswith("[") else example


def _field(key: Key) -> FieldInfo | None:
    """The field that a key names; None for a section."""
    if len(key) == 1:
        return None if key[0] in sections() else Settings.model_fields[key[0]]
    return sections()[key[0]].model_fields[key[1]]


def _nearest(key: Key) -> str:
    homes = {name: "" for name in environment_names().values() if name not in SECRET_HINTS}
    homes |= {name: name for name in sections()}
    for section, model in sections().items():
        homes |= dict.fromkeys(model.model_fields, section)
    name = key[-1].lower().replace("-", "_")
    near = difflib.get_close_matches(name, homes, n=1, cutoff=0.6)
    if not near:
        return "Take it out; docs/configuration.md lists every setting."
    return f"Did you mean {_in_words(near[0], homes[near[0]], key)}?"


def _in_words(name: str, home: str, key: Key) -> str:
    if name == home:
        return f"the section [{name}]"
    if home == "".join(key[:-1]):
        return name
    return f"{name} in [{home}]" if home else f"{name}, above the first [section]"
