"""The judge of a soak sees what is wrong: else a soak that ends well would say nothing."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from sandbox.discord import ChannelType, SandboxChannel, SandboxMessage, SandboxUser
from sandbox.discord.world import DiscordWorld
from sandbox.soak.oracle import (
    MODELS,
    DeliveryFate,
    DeliveryTag,
    Follow,
    Ledger,
    complaints,
    marks_of,
)

ALL = Follow("log", "A", None)
FIRST_MODEL = Follow("log", "A", MODELS[0], MODELS[:1])
FATES = [
    DeliveryFate.ACKNOWLEDGED,
    DeliveryFate.ACKNOWLEDGED,
    DeliveryFate.LOST,
    DeliveryFate.REFUSED,
    DeliveryFate.ACKNOWLEDGED,
]


def said(*numbers: int, follow: Follow = ALL, fates: Sequence[DeliveryFate] = FATES) -> list[str]:
    """What is complained of where the channel shows these numbers."""
    shown = {"log": [DeliveryTag("A", number) for number in numbers]}
    return [f"{one.what}: {one.numbers}" for one in complaints({"A": fates}, [follow], shown)]


def test_each_acknowledged_delivery_once_and_in_order_is_well() -> None:
    assert said(0, 1, 4) == []


def test_a_delivery_whose_answer_was_lost_may_show_or_not() -> None:
    assert said(0, 1, 2, 4) == []


@pytest.mark.parametrize(
    ("numbers", "what"),
    [
        ((0, 4), "acknowledged but not shown: [1]"),
        ((0, 1), "acknowledged but not shown: [4]"),
        ((0, 1, 1, 4), "shown more than once: [1]"),
        ((0, 1, 4, 0), "shown more than once: [0]"),
        ((0, 1, 2, 2, 4), "shown more than once: [2]"),
        ((1, 0, 4), "shown after a later one: [0]"),
        ((0, 1, 4, 2), "shown after a later one: [2]"),
        ((0, 1, 3, 4), "shown though nobody has to see it: [3]"),
        ((0, 1, 4, 5), "shown though nobody has to see it: [5]"),
    ],
)
def test_what_is_wrong_is_named(numbers: Sequence[int], what: str) -> None:
    assert said(*numbers) == [what]


def test_a_filter_says_what_is_owed_and_what_must_not_show() -> None:
    assert said(0, 4, follow=FIRST_MODEL) == []
    assert said(4, follow=FIRST_MODEL) == ["acknowledged but not shown: [0]"]
    assert said(0, 1, 4, follow=FIRST_MODEL) == ["shown though nobody has to see it: [1]"]


def test_a_project_that_the_channel_does_not_follow_must_not_show() -> None:
    shown = {"log": [DeliveryTag("A", 0), DeliveryTag("B", 7)]}
    (one,) = complaints({"A": FATES[:1]}, [ALL], shown)
    assert str(one) == "#log, 1 of project B though it follows no such project: B000007"


def test_a_complaint_names_the_first_numbers() -> None:
    fates = [DeliveryFate.ACKNOWLEDGED] * 9
    (one,) = complaints({"A": fates}, [ALL], {"log": []})
    first = "A000000, A000001, A000002, A000003, A000004"
    assert str(one) == f"#log, 9 of project A acknowledged but not shown: {first}"


def test_marks_are_read_from_text_and_from_every_embed() -> None:
    world = DiscordWorld("token", lambda *_: None)
    channel = SandboxChannel(1, "log", ChannelType.TEXT, world.directory, None)
    message = SandboxMessage(
        2,
        channel,
        SandboxUser(3, "Speckle", bot=True),
        content="Speckle\nNew version of site\n> A000001",
        embeds=[
            {"title": "New version", "description": "> Beams, A000002 of this soak"},
            {"description": "> B000003", "fields": [{"name": "Version", "value": "A000004"}]},
        ],
        created_at=datetime(2026, 3, 2, 9, tzinfo=UTC),
    )
    assert marks_of(message) == [
        DeliveryTag("A", 1),
        DeliveryTag("A", 2),
        DeliveryTag("B", 3),
        DeliveryTag("A", 4),
    ]


def test_nothing_is_owed_that_is_shown_before_its_202_is_read() -> None:
    ledger = Ledger([ALL])
    ledger.show("log", DeliveryTag("A", 0))
    ledger.acknowledge(DeliveryTag("A", 0))
    ledger.acknowledge(DeliveryTag("A", 1))
    assert ledger.owed == {("log", DeliveryTag("A", 1))}
    ledger.show("log", DeliveryTag("A", 1))
    assert ledger.owed == set()
