"""Which properties of an object differ between two versions of it. Pure."""

import math
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

SAME_NUMBER: Final = 1e-9  # relative: as much as writing and reading a number again may change it
MAX_DEPTH: Final = 40  # of properties within properties
MAX_NAME: Final = 80  # characters
MOST_NAMES: Final = 1_000  # of one object
# They say which object it is, not what it is like.
IDENTITY: Final = ("id", "applicationId", "__closure", "totalChildrenCount")


def changed_properties(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """The names of the properties whose values differ, as a person knows them; MOST_NAMES."""
    found = islice(_changed("", before, after, 0), MOST_NAMES)
    return frozenset(name[:MAX_NAME] for name in found)


def _changed(name: str, before: Any, after: Any, depth: int) -> Iterator[str]:
    if not isinstance(before, dict) or not isinstance(after, dict) or depth > MAX_DEPTH:
        if not _is_same(before, after, depth):
            yield name
        return
    if _is_parameter(before) and _is_parameter(after):
        if not _is_same(before["value"], after["value"], depth):
            yield _name_of(after, name)
        return
    for key in {**before, **after}:
        if key not in IDENTITY:
            # What is there on one side alone is one change, however much is in it.
            one_sided = (before if key in before else after)[key]
            if key in before and key in after:
                yield from _changed(key, before[key], after[key], depth + 1)
            elif one_sided is not None:
                yield _name_of(one_sided, key)


def _is_parameter(value: Mapping[str, Any]) -> bool:
    """Whether this is one property with its value, its unit, and what else is said about it."""
    return "value" in value and not isinstance(value["value"], dict)


def _name_of(value: Any, otherwise: str) -> str:
    name = value.get("name") if isinstance(value, dict) and "value" in value else None
    return name if isinstance(name, str) and name else otherwise


def _is_same(before: Any, after: Any, depth: int) -> bool:
    if isinstance(before, float | int) and isinstance(after, float | int):
        try:
            return math.isclose(before, after, rel_tol=SAME_NUMBER)
        except OverflowError:  # whole numbers that no float holds
            return before == after
    if depth > MAX_DEPTH:
        return True  # nobody reads properties so deep inside others
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(
            _is_same(one, other, depth + 1) for one, other in zip(before, after, strict=True)
        )
    if isinstance(before, dict) and isinstance(after, dict):
        return not any(_changed("", before, after, depth))
    return bool(before == after)
