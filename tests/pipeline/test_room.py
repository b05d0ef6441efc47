"""What is filled in later must fit into the message that the card is in."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.cards.card import Card, Field, Picture
from bot.cards.card_context import CardContext
from bot.cards.render import render
from bot.pipeline.batching import MAX_FILES, MAX_FILES_BYTES, fit_together
from bot.pipeline.enrichment.card_changes import Shown, changed
from bot.speckle.facts import VersionFacts
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.work import (
    FallbackLevel,
    OutboxCard,
    OutboxState,
)
from tests.pipeline.deliveries import numbered

AT = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
DELIVERY = parse_delivery(read_envelope(numbered(1).body))
CONTEXT = CardContext(DELIVERY, "https://speckle.studio-kestrel.example", AT)
FACTS = replace(CONTEXT, facts=VersionFacts(object_count=214))
PREVIEW = Picture("preview-0123456789ab.png", "image/png", b"\x89PNG")


def plain_card() -> Card:
    card = render(CONTEXT)
    assert card is not None
    return card


def row(card: Card, form: FallbackLevel = FallbackLevel.FULL) -> OutboxCard:
    return OutboxCard(
        id=1,
        inbox_id=1,
        subscription_id=1,
        guild_id=1,
        channel_id=1,
        card=card.to_json(),
        pictures=card.pictures,
        state=OutboxState.SENT,
        batch_id=1,
        message_id=1,
        created_at=AT,
        sent_at=AT,
        last_error=None,
        level=form,
        gave_up_at=None,
    )


def filled(shown: Shown, company: Sequence[Card], card: Card | None = None) -> Card | None:
    return changed(row(card or plain_card()), [row(one) for one in company], shown=shown)


def test_facts_and_pictures_are_added_to_each_other() -> None:
    first = filled(FACTS, [])
    assert first is not None
    both = filled(PREVIEW, [], first)
    assert both is not None
    assert both.image == f"attachment://{PREVIEW.name}"
    assert both.fields == first.fields
    assert filled(FACTS, [], filled(PREVIEW, [])) == both


def test_the_same_again_changes_nothing() -> None:
    card = filled(PREVIEW, [])
    assert filled(PREVIEW, [], card) is None
    assert filled(None, []) is None


@pytest.mark.parametrize("shown", [FACTS, PREVIEW])
def test_a_card_that_goes_as_text_stays_as_it_is(shown: Shown) -> None:
    assert changed(row(plain_card(), FallbackLevel.TEXT), [], shown=shown) is None


def test_facts_that_bring_the_message_over_its_length_are_left_out() -> None:
    card = plain_card()
    long = replace(card, description="x" * (6_000 - 2 * card.length + len(card.description)))
    assert fit_together([card, long])
    assert filled(FACTS, [long]) is None
    assert filled(PREVIEW, [long]) is not None


def test_a_picture_that_is_one_file_too_many_is_left_out() -> None:
    pictures = tuple(Picture(f"{n}.png", "image/png", b"") for n in range(MAX_FILES))
    full = replace(plain_card(), fields=(Field("a", "b"),), pictures=pictures)
    assert filled(PREVIEW, [full]) is None
    assert filled(FACTS, [full]) is not None
    with_the_same = replace(full, pictures=(*pictures[1:], PREVIEW))
    assert filled(PREVIEW, [with_the_same]) is not None


def test_a_picture_that_makes_the_message_too_heavy_is_left_out() -> None:
    heavy = Picture("screenshot.png", "image/png", bytes(MAX_FILES_BYTES - 3))
    assert filled(PREVIEW, [replace(plain_card(), pictures=(heavy,))]) is None


def test_another_picture_takes_the_place_of_the_one_before() -> None:
    before = filled(PREVIEW, [])
    later = Picture("preview-ba9876543210.png", "image/png", b"\x89PNG2")
    after = filled(later, [], before)
    assert after is not None
    assert after.pictures == (later,)
