"""The button that compares a version with an earlier one, on cards and in answers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from bot.cards.card import ActionButton, CardButton
from bot.speckle.links import ID, server_key

LABEL: Final = "Compare"
PREFIX: Final = "compare:with"


def compare_id(
    server_url: str, project_id: str, version_id: str, before_id: str | None = None
) -> str | None:
    """Its custom id, which outlives the code; None for ids of a form that is not known.

    `before_id` is the version to compare with, None for the one right before.
    """
    ids = [project_id, version_id, *([before_id] if before_id else ())]
    if not all(ID.fullmatch(one) for one in ids):
        return None
    return ":".join((PREFIX, server_key(server_url), *ids))


def comparing(buttons: Sequence[CardButton], custom_id: str) -> tuple[CardButton, ...]:
    """A card's buttons, with the one that compares doing so by this custom id."""
    return tuple(
        replace(one, custom_id=custom_id)
        if isinstance(one, ActionButton) and one.custom_id.startswith(PREFIX)
        else one
        for one in buttons
    )
