"""What a channel wants: as typed, compared with what was agreed to, kept and said."""

from dataclasses import fields

import pytest

from bot.speckle.event_table import OWN_KINDS, kinds_of
from bot.speckle.events import EventGroup, EventKind
from bot.speckle.subscription_options import (
    OPTIONS,
    OptionError,
    OptionFault,
    OptionProblem,
    SubscriptionOptions,
    wanted_kinds,
)

TOO_MANY = OptionFault.TOO_MANY_ENTRIES
SOME = SubscriptionOptions(
    ("versions", "comment_created"), ("structure/**", "!**/draft*"), ("Maren Oduya", "bot")
)


def typed(**options: str) -> SubscriptionOptions:
    return SubscriptionOptions().changed_by(options)


def typed_alone(option: str, before: SubscriptionOptions, text: str) -> tuple[str, ...]:
    return next(one.of(before.changed_by({option: text})) for one in OPTIONS if one.name == option)


def test_each_option_has_its_row() -> None:
    assert [field.name for field in fields(SubscriptionOptions)] == [one.name for one in OPTIONS]


def test_a_form_has_room_for_all_of_them() -> None:
    assert len(OPTIONS) <= 5  # Discord's limit
    for option in OPTIONS:
        assert len(option.label) <= 45
        assert max(len(option.description), len(option.hint), len(option.placeholder)) <= 100


def test_nothing_set_lets_every_event_through() -> None:
    assert wanted_kinds(SubscriptionOptions()) == set(EventKind) - OWN_KINDS
    assert wanted_kinds(SubscriptionOptions(events=("project",))) == {
        EventKind.PROJECT_UPDATED,
        EventKind.PROJECT_DELETED,
    }


def test_what_the_bot_finds_out_itself_is_for_channels_that_name_it() -> None:
    failed, usual = {EventKind.AUTOMATION_FAILED}, set(EventKind) - OWN_KINDS
    for text, wanted in (
        ("all", usual),
        ("all, automation_failed", usual | failed),
        ("automation failed", failed),
        ("versions", set(kinds_of(EventGroup.VERSIONS)) - failed),
        ("versions, automation_failed", set(kinds_of(EventGroup.VERSIONS))),
        ("all except automation_failed", usual),
        (
            "all, automation_failed, but people",
            (usual | failed).difference(kinds_of(EventGroup.PEOPLE)),
        ),
    ):
        options = typed(events=text)
        assert wanted_kinds(options) == wanted, text
        again = SubscriptionOptions().changed_by(options.typed())
        assert wanted_kinds(again) == wanted, text
    assert typed(events="automation_failed").widens(SubscriptionOptions())
    assert not SubscriptionOptions().widens(typed(events="all, automation_failed"))


def test_options_are_read_as_typed() -> None:
    assert (
        typed(
            events=" Versions, comment-created,versions,",
            models="structure/** , ! **/draft*",
            ignore_authors="Maren Oduya, bot",
        )
        == SOME
    )
    assert typed(events="", models=" , ") == SubscriptionOptions()


def test_what_was_left_out_stays() -> None:
    changed = SOME.changed_by({"events": "issues"})
    assert changed == SubscriptionOptions(("issues",), SOME.models, SOME.ignore_authors)


@pytest.mark.parametrize("word", ["all", " Everything", "", " , "])
@pytest.mark.parametrize("option", [option.name for option in OPTIONS])
def test_a_word_for_all_brings_the_default_back(option: str, word: str) -> None:
    assert typed_alone(option, SOME, word) == ()
    assert typed_alone("ignore_authors", SOME, "NOBODY ") == ()


def test_a_misspelt_event_gets_the_nearest_name() -> None:
    with pytest.raises(OptionError) as error:
        typed(events="version_craeted")
    assert error.value.problem.near == "version_created"


def test_an_event_like_no_other_gets_none() -> None:
    with pytest.raises(OptionError) as error:
        typed(events="xyzzy")
    assert error.value.problem == OptionProblem("events", OptionFault.NO_SUCH_EVENT, entry="xyzzy")


@pytest.mark.parametrize("only", ["other", "unknown", "unknown, other"])
def test_events_that_no_webhook_sends_are_refused_alone_and_taken_beside_others(only: str) -> None:
    with pytest.raises(OptionError) as error:
        typed(events=only)
    assert error.value.problem.fault is OptionFault.NEVER_SENT
    assert typed(events=f"versions, {only}").events[0] == "versions"


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        (",".join(f"m{n}" for n in range(26)), OptionProblem("models", TOO_MANY, 26)),
        ("x" * 101, OptionProblem("models", OptionFault.ENTRY_TOO_LONG, 101, "x" * 101)),
        ("!", OptionProblem("models", OptionFault.EMPTY_PATTERN, entry="!")),
        ("a,! /", OptionProblem("models", OptionFault.EMPTY_PATTERN, entry="!/")),
    ],
)
def test_too_many_too_long_and_empty_patterns_are_refused(
    models: str, problem: OptionProblem
) -> None:
    with pytest.raises(OptionError) as error:
        typed(models=models)
    assert error.value.problem == problem


@pytest.mark.parametrize(
    ("events", "models", "authors", "wider"),
    [
        ("versions", "structure/**", "ci", False),
        ("version_created", "structure/**", "ci", False),
        ("versions, comments", "structure/**", "ci", True),
        ("all", "structure/**", "ci", True),
        ("versions", "all", "ci", True),
        ("versions", "structure/**, facade", "ci", True),
        ("versions", "structure/**, !structure/draft", "ci", False),
        ("versions", "!structure/draft", "ci", True),
        ("versions", "structure/level 1", "ci", False),
        ("versions", "structure/level 1, facade", "ci", True),
        ("versions", "structure/*", "ci", True),  # of two globs nobody can say
        ("versions", "structure/**", "nobody", True),
        ("versions", "structure/**", "ci, bot", False),
    ],
)
def test_what_lets_more_through_is_wider(
    events: str, models: str, authors: str, wider: bool
) -> None:
    agreed = typed(events="versions", models="structure/**", ignore_authors="ci")
    assert typed(events=events, models=models, ignore_authors=authors).widens(agreed) is wider


def test_an_exclusion_that_is_taken_off_is_wider() -> None:
    agreed = typed(models="!secret/**")
    assert SubscriptionOptions().widens(agreed)
    assert typed(models="structure/**").widens(agreed)
    assert not typed(models="structure/**, !secret/**").widens(agreed)
    assert not typed(models="structure/level 1").widens(agreed)
    assert typed(models="secret/level 1").widens(agreed)
    assert typed(models="[ab]").widens(typed(models="!b"))
    for looks_like_it in ("!0a1b2c3d4e\u200b", "!\uff10a1b2c3d4e"):
        assert typed(models=looks_like_it).widens(typed(models="!0a1b2c3d4e"))
    assert typed(models="0a1b2c3d4e").widens(agreed)  # perhaps the id of one in secret
    assert typed(models="structure/level 1").widens(typed(models="!0a1b2c3d4e"))


def test_options_come_back_from_the_database_as_they_went() -> None:
    assert SubscriptionOptions.from_json(SOME.to_json()) == SOME
    assert SubscriptionOptions.from_json({}) == SubscriptionOptions()


def test_options_are_described_in_plain_words() -> None:
    assert SubscriptionOptions().describe() == "all events"
    options = SubscriptionOptions(
        ("versions", "comment_created"), ("a/**", "!b`"), ("Maren Oduya",)
    )
    assert options.describe() == (
        "versions, comment created · only models `a/**` · without models `bˋ` · "
        "not by `Maren Oduya`"
    )


def test_comments_is_still_what_the_group_of_issues_is_called() -> None:
    typed = SubscriptionOptions().changed_by({"events": "Comments, versions, issues"})
    assert typed.events == ("issues", "versions")
    stored = SubscriptionOptions.from_json({"events": ["comments", "versions"]})
    assert stored == typed
    assert EventKind.ISSUE_CREATED in wanted_kinds(stored)


def test_an_agreement_to_comments_covers_issues_and_no_more() -> None:
    agreed = SubscriptionOptions.from_json({"events": ["comments"]})
    assert not SubscriptionOptions(events=("issues",)).widens(agreed)
    assert not SubscriptionOptions(events=("issue_created", "comment_created")).widens(agreed)
    assert SubscriptionOptions(events=("issues", "versions")).widens(agreed)
    # Single kinds stay what they were.
    single = SubscriptionOptions.from_json({"events": ["comment_created"]})
    assert SubscriptionOptions(events=("issues",)).widens(single)


def test_who_nearly_types_the_old_name_is_offered_the_new_one() -> None:
    with pytest.raises(OptionError) as error:
        SubscriptionOptions().changed_by({"events": "coments"})
    assert error.value.problem.near == "issues"
