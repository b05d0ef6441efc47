"""Cards with less in them, for what Discord refuses as it is."""

import re
from dataclasses import replace

from bot.cards.card import Card, Field
from bot.cards.text import escape_markdown, shorten

MAX_CONTENT = 2_000  # characters of a message's text
MASKED_LINK = re.compile(r"(?<!\\)\[((?:\\.|[^\]\\\n])*)\]\([^()\s]+\)")


def without_media(card: Card) -> Card:
    """The card without pictures, and without links but its buttons."""
    return replace(
        card,
        title=_unlinked(card.title),
        url=None,
        description=_unlinked(card.description),
        author_icon=None,
        author_url=None,
        fields=tuple(Field(_unlinked(f.name), _unlinked(f.value), f.inline) for f in card.fields),
        image=None,
        thumbnail=None,
        pictures=(),
    )


def as_text(card: Card) -> str:
    """The card as a message's text: what a member would read, and nothing that does something."""
    plain = replace(without_media(card), buttons=())
    return shorten(escape_markdown(plain.plain_text()), MAX_CONTENT)


def _unlinked(markdown: str) -> str:
    return MASKED_LINK.sub(r"\1", markdown)
