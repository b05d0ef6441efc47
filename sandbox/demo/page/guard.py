"""What a request to the page must be, so that no other site in the same browser reaches it.

A page of another site may send requests to this port, and a name of its own may lead to 127.0.0.1
(DNS rebinding). So every request names this address as its host, and one that changes something
comes from this page and is JSON, which a browser sends elsewhere only after asking.
"""

from collections.abc import Mapping
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler

NAMES: Final = ("127.0.0.1", "localhost")
READS: Final = ("GET", "HEAD")
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in what the page itself asks."""
    if (problem := refusal(request, _port(request))) is not None:
        return web.json_response({"error": problem}, status=403)
    return await handler(request)


async def add_headers(_: web.Request, answer: web.StreamResponse) -> None:
    """Tell the browser what the page may load, and who may show it."""
    for name, value in HEADERS.items():
        answer.headers.setdefault(name, value)


def _port(request: web.Request) -> int:
    """The port that the request came in at."""
    transport = request.transport
    return 0 if transport is None else int(transport.get_extra_info("sockname")[1])


def refusal(request: web.Request, port: int) -> str | None:
    """Why the request is not let in, as a sentence; None for one of the page's own."""
    hosts = {f"{name}:{port}" for name in NAMES}
    if request.headers.getall("Host", []) not in [[host] for host in hosts]:
        return f"This page is at http://127.0.0.1:{port} only. Open that address."
    origin = request.headers.get("Origin")
    own = f"http://{request.host}"
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        navigates = request.headers.get("Sec-Fetch-Mode") == "navigate"
        if not (navigates and request.method == "GET"):
            return "Another site's page may not ask this one."
    if request.method in READS:
        return None if origin in (None, own) else "Another site's page may not ask this one."
    if origin != own:
        return "Only this page itself may change something here."
    if request.content_type != "application/json":
        return "What changes something here is sent as application/json."
    return None
