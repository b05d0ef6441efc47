"""Which hosts nobody on the open internet can reach, judged by their names alone."""

import ipaddress
from typing import Final

# Names that exist on private networks only: RFC 2606 (test), RFC 6761 (localhost), RFC 6762 (local,
# and those that its appendix G has seen), RFC 8375 (home.arpa), and internal, which ICANN reserved.
PRIVATE_SUFFIXES: Final = (
    ".home",
    ".home.arpa",
    ".internal",
    ".intranet",
    ".lan",
    ".local",
    ".localhost",
    ".test",
)


def is_private_host(host: str) -> bool:
    """Whether a host is a private address, or a name that no public DNS knows."""
    host = host.rstrip(".").lower()
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        return "." not in host or f".{host}".endswith(PRIVATE_SUFFIXES)
