"""The way in: whether events reach the bot from outside, and whom the shared hook serves."""

import errno
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from bot.cards.text import counted
from bot.cli.check.http_probe import get, origin, where_to_look, why_failed
from bot.cli.check.report import CheckMark, CheckResult
from bot.hosts import is_private_host
from bot.http_server import BELOW_PUBLIC_PATH, Limits, PublicPath, bind, serving, why_not_bound
from bot.settings import Settings

LIVE_FOR: Final = {
    "public": "public projects only",
    "owners": "public projects, and private ones for those who own them",
    "readers": "public projects, and private ones for anyone who may read them",
}


async def check_public_url(
    settings: Settings, http: aiohttp.ClientSession
) -> Sequence[CheckResult]:
    """Whether PUBLIC_URL leads to this very process, or to the bot that holds the port."""
    what, url = "Public URL", settings.public_url
    if url is None:
        return [await _without(settings, http)]
    if settings.webhook_port == 0:
        return [
            CheckResult(
                CheckMark.SKIPPED, what, "not tried, WEBHOOK_PORT=0 gives another port each time."
            )
        ]
    try:
        async with _answering(settings.webhook_host, settings.webhook_port, url) as probe:
            return [await _reached(http, url, probe)]
    except _CannotListen as cannot:
        error = cannot.reason
        if error.errno == errno.EADDRINUSE:
            return [await _reached(http, url, None)]
        return [CheckResult(CheckMark.BAD, what, _not_bound(settings, error))]


async def _without(settings: Settings, http: aiohttp.ClientSession) -> CheckResult:
    """What works all the same; the port is bound in any case."""
    what, host, port = "Public URL", settings.webhook_host, settings.webhook_port
    try:
        for one in bind(host, port):
            one.close()
    except OSError as error:
        runs = error.errno == errno.EADDRINUSE and await _is_healthy(http, host, port)
        if not runs:
            return CheckResult(CheckMark.BAD, what, _not_bound(settings, error))
    text = (
        "PUBLIC_URL is not set, and need not be: projects are followed live, and people link "
        "accounts by pasting a token or a code. Webhooks and pages for signing in need it: the "
        "address of your tunnel or reverse proxy, in .env as PUBLIC_URL=https://... "
        f"{f'{host} port {port}' if port else f'A free port of {host}'} is listened on all the "
        "same, for GET /healthz and /readyz."
    )
    return CheckResult(CheckMark.SKIPPED, what, text)


async def _is_healthy(http: aiohttp.ClientSession, host: str, port: int) -> bool:
    """Whether a bot is what listens there."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # to ask, not to bind
    try:
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"
        return (await get(http, url, {})).status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def _not_bound(settings: Settings, error: OSError) -> str:
    at = f"{settings.webhook_host} port {settings.webhook_port}"
    return f"{at} cannot be listened on: {why_not_bound(error)}"


async def check_live(settings: Settings) -> Sequence[CheckResult]:
    """Of which projects accounts may hear."""
    text = (
        "projects can be followed through the account of the person who subscribes: "
        f"{LIVE_FOR[settings.live.who]} (who in [live] of config.toml). Channels that follow "
        "others that way are paused at the next start."
    )
    return [CheckResult(CheckMark.GOOD, "Live", text)]


class _CannotListen(Exception):
    """The listener's address cannot be bound."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Probe:
    """What is asked for from outside, and what this computer answers to it."""

    path: str
    nonce: str


@asynccontextmanager
async def _answering(host: str, port: int, public_url: str) -> AsyncIterator[_Probe]:
    """A server on the listener's address that answers one unguessable path with a nonce."""
    probe = _Probe(f"/check/{secrets.token_urlsafe(16)}", secrets.token_urlsafe(16))
    public_path = PublicPath(public_url)

    async def answer(request: web.Request) -> web.Response:
        kept = BELOW_PUBLIC_PATH if public_path.was_kept(request) else ""
        return web.Response(text=probe.nonce + kept)

    app = web.Application()
    app.router.add_get(probe.path, answer)
    try:
        sockets = bind(host, port)
    except OSError as error:
        raise _CannotListen(error) from error
    async with serving(
        app, sockets, Limits(), public_path=public_path, on_memory_full=lambda: False
    ):
        yield probe


async def _reached(http: aiohttp.ClientSession, url: str, probe: _Probe | None) -> CheckResult:
    """What comes back from outside; without a probe, a bot that runs already is expected there."""
    what, aim = "Public URL", "this computer" if probe else "the bot that runs already"
    try:
        answer = await get(http, url + (probe.path if probe else "/healthz"), {})
    except (aiohttp.ClientError, TimeoutError) as error:
        look = where_to_look(error, "the tunnel or reverse proxy")
        text = f"{url} cannot be reached: {why_failed(error)}. {look}"
        return CheckResult(CheckMark.BAD, what, text)
    if 300 <= answer.status < 400:
        text = f"it redirects to {origin(answer.location)}, and a webhook's body gets lost there. "
        return CheckResult(
            CheckMark.BAD, what, f"{text}Put the address that it redirects to in PUBLIC_URL."
        )
    if answer.status != 200 or (probe and not answer.text.startswith(probe.nonce)):
        text = (
            f"{url} does not lead to {aim}: something else answers (HTTP {answer.status}). Let "
            "the tunnel or reverse proxy pass everything on to WEBHOOK_HOST and WEBHOOK_PORT."
        )
        return CheckResult(CheckMark.BAD, what, text)
    if is_private_host(urlsplit(url).hostname or ""):
        text = (
            f"{url} leads to {aim}, but it is a private address, which Speckle servers refuse "
            "unless their webhook-service has ALLOW_LOCAL_NETWORK=true."
        )
        return CheckResult(CheckMark.SKIPPED, what, text + _of_the_path(url, answer.text))
    return CheckResult(
        CheckMark.GOOD, what, f"{url} leads to {aim}.{_of_the_path(url, answer.text)}"
    )


def _of_the_path(url: str, answered: str) -> str:
    """What the reverse proxy does with the path of PUBLIC_URL; the listener knows both ways."""
    path = urlsplit(url).path
    if not path:
        return ""
    does = "keeps" if answered.endswith(BELOW_PUBLIC_PATH) else "strips"
    return f" The reverse proxy {does} {path}, which is fine."


async def check_shared_hook(settings: Settings) -> Sequence[CheckResult]:
    """Whether the two halves of the shared hook are set; nothing is said where neither is."""
    guilds = len(settings.organisation.guilds)
    match settings.speckle_webhook_secret is not None, guilds > 0:
        case True, True:
            text = f"POST /webhook serves {counted(guilds, 'Discord server')}"
            row = CheckResult(CheckMark.GOOD, "Shared hook", f"{text}.")
            if settings.public_url is None:
                at = f"{settings.webhook_host} port {settings.webhook_port}"
                text += f", of Speckle servers that reach {at} themselves: PUBLIC_URL is not set."
                row = CheckResult(CheckMark.WARNED, "Shared hook", text)
        case True, False:
            text = "off, as guilds in [organisation] of config.toml names no guild."
            row = CheckResult(CheckMark.BAD, "Shared hook", f"{text} Add their ids there.")
        case _:
            text = (
                "off, as SPECKLE_WEBHOOK_SECRET is not set; each Discord server has webhooks of "
                "its own."
            )
            row = CheckResult(CheckMark.SKIPPED, "Shared hook", text)
    return [row]
