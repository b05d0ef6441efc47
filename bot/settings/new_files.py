"""A first `.env` and `config.toml`, for a folder that has none."""

import json
import textwrap
from collections.abc import Iterator, Mapping

from pydantic.fields import FieldInfo

from bot.program import PROGRAM
from bot.settings.settings import Settings, environment_names, sections
from bot.settings.validators import SECRET_HINTS

WIDTH = 100
ENV = """\
# Secrets of the bot: keep this file to yourself. Every name in capitals of docs/configuration.md
# can be here; an empty value counts as not set.

# Discord's developer portal, your application, Bot, Reset Token.
DISCORD_TOKEN=

# Encrypts the secrets in the database. Keep a copy in another place, such as a password manager:
# without it people have to link their accounts again, and webhooks need new secrets.
ENCRYPTION_KEYS={key}

# May stay empty: then projects are followed live, through the accounts of those who subscribe.
# Webhooks and pages for signing in need it: the address under which Speckle servers and browsers
# reach the bot, that is, your tunnel or reverse proxy.
PUBLIC_URL=

# Your Speckle server, if it is another one:
#SPECKLE_SERVERS=https://app.speckle.systems
"""
CONFIG_HEAD = """\
Settings of the bot, each with its default. Take the # away from a line to change it. A line in .env
or a variable in the environment wins over this file, and secrets are there only.
"""


def new_env_file(key: str) -> str:
    """The text of a first .env with this new key in it."""
    return ENV.format(key=key)


def new_config_file() -> str:
    """The text of a config.toml that sets nothing and names everything."""
    plain = {
        name: Settings.model_fields[name]
        for name in environment_names().values()
        if name not in SECRET_HINTS
    }
    parts = [_comment(CONFIG_HEAD), *_keys(plain)]
    for name, model in sections().items():
        parts.append("\n".join([f"[{name}]", _comment(model.__doc__ or "")]))
        parts += _keys(model.model_fields)
    return "\n\n".join(parts) + "\n"


def _keys(fields: Mapping[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        yield f"{_comment(field.description or '')}\n#{name} = {_toml(field.default)}"


def _comment(text: str) -> str:
    text = " ".join(text.split()).replace("python3 run.py", PROGRAM)
    return textwrap.indent(textwrap.fill(text, WIDTH - 2), "# ")


def _toml(value: object) -> str:
    if value is None:
        return '""'
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
