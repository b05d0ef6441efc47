"""Each event has its whole row in both tables, a fixture, a card and its line in docs/events.md."""

import re
from pathlib import Path

import pytest

from bot.cards.docs_page import with_event_tables
from bot.cards.event_table import CARDS
from bot.cards.render import render
from bot.speckle.event_table import EVENTS, PARSERS, EventRow, kinds_of
from bot.speckle.events import Delivery, EventGroup, EventKind
from tests.cards.conftest import shown

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")

each_event = pytest.mark.parametrize("row", EVENTS, ids=lambda row: row.kind.value)


def test_each_event_has_one_row_in_each_table() -> None:
    assert [row.kind for row in EVENTS] == list(EventKind)
    assert list(CARDS) == list(EventKind)


def test_each_group_has_events() -> None:
    assert [kind for group in EventGroup for kind in kinds_of(group)] == list(EventKind)


@each_event
def test_each_event_has_triggers_that_only_its_parser_reads(row: EventRow) -> None:
    assert bool(row.triggers) == (row.kind is not EventKind.UNKNOWN)
    assert all(PARSERS[name] is row.parse for name in row.wire_names)


@each_event
def test_each_event_has_a_fixture_and_a_card(
    row: EventRow, deliveries: dict[str, Delivery]
) -> None:
    found = [one for one in deliveries.values() if type(one.event) is row.value]
    assert found
    assert all(delivery.event_name in row.wire_names for delivery in found if row.triggers)
    assert any(render(shown(delivery)) is not None for delivery in found)


@each_event
def test_what_the_server_is_asked_for_is_what_the_documentation_says(row: EventRow) -> None:
    assert (row.check is not None) == ("*Added:*" in CARDS[row.kind].shows)


def test_the_documentation_has_the_tables_as_they_are() -> None:
    assert re.findall(r"(?m)^## `(\w+)`$", PAGE) == list(EventGroup)
    assert re.findall(r"(?m)^\| `(\w+_\w+|unknown)` \|", PAGE) == list(EventKind)
    assert with_event_tables(PAGE) == PAGE, "make pages"
