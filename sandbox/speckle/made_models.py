"""Models of any size in two versions, of which it is known what differs: nothing is random."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

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


def made_model(size: int) -> tuple[Sequence[MadeElement], Sequence[MadeElement]]:
    """A model of so many elements, without those that they host, in two versions."""
    before = [_element(number) for number in range(size)]
    return before, usual_change(before, size)


def usual_change(
    before: Sequence[MadeElement], first_new: int, comment: str = "checked"
) -> Sequence[MadeElement]:
    """The next version: some elements go, come and differ. New ones are numbered from there on."""
    after = [one for place, was in enumerate(before) if (one := _changed(place, was, comment))]
    new = range(first_new, first_new + len(before) // 80)
    return [*after, *(_element(number, alone=True) for number in new)]


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


def _changed(number: int, one: MadeElement, comment: str) -> MadeElement | None:
    """An element of the first version in the second one."""
    if number % 97 == 5:
        return None
    if number % 50 == 7:
        one = one.with_property("Comments", comment)
    elif number % 61 == 9:
        one = replace(one, place=one.place + MOVED_BY)
    elif number % 211 == 11:
        one = replace(one, category="Generic Models")
    if number % 200 == 0 and one.hosted:
        first, *others = one.hosted
        one = replace(one, hosted=(first.with_property("Comments", comment), *others))
    return one
