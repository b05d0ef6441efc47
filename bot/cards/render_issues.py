"""Cards for issues: opened, changed, answered, deleted.

The event has ids only, so what the server says of the issue makes the card.
"""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from bot.cards.card import Field, LinkButton
from bot.cards.card_context import (
    MAX_BEFORE_AFTER,
    MAX_MESSAGE,
    NOTHING,
    CardContext,
    CardParts,
    further_words,
    long_text,
    name_text,
    shown_part,
)
from bot.cards.colours import SUCCESS
from bot.cards.rich_text_markdown import to_markdown
from bot.cards.text import moment_text
from bot.cards.thread_parts import also_mentioned, files_field, place_fields, text_and_files
from bot.speckle.events import (
    Change,
    IssueCreated,
    IssueDeleted,
    IssueReplied,
    IssueUpdated,
    SpeckleUser,
    TextChange,
)
from bot.speckle.facts import Issue, IssueChange, IssueFacts, IssueLabel
from bot.speckle.issue_hints import IN_MESSAGE
from bot.speckle.resources import resource_text
from bot.speckle.rich_text import RichText

NO_PRIORITY = "none"
NOBODY = "nobody"
NO_DATE = "no date"
ARROW = "→"
LABEL_ID = re.compile(r"\A[0-9a-f]{10}\Z")
# Speckle's labels have any colour, text in Discord has none: the square that comes nearest.
SQUARES = {
    "🟥": (0xDD, 0x2E, 0x44),
    "🟧": (0xF4, 0x90, 0x0C),
    "🟨": (0xFD, 0xCB, 0x58),
    "🟩": (0x78, 0xB1, 0x59),
    "🟦": (0x55, 0xAC, 0xEE),
    "🟪": (0xAA, 0x8E, 0xD6),
    "🟫": (0xC1, 0x69, 0x4F),
    "⬛": (0x31, 0x37, 0x3D),
    "⬜": (0xE6, 0xE7, 0xE8),
}


def issue_created(context: CardContext, _event: IssueCreated) -> CardParts:
    """The issue as it is."""
    facts = context.issue_facts
    if facts is None:
        return _plain(context, "New issue")
    issue = facts.issue
    quote = shown_part(to_markdown(issue.text), MAX_MESSAGE)
    return _parts(
        context,
        facts,
        "New issue",
        quote=quote,
        small=also_mentioned(issue.text, quote),
        fields=(
            *_state_fields(context, issue),
            *place_fields(context, issue.resources),
            *files_field(issue.files),
        ),
    )


def issue_updated(context: CardContext, _event: IssueUpdated) -> CardParts | None:
    """Only what was changed, before and after; None where a card shows nothing of that."""
    facts = context.issue_facts
    if facts is None or facts.change is None:
        return _plain(context, "Issue changed")
    change = facts.change
    fields = _change_fields(context, facts.issue, change)
    if not fields:
        return None
    deed = _deed(change) if len(fields) == 1 else None
    if deed is not None and change.status is not None:  # the title says what it is now
        fields = (Field("Status before", _word(change.status.old)),)
    place = place_fields(context, facts.issue.resources)
    deed = deed or Deed("changed")
    return _parts(
        context, facts, f"Issue {deed.title}", fields=(*fields, *place), colour=deed.colour
    )


def issue_replied(context: CardContext, _event: IssueReplied) -> CardParts:
    """The reply's text and files, and which issue it is."""
    facts = context.issue_facts
    if facts is None or facts.reply is None:
        return _plain(context, "Reply to an issue")
    reply = facts.reply
    quote, files = text_and_files(reply.text, reply.files)
    return _parts(
        context,
        facts,
        "Reply to an issue",
        quote=quote,
        small=also_mentioned(reply.text, quote),
        fields=(*place_fields(context, facts.issue.resources), *files),
    )


def issue_deleted(context: CardContext, _event: IssueDeleted) -> CardParts:
    """Nothing can be asked about an issue that is gone."""
    return _plain(context, "Issue deleted")


def _plain(context: CardContext, title: str) -> CardParts:
    """What the event says by itself: Speckle's own sentence about it, if there is one."""
    delivery = context.delivery
    said = " ".join(IN_MESSAGE.sub("", delivery.activity_message or "").split())
    small = long_text(further_words(said, delivery.event_name), MAX_MESSAGE)
    return CardParts(title, context.project_url, small=small)


def _parts(
    context: CardContext,
    facts: IssueFacts,
    title: str,
    *,
    quote: str = "",
    small: str = "",
    fields: tuple[Field, ...] = (),
    colour: int | None = None,
) -> CardParts:
    """The card of an issue that is known, by its number and its title."""
    issue = facts.issue
    place = next(filter(None, map(resource_text, issue.resources)), None)
    url = context.links.issue(context.project_id, issue.id, place)
    return CardParts(
        title=title,
        about=" ".join(name_text(text) for text in (issue.identifier, issue.title) if text),
        url=url,
        quote=quote,
        small=small,
        fields=fields,
        colour=colour,
        buttons=(LinkButton("Open issue", url),),
    )


# ── its state ─────────────────────────────────────────────────────────────────────────────


def _state_fields(context: CardContext, issue: Issue) -> tuple[Field, ...]:
    fields = [
        Field("Status", _word(issue.status)) if issue.status else None,
        Field("Priority", _word(issue.priority)) if _matters(issue.priority) else None,
        Field("Assignee", _person(context, issue.assignee)) if issue.assignee else None,
        Field("Due", _day(issue.due)) if issue.due else None,
        Field("Labels", ", ".join(map(_label, issue.labels))) if issue.labels else None,
    ]
    return tuple(field for field in fields if field is not None)


def _matters(priority: str | None) -> bool:
    return priority is not None and priority != NO_PRIORITY


def _word(raw: str | None) -> str:
    """One of the server's words for people: "readyForReview" is "Ready for review"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[_-]+", " ", raw or NO_PRIORITY).lower()
    return name_text(words[:1].upper() + words[1:])


def _person(context: CardContext, person: SpeckleUser | None) -> str:
    return NOBODY if person is None else name_text(context.name_of(person), "somebody")


def _day(at: datetime | None) -> str:
    """The day on which it is due. A date alone comes as midnight at Greenwich; at noon there it is
    that date nearly everywhere.
    """
    if at is None:
        return NO_DATE
    return moment_text(at + timedelta(hours=12) if at.time() == time() else at, "D")


def _label(label: IssueLabel) -> str:
    name = name_text(label.name)
    return name if label.colour is None else f"{_square(label.colour)} {name}"


def _square(colour: int) -> str:
    parts = (colour >> 16 & 0xFF, colour >> 8 & 0xFF, colour & 0xFF)

    def distance(square: str) -> int:
        return sum((a - b) ** 2 for a, b in zip(parts, SQUARES[square], strict=True))

    return min(SQUARES, key=distance)


# ── what was changed ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did to an issue, in a word for the title."""

    title: str
    colour: int | None = None


REOPENED = Deed("reopened")
STATUS_DEEDS = {
    "open": REOPENED,
    "readyForReview": Deed("ready for review"),
    "resolved": Deed("resolved", SUCCESS),
}


def _deed(change: IssueChange) -> Deed | None:
    """A change of one thing that has a word of its own."""
    if change.status is not None:
        deed = STATUS_DEEDS.get(change.status.new or "")
        return None if deed is REOPENED and change.status.old != "resolved" else deed
    if change.assignee is not None and change.assignee.new is not None:
        return Deed("assigned")
    return None


def _change_fields(context: CardContext, issue: Issue, change: IssueChange) -> tuple[Field, ...]:
    people = change.assignee
    return (
        *_words_field("Status", change.status),
        *_words_field("Priority", change.priority),
        *(
            _both("Assignee", _person(context, people.old), _person(context, people.new))
            if people is not None
            else ()
        ),
        *(_both("Due", _day(change.due.old), _day(change.due.new)) if change.due else ()),
        *_labels_field(issue, change),
        *_title_field(change.title),
        *_text_fields(change.text),
        *((Field("Place in the model", "changed"),) if change.place_changed else ()),
    )


def _both(name: str, before: str, after: str) -> tuple[Field, ...]:
    return (Field(name, f"{before} {ARROW} **{after}**"),)


def _words_field(name: str, change: TextChange | None) -> tuple[Field, ...]:
    return () if change is None else _both(name, _word(change.old), _word(change.new))


def _title_field(change: TextChange | None) -> tuple[Field, ...]:
    if change is None:
        return ()
    return (Field("Title before", name_text(change.old, "(no title)"), inline=False),)


def _text_fields(change: Change[RichText] | None) -> tuple[Field, ...]:
    if change is None:
        return ()
    before, after = (
        shown_part(to_markdown(text), MAX_BEFORE_AFTER) for text in (change.old, change.new)
    )
    return (
        Field("Text before", before or NOTHING, inline=False),
        Field("Text after", after or NOTHING, inline=False),
    )


def _labels_field(issue: Issue, change: IssueChange) -> tuple[Field, ...]:
    """Labels come by name or by id; those that the issue has now have a name and a colour."""
    known = {key: label for label in issue.labels for key in (label.id, label.name)}
    lines = [
        f"{sign} {_label(known.get(text) or IssueLabel(LABEL_ID.sub('a label', text)))}"
        for sign, texts in (("added", change.labels_added), ("removed", change.labels_removed))
        for text in texts
    ]
    return (Field("Labels", "\n".join(lines)),) if lines else ()
