"""Compares two versions of a model, whatever they consist of."""

from asyncio import Semaphore
from collections import defaultdict
from dataclasses import dataclass
from time import monotonic
from typing import Final

from bot.single_flight import SingleFlightCache
from bot.speckle.comparison import Comparison, NotCompared, WhyNotCompared
from bot.speckle_api.bundle_comparison import BundleComparison
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import ObjectStream
from bot.speckle_api.tree_comparison import TreeComparison, TreeLimits
from bot.speckle_api.types import Login

LIMITS: Final = TreeLimits()
KEPT: Final = 32
KEEP_S: Final = 600.0  # a card and whoever asks about it then do not ask a server twice


@dataclass(frozen=True, slots=True)
class VersionContent:
    """What a version consists of: a tree below the object `object_id`, or a bundle."""

    version_id: str
    model_id: str
    object_id: str | None
    bundle: bool = False


class Comparisons:
    """Compares one pair of versions at a time for each server.

    What was found is kept for whoever may read the project: its key holds the contents' ids, which
    the server told them.
    """

    def __init__(
        self, http: SpeckleHttp, limits: TreeLimits = LIMITS, bundles: BundleReader | None = None
    ) -> None:
        self._http = http
        self._bundles = bundles or BundleReader()
        self._limits = limits
        self._kept = SingleFlightCache[Comparison](max_values=KEPT, ttl_s=KEEP_S)
        self._turns = defaultdict[str, Semaphore](lambda: Semaphore(1))

    def close(self) -> None:
        """End what is still being compared."""
        self._kept.close()

    def is_kept(
        self, server_url: str, project_id: str, before: VersionContent, after: VersionContent
    ) -> bool:
        """Whether it is known already what differs, so that it costs the server nothing."""
        return self._kept.has((server_url, project_id, before, after))

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

        async def compare() -> Comparison:
            async with self._turns[login.server_url]:
                return await self._compared(
                    login, project_id, before, after, monotonic() + within_s
                )

        return await self._kept.get((login.server_url, project_id, before, after), compare)

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
