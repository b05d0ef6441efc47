"""Forms that are sent off: found by their custom_id, so that they work after a restart too."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import discord
from discord.ext import commands

from bot.cogs.accounts.cog import ACCOUNT_MODALS
from bot.cogs.responses import Interaction, report_failure
from bot.cogs.subscriptions.panel import PANEL_MODALS

if TYPE_CHECKING:
    from bot.discord_api.client import SpeckleBot

Typed = Mapping[str, str]
"""What was typed into each field, by the field's custom_id."""
Submitted = Callable[[Interaction, re.Match[str], Typed], Awaitable[None]]

MODALS: Mapping[re.Pattern[str], Submitted] = {
    re.compile(pattern): submitted
    for pattern, submitted in (*PANEL_MODALS.items(), *ACCOUNT_MODALS.items())
}


class ModalCog(commands.Cog, name="forms"):
    """Hears of every form that is sent off.

    discord.py itself knows those alone that it has opened since it started.
    """

    def __init__(self, bot: "SpeckleBot") -> None:
        self._bot = bot

    @commands.Cog.listener()
    async def on_interaction(self, interaction: Interaction) -> None:
        """Do what the form is for."""
        if interaction.type is not discord.InteractionType.modal_submit:
            return
        data: Any = interaction.data
        for pattern, submitted in MODALS.items():
            match = pattern.fullmatch(data["custom_id"])
            if match is not None:
                try:
                    await submitted(interaction, match, _typed(data["components"]))
                except Exception as error:  # the top: discord.py would only log it
                    await report_failure(interaction, error)


def _typed(components: Any) -> Typed:
    fields = [field for one in components for field in one.get("components", ())]
    fields += [one["component"] for one in components if "component" in one]
    return {field["custom_id"]: field.get("value") or "" for field in fields}
