"""Asking servers over the network, and putting into words why they do not answer."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp

from bot.cli.check.report import printable
from bot.network import why_not_reached

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class ProbeResponse:
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


async def get(http: aiohttp.ClientSession, url: str, headers: Mapping[str, str]) -> ProbeResponse:
    """Ask for an address; where it sends on to is not followed."""
    async with http.get(url, headers=headers, allow_redirects=False) as response:
        return await read_response(response)


async def read_response(response: aiohttp.ClientResponse) -> ProbeResponse:
    """The answer, up to the allowed length."""
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
    return ProbeResponse(response.status, text, data, response.headers.get("Location", ""))


def why_failed(error: Exception) -> str:
    """A network error in a few words, without addresses that may hold a secret."""
    match error:
        case TimeoutError():
            return f"no answer within {TIMEOUT_S:.0f} s"
        case aiohttp.ClientConnectorDNSError():
            # Of a proxy too, which then is the one to look at.
            return f"the name {error.host} does not exist"
        case aiohttp.ClientSSLError() | aiohttp.ClientHttpProxyError():
            return why_not_reached(error)
        case aiohttp.ClientProxyConnectionError():
            return why_not_reached(error)
        case aiohttp.ClientConnectorError():
            return os.strerror(error.errno) if error.errno else "the connection failed"
        case aiohttp.ServerDisconnectedError():
            return "it closed the connection"
        case _:
            return "its answer is not valid"


def where_to_look(error: Exception, otherwise: str) -> str:
    """What the host is to look at: the proxy, if the request ended there."""
    at_proxy = (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError)
    return f"Look at {'HTTPS_PROXY and NO_PROXY' if isinstance(error, at_proxy) else otherwise}."


def origin(location: str) -> str:
    """Where an answer sends on to, without what may be secret."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "somewhere else"
    return f"{parts.scheme}://{printable(parts.netloc)}" if parts.netloc else "another path"
