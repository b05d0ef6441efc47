"""What is said of filters that have no effect now."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.events import ProjectNames
from bot.speckle.filter_hints import (
    FilterHint,
    NoEffect,
    corrected,
    hints_for,
    names_issues,
    server_hints,
)
from bot.speckle.subscription_options import SubscriptionOptions

MODELS = [
    "architecture/facade", "architecture/core", "structure/level 1", "structure/level 2", "site",
    "mep/ducts, east",
]  # fmt: skip
PEOPLE = {"a1f47c02d9": "Maren Oduya", "b2f47c02d9": "Lindqvist, Tobias", "c3f47c02d9": "CI"}
NAMES = ProjectNames({f"{n:010}": name for n, name in enumerate(MODELS)}, PEOPLE, complete=True)


def near(**options: str) -> list[tuple[str, str | None]]:
    read = SubscriptionOptions().changed_by(options)
    return [(hint.entry, hint.near) for hint in hints_for(read, NAMES)]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("facade", "architecture/facade"),
        ("Facade ", "architecture/facade"),
        ("structure", "structure/**"),
        ("level 1", "structure/level 1"),
        ("level *", "**/level *"),
        ("level", "**/level*"),
        ("fasade", "architecture/facade"),
        ("strcture/**", "structure/**"),
        ("architecture/fcade", "architecture/facade"),
        ("!fasade", "!architecture/facade"),
        ("east", "**east**"),
        ("ducts", "**/ducts*"),
        ("structure\\level 1", "structure/level 1"),
        ("xyzzy", None),
    ],
)
def test_the_nearest_pattern_that_fits_is_named(typed: str, meant: str | None) -> None:
    found = near(models=typed)
    assert [one for _, one in found][:1] == [meant], found


@pytest.mark.parametrize(
    "typed",
    ["architecture/**", "site", "0000000004", "!site", "*", '"mep/ducts, east"', "SITE", "all"],
)
def test_nothing_is_said_of_what_has_an_effect(typed: str) -> None:
    assert near(models=typed) == []


def test_two_entries_that_are_one_name_with_a_comma_are_offered_in_quotes() -> None:
    assert near(models="mep/ducts, east") == [("mep/ducts, east", '"mep/ducts, east"')]
    assert near(ignore_authors="Lindqvist, Tobias") == [
        ("Lindqvist, Tobias", '"Lindqvist, Tobias"')
    ]


def test_people_are_found_by_a_part_of_their_name_or_nearly() -> None:
    assert near(ignore_authors="Maren") == [("Maren", "Maren Oduya")]
    assert near(ignore_authors="Marn Oduya, ci, Maren oduya") == [("Marn Oduya", "Maren Oduya")]
    assert near(ignore_authors="Xavier") == [("Xavier", None)]


def test_patterns_that_leave_no_model_are_told_of() -> None:
    options = SubscriptionOptions(models=("structure/**", "!**/level*"))
    assert hints_for(options, NAMES) == (FilterHint("models", NoEffect.NO_MODEL_LEFT),)


def test_models_matter_only_where_events_are_about_them() -> None:
    options = SubscriptionOptions(("people", "project"), ("site",))
    assert hints_for(options, ProjectNames()) == (FilterHint("models", NoEffect.NOT_ABOUT_MODELS),)


def test_of_what_is_not_known_whole_nothing_is_said() -> None:
    options = SubscriptionOptions(models=("xyzzy",), ignore_authors=("xyzzy",))
    assert hints_for(options, ProjectNames(NAMES.models)) == ()


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(st.text("ab/*?![]", min_size=1, max_size=6), max_size=4))
def test_what_is_near_fits_a_model(entries: list[str]) -> None:
    options = SubscriptionOptions(models=tuple(entries))
    for hint in hints_for(options, NAMES):
        if hint.near is not None and hint.why is NoEffect.NO_MODEL_FITS:
            read = SubscriptionOptions().changed_by({"models": hint.near})
            assert all(one.why is not NoEffect.NO_MODEL_FITS for one in hints_for(read, NAMES))


def test_many_models_are_compared_in_time() -> None:
    names = ProjectNames({f"{n:010}": f"a/b/level {n}" for n in range(2_000)}, complete=True)
    options = SubscriptionOptions(models=tuple(f"floor {n}" for n in range(10)))
    started = time.process_time()
    hints_for(options, names)
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ({"models": "facade, site"}, {"models": "architecture/facade, site"}),
        ({"models": "mep/ducts, east, !fasade"}, {
            "models": '"mep/ducts, east", !architecture/facade'}),
        ({"ignore_authors": "Lindqvist, Tobias, ci"}, {
            "ignore_authors": '"Lindqvist, Tobias", ci'}),
        ({"models": "xyzzy"}, {}),
        ({"models": "site"}, {}),
    ],
)  # fmt: skip
def test_what_is_near_can_be_taken_at_once(typed: dict[str, str], meant: dict[str, str]) -> None:
    options = SubscriptionOptions().changed_by(typed)
    assert corrected(options, hints_for(options, NAMES)) == meant


def test_single_events_that_a_server_never_sends_come_with_their_counterpart() -> None:
    options = SubscriptionOptions().changed_by({"events": "issue_created, versions"})
    (hint,) = server_hints(options, issues=False, comments=True)
    assert hint == FilterHint("events", NoEffect.NOT_SENT, "issue_created", "comment_created")
    assert corrected(options, [hint]) == {"events": "comment_created, versions"}
    assert list(server_hints(options, issues=True, comments=False)) == []
    groups = SubscriptionOptions(("issues",))
    assert list(server_hints(groups, issues=False, comments=False)) == []
    assert not names_issues(groups)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("structure/**, structure/level 1", ("structure/level 1", "structure/**")),
        ("!mep/**, !**/ducts*, !mep/ducts*", ("!mep/ducts*", "!mep/**")),
        ("structure/**, structure/", None),
        ("structure/**, !structure/level 1", None),
        ("structure/level 1, architecture/core", None),
    ],
)
def test_a_pattern_beside_one_that_does_the_same_is_told_of(
    typed: str, expected: tuple[str, str] | None
) -> None:
    options = SubscriptionOptions().changed_by({"models": typed})
    found = [(hint.entry, hint.near) for hint in hints_for(options, ProjectNames())]
    assert found == ([] if expected is None else [expected])


def test_a_pattern_that_leaves_out_what_is_not_let_in_is_told_of() -> None:
    options = SubscriptionOptions(models=("structure/**", "!mep/**"))
    idle = FilterHint("models", NoEffect.LEAVES_NOTHING_OUT, "!mep/**")
    assert hints_for(options, NAMES) == (idle,)
    assert corrected(options, [idle]) == {}


def test_nothing_is_said_where_comparing_takes_longer_than_a_person_should_wait() -> None:
    deep = {f"{n:010}": "/".join("abcdefgh"[n % 8] * 100) for n in range(1_000)}
    unknown = SubscriptionOptions(models=("zzz/zz",), ignore_authors=("zzz",))
    assert hints_for(unknown, ProjectNames(deep, deep, complete=True)) == ()
    few = dict([*deep.items()][:3])
    assert len(hints_for(unknown, ProjectNames(few, few, complete=True))) == 2
