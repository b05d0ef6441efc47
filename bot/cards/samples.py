"""A card that someone asked for to try a channel: marked, and without the pages of its event."""

from dataclasses import replace

from bot.cards.card import Card, fit

MARK = "Test: "


def as_test(card: Card, project_url: str) -> Card:
    """The card of an event that never happened: its title leads to the project instead."""
    return fit(replace(card, title=f"{MARK}{card.title}", url=project_url, buttons=()))
