"""What differs between two versions of a model, as people count it. Pure.

An *element* is what a person counts (a wall, a beam); an object of Speckle's may be less than that.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

CATEGORY: Final = "category"
COMPARED_IN_S: Final = 20.0  # once it is a comparison's turn at its server
NEW_IDS_SHARE: Final = 0.9  # so many unmatched on both sides: the ids are new, not the elements
NEW_IDS_SIZE: Final = 0.1  # the numbers of elements may differ by so much then
LEAST_FOR_ALL: Final = 10  # fewer elements are listed, though all of them differ


@dataclass(frozen=True, slots=True)
class ElementKind:
    """Elements of one category, level and name; "" is what they do not say.

    Many share one, as the name is often that of a type.
    """

    category: str
    level: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class ElementChange:
    """How elements of a kind differ: in the values of these properties, or in geometry.

    Of one whose properties differ it is not known whether its geometry does.
    """

    kind: ElementKind
    properties: frozenset[str] = frozenset()
    moved: bool = False


@dataclass(frozen=True, slots=True)
class CategoryChanges:
    """How many elements of a category came, went, and are not as they were."""

    name: str
    added: int = 0
    removed: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        """How much happened in it."""
        return self.added + self.removed + self.changed


@dataclass(frozen=True, slots=True)
class Checked:
    """How many of the pairs that may differ were looked at."""

    done: int = 0
    of: int = 0

    @property
    def all(self) -> bool:
        """Whether none is left."""
        return self.done >= self.of


class Conclusion(StrEnum):
    """What a comparison comes to."""

    IDENTICAL = "identical"  # one and the same content, by its id
    DIFFERENT = "different"
    UNCHANGED = "unchanged"  # the content has another id, and is the same
    NEW_IDS = "new_ids"  # nearly all elements have new ids of their own
    UNMATCHED = "unmatched"  # nothing says which element is which
    TOO_LARGE = "too_large"


class WhyNotCompared(StrEnum):
    """Why two versions cannot be compared."""

    FIRST = "first"  # there is no version before
    MIXED = "mixed"  # a tree of objects and a bundle
    NO_WAY = "no_way"  # the server does not give out what would be compared
    NO_READER = "no_reader"  # bundles are not read here
    NO_ELEMENTS = "no_elements"
    INCOMPLETE = "incomplete"  # objects that are named and not there
    TOO_LARGE = "too_large"  # even to be counted
    TOO_SLOW = "too_slow"
    UNREADABLE = "unreadable"


class NotCompared(Exception):
    """Two versions cannot be compared; `why` says it."""

    def __init__(self, why: WhyNotCompared) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, in numbers of elements.

    `before` and `after`: all elements of a version, None where not all were seen. `on_all`:
    properties that differ on every one of `pairs` elements that are on both sides, and `reshaped`
    that the geometry does; `changed` is without these. `geometry`: whether that was compared, too.
    """

    conclusion: Conclusion
    added: Mapping[ElementKind, int] = field(default_factory=dict)
    removed: Mapping[ElementKind, int] = field(default_factory=dict)
    changed: Mapping[ElementChange, int] = field(default_factory=dict)
    before: int | None = None
    after: int | None = None
    pairs: int = 0
    on_all: tuple[str, ...] = ()
    reshaped: bool = False
    checked: Checked = Checked()
    geometry: bool = True

    @property
    def is_net(self) -> bool:
        """Whether `added` and `removed` say by category how many more and fewer there are."""
        return self.conclusion in (Conclusion.UNMATCHED, Conclusion.TOO_LARGE)

    @property
    def categories(self) -> tuple[CategoryChanges, ...]:
        """Those in which something differs, the most first."""
        added = _by_category(self.added)
        removed = _by_category(self.removed)
        changed: Counter[str] = Counter()
        for change, count in self.changed.items():
            changed[change.kind.category] += count
        names = {*added, *removed, *changed}
        rows = [CategoryChanges(one, added[one], removed[one], changed[one]) for one in names]
        return tuple(sorted(rows, key=lambda row: (-row.total, row.name)))

    @property
    def properties(self) -> tuple[tuple[str, int], ...]:
        """Properties with the number of elements on which they differ, the most first."""
        found: Counter[str] = Counter()
        for change, count in self.changed.items():
            found.update(dict.fromkeys(change.properties, count))
        return tuple(sorted(found.items(), key=lambda one: (-one[1], one[0])))

    @property
    def total_added(self) -> int:
        """Elements that were not there."""
        return sum(self.added.values())

    @property
    def total_removed(self) -> int:
        """Elements that are no longer there."""
        return sum(self.removed.values())

    @property
    def total_changed(self) -> int:
        """Elements that are on both sides and differ."""
        return sum(self.changed.values())

    @property
    def moved(self) -> int:
        """Elements with the same properties and another geometry."""
        return sum(count for change, count in self.changed.items() if change.moved)


@dataclass(frozen=True, slots=True)
class Found:
    """What was found of two versions, in numbers, before it is judged.

    `pairs` are elements that are on both sides, `shaped` those of them that have geometry, and
    `by_content` those that were paired though their own ids differ. `whole`: all elements of both
    sides were seen.
    """

    added: Mapping[ElementKind, int]
    removed: Mapping[ElementKind, int]
    changed: Mapping[ElementChange, int]
    pairs: int
    shaped: int
    by_content: int
    before: int
    after: int
    whole: bool
    checked: Checked


def are_ids_new(unmatched_before: int, before: int, unmatched_after: int, after: int) -> bool:
    """Whether so few elements have their counterpart that the ids must be new, not the elements."""
    alike = abs(before - after) <= NEW_IDS_SIZE * max(before, after)
    most_before = unmatched_before > NEW_IDS_SHARE * before
    return alike and most_before and unmatched_after > NEW_IDS_SHARE * after


def on_all(changed: Mapping[ElementChange, int], pairs: int) -> frozenset[str]:
    """The properties that differ on every pair; none where there are few pairs."""
    found: Counter[str] = Counter()
    for change, count in changed.items():
        found.update(dict.fromkeys(change.properties - {CATEGORY}, count))
    if pairs < LEAST_FOR_ALL:
        return frozenset()
    return frozenset(name for name, count in found.items() if count == pairs)


def judged(found: Found) -> Comparison:
    """What the numbers come to."""
    gone, new = sum(found.removed.values()), sum(found.added.values())
    if found.whole and are_ids_new(gone, found.before, new, found.after):
        return net(Conclusion.UNMATCHED, found.before, found.after, found.removed, found.added)
    everywhere = frozenset[str]()
    reshaped = False
    if found.whole and found.checked.all:
        everywhere = on_all(found.changed, found.pairs)
        moved = sum(count for change, count in found.changed.items() if change.moved)
        reshaped = moved == found.shaped >= max(LEAST_FOR_ALL, NEW_IDS_SHARE * found.pairs)
    changed = _without(found.changed, everywhere, moved=reshaped)
    differs = found.added or found.removed or changed or everywhere or reshaped
    conclusion = Conclusion.DIFFERENT if differs or not found.checked.all else Conclusion.UNCHANGED
    if found.by_content > NEW_IDS_SHARE * found.pairs:
        conclusion = Conclusion.NEW_IDS
    return Comparison(
        conclusion,
        found.added,
        found.removed,
        changed,
        before=found.before if found.whole else None,
        after=found.after if found.whole else None,
        pairs=found.pairs,
        on_all=tuple(sorted(everywhere)),
        reshaped=reshaped,
        checked=found.checked,
    )


def net(
    conclusion: Conclusion,
    before: int,
    after: int,
    kinds_before: Mapping[ElementKind, int],
    kinds_after: Mapping[ElementKind, int],
) -> Comparison:
    """By category, how many elements there are more or fewer."""
    difference = _by_category(kinds_after)
    difference.subtract(_by_category(kinds_before))
    more = {ElementKind(name): count for name, count in difference.items() if count > 0}
    fewer = {ElementKind(name): -count for name, count in difference.items() if count < 0}
    return Comparison(conclusion, more, fewer, before=before, after=after)


def _by_category(kinds: Mapping[ElementKind, int]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, count in kinds.items():
        found[kind.category] += count
    return found


def _without(
    changed: Mapping[ElementChange, int], names: Iterable[str], *, moved: bool
) -> Mapping[ElementChange, int]:
    """Without what all have in common, and those of which nothing else is left."""
    common = frozenset(names)
    left: Counter[ElementChange] = Counter()
    for change, count in changed.items():
        properties = change.properties - common
        still_moved = change.moved and not moved
        if properties or still_moved:
            left[ElementChange(change.kind, properties, still_moved)] += count
    return left
