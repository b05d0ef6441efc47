"""What the value of a setting must be, where its type alone does not say it.

Each check says what is wrong with a value and what to do about it; `loading` makes that a problem.
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Final
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationInfo
from pydantic_core import PydanticCustomError

from bot.errors import NotASpeckleLink
from bot.hosts import is_private_host
from bot.program import PROGRAM
from bot.speckle.links import normalise_server_url
from bot.speckle.tokens import SpeckleApp

FERNET_KEY_BYTES: Final = 32  # https://github.com/fernet/spec/blob/master/Spec.md
MAX_WEBHOOK_SECRET: Final = 255  # a longer one fails in Speckle's webhookCreate
# An application's id and secret, and the server that it is registered on.
APP_SHAPE: Final = re.compile(r"([\w-]+):([^\s:@]+)(?:@(https?://\S+))?", re.ASCII | re.IGNORECASE)
MAX_DISCORD_ID: Final = 2**63 - 1
DISCORD_API_PATH: Final = "/api/v10"
DRIVERS: Final = ("sqlite", "postgresql+psycopg")
FORMER_DRIVER: Final = "sqlite+aiosqlite"  # still taken, and means the first
DRIVER_HINTS: Final[Mapping[str, str]] = {
    "sqlite+pysqlite": DRIVERS[0],
    "postgres": DRIVERS[1],
    "postgresql": DRIVERS[1],
    "postgresql+asyncpg": DRIVERS[1],
    "postgresql+psycopg2": DRIVERS[1],
    "postgresql+psycopg_async": DRIVERS[1],
}
# Three base64url parts: the bot's id, a time, an HMAC. Discord made them longer over the years.
TOKEN_SHAPE: Final = re.compile(r"[\w-]{18,}\.[\w-]{5,}\.[\w-]{25,}", re.ASCII)

KEY_AMONG_OTHERS: Final = (
    f"Correct this one, or take it out: `{PROGRAM} check` counts what the others do not decrypt."
)
SECRET_HINTS: Final[Mapping[str, str]] = {
    "discord_token": (
        "Copy the token from https://discord.com/developers/applications, your application, "
        "Bot, Reset Token, and put it in .env as DISCORD_TOKEN=..."
    ),
    "encryption_keys": (
        f"Make one with `{PROGRAM} key` and put what it prints in .env as ENCRYPTION_KEYS=..."
    ),
    "speckle_token": (
        "Make one on your Speckle server under /settings/user/developer and put it in .env as "
        "SPECKLE_TOKEN=..."
    ),
    "speckle_apps": (
        "Register an application on your Speckle server under /settings/user/developer and put "
        "its id and secret in .env as SPECKLE_APPS=id:secret"
    ),
    "speckle_webhook_secret": "Put it in .env as SPECKLE_WEBHOOK_SECRET=...",
    "operator_webhook_url": (
        "Copy the address of an incoming webhook from Slack, Mattermost, Discord or a similar "
        "service and put it in .env as OPERATOR_WEBHOOK_URL=https://..."
    ),
}
"""The secrets, by field name, and how a host comes by each."""


def _wrong(what: str, hint: str) -> PydanticCustomError:
    return PydanticCustomError("setting", "{what}", {"what": what, "hint": hint})


def _as_tuple(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def _as_ids(value: object) -> object:
    """Discord ids: numbers, or the same digits in quotes, as Discord itself writes them."""
    if not isinstance(value, list | tuple):
        return value
    return tuple(map(_as_id, value))


def _as_id(value: object) -> object:
    digits = isinstance(value, str) and value.isascii() and value.isdigit()
    return int(value) if digits else value  # type: ignore[call-overload]


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _split_url(url: str, example: str) -> SplitResult:
    """The parts of a web address.

    Errors:
        PydanticCustomError: not http(s), no host, a bad port, a name or password, `?` or `#`.
    """
    hint = f"Write it like {example}"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise _wrong("is not a web address.", hint) from None
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", url):
        raise _wrong("is not an http:// or https:// address.", hint)
    if "@" in parts.netloc:
        raise _wrong("holds a user name or password.", hint)
    if "?" in url or "#" in url:
        raise _wrong("has a ? or # in it; only an address and perhaps a path fit.", hint)
    return parts


def _check_discord_token(token: SecretStr) -> SecretStr:
    text = token.get_secret_value()
    if TOKEN_SHAPE.fullmatch(text):
        return token
    if text.lower().startswith(("bot ", "bearer ")):
        raise _wrong("has a word before the token.", "Leave the word out, keep the token.")
    if text.isdigit():
        raise _wrong("is an application id, not a token.", SECRET_HINTS["discord_token"])
    if re.fullmatch(r"[0-9a-f]{64}", text):
        raise _wrong("is a public key, not a token.", SECRET_HINTS["discord_token"])
    if re.fullmatch(r"[\w-]{32}", text):
        raise _wrong("looks like a client secret, not a bot token.", SECRET_HINTS["discord_token"])
    raise _wrong(
        "is not a bot token, which has three parts with dots between.",
        SECRET_HINTS["discord_token"],
    )


def _check_encryption_keys(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for number, key in enumerate(keys, start=1):
        try:
            size = len(base64.b64decode(key.get_secret_value(), altchars=b"-_", validate=True))
        except (binascii.Error, ValueError):
            size = 0
        if size != FERNET_KEY_BYTES:
            what = f"holds no valid key in place {number} of {len(keys)}."
            shape = "A key is 44 characters, the last one =; separate keys with commas."
            more = SECRET_HINTS["encryption_keys"] if len(keys) == 1 else KEY_AMONG_OTHERS
            raise _wrong(what, f"{shape} {more}")
    return keys


def _check_speckle_token(token: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]+", token.get_secret_value()):
        raise _wrong(
            "contains spaces or characters that no token has.",
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
        server = read_app(app, place, servers[0]).server_url
        if server not in servers:
            raise _wrong(
                f"names a server {place} that is not one of SPECKLE_SERVERS.",
                "Write its address as it is there, or add it there.",
            )
        if server in taken:
            raise _wrong(
                f"names a second application for one server {place}.",
                "Keep one for each server; an entry without @https://... is for the first of "
                "SPECKLE_SERVERS.",
            )
        taken.add(server)
    return apps


def read_app(app: SecretStr, place: str, first_server: str) -> SpeckleApp:
    """An application out of an entry of SPECKLE_APPS, which is at `place` among them.

    Errors:
        PydanticCustomError: it is no application, or names no server.
    """
    hint = (
        "Write id:secret, or id:secret@https://speckle.example.com; separate several with commas."
    )
    found = APP_SHAPE.fullmatch(app.get_secret_value())
    if found is None:
        raise _wrong(f"holds no application {place}.", hint)
    app_id, secret, server = found.groups()
    try:
        return SpeckleApp(normalise_server_url(server) if server else first_server, app_id, secret)
    except NotASpeckleLink:
        raise _wrong(f"names no Speckle server {place}.", hint) from None


def _check_webhook_secret(secret: SecretStr) -> SecretStr:
    if len(secret.get_secret_value()) > MAX_WEBHOOK_SECRET:
        raise _wrong(
            f"is longer than the {MAX_WEBHOOK_SECRET} characters that Speckle takes.",
            "Choose a shorter one, here and on the Speckle side.",
        )
    return secret


def _check_operator_webhook(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise _wrong("is not a web address.", SECRET_HINTS["operator_webhook_url"]) from None
    if not parts.hostname or parts.scheme not in ("http", "https") or re.search(r"\s", text):
        raise _wrong("is not an http:// or https:// address.", SECRET_HINTS["operator_webhook_url"])
    if parts.scheme == "http" and not is_private_host(parts.hostname):
        raise _wrong(
            "would send the notices, and its own secret, over the internet without encryption.",
            "Begin it with https://; http:// is for addresses of your own network.",
        )
    return url


def _check_database_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if scheme == FORMER_DRIVER:
        scheme = DRIVERS[0]
    if separator and scheme in DRIVERS and rest.strip("/"):
        return f"{scheme}://{rest}"
    if separator and scheme in DRIVER_HINTS:
        raise _wrong(
            f"begins with {scheme}://, which names no driver that the bot has.",
            f"Begin it with {DRIVER_HINTS[scheme]}:// and keep the rest.",
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


def _check_proxy(proxy: str) -> str:
    """A proxy's address; it may hold a name and password."""
    url = proxy if "://" in proxy else f"http://{proxy}"
    hint = "Write it like http://proxy.example.com:3128 or http://name:password@proxy:3128"
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  reading it is what checks it
    except ValueError:
        raise _wrong("is not the address of a proxy.", hint) from None
    if parts.scheme != "http":
        what = f"names a proxy of the kind {parts.scheme[:10]}://, which the bot does not speak."
        raise _wrong(what, hint)
    if not parts.hostname or re.search(r"\s", url) or parts.path.strip("/"):
        raise _wrong("is not the address of a proxy.", hint)
    return f"http://{parts.netloc}"


def _check_host(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        if re.fullmatch(r"[A-Za-z0-9_.-]+", host) and not re.fullmatch(r"[\d.]+", host):
            return host
    raise _wrong(
        "is not an address that a computer can listen on.",
        "Write 127.0.0.1 (this computer only), 0.0.0.0 (every network of this computer) or :: (the "
        "same over IPv6 too). A port, and the address for others, are settings of their own.",
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


Lower = BeforeValidator(_lower)
DiscordIds = Annotated[
    tuple[Annotated[int, Field(ge=1, le=MAX_DISCORD_ID)], ...], BeforeValidator(_as_ids)
]
DiscordToken = Annotated[SecretStr, AfterValidator(_check_discord_token)]
EncryptionKeys = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_as_tuple), AfterValidator(_check_encryption_keys)
]
SpeckleToken = Annotated[SecretStr, AfterValidator(_check_speckle_token)]
SpeckleApps = Annotated[
    tuple[SecretStr, ...], BeforeValidator(_as_tuple), AfterValidator(_check_apps)
]
OperatorWebhookUrl = Annotated[SecretStr, AfterValidator(_check_operator_webhook)]
ChannelId = Annotated[int, BeforeValidator(_as_id), Field(ge=0, le=MAX_DISCORD_ID)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_check_webhook_secret)]
DatabaseUrl = Annotated[str, AfterValidator(_check_database_url)]
PublicUrl = Annotated[str, AfterValidator(_check_public_url)]
DiscordApiUrl = Annotated[str, AfterValidator(_check_discord_api_url)]
Host = Annotated[str, AfterValidator(_check_host)]
Proxy = Annotated[str, AfterValidator(_check_proxy)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]
SpeckleServers = Annotated[
    tuple[str, ...], BeforeValidator(_as_tuple), AfterValidator(_check_servers)
]
