"""Plain HTTP to the allowed Speckle servers: signing in, pictures, objects; not GraphQL."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import AddressFamily
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import DefaultResolver
from yarl import URL

from bot.errors import SpeckleError, SpeckleServerLeftOut, SpeckleUnavailable
from bot.hosts import is_private_host
from bot.metrics import SpeckleResult
from bot.network import Network, why_not_reached
from bot.speckle_api.circuit_breaker import OUT_OF_ORDER, CircuitBreakers
from bot.speckle_api.error_answers import check_token, from_status
from bot.speckle_api.types import Login

CONNECTIONS_A_SERVER = 8
CHUNK_BYTES = 64 * 1024
CONNECTIONS_TO_STORES: Final = 4
MAX_ADDRESS: Final = 8_192  # characters; signed ones have some 1,500
# Of a store, and of the server that names it.
STORE_SCHEMES: Final = frozenset({("https", "https"), ("https", "http"), ("http", "http")})


class HttpAnswerTooLarge(SpeckleUnavailable):
    """The answer is larger than may be read; a smaller question may be answered."""


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

    def error(self, login: Login) -> SpeckleError:
        """What an answer that is none to the question of `login` means."""
        return from_status(
            login.server_url,
            self.status,
            self.json,
            self.headers.get("Retry-After"),
            with_token=login.token is not None,
        )


class SpeckleHttp:
    """One session for all allowed servers.

    It follows no redirects, reads answers up to a size, keeps no cookies, and sends a token to the
    server of its login alone. `stores` is a session for what lies elsewhere.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        stores: aiohttp.ClientSession,
        servers: Collection[str],
        breakers: CircuitBreakers,
        network: Network,
    ) -> None:
        self._session = session
        self._stores = stores
        self._servers = frozenset(servers)
        self._breakers = breakers
        self._network = network

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
        async with (
            network.session(limit=0, limit_per_host=CONNECTIONS_A_SERVER) as session,
            network.session(
                limit=CONNECTIONS_TO_STORES, resolver=PublicResolver(), use_dns_cache=False
            ) as stores,
        ):
            yield cls(session, stores, servers, breakers or CircuitBreakers(), network)

    async def get(self, login: Login, path: str, *, max_bytes: int, within_s: float) -> HttpAnswer:
        """Get `path` of the login's server.

        Errors: SpeckleUnavailable for no answer in time, and for one that is larger;
        SpeckleTokenRefused for a token that cannot be one.
        """
        return await self._asked("GET", login, path, max_bytes, within_s)

    async def post(
        self,
        login: Login,
        path: str,
        body: Mapping[str, Any],
        *,
        max_bytes: int,
        within_s: float,
    ) -> HttpAnswer:
        """Post JSON, once.

        Errors: as in `get`.
        """
        return await self._asked("POST", login, path, max_bytes, within_s, body)

    async def post_for_lines(
        self,
        login: Login,
        path: str,
        body: Mapping[str, Any],
        take: Callable[[bytes], None],
        *,
        max_bytes: int,
        within_s: float,
    ) -> HttpAnswer:
        """Post JSON, once, and have each line of the answer taken as it comes, without its end.

        The answer comes without a body then; one that is not 200 comes as it is.
        Errors: as in `get`.
        """
        return await self._asked("POST", login, path, max_bytes, within_s, body, take)

    async def get_signed(
        self, url: str, *, near: str, max_bytes: int, within_s: float
    ) -> HttpAnswer:
        """Get what the server `near` gave a signed address for, wherever that is.

        Nothing of the bot's goes along. A server on the open internet cannot have the bot look into
        its own network: neither by an address nor by a name that leads there.
        Errors: SpeckleUnavailable.
        """
        address, server = _address(url), URL(near)
        at_home = is_private_host(server.host or "")
        if address is None or (address.scheme, server.scheme) not in STORE_SCHEMES:
            raise SpeckleUnavailable(near, "the address of its store is not https")
        if is_private_host(address.host or "") and not at_home:
            raise SpeckleUnavailable(near, "the address of its store is not on the open internet")
        # A proxy finds the store by its name itself; what it may reach is for its operator to say.
        checks = not at_home and self._network.proxy_for(url) is None
        session = self._stores if checks else self._session
        try:
            async with (
                asyncio.timeout(within_s),
                session.get(address, allow_redirects=False) as answer,
            ):
                content = await _content(near, answer, max_bytes)
        except TimeoutError:
            raise SpeckleUnavailable(near, "its store gave no answer in time") from None
        except (aiohttp.ClientError, ValueError) as error:  # such as a name that is no host's
            raise SpeckleUnavailable(near, f"its store: {why_not_reached(error)}") from None
        return HttpAnswer(answer.status, answer.headers, content)

    async def _asked(
        self,
        method: str,
        login: Login,
        path: str,
        max_bytes: int,
        within_s: float,
        body: Mapping[str, Any] | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> HttpAnswer:
        check_token(login)
        server_url = login.server_url
        headers = {} if login.token is None else {"Authorization": f"Bearer {login.token}"}
        if server_url not in self._servers:
            raise SpeckleServerLeftOut(server_url)
        self._breakers.begin(server_url)
        result = SpeckleResult.FAILED
        try:
            async with (
                asyncio.timeout(within_s),
                self._session.request(
                    method, server_url + path, json=body, headers=headers, allow_redirects=False
                ) as answer,
            ):
                if answer.status in OUT_OF_ORDER:
                    self._breakers.out_of_order(server_url, f"it answers HTTP {answer.status}")
                else:
                    self._breakers.answered(server_url)
                if take is not None and answer.status == 200:
                    content = await _lines(server_url, answer, max_bytes, take)
                else:
                    content = await _content(server_url, answer, max_bytes)
                result = _result(answer.status)
        except TimeoutError:
            if within_s >= self._breakers.limits.silence_s:
                self._breakers.failed(server_url)
            raise SpeckleUnavailable(server_url, "it gave no answer in time") from None
        except aiohttp.ClientError as error:
            reason = why_not_reached(error)
            self._breakers.failed(server_url, reason)
            raise SpeckleUnavailable(server_url, reason) from None
        finally:
            self._breakers.count(server_url, result)
        return HttpAnswer(answer.status, answer.headers, content)


def _result(status: int) -> SpeckleResult:
    if status < 400:
        return SpeckleResult.ANSWERED
    return SpeckleResult.FAILED if status == 429 or status >= 500 else SpeckleResult.REFUSED


class PublicResolver(AbstractResolver):
    """Finds addresses of names, but none that lies in a private network."""

    def __init__(self) -> None:
        self._resolver = DefaultResolver()

    async def resolve(
        self, host: str, port: int = 0, family: AddressFamily = AddressFamily.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The public addresses of a name. Errors: OSError where it has none."""
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if not is_private_host(one["host"])]
        if not public:
            raise OSError(None, "the name leads into a private network")
        return public

    async def close(self) -> None:
        """Release what the resolver of the system holds."""
        await self._resolver.close()


def _address(url: str) -> URL | None:
    """A signed address, escapes and all as they were signed; None for one that is none.

    One with a name and a password would have them sent along.
    """
    if len(url) > MAX_ADDRESS:
        return None
    try:
        address = URL(url, encoded=True)
        sound = address.host and address.port and address.user is None
    except ValueError:
        return None
    return address if sound and address.password is None else None


async def _content(server_url: str, answer: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    content = bytearray()
    async for chunk in _chunks(server_url, answer, max_bytes):
        content += chunk
    return bytes(content)


async def _lines(
    server_url: str, answer: aiohttp.ClientResponse, max_bytes: int, take: Callable[[bytes], None]
) -> bytes:
    """Have whole lines taken; nothing is left."""
    begun = bytearray()
    async for chunk in _chunks(server_url, answer, max_bytes):
        *whole, rest = chunk.split(b"\n")
        if whole:
            take(bytes(begun) + whole[0])
            for line in whole[1:]:
                take(line)
            begun.clear()
        begun += rest
    if begun:
        take(bytes(begun))
    return b""


async def _chunks(
    server_url: str, answer: aiohttp.ClientResponse, max_bytes: int
) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in answer.content.iter_chunked(CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            answer.close()
            raise HttpAnswerTooLarge(server_url, "its answer is too large to be read")
        yield chunk
