"""Buttons, selects and forms, found by their custom_id, so that they work after a restart too."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from discord.ext import commands

from bot.cogs.command_errors import answer_error
from bot.cogs.responses import Interaction

Handler: TypeAlias = Callable[[Interaction, re.Match[str]], Awaitable[None]]
Handlers: TypeAlias = Mapping[str, Handler]
"""What to do, by the pattern of the custom_id."""


class ComponentsCog(commands.Cog, name="components"):
    """Hears of everything that is pressed, chosen or sent off.

    discord.py itself knows those alone that it has shown since it started.
    """

    def __init__(self, handlers: Handlers) -> None:
        self.handlers = {re.compile(pattern): handle for pattern, handle in handlers.items()}

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Do what the component is for."""
        data: Any = interaction.data or {}
        custom_id = data.get("custom_id")
        if custom_id is None:
            return
        for pattern, handle in self.handlers.items():
            match = pattern.fullmatch(custom_id)
            if match is not None:
                try:
                    await handle(interaction, match)
                except Exception as error:  # the top: discord.py would only log it
                    await answer_error(interaction, error)


def chosen_values(interaction: Interaction) -> Sequence[str]:
    """What was chosen in a select."""
    data: Any = interaction.data
    values: Sequence[str] = data["values"]
    return values


def form_values(interaction: Interaction) -> Mapping[str, str]:
    """What was typed into each text field of a form, by the field's custom_id."""
    fields = form_fields(interaction).items()
    return {name: value for name, value in fields if isinstance(value, str)}


def form_fields(interaction: Interaction) -> Mapping[str, str | Sequence[str]]:
    """What was typed, or chosen, in each field of a form, by the field's custom_id."""
    data: Any = interaction.data
    components = data["components"]
    fields = [field for one in components for field in one.get("components", ())]
    fields += [one["component"] for one in components if "component" in one]
    return {
        field["custom_id"]: tuple(field["values"])
        if "values" in field
        else field.get("value") or ""
        for field in fields
    }
