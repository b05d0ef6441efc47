"""Whether the bot can do its work, and if not, why: what `GET /readyz` answers."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from bot.errors import StorageUnavailable
from bot.problems import NotReady, NotReadyWhy
from bot.storage import Storage

WRITE_WITHIN_S = 3.0
# Counting what the keys cannot decrypt reads everything that is encrypted, so it is repeated soon
# only while there is something to see decrease.
COUNT_AGAIN_S = 60.0
COUNT_NONE_AGAIN_S = 3600.0

Problems = Callable[[], Sequence[NotReady]]


class Readiness:
    """Asks each part that may have problems; `sources` report theirs at once, without waiting."""

    def __init__(self, storage: Storage, *sources: Problems) -> None:
        self._storage = storage
        self._sources = sources
        self._unopenable: Mapping[str, int] = {}
        self._count_after = 0.0  # by time.monotonic()

    async def problems(self) -> Sequence[NotReady]:
        """What keeps the bot from working; nothing if it is ready."""
        others = [problem for source in self._sources for problem in source()]
        database = await self._database_problems()
        return [*database, *([] if database else await self._key_problems()), *others]

    async def _database_problems(self) -> Sequence[NotReady]:
        try:
            async with asyncio.timeout(WRITE_WITHIN_S):
                await self._storage.ping_write()
        except TimeoutError:
            return [NotReady(NotReadyWhy.WRITE_TOO_SLOW, {"within_s": WRITE_WITHIN_S})]
        except StorageUnavailable as error:
            return [NotReady(NotReadyWhy.NOT_WRITABLE, {"reason": error.reason})]
        return []

    async def _key_problems(self) -> Sequence[NotReady]:
        try:
            unopenable = await self.unopenable()
        except StorageUnavailable as error:
            return [NotReady(NotReadyWhy.NOT_READABLE, {"reason": error.reason})]
        return [NotReady(NotReadyWhy.KEYS_MISSING, unopenable)] if unopenable else []

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
