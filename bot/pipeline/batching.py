"""Which of the cards that wait for a channel travel together in its next message."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from bot.cards.card import MAX_TOTAL, Card
from bot.work import FallbackLevel, OutboxCard

# https://discord.com/developers/docs/resources/message#create-message
MAX_EMBEDS = 10
MAX_FILES = 10
MAX_FILES_BYTES = 24 * 1024 * 1024  # Discord takes 25 MiB; the rest is for texts and seams


def card_of(row: OutboxCard) -> Card:
    """The card of a row, with its pictures."""
    return Card.from_json(dict(row.card), row.pictures)


def together(rows: Sequence[OutboxCard], suspects: int) -> int:
    """How many of the oldest waiting rows, at least 1, make the next message.

    `suspects` of them were refused together: half of those go, until the one at fault is alone.
    """
    most = max(1, suspects // 2) if suspects else MAX_EMBEDS
    load = Load()
    for count, row in enumerate(rows[:most]):
        load.add(card_of(row))
        if not load.fits or row.level is not FallbackLevel.FULL:
            return max(1, count)
    return min(len(rows), most)


def fit_together(cards: Iterable[Card]) -> bool:
    """Whether one message can hold these cards."""
    load = Load()
    for card in cards:
        load.add(card)
    return load.fits


def has_room(cards: Sequence[Card]) -> bool:
    """Whether a message with these cards could hold another one like its last."""
    return len(cards) < MAX_EMBEDS and fit_together([*cards, cards[-1]])


@dataclass(slots=True)
class Load:
    """What a message's cards come to; a picture of several cards is one file."""

    length: int = 0
    files: dict[str, int] = field(default_factory=dict)

    def add(self, card: Card) -> None:
        """One card more."""
        self.length += card.length
        self.files |= {picture.name: len(picture.content) for picture in card.pictures}

    @property
    def fits(self) -> bool:
        """Whether Discord takes so much in one message."""
        return (
            self.length <= MAX_TOTAL
            and len(self.files) <= MAX_FILES
            and sum(self.files.values()) <= MAX_FILES_BYTES
        )
