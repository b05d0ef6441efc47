"""What benches write into bench/RESULTS.md."""

from importlib.util import find_spec

from bench.results import INTRODUCTION, Row, figure, with_section
from bench.run import NAMES


def test_a_section_replaces_the_one_of_its_name_and_leaves_the_others() -> None:
    page = INTRODUCTION
    for name, section in [("start", "slow"), ("listener", "one\n\ntwo"), ("start", "fast")]:
        page = with_section(page, name, section)
    assert page == f"{INTRODUCTION}\n## listener\n\none\n\ntwo\n\n## start\n\nfast\n"


def test_a_figure_is_its_median_with_the_least_and_the_most() -> None:
    assert figure([1_200.0, 800.0, 1_000.0], "/s") == "1,000 /s (800 to 1,200)"
    assert figure([0.654], "", 2) == "0.65"


def test_a_row_that_is_not_judged_has_nothing_to_reach() -> None:
    judged = Row("requests", "7 /s", "10 /s", "0.70", "≥ 0.65", True)
    assert str(judged) == "| requests | 7 /s | 10 /s | 0.70 | ≥ 0.65 | yes |"
    assert str(Row("memory", "9 MB")) == "| memory | 9 MB |  |  |  |  |"


def test_each_bench_that_is_named_is_there() -> None:
    assert [name for name in NAMES if find_spec(f"bench.{name}") is None] == []
