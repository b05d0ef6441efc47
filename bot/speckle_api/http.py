"""Plain HTTP to the allowed Speckle servers: for signing in and for pictures, not for GraphQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp

from bot.errors import SpeckleUnavailable
from bot.network import Network, why_not_reached
from bot.speckle_api.circuit_breaker import CircuitBreakers
from bot.speckle_api.error_answers import check_token
from bot.speckle_api.types import Login

CONNECTIONS_A_SERVER = 8
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer; `headers` are found by names in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def json(self) -> Any:
        """The body as JSON; None for anything else."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class SpeckleHttp:
    """One session for all allowed servers.

    It follows no redirects, reads answers up to a size, keeps no cookies, and sends a token to the
    server of its login alone.
    """

    def __init__(
        self, session: aiohttp.ClientSession, servers: Collection[str], breakers: CircuitBreakers
    ) -> None:
        self._session = session
        self._servers = frozenset(servers)
        self._breakers = breakers

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        servers: Collection[str],
        breakers: CircuitBreakers | None = None,
        network: Network | None = None,
    ) -> AsyncIterator[Self]:
        """The session, for as long as the block lasts; `servers` are origins.

        `breakers` are shared with others who ask the same servers.
        """
        network = network or Network()
        connector = network.connector(limit=0, limit_per_host=CONNECTIONS_A_SERVER)
        async with aiohttp.ClientSession(
            connector=connector, cookie_jar=aiohttp.DummyCookieJar()
        ) as session:
            yield cls(session, servers, breakers or CircuitBreakers())

    async def get(self, login: Login, path: str, *, max_bytes: int, within_s: float) -> HttpAnswer:
        """Get `path` of the login's server.

        Errors: SpeckleUnavailable for no answer in time, and for one that is larger;
        SpeckleTokenRefused for a token that cannot be one.
        """
        check_token(login)
        headers = {} if login.token is None else {"Authorization": f"Bearer {login.token}"}
        return await self._asked("GET", login.server_url, path, max_bytes, within_s, headers)

    async def post(
        self,
        server_url: str,
        path: str,
        body: Mapping[str, str],
        *,
        max_bytes: int,
        within_s: float,
    ) -> HttpAnswer:
        """Post JSON, once.

        Errors: SpeckleUnavailable, as in `get`.
        """
        return await self._asked("POST", server_url, path, max_bytes, within_s, {}, body)

    async def _asked(
        self,
        method: str,
        server_url: str,
        path: str,
        max_bytes: int,
        within_s: float,
        headers: Mapping[str, str],
        body: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        if server_url not in self._servers:
            reason = "SPECKLE_SERVERS does not name it"
            raise SpeckleUnavailable(server_url, reason)
        self._breakers.begin(server_url)
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.request(
                    method, server_url + path, json=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                self._breakers.answered(server_url)
                content = await _content(server_url, answer, max_bytes)
        except TimeoutError:
            if within_s >= self._breakers.limits.silence_s:
                self._breakers.failed(server_url)
            raise SpeckleUnavailable(server_url, "it gave no answer in time") from None
        except aiohttp.ClientError as error:
            reason = why_not_reached(error)
            self._breakers.failed(server_url, reason)
            raise SpeckleUnavailable(server_url, reason) from None
        return HttpAnswer(answer.status, answer.headers, content)


async def _content(server_url: str, answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        content += chunk
        if len(content) > max_bytes:
            answer.close()
            raise SpeckleUnavailable(server_url, "its answer is too large to be read")
    return bytes(content)
