"""/settings: one panel, with a menu or a button for each of a server's settings."""

import re
from enum import StrEnum
from typing import Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.cogs.components import Handlers, chosen_values, form_fields
from bot.cogs.interaction import (
    NOWHERE,
    actor_of,
    find_channel,
    for_members,
    guild_id_of,
)
from bot.cogs.persistent import (
    ButtonLook,
    PersistentButton,
    PersistentChannelSelect,
    view_of,
)
from bot.cogs.refusal_texts import refusal_text
from bot.cogs.responses import Interaction, Response, defer_if_slow, edit_with, respond
from bot.cogs.settings import texts
from bot.cogs.subscriptions.options_modal import OptionsModal
from bot.cogs.subscriptions.subscribe_flow import TOKEN
from bot.pending import PendingSubscribe
from bot.services.guild_settings import GuildSettings, GuildSettingsService
from bot.services.options_form import typed_into
from bot.services.pending_commands import PendingCommandService
from bot.services.refusals import CommandRefused
from bot.speckle.subscription_options import OptionProblem, SubscriptionOptions, TypedOptions

FORM_ID: Final = "settings:filters"


class SettingsAction(StrEnum):
    """What a button of the panel does."""

    NOTICES_OFF = "notices-off"
    AUDIT_OFF = "audit-off"
    EDIT = "edit"
    CLEAR = "clear"


LOOKS: Final = {
    SettingsAction.NOTICES_OFF: ButtonLook("Notices in direct messages"),
    SettingsAction.AUDIT_OFF: ButtonLook("Audit log in no channel"),
    SettingsAction.EDIT: ButtonLook("Edit default filters", discord.ButtonStyle.primary),
    SettingsAction.CLEAR: ButtonLook("No default filters"),
}


class SettingsPanel:
    """The panel and what is pressed, chosen and sent off on it."""

    def __init__(
        self, settings: GuildSettingsService, pending_commands: PendingCommandService
    ) -> None:
        self._settings = settings
        self._pending_commands = pending_commands
        self.handlers: Handlers = {
            f"settings:(?P<action>{'|'.join(SettingsAction)})": self._on_button,
            "settings:(?P<which>notices|audit)": self._on_channel,
            FORM_ID: self._on_form,
            f"settings:again:{TOKEN}": self._on_again,
        }

    async def page(self, interaction: Interaction, note: str | None = None) -> Response:
        """What is set now."""
        guild_id, actor = guild_id_of(interaction), actor_of(interaction)
        settings = await self._settings.settings(guild_id, actor)
        return Response(embed=texts.settings_embed(settings, note), view=_view(settings))

    async def _on_channel(self, interaction: Interaction, match: re.Match[str]) -> None:
        (chosen,) = chosen_values(interaction)

        async def choose() -> Response:
            guild_id, actor = guild_id_of(interaction), actor_of(interaction)
            target = await find_channel(interaction, int(chosen))
            if match["which"] == "notices":
                await self._settings.choose_notice_channel(guild_id, actor, target)
                return await self.page(interaction, texts.notices_chosen(target.channel_id))
            await self._settings.choose_audit_channel(guild_id, actor, target)
            return await self.page(interaction, texts.audit_chosen(target.channel_id))

        await edit_with(interaction, choose())

    async def _on_button(self, interaction: Interaction, match: re.Match[str]) -> None:
        action = SettingsAction(match["action"])
        if action is SettingsAction.EDIT:
            await self._open_form(interaction)
            return
        await edit_with(interaction, self._press(interaction, action))

    async def _press(self, interaction: Interaction, action: SettingsAction) -> Response:
        guild_id, actor = guild_id_of(interaction), actor_of(interaction)
        if action is SettingsAction.NOTICES_OFF:
            await self._settings.choose_notice_channel(guild_id, actor, None)
            return await self.page(interaction, texts.notices_chosen(None))
        if action is SettingsAction.AUDIT_OFF:
            await self._settings.choose_audit_channel(guild_id, actor, None)
            return await self.page(interaction, texts.audit_chosen(None))
        await self._settings.set_default_options(guild_id, actor, None)
        return await self.page(interaction, texts.DEFAULTS_CLEARED)

    # ── the form of the default filters ───────────────────────────────────────────────────────

    async def _open_form(self, interaction: Interaction, typed: TypedOptions | None = None) -> None:
        guild_id, actor = guild_id_of(interaction), actor_of(interaction)
        form = await self._settings.form(guild_id, actor, typed)
        modal = OptionsModal(form, FORM_ID, title=texts.FORM_TITLE)
        await interaction.response.send_modal(modal)

    async def _on_form(self, interaction: Interaction, _match: re.Match[str]) -> None:
        """Keep what was sent off; what cannot be used can be changed in the form again."""
        typed = typed_into(form_fields(interaction))

        async def keep() -> Response:
            guild_id, actor = guild_id_of(interaction), actor_of(interaction)
            await self._settings.set_default_options(guild_id, actor, typed)
            return await self.page(interaction, texts.DEFAULTS_CHANGED)

        try:
            await edit_with(interaction, keep())
        except CommandRefused as refused:
            if not isinstance(refused.refusal, OptionProblem):
                raise
            text = refusal_text(refused.refusal)
            await respond(interaction, await self._refused(interaction, typed, text))

    async def _refused(self, interaction: Interaction, typed: TypedOptions, text: str) -> Response:
        """Why the form changed nothing, with the way back to what was typed into it."""
        token = await self._pending_commands.add(
            PendingSubscribe(
                user_id=interaction.user.id,
                guild_id=guild_id_of(interaction),
                channel_id=interaction.channel_id or NOWHERE,
                server_url="",
                project="",
                options=typed,
            )
        )
        again = PersistentButton(
            label="Edit again",
            style=discord.ButtonStyle.primary,
            custom_id=f"settings:again:{token}",
        )
        return Response(text, view=view_of(again))

    async def _on_again(self, interaction: Interaction, match: re.Match[str]) -> None:
        """Open the form with what was typed into it before it was refused."""
        command = await self._pending_commands.look(interaction.user.id, match["token"])
        await self._open_form(interaction, command.options)


def _view(settings: GuildSettings) -> discord.ui.View:
    view = view_of(
        PersistentChannelSelect("settings:notices", "Choose a channel for notices"),
        PersistentChannelSelect("settings:audit", "Choose a channel for the audit log"),
    )
    has_defaults = settings.default_options != SubscriptionOptions()
    for action, offered in (
        (SettingsAction.EDIT, True),
        (SettingsAction.CLEAR, has_defaults),
        (SettingsAction.NOTICES_OFF, settings.notice_channel_id is not None),
        (SettingsAction.AUDIT_OFF, settings.audit_channel is not None),
    ):
        if offered:
            view.add_item(LOOKS[action].button(f"settings:{action}"))
    return view


class SettingsCog(commands.Cog, name="settings"):
    """Shows the panel, to members who manage the server."""

    def __init__(self, panel: SettingsPanel) -> None:
        self._panel = panel

    @app_commands.command(
        description="Choose the channels for notices and the audit log, and default filters"
    )
    @app_commands.default_permissions(manage_guild=True)
    @for_members
    async def settings(self, interaction: Interaction) -> None:
        """Show what is set."""
        await respond(interaction, await defer_if_slow(interaction, self._panel.page(interaction)))
