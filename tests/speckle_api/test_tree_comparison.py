"""What differs between two versions that are trees, as a 2.31 server gives them out."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from time import monotonic
from typing import Any

import pytest
from specklepy.objects.base import Base
from specklepy.objects.models.collections.collection import Collection

from bot.errors import SpeckleUnavailable
from bot.speckle.comparison import Checked, Comparison, Conclusion, NotCompared, WhyNotCompared
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_stream import ObjectStream
from bot.speckle_api.tree_comparison import TreeComparison, TreeLimits
from bot.speckle_api.types import Login
from sandbox.speckle import SPECKLE_2_31, SpeckleServer, made_models
from sandbox.speckle.made_models import MadeElement, each
from sandbox.speckle.made_trees import MadeTree, as_tree, written

LIMITS = TreeLimits()
Change = Callable[[MadeElement], MadeElement]


@cache
def made_model(size: int) -> tuple[Sequence[MadeElement], Sequence[MadeElement]]:
    return made_models.made_model(size)


@cache
def made_trees(size: int) -> Mapping[int, MadeTree]:
    """The trees of a made model by the identity of its elements: specklepy writes them slowly."""
    return {id(one): as_tree(one) for one in made_model(size)}


def tree_of(elements: Sequence[MadeElement]) -> MadeTree:
    return made_trees(1_000).get(id(elements)) or as_tree(elements)


@dataclass
class Yard:
    """Ilse's private project on a server."""

    server: SpeckleServer
    http: SpeckleHttp
    stream: ObjectStream = field(init=False)

    def __post_init__(self) -> None:
        self.ilse = self.server.add_user("Ilse Brandt")
        self.tower = self.server.add_project("Kestrel Tower", owner=self.ilse)
        self.login = Login(self.server.url, self.server.token(self.ilse))
        self.stream = ObjectStream(self.http)

    async def compare(
        self,
        before: MadeTree | Sequence[MadeElement],
        after: MadeTree | Sequence[MadeElement],
        limits: TreeLimits = LIMITS,
        within_s: float = 30.0,
    ) -> Comparison:
        """What differs between two trees."""
        there, now = (one if isinstance(one, MadeTree) else tree_of(one) for one in (before, after))
        self.tower.objects.update(there.objects)
        self.tower.objects.update(now.objects)
        self.stream = ObjectStream(self.http)
        until = monotonic() + within_s
        comparison = TreeComparison(self.stream, self.login, self.tower.id, until, limits)
        return await comparison.of(there.root, now.root)

    async def refusal(self, *trees: Any, **more: Any) -> WhyNotCompared:
        """Why they are not compared."""
        with pytest.raises(NotCompared) as refused:
            await self.compare(*trees, **more)
        return refused.value.why


@pytest.fixture
async def yard() -> AsyncIterator[Yard]:
    async with (
        SpeckleServer.start(release=SPECKLE_2_31) as server,
        SpeckleHttp.open([server.url]) as http,
    ):
        yield Yard(server, http)


def sums(found: Comparison) -> tuple[int, int, int]:
    """Added, removed, changed."""
    return sum(found.added.values()), sum(found.removed.values()), sum(found.changed.values())


# ── what is known of the made models ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "added", "removed", "comments", "moved", "category"),
    [(200, 2, 3, 5, 4, 1), (1_000, 12, 11, 25, 17, 5), (4_000, 50, 44, 98, 64, 18)],
)
async def test_a_usual_change(
    yard: Yard, size: int, added: int, removed: int, comments: int, moved: int, category: int
) -> None:
    found = await yard.compare(*made_model(size))
    assert found.conclusion is Conclusion.DIFFERENT
    assert sums(found) == (added, removed, comments + moved + category)
    assert found.properties == (("Comments", comments), ("category", category))
    assert found.moved == moved
    assert found.checked.all
    assert yard.stream.requests == 7


async def test_the_numbers_by_category(yard: Yard) -> None:
    found = {row.name: row for row in (await yard.compare(*made_model(1_000))).categories}
    assert {name: (row.added, row.removed) for name, row in found.items() if row.added} == {
        **dict.fromkeys(("Floors", "Doors", "Windows", "Pipes"), (1, 1)),
        "Walls": (5, 3),
        "Structural Framing": (2, 2),
        "Structural Columns": (1, 2),
    }
    assert found["Doors"].changed == 21


async def test_the_other_way_round_what_came_goes(yard: Yard) -> None:
    before, after = made_model(1_000)
    found, turned = await yard.compare(before, after), await yard.compare(after, before)
    assert (turned.added, turned.removed) == (found.removed, found.added)
    assert (turned.properties, turned.moved) == (found.properties, found.moved)


async def test_one_and_the_same_root_is_not_asked_about(yard: Yard) -> None:
    tree = as_tree(made_model(200)[0])
    assert (await yard.compare(tree, tree)).conclusion is Conclusion.IDENTICAL
    assert yard.stream.requests == 0


async def test_what_only_the_root_says_changes_no_element(yard: Yard) -> None:
    before, _ = made_model(200)
    found = await yard.compare(as_tree(before), as_tree(before, exportedAt="Friday"))
    assert found.conclusion is Conclusion.UNCHANGED
    assert yard.stream.requests == 1


ALIKE: dict[str, tuple[Change, Conclusion]] = {
    "every mesh has a new id": (lambda one: replace(one, meshed=1), Conclusion.UNCHANGED),
    "every id is new": (lambda one: replace(one, id=f"new-{one.id}"), Conclusion.NEW_IDS),
    "no ids any more": (lambda one: replace(one, id=None), Conclusion.NEW_IDS),
    "all ids new, mesh ids too": (
        lambda one: replace(one, id=f"new-{one.id}", meshed=1),
        Conclusion.NEW_IDS,
    ),
}


@pytest.mark.parametrize("name", ALIKE)
async def test_a_new_export_of_the_same_changes_nothing(yard: Yard, name: str) -> None:
    change, conclusion = ALIKE[name]
    before, _ = made_model(1_000)
    found = await yard.compare(before, each(before, change))
    assert (found.conclusion, sums(found), found.pairs) == (conclusion, (0, 0, 0), 1_050)
    assert (found.before, found.after, found.checked) == (1_050, 1_050, Checked(1_050, 1_050))


async def test_a_property_that_differs_on_all_hides_nothing_else(yard: Yard) -> None:
    before, after = made_model(1_000)
    stamped = each(before, lambda one: one.with_property("exportedAt", "Friday"))
    found = await yard.compare(before, stamped)
    assert (found.on_all, found.pairs, sums(found)) == (("exportedAt",), 1_050, (0, 0, 0))
    stamped = each(after, lambda one: one.with_property("exportedAt", "Friday"))
    found = await yard.compare(before, stamped)
    assert (found.on_all, found.pairs) == (("exportedAt",), 1_039)
    assert sums(found) == (12, 11, 47)
    assert (found.properties, found.moved) == ((("Comments", 25), ("category", 5)), 17)


async def test_another_mesh_setting_is_no_move_of_all(yard: Yard) -> None:
    before, _ = made_model(1_000)
    found = await yard.compare(before, each(before, lambda one: replace(one, place=one.place + 1)))
    assert (found.reshaped, found.pairs, sums(found)) == (True, 1_050, (0, 0, 0))


async def test_new_ids_with_a_change_on_top(yard: Yard) -> None:
    before, after = made_model(1_000)
    found = await yard.compare(before, each(after, lambda one: replace(one, id=f"new-{one.id}")))
    assert found.conclusion is Conclusion.NEW_IDS
    # Without an id an element whose properties changed is one that went and one that came.
    assert sums(found) == (12 + 25 + 5, 11 + 25 + 5, 17)
    assert found.pairs == 1_039 - 30


async def test_where_nothing_pairs_there_are_net_counts(yard: Yard) -> None:
    before, after = made_model(1_000)
    strange = each(after, lambda one: replace(one, id=f"new-{one.id}").with_property("Q", one.id))
    found = await yard.compare(before, strange)
    assert (found.conclusion, found.before, found.after) == (Conclusion.UNMATCHED, 1_050, 1_051)
    assert sum(found.added.values()) - sum(found.removed.values()) == 1


async def test_elements_that_are_alike_do_not_move_when_their_ids_do(yard: Yard) -> None:
    """A hundred beams with the same properties, whose meshes tell which is where."""
    beam = MadeElement(None, "Structural Framing", "L1", "IPE 300", 0.0, {"Comments": ""})
    before = [replace(beam, place=float(number)) for number in range(100)]
    after = [replace(one, meshed=1) for one in reversed(before)]
    assert (await yard.compare(before, after)).conclusion is Conclusion.NEW_IDS
    assert sums(await yard.compare(before, after)) == (0, 0, 0)
    after[7] = replace(after[7], place=500.5)
    assert sums(await yard.compare(before, after)) == (0, 0, 1)


# ── limits ────────────────────────────────────────────────────────────────────────────────────


async def test_too_many_objects_are_counted_alone(yard: Yard) -> None:
    found = await yard.compare(*made_model(1_000), limits=TreeLimits(objects=100))
    assert (found.conclusion, found.before, found.after) == (Conclusion.TOO_LARGE, 1_050, 1_051)
    net = {row.name: row.added - row.removed for row in found.categories}
    assert net == {"Generic Models": 5, "Structural Columns": -2, "Structural Framing": -2}
    few = TreeLimits(objects=100, counted=500)
    assert await yard.refusal(*made_model(1_000), limits=few) is WhyNotCompared.TOO_LARGE


async def test_of_too_many_pairs_some_are_checked(yard: Yard) -> None:
    before, _ = made_model(1_000)
    stamped = each(before, lambda one: one.with_property("exportedAt", "Friday"))
    found = await yard.compare(before, stamped, limits=TreeLimits(pairs=200))
    assert (found.conclusion, found.checked) == (Conclusion.DIFFERENT, Checked(200, 1_050))
    assert (found.on_all, found.properties) == ((), (("exportedAt", 200),))
    moved = each(before, lambda one: replace(one, meshed=1))
    found = await yard.compare(before, moved, limits=TreeLimits(shapes=100))
    assert found.conclusion is Conclusion.DIFFERENT
    assert not found.checked.all
    assert sums(found) == (0, 0, 0)


async def test_an_answer_that_is_too_large_is_asked_for_in_parts(yard: Yard) -> None:
    limits = TreeLimits(nodes_bytes=20_000, content_bytes=2_000)
    found = await yard.compare(*made_model(1_000), limits=limits)
    assert sums(found) == (12, 11, 47)
    limits = TreeLimits(nodes_bytes=500)
    assert await yard.refusal(*made_model(200), limits=limits) is WhyNotCompared.TOO_LARGE


async def test_out_of_time_says_so(yard: Yard) -> None:
    assert await yard.refusal(*made_model(200), within_s=0.0) is WhyNotCompared.TOO_SLOW


# ── objects that lie ──────────────────────────────────────────────────────────────────────────


def reference(object_id: str) -> dict[str, Any]:
    return {"referencedId": object_id, "speckle_type": "reference"}


def object_of(number: int, **more: Any) -> tuple[str, dict[str, Any]]:
    object_id = f"{number:032x}"
    return object_id, {"id": object_id, "speckle_type": "Objects.Data.DataObject", **more}


async def test_objects_that_are_not_there_are_said(yard: Yard) -> None:
    before, after = made_model(200)
    tree = as_tree(after)
    wall = next(one for one, data in tree.objects.items() if data.get("category") == "Walls")
    there = as_tree(before)
    lost = {one: data for one, data in tree.objects.items() if one != wall}
    yard.tower.lost.add(next(one for one in lost if one not in there.objects))
    assert await yard.refusal(there, tree) is WhyNotCompared.INCOMPLETE


async def test_a_circle_ends(yard: Yard) -> None:
    first, second = f"{1:032x}", f"{2:032x}"
    circle = dict([
        object_of(1, elements=[reference(second), reference(first)]),
        object_of(2, elements=[reference(first)], applicationId="a"),
        object_of(3, elements=[reference(f"{4:032x}")]),
        object_of(4, applicationId="a", properties={"Comments": "x"}),
    ])  # fmt: skip
    trees = MadeTree(first, circle), MadeTree(f"{3:032x}", circle)
    assert sums(await yard.compare(*trees)) == (0, 0, 1)


async def test_a_tree_that_is_too_deep_is_left(yard: Yard) -> None:
    deep = dict(
        object_of(number, elements=[reference(f"{number + 1:032x}")]) for number in range(10, 400)
    )
    last, flat = object_of(400), object_of(1, elements=[reference(f"{2:032x}")])
    trees = (
        MadeTree(f"{10:032x}", deep | dict([last])),
        MadeTree(flat[0], dict([flat, object_of(2)])),
    )
    assert await yard.refusal(*trees) is WhyNotCompared.TOO_LARGE


async def test_siblings_without_end_are_left(yard: Yard) -> None:
    many = [reference(f"{number:032x}") for number in range(200_000)]
    root, other = object_of(1, elements=many), object_of(2, elements=[])
    trees = MadeTree(root[0], dict([root])), MadeTree(other[0], dict([other]))
    assert await yard.refusal(*trees) is WhyNotCompared.TOO_LARGE
    assert yard.stream.requests <= 3


NONSENSE: tuple[Any, ...] = (
    {"elements": "all of them"},
    {"elements": [None, 7, {"referencedId": 9}, {"id": "inline", "speckle_type": "Wall"}]},
    {"elements": {"referencedId": ["x"]}, "speckle_type": 3, "name": {"a": []}},
    {"@Walls": [{"referencedId": None}], "@RenderMaterialProxies": [reference("a" * 32)]},
)


@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_without_elements_nothing_is_said(yard: Yard, nonsense: dict[str, Any]) -> None:
    objects = dict([object_of(1, **nonsense), object_of(2, name="empty")])
    trees = MadeTree(f"{1:032x}", objects), MadeTree(f"{2:032x}", objects)
    assert await yard.refusal(*trees) is WhyNotCompared.NO_ELEMENTS


async def test_roots_of_old_connectors_hold_lists_of_their_own(yard: Yard) -> None:
    def tree(*walls: str) -> MadeTree:
        root = Base()
        root["@Walls"] = [Base(applicationId=one) for one in walls]
        root["@displayValue"] = [Base(applicationId="mesh")]
        root["@RenderMaterialProxies"] = [Base(applicationId="material")]
        return written(root)

    found = await yard.compare(tree("a", "b"), tree("b", "c", "d"))
    assert [(one.name, one.added, one.removed) for one in found.categories] == [("Walls", 2, 1)]


async def test_the_place_in_the_tree_names_what_has_no_category(yard: Yard) -> None:
    def tree(*names: str) -> MadeTree:
        inside = [Base(applicationId=one) for one in names]
        return written(Collection(name="all", elements=[Collection(name="Beams", elements=inside)]))

    found = await yard.compare(tree("a"), tree("a", "b"))
    assert [(one.name, one.added) for one in found.categories] == [("Beams", 1)]


# ── servers that are old, down or lying ───────────────────────────────────────────────────────


async def test_a_server_without_the_way_is_said(yard: Yard) -> None:
    yard.server.faults.path = "/api/v2/projects/"
    yard.server.faults.status = 404
    assert await yard.refusal(*made_model(200)) is WhyNotCompared.NO_WAY


async def test_a_server_that_is_down_is_asked_again_later(yard: Yard) -> None:
    yard.server.faults.status = 503
    with pytest.raises(SpeckleUnavailable):
        await yard.compare(*made_model(200))


async def test_a_server_that_hangs_ends_in_time(yard: Yard) -> None:
    yard.server.faults.hang = True
    assert await yard.refusal(*made_model(200), within_s=0.2) is WhyNotCompared.TOO_SLOW
