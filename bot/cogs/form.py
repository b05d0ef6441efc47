"""The form that edits a subscription's filters."""

from collections.abc import Callable
from typing import Any

import discord

from bot.cogs import wording
from bot.cogs.answers import Interaction, Reply, in_time, redraw, report
from bot.cogs.places import audiences_in, caller_of, find_place, here_of
from bot.cogs.waiting import answer
from bot.services.completion import ALL
from bot.services.outcomes import Entry, Subscribed, SubscribeRequest
from bot.speckle.links import Links

MAX_INPUT = 1000  # characters; the same that /subscribe takes
FORM_LIFE_S = 3600.0


def _input(text: tuple[str, ...], placeholder: str) -> discord.ui.TextInput[Any]:
    return discord.ui.TextInput(
        default=", ".join(text)[:MAX_INPUT] or None,
        placeholder=placeholder,
        required=False,
        max_length=MAX_INPUT,
    )


class FiltersForm(discord.ui.Modal):
    """Shows the filters as they would be typed; a field left empty filters nothing out."""

    def __init__(self, entry: Entry, changed: Callable[[Entry, str], Reply]) -> None:
        super().__init__(title="What this channel shows", timeout=FORM_LIFE_S)
        self._subscription_id = entry.subscription.id
        self._changed = changed
        filters = entry.subscription.filters
        self.events = _input(filters.events, "versions, comment_created")
        self.models = _input(filters.models, "struct/**, !**/draft*")
        self.ignore_authors = _input(filters.ignore_authors, "Names or Speckle user ids")
        for text, hint, item in (
            ("Events", "Groups or single events, with commas. Empty: all", self.events),
            ("Models", "Names with * and **, ! leaves out. Empty: all", self.models),
            ("Ignored authors", "Whose events to leave out. Empty: nobody's", self.ignore_authors),
        ):
            self.add_item(discord.ui.Label(text=text, description=hint, component=item))

    async def on_submit(self, interaction: discord.Interaction[Any]) -> None:
        """Change the filters and show the subscription as it is now."""
        try:
            await redraw(
                interaction, await in_time(interaction, self._edit(interaction), new=False)
            )
        except Exception as error:  # the top: discord.py would only log it
            await report(interaction, error)

    async def _edit(self, interaction: Interaction) -> Reply:
        bot, guild, caller = interaction.client, here_of(interaction), caller_of(interaction)
        entry = await bot.subscriptions.entry(guild.id, caller, self._subscription_id)
        request = SubscribeRequest(
            guild_id=guild.id,
            caller=caller,
            place=await find_place(interaction, entry.subscription.channel_id),
            project=Links(entry.hook.server_url).project(entry.hook.project_id),
            events=self.events.value or ALL,
            models=self.models.value or ALL,
            ignore_authors=self.ignore_authors.value or ALL,
            resume=False,
            audience_of=audiences_in(guild),
        )
        outcome = await bot.subscribing.subscribe(request)
        if not isinstance(outcome, Subscribed):
            return await answer(bot, outcome)
        return self._changed(outcome.entry, wording.edited(outcome))
