"""The sockets that are listened on."""

import errno
import os
import socket
from collections.abc import Sequence
from typing import Final

BACKLOG: Final = 128  # connections that the system keeps until they are accepted
EVERYWHERE: Final = {"::": "0.0.0.0"}  # noqa: S104  # what the host asked for
NO_ADDRESS: Final = "is no address of this computer. Use 127.0.0.1, or 0.0.0.0 for every network."
NOT_HERE: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


def bind(host: str, port: int) -> Sequence[socket.socket]:
    """Sockets that listen on each address of a host, all on one port; port 0 takes a free one.

    `::` takes IPv4 as well, as it does for most programs; asyncio would leave that out.
    Errors: OSError.
    """
    if host in EVERYWHERE:
        if socket.has_dualstack_ipv6():
            family = socket.AF_INET6
            return [
                socket.create_server(
                    (host, port), family=family, backlog=BACKLOG, dualstack_ipv6=True
                )
            ]
        host = EVERYWHERE[host]
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, address in dict.fromkeys((family, at) for family, *_, at in found):
            try:
                at = (address[0], bound[0].getsockname()[1] if bound else port, *address[2:])
                bound.append(socket.create_server(at, family=family, backlog=BACKLOG))
            except OSError as error:
                if error.errno not in NOT_HERE:
                    raise
                missing = error  # such as ::1 of localhost where there is no IPv6
        if not bound and missing is not None:
            raise missing
    except OSError:
        close(bound)
        raise
    return bound


def why_not_bound(error: OSError, *, host: str = "WEBHOOK_HOST", port: str = "WEBHOOK_PORT") -> str:
    """Why a port cannot be listened on, and what to do about it; by the settings' names."""
    if isinstance(error, socket.gaierror):
        return f"{host} {NO_ADDRESS}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"another program uses it. End that program, or choose another {port}."
        case errno.EACCES:
            return f"the bot's user may not use it. Choose a {port} above 1023."
        case errno.EADDRNOTAVAIL:
            return f"{host} {NO_ADDRESS}"
        case _:
            said = os.strerror(error.errno or 0)
            return f"the system says {said!r}. Look at {host} and {port}."


def close(sockets: Sequence[socket.socket]) -> None:
    """Close sockets that nobody listens on after all."""
    for one in sockets:
        one.close()
