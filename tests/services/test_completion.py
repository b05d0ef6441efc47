"""What is offered while a person types."""

import pytest

from bot.services.completion import (
    MAX_CHOICE_LENGTH,
    MAX_CHOICES,
    Choice,
    complete_events,
    offer_names,
    with_folders,
)
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.subscription_options import SubscriptionOptions

ALL_LABEL = "all: every event"


def test_an_empty_field_offers_all_then_the_groups() -> None:
    values = [choice.value for choice in complete_events("", ALL_LABEL)]
    assert values[: len(EventGroup)] == ["all", *(g for g in EventGroup if g != EventGroup.OTHER)]
    assert len(values) <= MAX_CHOICES


def test_the_last_part_is_completed_and_the_rest_kept() -> None:
    values = [choice.value for choice in complete_events("versions, comment_cre", ALL_LABEL)]
    assert values == ["versions, comment_created"]


def test_the_former_name_of_a_group_is_completed_to_the_one_of_today() -> None:
    assert complete_events("commen", ALL_LABEL)[0].value == "issues"
    assert "issues" not in [one.value for one in complete_events("comments, ", ALL_LABEL)]


def test_what_starts_with_the_typed_text_comes_first() -> None:
    values = [choice.value for choice in complete_events("model", ALL_LABEL)]
    assert values[0] == "models"
    assert set(values) >= {"model_created", "model_deleted"}


def test_what_is_there_already_is_not_offered_again() -> None:
    values = [choice.value for choice in complete_events("versions,", ALL_LABEL)]
    assert "versions, versions" not in values
    assert not any("all" in value.split(", ") for value in values)


def test_every_offer_fits_discord_and_is_understood() -> None:
    typed_texts = ("", *"abcdefghiklmoprstuv")
    offers = [choice for typed in typed_texts for choice in complete_events(typed, ALL_LABEL)]
    assert {choice.value for choice in offers} >= {k for k in EventKind if k != EventKind.UNKNOWN}
    for choice in offers:
        assert 1 <= len(choice.name) <= MAX_CHOICE_LENGTH
        read = SubscriptionOptions().changed_by({"events": choice.value})
        assert read.events == (() if choice.value == "all" else (choice.value,))


def test_what_brings_nothing_alone_is_offered_beside_others() -> None:
    assert "other" not in {one.value for one in complete_events("ot", ALL_LABEL)}
    assert "issues, other" in {one.value for one in complete_events("issues, ot", ALL_LABEL)}


def test_a_list_too_long_for_a_choice_offers_nothing() -> None:
    assert complete_events(f"{', '.join(EventKind)}, ", ALL_LABEL) == []


def test_model_names_are_as_long_as_discord_counts_and_offered_once() -> None:
    """One choice that is too long, and Discord shows none at all."""
    long = "\N{BUILDING CONSTRUCTION}" * 60
    offered = offer_names("", [long, "level 1", "level\N{ZERO WIDTH SPACE} 1"])
    assert offered == [Choice("level 1", "level 1")]


def test_a_folder_with_several_models_is_offered_before_them() -> None:
    names = ["structure/level 1", "structure/level 2", "facade/a"]
    assert with_folders(names, "struc") == ["structure/**", *names]
    assert with_folders(names, "level") == names


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ('"a, b", !"x', ['"a, b", !structure', '"a, b", !"x, y"']),
        ("a;", ["a, structure", 'a, "x, y"']),
        ("{a,b}/x, ", ["{a,b}/x, structure", '{a,b}/x, "x, y"']),
        ("structure; ", ['structure, "x, y"']),
    ],
)
def test_names_are_offered_behind_what_was_typed_and_with_a_comma_in_quotes(
    typed: str, values: list[str]
) -> None:
    assert [choice.value for choice in offer_names(typed, ["structure", "x, y"])] == values


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("versions; comm", "versions, issues"),
        ("versions issues, mod", "versions, issues, models"),
        ("!peo", "!people"),
        ("commit_c", "version_created"),
        ("version cr", "version_created"),
    ],
)
def test_events_are_offered_by_every_name_and_behind_every_separator(
    typed: str, value: str
) -> None:
    assert complete_events(typed, ALL_LABEL)[0].value == value
