"""The buttons below a message, of all its cards, in rows."""

from collections.abc import Sequence
from dataclasses import replace

from bot.cards.card import MAX_BUTTON_LABEL, Card, LinkButton
from bot.cards.text import seen, shorten_plain, units

MAX_IN_ROW = 5
MAX_ROWS = 5
# Buttons are below all cards of a message; there a short word and the card's name have to do.
SHORT = {"Open in Speckle": "Open", "Compare with the one before": "Compare"}


def button_rows(cards: Sequence[Card]) -> Sequence[Sequence[LinkButton]]:
    """Rows of buttons, those of one card side by side; what has no room is left out.

    Where several cards share a message, each button says whose it is.
    """
    names = [seen(card.about or card.title) for card in cards]
    rows: list[list[LinkButton]] = [[]]
    for index, card in enumerate(cards):
        buttons = card.buttons
        if len(cards) > 1:
            buttons = tuple(_labelled(button, _owner(names, index)) for button in buttons)
        if len(rows[-1]) + len(buttons) > MAX_IN_ROW:
            rows.append([])
        rows[-1] += buttons[:MAX_IN_ROW]
    return [row for row in rows if row][:MAX_ROWS]


def _owner(names: Sequence[str], index: int) -> tuple[str, str]:
    """The name of a card in its message, and which it is of those with the same name."""
    same = [other for other, name in enumerate(names) if name == names[index]]
    if len(same) == 1:
        return names[index], ""
    return names[index], f" ({same.index(index) + 1} of {len(same)})"


def _labelled(button: LinkButton, owner: tuple[str, str]) -> LinkButton:
    name, which = owner
    verb = SHORT.get(button.label, button.label)
    room = MAX_BUTTON_LABEL - units(f"{verb}: {which}")
    return replace(button, label=f"{verb}: {shorten_plain(name, room)}{which}")
