"""What the numbers of a comparison come to, and which properties differ."""

from collections import Counter
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.comparison import (
    Checked,
    Conclusion,
    ElementChange,
    ElementKind,
    Found,
    judged,
)
from bot.speckle.element_trees import (
    Element,
    Matching,
    elements_of,
    matched,
    matched_by_content,
    read_node,
    to_match_by_content,
)
from bot.speckle.property_changes import changed_properties

KINDS = st.builds(ElementKind, st.sampled_from(["Walls", "Doors", ""]), st.sampled_from(["L1", ""]))
CHANGES = st.builds(
    ElementChange,
    KINDS,
    st.frozensets(st.sampled_from(["Comments", "category", "Mark"]), max_size=2),
    st.booleans(),
).filter(lambda one: bool(one.properties or one.moved))
COUNTS = st.integers(1, 30)


@st.composite
def found(draw: st.DrawFn) -> Found:
    """Numbers that fit together."""
    added, removed = (draw(st.dictionaries(KINDS, COUNTS, max_size=4)) for _ in range(2))
    changed = draw(st.dictionaries(CHANGES, COUNTS, max_size=5))
    same, checked_all = draw(st.integers(0, 40)), draw(st.booleans())
    pairs = sum(changed.values()) + same
    return Found(
        added,
        removed,
        changed,
        pairs=pairs,
        shaped=draw(st.integers(0, pairs)),
        by_content=0,
        before=pairs + sum(removed.values()),
        after=pairs + sum(added.values()),
        whole=draw(st.booleans()),
        checked=Checked(pairs if checked_all else pairs // 2, pairs),
    )


@settings(deadline=None)
@given(found())
def test_never_more_than_what_is_there(numbers: Found) -> None:
    comparison = judged(numbers)
    added, removed = sum(comparison.added.values()), sum(comparison.removed.values())
    assert added <= numbers.after
    assert removed <= numbers.before
    assert sum(comparison.changed.values()) <= numbers.pairs
    assert all(count <= numbers.pairs for _, count in comparison.properties)
    assert comparison.moved <= sum(comparison.changed.values())
    total = sum(row.total for row in comparison.categories)
    assert total == added + removed + sum(comparison.changed.values())


@settings(deadline=None)
@given(found())
def test_what_differs_on_all_was_seen_on_all(numbers: Found) -> None:
    comparison = judged(numbers)
    if comparison.on_all or comparison.reshaped:
        assert numbers.whole
        assert numbers.checked.all
    for name in comparison.on_all:
        having = sum(n for change, n in numbers.changed.items() if name in change.properties)
        assert having == comparison.pairs == numbers.pairs


@settings(deadline=None)
@given(found())
def test_what_came_one_way_goes_the_other(numbers: Found) -> None:
    there = judged(numbers)
    back = judged(
        replace(
            numbers,
            added=numbers.removed,
            removed=numbers.added,
            before=numbers.after,
            after=numbers.before,
        )
    )
    assert (back.added, back.removed) == (there.removed, there.added)
    assert (back.before, back.after) == (there.after, there.before)
    assert (back.conclusion, back.changed) == (there.conclusion, there.changed)


def test_nothing_is_unchanged_only_where_all_was_checked() -> None:
    def nothing(done: int) -> Conclusion:
        numbers = Found({}, {}, {}, 20, 20, 0, 20, 20, whole=True, checked=Checked(done, 20))
        return judged(numbers).conclusion

    assert nothing(20) is Conclusion.UNCHANGED
    assert nothing(5) is Conclusion.DIFFERENT


# ── properties ────────────────────────────────────────────────────────────────────────────────


def parameter(value: object, name: str = "Comments") -> dict[str, Any]:
    return {"name": name, "value": value, "units": "mm"}


def test_properties_are_named_as_people_know_them() -> None:
    revit = {"properties": {"Parameters": {"Identity Data": {"RANDOM_ID": parameter("a")}}}}
    other = {"properties": {"Parameters": {"Identity Data": {"RANDOM_ID": parameter("b")}}}}
    assert changed_properties(revit, other) == {"Comments"}
    assert changed_properties({"properties": {"Mark": 1}}, {"properties": {"Mark": 2}}) == {"Mark"}
    assert changed_properties({"level": "L1"}, {"level": "L2"}) == {"level"}
    assert changed_properties({}, {"properties": {"Phase": {"a": 1}}}) == {"properties"}
    assert changed_properties({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == {"a"}
    assert changed_properties({"P": parameter(1)}, {"P": parameter(1) | {"units": "m"}}) == set()


def test_what_only_says_which_object_it_is_changes_nothing() -> None:
    before = {"id": "a", "applicationId": "b", "host": {"applicationId": "c", "name": "Wall"}}
    after = {"id": "d", "applicationId": "e", "host": {"applicationId": "f", "name": "Wall"}}
    assert changed_properties(before, after) == set()
    assert changed_properties({"a": 0.1 + 0.2}, {"a": 0.3}) == set()
    assert changed_properties({"a": 1000}, {"a": 1000.1}) == {"a"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "value", "name", "id"]), inside, max_size=4)
    ),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(["a", "b", "properties"]), JSON, max_size=3)


@settings(deadline=None)
@given(OBJECTS, OBJECTS)
def test_properties_differ_both_ways_alike_in_number_of_objects(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert changed_properties(before, before) == set()
    assert bool(changed_properties(before, after)) == bool(changed_properties(after, before))


def test_properties_without_end_are_left() -> None:
    deep: dict[str, Any] = {}
    other: dict[str, Any] = {"x": 1}
    for _ in range(500):
        deep, other = {"a": deep}, {"a": other}
    assert len(changed_properties(deep, other)) <= 1


# ── which element is which ────────────────────────────────────────────────────────────────────

ELEMENTS = st.lists(
    st.builds(
        Element,
        st.sampled_from([f"id{n}" for n in range(8)]),
        st.none() | st.sampled_from(["a", "b", "c", "d"]),
        KINDS,
        st.lists(st.sampled_from(["m", "n"]), max_size=1).map(tuple),
    ),
    max_size=12,
)


def is_complete(matching: Matching, before: list[Element], after: list[Element]) -> bool:
    there = Counter(id(one) for one in before)
    now = Counter(id(one) for one in after)
    there.subtract(id(one) for one in (*(p.before for p in matching.pairs), *matching.before))
    now.subtract(id(one) for one in (*(p.after for p in matching.pairs), *matching.after))
    return not any(there.values()) and not any(now.values())


@settings(deadline=None)
@given(ELEMENTS, ELEMENTS)
def test_each_element_is_in_one_pair_or_in_none(
    before: list[Element], after: list[Element]
) -> None:
    by_ids = matched(before, after)
    assert is_complete(by_ids, before, after)
    assert len(matched(after, before).pairs) == len(by_ids.pairs)
    assert all(pair.before.application_id == pair.after.application_id for pair in by_ids.pairs)
    left = to_match_by_content(by_ids, len(before), len(after))
    content = {one.id: b"" for one in (*before, *after)}
    by_content = matched_by_content(left.before, left.after, content)
    assert is_complete(by_content, list(left.before), list(left.after))
    assert not (by_content.before and by_content.after)


def test_an_element_below_what_both_have_is_not_reached() -> None:
    nodes = {
        one: read_node({"speckle_type": "Wall", "elements": [{"referencedId": b} for b in below]})
        for one, below in {"root": "ab", "a": "c", "b": "c", "c": ""}.items()
    }
    assert {one.id for one in elements_of(nodes, "root", set())} == {"a", "b", "c"}
    assert {one.id for one in elements_of(nodes, "root", {"a"})} == {"b", "c"}
    assert {one.id for one in elements_of(nodes, "root", {"a", "b"})} == set()
