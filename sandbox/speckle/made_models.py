"""Models of any size in two versions, of which it is known what differs. Nothing in them is random.

specklepy writes them as trees of objects, as connectors up to 3 send them.
"""

import json
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from specklepy.objects.data_objects import DataObject
from specklepy.objects.geometry.mesh import Mesh
from specklepy.objects.models.collections.collection import Collection
from specklepy.serialization.base_object_serializer import BaseObjectSerializer
from specklepy.transports.memory import MemoryTransport

CATEGORIES: Final = (
    *("Walls", "Walls", "Walls", "Structural Framing", "Structural Framing"),
    *("Structural Columns", "Floors", "Doors", "Windows", "Pipes"),
)
PANELS: Final = "Curtain Panels"
TYPES: Final[Mapping[str, Sequence[str]]] = {
    "Walls": ("Basic Wall 200", "Basic Wall 300"),
    "Structural Framing": ("IPE 300", "HEA 200"),
    "Doors": ("Single Flush 900", "Double Glass 1800"),
}
MOVED_BY: Final = 0.75  # metres


@dataclass(frozen=True, slots=True)
class MadeElement:
    """An element of a made model, with the elements that it hosts."""

    id: str | None
    category: str
    level: str
    name: str
    place: float
    properties: Mapping[str, Any]
    hosted: tuple["MadeElement", ...] = ()
    meshed: int = 0  # another number: the same mesh under another id

    def with_property(self, name: str, value: Any) -> "MadeElement":
        """The same with another value."""
        return replace(self, properties={**self.properties, name: value})


@dataclass(frozen=True, slots=True)
class MadeTree:
    """A tree of objects by their ids, and its root's."""

    root: str
    objects: Mapping[str, dict[str, Any]] = field(repr=False)


def made_model(size: int) -> tuple[Sequence[MadeElement], Sequence[MadeElement]]:
    """A model of so many elements, without those that they host, in two versions."""
    before = [_element(number) for number in range(size)]
    after = [changed for number, one in enumerate(before) if (changed := _changed(number, one))]
    return before, [*after, *(_element(size + number, alone=True) for number in range(size // 80))]


def each(
    elements: Sequence[MadeElement], change: Callable[[MadeElement], MadeElement]
) -> Sequence[MadeElement]:
    """All elements, and what they host, changed alike."""
    return [
        replace(change(element), hosted=tuple(each(element.hosted, change))) for element in elements
    ]


def all_of(elements: Sequence[MadeElement]) -> Sequence[MadeElement]:
    """These, and what they host."""
    return [one for element in elements for one in (element, *all_of(element.hosted))]


def _element(number: int, *, alone: bool = False) -> MadeElement:
    category = CATEGORIES[number % 10]
    names = TYPES.get(
        category, (f"{category.removesuffix('s')} A", f"{category.removesuffix('s')} B")
    )
    level = f"L{(number // 10) % 5 + 1}"
    element_id = f"8d2c6e10-{number:08x}"
    hosted = 2 if number % 40 == 0 and not alone else 0
    return MadeElement(
        id=element_id,
        category=category,
        level=level,
        name=names[number // 10 % 2],
        place=float(number),
        properties={"Comments": "", "Mark": f"M{number}", "Length": 3.5 + number % 7},
        hosted=tuple(
            MadeElement(
                id=f"{element_id}-{panel}",
                category=PANELS,
                level=level,
                name="System Panel Glazed",
                place=number + 0.1 * (panel + 1),
                properties={"Comments": "", "Mark": f"P{number}-{panel}"},
            )
            for panel in range(hosted)
        ),
    )


def _changed(number: int, one: MadeElement) -> MadeElement | None:
    """An element of the first version in the second one."""
    if number % 97 == 5:
        return None
    if number % 50 == 7:
        one = one.with_property("Comments", "checked")
    elif number % 61 == 9:
        one = replace(one, place=one.place + MOVED_BY)
    elif number % 211 == 11:
        one = replace(one, category="Generic Models")
    if number % 200 == 0:
        first, *others = one.hosted
        one = replace(one, hosted=(first.with_property("Comments", "checked"), *others))
    return one


# ── as a tree of objects ──────────────────────────────────────────────────────────────────────


def as_tree(elements: Sequence[MadeElement], **of_root: Any) -> MadeTree:
    """The tree that a connector of Revit sends: levels, categories in them, elements in those."""
    levels: dict[str, dict[str, list[DataObject]]] = {}
    for one in elements:
        levels.setdefault(one.level, {}).setdefault(one.category, []).append(_object(one))
    root = Collection(
        name="Made model",
        elements=[
            Collection(name=level, elements=[_collection(*one) for one in inside.items()])
            for level, inside in levels.items()
        ],
    )
    for name, value in of_root.items():
        root[name] = value
    return written(root)


def _collection(name: str, elements: Sequence[DataObject]) -> Collection:
    return Collection(name=name, elements=list(elements))


def written(root: Collection) -> MadeTree:
    """The objects that specklepy writes for a root."""
    with warnings.catch_warnings():  # specklepy would rather write bundles
        warnings.simplefilter("ignore", DeprecationWarning)
        transport = MemoryTransport()
        root_id, _ = BaseObjectSerializer(write_transports=[transport]).write_json(root)
    objects = {one: json.loads(text) for one, text in transport.objects.items()}
    return MadeTree(root_id, objects)


def _object(one: MadeElement) -> DataObject:
    mesh = Mesh(
        vertices=[one.place, 0.0, 0.0, one.place + 1, 0.0, 0.0, one.place + 1, 0.0, 3.0],
        faces=[3, 0, 1, 2],
        units="m",
        applicationId=f"{one.id}-mesh-{one.meshed}",
    )
    made = DataObject(
        name=one.name, properties=dict(one.properties), displayValue=[mesh], applicationId=one.id
    )
    made["category"], made["level"] = one.category, one.level
    if one.hosted:
        made.add_detachable_attrs({"elements"})
        made["elements"] = [_object(hosted) for hosted in one.hosted]
    return made
