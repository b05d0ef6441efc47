"""Settings: config.toml, below .env, below the environment. Checked once, here, all at once.

Every plain name (`DATABASE_URL`) is the upper-case form of a key at the top of config.toml
(`database_url`). What stands in a section of config.toml is set there only; secrets never are.
"""

import base64
import binascii
import difflib
import ipaddress
import re
import tomllib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from dotenv.parser import Binding, parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
)
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, PydanticCustomError

from bot.errors import ConfigError, NotASpeckleLink, Problem
from bot.speckle.answers import SpeckleApp
from bot.speckle.links import normalise_server_url

FERNET_KEY_BYTES: Final = 32  # https://github.com/fernet/spec/blob/master/Spec.md
MAX_WEBHOOK_SECRET: Final = 255  # a longer one fails in Speckle's webhookCreate
MAX_SHOWN: Final = 40  # characters of a wrong value that an error message repeats
# An application's id and secret, and the server that it is registered on.
APP_SHAPE: Final = re.compile(r"([\w-]+):([^\s:@]+)(?:@(https?://\S+))?", re.ASCII | re.IGNORECASE)
MAX_DISCORD_ID: Final = 2**63 - 1
DISCORD_API_PATH: Final = "/api/v10"
REDIRECT_PATH: Final = "/link/callback"
DRIVERS: Final = ("sqlite+aiosqlite", "postgresql+psycopg")
DRIVER_MENDS: Final[Mapping[str, str]] = {
    "sqlite": DRIVERS[0],
    "sqlite+pysqlite": DRIVERS[0],
    "postgres": DRIVERS[1],
    "postgresql": DRIVERS[1],
    "postgresql+asyncpg": DRIVERS[1],
    "postgresql+psycopg2": DRIVERS[1],
    "postgresql+psycopg_async": DRIVERS[1],
}
# Three base64url parts: the bot's id, a time, an HMAC. Discord made them longer over the years.
TOKEN_SHAPE: Final = re.compile(r"[\w-]{18,}\.[\w-]{5,}\.[\w-]{25,}", re.ASCII)

SECRET_MENDS: Final[Mapping[str, str]] = {
    "discord_token": (
        "Copy the token from https://discord.com/developers/applications, your application, "
        "Bot, Reset Token, and put it in .env as DISCORD_TOKEN=..."
    ),
    "encryption_keys": (
        "Make one with `python3 run.py key` and put what it prints in .env as ENCRYPTION_KEYS=..."
    ),
    "speckle_token": (
        "Make one on your Speckle server under /settings/user/developer "
        "and put it in .env as SPECKLE_TOKEN=..."
    ),
    "speckle_apps": (
        "Register an application on your Speckle server under /settings/user/developer and put "
        "its id and secret in .env as SPECKLE_APPS=id:secret"
    ),
    "speckle_webhook_secret": "Put it in .env as SPECKLE_WEBHOOK_SECRET=...",
}
"""The secrets, by field name, and how a host comes by each."""


# ── what a value must be ──────────────────────────────────────────────────────────────────────


def _wrong(what: str, mend: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{what}", {"what": what, "mend": mend})


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _as_ids(value: object) -> object:
    """Discord ids: numbers, or the same digits in quotes, as Discord itself writes them."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(int(i) if isinstance(i, str) and i.isascii() and i.isdigit() else i for i in value)


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split_url(url: str, example: str) -> SplitResult:
    """The parts of a web address.

    Errors:
        PydanticCustomError: not http(s), no host, a bad port, a name or password, `?` or `#`.
    """
    mend = f"Write it like {example}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise _wrong("is not a web address.", mend) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
        raise _wrong("is not an http:// or https:// address.", mend)
    if "@" in parts.netloc:
        raise _wrong("holds a user name or password.", mend)
    if "?" in url or "#" in url:
        raise _wrong("has a ? or # in it; only an address and perhaps a path fit.", mend)
    return parts


def _check_discord_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if TOKEN_SHAPE.fullmatch(text):
        return token
    if text.lower().startswith(("bot ", "bearer ")):
        raise _wrong("has a word before the token.", "Leave the word out, keep the token.")
    if text.isdigit():
        raise _wrong("is an application id, not a token.", SECRET_MENDS["discord_token"])
    if re.fullmatch(r"[0-9a-f]{64}", text):
        raise _wrong("is a public key, not a token.", SECRET_MENDS["discord_token"])
    if re.fullmatch(r"[\w-]{32}", text):
        raise _wrong("looks like a client secret, not a bot token.", SECRET_MENDS["discord_token"])
    raise _wrong(
        "is not a bot token, which has three parts with dots between.",
        SECRET_MENDS["discord_token"],
    )


def _check_encryption_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, key in enumerate(keys, start=1):
        try:
            size = len(base64.b64decode(key.get_secret_value(), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != FERNET_KEY_BYTES:
            raise _wrong(
                f"holds no valid key in place {number} of {len(keys)}.",
                "A key is 44 characters, the last one =; commas stand between keys. "
                + SECRET_MENDS["encryption_keys"],
            )
    return keys


def _check_speckle_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise _wrong(
            "has spaces or foreign characters in it.",
            "Copy the token again, without the word Bearer.",
        )
    return token


def _check_apps(apps: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
    servers = info.data.get("speckle_servers")
    if servers is None:  # it has a problem of its own
        return apps
    taken = set()
    for number, app in enumerate(apps, start=1):
        place = f"in place {number} of {len(apps)}"
        server = _read_app(app, place, servers[0]).server_url
        if server not in servers:
            raise _wrong(
                f"names a server {place} that is not one of SPECKLE_SERVERS.",
                "Write its address as it stands there, or add it there.",
            )
        if server in taken:
            raise _wrong(
                f"names a second application for one server {place}.",
                "Keep one for each server; an entry without @https://... is for the first of "
                "SPECKLE_SERVERS.",
            )
        taken.add(server)
    return apps


def _read_app(app: SecretStr, place: str, first_server: str) -> SpeckleApp:
    mend = "Write id:secret, or id:secret@https://speckle.example.com; commas stand between."
    found = APP_SHAPE.fullmatch(app.get_secret_value())
    if found is None:
        raise _wrong(f"holds no application {place}.", mend)
    app_id, secret, server = found.groups()
    try:
        return SpeckleApp(normalise_server_url(server) if server else first_server, app_id, secret)
    except NotASpeckleLink:
        raise _wrong(f"names no Speckle server {place}.", mend) from None


def _check_webhook_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) > MAX_WEBHOOK_SECRET:
        raise _wrong(
            f"is longer than the {MAX_WEBHOOK_SECRET} characters that Speckle takes.",
            "Choose a shorter one, here and on the Speckle side.",
        )
    return secret


def _check_database_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if separator and scheme in DRIVERS and rest.strip("/"):
        return url
    if separator and scheme in DRIVER_MENDS:
        raise _wrong(
            f"begins with {scheme}://, which names no driver that the bot has.",
            f"Begin it with {DRIVER_MENDS[scheme]}:// and keep the rest.",
        )
    raise _wrong(
        "is not a database address that the bot knows.",
        f"Write {DRIVERS[0]}:///data/bot.db or {DRIVERS[1]}://user:password@host/name",
    )


def _check_public_url(url: str) -> str:
    parts = _split_url(url, "https://bot.example.com or https://example.com/speckle-bot")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"


def _check_discord_api_url(url: str) -> str:
    parts = _split_url(url, f"http://127.0.0.1:8080{DISCORD_API_PATH}")
    path = parts.path.rstrip("/") or DISCORD_API_PATH
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _check_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9_.-]+", host) and not re.fullmatch(r"[\d.]+", host):
            return host
    raise _wrong(
        "is not an address that a computer can listen on.",
        "Write 127.0.0.1 (this computer only) or 0.0.0.0 (every network of this computer); "
        "the port is WEBHOOK_PORT, the address for Speckle is PUBLIC_URL.",
    )


def _check_servers(servers: tuple[str, ...]) -> tuple[str, ...]:
    try:
        normalised = dict.fromkeys(normalise_server_url(server) for server in servers)
    except NotASpeckleLink as error:
        raise _wrong(
            "names an address that cannot be a Speckle server.",
            "Write each as https://host, for example https://app.speckle.systems",
        ) from error
    if not normalised:
        raise _wrong("names no server.", "Write at least https://app.speckle.systems")
    return tuple(normalised)


# ── the settings ──────────────────────────────────────────────────────────────────────────────


def _setting(default: Any, description: str, expects: str = "", **limits: Any) -> Any:
    """A field: its default, what it does (for docs/configuration.md) and what it must be."""
    extra: JsonDict = {"expects": expects}
    return Field(default=default, description=description, json_schema_extra=extra, **limits)


class _Section(BaseModel):
    # hide_input: a validation error that somebody prints must not hold a secret.
    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Organisation(_Section):
    """The operator's own organisation, which the shared hook serves."""

    guilds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=MAX_DISCORD_ID)], ...], BeforeValidator(_as_ids)
    ] = _setting(
        (),
        "Discord server (guild) ids of your own organisation. Only these get the events of the "
        "shared hook `POST /webhook`, and only their cards are completed with `SPECKLE_TOKEN`.",
        "a list of Discord server ids, such as [1180000000000000001]",
    )


class Webhook(_Section):
    """What the listener accepts."""

    max_body_mib: int = _setting(
        25,
        "Largest request body in MiB. Comments carry screenshots, so Speckle sends megabytes.",
        "a whole number from 1 to 100",
        ge=1,
        le=100,
    )


class Speckle(_Section):
    """How the bot asks Speckle servers."""

    enrich_deadline_s: float = _setting(
        5.0,
        "Seconds a card waits for what the webhook leaves out. Past that it goes out plain, and is "
        "edited if the answer comes soon after. 0: nobody is asked, and cards have no picture of "
        "the model.",
        "a number from 0 to 30",
        ge=0,
        le=30,
    )


class Delivery(_Section):
    """How cards are sent to Discord."""

    concurrency: int = _setting(
        64,
        "Channels that are sent to side by side. Within a channel order always holds.",
        "a whole number from 1 to 256",
        ge=1,
        le=256,
    )
    requests_per_s: float = _setting(
        45.0,
        "Requests a second to Discord in all. It allows a bot 50, and does not count the answers "
        "to commands, which never wait.",
        "a number from 1 to 50",
        ge=1,
        le=50,
    )


class Retention(_Section):
    """How long things are kept."""

    body_days: int = _setting(
        7,
        "Days that the text of finished events and the pictures of sent cards are kept.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    delivered_days: int = _setting(
        30,
        "Days that sent cards are kept, and events with what became of them.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    undeliverable_days: int = _setting(
        90,
        "Days that cards are kept which Discord did not take. Until then they can be sent again: "
        "`python3 run.py deliveries`.",
        "a whole number from 1 to 3650",
        ge=1,
        le=3650,
    )
    left_guild_days: int = _setting(
        30,
        "Days that a guild's subscriptions are kept after the bot was removed from it.",
        "a whole number from 0 to 3650",
        ge=0,
        le=3650,
    )


class Settings(_Section):
    """Everything that a host can set. Immutable; made by `load_settings`."""

    discord_token: Annotated[SecretStr, AfterValidator(_check_discord_token)] | None = _setting(
        None, "The bot's token from Discord's developer portal. `run` needs it."
    )
    encryption_keys: Annotated[
        tuple[SecretStr, ...], BeforeValidator(_as_tuple), AfterValidator(_check_encryption_keys)
    ] = _setting(
        (),
        "Keys that seal the secrets in the database, comma-separated: the first one seals, all "
        "of them open. To change keys, put a new one in front. `run` needs it.",
    )
    speckle_token: Annotated[SecretStr, AfterValidator(_check_speckle_token)] | None = _setting(
        None,
        "A personal access token for the first of `SPECKLE_SERVERS`, scope `streams:read`. "
        "Completes the cards of your own organisation's guilds.",
    )
    speckle_webhook_secret: Annotated[SecretStr, AfterValidator(_check_webhook_secret)] | None = (
        _setting(
            None,
            "Secret of the shared hook `POST /webhook`. The hook is alive only if this is set and "
            "`guilds` in `[organisation]` names whom it serves.",
        )
    )

    database_url: Annotated[str, AfterValidator(_check_database_url)] = _setting(
        "sqlite+aiosqlite:///data/bot.db",
        "Where the bot keeps its data, as SQLAlchemy writes it: `sqlite+aiosqlite:///file` "
        "(relative to the folder that the bot runs in) or "
        "`postgresql+psycopg://user:password@host/name`.",
        "text, such as sqlite+aiosqlite:///data/bot.db",
    )
    public_url: Annotated[str, AfterValidator(_check_public_url)] | None = _setting(
        None,
        "Address under which Speckle servers reach the bot's listener: your tunnel or reverse "
        "proxy. `/subscribe` shows URLs that begin with it.",
        "text, such as https://bot.example.com",
    )
    webhook_host: Annotated[str, AfterValidator(_check_host)] = _setting(
        "127.0.0.1",
        "Address that the listener binds. `127.0.0.1` suits a tunnel or reverse proxy on the same "
        "computer and keeps the plain-http port from everybody else. In a container, or with the "
        "proxy on another machine, use `0.0.0.0`.",
        "text, such as 127.0.0.1",
    )
    webhook_port: int = _setting(
        8003,
        "Port that the listener binds. 0 takes any free one.",
        "a whole number from 0 to 65535",
        ge=0,
        le=65535,
    )
    speckle_servers: Annotated[
        tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_servers)
    ] = _setting(
        ("https://app.speckle.systems",),
        "Speckle servers that the bot may deal with; the first is the default. Plain http and "
        "private addresses are allowed only because they are named here.",
        'a list of addresses, such as ["https://app.speckle.systems"]',
    )
    # Below SPECKLE_SERVERS, which it is checked against.
    speckle_apps: Annotated[
        tuple[SecretStr, ...], BeforeValidator(_as_tuple), AfterValidator(_check_apps)
    ] = _setting(
        (),
        "Applications that you registered on Speckle servers, so that people link their accounts "
        "by signing in: `id:secret` for the first of `SPECKLE_SERVERS`, "
        "`id:secret@https://speckle.example.com` for another one; comma-separated. Their redirect "
        "URL is `PUBLIC_URL` with `/link/callback` behind it. Without one people paste a token.",
    )
    discord_api_url: Annotated[str, AfterValidator(_check_discord_api_url)] | None = _setting(
        None,
        "A Discord-compatible API or rate-limit proxy instead of Discord's own. The gateway is "
        "the one that it answers to `GET /gateway/bot`.",
        "text, such as http://127.0.0.1:8080/api/v10",
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = (
        _setting(
            "info",
            "Least important kind of log line that is written.",
            "one of debug, info, warning, error",
        )
    )
    log_format: Annotated[Literal["auto", "console", "json"], BeforeValidator(_lower)] = _setting(
        "auto",
        "`console` for people, `json` for log collectors, `auto`: console on a terminal, else "
        "json.",
        "one of auto, console, json",
    )

    organisation: Organisation = Organisation()
    webhook: Webhook = Webhook()
    speckle: Speckle = Speckle()
    delivery: Delivery = Delivery()
    retention: Retention = Retention()

    def apps(self) -> Mapping[str, SpeckleApp]:
        """The applications for signing in, by the server that each is registered on."""
        read = (_read_app(app, "", self.speckle_servers[0]) for app in self.speckle_apps)
        return {app.server_url: app for app in read}

    def redirect_url(self) -> str | None:
        """Where a Speckle server sends people back to after they signed in."""
        return None if self.public_url is None else self.public_url + REDIRECT_PATH

    def secret_values(self) -> tuple[str, ...]:
        """Each text that must never be seen in a log, for the redacting log processor."""
        secrets = (
            self.discord_token,
            *self.encryption_keys,
            self.speckle_token,
            self.speckle_webhook_secret,
            *self.speckle_apps,
            *(SecretStr(app.secret) for app in self.apps().values()),
        )
        password = urlsplit(self.database_url).password
        found = [secret.get_secret_value() for secret in secrets if secret]
        return tuple([*found, password] if password else found)


def sections() -> Mapping[str, type[BaseModel]]:
    """The sections of config.toml by name, in the order of the file."""
    return {
        name: field.annotation
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def environment_names() -> Mapping[str, str]:
    """Field names by the environment variable that sets them; sections have none."""
    return {name.upper(): name for name in Settings.model_fields if name not in sections()}


# ── where a value came from ───────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value was written: the file and line, and its name as it stands there."""

    where: str
    name: str
    example: Callable[[object], str]


_Key = tuple[str, ...]
_Places = dict[_Key, _Place]


def _toml_text(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple | list):
        return f"[{', '.join(_toml_text(item) for item in value)}]"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _env_text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple | list) else str(value)


def _toml_keys(text: str) -> Iterator[tuple[_Key, int]]:
    """Each key and section header of a TOML text with its line, from 1.

    tomllib keeps no positions. A line inside a multi-line value may be taken for a key; that
    can only add a key that nobody asks for, as the first place found counts.
    """
    section: _Key = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\[?([^\[\]]+)\]", line):
            section = _dotted(header[1])
            yield section, number
        elif key := re.match(r"\s*([\w.\-\"' ]+?)\s*=", line):
            yield section + _dotted(key[1]), number


def _dotted(name: str) -> _Key:
    return tuple(part.strip().strip("\"'") for part in name.split("."))


# ── reading the layers ────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Layers:
    """The values of all layers on top of each other, with the place of each that counts."""

    values: dict[str, Any]
    places: _Places
    problems: list[Problem]


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


def _read_toml(path: Path, layers: _Layers) -> None:
    text = _read_text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        layers.problems.append(_toml_problem(path.name, text, str(error)))
        return
    lines: dict[_Key, int] = {}
    for key, line in _toml_keys(text):
        lines.setdefault(key, line)
    for key in _keys_of(values):
        near = next((lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in lines), None)
        where = f"{path.name}, line {near}" if near else path.name
        name = f"{key[-1]} in [{'.'.join(key[:-1])}]" if len(key) > 1 else key[0]
        layers.places[key] = _Place(where, name, _toml_example(key[-1]))
    _refuse_secrets(values, layers)
    plain = environment_names().values()
    layers.values.update((k, v) for k, v in values.items() if not (k in plain and v == ""))


def _toml_example(name: str) -> Callable[[object], str]:
    return lambda value: f"{name} = {_toml_text(value)}"


def _env_example(name: str) -> Callable[[object], str]:
    return lambda value: f"{name}={_env_text(value)}"


def _toml_problem(file: str, text: str, message: str) -> Problem:
    found = re.search(r"\(at line (\d+), column (\d+)\)", message)
    line = int(found[1]) if found else max(1, len(text.splitlines()))
    what = re.sub(r"\s*\(at .*\)$", "", message)
    return Problem(
        f"{file}, line {line}",
        f"cannot be read as TOML: {what[:1].lower()}{what[1:]}.",
        'Write name = value, with text in "quotes", a list in [brackets] and one name a line.',
    )


def _keys_of(values: Mapping[str, Any]) -> Iterator[_Key]:
    for name, value in values.items():
        yield (name,)
        if isinstance(value, dict):
            yield from ((name, *rest) for rest in _keys_of(value))


def _refuse_secrets(values: dict[str, Any], layers: _Layers, above: _Key = ()) -> None:
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


def _read_env_file(path: Path) -> Iterator[tuple[int, Binding]]:
    """The bindings of a .env file with their lines. Values are literal: no `$NAME` inside."""
    for binding in parse_stream(StringIO(_read_text(path))):
        # python-dotenv counts the blank lines before a binding to the binding.
        lead = len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
        skipped = len(binding.original.string[:lead].splitlines())
        yield binding.original.line + skipped, binding


def _read_env_layer(path: Path, layers: _Layers) -> None:
    names = environment_names()
    for line, binding in _read_env_file(path):
        where = f"{path.name}, line {line}"
        if binding.error:
            layers.problems.append(
                Problem(where, "is not NAME=value.", "Mend the quotes, or put # before a comment.")
            )
        elif binding.key and binding.key in names:
            _put(layers, names[binding.key], binding.value or "", where)


def _put(layers: _Layers, field: str, text: str, where: str) -> None:
    """One value from .env or the environment, on top of what was there; empty is unset."""
    text = text.strip()
    if text:
        name = field.upper()
        layers.values[field] = _from_text(Settings.model_fields[field], text)
        layers.places[field,] = _Place(where, name, _env_example(name))


def _from_text(field: FieldInfo, text: str) -> object:
    if isinstance(field.default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(field.default, int) and re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        return int(text)
    return text


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
    layers = _Layers({}, {}, [])
    for path, read in ((config_path, _read_toml), (env_file, _read_env_layer)):
        try:
            read(path, layers)
        except ConfigError as error:
            layers.problems.extend(error.problems)
    for name, field in environment_names().items():
        _put(layers, field, environ.get(name, ""), "environment")
    settings = _validate(layers)
    layers.problems.extend(
        Problem(env_file.name, f"{field.upper()} is not set.", _mend_missing(field))
        for field in required
        if field not in layers.values
    )
    if settings is None or layers.problems:
        raise ConfigError(*sorted(layers.problems, key=_reading_order))
    return settings


def _reading_order(problem: Problem) -> tuple[str, int]:
    """By file, then line: the sort is stable, so whatever has no line keeps its place."""
    file, _, line = problem.where.partition(", line ")
    return file, int(line or 0)


def _mend_missing(field: str) -> str:
    return SECRET_MENDS.get(field, f"Put it in .env as {field.upper()}=...")


def _validate(layers: _Layers) -> Settings | None:
    try:
        return Settings.model_validate(layers.values)
    except ValidationError as error:
        details = error.errors(include_url=False)
        layers.problems.extend(_problem(detail, layers) for detail in details)
        return None


# ── what a person is told ─────────────────────────────────────────────────────────────────────


def _problem(detail: ErrorDetails, layers: _Layers) -> Problem:
    key = tuple(part for part in detail["loc"] if isinstance(part, str))
    place = next(
        (layers.places[key[:n]] for n in range(len(key), 0, -1) if key[:n] in layers.places),
        _Place("settings", ".".join(key), _toml_example(key[-1])),
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
    text = _toml_text(value) if isinstance(value, str | int | float) else ""
    return f" ({text})" if text else ""


def _example(field: FieldInfo) -> object:
    """A value that would do: the default, else what the field's own words name."""
    if field.default not in (None, ()):
        return field.default
    extra = field.json_schema_extra
    expects = str(extra["expects"]) if isinstance(extra, dict) else ""
    example = expects.partition("such as ")[2]
    return [int(i) for i in re.findall(r"\d+", example)] if example.startswith("[") else example


def _field(key: _Key) -> FieldInfo | None:
    """The field that a key names; None for a section."""
    if len(key) == 1:
        return None if key[0] in sections() else Settings.model_fields[key[0]]
    return sections()[key[0]].model_fields[key[1]]


def _unknown(key: _Key, place: _Place) -> Problem:
    what = f"{place.name} is no setting that the bot knows."
    return Problem(place.where, what, _nearest(key))


def _nearest(key: _Key) -> str:
    homes = {name: "" for name in environment_names().values() if name not in SECRET_MENDS}
    homes |= {name: name for name in sections()}
    for section, model in sections().items():
        homes |= dict.fromkeys(model.model_fields, section)
    name = key[-1].lower().replace("-", "_")
    near = difflib.get_close_matches(name, homes, n=1, cutoff=0.6)
    if not near:
        return "Take it out; docs/configuration.md lists every setting."
    return f"Did you mean {_in_words(near[0], homes[near[0]], key)}?"


def _in_words(name: str, home: str, key: _Key) -> str:
    if name == home:
        return f"the section [{name}]"
    if home == "".join(key[:-1]):
        return name
    return f"{name} in [{home}]" if home else f"{name}, above the first [section]"


def misspelt_names(env_file: Path) -> tuple[Problem, ...]:
    """Variables in .env that look like one of ours misspelt. Others belong to other programs.

    Errors:
        ConfigError: the file cannot be read.
    """
    names = environment_names()
    found = []
    for line, binding in _read_env_file(env_file):
        if not binding.key or binding.key in names:
            continue
        near = difflib.get_close_matches(binding.key.upper(), names, n=1, cutoff=0.8)
        if near:
            where = f"{env_file.name}, line {line}"
            what = f"{binding.key} is no setting that the bot knows."
            found.append(Problem(where, what, f"Did you mean {near[0]}?"))
    return tuple(found)
