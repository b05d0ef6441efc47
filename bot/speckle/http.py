"""Plain HTTP to the allowed Speckle servers: for signing in and for pictures, not for GraphQL."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Self


class SpeckleHttp:
    """One session for all allowed servers.

    It follows no redirects, reads answers up to a size, keeps no cookies, and sends a token to the
    server of its login alone.
    """

    @classmethod
    @asynccontextmanager
    async def open(cls, servers: Collection[str]) -> AsyncIterator[Self]:
        """The session, for as long as the block lasts; `servers` are origins."""
        yield cls()
