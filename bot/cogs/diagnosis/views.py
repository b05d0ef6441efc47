"""/test and /doctor: what is looked at or sent, and what is pressed below the findings.

Each button carries the subscription that it is about, and each press asks again who may do what.
"""

import re
from collections.abc import Callable, Coroutine, Mapping
from enum import StrEnum
from typing import Any, TypeAlias

import discord

from bot.cogs.accounts.views import AccountViews
from bot.cogs.components import Handlers
from bot.cogs.diagnosis.doctor_texts import (
    Remedy,
    diagnosis_embed,
    elsewhere_text,
    findings,
)
from bot.cogs.diagnosis.sample_texts import report_embed
from bot.cogs.interaction import actor_of, find_channel, guild_id_of
from bot.cogs.persistent import ButtonLook, PersistentButton, view_of
from bot.cogs.responses import Interaction, Response, defer_if_slow, edit_with, respond
from bot.cogs.subscriptions.panel import ListScope, PanelAction, action_button
from bot.cogs.webhooks.texts import webhook_text
from bot.services.doctor import DoctorService
from bot.services.samples import SampleService
from bot.services.subscribe_results import MadeSetUp
from bot.services.subscriptions import SubscriptionService


class CheckAction(StrEnum):
    """What a button below a diagnosis or a test does."""

    LOOK = "look"
    REPAIR = "repair"
    LINK = "link"
    TEST = "test"


LOOKS: Mapping[CheckAction, ButtonLook] = {
    CheckAction.LOOK: ButtonLook("Look again"),
    CheckAction.REPAIR: ButtonLook("Repair the webhook", discord.ButtonStyle.primary),
    CheckAction.LINK: ButtonLook("Link my account", discord.ButtonStyle.primary),
    CheckAction.TEST: ButtonLook("Test"),
}
PANEL_REMEDIES: Mapping[Remedy, PanelAction] = {
    Remedy.RESUME: PanelAction.RESUME,
    Remedy.SETUP: PanelAction.SETUP,
    Remedy.SETUP_AGAIN: PanelAction.SETUP_AGAIN,
}
"""What the panel of /subscriptions does as well, with the very same button."""


Page: TypeAlias = Callable[[Interaction, int], Coroutine[Any, Any, Response]]
"""Gives what is shown about a subscription in place of the message that the button is on."""


class DiagnosisViews:
    """The answers of /test and /doctor, and their buttons."""

    def __init__(
        self,
        subscriptions: SubscriptionService,
        doctor: DoctorService,
        samples: SampleService,
        accounts: AccountViews,
    ) -> None:
        self._subscriptions = subscriptions
        self._doctor = doctor
        self._samples = samples
        self._accounts = accounts
        action = f"(?P<action>{'|'.join(CheckAction)})"
        self.handlers: Handlers = {f"check:{action}:(?P<id>[0-9]{{1,18}})": self._on_action}
        self._pages: Mapping[CheckAction, Page] = {
            CheckAction.LOOK: self.examine,
            CheckAction.REPAIR: self._repair,
            CheckAction.LINK: self._link,
        }

    async def test_page(self, interaction: Interaction, project: str | None) -> Response:
        """Send samples to this channel, and say how that went."""
        channel_id = interaction.channel_id or 0
        entry = await self._samples.entry_to_test(
            guild_id_of(interaction), actor_of(interaction), channel_id, project
        )
        return await self._test(interaction, entry.subscription.id)

    async def doctor_page(self, interaction: Interaction, project: str | None) -> Response:
        """Look at all that a project's events need."""
        channel_id = interaction.channel_id or 0
        entry = await self._doctor.entry_to_examine(
            guild_id_of(interaction), actor_of(interaction), channel_id, project
        )
        there = entry.subscription.channel_id
        note = None if there == channel_id else elsewhere_text(channel_id, there)
        return await self.examine(interaction, entry.subscription.id, note)

    async def examine(
        self, interaction: Interaction, subscription_id: int, note: str | None = None
    ) -> Response:
        """The findings about one subscription, below a note, such as what was just done."""
        diagnosis = await self._doctor.examine(
            guild_id_of(interaction),
            actor_of(interaction),
            subscription_id,
            lambda channel_id: find_channel(interaction, channel_id),
        )
        found = findings(diagnosis)
        remedies = dict.fromkeys(one.remedy for one in found if one.remedy is not None)
        view = view_of(
            *(_remedy_button(one, subscription_id) for one in remedies),
            _button(CheckAction.LOOK, subscription_id),
            _button(CheckAction.TEST, subscription_id),
        )
        return Response(embed=diagnosis_embed(diagnosis, found, note), view=view)

    async def _test(self, interaction: Interaction, subscription_id: int) -> Response:
        guild_id, actor = guild_id_of(interaction), actor_of(interaction)
        entry = await self._subscriptions.entry(guild_id, actor, subscription_id)
        target = await find_channel(interaction, entry.subscription.channel_id)
        report = await self._samples.test(guild_id, actor, target, subscription_id)
        return Response(embed=report_embed(report))

    # ── what is pressed ───────────────────────────────────────────────────────────────────────

    async def _on_action(self, interaction: Interaction, match: re.Match[str]) -> None:
        action, subscription_id = CheckAction(match["action"]), int(match["id"])
        if action is CheckAction.TEST:
            work = self._test(interaction, subscription_id)
            await respond(interaction, await defer_if_slow(interaction, work))
        else:
            await edit_with(interaction, self._pages[action](interaction, subscription_id))

    async def _repair(self, interaction: Interaction, subscription_id: int) -> Response:
        """Have the webhook as it should be, as *Show set-up* does, and look again."""
        setup = await self._subscriptions.setups.show(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        note = webhook_text(setup.entry.hook, setup.webhook) if isinstance(setup, MadeSetUp) else ""
        return await self.examine(interaction, subscription_id, note or None)

    async def _link(self, interaction: Interaction, subscription_id: int) -> Response:
        entry = await self._subscriptions.entry(
            guild_id_of(interaction), actor_of(interaction), subscription_id
        )
        return await self._accounts.link_page(interaction, entry.hook.server_url)


def _button(action: CheckAction, subscription_id: int) -> PersistentButton:
    return LOOKS[action].button(f"check:{action}:{subscription_id}")


def _remedy_button(remedy: Remedy, subscription_id: int) -> PersistentButton:
    if remedy in PANEL_REMEDIES:
        return action_button(PANEL_REMEDIES[remedy], subscription_id, ListScope())
    return _button(CheckAction(remedy), subscription_id)
