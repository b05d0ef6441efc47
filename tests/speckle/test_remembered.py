"""What differs between two looks at a project: only what is certain."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from bot.speckle.remembered import KnownModel, KnownVersion, ProjectState, differences

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
NOTICED = START + timedelta(days=1)
SLAB, ROOF = "slab000001", "roof000001"


def at(minute: int) -> datetime:
    return START + timedelta(minutes=minute)


def version(minute: int, message: str | None = "poured", model: str = SLAB) -> KnownVersion:
    return KnownVersion.of(at(minute), model, message)


MODELS = {SLAB: KnownModel(at(9), "slab"), ROOF: KnownModel(at(8), "roof")}
STATE = ProjectState({"v1": version(1), "v2": version(2)}, MODELS, {"i1": at(3)})


def told(before: ProjectState, now: ProjectState) -> list[tuple[str, str | None]]:
    kept = ProjectState.from_json(json.loads(json.dumps(before.to_json())))
    return [(one.entry.action, one.entry.resource_id) for one in differences(kept, now, NOTICED)]


def test_what_is_as_it_was_is_not_told() -> None:
    assert told(STATE, STATE) == []
    assert told(ProjectState(), STATE) == []


def test_what_is_beyond_the_end_of_a_list_may_be_there() -> None:
    now = replace(STATE, versions={"v2": version(2)}, versions_from=at(2))
    assert told(STATE, now) == []
    now = replace(STATE, versions={"v1": version(1)}, versions_from=at(1))
    assert told(STATE, now) == [("commit_delete", "v2")]
    assert told(STATE, replace(STATE, models={}, models_from=at(9))) == []
    assert told(STATE, replace(STATE, issues={}, issues_from=at(4))) == []


def test_issues_that_may_not_be_seen_are_not_deleted() -> None:
    now = replace(STATE, issues=None)
    assert told(STATE, now) == []
    assert told(STATE.after(now), replace(STATE, issues={})) == [("issue_deleted", "i1")]


def test_a_message_that_was_too_large_is_not_known_to_have_changed() -> None:
    unknown = replace(STATE, versions={**STATE.versions, "v1": KnownVersion(at(1), SLAB)})
    assert told(STATE, unknown) == []
    assert STATE.after(unknown) == STATE


def test_a_long_message_is_kept_by_its_beginning_and_compared_as_a_whole() -> None:
    long = "x" * 5_000
    before = replace(STATE, versions={"v1": version(1, long)})
    assert told(before, before) == []
    now = replace(STATE, versions={"v1": version(1, f"{long}y")})
    assert told(before, now) == [("commit_update", "v1")]
    assert len(json.dumps(before.to_json())) < 1_000


def test_a_model_goes_with_its_versions_as_one_event() -> None:
    now = replace(STATE, versions={}, models={ROOF: MODELS[ROOF]})
    assert told(STATE, now) == [("branch_delete", SLAB)]
    (gone,) = differences(STATE, now, NOTICED)
    assert told(gone.state, now) == []


def test_each_is_told_once_wherever_it_is_broken_off() -> None:
    now = ProjectState(
        {"v1": version(1, "edited", ROOF)}, {ROOF: KnownModel(at(20), "another")}, {}
    )
    before = replace(STATE, versions={"v1": version(1), "v3": version(3, model=ROOF)})
    all_told = told(before, now)
    assert sorted(one for one, _ in all_told) == [
        "branch_delete",
        "branch_update",
        "commit_delete",
        "issue_deleted",
    ]
    before = replace(STATE, models={**MODELS, "x": KnownModel(at(1), "x")})
    now = replace(now, models={SLAB: MODELS[SLAB], ROOF: KnownModel(at(20), "another")})
    all_told = told(before, now)
    assert [one for one, _ in all_told] == [
        "branch_update",
        "branch_delete",
        "commit_update",
        "commit_move",
        "commit_delete",
        "issue_deleted",
    ]
    for count, one in enumerate(differences(before, now, NOTICED), start=1):
        assert told(one.state, now) == all_told[count:]
