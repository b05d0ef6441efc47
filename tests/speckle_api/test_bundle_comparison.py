"""What differs between two versions that are bundles.

Most tests ask the program's function in this process, as a process of its own takes half a second.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.speckle import comparison
from bot.speckle.comparison import Checked, Comparison, Conclusion, NotCompared, WhyNotCompared
from bot.speckle_api import bundle_process
from bot.speckle_api.bundle_comparison import comparison_of
from bot.speckle_api.bundle_process import CompareLimits, compare, locked, property_name
from sandbox.speckle.made_bundles import Tables, bundle_rows, parquet_files
from sandbox.speckle.made_models import MadeElement, all_of, each, made_model

WRITTEN = Path(__file__).parents[1] / "fixtures/speckle/bundle"
LIMITS = CompareLimits()
TYPES = {"Basic Wall 200": {"Fire Rating": "F90", "Width": 0.2}}
PREFIX = "properties.Parameters.Instance Parameters.Other."

Model = Sequence[MadeElement]
Change = Callable[[MadeElement], MadeElement]
Files = Mapping[str, bytes]


class Bench:
    """A folder in which two bundles are compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def compare(
        self,
        before: Model | Tables | Files,
        after: Model | Tables | Files,
        limits: CompareLimits = LIMITS,
        **how: Any,
    ) -> Comparison:
        """What differs."""
        for old in self.folder.iterdir():
            old.unlink()
        for side, content in (("before", before), ("after", after)):
            for name, one in files_of(content, **how).items():
                (self.folder / f"{side}.{name}.parquet").write_bytes(one)
        answer = compare(locked(self.folder), self.folder, limits=limits)
        return comparison_of(json.loads(json.dumps(answer)))

    def refusal(self, *bundles: Any, **how: Any) -> WhyNotCompared:
        """Why they are not compared."""
        with pytest.raises(NotCompared) as refused:
            self.compare(*bundles, **how)
        return refused.value.why

    def ends(self, *bundles: Any) -> Conclusion | WhyNotCompared:
        """What it comes to."""
        try:
            return self.compare(*bundles).conclusion
        except NotCompared as refused:
            return refused.why


def files_of(content: Model | Tables | Files, **how: Any) -> Files:
    if not isinstance(content, Mapping):
        return parquet_files(bundle_rows(content, **how))
    files = {name: one for name, one in content.items() if isinstance(one, bytes)}
    rows = {name: one for name, one in content.items() if isinstance(one, list)}
    return {**files, **parquet_files(rows)}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def sums(found: Comparison) -> tuple[int, int, int]:
    """Added, removed, changed."""
    return found.total_added, found.total_removed, found.total_changed


def stamped(model: Model) -> Model:
    return each(model, lambda one: one.with_property("exportedAt", "Friday"))


# ── what is known of the made models ──────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "added", "removed", "comments", "category"),
    [(200, 2, 3, 5, 1), (1_000, 12, 11, 25, 5), (10_000, 125, 108, 247, 46)],
)
def test_a_usual_change(
    bench: Bench, size: int, added: int, removed: int, comments: int, category: int
) -> None:
    """What only moved is in no table."""
    found = bench.compare(*made_model(size))
    assert found.conclusion is Conclusion.DIFFERENT
    assert sums(found) == (added, removed, comments + category)
    assert found.properties == (("Comments", comments), ("category", category))
    assert (found.moved, found.checked.all) == (0, True)


def test_the_numbers_by_category(bench: Bench) -> None:
    found = bench.compare(*made_model(1_000))
    assert {row.name: (row.added, row.removed) for row in found.categories if row.added} == {
        **dict.fromkeys(("Floors", "Doors", "Windows", "Pipes"), (1, 1)),
        "Walls": (5, 3),
        "Structural Framing": (2, 2),
        "Structural Columns": (1, 2),
    }
    assert {one.level for one in found.added} == {"L1", "L2"}
    assert "Basic Wall 200" in {one.name for one in found.added}


def test_the_tables_that_specklepy_writes(bench: Bench) -> None:
    before, after = (
        {path.stem: path.read_bytes() for path in (WRITTEN / side).iterdir()}
        for side in bundle_process.SIDES
    )
    found = bench.compare(before, after)
    assert (found.before, found.after, sums(found)) == (84, 84, (1, 1, 4))
    assert found.properties == (("Comments", 3), ("category", 1))
    made = bench.compare(*made_model(80), types=TYPES)
    assert made.categories == found.categories
    assert made.properties == found.properties


def test_the_other_way_round_what_came_goes(bench: Bench) -> None:
    before, after = made_model(1_000)
    found, turned = bench.compare(before, after), bench.compare(after, before)
    assert (turned.added, turned.removed) == (found.removed, found.added)
    assert turned.properties == found.properties


def test_containers_and_levels_say_what_the_elements_do_not(bench: Bench) -> None:
    """What is hosted is where its host is."""
    found = bench.compare(*made_model(1_000), category_rows=False)
    assert sums(found) == (12, 11, 30)
    assert found.properties == (("Comments", 25), ("category", 5))
    assert {one.level for one in found.added} == {"L1", "L2"}
    rows = {row.name: row for row in found.categories}
    assert (rows["Walls"].added, rows["Walls"].removed) == (5, 3)
    assert "Curtain Panels" not in rows


# ── what is no change ─────────────────────────────────────────────────────────────────────────

ALIKE: dict[str, tuple[Change, Conclusion]] = {
    "it moved": (lambda one: replace(one, place=one.place + 1), Conclusion.UNCHANGED),
    "every id is new": (lambda one: replace(one, id=f"new-{one.id}"), Conclusion.NEW_IDS),
    "no ids any more": (lambda one: replace(one, id=None), Conclusion.NEW_IDS),
    "numbers were read and written again": (
        lambda one: one.with_property("Length", 3.3 * (1 + 1e-12)),
        Conclusion.UNCHANGED,
    ),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_new_export_of_the_same_changes_nothing(bench: Bench, name: str) -> None:
    change, conclusion = ALIKE[name]
    before = each(made_model(200)[0], lambda one: one.with_property("Length", 3.3))
    found = bench.compare(before, each(before, change))
    assert (found.conclusion, sums(found), found.pairs) == (conclusion, (0, 0, 0), 210)
    assert (found.before, found.after, found.checked) == (210, 210, Checked(210, 210))


def test_the_order_in_which_it_is_written_changes_nothing(bench: Bench) -> None:
    before, _ = made_model(200)
    after = bundle_rows(list(reversed(before)), types=TYPES)
    for table in ("eav.eav", "eav.type_eav", "envelope.relations"):
        after[table].sort(key=str)
    found = bench.compare(before, after, types=TYPES)
    assert (found.conclusion, found.pairs) == (Conclusion.UNCHANGED, 210)


def test_what_says_which_object_it_is_and_what_is_below_it_is_no_property(bench: Bench) -> None:
    before = bundle_rows(made_model(200)[0])
    after = bundle_rows(made_model(200)[0])
    for number, path in enumerate(("applicationId", "elements", "displayValue.0.referencedId")):
        paths = after["eav.paths"]
        after["eav.eav"] += [
            (one, len(paths), f"{one}-{number}", None, None, None, None) for one in range(210)
        ]
        paths.append((len(paths), path))
    assert bench.compare(before, after).conclusion is Conclusion.UNCHANGED


def test_a_parameter_that_is_a_type_s_now_is_the_same(bench: Bench) -> None:
    before = after = made_model(200)[0]
    rows = bundle_rows(before, types=TYPES)
    found = bench.compare(rows, with_own_types(rows), types=TYPES)
    assert (found.conclusion, found.pairs) == (Conclusion.UNCHANGED, len(all_of(after)))


def with_own_types(rows: Tables) -> Tables:
    """The same with the types' parameters written at each element."""
    own = [
        (element, *values)
        for element, kind in rows["eav.object_type"]
        for type_index, *values in rows["eav.type_eav"]
        if type_index == kind
    ]
    kept = {name: one for name, one in rows.items() if "type" not in name}
    return {**kept, "eav.eav": [*rows["eav.eav"], *own]}


# ── what is a change ──────────────────────────────────────────────────────────────────────────


def test_a_parameter_of_a_type_changes_each_of_its_elements(bench: Bench) -> None:
    before, _ = made_model(200)
    of_type = sum(one.name in TYPES for one in all_of(before))
    rated = {"Basic Wall 200": {"Fire Rating": "F30", "Width": 0.2}}
    found = bench.compare(bundle_rows(before, types=TYPES), bundle_rows(before, types=rated))
    assert found.properties == (("Fire Rating", of_type),)
    assert {one.kind.name for one in found.changed} == {"Basic Wall 200"}
    found = bench.compare(bundle_rows(before, types=TYPES), bundle_rows(before))
    assert found.properties == (("Fire Rating", of_type), ("Width", of_type))


def test_a_property_that_differs_on_all_hides_nothing_else(bench: Bench) -> None:
    before, after = made_model(1_000)
    found = bench.compare(before, stamped(before))
    assert (found.on_all, found.pairs, sums(found)) == (("exportedAt",), 1_050, (0, 0, 0))
    found = bench.compare(before, stamped(after))
    assert (found.on_all, found.pairs) == (("exportedAt",), 1_039)
    assert sums(found) == (12, 11, 30)
    assert found.properties == (("Comments", 25), ("category", 5))


def test_new_ids_with_a_change_on_top(bench: Bench) -> None:
    before, after = made_model(1_000)
    found = bench.compare(before, each(after, lambda one: replace(one, id=f"new-{one.id}")))
    assert found.conclusion is Conclusion.NEW_IDS
    # Without an id an element whose properties changed is one that went and one that came.
    assert sums(found) == (12 + 25 + 5, 11 + 25 + 5, 0)
    assert found.pairs == 1_039 - 30


def test_where_nothing_pairs_there_are_net_counts(bench: Bench) -> None:
    before, after = made_model(1_000)
    strange = each(after, lambda one: replace(one, id=f"new-{one.id}").with_property("Q", one.id))
    found = bench.compare(before, strange)
    assert (found.conclusion, found.before, found.after) == (Conclusion.UNMATCHED, 1_050, 1_051)
    assert found.total_added - found.total_removed == 1


def test_elements_without_an_id_are_paired_by_what_they_are_like(bench: Bench) -> None:
    before, _ = made_model(200)
    nameless = [replace(one, id=None, hosted=()) for one in before[:20]]
    after = [*nameless[:15], *before[20:]]
    found = bench.compare([*nameless, *before[20:]], after)
    assert sums(found) == (0, 5, 0)


BEAM = MadeElement("a", "Beams", "L1", "IPE 300", 0.0, {})

VALUES: list[tuple[Any, Any, bool]] = [
    ("1.10", "1.1", True),
    ("007", "7", True),
    (3.3, 3.3 * (1 + 1e-12), False),
    (3.3, 3.3 * (1 + 1e-6), True),
    (0.0, 1e-15, True),
    (True, False, True),
    ("", "x", True),
    ("ü", "u\u0308", True),
    (1, 1.0, False),
    (1e300, 1e301, True),
]


def test_values(bench: Bench) -> None:
    before, after = (
        [
            replace(BEAM, id=str(n), name=str(n)).with_property("Mark", one)
            for n, one in enumerate(side)
        ]
        for side in zip(*((was, now) for was, now, _ in VALUES), strict=True)
    )
    differ = {str(number) for number, (*_, differs) in enumerate(VALUES) if differs}
    for found in (bench.compare(before, after), bench.compare(after, before)):
        assert {one.kind.name for one in found.changed} == differ


def test_a_property_that_comes_or_goes_is_a_change(bench: Bench) -> None:
    found = bench.compare([BEAM], [BEAM.with_property("Mark", "")])
    assert found.properties == (("Mark", 1),)
    assert bench.compare([BEAM.with_property("Mark", 0)], [BEAM]).properties == (("Mark", 1),)


def test_where_an_element_is_written_to_be_it_is_seen_that_it_moved(bench: Bench) -> None:
    def at(place: float, mark: str = "") -> Tables:
        rows = bundle_rows([BEAM.with_property("Mark", mark)])
        number = len(rows["eav.paths"])
        rows["eav.paths"].append((number, "location.x"))
        rows["eav.eav"].append((0, number, str(place), place, None, "m", None))
        return rows

    found = bench.compare(at(0.5), at(1.5))
    assert (found.moved, found.properties, found.total_changed) == (1, (), 1)
    found = bench.compare(at(0.5), at(1.5, "A"))
    assert (found.moved, found.properties, found.total_changed) == (0, (("Mark", 1),), 1)
    assert sums(bench.compare(at(0.5), at(0.5 + 1e-13))) == (0, 0, 0)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (f"{PREFIX}Fire Rating", "Fire Rating"),
        (f"{PREFIX}No. of risers", "No. of risers"),
        (f"{PREFIX}Length (approx.)", "Length (approx.)"),
        ("properties.Material Quantities.Concrete.C30.volume", "volume"),
        ("name", "name"),
        ("a.", "a."),
        ("." * 500, "." * 80),
        ("x" * 500, "x" * 80),
    ],
)
def test_names_of_properties(path: str, name: str) -> None:
    assert property_name(path) == name


# ── limits ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("limits", [CompareLimits(elements=1_000), CompareLimits(rows=5_000)])
def test_too_many_elements_are_counted_alone(bench: Bench, limits: CompareLimits) -> None:
    found = bench.compare(*made_model(1_000), limits=limits)
    assert (found.conclusion, found.before, found.after) == (Conclusion.TOO_LARGE, 1_050, 1_051)
    net = {row.name: row.added - row.removed for row in found.categories}
    assert net == {"Generic Models": 5, "Structural Columns": -2, "Structural Framing": -2}


@pytest.mark.parametrize("few", [CompareLimits(counted=500), CompareLimits(counted_rows=500)])
def test_more_than_can_be_counted_is_too_large(bench: Bench, few: CompareLimits) -> None:
    assert bench.refusal(*made_model(1_000), limits=few) is WhyNotCompared.TOO_LARGE


def test_without_time_left_it_is_not_found_out_how_they_differ(bench: Bench) -> None:
    before, after = made_model(1_000)
    found = bench.compare(before, stamped(after), limits=CompareLimits(details_share=0.0))
    assert (found.conclusion, found.checked) == (Conclusion.DIFFERENT, Checked(0, 1_039))
    assert sums(found) == (12, 11, 0)


SMALL = made_model(200)[0], stamped(made_model(200)[1])


def test_in_batches_it_is_the_same(bench: Bench) -> None:
    before, after = (bundle_rows(one, types=TYPES) for one in SMALL)
    whole = bench.compare(before, after)
    assert bench.compare(before, after, CompareLimits(batch_rows=300)) == whole
    assert whole.on_all == ("exportedAt",)


def test_a_long_answer_says_less_of_each(bench: Bench) -> None:
    before, after = made_model(1_000)
    marked = each(after, lambda one: one.with_property(f"P{int(one.place) % 5}", "x"))
    found = bench.compare(before, marked, limits=CompareLimits(answers=5))
    assert sums(found) == (12, 11, 1_039)
    assert len(found.added) <= 5
    assert {one.name for one in found.added} == {""}
    assert {one.kind.category for one in found.changed} == {""}
    assert {name for name, _ in found.properties} <= {"P0", "P1", "P2", "P3", "P4"}
    found = bench.compare(before, marked, limits=CompareLimits(answers=40))
    assert (len(found.changed), sums(found)) == (18, (12, 11, 1_039))
    assert dict(found.properties).keys() > {"Comments", "category", "P0"}
    assert {one.kind.name for one in found.changed} == {""}


# ── tables that lie ───────────────────────────────────────────────────────────────────────────


def spoiled(change: Callable[[Tables], Any]) -> Tables:
    """The tables of a small model after a change; None for a table takes it away."""
    rows = bundle_rows(made_model(40)[0], types=TYPES)
    change(rows)
    return rows


@cache
def sound() -> Files:
    """The tables of a small model."""
    return parquet_files(spoiled(lambda _: None))


def add(table: str, *rows: tuple[Any, ...]) -> Callable[[Tables], Any]:
    return lambda tables: tables[table].extend(rows)


NOTHING = (None, None, None)
REFUSED: dict[str, tuple[Callable[[Tables], Any], WhyNotCompared]] = {
    "an object twice": (add("eav.objects", (0, "other")), WhyNotCompared.UNREADABLE),
    "an object without a number": (
        add("eav.objects", (None, "other")),
        WhyNotCompared.UNREADABLE,
    ),
    "a path twice": (add("eav.paths", (0, "other")), WhyNotCompared.UNREADABLE),
    "a property of nobody": (
        add("eav.eav", (9_999, 0, "x", None, None, None, None)),
        WhyNotCompared.INCOMPLETE,
    ),
    "a property that is called nothing": (
        add("eav.eav", (0, 9_999, "x", None, None, None, None)),
        WhyNotCompared.INCOMPLETE,
    ),
    "a type's property that is called nothing": (
        add("eav.type_eav", (0, 9_999, "x", None, None, None, None)),
        WhyNotCompared.INCOMPLETE,
    ),
    "no table of paths": (lambda rows: rows.pop("eav.paths"), WhyNotCompared.UNREADABLE),
    "no table of properties": (lambda rows: rows.pop("eav.eav"), WhyNotCompared.UNREADABLE),
}


@pytest.mark.parametrize("name", REFUSED)
def test_tables_that_do_not_fit_together_are_refused(bench: Bench, name: str) -> None:
    change, why = REFUSED[name]
    assert bench.refusal(sound(), spoiled(change)) is why


HARMLESS: dict[str, Callable[[Tables], Any]] = {
    "circles": add("envelope.relations", (3, 0, 0, 0), (3, 1, 2, 0), (3, 2, 1, 0)),
    "relations to nobody": add(
        "envelope.relations",
        (3, 0, 9_999, 0),
        (3, 9_999, 0, 0),
        (7, 0, 9_999, 0),
        (10, 9_999, 0, 0),
    ),
    "unknown relations": add("envelope.relations", (99, 0, 0, 0), (-1, 0, 0, 0)),
    "an element in two containers": add("envelope.relations", *((10, 0, 2, 0),) * 3),
    "a node twice": add("envelope.nodes", (0, 5, "L1", None, None, None)),
    "rows without a value": add("eav.eav", (0, 0, *NOTHING, None, None)),
    "a type of nobody": add("eav.object_type", (9_999, 9_999)),
    "an element of two types": add("eav.object_type", (0, 9_999)),
}


def test_what_leads_nowhere_is_passed_over(bench: Bench) -> None:
    def all_of_them(rows: Tables) -> None:
        for change in HARMLESS.values():
            change(rows)

    found = bench.compare(sound(), spoiled(all_of_them))
    assert (found.conclusion, found.pairs) == (Conclusion.UNCHANGED, 42)


def test_a_circle_of_hosts_without_a_container_ends(bench: Bench) -> None:
    rows = bundle_rows(made_model(40)[0], category_rows=False)
    rows["envelope.relations"] = [(3, one, (one + 1) % 42, 0) for one in range(42)]
    assert {row.name for row in bench.compare(rows, bundle_rows([])).categories} == {"DataObject"}


def test_an_id_that_several_elements_have_is_paired_in_their_order(bench: Bench) -> None:
    same = [replace(BEAM, id="same").with_property("Mark", number) for number in range(5)]
    assert sums(bench.compare(same, same[:3])) == (0, 2, 0)
    assert sums(bench.compare(same, [*same, *same])) == (5, 0, 0)


def test_a_property_that_an_element_has_a_thousand_times(bench: Bench) -> None:
    """Pairs of all with all would be a million."""
    rows = bundle_rows([BEAM.with_property("Mark", "A")])
    last = len(rows["eav.paths"]) - 1
    values = [(0, last, str(number), number, None, None, None) for number in range(1_000)]
    before, after = (
        {**rows, "eav.eav": [*rows["eav.eav"], *more]} for more in (values, values[1:])
    )
    found = bench.compare(before, after)
    assert (sums(found), found.properties) == ((0, 0, 1), (("Mark", 1),))
    assert sums(bench.compare(before, dict(before))) == (0, 0, 0)


def test_names_are_one_line_and_not_long(bench: Bench) -> None:
    odd = replace(BEAM, category="Be\x00am\ns\r\n" + "x" * 5_000, name=" \t", level="\u202e" * 500)
    (kind,) = bench.compare([], [replace(odd, category=odd.category.replace("\x00", ""))]).added
    assert kind.category.startswith("Beam s x")
    assert max(map(len, (kind.category, kind.level, kind.name))) <= 120
    assert kind.name == ""


def test_without_elements_nothing_is_said(bench: Bench) -> None:
    assert bench.refusal([], []) is WhyNotCompared.NO_ELEMENTS
    assert sums(bench.compare([], [BEAM])) == (1, 0, 0)


def parquet(question: str, folder: Path, source: bytes = b"") -> bytes:
    """What a question answers, as Parquet; SOURCE in it is this file."""
    table, answer = folder.parent / "table.parquet", folder.parent / "answer.parquet"
    table.write_bytes(source)
    question = question.replace("SOURCE", f"'{table}'")
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({question}) TO '{answer}' (FORMAT parquet, CODEC zstd)")
    return answer.read_bytes()


OTHER_TYPES = [
    ("eav.objects", "object_index", "object_index::VARCHAR"),
    ("eav.objects", "application_id", "[application_id]"),
    ("eav.eav", "object_index", "'x' || object_index"),
    ("eav.eav", "path_index", "path_index::DOUBLE + 0.25"),
    ("eav.eav", "value_double", "value_double::VARCHAR"),
    ("eav.eav", "value_boolean", "1.5"),
    ("eav.eav", "value_string", "value_string::BLOB"),
    ("eav.paths", "path", "{'a': path}"),
    ("envelope.nodes", "kind", "'wall'"),
    ("envelope.relations", "rel", "rel::DOUBLE"),
    ("eav.object_type", "type_index", "NULL"),
]


@pytest.mark.parametrize(("table", "column", "instead"), OTHER_TYPES)
def test_columns_of_other_types_and_missing_ones_end_in_an_answer(
    bench: Bench, table: str, column: str, instead: str
) -> None:
    whole = sound()
    less = parquet(f"FROM SOURCE SELECT * EXCLUDE {column}", bench.folder, whole[table])
    assert bench.refusal(whole, {**whole, table: less}) is WhyNotCompared.UNREADABLE
    odd = f"FROM SOURCE SELECT * REPLACE ({instead} AS {column})"
    other = {**whole, table: parquet(odd, bench.folder, whole[table])}
    # Some can be read all the same, and say something else then.
    refusals = (WhyNotCompared.UNREADABLE, WhyNotCompared.INCOMPLETE)
    assert bench.ends(whole, other) in (*refusals, *Conclusion)


@pytest.mark.parametrize("table", ["eav.objects", "eav.eav"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda _: b"",
        lambda whole: whole[:-20],
        lambda whole: whole[: len(whole) // 2] + bytes(40) + whole[len(whole) // 2 :],
        lambda whole: whole[:40] + b"\xff" * 40 + whole[80:],
        lambda _: b"PAR1" + b"\xff" * 1_000 + b"\xff\xff\xff\x7fPAR1",
    ],
)
def test_broken_files_are_unreadable(
    bench: Bench, table: str, spoil: Callable[[bytes], bytes]
) -> None:
    broken = {**sound(), table: spoil(sound()[table])}
    assert bench.refusal(sound(), broken) is WhyNotCompared.UNREADABLE


def test_a_million_rows_in_a_small_file_are_counted_before_they_are_read(bench: Bench) -> None:
    many = "SELECT 0::INTEGER AS object_index, 'a' AS application_id FROM range(600_000)"
    bomb = {**sound(), "eav.objects": parquet(many, bench.folder)}
    assert len(bomb["eav.objects"]) < 20_000
    assert bench.refusal(sound(), bomb) is WhyNotCompared.TOO_LARGE


def test_a_text_that_grows_when_it_is_read_does_not_fit(bench: Bench) -> None:
    long = (
        "SELECT 0::INTEGER AS object_index, 0::INTEGER AS path_index, repeat('x', 2_000_000)"
        " || range AS value_string, NULL::DOUBLE AS value_double, NULL::BOOLEAN AS value_boolean"
        " FROM range(150)"
    )
    bomb = {**sound(), "eav.eav": parquet(long, bench.folder)}
    assert len(bomb["eav.eav"]) < 100_000
    assert bench.refusal(sound(), bomb) is WhyNotCompared.TOO_LARGE


# ── what the process says is not taken for sure ───────────────────────────────────────────────

TRUE = {
    "before": 1,
    "after": 1,
    "removed": [],
    "added": [],
    "pairs": 1,
    "by_content": 0,
    "checked": 1,
    "changed": [["a", "b", "c", [0], False, 1]],
    "properties": ["Mark"],
}
LIES: list[Any] = [
    None,
    5,
    [],
    {},
    {"why": "no reason"},
    {**TRUE, "changed": [["a", "b", "c", [1], False, 1]]},
    {**TRUE, "changed": [["a", "b", "c", [-1], False, 1]]},
    {**TRUE, "changed": [["a", "b", "c", [0], False, 2]]},
    {**TRUE, "added": [["a", "b", "c", 1]]},
    {**TRUE, "pairs": 2},
    {**TRUE, "before": -1},
    {**TRUE, "checked": 2},
    {**TRUE, "after": 10**12},
]


def test_an_answer_that_adds_up_is_believed() -> None:
    assert sums(comparison_of(TRUE)) == (0, 0, 1)


@pytest.mark.parametrize("lie", LIES)
def test_an_answer_that_does_not_add_up_is_not_believed(lie: Any) -> None:
    with pytest.raises(NotCompared) as refused:
        comparison_of(lie)
    assert refused.value.why is WhyNotCompared.UNREADABLE


def test_the_program_has_the_bot_s_rules() -> None:
    for name in ("NEW_IDS_SHARE", "NEW_IDS_SIZE", "CATEGORY"):
        assert getattr(bundle_process, name) == getattr(comparison, name)
    for numbers in ((91, 100, 91, 100), (90, 100, 90, 100), (100, 100, 111, 111), (0, 0, 0, 0)):
        assert bundle_process.are_ids_new(*numbers) == comparison.are_ids_new(*numbers)


# ── any change ────────────────────────────────────────────────────────────────────────────────

elements = st.builds(
    MadeElement,
    id=st.one_of(st.none(), st.sampled_from("abcdefgh")),
    category=st.sampled_from(["Walls", "Doors", ""]),
    level=st.sampled_from(["L1", "L2"]),
    name=st.sampled_from(["Basic Wall 200", "A"]),
    place=st.just(0.0),
    properties=st.dictionaries(
        st.sampled_from(["Mark", "Length"]),
        st.one_of(st.sampled_from(["", "1.1", "1.10"]), st.floats(0, 2), st.booleans()),
        max_size=2,
    ),
)


@settings(
    max_examples=8,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(before=st.lists(elements, max_size=12), after=st.lists(elements, max_size=12))
def test_there_is_never_more_than_what_is_there_and_turned_round_it_is_the_other_way(
    bench: Bench, before: Model, after: Model
) -> None:
    if not before and not after:
        return
    there, now = files_of(before, types=TYPES), files_of(after, types=TYPES)
    found, turned = bench.compare(there, now), bench.compare(now, there)
    assert (found.added, found.removed) == (turned.removed, turned.added)
    assert found.conclusion is turned.conclusion
    if found.conclusion is Conclusion.UNMATCHED:
        return
    assert (found.before, found.after) == (len(before), len(after))
    assert found.pairs + found.total_removed == len(before)
    assert found.pairs + found.total_added == len(after)
    assert found.total_changed <= found.pairs
    known = Counter((one.category, one.level, one.name) for one in before if one.category)
    for kind, count in found.removed.items():
        if kind.category not in ("Walls", "Doors"):
            continue
        assert count <= known[kind.category, kind.level, kind.name]
    ids = Counter(one.id for one in before if one.id) & Counter(one.id for one in after if one.id)
    assert found.pairs >= ids.total()
