"""Links to the address that a Speckle server had before it moved."""

import asyncio
from collections.abc import Sequence

from bot.errors import NotASpeckleLink
from bot.speckle.links import normalise_server_url
from bot.speckle_api.client import SpeckleClient

ASK_WITHIN_S = 2.0  # somebody waits for the answer to a command


class FormerAddresses:
    """Asks the servers that the bot knows where they were before.

    A server can so claim links to one that the bot does not know, and no others. Nothing is asked
    at the former address, and no token goes there.
    """

    def __init__(self, client: SpeckleClient, servers: Sequence[str], *, asks: bool = True) -> None:
        self._client = client
        self._servers = tuple(servers) if asks else ()

    async def server_now_of(self, former: str) -> str | None:
        """The server that had this address before; None if none says so."""
        moved_from = await asyncio.gather(
            *(self._client.moved_from(one, within_s=ASK_WITHIN_S) for one in self._servers)
        )
        for server_url, address in zip(self._servers, moved_from, strict=True):
            if address is not None and _origin(address) == former:
                return server_url
        return None


def _origin(address: str) -> str | None:
    try:
        return normalise_server_url(address)
    except NotASpeckleLink:
        return None
