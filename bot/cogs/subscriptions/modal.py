"""The form that edits a subscription's options."""

from typing import Any

import discord

from bot.services.subscribe_results import Followed
from bot.speckle.subscription_options import MAX_TYPED, OPTIONS, Entries, Option

MODAL_LIFE_S = 3600.0  # for which discord.py keeps it; it can be sent off later, too


class OptionsModal(discord.ui.Modal):
    """Shows the options as they would be typed; a field left empty is the default."""

    def __init__(self, entry: Followed, custom_id: str) -> None:
        super().__init__(title="What this channel shows", timeout=MODAL_LIFE_S, custom_id=custom_id)
        for option in OPTIONS:
            field = _input(option, option.of(entry.subscription.options))
            self.add_item(
                discord.ui.Label(text=option.label, description=option.hint, component=field)
            )


def _input(option: Option, entries: Entries) -> discord.ui.TextInput[Any]:
    return discord.ui.TextInput(
        custom_id=option.name,
        default=", ".join(entries)[:MAX_TYPED] or None,
        placeholder=option.placeholder,
        required=False,
        max_length=MAX_TYPED,
    )
