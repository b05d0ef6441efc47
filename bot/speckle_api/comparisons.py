"""Compares two versions of a model, whatever they consist of."""

from collections import defaultdict
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Final

from cachetools import TTLCache

from bot.fairness import FairSemaphore
from bot.single_flight import SingleFlightCache
from bot.speckle.comparison import Comparison, NotCompared, WhyNotCompared
from bot.speckle_api.bundle_comparison import BundleComparison
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import ObjectStream
from bot.speckle_api.tree_comparison import TreeComparison, TreeLimits
from bot.speckle_api.types import Login

LIMITS: Final = TreeLimits()
MOST_KEPT: Final = 20_000_000  # characters; a usual change of 10,000 elements has some 30,000
ROW: Final = 100  # characters that a row takes beside its texts
KEEP_S: Final = 600.0  # a card and people who ask about it cost a server one comparison


@dataclass(frozen=True, slots=True)
class VersionContent:
    """What a version consists of: a tree below the object `object_id`, or a bundle."""

    version_id: str
    model_id: str
    object_id: str | None
    bundle: bool = False


class Comparisons:
    """Compares one pair of versions at a time for each server; guilds take turns.

    What was found is kept for all who may read the project: its key holds the contents' ids, which
    the server told them. What a server refuses one login is no answer to another one.
    """

    def __init__(
        self, http: SpeckleHttp, limits: TreeLimits = LIMITS, bundles: BundleReader | None = None
    ) -> None:
        self._http = http
        self._bundles = bundles or BundleReader()
        self._limits = limits
        self._asked = SingleFlightCache[Comparison](max_values=1, ttl_s=0.0)
        self._found = TTLCache[Hashable, Comparison](MOST_KEPT, KEEP_S, getsizeof=_size)
        self._turns = defaultdict[str, FairSemaphore](lambda: FairSemaphore(1))

    def close(self) -> None:
        """End what is still being compared."""
        self._asked.close()

    def is_kept(
        self, server_url: str, project_id: str, before: VersionContent, after: VersionContent
    ) -> bool:
        """Whether it is known already what differs, so that it costs the server nothing."""
        return (server_url, project_id, before, after) in self._found

    async def of(
        self,
        login: Login,
        project_id: str,
        before: VersionContent,
        after: VersionContent,
        *,
        within_s: float,
    ) -> Comparison:
        """What differs, found out `within_s` from the moment that it is its turn.

        Errors: NotCompared; SpeckleError of each kind.
        """

        key = (login.server_url, project_id, before, after)

        async def compare() -> Comparison:
            async with self._turns[login.server_url].slot():
                found = self._found.get(key)  # another login may have had its turn meanwhile
                if found is None:
                    until = monotonic() + within_s
                    found = await self._compared(login, project_id, before, after, until)
                    with suppress(ValueError):  # what is too large to be kept is compared again
                        self._found[key] = found
                return found

        found = self._found.get(key)
        return found or await self._asked.get((login, *key), compare)

    async def _compared(
        self,
        login: Login,
        project_id: str,
        before: VersionContent,
        after: VersionContent,
        until: float,
    ) -> Comparison:
        if before.bundle != after.bundle:
            raise NotCompared(WhyNotCompared.MIXED)
        if before.bundle:
            bundles = BundleComparison(self._http, self._bundles, login, project_id, until)
            return await bundles.of(
                (before.model_id, before.version_id), (after.model_id, after.version_id)
            )
        if before.object_id is None or after.object_id is None:
            raise NotCompared(WhyNotCompared.NO_WAY)
        trees = TreeComparison(ObjectStream(self._http), login, project_id, until, self._limits)
        return await trees.of(before.object_id, after.object_id)


def _size(comparison: Comparison) -> int:
    """About how many characters it takes."""
    kinds = (*comparison.added, *comparison.removed, *(one.kind for one in comparison.changed))
    texts = sum(ROW + len(one.category) + len(one.level) + len(one.name) for one in kinds)
    names = sum(len(name) for change in comparison.changed for name in change.properties)
    return ROW + texts + names
