"""What lists of versions, models and issues tell, read as deliveries."""

from datetime import UTC, datetime, timedelta

from bot.speckle.activity import body_of
from bot.speckle.event_subjects import issue_subject, subject_of, thing_of
from bot.speckle.events import Delivery, ModelCreated, ModelRef, SpeckleUser, VersionCreated
from bot.speckle.listed import (
    ListedChanges,
    ListedEntry,
    ListedIssue,
    ListedModel,
    ListedReply,
    ListedUpdate,
    ListedVersion,
    entries_of,
)
from bot.speckle.payloads import parse_delivery, read_envelope

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ILSE = SpeckleUser("1l5e", "Ilse Noor")
OMAR = SpeckleUser("0mar", "Omar Nasser")
ROOF = ModelRef("r00f", "tower/roof")
VERSION = ListedVersion("ab12cd34ef", AT, ROOF, ILSE, "Beams moved", "Revit 2026", "0b1ec7")
MODEL = ListedModel("r00f", AT, ILSE, "tower/roof", "All above level 9")


def read(listed: ListedEntry) -> Delivery:
    body = body_of(
        listed.entry,
        server_url="https://speckle.kestrel.example",
        project_id="a1b2c3d4e5",
        project_name="Harbour Tower",
        visibility="private",
    )
    return parse_delivery(read_envelope(body))


def test_a_version_and_a_model_are_read_like_those_that_a_webhook_tells() -> None:
    model, version = entries_of(ListedChanges((VERSION,), (MODEL,)), AT)
    assert read(version).event == VersionCreated(
        "ab12cd34ef", ROOF, "Beams moved", "Revit 2026", "0b1ec7"
    )
    assert read(model).event == ModelCreated(ROOF, "All above level 9")
    assert read(version).actor == read(model).actor == ILSE


def test_what_happened_before_is_left_out_and_the_rest_comes_in_order() -> None:
    versions = [ListedVersion(str(n), AT + timedelta(minutes=n), ROOF) for n in (3, 1, 2, 0)]
    found = entries_of(ListedChanges(tuple(versions)), AT + timedelta(minutes=1))
    assert [one.entry.resource_id for one in found] == ["1", "2", "3"]


def test_the_subject_is_what_a_webhook_says_too() -> None:
    for listed in entries_of(ListedChanges((VERSION,), (MODEL,)), AT):
        assert listed.subject == subject_of(read(listed))


def test_other_words_about_one_thing_are_another_subject_of_the_same_thing() -> None:
    (one,) = entries_of(ListedChanges((VERSION,)), AT)
    lie = VersionCreated("ab12cd34ef", ROOF, "Nothing moved")
    other = subject_of(Delivery(lie, "commit_create", read(one).project, ILSE))
    assert other is not None
    assert one.subject is not None
    assert other != one.subject
    assert thing_of(other) == thing_of(one.subject) == "commit_create:ab12cd34ef"


def test_an_issue_has_an_entry_of_its_own_and_one_for_each_change_and_reply() -> None:
    later = [AT + timedelta(minutes=n) for n in range(4)]
    issue = ListedIssue(
        "155ue",
        AT,
        ILSE,
        updates=(ListedUpdate(later[2], OMAR), ListedUpdate(later[1], ILSE)),
        replies=(ListedReply("4e91y", later[3], OMAR),),
    )
    found = entries_of(ListedChanges(issues=(issue,)), AT)
    assert [(one.entry.action, one.entry.user_id, one.entry.at, one.subject) for one in found] == [
        ("issue_created", "1l5e", AT, issue_subject("issue_created", "155ue")),
        ("issue_updated", "1l5e", later[1], issue_subject("issue_updated", "155ue", later[1])),
        ("issue_updated", "0mar", later[2], issue_subject("issue_updated", "155ue", later[2])),
        ("issue_reply_created", "0mar", later[3], issue_subject("issue_reply_created", "4e91y")),
    ]
    assert found[3].entry.info == {"issueId": "155ue", "replyId": "4e91y"}


def test_an_event_that_no_list_has_is_about_nothing_that_one_has() -> None:
    (one,) = entries_of(ListedChanges(models=(MODEL,)), AT)
    nameless = ModelCreated(ModelRef(name="tower/roof"), None)
    assert (
        subject_of(Delivery(nameless, "branch_create", read(one).project, None, None, None)) is None
    )
