"""Each thing that can happen to an event has a sentence, and what is stored reads as before."""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import pytest

import bot
from bot.model import PauseWhy
from bot.speckle.filters import FilterWhy
from bot.trace import HeardBy, MissingWhy, ReadWith, TraceLine, TraceStep
from bot.trace_texts import ADDED, FILTERS, HEARD, MISSING, PAUSES, READERS, STEPS, trace_text
from bot.work import LateAddition

AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WRITERS = ("pipeline", "db", "speckle")


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (TraceStep, STEPS),
        (FilterWhy, FILTERS),
        (PauseWhy, PAUSES),
        (MissingWhy, MISSING),
        (ReadWith, READERS),
        (LateAddition, ADDED),
        (HeardBy, HEARD),
    ],
)
def test_each_word_of_a_trace_has_a_text(words: type[StrEnum], texts: Mapping[str, str]) -> None:
    assert list(texts) == list(words)


def test_each_word_of_a_trace_is_written_somewhere() -> None:
    root = Path(bot.__file__).parent
    code = "".join(path.read_text() for room in WRITERS for path in (root / room).rglob("*.py"))
    words = [word for kind in (TraceStep, FilterWhy, MissingWhy, HeardBy) for word in kind]
    assert [word for word in words if f"{type(word).__name__}.{word.name}" not in code] == []


@pytest.mark.parametrize(
    ("step", "facts", "text"),
    [
        (TraceStep.READ, {"kind": "version_created"}, "Read as version_created."),
        (
            TraceStep.WANTED,
            {"filter": FilterWhy.PATTERN_FITS, "model": "facade", "pattern": "fac*"},
            "Wanted: facade matches the pattern fac*.",
        ),
        (
            TraceStep.FILTERED_AS_CONFIRMED,
            {"filter": FilterWhy.AUTHOR_IGNORED, "author": "{odd}"},
            "Not shown: by what Speckle says, the channel ignores what {odd} does.",
        ),
        (
            TraceStep.ACCESS_UNKNOWN,
            {"silence": "no answer in time"},
            "Speckle or Discord does not say who can see it (no answer in time): the event waits.",
        ),
        (
            TraceStep.ACCESS_UNKNOWN,
            {},
            "Speckle or Discord does not say who can see it: the event waits.",
        ),
        (
            TraceStep.ACCESS_PAUSED,
            {"pause": PauseWhy.PERSON_LEFT},
            (
                "Paused, and the event is kept: the person whose account shows it here has left "
                "the server."
            ),
        ),
        (
            TraceStep.FACTS_MISSING,
            {"missing": MissingWhy.SCOPE_MISSING, "scope": "streams:read"},
            "A plain card, because the token that Speckle was asked with lacks streams:read.",
        ),
        (
            TraceStep.NOT_FILLED_IN,
            {
                "added": LateAddition.FACTS,
                "missing": MissingWhy.FILTERED,
                "filter": FilterWhy.NO_PATTERN_FITS,
                "model": "mep",
            },
            (
                "The card stays without what Speckle adds: by what Speckle says, no model pattern "
                "of the channel matches mep."
            ),
        ),
        (
            TraceStep.FILLED_IN,
            {"added": LateAddition.PICTURE, "after_s": 7},
            "Added its picture 7 s after the card was made.",
        ),
        (
            TraceStep.HEARD,
            {"heard": HeardBy.TURN, "every_s": 20},
            (
                "Read in the project's own lists, with the account that listens to it: at the "
                "account's turn, which comes every 20 s."
            ),
        ),
        (
            TraceStep.HEARD,
            {},
            "Read in the project's own lists, with the account that listens to it.",
        ),
        (
            TraceStep.ACCESS_PAUSED,
            {"pause": "a {word} of a newer release"},
            "Paused, and the event is kept: a {word} of a newer release.",
        ),
    ],
)
def test_a_line_is_shown_as_a_sentence(
    step: TraceStep, facts: Mapping[str, int | str], text: str
) -> None:
    stored = TraceLine(AT, "route", step, facts).to_json()
    assert trace_text(TraceLine.from_json(stored)) == text


def test_a_line_that_was_stored_as_a_sentence_is_shown_as_it_is() -> None:
    stored = ["2026-03-02T09:00:00+00:00", "route", "Wanted: {a} passes.", {"channel_id": 73}]
    assert trace_text(TraceLine.from_json(stored)) == "Wanted: {a} passes."
