"""/audit, and the buttons that turn its pages."""

import re
from datetime import UTC, datetime
from typing import Final

import discord
from discord import app_commands
from discord.ext import commands

from bot.audit import AuditFilter
from bot.cogs.audit import texts
from bot.cogs.components import Handlers
from bot.cogs.interaction import Picked, actor_of, for_members, guild_id_of
from bot.cogs.persistent import PersistentButton, view_of
from bot.cogs.responses import Interaction, Response, defer_if_slow, edit_with, respond
from bot.services.audit import AuditPage, AuditService

NONE: Final = 0  # in a custom id: no person, no channel, no time, no page before
ID: Final = r"[0-9]{1,18}|[1-8][0-9]{18}"  # below 2 ** 63, which a database takes
SECONDS: Final = r"[0-9]{1,10}"
SINCE: Final = [
    app_commands.Choice(name=name, value=hours)
    for name, hours in (
        ("Last hour", 1),
        ("Last 24 hours", 24),
        ("Last 7 days", 7 * 24),
        ("Last 30 days", 30 * 24),
        ("Last 365 days", 365 * 24),
    )
]


class AuditPages:
    """The pages of the audit log, and what turns them."""

    def __init__(self, audit: AuditService) -> None:
        self._audit = audit
        pattern = f"audit:page:({ID}):({ID}):({ID}):({SECONDS})"
        self.handlers: Handlers = {pattern: self._on_page}

    async def page(self, interaction: Interaction, wanted: AuditFilter) -> Response:
        """Some changes of the server that the interaction came from."""
        page = await self._audit.page(guild_id_of(interaction), actor_of(interaction), wanted)
        if not page.entries:
            return Response(texts.NOTHING)
        return Response(embed=texts.page_embed(page), view=view_of(*_buttons(page)))

    async def _on_page(self, interaction: Interaction, match: re.Match[str]) -> None:
        before, person, channel, since = (int(text) for text in match.groups())
        wanted = AuditFilter(
            user_id=person or None,
            channel_id=channel or None,
            since=datetime.fromtimestamp(since, UTC) if since else None,
            before_id=before or None,
        )
        await edit_with(interaction, self.page(interaction, wanted))


def _buttons(page: AuditPage) -> list[PersistentButton | None]:
    wanted = page.wanted
    newest = _button("Newest", wanted, NONE) if wanted.before_id is not None else None
    older = _button("Older", wanted, page.entries[-1].entry.id) if page.older else None
    return [newest, older]


def _button(label: str, wanted: AuditFilter, before: int) -> PersistentButton:
    since = NONE if wanted.since is None else int(wanted.since.timestamp())
    ids = (before, wanted.user_id or NONE, wanted.channel_id or NONE, since)
    return PersistentButton(label=label, custom_id=f"audit:page:{':'.join(map(str, ids))}")


class AuditCog(commands.Cog, name="audit"):
    """Shows who changed what, to members who manage the server.

    Discord knows no "one of these permissions": others who may read its own audit log are let in
    where an admin opens the command for them.
    """

    def __init__(self, pages: AuditPages, audit: AuditService) -> None:
        self._pages = pages
        self._audit = audit

    @app_commands.command(description="Who changed what here: subscriptions, filters, webhooks")
    @app_commands.describe(
        person="Only what this person changed",
        since="Only what was changed since then",
        channel="Only what concerns this channel",
    )
    @app_commands.choices(since=SINCE)
    @app_commands.default_permissions(manage_guild=True)
    @for_members
    async def audit(
        self,
        interaction: Interaction,
        person: discord.User | None = None,
        since: app_commands.Choice[int] | None = None,
        channel: Picked | None = None,
    ) -> None:
        """Show the newest changes."""
        wanted = AuditFilter(
            user_id=None if person is None else person.id,
            channel_id=None if channel is None else channel.id,
            since=None if since is None else self._audit.ago(since.value),
        )
        work = self._pages.page(interaction, wanted)
        await respond(interaction, await defer_if_slow(interaction, work))
