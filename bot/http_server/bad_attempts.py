"""Who is refused again and again is answered later and later."""

import asyncio
import ipaddress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

from cachetools import TTLCache

IPV6_NETWORK_BITS: Final = 64  # of these addresses one caller has all


@dataclass(slots=True)
class BadAttempts:
    """Counts refused requests by address and says how long the next refusal has to wait.

    Only refusals wait, never a good delivery: behind a reverse proxy all share one address.
    """

    free: int = 10
    window_s: float = 60.0
    delay_s: float = 1.0
    waiting_at_once: int = 32
    addresses: int = 10_000
    _seen: TTLCache[str, "count[int]"] = field(init=False)
    _waiting: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._seen = TTLCache(self.addresses, self.window_s)

    async def slow_down(self, address: str) -> bool:
        """Count one refusal and wait if there were too many; False if too many wait already."""
        refused_before = next(self._seen.setdefault(_network(address), count()))
        if refused_before < self.free:
            return True
        if self._waiting >= self.waiting_at_once:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self._waiting -= 1
        return True


def _network(address: str) -> str:
    """What one caller has: an IPv4 address, or the network around an IPv6 one."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, IPV6_NETWORK_BITS), strict=False))
