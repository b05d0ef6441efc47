"""Cards of issues as a channel sees them: plain, and with what the server says of the issue."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.cards.card import Card
from bot.cards.colours import INFO, SUCCESS
from bot.cards.render import fill_in, render
from bot.speckle.events import Change, Delivery, ResourceRef, SpeckleUser
from bot.speckle.facts import AttachedFile, Issue, IssueChange, IssueFacts, IssueLabel, IssueReply
from bot.speckle.rich_text import RichText, read_rich_text
from bot.speckle.wire import text_of
from tests.cards.conftest import RECEIVED_AT, shown

MODEL, ISSUE = "193f26c0fa", "0c9d4e1f22"
NAMES = {MODEL: "structure/level 1"}
LINK = f"https://speckle.studio-kestrel.example/projects/5f0c9a41b7/models/{MODEL}@303fecc468"
BOB = SpeckleUser("954d254474", "Bob Builder")
MAREN = SpeckleUser("a1f47c02d9", "Maren Oduya")
CLASH = IssueLabel("Clash", 0xE0304A, "1a2b3c4d5e")


def words(*lines: str) -> RichText:
    blocks = [{"type": "paragraph", "content": [{"type": "text", "text": one}]} for one in lines]
    return read_rich_text({"type": "doc", "content": blocks}, text_of)


BEAM = Issue(
    ISSUE,
    identifier="KT-12",
    title="Beam clashes with *duct*",
    text=words("The beam goes through the supply duct."),
    status="open",
    priority="high",
    assignee=BOB,
    author=MAREN,
    labels=(CLASH, IssueLabel("MEP")),
    due=datetime(2026, 12, 4, tzinfo=UTC),
    resources=(ResourceRef(MODEL, "303fecc468"),),
    files=(AttachedFile("b1", "section.pdf", 2_140_000),),
)


def card_of(delivery: Delivery, facts: IssueFacts | None, **more: Any) -> Card:
    card = render(shown(delivery, facts=facts, model_names=NAMES, **more))
    assert card is not None
    return card


def lines(card: Card) -> list[str]:
    """What stands between the author and the footer."""
    return card.plain_text().splitlines()[1:-1]


def changed(**changes: Any) -> IssueFacts:
    return IssueFacts(BEAM, RECEIVED_AT, IssueChange(RECEIVED_AT, MAREN, **changes))


def test_a_new_issue_is_shown_with_all_that_the_server_knows(
    deliveries: dict[str, Delivery],
) -> None:
    card = card_of(deliveries["issue_created"], IssueFacts(BEAM, RECEIVED_AT))
    assert lines(card) == [
        f"New issue KT-12 <{LINK}#threadId={ISSUE}>",
        "Maren Oduya opened KT-12 Beam clashes with *duct* on structure/level 1:",
        "> The beam goes through the supply duct.",
        "Status: Open",
        "Priority: High",
        "Assignee: Bob Builder",
        "Due: 2026-12-04",  # noon, so that it is the same date nearly everywhere
        "Labels: 🟥 Clash, MEP",
        f"On: structure/level 1 <{LINK}>",
        "Files: section.pdf, 2.1 MB",
        f"[Open issue <{LINK}#threadId={ISSUE}>]",
    ]


def test_an_issue_of_a_title_alone_says_no_more(deliveries: dict[str, Delivery]) -> None:
    bare = Issue(ISSUE, title="Beam", status="open", priority="none")
    card = card_of(deliveries["issue_created"], IssueFacts(bare, RECEIVED_AT))
    assert card.title == "New issue"
    assert card.description == "Maren Oduya opened **Beam**."
    assert [field.name for field in card.fields] == ["Status"]
    assert card.url is not None
    assert card.url.endswith(f"/models/all#threadId={ISSUE}")


@pytest.mark.parametrize(
    ("changes", "title", "sentence", "colour"),
    [
        ({"status": Change("open", "resolved")}, "resolved", "resolved {}.", SUCCESS),
        ({"status": Change("resolved", "open")}, "reopened", "reopened {}.", INFO),
        (
            {"status": Change("open", "readyForReview")},
            "ready for review",
            "marked {} as ready for review.",
            INFO,
        ),
        ({"status": Change("readyForReview", "open")}, "changed", "changed {}.", INFO),
        ({"status": Change("open", "onHold")}, "changed", "changed {}.", INFO),
        ({"assignee": Change(None, BOB)}, "assigned", "assigned {} to **Bob Builder**.", INFO),
        ({"assignee": Change(BOB, None)}, "changed", "changed {}.", INFO),
        ({"place_changed": True}, "changed", "changed {}.", INFO),
    ],
)
def test_one_change_has_a_word_of_its_own(
    changes: dict[str, Any],
    title: str,
    sentence: str,
    colour: int,
    deliveries: dict[str, Delivery],
) -> None:
    card = card_of(deliveries["issue_updated"], changed(**changes))
    issue = r"**KT-12 Beam clashes with \*duct\*** on **structure/level 1**"
    assert card.title == f"Issue KT-12 {title}"
    assert card.description == f"Maren Oduya {sentence.format(issue)}"
    assert card.colour == colour


def test_only_what_was_changed_is_shown_before_and_after(deliveries: dict[str, Delivery]) -> None:
    card = card_of(
        deliveries["issue_updated"],
        changed(
            title=Change("Beam clash", "Beam clashes"),
            text=Change(words("Old"), words("New")),
            status=Change("open", "onHold"),
            priority=Change("low", "high"),
            assignee=Change(None, SpeckleUser("5e5e5e5e5e")),
            due=Change(None, datetime(2026, 12, 4, 15, tzinfo=UTC)),
            labels_added=("1a2b3c4d5e", "Fire"),
            labels_removed=("0000000000", "Old"),
            place_changed=True,
        ),
    )
    assert [(field.name, field.value) for field in card.fields] == [
        ("Status", "Open → **On hold**"),
        ("Priority", "Low → **High**"),
        ("Assignee", "nobody → **somebody**"),
        ("Due", "no date → **<t:1796396400:D>**"),
        ("Labels", "added 🟥 Clash\nadded Fire\nremoved a label\nremoved Old"),
        ("Title", "Beam clash → **Beam clashes**"),
        ("Text before", "Old"),
        ("Text after", "New"),
        ("Place in the model", "changed"),
    ]


def test_a_change_of_nothing_that_a_card_shows_gives_no_card(
    deliveries: dict[str, Delivery],
) -> None:
    assert render(shown(deliveries["issue_updated"], facts=changed())) is None


def test_a_reply_says_to_which_issue_and_whom_it_mentions(deliveries: dict[str, Delivery]) -> None:
    mention = {"type": "mention", "attrs": {"id": BOB.id, "label": "Bob"}}
    text = [mention, {"type": "text", "text": " please look"}]
    doc = {"type": "doc", "content": [{"type": "paragraph", "content": text}]}
    reply = IssueReply("77ab10c3de", RECEIVED_AT, BOB, read_rich_text(doc, text_of))
    card = card_of(
        deliveries["issue_replied"],
        IssueFacts(BEAM, RECEIVED_AT, reply=reply),
        person_names={BOB.id: "Bob Builder"},
    )
    assert lines(card)[:3] == [
        f"Reply to issue KT-12 <{LINK}#threadId={ISSUE}>",
        (
            "Maren Oduya replied to KT-12 Beam clashes with *duct* on structure/level 1 and "
            "mentioned Bob Builder:"
        ),
        "> @Bob please look",
    ]


def test_a_reply_of_files_alone_says_so(deliveries: dict[str, Delivery]) -> None:
    files = (AttachedFile("b1", "a.png", 812), AttachedFile("b2", "b [1].pdf"))
    reply = IssueReply("77ab10c3de", RECEIVED_AT, files=files)
    card = card_of(deliveries["issue_replied"], IssueFacts(BEAM, RECEIVED_AT, reply=reply))
    assert card.description.endswith(":\n> *(no text, 2 files)*")
    assert [field.value for field in card.fields] == ["a.png, 812 bytes\nb \\[1\\].pdf"]


def test_facts_that_come_late_are_filled_into_the_plain_card(
    deliveries: dict[str, Delivery],
) -> None:
    delivery, facts = deliveries["issue_created"], IssueFacts(BEAM, RECEIVED_AT)
    plain = card_of(delivery, None)
    card = fill_in(plain, shown(delivery, facts=facts, model_names=NAMES))
    at_once = card_of(delivery, facts)
    assert card == replace(at_once, title=plain.title)
    assert "KT-12" in card.description


@pytest.mark.parametrize(
    ("place", "words_of_it", "end"),
    [
        (ResourceRef(whole=True), "on the whole project", "models/all"),
        (ResourceRef(folder="structure"), "on the folder **structure**", "models/$structure"),
        (ResourceRef(object_id="a" * 32), "on an object of the project", f"models/{'a' * 32}"),
    ],
)
def test_an_issue_says_what_it_is_on(
    place: ResourceRef, words_of_it: str, end: str, deliveries: dict[str, Delivery]
) -> None:
    facts = IssueFacts(replace(BEAM, resources=(place,)), RECEIVED_AT)
    card = card_of(deliveries["issue_created"], facts)
    assert words_of_it in card.description
    assert card.url is not None
    assert card.url.endswith(f"{end}#threadId={ISSUE}")
    on = next(field.value for field in card.fields if field.name == "On")
    assert on.endswith(f"{end})")
