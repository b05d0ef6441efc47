"""What a card's pictures show, in words, for people who do not see them."""

from bot.cards.card import Card
from bot.cards.text import seen, shorten_plain

MAX_ALT_TEXT = 1_024
# By the first word of the pictures' names.
SHOWN = {
    "preview": "3D view of the model in this version",
    "screenshot": "Screenshot that came with the comment",
    "issue": "Picture of the issue",
    "file": "Picture that came with the text",
}
OTHERWISE = SHOWN["preview"]  # the one kind that a card may have by its address


def alt_text(card: Card, url: str) -> str:
    """What the picture at this address shows on a card: its author, or what it is about."""
    if url == card.author_icon:
        return shorten_plain(card.author_name or "The author", MAX_ALT_TEXT)
    stem = url.rpartition("/")[2].partition("-")[0]
    shown, about = SHOWN.get(stem, OTHERWISE), seen(card.about)
    return shorten_plain(f"{shown}: {about}" if about else shown, MAX_ALT_TEXT)
