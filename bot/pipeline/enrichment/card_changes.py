"""How a card that is out changes when something comes late."""

from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from bot.cards.card import Card, OpenedTopic, Picture
from bot.cards.card_context import CardContext
from bot.cards.pictures import with_image
from bot.cards.render import fill_in, with_addition, with_opened
from bot.pipeline.batching import card_of, fit_together
from bot.work import FallbackLevel, LateAddition, OutboxCard

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a card says of what came later."""

    name: LateAddition
    text: str
    compare_by: str | None = None  # the custom id of a button that shows the same in full


@dataclass(frozen=True, slots=True)
class Opened:
    """What the card of a version says of an issue or a thread that is on it."""

    topic: OpenedTopic
    is_open: bool


Shown = Picture | str | CardContext | Paragraph | Opened | None


def changed(row: OutboxCard, company: Sequence[OutboxCard], *, shown: Shown) -> Card | None:
    """The card with what was missing; None where that changes nothing or has no room.

    A card that goes as plain text stays as it is: by its text its message is known again.
    """
    if shown is None or row.level is FallbackLevel.TEXT:
        return None
    old = card_of(row)
    match shown:
        case CardContext():
            new = fill_in(old, shown)
        case Paragraph(name, text, compare_by):
            new = with_addition(old, name, text, compare_by)
        case Opened(topic, is_open):
            new = with_opened(old, topic, is_open=is_open)
        case _:
            new = with_image(old, shown)
    if new == old:
        return None
    if not fit_together([new, *map(card_of, company)]):
        log.info("late_enrichment.no_room", outbox_id=row.id)
        return None
    return new
