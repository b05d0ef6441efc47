"""Settings are read: config.toml, below .env, below the environment. Checked once, all at once.

Every problem that was found is told together: where it is, what is wrong and what to do.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from bot.config.layers import (
    Key,
    Layers,
    Place,
    read_env_file,
    read_env_layer,
    read_environment,
    read_toml,
    toml_example,
    toml_text,
)
from bot.config.settings import OTHER_NAMES, Settings, environment_names, sections
from bot.config.values import SECRET_MENDS
from bot.errors import ConfigError, Problem

MAX_SHOWN: Final = 40  # characters of a wrong value that an error message repeats


def load_settings(
    config_path: Path,
    env_file: Path,
    environ: Mapping[str, str],
    required: Collection[str] = (),
) -> Settings:
    """The settings: config.toml below .env below the environment; a missing file says nothing.

    Args:
        required: field names that must be set, such as "discord_token".

    Errors:
        ConfigError: holds every problem that was found, not only the first.
    """
    layers = Layers()
    for path, read in ((config_path, read_toml), (env_file, read_env_layer)):
        try:
            read(path, layers)
        except ConfigError as error:
            layers.problems.extend(error.problems)
    read_environment(environ, layers)
    settings = _validate(layers)
    layers.problems.extend(
        Problem(env_file.name, f"{field.upper()} is not set.", _mend_missing(field))
        for field in required
        if field not in layers.values and field not in layers.misshapen
    )
    if settings is None or layers.problems:
        raise ConfigError(*sorted(layers.problems, key=_reading_order))
    return settings


def misspelt_names(env_file: Path) -> tuple[Problem, ...]:
    """Variables in .env that look like one of ours misspelt. Others belong to other programs.

    Errors:
        ConfigError: the file cannot be read.
    """
    names = environment_names()
    found = []
    for line, binding in read_env_file(env_file):
        if not binding.key or binding.key in names or binding.key in OTHER_NAMES:
            continue
        near = difflib.get_close_matches(binding.key.upper(), names, n=1, cutoff=0.8)
        if near:
            where = f"{env_file.name}, line {line}"
            what = f"{binding.key} is no setting that the bot knows."
            found.append(Problem(where, what, f"Did you mean {near[0]}?"))
    return tuple(found)


def _reading_order(problem: Problem) -> tuple[str, int]:
    """By file, then line: the sort is stable, so whatever has no line keeps its place."""
    file, _, line = problem.where.partition(", line ")
    return file, int(line or 0)


def _mend_missing(field: str) -> str:
    return SECRET_MENDS.get(field, f"Put it in .env as {field.upper()}=...")


def _validate(layers: Layers) -> Settings | None:
    try:
        return Settings.model_validate(layers.values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        layers.problems.extend(_problem(detail, layers) for detail in details)
        return None


# ── what a person is told ─────────────────────────────────────────────────────────────────────


def _problem(detail: ErrorDetails, layers: Layers) -> Problem:
    key = tuple(part for part in detail["loc"] if isinstance(part, str))
    place = next(
        (layers.places[key[:n]] for n in range(len(key), 0, -1) if key[:n] in layers.places),
        Place("settings", ".".join(key), toml_example(key[-1])),
    )
    if detail["type"] == "extra_forbidden":
        return _unknown(key, place)
    if detail["type"] == "setting":
        context = detail["ctx"]
        return Problem(place.where, f"{place.name} {context['what']}", context["mend"])
    field = _field(key)
    if field is None:
        return Problem(
            place.where,
            f"{place.name} is a section, not a value.",
            f"Write [{key[0]}] on a line of its own, and its settings below.",
        )
    extra = field.json_schema_extra
    expects = extra["expects"] if isinstance(extra, dict) else ""
    shown = "" if key[-1] in SECRET_MENDS else _shown(detail["input"])
    example = _example(field)
    return Problem(
        place.where,
        f"{place.name}{shown} is not {expects or 'usable text'}.",
        f"For example: {place.example(example)}" if example else _mend_missing(key[0]),
    )


def _shown(value: object) -> str:
    """The wrong value, if it is short enough to be no secret and no address with a password."""
    if isinstance(value, str) and (len(value) > MAX_SHOWN or re.search(r"[@.]", value)):
        return ""
    text = toml_text(value) if isinstance(value, str | int | float) else ""
    return f" ({text})" if text else ""


def _example(field: FieldInfo) -> object:
    """A value that would do: the default, else what the field's own words name."""
    if field.default not in (None, ()):
        return field.default
    extra = field.json_schema_extra
    expects = str(extra["expects"]) if isinstance(extra, dict) else ""
    example = expects.partition("such as ")[2]
    return [int(i) for i in re.findall(r"\d+", example)] if example.startswith("[") else example


def _field(key: Key) -> FieldInfo | None:
    """The field that a key names; None for a section."""
    if len(key) == 1:
        return None if key[0] in sections() else Settings.model_fields[key[0]]
    return sections()[key[0]].model_fields[key[1]]


def _unknown(key: Key, place: Place) -> Problem:
    what = f"{place.name} is no setting that the bot knows."
    return Problem(place.where, what, _nearest(key))


def _nearest(key: Key) -> str:
    homes = {name: "" for name in environment_names().values() if name not in SECRET_MENDS}
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
