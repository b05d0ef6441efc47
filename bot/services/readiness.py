"""Whether the bot can do its work, and if not, why: what `GET /readyz` answers.

A reason is a sentence that strangers may read: it holds no path, no name and no secret.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from bot.errors import StorageUnavailable
from bot.storage import Storage

WRITE_WITHIN_S = 3.0
# Counting what the keys cannot decrypt reads everything that is encrypted, so it is repeated soon
# only while there is something to see decrease.
COUNT_AGAIN_S = 60.0
COUNT_NONE_AGAIN_S = 3600.0

Problems = Callable[[], Sequence[str]]


class Readiness:
    """Asks each part that may have problems; `sources` report theirs at once, without waiting."""

    def __init__(
        self, storage: Storage, *sources: Problems, write_within_s: float = WRITE_WITHIN_S
    ) -> None:
        self._storage = storage
        self._sources = sources
        self._write_within_s = write_within_s
        self._unopenable: Mapping[str, int] = {}
        self._count_after = 0.0  # by time.monotonic()

    async def problems(self) -> Sequence[str]:
        """What keeps the bot from working, one sentence each; none if it is ready."""
        told = [problem for source in self._sources for problem in source()]
        database = await self._database_problems()
        return [*database, *([] if database else await self._key_problems()), *told]

    async def _database_problems(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(self._write_within_s):
                await self._storage.ping_write()
        except TimeoutError:
            return [f"The database did not complete a write within {self._write_within_s:g} s."]
        except StorageUnavailable as error:
            return [f"The database cannot be written: {error.reason}."]
        return []

    async def _key_problems(self) -> Sequence[str]:
        try:
            unopenable = await self.unopenable()
        except StorageUnavailable as error:
            return [f"The database cannot be read: {error.reason}."]
        return [f"{unopenable_text(unopenable)}."] if unopenable else []

    async def unopenable(self) -> Mapping[str, int]:
        """How many encrypted values no key can decrypt, by kind, at the last count.

        Errors: StorageUnavailable.
        """
        if time.monotonic() >= self._count_after:
            self._count_after = time.monotonic() + COUNT_AGAIN_S  # one count at a time
            self._unopenable = await self._storage.sealed.unopenable()
            if not self._unopenable:
                self._count_after = time.monotonic() + COUNT_NONE_AGAIN_S
        return self._unopenable


def unopenable_text(unopenable: Mapping[str, int]) -> str:
    """What the keys cannot decrypt, as a sentence without its full stop."""
    what = ", ".join(f"{n} {kind}{'s' * (n != 1)}" for kind, n in unopenable.items())
    return f"None of ENCRYPTION_KEYS can decrypt {what}"
