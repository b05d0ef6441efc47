"""Whether a Speckle server's webhooks would reach this very bot under its PUBLIC_URL."""

import asyncio
import socket
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import aiohttp

from bot.hosts import is_private_host
from bot.network import Network, why_not_reached

INSTANCE_PATH = "/instance"  # answered by bot/webhook_listener.py
INSTANCE_ID_KEY = "instance.id"
WITHIN_S = 5.0
LOOK_UP_WITHIN_S = 2.0
MOST_BYTES = 256  # of an answer; the id has 32


class ProbeProblem(StrEnum):
    """What is wrong with PUBLIC_URL."""

    MISSING = "missing"
    NOT_HTTPS = "not_https"
    PRIVATE = "private"
    NO_ANSWER = "no_answer"
    REDIRECTS = "redirects"
    NOT_THIS_BOT = "not_this_bot"


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """How PUBLIC_URL looks from here to webhooks of one Speckle server.

    `problem` keeps a webhook from being made; `detail` says what was seen. `local_speckle`: that
    server has a private address, so its webhook-service needs ALLOW_LOCAL_NETWORK=true to call a
    private one, as the bot's is if `local_bot`.
    """

    problem: ProbeProblem | None = None
    detail: str = ""
    local_speckle: bool = False
    local_bot: bool = False


class PublicUrlProbe:
    """Looks at the operator's PUBLIC_URL; nothing that a user typed is ever fetched.

    `instance` is the id that this bot's listener answers under INSTANCE_PATH.
    """

    def __init__(
        self, public_url: str | None, instance: str, network: Network | None = None
    ) -> None:
        self.public_url = None if public_url is None else public_url.rstrip("/")
        self._instance = instance
        self._network = network or Network()

    async def check(self, server_url: str) -> ProbeResult:
        """Look at it from the side of this Speckle server."""
        url = self.public_url
        if url is None:
            return ProbeResult(ProbeProblem.MISSING)
        host = urlsplit(url).hostname or ""
        local_speckle, local_bot = await asyncio.gather(
            _is_private(urlsplit(server_url).hostname or ""), _is_private(host)
        )
        # A name that only resolves to private addresses here may well be public elsewhere.
        if not local_speckle and is_private_host(host):
            return ProbeResult(ProbeProblem.PRIVATE, host, local_speckle, local_bot)
        if not local_speckle and urlsplit(url).scheme != "https":
            return ProbeResult(ProbeProblem.NOT_HTTPS, "", local_speckle, local_bot)
        problem, detail = await self._ask(url)
        return ProbeResult(problem, detail, local_speckle, local_bot)

    async def _ask(self, url: str) -> tuple[ProbeProblem | None, str]:
        timeout = aiohttp.ClientTimeout(total=WITHIN_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, connector=self._network.connector()) as http,
                http.get(f"{url}{INSTANCE_PATH}", allow_redirects=False) as answer,
            ):
                if 300 <= answer.status < 400:
                    where = urlsplit(answer.headers.get("Location", ""))
                    return ProbeProblem.REDIRECTS, f"{where.scheme}://{where.netloc}"
                body = await answer.content.read(MOST_BYTES)
        except TimeoutError:
            return ProbeProblem.NO_ANSWER, f"no answer within {WITHIN_S:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return ProbeProblem.NO_ANSWER, _reason(error)
        if body.strip() != self._instance.encode():
            return ProbeProblem.NOT_THIS_BOT, f"HTTP {answer.status}"
        return None, ""


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    return why_not_reached(error)


async def _is_private(host: str) -> bool:
    """Whether the host is private by its name, or resolves to nothing but private addresses."""
    if is_private_host(host):
        return True
    try:
        async with asyncio.timeout(LOOK_UP_WITHIN_S):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # TimeoutError is an OSError
        return False
    addresses = [str(address[4][0]) for address in found]
    return bool(addresses) and all(is_private_host(address) for address in addresses)
