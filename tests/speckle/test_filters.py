"""Which events a channel wants."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    Delivery,
    ModelRef,
    Project,
    ProjectDeleted,
    ResourceRef,
    SpeckleUser,
    VersionCreated,
    VersionMoved,
)
from bot.speckle.filters import FilterWhy, Verdict, matches
from bot.speckle.globs import fits
from bot.speckle.subscription_options import SubscriptionOptions

PROJECT = Project("7e14d973e6", "Harbour Tower")
MAREN = SpeckleUser("a1f47c02d9", "Maren  Oduya")


def version_of(name: str) -> Delivery:
    event = VersionCreated("303fecc468", ModelRef("193f26c0fa", name))
    return Delivery(event, "commit_create", PROJECT, MAREN)


COMMENT = replace(version_of("x"), event=CommentCreated(resources=(ResourceRef("193f26c0fa"),)))


@pytest.mark.parametrize(
    ("pattern", "name", "fitting"),
    [
        ("structure/level 1", "structure/level 1", True),
        ("Structure/Level 1", "structure/level 1", True),
        ("structure/*", "structure/level 1", True),
        ("structure/*", "structure/level 1/steel", False),
        ("structure/**", "structure/level 1/steel", True),
        ("structure/**", "structure", True),
        ("structure/**", "structures/a", False),
        ("**/draft*", "draft 1", True),
        ("**/draft*", "a/b/drafts", True),
        ("**/draft*", "a/draft/b", False),
        ("a/**/z", "a/z", True),
        ("a/**/z", "a/b/c/z", True),
        ("a/**/z", "az", False),
        ("**steel**", "a/b/steel frame/c", True),
        ("level ?", "level 1", True),
        ("level ?", "level /", False),
        ("*", "a/b", False),
        ("**", "a/b", True),
        ("a.b(c)+", "a.b(c)+", True),
        ("a.b", "axb", False),
    ],
)
def test_globs_cross_levels_with_two_stars_only(pattern: str, name: str, fitting: bool) -> None:
    assert fits(pattern, name) is fitting


@pytest.mark.parametrize("pattern", ["*a" * 49 + "b", "**/" * 33, "**a" * 33, "?*" * 50])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()
    fits(pattern, "a/" * 500)
    fits(pattern, "a" * 1_000)
    assert time.process_time() - started < 1


@given(st.text("a*?/", max_size=12), st.text("ab/", max_size=12))
def test_any_pattern_can_be_asked(pattern: str, name: str) -> None:
    assert fits(name, name)
    assert fits("**", name)
    assert fits(pattern, name) in (True, False)


def test_excluding_patterns_win_and_alone_let_all_else_through() -> None:
    both = SubscriptionOptions(models=("structure/**", "!**/draft*"))
    assert matches(both, version_of("structure/level 1")).passes
    assert not matches(both, version_of("structure/draft 2")).passes
    assert not matches(both, version_of("facade")).passes
    without = SubscriptionOptions(models=("!**/draft*",))
    assert matches(without, version_of("facade")).passes
    assert not matches(without, version_of("draft")).passes


def test_a_model_can_be_named_by_its_id() -> None:
    by_id = SubscriptionOptions(models=("193f26c0fa",))
    assert matches(by_id, version_of("structure")).passes
    assert matches(by_id, COMMENT).passes
    assert not matches(SubscriptionOptions(models=("!193f26c0fa",)), version_of("structure")).passes


def test_events_that_touch_no_model_are_not_filtered_by_models() -> None:
    deleted = replace(version_of("x"), event=ProjectDeleted())
    assert matches(SubscriptionOptions(models=("structure/**",)), deleted).passes


def test_a_comment_passes_unless_its_models_names_are_known() -> None:
    options = SubscriptionOptions(models=("structure/**",))
    verdict = matches(options, COMMENT)
    assert verdict.passes
    assert verdict.why is FilterWhy.MODELS_NAMELESS
    assert not matches(options, COMMENT, {"193f26c0fa": "facade"}).passes
    assert matches(options, COMMENT, {"193f26c0fa": "structure/a"}).passes


def test_a_moved_version_passes_for_either_model() -> None:
    moved = replace(
        COMMENT, event=VersionMoved("303fecc468", ModelRef("193f26c0fa"), ModelRef("b604a445ef"))
    )
    names = {"193f26c0fa": "facade", "b604a445ef": "structure"}
    assert matches(SubscriptionOptions(models=("structure",)), moved, names).passes
    assert matches(SubscriptionOptions(models=("facade",)), moved, names).passes
    assert not matches(SubscriptionOptions(models=("mep",)), moved, names).passes


@pytest.mark.parametrize("ignored", ["a1f47c02d9", "maren oduya", "MAREN ODUYA"])
def test_authors_are_ignored_by_id_or_name(ignored: str) -> None:
    verdict = matches(SubscriptionOptions(ignore_authors=(ignored,)), version_of("x"))
    assert verdict == Verdict(False, FilterWhy.AUTHOR_IGNORED, {"author": ignored})
    nobody = replace(version_of("x"), actor=None)
    assert matches(SubscriptionOptions(ignore_authors=(ignored,)), nobody).passes


def test_events_are_picked_by_kind_or_group() -> None:
    assert matches(SubscriptionOptions(events=("versions",)), version_of("x")).passes
    assert matches(SubscriptionOptions(events=("version_created",)), version_of("x")).passes
    refused = matches(SubscriptionOptions(events=("issues", "model_created")), version_of("x"))
    values = {"wanted": "issues, model_created", "kind": "version_created"}
    assert refused == Verdict(False, FilterWhy.EVENT_NOT_WANTED, values)


@pytest.mark.parametrize(
    ("events", "comment_id", "passes"),
    [
        ((), "63e7c0f5c7", False),
        (("issues",), "b6a132541c", False),
        (("comment_mentioned",), "63e7c0f5c7", True),
        (("comment_mentioned", "comment_replied"), "63e7c0f5c7", True),  # it opens a thread
        (("comment_mentioned", "comment_replied"), "b6a132541c", False),  # it is a reply
        (("comment_mentioned", "comment_created"), "b6a132541c", True),
    ],
)
def test_a_mention_comes_alone_only_where_its_comment_does_not_come(
    events: tuple[str, ...], comment_id: str, passes: bool
) -> None:
    mention = CommentMentioned("63e7c0f5c7", comment_id, "954d254474")
    verdict = matches(SubscriptionOptions(events=events), replace(version_of("x"), event=mention))
    assert verdict.passes is passes
    assert passes or verdict.why is FilterWhy.COMES_WITH_COMMENT


def test_a_comment_on_a_folder_is_judged_by_the_folders_name() -> None:
    on = CommentCreated(resources=(ResourceRef(folder="Structure"),))
    comment = replace(version_of("x"), event=on)
    assert matches(SubscriptionOptions(models=("structure/**",)), comment).passes
    assert not matches(SubscriptionOptions(models=("mep/**",)), comment).passes


def test_a_comment_on_the_whole_project_passes_each_model_filter() -> None:
    on = CommentCreated(resources=(ResourceRef(whole=True),))
    comment = replace(version_of("x"), event=on)
    assert matches(SubscriptionOptions(models=("mep/**",)), comment).passes
