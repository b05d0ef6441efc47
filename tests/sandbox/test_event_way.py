"""What became of an event, as the stages that the page shows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.lookups import (
    CardStatus,
    HeldSince,
    LoggedEvent,
)
from bot.model import InboxSource
from bot.speckle.filters import FilterWhy
from bot.trace import HeardBy, TraceLine, TraceStep
from bot.work import InboxState, OutboxState
from sandbox.demo.event_way import NOT_SIGNED, Tone, WayNames, WayStage, way_of
from tests import logged_event

AT = datetime(2026, 11, 25, 10, 32, tzinfo=UTC)
NAMES = WayNames({7: "structure", 8: "site"}, {70: 7, 80: 8}, {"a1": "Harbour Tower"})
EVENT = replace(
    logged_event.EVENT,
    id=3,
    project_id="a1",
    received_at=AT,
    finished_at=AT + timedelta(milliseconds=40),
    trace=(
        TraceLine(AT, "parse", TraceStep.READ, {"kind": "version_created"}),
        TraceLine(
            AT + timedelta(milliseconds=12),
            "route",
            TraceStep.FILTERED,
            {
                "subscription_id": 80,
                "channel_id": 8,
                "filter": FilterWhy.NO_PATTERN_FITS,
                "model": "structure/level 1",
            },
        ),
    ),
)
CARD = replace(
    logged_event.CARD,
    id=5,
    inbox_id=3,
    subscription_id=70,
    channel_id=7,
    title="New version",
    created_at=AT,
    sent_at=AT + timedelta(milliseconds=90),
    message_id=99,
)


def test_a_filter_that_kept_it_out_is_the_stage_where_it_ends() -> None:
    way = way_of(EVENT, NAMES, AT)
    row, detail = way.as_row(), way.as_detail()
    assert (way.outcome, way.summary, way.title) == (Tone.STOPPED, "Not shown", "Version created")
    assert row["tones"] == {
        WayStage.RECEIVED: Tone.OK,
        WayStage.SIGNATURE: Tone.OK,
        WayStage.FILTER: Tone.STOPPED,
        WayStage.ACCESS: Tone.OPEN,
        WayStage.ENRICHED: Tone.OPEN,
        WayStage.QUEUED: Tone.OPEN,
        WayStage.ANSWER: Tone.OPEN,
    }
    (line,) = detail["stages"][2]["lines"]
    assert (line["channel"], line["after_ms"]) == ("site", 12)
    assert line["text"] == ("Not shown: no model pattern of the channel matches structure/level 1.")


@pytest.mark.parametrize(
    ("card", "outcome", "summary", "answer"),
    [
        (CARD, Tone.OK, "Shown in 1 channel", "Discord took it, as message 99."),
        (
            replace(CARD, state=OutboxState.WAITING, due_at=AT + timedelta(seconds=30)),
            Tone.WAITING,
            "Waits for Discord",
            "Next try in 30 s.",
        ),
        (
            replace(CARD, state=OutboxState.UNDELIVERABLE, gave_up_at=AT),
            Tone.FAILED,
            "Discord did not accept it",
            "Discord did not accept it.",
        ),
    ],
)
def test_what_discord_answered_decides_how_it_went(
    card: CardStatus, outcome: Tone, summary: str, answer: str
) -> None:
    way = way_of(replace(EVENT, cards=(card,)), NAMES, AT)
    assert (way.outcome, way.summary, way.title) == (outcome, summary, "New version")
    assert [one.text for one in way.lines if one.stage is WayStage.ANSWER] == [answer]
    assert way.as_row()["tones"][WayStage.ANSWER] is outcome


@pytest.mark.parametrize(
    ("event", "outcome", "summary"),
    [
        (replace(EVENT, state=InboxState.NEW, trace=()), Tone.WAITING, "On disk, next in line"),
        (replace(EVENT, state=InboxState.FAILED), Tone.FAILED, "Not understood"),
        (replace(EVENT, held=(HeldSince(80, AT, AT),)), Tone.WAITING, "Kept, not shown yet"),
    ],
)
def test_an_event_without_a_card_says_why(event: LoggedEvent, outcome: Tone, summary: str) -> None:
    way = way_of(event, NAMES, AT)
    assert (way.outcome, way.summary) == (outcome, summary)


def test_each_source_without_a_signature_is_known() -> None:
    assert set(NOT_SIGNED) == set(InboxSource) - {InboxSource.WEBHOOK, InboxSource.OPERATOR}


def test_what_was_heard_says_when_and_by_what() -> None:
    line = TraceLine(AT, "catch_up", TraceStep.HEARD, {"heard": HeardBy.RING})
    heard = replace(
        EVENT,
        source=InboxSource.LIVE,
        happened_at=AT - timedelta(milliseconds=400),
        trace=(line, *EVENT.trace),
    )
    texts = [one.text for one in way_of(heard, NAMES, AT).lines if one.stage is WayStage.RECEIVED]
    assert texts[0] == "No webhook called. The bot read it in Speckle 0.4 s after it happened."
    assert texts[1].endswith("a WebSocket of that account rang.")


def test_what_was_fetched_came_by_no_call() -> None:
    way = way_of(replace(EVENT, source=InboxSource.HISTORY), NAMES, AT)
    texts = [one.text for one in way.lines if one.stage is WayStage.SIGNATURE]
    assert texts == ["Read from Speckle itself, with the account that made the webhook."]
    assert not any("called the bot's webhook" in one.text for one in way.lines)
