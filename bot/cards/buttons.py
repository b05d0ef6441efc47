"""The buttons below a message, of all its cards, in rows."""

from collections.abc import Sequence
from dataclasses import replace

from bot.cards.card import MAX_BUTTON_LABEL, ActionButton, Card, CardButton
from bot.cards.text import seen, shorten_plain, units

MAX_IN_ROW = 5
MAX_ROWS = 5
# Buttons are below all cards of a message; there a short word and the card's name have to do.
SHORT = {"Open in Speckle": "Open"}


def button_rows(cards: Sequence[Card]) -> Sequence[Sequence[CardButton]]:
    """Rows of buttons, those of one card side by side; what has no room is left out.

    Where several cards share a message, each button says whose it is. Discord refuses a message
    with two buttons of one custom id: what two cards offer alike is there once.
    """
    names = [seen(card.about or card.title) for card in cards]
    rows: list[list[CardButton]] = [[]]
    offered = set[str]()
    for index, card in enumerate(cards):
        buttons = tuple(one for one in card.buttons if _is_new(one, offered))
        if len(cards) > 1:
            buttons = tuple(_labelled(button, _owner(names, index)) for button in buttons)
        if len(rows[-1]) + len(buttons) > MAX_IN_ROW:
            rows.append([])
        rows[-1] += buttons[:MAX_IN_ROW]
    return [row for row in rows if row][:MAX_ROWS]


def _is_new(button: CardButton, offered: set[str]) -> bool:
    """Whether no button before was for the same; from then on this one was."""
    if not isinstance(button, ActionButton):
        return True
    is_new = button.custom_id not in offered
    offered.add(button.custom_id)
    return is_new


def _owner(names: Sequence[str], index: int) -> tuple[str, str]:
    """The name of a card in its message, and which it is of those with the same name."""
    same = [other for other, name in enumerate(names) if name == names[index]]
    if len(same) == 1:
        return names[index], ""
    return names[index], f" ({same.index(index) + 1} of {len(same)})"


def _labelled(button: CardButton, owner: tuple[str, str]) -> CardButton:
    name, which = owner
    verb = SHORT.get(button.label, button.label)
    room = MAX_BUTTON_LABEL - units(f"{verb}: {which}")
    return replace(button, label=f"{verb}: {shorten_plain(name, room)}{which}")
