"""Events as people name them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.speckle.event_names import nearest_event
from bot.speckle.event_table import EVENTS, OWN_KINDS
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import (
    OptionError,
    OptionFault,
    SubscriptionOptions,
    wanted_kinds,
)


def events(text: str) -> tuple[str, ...]:
    return SubscriptionOptions().changed_by({"events": text}).events


@pytest.mark.parametrize(
    "name",
    [
        name
        for row in EVENTS
        for name in (row.kind, *row.wire_names, *row.page_names)
        if row.kind not in OWN_KINDS or name == row.kind
    ],
)
def test_each_name_that_speckle_or_the_bot_has_is_understood(name: str) -> None:
    named = ((row.kind, (*row.wire_names, *row.page_names)) for row in EVENTS)
    meant = {kind for kind, names in named if name == kind or name in names} - OWN_KINDS
    meant |= OWN_KINDS & {name}
    if meant == {EventKind.UNKNOWN}:
        return
    for text in (name, name.upper(), name.replace("_", " "), name.replace("_", "-")):
        assert wanted_kinds(SubscriptionOptions(events=events(text))) == meant, text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("versions; issues", ("versions", "issues")),
        ("versions issues", ("versions", "issues")),
        ("versions ,  issues;", ("versions", "issues")),
        ("versions / issues | people & models + project", (
            "versions", "issues", "people", "models", "project")),
        ("versions\nissues", ("versions", "issues")),
        ("- versions\n- issues", ("versions", "issues")),
        ("• versions • issues", ("versions", "issues")),
        ("versions、issues，people", ("versions", "issues", "people")),
        ("versions and comments", ("versions", "issues")),
        ("version created comment created", ("version_created", "comment_created")),
        ("commitCreate, streamUpdate", ("version_created", "project_updated")),
        ("version.created; model: deleted", ("version_created", "model_deleted")),
        ("Versions\u200b, ISSUES", ("versions", "issues")),
        ("commits, branches, threads, members", ("versions", "models", "issues", "people")),
        ("new versions, deleted models", ("version_created", "model_deleted")),
        ("comment_archived", ("comment_resolved", "comment_reopened")),
        ('"versions"', ("versions",)),
        ("all, versions", ()),
        ("versions, all", ()),
        ("all events", ()),
        ("!people", ("versions", "models", "issues", "project", "other")),
        ("all except people", ("versions", "models", "issues", "project", "other")),
        ("everything except project, people and other", ("versions", "models", "issues")),
        ("no comments", ("versions", "models", "project", "people", "other")),
        ("versions (commit_create), #issues - people", (
            "versions", "version_created", "issues", "people")),
        ("versions, !version_moved", (
            "version_created", "version_updated", "version_received", "version_deleted")),
        ("all, -people, -other", ("versions", "models", "issues", "project")),
    ],
)  # fmt: skip
def test_events_are_read_as_people_write_them(text: str, names: tuple[str, ...]) -> None:
    assert events(text) == names


@pytest.mark.parametrize(
    ("text", "fault", "near"),
    [
        ("version_craeted", OptionFault.NO_SUCH_EVENT, "version_created"),
        ("comit_create", OptionFault.NO_SUCH_EVENT, "version_created"),
        ("versions, verison_deleted", OptionFault.NO_SUCH_EVENT, "version_deleted"),
        ("coments", OptionFault.NO_SUCH_EVENT, "issues"),
        ("xyzzy", OptionFault.NO_SUCH_EVENT, None),
        ("none", OptionFault.NOTHING_WANTED, None),
        ("-", OptionFault.NOTHING_WANTED, None),
        ("!all", OptionFault.NOTHING_WANTED, None),
        ("versions, !versions", OptionFault.NOTHING_LEFT, None),
        ("all, !versions !models !issues !project !people", OptionFault.NEVER_SENT, None),
    ],
)
def test_events_that_can_have_no_effect_are_refused(
    text: str, fault: OptionFault, near: str | None
) -> None:
    with pytest.raises(OptionError) as error:
        events(text)
    assert (error.value.problem.fault, error.value.problem.near) == (fault, near)


@settings(deadline=None)  # a busy machine is slow
@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        events(text)
    except OptionError as error:
        assert error.problem.option == "events"  # noqa: PT017
    nearest_event(text)


def test_the_one_event_that_has_the_word_is_nearer_than_a_group_that_looks_alike() -> None:
    assert nearest_event("mentions") == "comment_mentioned"
    assert nearest_event("versoins") == "versions"
