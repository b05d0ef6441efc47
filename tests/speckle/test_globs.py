"""Patterns with character classes, and what patterns leave to others."""

import re
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.globs import all_fit, fits, fits_everything, is_glob


@pytest.mark.parametrize(
    ("pattern", "name", "fitting"),
    [
        ("level [0-9]", "level 7", True),
        ("level [0-9]", "level 12", False),
        ("level [0-9][0-9]", "level 12", True),
        ("level [!0-9]", "level b", True),
        ("level [^0-9]", "level 3", False),
        ("level [a-cx]", "level X", True),
        ("a[!x]b", "a/b", False),
        ("[wip] facade", "[WIP] facade", True),  # brackets that are part of the name
        ("[wip]/**", "[wip]/a", True),
        ("[]", "[]", True),
        ("[", "[", True),
    ],
)
def test_a_class_is_one_character_or_itself(pattern: str, name: str, fitting: bool) -> None:
    assert fits(pattern, name) is fitting


@pytest.mark.parametrize(
    ("pattern", "others", "covered"),
    [
        ("structure/**", ["structure/**"], True),
        ("structure/**", ["**"], True),
        ("structure/level 1", ["structure/*"], True),
        ("structure/**", ["structure/*"], False),
        ("structure/**", ["structure", "structure/**"], True),
        ("**", ["*", "*/**"], True),
        ("**", ["!a"], False),
        ("*", ["?*"], False),
        ("draft*", ["**/draft*"], True),
        ("level [0-9]", ["level ?"], True),
        ("level ?", ["level [0-9]"], False),
        ("a", [], False),
    ],
)
def test_what_others_leave_of_a_pattern(pattern: str, others: list[str], covered: bool) -> None:
    assert all_fit(pattern, others) is covered


@pytest.mark.parametrize("pattern", ["*", "a?", "[ab]", "level [0-9]", "a/**", "[wip]/a"])
def test_what_fits_several_names_is_a_glob(pattern: str) -> None:
    assert is_glob(pattern)
    assert not is_glob(re.sub(r"[*?]|\[.*\]", "x", pattern))


def test_only_two_stars_fit_everything() -> None:
    assert fits_everything("**")
    assert fits_everything("**/**")
    assert not fits_everything("*")
    assert not fits_everything("**/a")


@settings(deadline=None)  # a busy machine is slow
@given(
    st.text("a*?/[]!-", max_size=8), st.text("a*?/[]!-", max_size=8), st.text("ab/-", max_size=8)
)
def test_what_is_covered_is_fitted_by_the_other(pattern: str, other: str, name: str) -> None:
    if name.strip("/") == name and fits(pattern, name) and all_fit(pattern, [other]):
        assert fits(other, name)


def test_many_stars_are_compared_in_no_time() -> None:
    assert not all_fit("*a" * 40, ["*/*"])
    assert all_fit("*a" * 40, ["**"])


def test_long_patterns_and_long_names_are_compared_in_no_time() -> None:
    started = perf_counter()
    for number in range(40):
        assert fits("*a*b*c*d*e" * 9, f"{'abcde' * 190}/{number}") is False
        assert fits("**[a-z]" * 14, f"{'xyz' * 330}{number}z")
        assert fits("*/**/*?" * 12, f"{'ab/' * 300}{number}")
    assert perf_counter() - started < 0.5
