"""Whatever anybody typed: each card is within each of Discord's limits, and mentions nobody."""

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cards.card import (
    MAX_AUTHOR,
    MAX_DESCRIPTION,
    MAX_FIELD_NAME,
    MAX_FIELD_VALUE,
    MAX_FIELDS,
    MAX_FOOTER,
    MAX_TITLE,
    MAX_TOTAL,
    ActionButton,
    Card,
    Field,
    LinkButton,
    fit,
)
from bot.cards.card_context import CardContext
from bot.cards.notes import CardNote, NoteKind
from bot.cards.render import render
from bot.cards.text import is_blank, units
from bot.speckle.checks import Check, Checks
from bot.speckle.event_table import EVENTS
from bot.speckle.events import (
    Change,
    Delivery,
    Event,
    EventKind,
    KnownThread,
    ModelRef,
    Project,
    ResourceRef,
    SpeckleUser,
    TextChange,
)
from bot.speckle.facts import (
    AttachedFile,
    CommentFacts,
    Issue,
    IssueChange,
    IssueFacts,
    IssueLabel,
    IssueReply,
    VersionFacts,
)
from bot.speckle.rich_text import RichNode, RichText

AT = datetime(2026, 11, 24, tzinfo=UTC)
EMOJI = ["👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇨🇭"]
NASTY = [
    "@everyone",
    "@here",
    "<@1>",
    "<@&2>",
    "<#3>",
    "[a](https://evil.example)",
    "||",
    "**",
    "```",
    "`",
    "\\",
    "\u202e",
    "\ud83d",
    "\n# ",
    "\n> ",
    "e" + "\u0301" * 40,
    "https://a.example/b",
    " ",
    "wall ",
]
texts = st.one_of(
    st.text(),
    st.lists(st.sampled_from(NASTY + EMOJI), max_size=40).map("".join),
    st.tuples(st.sampled_from(NASTY + EMOJI), st.integers(1, 3_000)).map(lambda p: p[0] * p[1]),
)
ids = st.sampled_from(["193f26c0fa", "b604a445ef"])
maybe = st.none() | texts
models = st.builds(ModelRef, st.none() | ids, maybe)
marks = st.frozensets(st.sampled_from(["bold", "italic", "strike", "code", "link"]))
leaves = st.builds(
    RichNode,
    st.sampled_from(["text", "mention", "hardBreak", "other"]),
    texts,
    marks,
    st.none() | st.just("https://a.example/(x)") | texts,
)
BLOCKS = [
    "paragraph",
    "heading",
    "bulletList",
    "listItem",
    "blockquote",
    "codeBlock",
    "orderedList",
]
nodes = st.recursive(
    leaves,
    lambda inner: st.builds(
        RichNode,
        st.sampled_from(BLOCKS),
        children=st.lists(inner, max_size=4).map(tuple),
    ),
    max_leaves=8,
)
numbers = st.integers(0, 10**9)
a_check = st.builds(Check, ids, st.none() | ids, maybe, maybe, numbers)
some_checks = st.lists(a_check, max_size=5).map(tuple)
BY_TYPE: Mapping[Any, st.SearchStrategy[Any]] = {
    str | None: maybe,
    bool | None: st.none() | st.booleans(),
    TextChange | None: st.none() | st.builds(Change, maybe, maybe),
    ModelRef: models,
    tuple[str, ...]: st.lists(ids, max_size=3).map(tuple),
    tuple[ResourceRef, ...]: st.lists(
        st.builds(ResourceRef, st.none() | ids, st.none() | ids), max_size=60
    ).map(tuple),
    RichText: st.builds(RichText, st.lists(nodes, max_size=5).map(tuple)),
    Checks: st.builds(Checks, numbers, numbers, numbers, numbers, some_checks, some_checks),
    str: ids,
    int: st.integers(0, 100),
}
IDS = {"thread_id", "reply_id", "comment_id", "version_id", "object_id"}


def _event(kind: type[Event]) -> st.SearchStrategy[Event]:
    assert is_dataclass(kind)
    values: dict[str, st.SearchStrategy[Any]] = {}
    for field in fields(kind):
        strategy = BY_TYPE[field.type]
        is_id = field.name in IDS or field.name.endswith("_id")
        if is_id:
            strategy = ids if field.type is str else st.none() | ids
        if field.name == "visibility":
            open_to = st.sampled_from(["public", "unlisted", "private", "workspace"])
            strategy = st.none() | st.builds(Change, st.none() | open_to, open_to)
        values[field.name] = strategy
    return st.builds(kind, **values)


deliveries = st.builds(
    Delivery,
    event=st.one_of([_event(row.value) for row in EVENTS]),
    event_name=st.just("some_event"),
    project=st.builds(Project, st.just("7e14d973e6"), maybe),
    actor=st.none() | st.builds(SpeckleUser, ids, maybe, maybe),
    activity_message=maybe,
    legacy=st.booleans(),
)
rich_texts = st.builds(RichText, st.lists(nodes, max_size=5).map(tuple))
people = st.none() | st.builds(SpeckleUser, ids, maybe)
moments = st.none() | st.just(AT)
labels = st.builds(IssueLabel, texts, st.none() | st.integers(0, 0xFFFFFF), st.none() | ids)
files = st.lists(st.builds(AttachedFile, ids, texts, st.none() | st.integers(0)), max_size=9)
places = st.lists(
    st.builds(ResourceRef, st.none() | ids, st.none() | ids, st.none() | ids, maybe, st.booleans()),
    max_size=60,
)
issues = st.builds(
    Issue,
    ids,
    maybe,
    maybe,
    rich_texts,
    maybe,
    maybe,
    people,
    people,
    st.lists(labels, max_size=40).map(tuple),
    moments,
    places.map(tuple),
    st.none(),
    files.map(tuple),
)
changes = st.builds(
    IssueChange,
    st.just(AT),
    people,
    title=st.none() | st.builds(Change, maybe, maybe),
    text=st.none() | st.builds(Change, rich_texts, rich_texts),
    status=st.none() | st.builds(Change, maybe, maybe),
    priority=st.none() | st.builds(Change, maybe, maybe),
    assignee=st.none() | st.builds(Change, people, people),
    due=st.none() | st.builds(Change, moments, moments),
    labels_added=st.lists(texts, max_size=40).map(tuple),
    labels_removed=st.lists(texts, max_size=40).map(tuple),
    place_changed=st.booleans(),
)
replies = st.builds(IssueReply, ids, st.just(AT), people, rich_texts, files.map(tuple))
issue_facts = st.builds(IssueFacts, issues, st.just(AT), st.none() | changes, st.none() | replies)
contexts = st.builds(
    CardContext,
    deliveries,
    st.just("https://speckle.example"),
    st.just(AT),
    notes=st.lists(st.builds(CardNote, st.sampled_from(NoteKind), texts), max_size=3).map(tuple),
    facts=st.none()
    | st.builds(VersionFacts, st.none() | st.integers(0, 10**9))
    | st.builds(CommentFacts, ids, maybe, places.map(tuple), files=files.map(tuple))
    | issue_facts,
    thread=st.none() | st.builds(KnownThread, maybe, places.map(tuple)),
)
cards = st.builds(
    Card,
    kind=st.just(EventKind.UNKNOWN),
    title=texts,
    url=maybe,
    description=texts,
    colour=st.just(0),
    author_name=maybe,
    author_icon=st.none(),
    author_url=st.none(),
    fields=st.lists(st.builds(Field, texts, texts), max_size=40).map(tuple),
    footer=texts,
    timestamp=st.just(AT),
    buttons=st.lists(
        st.builds(LinkButton, texts, st.just("https://a.example"))
        | st.builds(ActionButton, texts, st.just("compare:with:1")),
        max_size=3,
    ).map(tuple),
)


def assert_within_limits(card: Card) -> None:
    assert units(card.title) <= MAX_TITLE
    assert units(card.description) <= MAX_DESCRIPTION
    assert units(card.author_name or "") <= MAX_AUTHOR
    assert units(card.footer) <= MAX_FOOTER
    assert len(card.fields) <= MAX_FIELDS
    for field in card.fields:
        assert 0 < units(field.name) <= MAX_FIELD_NAME
        assert 0 < units(field.value) <= MAX_FIELD_VALUE
        assert not is_blank(field.name)
        assert not is_blank(field.value)
    assert card.length <= MAX_TOTAL


@given(cards)
def test_any_card_fits_into_a_message(card: Card) -> None:
    assert_within_limits(fit(card))


def test_many_long_fields_are_shortened_from_the_last() -> None:
    long = tuple(Field(f"Field {number}", "word " * 200) for number in range(10))
    card = fit(_card(fields=long))
    assert_within_limits(card)
    assert len(card.fields) == 10
    assert card.fields[0].value == long[0].value
    assert card.fields[-1].value.endswith("…")


def test_an_address_that_discord_would_refuse_is_left_out() -> None:
    card = fit(_card(url="http://localhost:3000/projects/7e14d973e6", image="attachment://a.png"))
    assert card.url is None
    assert card.image == "attachment://a.png"


def _card(**changes: Any) -> Card:
    card = Card(EventKind.UNKNOWN, "Title", None, "", 0, None, None, None, (), "", AT)
    return replace(card, **changes)


# In Discord's markdown "@" and "<" are harmless behind an odd number of backslashes, and in code.
LIVE_MENTION = re.compile(r"(?<!\\)(?:\\\\)*(?:@(?:everyone|here)|<[@#])")
CODE = re.compile(r"(?<!\\)(`+)[^`]*\1")
HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]")


@given(contexts)
def test_any_text_in_any_event_gives_a_card_that_discord_takes(context: CardContext) -> None:
    card = render(context)
    if card is None:
        return
    assert_within_limits(card)
    assert not is_blank(card.title)
    rendered = [card.title, card.description]
    rendered += [text for field in card.fields for text in (field.name, field.value)]
    for text in rendered:
        text.encode("utf-8")
        assert not LIVE_MENTION.search(CODE.sub("", text))
        assert not HIDDEN.search(text)
    for plain in (card.author_name or "", card.footer):
        plain.encode("utf-8")
        assert not HIDDEN.search(plain)
    assert "](https://evil.example" not in CODE.sub("", "".join(rendered)).replace("\\](", "")
    assert Card.from_json(card.to_json(), card.pictures) == card


@pytest.mark.parametrize("emoji", EMOJI)
def test_no_emoji_is_cut_wherever_the_limit_falls(emoji: str) -> None:
    for padding in range(12):
        card = fit(_card(title="a" * padding + emoji * 100, footer="a" * padding + emoji * 1_000))
        for text in (card.title, card.footer):
            body = text[padding:].removesuffix("…")
            assert text.endswith("…")
            assert body == emoji * (len(body) // len(emoji))
