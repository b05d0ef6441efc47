"""How many objects a version has, as a person counts them; no number where that cannot be said.

Sources: objects, and the artifacts of versions that newer connectors send as bundles of Parquet
tables.
"""

import asyncio
import re
from asyncio import Semaphore
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, Final

from bot.errors import SpeckleError
from bot.speckle.facts import VersionFacts
from bot.speckle_api.bundle_files import BundleFiles
from bot.speckle_api.bundles import BundleReader
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import MOST_IDS, Attributes, ObjectStream, as_object
from bot.speckle_api.types import Login

OBJECT_ID: Final = re.compile(r"[0-9a-f]{32}")
# Parts that a sender cuts large lists into, which are no objects to a person.
CHUNK: Final = "DataChunk"


@dataclass(frozen=True, slots=True)
class CountLimits:
    """How far counting goes; beyond it there is no number."""

    objects: int = 25_000
    closure_bytes: int = 4 * 1024 * 1024  # of 25,000 ids it is 1 MB
    types_bytes: int = 8 * 1024 * 1024
    table_bytes: int = 16 * 1024 * 1024  # all tables of 50,000 elements have 4 MB
    rows: int = 10_000_000  # a table says itself how many it has, and may lie


@dataclass(slots=True)
class ObjectCounts:
    """Counts the objects of versions, one version at a time for each server."""

    http: SpeckleHttp
    bundles: BundleReader = field(default_factory=BundleReader)
    limits: CountLimits = CountLimits()
    _turns: defaultdict[str, Semaphore] = field(
        default_factory=lambda: defaultdict(lambda: Semaphore(1)), init=False
    )

    async def of_version(
        self,
        login: Login,
        project_id: str,
        version_id: str,
        facts: VersionFacts,
        *,
        within_s: float,
    ) -> int | None:
        """The number of objects; None where nobody can say.

        Errors: TimeoutError where that was not found out `within_s`, with the wait for its turn.
        """
        until, count = monotonic() + within_s, None
        with suppress(SpeckleError, TimeoutError):  # access was asked about with the facts
            async with asyncio.timeout(within_s), self._turns[login.server_url]:
                if facts.bundle:
                    count = await self._of_bundle(login, project_id, version_id, facts, until)
                else:
                    count = await self._of_tree(login, project_id, facts.object_id, until)
        if count is None and monotonic() >= until:
            raise TimeoutError
        return count

    async def _of_tree(
        self, login: Login, project_id: str, object_id: str | None, until: float
    ) -> int | None:
        if object_id is None or not OBJECT_ID.fullmatch(object_id):
            return None
        wanted, limit = ["__closure"], self.limits.closure_bytes
        root = await self._objects(login, project_id, [object_id], wanted, limit, until)
        if root is None or object_id not in root:
            return None
        closure = root[object_id].get("__closure")
        if not isinstance(closure, dict) or len(closure) > self.limits.objects:
            return None
        ids, counted = list(closure), 0
        for start in range(0, len(ids), MOST_IDS):
            part = ids[start : start + MOST_IDS]
            wanted, limit = ["speckle_type"], self.limits.types_bytes
            found = await self._objects(login, project_id, part, wanted, limit, until)
            of_part = None if found is None else _no_chunks(found, part)
            if of_part is None:
                return None
            counted += of_part
        return counted

    async def _objects(
        self,
        login: Login,
        project_id: str,
        ids: Sequence[str],
        attributes: Sequence[str],
        max_bytes: int,
        until: float,
    ) -> dict[str, dict[str, Any]] | None:
        """These objects with these attributes; None where the server has no object-stream."""
        found: dict[str, dict[str, Any]] = {}

        def take(object_id: str, text: bytes) -> None:
            data = as_object(text)
            if data is not None:
                found[object_id] = data

        there = await ObjectStream(self.http).read(
            login,
            project_id,
            ids,
            Attributes(attributes),
            take,
            max_bytes=max_bytes,
            within_s=_left_s(until),
        )
        return found if there else None

    async def _of_bundle(
        self, login: Login, project_id: str, version_id: str, facts: VersionFacts, until: float
    ) -> int | None:
        model_id = facts.model.id
        if model_id is None or not self.bundles.can_read:
            return None
        files = BundleFiles(self.http, login, until)
        url = (await files.tables(project_id, model_id, version_id) or {}).get("eav.objects")
        if url is None:
            return None
        table = await files.content(url, max_bytes=self.limits.table_bytes)
        if table is None:
            return None
        count = await self.bundles.answer("count", {"objects": table}, within_s=_left_s(until))
        return count if isinstance(count, int) and 0 <= count <= self.limits.rows else None


def _left_s(until: float) -> float:
    return max(0.0, until - monotonic())


def _no_chunks(found: Mapping[str, Mapping[str, Any]], ids: Sequence[str]) -> int | None:
    """How many of these are no chunks; None if the server left one out, or what one is."""
    types = [found.get(one, {}).get("speckle_type") for one in ids]
    names = [one for one in types if isinstance(one, str)]
    return sum(not one.endswith(CHUNK) for one in names) if len(names) == len(types) else None
