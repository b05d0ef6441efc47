"""The elements of a version that is a tree of objects, and which of two versions' are the same.

Pure. A tree's ids are hashes of content: an id that both versions have is an unchanged subtree.
Sources: trees sent by specklepy, Revit (its ids, UniqueIds, are stable), Rhino and Navisworks.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.speckle.comparison import ElementKind, are_ids_new

MAX_TEXT: Final = 120  # characters, of a name or a category
MAX_ID: Final = 128  # characters; an object's is a hash of 32 or 64
CHILDREN: Final = ("elements", "@elements")
SHAPES: Final = ("displayValue", "@displayValue")
# What is asked of each object on the way; geometry is behind references.
ATTRIBUTES: Final = (
    *("speckle_type", "name", "category", "type", "family", "level", "ifcType", "applicationId"),
    *CHILDREN,
    *SHAPES,
)


@dataclass(frozen=True, slots=True)
class Node:
    """An object as the way through its tree needs it; `children` are (id, container) pairs."""

    children: tuple[tuple[str, str | None], ...]
    shape: tuple[str, ...]
    application_id: str | None
    name: str
    category: str  # "" where the place in the tree says it
    kind: str  # what it is called where the place says nothing
    level: str
    is_collection: bool

    def inside(self, place: str, *, is_root: bool) -> str:
        """What elements in it are in: a collection, or what this is in itself."""
        return self.name if self.is_collection and not is_root else place


@dataclass(frozen=True, slots=True)
class Element:
    """What a person counts, in one version; `shape` are the ids of its display meshes."""

    id: str
    application_id: str | None
    kind: ElementKind
    shape: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pair:
    """An element in both versions."""

    before: Element
    after: Element

    @property
    def may_have_moved(self) -> bool:
        """Whether its meshes have other ids."""
        return self.before.shape != self.after.shape


@dataclass(frozen=True, slots=True)
class Matching:
    """Which elements are the same, and which have no counterpart."""

    pairs: Sequence[Pair]
    before: Sequence[Element] = ()
    after: Sequence[Element] = ()


def read_node(data: Mapping[str, Any], *, is_root: bool = False) -> Node:
    """An object; what is malformed in it is left out.

    Roots that 2.x connectors sent hold lists of their own, such as `@Walls`.
    """
    children: list[tuple[str, str | None]] = [
        (one, None) for key in CHILDREN for one in _references(data.get(key))
    ]
    if is_root:
        children += [
            (one, _text(key.removeprefix("@")))
            for key, value in data.items()
            if key.startswith("@")
            and key not in (*CHILDREN, *SHAPES)
            and not key.endswith("Proxies")
            for one in _references(value)
        ]
    speckle_type = _text(data.get("speckle_type"))
    return Node(
        children=tuple(children),
        shape=tuple(one for key in SHAPES for one in _references(data.get(key))),
        application_id=_text(data.get("applicationId")) or None,
        name=_text(data.get("name")),
        category=_text(data.get("category")) or _text(data.get("ifcType")),
        kind=_text(data.get("type")) or speckle_type.rpartition(".")[2],
        level=_level(data.get("level")),
        is_collection=any(
            part.rpartition(".")[2] == "Collection" for part in speckle_type.split(":")
        ),
    )


def elements_of(nodes: Mapping[str, Node], root: str, common: Collection[str]) -> list[Element]:
    """The elements that are reached from a root, without those below what both versions have."""
    found: list[Element] = []
    seen = {root, *common}
    waiting: list[tuple[str, str]] = [(root, "")]
    while waiting:
        object_id, place = waiting.pop()
        node = nodes.get(object_id)
        if node is None:
            continue
        if object_id != root and not node.is_collection:
            kind = kind_of(node, place)
            found.append(Element(object_id, node.application_id, kind, node.shape))
        inside = node.inside(place, is_root=object_id == root)
        for child, container in reversed(node.children):
            if child not in seen:
                seen.add(child)
                waiting.append((child, container or inside))
    return found


def matched(before: Sequence[Element], after: Sequence[Element]) -> Matching:
    """Pair elements by the ids that their application gave them.

    An id that several elements have is paired in the order of the tree.
    """
    return _paired(before, after, lambda one: one.application_id)


def to_match_by_content(left: Matching, before: int, after: int) -> Matching:
    """Those without a counterpart whose content can say which is which; of so many elements.

    All of them, where nearly none has a counterpart: then the ids are new, not the elements.
    Otherwise those that have no id of an application.
    """
    if are_ids_new(len(left.before), before, len(left.after), after):
        return left
    nameless = [[e for e in side if e.application_id is None] for side in (left.before, left.after)]
    return Matching((), *nameless) if all(nameless) else Matching(())


def matched_by_content(
    before: Sequence[Element], after: Sequence[Element], content: Mapping[str, Hashable]
) -> Matching:
    """Pair elements by their own content, whose hashes are found by the elements' ids.

    Of several that are alike, those with the same geometry are paired first.
    """
    same = _paired(before, after, lambda one: _alike(content, one, one.shape))
    rest = _paired(same.before, same.after, lambda one: _alike(content, one))
    return Matching([*same.pairs, *rest.pairs], rest.before, rest.after)


def _alike(content: Mapping[str, Hashable], one: Element, *more: Hashable) -> Hashable | None:
    own = content.get(one.id)
    return None if own is None else (own, *more)


def _paired(
    before: Sequence[Element],
    after: Sequence[Element],
    key_of: Callable[[Element], Hashable | None],
) -> Matching:
    waiting: defaultdict[Hashable, list[Element]] = defaultdict(list)
    for one in reversed(before):
        waiting[key_of(one)].append(one)
    pairs: list[Pair] = []
    left: list[Element] = []
    for one in after:
        key = key_of(one)
        if key is not None and waiting.get(key):
            pairs.append(Pair(waiting[key].pop(), one))
        else:
            left.append(one)
    return Matching(pairs, [one for those in waiting.values() for one in those], left)


def kind_of(node: Node, place: str) -> ElementKind:
    """What an element is called; `place` is the collection that it is in."""
    return ElementKind(node.category or place or node.kind, node.level, node.name)


def _references(value: Any) -> Iterator[str]:
    """The ids of objects that are kept apart from this one, in a list or alone."""
    for one in value if isinstance(value, list) else (value,):
        found = one.get("referencedId") if isinstance(one, dict) else None
        if isinstance(found, str) and len(found) <= MAX_ID:
            yield found


def _level(value: Any) -> str:
    return _text(value.get("name") if isinstance(value, dict) else value)


def _text(value: Any) -> str:
    return " ".join(value.split())[:MAX_TEXT] if isinstance(value, str) else ""
