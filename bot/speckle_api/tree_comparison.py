"""Compares two versions that are trees of objects, by walking both at the same time.

Source: measured at a 2.31 server. What both versions have is never fetched, and geometry only where
everything else is the same, so that a usual change of 10,000 elements takes seven requests.
"""

import asyncio
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Final, TypeVar

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
    on_all,
)
from bot.speckle.element_trees import (
    ATTRIBUTES,
    Element,
    Matching,
    Node,
    Pair,
    elements_of,
    kind_of,
    matched,
    matched_by_content,
    read_node,
    to_match_by_content,
)
from bot.speckle.property_changes import IDENTITY, changed_properties
from bot.speckle_api.http import HttpAnswerTooLarge
from bot.speckle_api.object_stream import (
    MOST_IDS,
    Attributes,
    ObjectStream,
    TakeObject,
    as_object,
)
from bot.speckle_api.types import Login

BELOW: Final = ("elements", "@elements", "displayValue", "@displayValue")
OF_ROOTS: Final = Attributes(("__closure",), left_out=True)
OF_NODES: Final = Attributes(ATTRIBUTES)
OF_CONTENT: Final = Attributes((*IDENTITY, *BELOW), left_out=True)
OF_SHAPES: Final = Attributes(IDENTITY, left_out=True)
MOST_LEVELS: Final = 100  # of a tree; each is a request
BEFORE, AFTER = 1, 2  # bits: which of the two versions an object is in
NOTHING: Final = frozenset[str]()

T = TypeVar("T")


class _NoTimeLeft(Exception):
    """What was found until now counts."""


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """How far a comparison goes. Beyond `objects` elements are only counted, up to `counted`.

    `pairs` and `shapes` are those whose content and geometry are compared.
    """

    objects: int = 25_000
    pairs: int = 10_000
    shapes: int = 10_000
    counted: int = 250_000
    references: int = 600_000  # that are kept at a time: what objects say is below them
    names: int = 250_000  # of properties that differ: each set of them counts once
    nodes_bytes: int = 8 * 1024 * 1024  # 50,000 elements of one collection have 5 MB
    content_bytes: int = 24 * 1024 * 1024


@dataclass(slots=True)
class TreeComparison:
    """One comparison of two trees, until a moment of `monotonic()`.

    Errors: NotCompared; SpeckleError of each kind.
    """

    stream: ObjectStream
    login: Login
    project_id: str
    until: float
    limits: TreeLimits = TreeLimits()
    _nodes: dict[str, Node] = field(default_factory=dict, init=False)
    _references: int = field(default=0, init=False)

    async def of(self, before: str, after: str) -> Comparison:
        """What differs between two root objects, by their ids."""
        if before == after:
            return Comparison(Conclusion.IDENTICAL)
        try:
            common = await self._walk(before, after)
            if common is None:
                self._nodes.clear()
                return await self._counted(before, after)
        except _NoTimeLeft:
            raise NotCompared(WhyNotCompared.TOO_SLOW) from None
        there = elements_of(self._nodes, before, common)
        now = elements_of(self._nodes, after, common)
        self._nodes.clear()
        if not (there or now or common):
            raise NotCompared(WhyNotCompared.NO_ELEMENTS)
        return await self._compared(there, now, whole=not common)

    async def _compared(
        self, there: Sequence[Element], now: Sequence[Element], *, whole: bool
    ) -> Comparison:
        by_ids = matched(there, now)
        left = to_match_by_content(by_ids, len(there), len(now))
        by_content, alike = await self._matched_by_content(left)
        paired = {id(one) for pair in by_content.pairs for one in (pair.before, pair.after)}
        removed = [one for one in by_ids.before if id(one) not in paired]
        added = [one for one in by_ids.after if id(one) not in paired]
        pairs = [*by_ids.pairs, *by_content.pairs]
        changed, done = await self._differences(by_ids.pairs, alike, whole=whole)
        return judged(
            Found(
                added=Counter(one.kind for one in added),
                removed=Counter(one.kind for one in removed),
                changed=changed,
                pairs=len(pairs),
                shaped=sum(bool(pair.before.shape and pair.after.shape) for pair in pairs),
                by_content=len(by_content.pairs),
                before=len(there),
                after=len(now),
                whole=whole,
                checked=Checked(done, len(pairs)),
            )
        )

    # ── the way through both trees ────────────────────────────────────────────────────────────

    async def _walk(self, before: str, after: str) -> frozenset[str] | None:
        """Learn the objects that one version alone has, level by level.

        Gives the ids that both have; None if there are too many others.
        """
        fronts, seen = ([before], [after]), ({before}, {after})
        wanted, attributes = [before, after], OF_ROOTS
        for _ in range(MOST_LEVELS):
            await self._learn(wanted, attributes)
            fronts = (self._below(fronts[0], seen[0]), self._below(fronts[1], seen[1]))
            common = seen[0] & seen[1]
            wanted = [
                one
                for one in dict.fromkeys((*fronts[0], *fronts[1]))
                if one not in common and one not in self._nodes
            ]
            if not wanted:
                return frozenset(common)
            if len(self._nodes) + len(wanted) > self.limits.objects:
                return None
            attributes = OF_NODES
        raise NotCompared(WhyNotCompared.TOO_LARGE)

    def _below(self, front: Iterable[str], seen: set[str]) -> list[str]:
        """The objects below these that were not seen yet."""
        found = []
        for one in front:
            node = self._nodes.get(one)
            for child, _ in node.children if node else ():
                if child not in seen:
                    seen.add(child)
                    found.append(child)
        return found

    async def _learn(self, ids: Sequence[str], attributes: Attributes) -> None:
        is_root = attributes is OF_ROOTS

        def take(object_id: str, text: bytes) -> None:
            data = as_object(text)
            if data is not None and object_id not in self._nodes:
                node = self._nodes[object_id] = read_node(data, is_root=is_root)
                self._references += len(node.children) + len(node.shape)
                if self._references > self.limits.references:
                    raise NotCompared(WhyNotCompared.TOO_LARGE)

        for some in _parts(ids, MOST_IDS):
            await self._read(some, attributes, take, self.limits.nodes_bytes)
            if any(one not in self._nodes for one in some):
                raise NotCompared(WhyNotCompared.INCOMPLETE)

    async def _counted(self, before: str, after: str) -> Comparison:
        """How many elements of each category there are, without which is which.

        Objects of both versions are asked for once where they are as deep in both.
        """
        kinds: dict[int, Counter[ElementKind]] = {BEFORE: Counter(), AFTER: Counter()}
        front = {before: (BEFORE, ""), after: (AFTER, "")}
        seen, attributes = {before: BEFORE, after: AFTER}, OF_ROOTS
        for _ in range(MOST_LEVELS):
            below: dict[str, tuple[int, str]] = {}
            for some in _parts(list(front), MOST_IDS):
                self._references = 0
                await self._learn(some, attributes)
                for one in some:
                    sides, place = front[one]
                    node = self._nodes.pop(one)
                    if attributes is OF_NODES and not node.is_collection:
                        for side in (BEFORE, AFTER):
                            kinds[side][kind_of(node, place)] += bool(sides & side)
                    inside = node.inside(place, is_root=attributes is OF_ROOTS)
                    for child, container in node.children:
                        if new := sides & ~seen.get(child, 0):
                            seen[child] = seen.get(child, 0) | new
                            known, _ = below.get(child, (0, ""))
                            below[child] = known | new, container or inside
                if len(seen) > self.limits.counted:
                    raise NotCompared(WhyNotCompared.TOO_LARGE)
            if not below:
                break
            front, attributes = below, OF_NODES
        there, now = kinds[BEFORE], kinds[AFTER]
        return net(Conclusion.TOO_LARGE, there.total(), now.total(), there, now)

    # ── what is in them ───────────────────────────────────────────────────────────────────────

    async def _matched_by_content(self, left: Matching) -> tuple[Matching, list[list[Pair]]]:
        """Pair what has no counterpart by what it is like; also the pairs that are like each other.

        None, where there is no room for that.
        """
        content: dict[str, bytes] = {}
        wanted = list(dict.fromkeys(one.id for one in (*left.before, *left.after)))
        if not wanted or len(wanted) > 2 * self.limits.pairs:
            return Matching(()), []

        def take(object_id: str, text: bytes) -> None:
            content[object_id] = _digest(text)

        try:
            for some in _parts(wanted, MOST_IDS):
                await self._read(some, OF_CONTENT, take, self.limits.content_bytes)
        except _NoTimeLeft:
            return Matching(()), []
        matching = matched_by_content(left.before, left.after, content)
        groups: defaultdict[bytes, list[Pair]] = defaultdict(list)
        for pair in matching.pairs:
            groups[content[pair.after.id]].append(pair)
        return matching, list(groups.values())

    async def _differences(
        self, pairs: Sequence[Pair], alike: Sequence[Sequence[Pair]], *, whole: bool
    ) -> tuple[Counter[ElementChange], int]:
        """How the elements of pairs differ, and of how many pairs that is known.

        `alike` are pairs that differ in geometry at most, together where any could be any.
        """
        known = await self._properties(pairs)
        count = len(pairs) + sum(map(len, alike))
        own = Counter(ElementChange(pair.after.kind, names) for pair, names in known)
        everywhere = on_all(own, count) if whole else frozenset[str]()
        changed: Counter[ElementChange] = Counter()
        unsure: list[tuple[Sequence[Pair], frozenset[str]]] = [(one, NOTHING) for one in alike]
        for pair, names in known:
            if names <= everywhere and pair.may_have_moved:
                unsure.append(([pair], names))
            elif names:
                changed[ElementChange(pair.after.kind, names)] += 1
        moved = await self._moved([group for group, _ in unsure])
        for (group, names), count_moved in zip(unsure, moved, strict=False):
            change = ElementChange(group[0].after.kind, names)
            changed[replace(change, moved=True)] += count_moved
            changed[change] += len(group) - count_moved if names else 0
        left = len(pairs) - len(known) + sum(len(group) for group, _ in unsure[len(moved) :])
        return +changed, count - left

    async def _properties(self, pairs: Sequence[Pair]) -> list[tuple[Pair, frozenset[str]]]:
        """The properties that differ in each pair, of as many as there is room for.

        In a thread, as reading megabytes of JSON takes its time.
        """
        known: list[tuple[Pair, frozenset[str]]] = []
        names = _Names(self.limits.names)
        waiting = list(_parts(pairs[: self.limits.pairs], MOST_IDS // 2))[::-1]
        with suppress(_NoTimeLeft):
            while waiting and names.room >= 0:
                some = waiting.pop()
                texts: dict[str, bytes] = {}
                wanted = dict.fromkeys(one.id for pair in some for one in (pair.before, pair.after))
                try:
                    await self._ask(
                        list(wanted), OF_CONTENT, texts.__setitem__, self.limits.content_bytes
                    )
                except HttpAnswerTooLarge:
                    if len(some) > 1:  # of one that is too large alone, nobody knows
                        waiting += list(_parts(some, (len(some) + 1) // 2))[::-1]
                    continue
                known += await asyncio.to_thread(_all_changed, some, texts, names, self.until)
        return known

    async def _moved(self, groups: Sequence[Sequence[Pair]]) -> list[int]:
        """How many of each group have another geometry, of as many groups as there is room for."""
        known: list[int] = []
        room = 2 * self.limits.shapes
        with suppress(_NoTimeLeft):
            for some in _batches(groups, MOST_IDS):
                wanted = list(dict.fromkeys(one for group in some for one in _shapes(group)))
                room -= len(wanted)
                if room < 0:
                    break
                digests: dict[str, bytes] = {}

                def take(object_id: str, text: bytes, into: dict[str, bytes] = digests) -> None:
                    into[object_id] = _digest(text)

                for part in _parts(wanted, MOST_IDS):
                    await self._read(part, OF_SHAPES, take, self.limits.content_bytes)
                known += [_count_moved(group, digests) for group in some]
        return known

    async def _read(
        self, ids: Sequence[str], attributes: Attributes, take: TakeObject, max_bytes: int
    ) -> None:
        """Have objects taken, in as many requests as their size asks for."""
        try:
            await self._ask(ids, attributes, take, max_bytes)
        except HttpAnswerTooLarge:
            if len(ids) == 1:
                raise NotCompared(WhyNotCompared.TOO_LARGE) from None
            for part in _parts(ids, (len(ids) + 1) // 2):
                await self._read(part, attributes, take, max_bytes)

    async def _ask(
        self, ids: Sequence[str], attributes: Attributes, take: TakeObject, max_bytes: int
    ) -> None:
        """Have objects taken, in one request. Errors: also HttpAnswerTooLarge."""
        within_s = self.until - monotonic()
        if within_s <= 0:
            raise _NoTimeLeft
        try:
            there = await self.stream.read(
                self.login,
                self.project_id,
                ids,
                attributes,
                take,
                max_bytes=max_bytes,
                within_s=within_s,
            )
        except HttpAnswerTooLarge:
            raise
        except SpeckleUnavailable:
            if monotonic() >= self.until:
                raise _NoTimeLeft from None
            raise
        if not there:
            raise NotCompared(WhyNotCompared.NO_WAY)


@dataclass(slots=True)
class _Names:
    """Sets of names, each of which is kept once; `room` is for so many more names."""

    room: int
    _kept: dict[frozenset[str], frozenset[str]] = field(default_factory=dict, init=False)

    def kept(self, names: frozenset[str]) -> frozenset[str]:
        """The set that is kept for these."""
        there = self._kept.setdefault(names, names)
        if there is names:
            self.room -= len(names)
        return there


def _all_changed(
    pairs: Sequence[Pair], texts: Mapping[str, bytes], names: _Names, until: float
) -> list[tuple[Pair, frozenset[str]]]:
    """The properties that differ in each pair, as long as there are time and room."""
    known: list[tuple[Pair, frozenset[str]]] = []
    for pair in pairs:
        if names.room < 0 or monotonic() >= until:
            break
        known.append((pair, names.kept(_changed(pair, texts))))
    return known


def _changed(pair: Pair, texts: Mapping[str, bytes]) -> frozenset[str]:
    before, after = (texts.get(one.id) for one in (pair.before, pair.after))
    if before is None or after is None:
        raise NotCompared(WhyNotCompared.INCOMPLETE)
    if before == after:
        return NOTHING
    old, new = as_object(before), as_object(after)
    if old is None or new is None:
        raise NotCompared(WhyNotCompared.UNREADABLE)
    return changed_properties(old, new)


def _shapes(group: Sequence[Pair]) -> set[str]:
    """The meshes that one version alone has."""
    before = {one for pair in group for one in pair.before.shape}
    return before ^ {one for pair in group for one in pair.after.shape}


def _count_moved(group: Sequence[Pair], digests: Mapping[str, bytes]) -> int:
    """How many have a geometry that no element of the other version has."""
    before, after = (
        Counter(_shape(element, digests) for element in side)
        for side in ([pair.before for pair in group], [pair.after for pair in group])
    )
    return len(group) - (before & after).total()


def _shape(element: Element, digests: Mapping[str, bytes]) -> tuple[bytes, ...]:
    """Meshes by what is in them; one that both versions have by its id."""
    return tuple(sorted(digests.get(one, one.encode()) for one in element.shape))


def _batches(groups: Sequence[Sequence[Pair]], most: int) -> Iterator[Sequence[Sequence[Pair]]]:
    """Some groups at a time, of about so many meshes."""
    batch: list[Sequence[Pair]] = []
    meshes = 0
    for group in groups:
        size = len(_shapes(group))
        if batch and meshes + size > most:
            yield batch
            batch, meshes = [], 0
        batch.append(group)
        meshes += size
    if batch:
        yield batch


def _parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(whole), size):
        yield whole[start : start + size]


def _digest(text: bytes) -> bytes:
    return hashlib.blake2b(text, digest_size=16).digest()
