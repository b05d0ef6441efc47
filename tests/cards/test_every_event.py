"""Each event has a renderer, a colour, a reader, a fixture and its line in docs/events.md."""

import re
from pathlib import Path
from typing import get_args

import pytest

from bot.cards.colours import COLOURS
from bot.cards.render import RENDERERS
from bot.speckle.events import (
    KINDS_OF,
    LISTED_TRIGGERS,
    TRIGGERS,
    Delivery,
    Event,
    EventGroup,
    EventKind,
    group_of,
)
from bot.speckle.payloads import READERS

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
LINES = {
    match[1]: (match[2], match[3])
    for match in re.finditer(r"^\| `(\w+)` \|.+\| (.+?) \| ([✔—]) \|$", PAGE, re.MULTILINE)
}


def test_each_event_has_one_renderer() -> None:
    assert set(RENDERERS) == set(get_args(Event))
    assert sorted(event.kind for event in RENDERERS) == sorted(EventKind)


@pytest.mark.parametrize("kind", EventKind)
def test_each_event_has_a_fixture(kind: EventKind, deliveries: dict[str, Delivery]) -> None:
    assert kind in {delivery.event.kind for delivery in deliveries.values()}


@pytest.mark.parametrize("kind", EventKind)
def test_each_event_has_its_line_in_the_documentation(kind: EventKind) -> None:
    trigger, mark = LINES[kind.value]
    if kind is EventKind.UNKNOWN:
        assert trigger == "any other"
        return
    assert tuple(re.findall(r"`(\w+)`", trigger)) == TRIGGERS[kind]
    assert (mark == "✔") == LISTED_TRIGGERS.issuperset(TRIGGERS[kind])


def test_the_documentation_has_no_line_of_an_event_that_is_no_more() -> None:
    assert set(LINES) == {kind.value for kind in EventKind}


@pytest.mark.parametrize("group", EventGroup)
def test_each_group_has_its_heading_in_the_documentation(group: EventGroup) -> None:
    section = PAGE.split(f"\n## `{group.value}`\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == [
        kind.value for kind in KINDS_OF[group]
    ]


def test_each_event_is_in_one_group() -> None:
    assert sorted(kind for kinds in KINDS_OF.values() for kind in kinds) == sorted(EventKind)
    assert all(kind in KINDS_OF[group_of(kind)] for kind in EventKind)


def test_each_event_has_a_colour_and_triggers_that_are_read() -> None:
    assert set(COLOURS) == set(TRIGGERS) == set(EventKind)
    assert {name for names in TRIGGERS.values() for name in names} == set(READERS)
    assert set(READERS) >= LISTED_TRIGGERS
