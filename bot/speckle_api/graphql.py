"""One question to one Speckle server, through specklepy. The only file that knows specklepy.

specklepy blocks, is slow to load and so loaded at the first question, and a client of it serves
one thread at a time. Each question has a client of its own: making one costs nothing, and no
token stays behind in it.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.errors import AnswerUnreadable, SpeckleError, SpeckleRejected, SpeckleUnavailable
from bot.network import Network, why_not_reached
from bot.speckle_api.error_answers import from_errors, from_status, seconds

if TYPE_CHECKING:
    from gql import GraphQLRequest
    from gql.transport.requests import RequestsHTTPTransport
    from requests import PreparedRequest, Response
    from requests.adapters import HTTPAdapter
    from specklepy.api.client import SpeckleClient

MAX_ANSWER_BYTES = 32 * 1024 * 1024  # a version of 900,000 objects has a closure of this size
CHUNK_BYTES = 64 * 1024
SHORTEST_TIMEOUT_S = 0.05


class AnswerTooLarge(SpeckleRejected):
    """The answer is larger than may be read; a smaller question may be answered."""


class NoResponse(SpeckleUnavailable):
    """The server cannot be reached, or says nothing in time."""


class _TookTooLong(Exception):
    """The answer comes, but too slowly."""


class _TooLarge(Exception):
    """The answer has no end."""


@dataclass(frozen=True, slots=True)
class GraphQLResponse:
    """What came back: `data`, if there is any, and the server's `errors`."""

    data: Any
    errors: tuple[Mapping[str, Any], ...] = ()
    retry_in_s: float | None = None


@dataclass(slots=True)
class _Seen:
    """The answer's head, which specklepy's errors leave out."""

    status: int | None = None
    retry_after: str | None = None
    json: Any = None
    beyond_reading: bool = False  # nested too deeply, or with a number of thousands of digits


def ask(
    server_url: str,
    token: str | None,
    question: str,
    variables: Mapping[str, Any],
    until: float,
    network: Network,
    max_bytes: int,
) -> GraphQLResponse:
    """Ask in this thread, which is held up until `time.monotonic()` is `until` at most.

    Errors: SpeckleUnavailable, SpeckleTokenRefused, SpeckleRejected, and AnswerTooLarge. What
    is said inside a GraphQL answer is no error here.
    """
    from gql import GraphQLRequest
    from gql.transport.exceptions import TransportError, TransportQueryError

    seen = _Seen()
    client = _connect(server_url, seen, network)
    request = GraphQLRequest(_parsed(question), variable_values=dict(variables))
    timeout_s = max(SHORTEST_TIMEOUT_S, until - time.monotonic())
    settings = {
        "auth": _signed_with(token),
        "allow_redirects": False,  # a token must not travel
        "stream": True,
        "hooks": {"response": _reader(seen, until, max_bytes)},
    }
    try:
        data = client.httpclient.execute(request, timeout=timeout_s, extra_args=settings)
    except TransportQueryError as error:
        return GraphQLResponse(error.data, tuple(error.errors or ()), seconds(seen.retry_after))
    except TransportError as error:
        # Without its cause, whose words quote the answer.
        raise _translated(server_url, seen, token, error, until) from None
    return GraphQLResponse(data)


def _translated(
    server_url: str, seen: _Seen, token: str | None, error: Exception, until: float
) -> SpeckleError:
    from gql.transport.exceptions import TransportConnectionFailed

    if isinstance(error.__cause__, _TooLarge):
        return AnswerTooLarge(server_url, "its answer is too large to be read")
    if seen.beyond_reading:
        return AnswerUnreadable(server_url, "its answer is not that of a Speckle server")
    if isinstance(error, TransportConnectionFailed) or seen.status is None:
        late = time.monotonic() >= until - SHORTEST_TIMEOUT_S
        if late or isinstance(error.__cause__, _TookTooLong):
            return NoResponse(server_url, "it gave no answer in time")
        if seen.status is not None:
            return NoResponse(server_url, "it breaks off in its answer")
        return NoResponse(server_url, why_not_reached(error))
    return from_status(
        server_url, seen.status, seen.json, seen.retry_after, with_token=token is not None
    )


def _connect(server_url: str, seen: _Seen, network: Network) -> "SpeckleClient":
    """A client for one question, which asks nothing on its own."""
    address = urlsplit(server_url)
    client = _quiet_client()(
        host=address.netloc, use_ssl=address.scheme == "https", connection_retries=0
    )
    transport = client.httpclient.transport
    transport.json_deserialize = _deserialiser(seen)
    transport.connect = partial(_open_session, transport, network)
    return client


@cache
def _quiet_client() -> "type[SpeckleClient]":
    """A class is made once: each would be garbage that is only found after many more questions."""
    from specklepy.api.client import SpeckleClient
    from specklepy.logging import metrics

    class Quiet(SpeckleClient):  # type: ignore[misc]
        """Without the resources, for whose sake the constructor asks the server's version."""

        def _init_resources(self) -> None:
            pass

    metrics.disable()
    return Quiet


def _open_session(transport: "RequestsHTTPTransport", network: Network) -> None:
    """Open the session that the transport asks with, under the one rule for all connections."""
    import requests

    session = requests.Session()
    session.trust_env = False  # no other proxy, no other certificates, no ~/.netrc
    proxy = network.proxy_for(transport.url)
    if proxy is not None:
        session.proxies = {"http": proxy, "https": proxy}
    if transport.url.startswith("https:"):
        session.mount("https://", _trusting(network))
    transport.session = session


def _trusting(network: Network) -> "HTTPAdapter":
    """What makes https connections; requests' own trusts certifi's certificates, and no others."""
    from requests.adapters import HTTPAdapter

    class Adapter(HTTPAdapter):
        """Trusts whom the rule says."""

        def init_poolmanager(self, *limits: Any, **more: Any) -> None:
            super().init_poolmanager(*limits, ssl_context=network.ssl_context, **more)

        def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
            return super().proxy_manager_for(proxy, ssl_context=network.ssl_context, **more)

        def cert_verify(self, *_: Any) -> None:
            """Leave it to the context, to which requests would add certifi's certificates."""

    return Adapter()


@lru_cache(maxsize=64)
def _parsed(question: str) -> "GraphQLRequest":
    from gql import gql

    return gql(question)


def _signed_with(token: str | None) -> Callable[["PreparedRequest"], "PreparedRequest"]:
    """What puts the token on a request; it also keeps requests from looking into ~/.netrc."""

    def sign(request: "PreparedRequest") -> "PreparedRequest":
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return sign


def _reader(seen: _Seen, until: float, max_bytes: int) -> Callable[..., "Response"]:
    """What reads an answer's body: up to its limit, and no longer than there is time."""

    def read(response: "Response", **_: Any) -> "Response":
        seen.status = response.status_code
        seen.retry_after = response.headers.get("Retry-After")
        body = bytearray()
        for chunk in response.iter_content(CHUNK_BYTES):
            body += chunk
            if len(body) > max_bytes:
                response.close()
                raise _TooLarge
            if time.monotonic() > until:
                response.close()
                raise _TookTooLong
        # requests would continue to read on its own, without an end; and would guess at the
        # encoding.
        response._content = bytes(body)
        response.encoding = "utf-8"
        return response

    return read


def _deserialiser(seen: _Seen) -> Callable[[str], dict[str, Any]]:
    """What reads JSON and lets through only what a GraphQL server can mean."""

    def read(text: str) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            raise
        except (RecursionError, ValueError):
            seen.beyond_reading = True
            raise
        seen.json = found
        errors, data = (found.get("errors"), found.get("data")) if _is_object(found) else (0, 0)
        spoke = isinstance(errors, list) and errors and all(map(_is_object, errors))
        if not (spoke and (data is None or _is_object(data))) and not (
            errors is None and _is_object(data)
        ):
            raise ValueError("no GraphQL answer")
        return found

    return read


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def raise_errors(server_url: str, answer: GraphQLResponse) -> None:
    """Raise what the server said inside its answer, if it said anything."""
    if answer.errors:
        raise from_errors(server_url, answer.errors, answer.retry_in_s)
