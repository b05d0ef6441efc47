"""How much of the bot strangers may hold at the open port, and for how long."""

from dataclasses import dataclass, field
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
MOST_CONNECTIONS: Final = 512
# Half of the files that this process may open stays for databases, Discord and Speckle, and for
# the connections that the system hands over at once before the oldest are closed.
SHARE_OF_FILES: Final = 0.5
LEAST_CONNECTIONS: Final = 16


def connections_within_files() -> int:
    """How many connections fit into what this process may open."""
    try:
        import resource
    except ImportError:  # Windows, whose sockets are no files
        return MOST_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(MOST_CONNECTIONS, max(LEAST_CONNECTIONS, int(files * SHARE_OF_FILES)))


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, bytes and connections.

    `head_s`: from the first byte of a request, or from the connection, to the end of its head.
    `idle_s`: between two requests of a connection; longer than reverse proxies keep theirs (nginx
    60 s, Caddy 120 s), as one that is closed while it is used again costs a delivery. `body_s`: for
    a body; Speckle itself gives up after 10 s. `closing_s`, `closing_bytes`: for what a caller
    still sends behind the answer, which is dropped so that the answer reaches them; who sends
    nothing for `quiet_s` has had it. `body_bytes`: of all bodies being read together, except for
    the first `free_body_bytes` of each; one may go beyond it, so that those which wait for each
    other end. `least_bytes_per_s`: who is slower, over about `rate_s`, is dropped when others need
    the room. `every_s`: how often connections are looked at.
    """

    connections: int = field(default_factory=connections_within_files)
    head_s: float = 10.0
    head_bytes: int = 32 * KIB
    idle_s: float = 150.0
    body_s: float = 15.0
    closing_s: float = 2.0
    closing_bytes: int = 4 * MIB
    quiet_s: float = 0.1
    body_bytes: int = 75 * MIB
    free_body_bytes: int = 64 * KIB
    least_bytes_per_s: float = 256 * KIB
    rate_s: float = 1.0
    every_s: float = 1.0
