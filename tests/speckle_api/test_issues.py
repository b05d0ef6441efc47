"""Which issue an event is about, whatever the event says of it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.errors import SpeckleForbidden, SpeckleNotFound
from bot.speckle.events import Change, EventKind, ModelRef, ResourceRef, SpeckleUser
from bot.speckle.facts import IssueFacts, IssueLabel
from bot.speckle.issue_hints import IssueHint, ids_named
from bot.speckle.rich_text import first_line
from bot.speckle_api import issues
from sandbox.speckle import SPECKLE_4, SPECKLE_4_AS_ANNOUNCED, Release
from sandbox.speckle.issues import IssueDataShape, Label, ServerIssue
from tests.speckle_api.conftest import Studio, created
from tests.speckle_api.test_questions import ODD, places, replaced

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
CREATED, UPDATED = EventKind.ISSUE_CREATED, EventKind.ISSUE_UPDATED
REPLIED = EventKind.ISSUE_REPLIED


@pytest.fixture(params=[SPECKLE_4, SPECKLE_4_AS_ANNOUNCED], ids=lambda found: str(found.name))
def release(request: pytest.FixtureRequest) -> Release:
    found: Release = request.param
    return found


each_shape = pytest.mark.parametrize("shape", IssueDataShape, ids=lambda shape: shape.value)


def about(
    studio: Studio, kind: EventKind, data: dict[str, Any], at: datetime, **more: Any
) -> IssueHint:
    """What the bot takes from an event of Ilse's."""
    return IssueHint(kind, ids_named(data, ""), at, more.pop("actor_id", studio.ilse.id), **more)


async def facts_of(studio: Studio, hint: IssueHint) -> IssueFacts:
    found = await studio.client.facts.of_issue(studio.login, studio.tower.id, hint)
    assert found is not None
    return found


def clash(studio: Studio, **more: Any) -> tuple[ServerIssue, dict[str, Any]]:
    return studio.server.add_issue(
        studio.tower, "Beam clashes", author=studio.ilse, versions=[studio.first], **more
    )


@each_shape
async def test_a_new_issue_is_found_and_told_whole(studio: Studio, shape: IssueDataShape) -> None:
    studio.server.issue_data = shape
    due = datetime(2026, 12, 24, tzinfo=UTC)
    issue, data = clash(
        studio,
        text="with the duct",
        priority="high",
        assignee=studio.bruno,
        labels=(Label("steel", "#1F6FEB"), Label("odd", "red")),
        due_date=due,
        attachments=({"id": "b10b000001", "fileName": "plan.pdf", "fileSize": 2_100_000},),
    )
    found = await facts_of(studio, about(studio, CREATED, data, issue.created_at))
    said = found.issue
    assert (said.id, said.identifier, said.title) == (issue.id, "KT-1", "Beam clashes")
    assert first_line(said.text) == "with the duct"
    assert (said.status, said.priority, said.due) == ("open", "high", due)
    assert said.author == SpeckleUser(studio.ilse.id, "Ilse Brandt")
    assert said.assignee == SpeckleUser(studio.bruno.id, "Bruno Achterberg")
    assert [(one.name, one.colour) for one in said.labels] == [("steel", 0x1F6FEB), ("odd", None)]
    assert [(one.name, one.size_bytes) for one in said.files] == [("plan.pdf", 2_100_000)]
    assert said.resources == (ResourceRef(studio.model.id, studio.first.id),)
    assert found.models == (ModelRef(studio.model.id, "structure/level 1"),)
    assert found.changed_at == issue.created_at


@each_shape
async def test_a_change_is_told_before_and_after(studio: Studio, shape: IssueDataShape) -> None:
    studio.server.issue_data = shape
    issue, _ = clash(studio, labels=(Label("steel"),))
    data = studio.server.update_issue(
        issue, by=studio.ilse, status="resolved", assignee=studio.bruno, labels=(Label("urgent"),)
    )
    found = await facts_of(studio, about(studio, UPDATED, data, issue.updated_at))
    change = found.change
    assert change is not None
    assert change.status == Change("open", "resolved")
    assert change.assignee == Change(None, SpeckleUser(studio.bruno.id, "Bruno Achterberg"))
    assert (change.labels_added, change.labels_removed) == (("urgent",), ("steel",))
    assert (change.title, change.text, change.due) == (None, None, None)
    assert found.changed_at == change.at == issue.updated_at


@each_shape
async def test_a_reply_is_told_with_its_issue(studio: Studio, shape: IssueDataShape) -> None:
    studio.server.issue_data = shape
    issue, _ = clash(studio)
    studio.server.reply_to_issue(issue, author=studio.bruno, text="not mine")
    data = studio.server.reply_to_issue(issue, author=studio.ilse, text="moved it")
    found = await facts_of(studio, about(studio, REPLIED, data, issue.updated_at))
    assert found.reply is not None
    assert found.issue.id == issue.id
    assert first_line(found.reply.text) == "moved it"
    assert found.reply.author == SpeckleUser(studio.ilse.id, "Ilse Brandt")


async def test_of_two_issues_changed_in_one_minute_each_person_s_own_is_found(
    studio: Studio,
) -> None:
    studio.server.issue_data = IssueDataShape.NOTHING
    hers, _ = clash(studio)
    his, _ = studio.server.add_issue(studio.tower, "Duct", author=studio.bruno)
    studio.server.update_issue(hers, by=studio.ilse, priority="high")
    at = hers.updated_at
    studio.server.update_issue(his, by=studio.bruno, priority="low", at=at)
    found = await facts_of(studio, about(studio, UPDATED, {}, at))
    assert found.issue.id == hers.id
    found = await facts_of(studio, about(studio, UPDATED, {}, at, actor_id=studio.bruno.id))
    assert found.issue.id == his.id


async def test_changes_since_the_one_that_was_shown_are_told_as_one(studio: Studio) -> None:
    issue, _ = clash(studio)
    shown = issue.updated_at
    steps: list[dict[str, Any]] = [
        {"status": "readyForReview"},
        {"title": "Beam"},
        {"status": "resolved", "priority": "high"},
        {"priority": "none"},
    ]
    for step in steps:
        data = studio.server.update_issue(issue, by=studio.ilse, **step)
    studio.server.update_issue(issue, by=studio.bruno, title="Duct")
    hint = about(studio, UPDATED, data, issue.updated_at, shown_until=shown)
    change = (await facts_of(studio, hint)).change
    assert change is not None
    assert change.status == Change("open", "resolved")
    assert change.title == Change("Beam clashes", "Beam")
    assert change.priority is None
    again = about(studio, UPDATED, data, issue.updated_at, shown_until=change.at)
    assert (await facts_of(studio, again)).change is None


async def test_an_issue_of_another_project_is_not_found_here(studio: Studio) -> None:
    other = studio.server.add_project("Hall", owner=studio.ilse)
    issue, data = studio.server.add_issue(other, "Secret", author=studio.ilse)
    with pytest.raises(SpeckleNotFound):
        await facts_of(studio, about(studio, CREATED, data, issue.created_at))


async def test_what_happened_long_ago_is_not_taken_for_what_happened_now(studio: Studio) -> None:
    issue, _ = clash(studio, at=studio.server.now() - HOUR)
    with pytest.raises(SpeckleNotFound):
        await facts_of(studio, about(studio, CREATED, {}, studio.server.now()))
    studio.server.update_issue(issue, by=studio.ilse, title="Beam")
    with pytest.raises(SpeckleNotFound):
        await facts_of(studio, about(studio, CREATED, {}, studio.server.now()))


async def test_who_may_not_see_the_project_sees_no_issue(studio: Studio) -> None:
    issue, data = clash(studio)
    hint = about(studio, CREATED, data, issue.created_at)
    with pytest.raises(SpeckleForbidden):
        await studio.client.facts.of_issue(studio.strangers, studio.tower.id, hint)


@pytest.mark.parametrize(
    "gone", ["Issue.activities", "Issue.labels", "SmartTextEditorValue.attachments"]
)
async def test_a_later_server_that_lacks_a_part_still_tells_of_a_new_issue(
    studio: Studio, gone: str
) -> None:
    studio.server.lose(gone)
    issue, data = clash(studio)
    found = await facts_of(studio, about(studio, CREATED, data, issue.created_at))
    assert (found.issue.title, found.issue.status) == ("Beam clashes", "open")


async def test_a_hint_that_breaks_the_server_costs_half_of_the_time_and_no_more(
    studio: Studio,
) -> None:
    issue, _ = clash(studio)
    faults = studio.server.faults
    faults.when, faults.hang = lambda operation: operation == "Issue", True
    hint = about(studio, CREATED, {"id": "c0ffee0001"}, issue.created_at)
    found = await studio.client.facts.of_issue(studio.login, studio.tower.id, hint, within_s=2.0)
    assert found is not None
    assert found.issue.id == issue.id


async def test_how_many_issues_are_open_on_a_version_s_model_is_told(studio: Studio) -> None:
    clash(studio)
    clash(studio, status="resolved")
    facts = await studio.client.facts.of_version(
        studio.login, studio.tower.id, created(studio.second)
    )
    assert facts.open_issues == 1


WHOLE = {
    "project": {
        "issue": {
            "id": "i1",
            "identifier": "KT-1",
            "title": "t",
            "status": "open",
            "priority": "none",
            "dueDate": "2026-11-23T22:15:32.536Z",
            "resourceIdString": "m1@v1",
            "previewUrl": "https://speckle.test/x.png",
            "createdAt": "2026-11-23T22:15:32.536Z",
            "description": {"doc": {"type": "doc", "content": []}, "attachments": [{"id": "b1"}]},
            "labels": [{"id": "l1", "name": "steel", "hexColor": "#12"}],
            "assignee": {"id": "u1", "user": None},
            "author": {"id": "u1", "user": {"id": "u1", "name": "Ilse"}},
            "activities": {
                "items": [
                    {
                        "eventType": "updated",
                        "createdAt": "2026-11-23T22:15:32.536Z",
                        "actor": {"id": "u1", "user": {"id": "u1", "name": "Ilse"}},
                        "payload": {
                            "titleBefore": "a",
                            "titleAfter": "b",
                            "labelsAdded": ["l1", "other"],
                            "descriptionBefore": {"doc": {}},
                            "dueDateAfter": "2026-11-23T22:15:32.536Z",
                            "assigneeAfter": {"id": "u2"},
                        },
                    }
                ]
            },
            "replies": {
                "items": [
                    {
                        "id": "r1",
                        "createdAt": "2026-11-23T22:15:32.536Z",
                        "author": {"id": "u1"},
                        "description": {"doc": {}, "attachments": None},
                    }
                ]
            },
        }
    }
}
AT = datetime(2026, 11, 23, 22, 15, 33, tzinfo=UTC)


@pytest.mark.parametrize("kind", [CREATED, UPDATED, REPLIED])
@pytest.mark.parametrize("since", [None, AT - MINUTE])
def test_whatever_stands_in_an_answer_about_an_issue_it_is_read(
    kind: EventKind, since: datetime | None
) -> None:
    hint = IssueHint(kind, ("i1",), AT, None, since)
    whole = issues.read_issue(WHOLE, hint)
    assert whole is not None
    assert whole.issue.labels == (IssueLabel("steel", None, "l1"),)
    if whole.change is not None:
        assert whole.change.labels_added == ("steel", "other")
    for place in places(WHOLE):
        for odd in ODD:
            answer = replaced(WHOLE, place, odd)
            assert "\\ud800" not in repr(issues.read_issue(answer, hint))
            one = answer["project"]["issue"] if len(place) > 1 else odd
            listed = {"project": {"issues": {"items": [one, odd]}}}
            assert "\\ud800" not in repr(issues.read_changed(listed, hint))
