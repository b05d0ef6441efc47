"""What of an event its server's answer confirms, without a server."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.speckle.confirmation import ISSUE, NEW_THREAD, Claim, IssueQuestion, touched_models
from bot.speckle.events import (
    CommentCreated,
    Delivery,
    EventKind,
    IssueCreated,
    IssueEvent,
    IssueReplied,
    IssueUpdated,
    ModelRef,
    Project,
    ResourceRef,
    SpeckleUser,
)
from bot.speckle.facts import CommentFacts, Issue, IssueChange, IssueFacts, IssueReply
from bot.speckle.issue_hints import IssueHint

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
OLD = AT - timedelta(days=30)
BOB, ILSE = SpeckleUser("954d254474", "Bob Builder"), SpeckleUser("17ab22c9de", "Ilse Brandt")
SAID = SpeckleUser("a1f47c02d9", "Anybody", "https://x.example/a.png")
MODEL = ResourceRef("193f26c0fa", "303fecc468")
BEAM = Issue("0c9d4e1f22", author=ILSE, resources=(MODEL,))


def claim_of(event: IssueEvent | CommentCreated, *, public: bool = False) -> Claim:
    return Claim(Delivery(event, "an_event", Project("7e14d973e6"), SAID), AT, public)


def confirmed(event: IssueEvent, facts: IssueFacts, *, public: bool = False) -> Delivery | None:
    return ISSUE.confirm(event, facts, claim_of(event, public=public))


def test_an_issues_event_is_a_hint_for_the_server() -> None:
    event = IssueReplied(("0c9d4e1f22", "77ab10c3de"))
    hint = IssueHint(EventKind.ISSUE_REPLIED, event.ids, AT, SAID.id)
    assert ISSUE.question(event, claim_of(event)) == IssueQuestion(hint)


@pytest.mark.parametrize(
    ("event", "facts", "who"),
    [
        (IssueCreated(), IssueFacts(BEAM, AT), ILSE),
        (IssueUpdated(), IssueFacts(BEAM, AT, IssueChange(AT, BOB)), BOB),
        (IssueReplied(), IssueFacts(BEAM, AT, reply=IssueReply("77ab10c3de", AT, BOB)), BOB),
    ],
)
def test_who_did_it_and_to_which_issue_the_server_says(
    event: IssueEvent, facts: IssueFacts, who: SpeckleUser
) -> None:
    found = confirmed(event, facts)
    assert found is not None
    assert found.actor == who
    assert found.event == replace(event, ids=(BEAM.id,))


def test_of_an_old_issue_nothing_is_shown_that_not_everybody_can_see() -> None:
    assert confirmed(IssueCreated(), IssueFacts(BEAM, OLD)) is None
    assert confirmed(IssueCreated(), IssueFacts(BEAM, OLD), public=True) is not None
    reply = IssueReply("77ab10c3de", OLD, BOB)
    assert confirmed(IssueReplied(), IssueFacts(BEAM, OLD, reply=reply)) is None


def test_a_change_that_the_server_does_not_record_is_not_believed() -> None:
    for public in (True, False):
        assert confirmed(IssueUpdated(), IssueFacts(BEAM, AT), public=public) is None


def test_an_issue_touches_the_models_that_it_is_on() -> None:
    named = IssueFacts(BEAM, AT, models=(ModelRef("193f26c0fa", "structure/level 1"),))
    assert touched_models(named) == (ModelRef("193f26c0fa", "structure/level 1"),)
    folder = replace(BEAM, resources=(ResourceRef(folder="structure"),))
    assert touched_models(IssueFacts(folder, AT)) == (ModelRef(name="structure"),)


# ── where a comment is, as the event says and as the server does ──────────────────────────────

WHOLE, FOLDER = ResourceRef(whole=True), ResourceRef(folder="Structure")
SLAB, DUCT = ResourceRef("aaaaaaaaaa"), ResourceRef("bbbbbbbbbb")
NAMES = {"aaaaaaaaaa": "structure/slab", "bbbbbbbbbb": "mep/duct"}


@pytest.mark.parametrize(
    ("said", "there", "shown"),
    [
        (WHOLE, (SLAB, DUCT), (WHOLE, SLAB, DUCT)),
        (WHOLE, (SLAB,), (SLAB,)),
        (WHOLE, (), (WHOLE,)),
        (FOLDER, (SLAB,), (FOLDER, SLAB)),
        (FOLDER, (SLAB, DUCT), (SLAB, DUCT)),
        (FOLDER, (ResourceRef("cccccccccc"),), (ResourceRef("cccccccccc"),)),
        (DUCT, (SLAB,), (SLAB,)),
    ],
)
def test_a_folder_is_believed_where_the_models_that_the_server_knows_are_in_it(
    said: ResourceRef, there: tuple[ResourceRef, ...], shown: tuple[ResourceRef, ...]
) -> None:
    event = CommentCreated("63e7c0f5c7", (said,))
    models = tuple(ModelRef(one.model_id, NAMES.get(one.model_id or "")) for one in there)
    facts = CommentFacts("63e7c0f5c7", resources=there, made_at=AT, models=models)
    found = NEW_THREAD.confirm(event, facts, claim_of(event))
    assert found is not None
    assert found.event == replace(event, resources=shown)
