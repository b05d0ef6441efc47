"""The form that edits a subscription's filters."""

from typing import Any

import discord

from bot.services.outcomes import Entry

MAX_INPUT = 1000  # characters; the same that /subscribe takes
FORM_LIFE_S = 3600.0  # for which discord.py keeps it; it can be sent off later, too

FIELDS = (
    ("events", "Events", "Groups or single events, with commas. Empty: all"),
    ("models", "Models", "Names with * and **, ! leaves out. Empty: all"),
    ("ignore_authors", "Ignored authors", "Whose events to leave out. Empty: nobody's"),
)
PLACEHOLDERS = {
    "events": "versions, comment_created",
    "models": "struct/**, !**/draft*",
    "ignore_authors": "Names or Speckle user ids",
}


class FiltersForm(discord.ui.Modal):
    """Shows the filters as they would be typed; a field left empty filters nothing out."""

    def __init__(self, entry: Entry, custom_id: str) -> None:
        super().__init__(title="What this channel shows", timeout=FORM_LIFE_S, custom_id=custom_id)
        for name, label, hint in FIELDS:
            field = _input(name, getattr(entry.subscription.filters, name))
            self.add_item(discord.ui.Label(text=label, description=hint, component=field))


def _input(name: str, text: tuple[str, ...]) -> discord.ui.TextInput[Any]:
    return discord.ui.TextInput(
        custom_id=name,
        default=", ".join(text)[:MAX_INPUT] or None,
        placeholder=PLACEHOLDERS[name],
        required=False,
        max_length=MAX_INPUT,
    )
