"""Compares two versions that are bundles, by their tables of properties; geometry is not read.

Source: bundles that specklepy's writers made. What only moved cannot be seen, but where a sender
wrote down where its elements are. The tables go into a folder, which a process of its own compares.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, Field, TypeAdapter, ValidationError, model_validator

from bot.errors import SpeckleUnavailable
from bot.speckle.comparison import (
    Checked,
    Comparison,
    Conclusion,
    ElementChange,
    ElementKind,
    Found,
    NotCompared,
    WhyNotCompared,
    judged,
    net,
)
from bot.speckle_api.bundle_files import BundleFiles
from bot.speckle_api.bundles import BundleFolder, BundleReader
from bot.speckle_api.http import HttpAnswerTooLarge, SpeckleHttp
from bot.speckle_api.types import Login

NEEDED: Final = ("eav.objects", "eav.paths", "eav.eav")
# A version whose elements have no types, levels or containers may do without.
MORE: Final = ("eav.object_type", "eav.type_eav", "envelope.nodes", "envelope.relations")


@dataclass(frozen=True, slots=True)
class BundleLimits:
    """How much is fetched. All tables of 50,000 elements with 1.5 million properties have 4 MB."""

    table_bytes: int = 24 * 1024 * 1024
    version_bytes: int = 48 * 1024 * 1024


@dataclass(slots=True)
class BundleComparison:
    """One comparison of two bundles, until a moment of `monotonic()`; `fetched` counts bytes.

    Errors: NotCompared; SpeckleError of each kind.
    """

    http: SpeckleHttp
    reader: BundleReader
    login: Login
    project_id: str
    until: float
    limits: BundleLimits = BundleLimits()
    fetched: int = field(default=0, init=False)

    async def of(self, before: tuple[str, str], after: tuple[str, str]) -> Comparison:
        """What differs between two versions, each by its model's and its own id."""
        if before == after:
            return Comparison(Conclusion.IDENTICAL)
        if not self.reader.can_read:
            raise NotCompared(WhyNotCompared.NO_READER)
        try:
            with self.reader.folder() as folder:
                await self._fetch("before", before, folder)
                await self._fetch("after", after, folder)
                left_s = max(0.0, self.until - monotonic())
                answer = await self.reader.answer_about(folder, "compare", within_s=left_s)
        except HttpAnswerTooLarge:
            raise NotCompared(WhyNotCompared.TOO_LARGE) from None
        except TimeoutError:
            raise NotCompared(WhyNotCompared.TOO_SLOW) from None
        except SpeckleUnavailable:
            if monotonic() >= self.until:
                raise NotCompared(WhyNotCompared.TOO_SLOW) from None
            raise
        except OSError:  # no room for the tables, or no process
            raise NotCompared(WhyNotCompared.UNREADABLE) from None
        return comparison_of(answer)

    async def _fetch(self, side: str, version: tuple[str, str], folder: BundleFolder) -> None:
        """Put a version's tables into the folder."""
        files = BundleFiles(self.http, self.login, self.until)
        tables = await files.tables(self.project_id, *version)
        if tables is None or any(name not in tables for name in NEEDED):
            raise NotCompared(WhyNotCompared.INCOMPLETE)
        left = self.limits.version_bytes
        for name in (*NEEDED, *MORE):
            if name not in tables:
                continue
            url = tables[name]
            if url is None:
                raise NotCompared(WhyNotCompared.UNREADABLE)
            content = await files.content(url, max_bytes=min(left, self.limits.table_bytes))
            if content is None:
                raise NotCompared(WhyNotCompared.INCOMPLETE)
            left -= len(content)
            self.fetched += len(content)
            await folder.put(f"{side}.{name}", content)


# ── what the process says ─────────────────────────────────────────────────────────────────────

Count = Annotated[int, Field(ge=0, le=10_000_000)]
KindRow = tuple[str, str, str, Count]  # category, level, name
ChangeRow = tuple[str, str, str, list[Count], bool, Count]  # and its properties; whether it moved


class _Said(BaseModel, extra="forbid"):
    """One of the program's answers."""


class _Refusal(_Said):
    why: WhyNotCompared


class _Counted(_Said):
    before: Count
    after: Count
    removed: list[KindRow]
    added: list[KindRow]


class _Differences(_Counted):
    pairs: Count
    by_content: Count
    checked: Count
    changed: list[ChangeRow]
    properties: list[str]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        removed, added, changed = (
            sum(row[-1] for row in rows) for rows in (self.removed, self.added, self.changed)
        )
        whole = (self.before - removed, self.after - added) == (self.pairs, self.pairs)
        if not whole or max(changed, self.by_content) > self.pairs or self.checked > self.pairs:
            raise ValueError
        return self


ANSWER: Final = TypeAdapter[_Refusal | _Differences | _Counted](_Refusal | _Differences | _Counted)


def comparison_of(answer: Any) -> Comparison:
    """What the process found; it read what somebody else made, so that nothing is taken for sure.

    Errors: NotCompared.
    """
    try:
        said = ANSWER.validate_python(answer)
        if isinstance(said, _Refusal):
            raise NotCompared(said.why)
        removed, added = (_kinds(rows) for rows in (said.removed, said.added))
        if not isinstance(said, _Differences):
            return net(Conclusion.TOO_LARGE, said.before, said.after, removed, added)
        changed = _changes(said.changed, said.properties)
    except (ValidationError, IndexError):
        raise NotCompared(WhyNotCompared.UNREADABLE) from None
    found = judged(
        Found(
            added=added,
            removed=removed,
            changed=changed,
            pairs=said.pairs,
            shaped=0,
            by_content=said.by_content,
            before=said.before,
            after=said.after,
            whole=True,
            checked=Checked(said.checked, said.pairs),
        )
    )
    return replace(found, geometry=False)


def _kinds(rows: Iterable[KindRow]) -> Mapping[ElementKind, int]:
    found: Counter[ElementKind] = Counter()
    for category, level, name, count in rows:
        found[_kind(category, level, name)] += count
    return found


def _changes(rows: Iterable[ChangeRow], names: Sequence[str]) -> Mapping[ElementChange, int]:
    found: Counter[ElementChange] = Counter()
    for category, level, name, properties, moved, count in rows:
        differing = frozenset(names[one] for one in properties)
        found[ElementChange(_kind(category, level, name), differing, moved)] += count
    return found


def _kind(category: str, level: str, name: str) -> ElementKind:
    return ElementKind(*(" ".join(one.split()) for one in (category, level, name)))
