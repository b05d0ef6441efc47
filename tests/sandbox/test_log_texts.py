"""The bot's log in sentences: each belongs to a line that the bot writes."""

import re
from pathlib import Path

from bot.trace import HeardBy
from sandbox.demo.log_texts import HEARD, LOG_TEXTS, log_text

BOT = Path(__file__).resolve().parents[2] / "bot"
CHANNELS = {7: "structure"}


def test_each_sentence_is_of_a_line_that_the_bot_writes() -> None:
    code = "".join(one.read_text("utf-8") for one in BOT.rglob("*.py"))
    written = set(re.findall(r'"([a-z_]+\.[a-z_]+)"', code))
    assert sorted(LOG_TEXTS.keys() - written) == []


def test_ids_and_reasons_are_said_in_words() -> None:
    facts = {"channel_id": 7, "retry_in_s": 4.3, "reason": "answered", "status": 503}
    assert log_text("sender.retry_later", facts, CHANNELS) == (
        "#structure is tried again in 4.3 s: Discord answered 503."
    )
    sent = {"channel_id": 7, "outbox_ids": [1, 2], "message_id": 9}
    assert log_text("sender.sent", sent, CHANNELS) == "Sent to #structure: 2 cards in one message."
    assert log_text("webhooks.changed", {"change": "changed"}, CHANNELS) == (
        "A webhook in Speckle was checked: it now sends what the channels want."
    )


def test_what_led_to_reading_what_is_live_is_said() -> None:
    assert log_text("listening.read", {"taken": 2, "heard": "turn", "every_s": 20}, CHANNELS) == (
        "The project's list was read at its turn, which comes every 20 s: 2 taken in."
    )
    assert log_text("listening.read", {"taken": 2}, CHANNELS) == (
        "The project's list was read: 2 taken in."
    )
    assert set(HEARD) == set(HeardBy)


def test_each_line_about_what_is_live_has_a_sentence() -> None:
    code = "".join(one.read_text("utf-8") for one in BOT.rglob("*.py"))
    written = set(re.findall(r'"(listening\.[a-z_]+)"', code))
    assert sorted(written - LOG_TEXTS.keys()) == []


def test_a_line_that_lacks_what_its_sentence_says_has_none() -> None:
    assert log_text("sender.retry_later", {}, CHANNELS) == ""
    assert log_text("something.new", {"channel_id": 7}, CHANNELS) == ""
