"""Gives each cog the services that it uses, and the client its cogs."""

import asyncio
from collections.abc import Sequence

from discord import app_commands
from discord.ext import commands

from bot.cogs.accounts.cog import AccountsCog
from bot.cogs.accounts.views import AccountViews
from bot.cogs.audit.cog import AuditCog, AuditPages
from bot.cogs.card_menu.cog import CardMenu, CardMenuCog
from bot.cogs.command_errors import handle_errors
from bot.cogs.components import ComponentsCog, Handlers
from bot.cogs.diagnosis.cog import DiagnosisCog
from bot.cogs.diagnosis.views import DiagnosisViews
from bot.cogs.events.cog import EventPages, EventsCog
from bot.cogs.guilds.cog import GuildsCog
from bot.cogs.help.cog import HelpCog
from bot.cogs.notices.views import NoticeActions
from bot.cogs.settings.cog import SettingsCog, SettingsPanel
from bot.cogs.status.cog import StatusCog
from bot.cogs.subscriptions.cog import SubscribeCog, SubscriptionsCog
from bot.cogs.subscriptions.panel import SubscriptionPanel
from bot.cogs.subscriptions.subscribe_flow import SubscribeFlow
from bot.cogs.versions.cog import VersionsCog
from bot.cogs.versions.compare_pages import ComparePages
from bot.cogs.versions.pages import VersionPages
from bot.services.audit import AuditService
from bot.services.card_filters import CardFilters
from bot.services.doctor import DoctorService
from bot.services.event_log import EventLogService
from bot.services.guild_settings import GuildSettingsService
from bot.services.guild_status import GuildStatusService
from bot.services.guilds import GuildService
from bot.services.linking import AccountLinking
from bot.services.pending_commands import PendingCommandService
from bot.services.personal_data import PersonalDataService
from bot.services.samples import SampleService
from bot.services.subscriptions import SubscriptionService
from bot.services.token_lending import TokenLender
from bot.services.version_comparison import VersionComparison
from bot.services.version_lookup import VersionLookup


async def add_cogs(
    client: commands.Bot,
    subscriptions: SubscriptionService,
    pending_commands: PendingCommandService,
    guilds: GuildService,
    guild_settings: GuildSettingsService,
    lender: TokenLender,
    linking: AccountLinking,
    personal_data: PersonalDataService,
    doctor: DoctorService,
    samples: SampleService,
    card_filters: CardFilters,
    event_log: EventLogService,
    audit: AuditService,
    status: GuildStatusService,
    versions: VersionLookup,
    comparison: VersionComparison,
    guilds_known: asyncio.Event,
    contact: str = "",  # how people reach the person who runs the bot
) -> SubscribeFlow:
    """Add all commands and what answers buttons and forms; gives what runs /subscribe."""
    account_views = AccountViews(lender, linking, personal_data, contact)
    flow = SubscribeFlow(client, subscriptions, pending_commands, account_views)
    panel = SubscriptionPanel(subscriptions, flow, pending_commands)
    notices = NoticeActions(subscriptions, flow)
    settings_panel = SettingsPanel(guild_settings, pending_commands)
    diagnosis = DiagnosisViews(subscriptions, doctor, samples, account_views)
    card_menu = CardMenu(card_filters, pending_commands, flow)
    event_pages, audit_pages = EventPages(event_log), AuditPages(audit)
    version_pages = VersionPages(versions)
    compare_pages = ComparePages(comparison, version_pages)
    events, card_menu_cog = EventsCog(event_pages, event_log), CardMenuCog(card_menu)
    handlers = _together(
        flow.handlers, panel.handlers, notices.handlers, diagnosis.handlers,
        event_pages.handlers, version_pages.handlers, compare_pages.handlers, audit_pages.handlers,
        settings_panel.handlers, card_menu.handlers, account_views.handlers,
    )  # fmt: skip
    cogs: Sequence[commands.Cog] = (
        SubscribeCog(subscriptions, flow),
        SubscriptionsCog(panel),
        DiagnosisCog(subscriptions, diagnosis),
        events,
        VersionsCog(version_pages, compare_pages, versions),
        StatusCog(status, contact),
        card_menu_cog,
        SettingsCog(settings_panel),
        AuditCog(audit_pages, audit),
        AccountsCog(lender, linking, account_views),
        GuildsCog(guilds, guilds_known),
        HelpCog(client.tree, contact),
        ComponentsCog(handlers),
    )
    await _add(client, cogs, (events.menu, *card_menu_cog.menus))
    return flow


def _together(*parts: Handlers) -> Handlers:
    return {pattern: handle for part in parts for pattern, handle in part.items()}


async def _add(
    client: commands.Bot,
    cogs: Sequence[commands.Cog],
    menus: Sequence[app_commands.ContextMenu],
) -> None:
    for cog in cogs:
        await client.add_cog(cog)
    for menu in menus:
        client.tree.add_command(menu)
    handle_errors(client.tree)
