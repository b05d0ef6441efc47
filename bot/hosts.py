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
# Addresses of IPv6 whose last four bytes are one of IPv4: RFC 4291 (2.5.5), RFC 6052 (NAT64).
WITH_IPV4: Final = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)


def is_private_host(host: str) -> bool:
    """Whether a host is a private address, or a name that no public DNS knows."""
    host = host.rstrip(".").lower()
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "." not in host or f".{host}".endswith(PRIVATE_SUFFIXES)
    return not _ipv4_in(address).is_global


def _ipv4_in(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """The address that one of IPv6 stands for; else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if any(address in one for one in WITH_IPV4):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour or address
