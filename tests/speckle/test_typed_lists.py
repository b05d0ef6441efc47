"""Lists as people type them."""

from itertools import islice
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.subscription_options import (
    OPTIONS,
    OptionError,
    OptionFault,
    SubscriptionOptions,
)
from bot.speckle.typed_lists import (
    TypedEntry,
    alternatives,
    split_typed,
    typed_entry,
    typed_list,
)

P, M, V, OTHER = "7e14d973e6", "193f26c0fa", "303fecc468", "858c7ede18"
URL = f"https://app.speckle.systems/projects/{P}"


def models(text: str) -> tuple[str, ...]:
    return SubscriptionOptions().changed_by({"models": text}, P).models


def authors(text: str) -> tuple[str, ...]:
    return SubscriptionOptions().changed_by({"ignore_authors": text}, P).ignore_authors


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("a, b;c\nd， e、f；g", ["a", "b", "c", "d", "e", "f", "g"]),
        ('"Oduya, Maren", ci', ["Oduya, Maren", "ci"]),
        ("“Oduya, Maren”; «a; b»", ["Oduya, Maren", "a; b"]),
        ("'x, y'", ["x, y"]),
        ("`x, y`", ["x, y"]),
        ("O'Brien, 12\" slab", ["O'Brien", '12" slab']),
        ('"open, b', ['"open', "b"]),
        (" ,, ;; ", []),
    ],
)
def test_entries_are_separated_as_people_separate_them(text: str, entries: list[str]) -> None:
    assert [entry.text for entry in split_typed(text)] == entries


def test_what_leaves_out_is_marked_before_the_quotes() -> None:
    assert split_typed('! "a, b", !c') == (
        TypedEntry("a, b", quoted=True, excluded=True),
        TypedEntry("c", excluded=True),
    )


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@settings(deadline=None)  # a busy machine is slow
@given(st.lists(NAMES, max_size=5))
def test_a_list_is_read_as_it_is_written(names: list[str]) -> None:
    kept = [name for one in names if (name := " ".join(one.split()).strip('"“”!/ '))]
    texts = [entry.text for entry in split_typed(typed_list(kept))]
    assert texts == kept


@settings(deadline=None)  # a busy machine is slow
@given(st.text(max_size=80), st.sampled_from([option.name for option in OPTIONS]))
def test_what_was_read_is_written_so_that_it_is_read_the_same(text: str, option: str) -> None:
    try:
        options = SubscriptionOptions().changed_by({option: text})
    except OptionError:
        return
    assert SubscriptionOptions().changed_by(options.typed()) == options


@pytest.mark.parametrize(
    ("text", "patterns"),
    [
        ("structure/", ("structure/**",)),
        ("!structure/", ("!structure/**",)),
        ("/structure//level 1", ("structure/level 1",)),
        ("structure/**/", ("structure/**/**",)),
        ("$structure", ("structure/**",)),
        ("{a,b}/**", ("a/**", "b/**")),
        ("!{a, b}/x", ("!a/x", "!b/x")),
        ("level {1..3}", ("level 1", "level 2", "level 3")),
        ("level {01..02}", ("level 01", "level 02")),
        ("{3D}", ("{3D}",)),
        ("level [0-9]", ("level [0-9]",)),
        ('"a, b", c', ("a, b", "c")),
        ('"{a,b}"', ("{a,b}",)),
        ("Level  1, level 1, LEVEL\u00a01", ("Level 1",)),
        (f"{URL}/models/{M}", (M,)),
        (f"!<{URL}/models/{M}@{V}>", (f"!{M}",)),
        (f"{URL}/models/{M},{V}", (M, V)),
        (f"{URL}/models/{M}%2C{V}", (M, V)),
        (f"{URL}/models/$structure%2Fa", ("structure/a/**",)),
        (f"app.speckle.systems/projects/{P}/models/{M}, a", (M, "a")),
        (f"https://speckle.xyz/streams/{P}/branches/Structure/level%201", ("structure/level 1",)),
        ("all", ()),
        ("all, !a", ("!a",)),
        ("**, a", ()),
        ('"all"', ("all",)),
        ("a, !b", ("a", "!b")),
    ],
)
def test_models_are_read_as_they_are_meant(text: str, patterns: tuple[str, ...]) -> None:
    assert models(text) == patterns


@pytest.mark.parametrize(
    ("text", "fault", "entry", "near"),
    [
        ("!**", OptionFault.NOTHING_LEFT, "!**", None),
        ("!all", OptionFault.NOTHING_LEFT, "!**", None),
        ("structure/**, !structure/", OptionFault.NOTHING_LEFT, "!structure/**", None),
        ("!*, !*/*, !*/*/**", OptionFault.NOTHING_LEFT, "!*", None),
        ("a, structure/x, !structure/*", OptionFault.CONTRADICTION, "structure/x", "!structure/*"),
        ("none", OptionFault.NOTHING_WANTED, "none", None),
        ("struct/.*", OptionFault.REGULAR_EXPRESSION, "struct/.*", "struct/**"),
        ("^struct$", OptionFault.REGULAR_EXPRESSION, "^struct$", "struct"),
        ("(a|b)/x", OptionFault.REGULAR_EXPRESSION, "(a|b)/x", "{a,b}/x"),
        (r"level \d+", OptionFault.REGULAR_EXPRESSION, r"level \d+", "level [0-9]"),
        (URL, OptionFault.LINK_WITHOUT_MODEL, URL, None),
        (URL.replace(P, OTHER) + f"/models/{M}", OptionFault.LINK_ELSEWHERE, ..., None),
    ],
)
def test_models_that_can_have_no_effect_are_refused(
    text: str, fault: OptionFault, entry: object, near: str | None
) -> None:
    with pytest.raises(OptionError) as error:
        models(text)
    problem = error.value.problem
    assert (problem.fault, problem.near) == (fault, near)
    assert entry in (..., problem.entry)


@pytest.mark.parametrize("text", ["{a,b}" * 30, "{1..9999}", "level {1..26}"])
def test_braces_are_not_worth_more_than_the_entries_that_are_allowed(text: str) -> None:
    with pytest.raises(OptionError) as error:
        models(text)
    assert error.value.problem.fault is OptionFault.TOO_MANY_ENTRIES


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("@Maren Oduya; ci-*", ("Maren Oduya", "ci-*")),
        ('"Oduya, Maren"', ("Oduya, Maren",)),
        (f"https://app.speckle.systems/profile/{M}", (M,)),
        ("No one", ()),
        ('"Nobody", ci', ("Nobody", "ci")),
    ],
)
def test_authors_are_read_as_they_are_meant(text: str, people: tuple[str, ...]) -> None:
    assert authors(text) == people


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("<@720000000000000001>", OptionFault.DISCORD_MENTION),
        ("<@!720000000000000001>", OptionFault.DISCORD_MENTION),
        ("ci, <@&720000000000000001>", OptionFault.DISCORD_MENTION),
        ("720000000000000001", OptionFault.DISCORD_MENTION),
        ("@everyone", OptionFault.DISCORD_MENTION),
        ("maren@studio.test", OptionFault.E_MAIL),
        (URL, OptionFault.NOT_A_PERSON),
        ("http://[", OptionFault.NOT_A_PERSON),
        ("!Maren", OptionFault.NOT_A_PERSON),
        ("*", OptionFault.NOTHING_LEFT),
        ("Everyone", OptionFault.NOTHING_LEFT),
        ("nobody, Maren", OptionFault.CONTRADICTION),
    ],
)
def test_authors_who_can_have_no_effect_are_refused(text: str, fault: OptionFault) -> None:
    with pytest.raises(OptionError) as error:
        authors(text)
    assert error.value.problem.fault is fault


def test_braces_that_stand_for_thousands_take_no_time_before_they_are_refused() -> None:
    many = "{1..9999}" * 400
    started = perf_counter()
    assert list(islice(alternatives(many), 2)) == ["1" * 400, "1" * 399 + "2"]
    with pytest.raises(OptionError):
        models("{1..9999}" * 110)
    with pytest.raises(OptionError):
        models("{1..9999}," * 100)
    assert typed_entry(many) == f'"{many}"'  # a model may be called so, too
    assert perf_counter() - started < 1.0


def test_hundreds_of_braces_are_read_one_after_another() -> None:
    assert next(alternatives("{a,b}" * 1200)) == "a" * 1200
    assert list(alternatives("{a,{b,c}}{5..3}")) == ["a{5..3}", "b{5..3}", "a{5..3}", "c{5..3}"]
