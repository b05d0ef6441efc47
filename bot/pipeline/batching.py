"""Which of the cards that wait for a channel travel together in its next message."""

from collections.abc import Sequence

from bot.cards.card import MAX_TOTAL, Card
from bot.db.rows import CardForm, OutboxRow

# https://discord.com/developers/docs/resources/message#create-message
MAX_EMBEDS = 10
MAX_FILES = 10
MAX_FILES_BYTES = 24 * 1024 * 1024  # Discord takes 25 MiB; the rest is for texts and seams


def card_of(row: OutboxRow) -> Card:
    """The card of a row, with its pictures."""
    return Card.from_json(dict(row.card), row.pictures)


def together(rows: Sequence[OutboxRow], suspects: int) -> int:
    """How many of the oldest waiting rows, at least 1, make the next message.

    `suspects` of them were refused together: half of those go, until the one at fault is alone.
    """
    most = max(1, suspects // 2) if suspects else MAX_EMBEDS
    length = 0
    files: dict[str, int] = {}
    for count, row in enumerate(rows[:most]):
        card = card_of(row)
        length += card.length
        files |= {picture.name: len(picture.content) for picture in card.pictures}
        fits = (
            length <= MAX_TOTAL
            and len(files) <= MAX_FILES
            and sum(files.values()) <= MAX_FILES_BYTES
            and row.form is CardForm.FULL
        )
        if not fits:
            return max(1, count)
    return min(len(rows), most)
