"""The form of *Edit*, of Discord's checkboxes, select menus and text fields."""

from collections.abc import Sequence
from typing import Any

import discord

from bot.services.options_form import MAX_OPTIONS, MAX_TEXT, FormOption, OptionsForm
from bot.speckle.event_names import described_group
from bot.speckle.events import EventGroup
from bot.speckle.subscription_options import OPTIONS, Option

MODAL_LIFE_S = 3600.0  # for which discord.py keeps it; it can be sent off later, too
MAX_HINT = 100  # characters: Discord's limit
OTHERS_HINT = "Names and patterns with * and **, in addition to those above. ! leaves out."


class OptionsModal(discord.ui.Modal):
    """Shows what is set; what is left as it is stays so."""

    def __init__(
        self, form: OptionsForm, custom_id: str, title: str = "What this channel shows"
    ) -> None:
        super().__init__(title=title, timeout=MODAL_LIFE_S, custom_id=custom_id)
        _, models, authors = OPTIONS
        self._add("Events", "Groups of events. All of them: every event.", _groups(form.groups))
        kinds = _select("kinds", form.kinds, "Choose single events")
        self._add("Single events", "In addition to the groups above.", kinds)
        if form.picked:
            picked = _select("picked", form.picked, "Choose models")
            self._add("Models", _models_hint(form), picked)
            self._add("Other models", OTHERS_HINT, _text(models, form.models))
        else:
            self._add(models.label, models.hint, _text(models, form.models))
        if form.people:
            self._add(authors.label, authors.hint, _select("people", form.people, "Choose people"))
        else:
            self._add(authors.label, authors.hint, _text(authors, form.ignore_authors))

    def _add(self, label: str, hint: str, field: discord.ui.Item[Any]) -> None:
        self.add_item(discord.ui.Label(text=label, description=hint[:MAX_HINT], component=field))


def _models_hint(form: OptionsForm) -> str:
    if form.total <= MAX_OPTIONS:
        return "None chosen here and nothing typed below: all models."
    return (
        f"{len(form.picked)} of {form.total} models; type others below. Nothing at all: all models."
    )


def _groups(options: Sequence[FormOption]) -> discord.ui.CheckboxGroup[Any]:
    boxes = [
        discord.CheckboxGroupOption(
            label=option.label,
            value=option.value,
            description=described_group(EventGroup(option.value))[:MAX_HINT],
            default=option.chosen,
        )
        for option in options
    ]
    return discord.ui.CheckboxGroup(
        custom_id="groups", required=False, min_values=0, max_values=len(boxes), options=boxes
    )


def _select(
    custom_id: str, options: Sequence[FormOption], placeholder: str
) -> discord.ui.Select[Any]:
    return discord.ui.Select(
        custom_id=custom_id,
        placeholder=placeholder,
        required=False,
        min_values=0,
        max_values=len(options),
        options=[
            discord.SelectOption(label=one.label, value=one.value, default=one.chosen)
            for one in options
        ],
    )


def _text(option: Option, text: str) -> discord.ui.TextInput[Any]:
    return discord.ui.TextInput(
        custom_id=option.name,
        default=text[:MAX_TEXT] or None,
        placeholder=option.placeholder,
        required=False,
        max_length=MAX_TEXT,
    )
