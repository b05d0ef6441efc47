"""Speckle: the servers, the operator's token, the applications that people sign in with."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
from pydantic import SecretStr

from bot.cards.text import joined
from bot.cli.check.http_probe import (
    ProbeResponse,
    get,
    origin,
    read_response,
    where_to_look,
    why_failed,
)
from bot.cli.check.report import CheckMark, CheckResult, printable
from bot.program import IS_CHECKOUT, NAME, PROGRAM
from bot.settings import SECRET_HINTS, Settings
from bot.speckle.tokens import SCOPES, SpeckleApp
from bot.speckle_api.activity_list import ACTIVITY
from bot.speckle_api.answers import child, items
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.circuit_breaker import OUT_OF_ORDER
from bot.speckle_api.optional_questions import ANY_COMMENTS, ANY_ISSUES
from bot.speckle_api.sign_in import BY_VERIFIER, has_verifiers

SERVER_QUERY: Final = "query { serverInfo { name version } }"
MIGRATION_QUERY: Final = "query { serverInfo { migration { movedTo } } }"
# No such project: the answer says NOT_FOUND, unless the scope to read projects is missing.
SCOPE_QUERY: Final = 'query { project(id: "0000000000") { id } }'
# Asked about a project that nobody has: a server that has such a thing answers NOT_FOUND.
FOUND_OUT: Final = {"issues": ANY_ISSUES, "comments": ANY_COMMENTS, "activity lists": ACTIVITY}
NO_PROJECT: Final = {"project": "0000000000", "limit": 1, "info": False}
NOT_UNDERSTOOD: Final = "GRAPHQL_VALIDATION_FAILED"
APP_QUERY: Final = "query App($id: String!) { app(id: $id) { redirectUrl scopes { name } } }"
MAX_REDIRECT: Final = 100  # characters that a Speckle server keeps
TOKENS_PATH: Final = "/settings/user/developer"
KILLS: Final = "People must link their accounts again after a change there."


async def check_server(http: aiohttp.ClientSession, server: str) -> Sequence[CheckResult]:
    """Whether a Speckle server answers at this address."""
    what = f"Speckle server {server}"
    try:
        answer = await _ask_speckle(http, server, SERVER_QUERY, None)
    except (aiohttp.ClientError, TimeoutError) as error:
        look = where_to_look(error, "SPECKLE_SERVERS and the network")
        found = f"cannot be reached: {why_failed(error)}. {look}"
        return [CheckResult(CheckMark.BAD, what, found)]
    if 300 <= answer.status < 400:
        found = f"redirects to {origin(answer.location)}. Name that address in SPECKLE_SERVERS."
        return [CheckResult(CheckMark.BAD, what, found)]
    version = answer.at("data", "serverInfo", "version")
    if version is None and answer.status in OUT_OF_ORDER:
        found = (
            f"is out of order: a proxy answers for it (HTTP {answer.status}). If it is not just "
            "starting, look at that server; the bot asks again by itself."
        )
        return [CheckResult(CheckMark.BAD, what, found)]
    if version is None:
        found = f"something else answers there (HTTP {answer.status}). Look at SPECKLE_SERVERS."
        return [CheckResult(CheckMark.BAD, what, found)]
    if (moved_to := await _moved_to(http, server)) is not None:
        found = f"it has moved to {printable(moved_to)}. Name that address in SPECKLE_SERVERS."
        return [CheckResult(CheckMark.BAD, what, found)]
    found = f"version {printable(str(version))}{await _has(http, server)}."
    return [CheckResult(CheckMark.GOOD, what, found)]


async def _has(http: aiohttp.ClientSession, server: str) -> str:
    """What this server has of what others lack; nothing is said where it does not answer."""
    has, lacks = [], []
    for thing, question in FOUND_OUT.items():
        try:
            answer = await _ask_speckle(http, server, question.text, None, NO_PROJECT)
        except (aiohttp.ClientError, TimeoutError):
            return ""
        refused = [child(one, "extensions", "code") for one in items(answer.at("errors"))]
        if NOT_UNDERSTOOD in refused:
            lacks.append(f"no {thing}")
        else:
            has.append(thing)
    return f", has {joined([*has, *lacks])}"


async def _moved_to(http: aiohttp.ClientSession, server: str) -> str | None:
    """Where a server says that it is now; a release may not know the question."""
    try:
        answer = await _ask_speckle(http, server, MIGRATION_QUERY, None)
    except (aiohttp.ClientError, TimeoutError):
        return None
    moved_to = answer.at("data", "serverInfo", "migration", "movedTo")
    return moved_to if isinstance(moved_to, str) and moved_to else None


async def check_bundles(bundles: BundleReader) -> Sequence[CheckResult]:
    """Whether what reads the versions of newer connectors is installed; nothing else needs it."""
    what = "Objects of bundles"
    if bundles.can_read:
        return [
            CheckResult(CheckMark.GOOD, what, "DuckDB is installed: they are counted and compared.")
        ]
    package = f"`pipx inject {NAME} duckdb` (with pip: `{NAME}[bundles]`)"
    how = f"`{PROGRAM} bundles`" if IS_CHECKOUT else package
    found = (
        "neither counted nor compared, as DuckDB is not installed: cards of versions that newer "
        "connectors send have no number of objects and do not say what changed. "
        f"{how} installs it (70 MB)."
    )
    return [CheckResult(CheckMark.SKIPPED, what, found)]


async def check_speckle_token(
    settings: Settings, http: aiohttp.ClientSession
) -> Sequence[CheckResult]:
    """Whether the first server, the only one it goes to, takes SPECKLE_TOKEN for reading."""
    server, what = settings.speckle_servers[0], "Speckle token"
    if settings.speckle_token is None:
        found = (
            "SPECKLE_TOKEN is not set. Only the Discord servers in [organisation] can use one; "
            "elsewhere linked accounts complete the cards."
        )
        return [CheckResult(CheckMark.SKIPPED, what, found)]
    try:
        answer = await _ask_speckle(http, server, SCOPE_QUERY, settings.speckle_token)
    except (aiohttp.ClientError, TimeoutError) as error:
        return [
            CheckResult(
                CheckMark.SKIPPED,
                what,
                f"not tried, {server} cannot be reached: {why_failed(error)}.",
            )
        ]
    if answer.status in (401, 403):
        found = f"{server} does not accept it. {SECRET_HINTS['speckle_token']}"
        return [CheckResult(CheckMark.BAD, what, found)]
    if scope := _missing_scope(answer):
        found = f"it lacks the scope {printable(scope)}. {SECRET_HINTS['speckle_token']}"
        return [CheckResult(CheckMark.BAD, what, found)]
    if answer.status != 200 or not isinstance(answer.data, dict):
        return [
            CheckResult(
                CheckMark.SKIPPED, what, f"not tried, {server} answers HTTP {answer.status}."
            )
        ]
    if not settings.organisation.guilds:
        found = (
            f"{server} accepts it, but guilds in [organisation] names no guild, so it is not used."
        )
        return [CheckResult(CheckMark.SKIPPED, what, found)]
    return [CheckResult(CheckMark.GOOD, what, f"{server} accepts it.")]


async def check_sign_in(settings: Settings, http: aiohttp.ClientSession) -> Sequence[CheckResult]:
    """Whether each application of SPECKLE_APPS is registered as people's signing in needs it."""
    redirect = settings.redirect_url()
    if not settings.speckle_apps:
        hint = "" if redirect is None else f" An application for it has the redirect URL {redirect}"
        found = "SPECKLE_APPS is not set; people link accounts with tokens that they create."
        return [CheckResult(CheckMark.SKIPPED, "Signing in", found + hint)]
    if redirect is not None and len(redirect) > MAX_REDIRECT:
        found = (
            f"the redirect URL {redirect} has {len(redirect)} characters, and Speckle allows "
            f"{MAX_REDIRECT}. Choose a shorter PUBLIC_URL."
        )
        return [CheckResult(CheckMark.BAD, "Signing in", found)]
    return [await _app_row(http, app, redirect) for app in settings.apps().values()]


async def _app_row(
    http: aiohttp.ClientSession, app: SpeckleApp, redirect: str | None
) -> CheckResult:
    server, what = app.server_url, f"Signing in on {app.server_url}"
    try:
        answer = await _ask_speckle(http, server, APP_QUERY, None, {"id": app.id})
    except (aiohttp.ClientError, TimeoutError) as error:
        return CheckResult(
            CheckMark.SKIPPED, what, f"not tried, it cannot be reached: {why_failed(error)}."
        )
    data = answer.at("data")
    if answer.status != 200 or not isinstance(data, dict):
        return CheckResult(CheckMark.SKIPPED, what, f"not tried, it answers HTTP {answer.status}.")
    if answer.at("data", "app") is None:
        found = f"it knows no application with this id. {SECRET_HINTS['speckle_apps']}"
        return CheckResult(CheckMark.BAD, what, found)
    registered = answer.at("data", "app", "redirectUrl")
    if redirect is not None and registered != redirect:
        found = (
            f"the application's redirect URL is {printable(str(registered))}. Change it to "
            f"{redirect} in Speckle under {TOKENS_PATH}. {KILLS}"
        )
        return CheckResult(CheckMark.BAD, what, found)
    found = answer.at("data", "app", "scopes")
    names = [one.get("name") for one in found or () if isinstance(one, dict)]
    if missing := [scope for scope in SCOPES if scope not in names]:
        found = f"the application lacks {', '.join(missing)}. Add it there. {KILLS}"
        return CheckResult(CheckMark.BAD, what, found)
    if redirect is None:
        return await _code_row(http, server, what)
    return CheckResult(CheckMark.GOOD, what, f"the application sends people back to {redirect}")


async def _code_row(http: aiohttp.ClientSession, server: str, what: str) -> CheckResult:
    """How people sign in without PUBLIC_URL."""
    try:
        answer = await get(http, f"{server}{BY_VERIFIER}", {})
    except (aiohttp.ClientError, TimeoutError) as error:
        return CheckResult(
            CheckMark.SKIPPED, what, f"not tried, it cannot be reached: {why_failed(error)}."
        )
    if has_verifiers(answer.status, answer.text.encode()):
        found = (
            "without PUBLIC_URL, /link asks people to paste the code that Speckle shows after "
            "signing in. If your server shows none, they paste a token instead."
        )
        return CheckResult(CheckMark.GOOD, what, found)
    found = (
        "this server can show no code, so without PUBLIC_URL the application is not used, and "
        "people paste tokens."
    )
    return CheckResult(CheckMark.WARNED, what, found)


async def _ask_speckle(
    http: aiohttp.ClientSession,
    server: str,
    query: str,
    token: SecretStr | None,
    variables: Mapping[str, Any] | None = None,
) -> ProbeResponse:
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    # No redirects: the token is for this server alone.
    async with http.post(
        f"{server}/graphql",
        json={"query": query} | ({"variables": dict(variables)} if variables else {}),
        headers=headers,
        allow_redirects=False,
    ) as response:
        return await read_response(response)


def _missing_scope(answer: ProbeResponse) -> str | None:
    errors = answer.at("errors")
    for error in errors if isinstance(errors, list) else ():
        extensions = error.get("extensions") if isinstance(error, dict) else None
        if isinstance(extensions, dict) and isinstance(extensions.get("scope"), str):
            return str(extensions["scope"])
    return None
