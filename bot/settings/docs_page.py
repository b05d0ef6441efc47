"""docs/configuration.md, written from the settings themselves so that the two never differ."""

from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from bot.settings.settings import Settings, environment_names, expects, sections
from bot.settings.validators import SECRET_HINTS

HEAD = """# Configuration

<!-- Written by `python3 -m bot settings-page` out of bot/settings/. A test compares. -->

Three layers, the later one wins: `config.toml`, then a file `.env` next to it, then the
environment. An empty value counts as not set. Names in capitals work in `.env` and in the
environment; the same names in small letters are at the top of `config.toml`. What is in a
`[section]` of `config.toml` is set there only.

`python3 run.py check` tries everything that is set, and says how to fix what does not work.
"""
SECRETS_HEAD = """## Secrets

Only in `.env` or in the environment; `config.toml` with a secret in it is refused, as that file
gets shared.
"""
NAMES_HEAD = """## Plain names

Lists are comma-separated in `.env` and in the environment.
"""
SECTIONS_HEAD = """## Sections of config.toml
"""
EXTRAS = """## Objects of versions that are bundles

Newer connectors send a version as a bundle of tables, and the number of its objects is in one of
them. To count those, the bot needs DuckDB, which takes 70 MB and is not installed by itself:
`python3 run.py bundles` adds it (with pip: the extra `bundles`); then start the bot again. The
tables are read in a process of its own with little memory and time, where DuckDB may open no
network connection and no file but these tables. Without DuckDB the cards of such versions have no
number of objects, and nothing else changes.
"""


def settings_page() -> str:
    """The whole page, as markdown."""
    fields = Settings.model_fields
    plain = {env: f for env, f in environment_names().items() if f not in SECRET_HINTS}
    parts = [HEAD, SECRETS_HEAD, _table({n.upper(): fields[n] for n in SECRET_HINTS}, False)]
    parts += [NAMES_HEAD, _table({env: fields[name] for env, name in plain.items()}, True)]
    parts += [SECTIONS_HEAD]
    for name, model in sections().items():
        parts.append(f"### [{name}]\n\n{(model.__doc__ or '').strip()}\n")
        parts.append(_table(model.model_fields, True))
    parts.append(EXTRAS)
    return "\n".join(parts)


def _table(fields: Mapping[str, FieldInfo], with_default: bool) -> str:
    return "\n".join(_rows(fields, with_default)) + "\n"


def _rows(fields: Mapping[str, FieldInfo], with_default: bool) -> Iterator[str]:
    yield "| Name | Default | What it does |" if with_default else "| Name | What it does |"
    yield "|---|---|---|" if with_default else "|---|---|"
    for name, field in fields.items():
        default = f" {_default(field.default)} |" if with_default else ""
        yield f"| `{name}` |{default} {field.description}{_range(field)} |"


def _default(value: object) -> str:
    if value in (None, ()):
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"  # as config.toml has it
    return f"`{', '.join(map(str, value))}`" if isinstance(value, tuple) else f"`{value}`"


def _range(field: FieldInfo) -> str:
    words = expects(field)
    return f" ({words[0].upper()}{words[1:]}.)" if " from " in words else ""
