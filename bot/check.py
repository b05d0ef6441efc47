"""Tries everything that can be tried, side by side: one line each, ✔ or what to do."""

import asyncio
import errno
import ipaddress
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import aiohttp
from aiohttp import web
from cryptography.fernet import Fernet
from pydantic import SecretStr

from bot.config import SECRET_MENDS, Settings
from bot.db.engine import parse_url, sqlite_path
from bot.db.schema import needs_migration
from bot.db.vault import Vault
from bot.errors import ConfigError, SchemaTooNew, StorageUnavailable
from bot.speckle.answers import SCOPES, SpeckleApp
from bot.storage import Storage, schema_version

DISCORD_API: Final = "https://discord.com/api/v10"
USER_AGENT: Final = "DiscordBot (speckle-discord-bot, 0.1.0)"  # the form that Discord asks for
# View Channel, Send Messages, Embed Links, Attach Files, Read Message History, Create Public
# Threads, Send Messages in Threads.
PERMISSIONS: Final = 309237763072
GUILDS_A_PAGE: Final = 200  # the most that GET /users/@me/guilds gives at once
GATEWAY_ROOM: Final = 10  # session starts left from which on a host should know
TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 256 * 1024
SERVER_QUERY: Final = "query { serverInfo { name version } }"
# No such project: the answer says NOT_FOUND, unless the scope to read projects is missing.
SCOPE_QUERY: Final = 'query { project(id: "0000000000") { id } }'
APP_QUERY: Final = "query App($id: String!) { app(id: $id) { redirectUrl scopes { name } } }"
MAX_REDIRECT: Final = 100  # characters that a Speckle server keeps
TOKENS_PATH: Final = "/settings/user/developer"
KILLS: Final = "People have to link their accounts again after a change there."


class Mark(StrEnum):
    """What came out of one try."""

    GOOD = "✔"
    BAD = "✘"
    SKIPPED = "–"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the check: what was tried, and what came out or what to do."""

    mark: Mark
    what: str
    told: str

    def __str__(self) -> str:
        return f"{self.mark} {self.what}: {self.told}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read to a limit; `data` is None where the body is no JSON."""

    status: int
    text: str
    data: Any
    location: str

    def at(self, *path: str) -> Any:
        """A value inside the JSON; None if anything on the way is missing."""
        value = self.data
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value


Say = Callable[[Row], None]
Rows = Coroutine[None, None, Sequence[Row]]


async def check_all(settings: Settings, say: Say) -> bool:
    """Try everything at once and say each row, in a fixed order, as soon as it is known.

    Returns whether nothing is wrong. Makes and changes no tables; one small write tries writing.
    """
    say(Row(Mark.GOOD, "Settings", "every value can be used."))
    healthy = True
    timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
    headers = {"User-Agent": USER_AGENT}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as http,
        asyncio.TaskGroup() as tasks,
    ):
        tries = [
            tasks.create_task(work, name=f"check-{number}")
            for number, work in enumerate(_tries(settings, http))
        ]
        for one in tries:
            for row in await one:
                say(row)
                healthy = healthy and row.mark is not Mark.BAD
    return healthy


def _tries(settings: Settings, http: aiohttp.ClientSession) -> list[Rows]:
    return [
        check_database(settings),
        check_discord(settings, http),
        *(check_server(http, server) for server in settings.speckle_servers),
        check_speckle_token(settings, http),
        check_sign_in(settings, http),
        check_public_url(settings, http),
        check_shared_hook(settings),
    ]


# ── the database and its keys ─────────────────────────────────────────────────────────────────


async def check_database(settings: Settings) -> Sequence[Row]:
    """Whether it answers, has the right tables, can be written, and opens with the keys."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _database_rows(settings)
    except ConfigError as error:
        told = " ".join(str(problem) for problem in error.problems)
    except SchemaTooNew as error:
        told = f"version {error.found} is from a newer release of the bot. Update the bot."
    except StorageUnavailable as error:
        told = f"{error.reason}. Look at DATABASE_URL, and whether the database runs."
    except TimeoutError:
        told = f"no answer within {TIMEOUT_S:.0f} s. Look at DATABASE_URL and the network."
    return [Row(Mark.BAD, "Database", told), _keys_skipped(settings)]


async def _database_rows(settings: Settings) -> Sequence[Row]:
    kind = settings.database_url.partition("+")[0]
    found, wanted = await schema_version(settings.database_url)
    if found is None and (where := _closed_folder(settings.database_url)):
        told = f"the folder {where} cannot be written. Let the bot's user write there."
        return [Row(Mark.BAD, "Database", told), _keys_skipped(settings)]
    if needs_migration(found):
        state = f"version {found}" if found else "no tables yet"
        told = f"{kind}, {state}. The bot brings it to version {wanted} when it starts."
        return [Row(Mark.GOOD, "Database", told), _keys_skipped(settings)]
    # A key of the moment where none is set: nothing is opened with it.
    keys = [key.get_secret_value() for key in settings.encryption_keys]
    vault = Vault(keys or [Fernet.generate_key().decode()])
    async with Storage.open(settings.database_url, vault) as storage:  # writes once, to try
        told = f"{kind}, can be written, version {found} as wanted."
        good = Row(Mark.GOOD, "Database", told)
        if not keys:
            return [good, _keys_skipped(settings)]
        return [good, _keys_row(await storage.sealed.unopenable())]


def _closed_folder(database_url: str) -> Path | None:
    """The folder that an SQLite file yet to be made would go to, if nothing can be made there."""
    url = parse_url(database_url)
    if not url.drivername.startswith("sqlite"):
        return None
    above = next(folder for folder in sqlite_path(url).absolute().parents if folder.exists())
    return None if os.access(above, os.W_OK | os.X_OK) else above


def _keys_row(unopenable: Mapping[str, int]) -> Row:
    if not unopenable:
        return Row(Mark.GOOD, "Encryption keys", "open everything that is sealed.")
    what = ", ".join(_counted(count, kind) for kind, count in unopenable.items())
    told = (
        f"none of ENCRYPTION_KEYS opens {what}. Put the key that sealed them behind the others, "
        "after a comma."
    )
    return Row(Mark.BAD, "Encryption keys", told)


def _keys_skipped(settings: Settings) -> Row:
    if not settings.encryption_keys:
        mend = SECRET_MENDS["encryption_keys"]
        return Row(Mark.BAD, "Encryption keys", f"ENCRYPTION_KEYS is not set. {mend}")
    return Row(Mark.SKIPPED, "Encryption keys", "nothing to open, as the tables cannot be read.")


# ── Discord ───────────────────────────────────────────────────────────────────────────────────


async def check_discord(settings: Settings, http: aiohttp.ClientSession) -> Sequence[Row]:
    """Whether the token works, how the bot is invited, and whether the gateway lets it in."""
    token = settings.discord_token
    if token is None:
        mend = SECRET_MENDS["discord_token"]
        return [Row(Mark.BAD, "Discord token", f"DISCORD_TOKEN is not set. {mend}")]
    api = settings.discord_api_url or DISCORD_API
    headers = {"Authorization": f"Bot {token.get_secret_value()}"}
    try:
        # Alone at first: Discord counts refused requests, and bans an address for too many.
        me = await _get(http, f"{api}/users/@me", headers)
        if me.status != 200 or not isinstance(me.at("username"), str):
            return [_token_row(me)]
        app = await _get(http, f"{api}/oauth2/applications/@me", headers)
        guilds = await _get(http, f"{api}/users/@me/guilds?limit={GUILDS_A_PAGE}", headers)
        gateway = await _get(http, f"{api}/gateway/bot", headers)
    except (aiohttp.ClientError, TimeoutError) as error:
        host = urlsplit(api).netloc
        told = f"{host} cannot be reached: {_why(error)}. Look at the network."
        return [Row(Mark.BAD, "Discord token", told)]
    told = f"it is {_one_line(me.at('username'))}, {_guild_count(guilds)}."
    return [Row(Mark.GOOD, "Discord token", told), *_invite_rows(app), _gateway_row(gateway)]


def _token_row(me: Answer) -> Row:
    match me.status:
        case 401:
            told = (
                "Discord does not accept DISCORD_TOKEN; it was reset, or belongs to something "
                f"else. {SECRET_MENDS['discord_token']}"
            )
        case 403 | 429:
            told = f"Discord refuses this computer for now (HTTP {me.status}). Wait an hour."
        case _:
            told = f"Discord answers HTTP {me.status}. Look at https://discordstatus.com"
    return Row(Mark.BAD, "Discord token", told)


def _guild_count(guilds: Answer) -> str:
    if guilds.status != 200 or not isinstance(guilds.data, list):
        return "in how many servers it is could not be asked"
    count = len(guilds.data)
    if not count:
        return "in no server yet: open the invite link"
    return f"in {'at least ' * (count == GUILDS_A_PAGE)}{_counted(count, 'server')}"


def _invite_rows(app: Answer) -> Sequence[Row]:
    if app.status != 200 or app.at("id") is None:
        return [Row(Mark.BAD, "Invite link", f"Discord answers HTTP {app.status}. Try again.")]
    asked = {
        "client_id": app.at("id"),
        "permissions": PERMISSIONS,
        "scope": "bot applications.commands",
    }
    link = f"https://discord.com/oauth2/authorize?{urlencode(asked)}"
    if app.at("bot_require_code_grant"):
        told = "it cannot work while Requires OAuth2 Code Grant is on. Switch that off on Bot."
        return [Row(Mark.BAD, "Invite link", told)]
    whom = "" if app.at("bot_public") else " (only you can use it: the bot is not public)"
    return [Row(Mark.GOOD, "Invite link", link + whom)]


def _gateway_row(gateway: Answer) -> Row:
    if gateway.status != 200 or not isinstance(gateway.at("url"), str):
        told = f"GET /gateway/bot answers HTTP {gateway.status}. Try again later."
        return Row(Mark.BAD, "Discord gateway", told)
    left = gateway.at("session_start_limit", "remaining")
    if not isinstance(left, int):
        return Row(Mark.GOOD, "Discord gateway", "lets the bot in.")
    if left < 1:
        told = "no session starts left today. Find out why the bot restarts so often; wait a day."
        return Row(Mark.BAD, "Discord gateway", told)
    told = f"lets the bot in, {_counted(left, 'session start')} left today."
    if left <= GATEWAY_ROOM:
        told += " That is few: find out why the bot restarts so often."
    return Row(Mark.GOOD, "Discord gateway", told)


# ── Speckle ───────────────────────────────────────────────────────────────────────────────────


async def check_server(http: aiohttp.ClientSession, server: str) -> Sequence[Row]:
    """Whether a Speckle server answers at this address."""
    what = f"Speckle server {server}"
    try:
        answer = await _ask_speckle(http, server, SERVER_QUERY, None)
    except (aiohttp.ClientError, TimeoutError) as error:
        told = f"cannot be reached: {_why(error)}. Look at SPECKLE_SERVERS and the network."
        return [Row(Mark.BAD, what, told)]
    if 300 <= answer.status < 400:
        told = f"sends on to {_origin(answer.location)}. Name that address in SPECKLE_SERVERS."
        return [Row(Mark.BAD, what, told)]
    version = answer.at("data", "serverInfo", "version")
    if version is None:
        told = f"something else answers there (HTTP {answer.status}). Look at SPECKLE_SERVERS."
        return [Row(Mark.BAD, what, told)]
    return [Row(Mark.GOOD, what, f"version {_one_line(str(version))}.")]


async def check_speckle_token(settings: Settings, http: aiohttp.ClientSession) -> Sequence[Row]:
    """Whether the first server, the only one it goes to, takes SPECKLE_TOKEN for reading."""
    server, what = settings.speckle_servers[0], "Speckle token"
    if settings.speckle_token is None:
        told = "SPECKLE_TOKEN is not set; cards do without what only a token can read."
        return [Row(Mark.SKIPPED, what, told)]
    try:
        answer = await _ask_speckle(http, server, SCOPE_QUERY, settings.speckle_token)
    except (aiohttp.ClientError, TimeoutError) as error:
        return [Row(Mark.SKIPPED, what, f"not tried, {server} cannot be reached: {_why(error)}.")]
    if answer.status in (401, 403):
        told = f"{server} does not accept it. {SECRET_MENDS['speckle_token']}"
        return [Row(Mark.BAD, what, told)]
    if scope := _missing_scope(answer):
        told = f"it lacks the scope {_one_line(scope)}. {SECRET_MENDS['speckle_token']}"
        return [Row(Mark.BAD, what, told)]
    if answer.status != 200 or not isinstance(answer.data, dict):
        return [Row(Mark.SKIPPED, what, f"not tried, {server} answers HTTP {answer.status}.")]
    if not settings.organisation.guilds:
        told = f"{server} accepts it, but guilds in [organisation] names nobody it is used for."
        return [Row(Mark.SKIPPED, what, told)]
    return [Row(Mark.GOOD, what, f"{server} accepts it.")]


async def check_sign_in(settings: Settings, http: aiohttp.ClientSession) -> Sequence[Row]:
    """Whether each application of SPECKLE_APPS is registered as people's signing in needs it."""
    redirect = settings.redirect_url()
    if not settings.speckle_apps:
        mend = "" if redirect is None else f" An application for it has the redirect URL {redirect}"
        told = "SPECKLE_APPS is not set; people link accounts with tokens that they make."
        return [Row(Mark.SKIPPED, "Signing in", told + mend)]
    if redirect is None:
        told = "SPECKLE_APPS needs PUBLIC_URL, where people come back to. Until then they paste."
        return [Row(Mark.BAD, "Signing in", told)]
    if len(redirect) > MAX_REDIRECT:
        told = (
            f"the redirect URL {redirect} has {len(redirect)} characters, and Speckle takes "
            f"{MAX_REDIRECT}. Choose a shorter PUBLIC_URL."
        )
        return [Row(Mark.BAD, "Signing in", told)]
    return [await _app_row(http, app, redirect) for app in settings.apps().values()]


async def _app_row(http: aiohttp.ClientSession, app: SpeckleApp, redirect: str) -> Row:
    server, what = app.server_url, f"Signing in on {app.server_url}"
    try:
        answer = await _ask_speckle(http, server, APP_QUERY, None, {"id": app.id})
    except (aiohttp.ClientError, TimeoutError) as error:
        return Row(Mark.SKIPPED, what, f"not tried, it cannot be reached: {_why(error)}.")
    data = answer.at("data")
    if answer.status != 200 or not isinstance(data, dict):
        return Row(Mark.SKIPPED, what, f"not tried, it answers HTTP {answer.status}.")
    if answer.at("data", "app") is None:
        told = f"it knows no application with this id. {SECRET_MENDS['speckle_apps']}"
        return Row(Mark.BAD, what, told)
    registered = answer.at("data", "app", "redirectUrl")
    if registered != redirect:
        told = (
            f"the application's redirect URL is {_one_line(str(registered))}. Change it to "
            f"{redirect} in Speckle under {TOKENS_PATH}. {KILLS}"
        )
        return Row(Mark.BAD, what, told)
    found = answer.at("data", "app", "scopes")
    names = [one.get("name") for one in found or () if isinstance(one, dict)]
    if missing := [scope for scope in SCOPES if scope not in names]:
        told = f"the application lacks {', '.join(missing)}. Add it there. {KILLS}"
        return Row(Mark.BAD, what, told)
    return Row(Mark.GOOD, what, f"the application sends people back to {redirect}")


async def _ask_speckle(
    http: aiohttp.ClientSession,
    server: str,
    query: str,
    token: SecretStr | None,
    variables: Mapping[str, str] | None = None,
) -> Answer:
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    # No redirects: the token is for this server alone.
    async with http.post(
        f"{server}/graphql",
        json={"query": query} | ({"variables": dict(variables)} if variables else {}),
        headers=headers,
        allow_redirects=False,
    ) as response:
        return await _read(response)


def _missing_scope(answer: Answer) -> str | None:
    errors = answer.at("errors")
    for error in errors if isinstance(errors, list) else ():
        extensions = error.get("extensions") if isinstance(error, dict) else None
        if isinstance(extensions, dict) and isinstance(extensions.get("scope"), str):
            return str(extensions["scope"])
    return None


# ── the way in ────────────────────────────────────────────────────────────────────────────────


async def check_public_url(settings: Settings, http: aiohttp.ClientSession) -> Sequence[Row]:
    """Whether PUBLIC_URL leads to this very process, or to the bot that holds the port."""
    what, url = "Public URL", settings.public_url
    if url is None:
        told = (
            "PUBLIC_URL is not set, so no Speckle server can reach the bot. Put the address of "
            "your tunnel or reverse proxy in .env as PUBLIC_URL=https://..."
        )
        return [Row(Mark.BAD, what, told)]
    if settings.webhook_port == 0:
        return [Row(Mark.SKIPPED, what, "not tried, WEBHOOK_PORT=0 gives another port each time.")]
    try:
        async with _answering(settings.webhook_host, settings.webhook_port) as (path, nonce):
            return [await _reached(http, url, path, nonce)]
    except _CannotListen as error:
        if error.errno == errno.EADDRINUSE:
            return [await _reached(http, url, "/healthz", None)]
        told = (
            f"{settings.webhook_host} port {settings.webhook_port} cannot be listened on "
            f"({os.strerror(error.errno or 0)}). Look at WEBHOOK_HOST and WEBHOOK_PORT."
        )
        return [Row(Mark.BAD, what, told)]


class _CannotListen(OSError):
    """The listener's address cannot be bound."""


@asynccontextmanager
async def _answering(host: str, port: int) -> AsyncIterator[tuple[str, str]]:
    """A server on the listener's address that answers one unguessable path with a nonce."""
    path, nonce = f"/check/{secrets.token_urlsafe(16)}", secrets.token_urlsafe(16)

    async def answer(_request: web.Request) -> web.Response:
        return web.Response(text=nonce)

    app = web.Application()
    app.router.add_get(path, answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise _CannotListen(error.errno, error.strerror) from error
        yield path, nonce
    finally:
        await runner.cleanup()


async def _reached(http: aiohttp.ClientSession, url: str, path: str, nonce: str | None) -> Row:
    """What comes back from outside; without a nonce, a bot that runs already is expected there."""
    what, aim = "Public URL", "this computer" if nonce else "the bot that runs already"
    try:
        answer = await _get(http, url + path, {})
    except (aiohttp.ClientError, TimeoutError) as error:
        told = f"{url} cannot be reached: {_why(error)}. Look at the tunnel or reverse proxy."
        return Row(Mark.BAD, what, told)
    if 300 <= answer.status < 400:
        told = f"it sends on to {_origin(answer.location)}, and a webhook's body gets lost there. "
        return Row(Mark.BAD, what, f"{told}Put the address that it leads to in PUBLIC_URL.")
    if answer.status != 200 or (nonce and answer.text != nonce):
        told = (
            f"{url} does not lead to {aim}: something else answers (HTTP {answer.status}). Let "
            "the tunnel or reverse proxy pass everything on to WEBHOOK_HOST and WEBHOOK_PORT."
        )
        return Row(Mark.BAD, what, told)
    if _is_private(url):
        told = (
            f"{url} leads to {aim}, but it is a private address, which Speckle servers refuse "
            "unless their webhook-service has ALLOW_LOCAL_NETWORK=true."
        )
        return Row(Mark.SKIPPED, what, told)
    return Row(Mark.GOOD, what, f"{url} leads to {aim}.")


def _is_private(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or "." not in host


async def check_shared_hook(settings: Settings) -> Sequence[Row]:
    """Whether the two halves of the shared hook are set; nothing is said where neither is."""
    guilds = len(settings.organisation.guilds)
    match settings.speckle_webhook_secret is not None, guilds > 0:
        case True, True:
            told = f"POST /webhook serves {_counted(guilds, 'Discord server')}."
            row = Row(Mark.GOOD, "Shared hook", told)
        case True, False:
            told = "off, as guilds in [organisation] of config.toml names nobody whom it serves."
            row = Row(Mark.BAD, "Shared hook", f"{told} Add their ids there.")
        case _:
            told = "off, as SPECKLE_WEBHOOK_SECRET is not set; each guild has hooks of its own."
            row = Row(Mark.SKIPPED, "Shared hook", told)
    return [row]


# ── asking over the network ───────────────────────────────────────────────────────────────────


async def _get(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> Answer:
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        return await _read(response)


async def _read(response: aiohttp.ClientResponse) -> Answer:
    body = bytearray()
    async for chunk in response.content.iter_chunked(MAX_ANSWER_BYTES):
        body += chunk
        if len(body) > MAX_ANSWER_BYTES:
            break
    text = body.decode(errors="replace")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    return Answer(response.status, text, data, response.headers.get("Location", ""))


def _why(error: Exception) -> str:
    """A network error in a few words, without addresses that may hold a secret."""
    match error:
        case TimeoutError():
            return f"no answer within {TIMEOUT_S:.0f} s"
        case aiohttp.ClientConnectorDNSError():
            return "there is no such name"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientSSLError():
            return "its TLS certificate cannot be trusted"
        case aiohttp.ClientConnectorError():
            return os.strerror(error.errno) if error.errno else "the connection failed"
        case aiohttp.ServerDisconnectedError():
            return "it hung up"
        case _:
            return "its answer makes no sense"


def _origin(location: str) -> str:
    try:
        parts = urlsplit(location)
    except ValueError:
        return "somewhere else"
    return f"{parts.scheme}://{_one_line(parts.netloc)}" if parts.netloc else "another path"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _one_line(text: str) -> str:
    """Another computer's word, harmless for a terminal."""
    return "".join(c if c.isprintable() else "�" for c in text)[:100]
