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
    """What is between the author and the footer."""
    return card.plain_text().splitlines()[1:-1]


def changed(**changes: Any) -> IssueFacts:
    return IssueFacts(BEAM, RECEIVED_AT, IssueChange(RECEIVED_AT, MAREN, **changes))


def test_a_new_issue_is_shown_with_all_that_the_server_knows(
    deliveries: dict[str, Delivery],
) -> None:
    card = card_of(deliveries["issue_created"], IssueFacts(BEAM, RECEIVED_AT))
    assert lines(card) == [
        f"New issue: KT-12 Beam clashes with *duct* <{LINK}#threadId={ISSUE}>",
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
    assert card.title == "New issue: Beam"
    assert card.description == ""
    assert [field.name for field in card.fields] == ["Status"]
    assert card.url is not None
    assert card.url.endswith(f"/models/all#threadId={ISSUE}")


@pytest.mark.parametrize(
    ("changes", "title", "field", "colour"),
    [
        ({"status": Change("open", "resolved")}, "resolved", "Status before: Open", SUCCESS),
        ({"status": Change("resolved", "open")}, "reopened", "Status before: Resolved", INFO),
        (
            {"status": Change("open", "readyForReview")},
            "ready for review",
            "Status before: Open",
            INFO,
        ),
        (
            {"status": Change("readyForReview", "open")},
            "changed",
            "Status: Ready for review → **Open**",
            INFO,
        ),
        ({"status": Change("open", "onHold")}, "changed", "Status: Open → **On hold**", INFO),
        (
            {"assignee": Change(None, BOB)},
            "assigned",
            "Assignee: nobody → **Bob Builder**",
            INFO,
        ),
        ({"assignee": Change(BOB, None)}, "changed", "Assignee: Bob Builder → **nobody**", INFO),
        ({"place_changed": True}, "changed", "Place in the model: changed", INFO),
    ],
)
def test_one_change_has_a_word_of_its_own(
    changes: dict[str, Any],
    title: str,
    field: str,
    colour: int,
    deliveries: dict[str, Delivery],
) -> None:
    card = card_of(deliveries["issue_updated"], changed(**changes))
    assert card.title == rf"Issue {title}: KT-12 Beam clashes with \*duct\*"
    assert card.description == ""
    shown = [f"{one.name}: {one.value}" for one in card.fields]
    assert shown == [field, f"On: [structure/level 1]({LINK})"]
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
        ("Title before", "Beam clash"),
        ("Text before", "Old"),
        ("Text after", "New"),
        ("Place in the model", "changed"),
        ("On", f"[structure/level 1]({LINK})"),
    ]


def test_a_change_of_nothing_that_a_card_shows_gives_no_card(
    deliveries: dict[str, Delivery],
) -> None:
    assert render(shown(deliveries["issue_updated"], facts=changed())) is None


def reply_that_mentions(before: str) -> IssueReply:
    mention = {"type": "mention", "attrs": {"id": BOB.id, "label": "Bob"}}
    text = [{"type": "text", "text": before}, mention]
    doc = {"type": "doc", "content": [{"type": "paragraph", "content": text}]}
    return IssueReply("77ab10c3de", RECEIVED_AT, BOB, read_rich_text(doc, text_of))


def test_a_reply_says_to_which_issue_it_is(deliveries: dict[str, Delivery]) -> None:
    facts = IssueFacts(BEAM, RECEIVED_AT, reply=reply_that_mentions("please look "))
    assert lines(card_of(deliveries["issue_replied"], facts)) == [
        f"Reply to an issue: KT-12 Beam clashes with *duct* <{LINK}#threadId={ISSUE}>",
        "> please look @Bob",
        f"On: structure/level 1 <{LINK}>",
        f"[Open issue <{LINK}#threadId={ISSUE}>]",
    ]


def test_who_is_mentioned_is_said_where_the_text_has_no_room(
    deliveries: dict[str, Delivery],
) -> None:
    facts = IssueFacts(BEAM, RECEIVED_AT, reply=reply_that_mentions("word " * 500))
    card = card_of(deliveries["issue_replied"], facts)
    assert card.description.endswith("…\n-# Also mentions **\\@Bob**")


def test_a_reply_of_files_alone_says_so(deliveries: dict[str, Delivery]) -> None:
    files = (AttachedFile("b1", "a.png", 812), AttachedFile("b2", "b [1].pdf"))
    reply = IssueReply("77ab10c3de", RECEIVED_AT, files=files)
    card = card_of(deliveries["issue_replied"], IssueFacts(BEAM, RECEIVED_AT, reply=reply))
    assert card.description == "> *(no text, 2 files)*"
    assert card.fields[-1].value == "a.png, 812 bytes\nb \\[1\\].pdf"


def test_facts_that_come_late_are_filled_into_the_plain_card(
    deliveries: dict[str, Delivery],
) -> None:
    delivery, facts = deliveries["issue_created"], IssueFacts(BEAM, RECEIVED_AT)
    plain = card_of(delivery, None)
    card = fill_in(plain, shown(delivery, facts=facts, model_names=NAMES))
    at_once = card_of(delivery, facts)
    named = r"**KT-12 Beam clashes with \*duct\***"
    description = f"{named}\n{at_once.description}"
    assert card == replace(at_once, title=plain.title, description=description)
    assert at_once.description == "> The beam goes through the supply duct."


@pytest.mark.parametrize(
    ("place", "words_of_it", "end"),
    [
        (ResourceRef(whole=True), "the whole project", "models/all"),
        (ResourceRef(folder="structure"), "the folder structure", "models/$structure"),
        (ResourceRef(object_id="a" * 32), f"object {'a' * 32}", f"models/{'a' * 32}"),
    ],
)
def test_an_issue_says_what_it_is_on(
    place: ResourceRef, words_of_it: str, end: str, deliveries: dict[str, Delivery]
) -> None:
    facts = IssueFacts(replace(BEAM, resources=(place,)), RECEIVED_AT)
    card = card_of(deliveries["issue_created"], facts)
    assert card.url is not None
    assert card.url.endswith(f"{end}#threadId={ISSUE}")
    on = next(field.value for field in card.fields if field.name == "On")
    assert on.startswith(f"[{words_of_it}](")
    assert on.endswith(f"{end})")
