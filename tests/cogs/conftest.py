"""The real client against the sandbox Discord, over real sockets and a real SQLite file."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import discord
import pytest
from discord.gateway import DiscordWebSocket

from bot.cogs.build import add_cogs
from bot.cogs.subscriptions.subscribe_flow import SubscribeFlow
from bot.discord_api.channel_audience import DiscordChannelAudience
from bot.discord_api.client import ConnectionTimings, SpeckleBot, use_api
from bot.discord_api.rate_limits import RateLimiter
from bot.pipeline.access import AccessCheck
from bot.problems import NotReady
from bot.services.audit import AuditService
from bot.services.card_filters import CardFilters
from bot.services.comparing import Comparing
from bot.services.doctor import DoctorService
from bot.services.event_log import EventLogService
from bot.services.former_addresses import FormerAddresses
from bot.services.guild_settings import GuildSettingsService
from bot.services.guild_status import GuildStatusService
from bot.services.guilds import GuildService
from bot.services.known_trouble import KnownTrouble, TroubleLimits
from bot.services.message_cards import MessageCards
from bot.services.pending_commands import PendingCommandService
from bot.services.project_input import ProjectInput
from bot.services.project_reading import ProjectReading
from bot.services.readiness import Readiness
from bot.services.version_comparison import VersionComparison
from bot.services.version_lookup import VersionLookup
from bot.services.webhook_looks import WebhookLooks
from bot.speckle_api.comparisons import Comparisons
from bot.speckle_api.http import SpeckleHttp
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import Previews
from bot.speckle_api.sign_in import SpeckleSignIn
from bot.speckle_api.version_pictures import VersionPictures
from bot.storage import Storage
from sandbox.discord import (
    InteractionView,
    Sandbox,
    SandboxChannel,
    SandboxGuild,
    SandboxMember,
    SandboxMessage,
)
from tests.openapi_contract import available, complaints
from tests.services.conftest import (
    CLOUD,
    OWN_SERVER,
    TOWER,
    Clock,
    Services,
    clock,
    services_over,
    storage,
    without_quotas,
)

__all__ = ["clock", "storage"]

READY_WITHIN_S = 15.0
AMPLE = TroubleLimits(free_disk_bytes=0)
BY_HAND = "Set it up by hand"
SHOW = "Show it there"
BUTTON, SELECT = 2, 3  # component types
# Discord's own 3 s are not for tests that share a machine; how early the bot answers has its own.
BUSY_MACHINE_S = 15.0


@pytest.fixture
async def sandbox(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Sandbox]:
    monkeypatch.setattr(discord.http.Route, "BASE", discord.http.Route.BASE)
    monkeypatch.setattr(DiscordWebSocket, "DEFAULT_GATEWAY", DiscordWebSocket.DEFAULT_GATEWAY)
    async with Sandbox.start(first_answer_s=BUSY_MACHINE_S) as running:
        yield running
        if available():
            assert complaints(running.requests) == []


class ClientWithServices(SpeckleBot):
    """The client, the services that its cogs were given, and what runs /subscribe."""

    services: Services
    flow: SubscribeFlow
    not_ready: list[NotReady]
    silent: dict[str, str]  # Speckle servers that do not answer
    known_trouble: KnownTrouble


async def client_over(
    storage: Storage, clock: Clock, services: Services, contact: str = "", http: Any = None
) -> ClientWithServices:
    """A client with all cogs, not logged in."""
    guilds = GuildService(storage, clock)
    client = ClientWithServices(
        RateLimiter(45),
        load=lambda key: storage.read(lambda tx: tx.key_values.get(key)),
        save=lambda key, value: storage.write(lambda tx: tx.key_values.set(key, value)),
        on_guilds=guilds.reconcile,
        timings=ConnectionTimings(guilds_apart_s=0.1),
    )
    client.services = services
    readiness = Readiness(storage, lambda: client.not_ready)
    client.not_ready, client.silent = [], {}
    client.known_trouble = KnownTrouble(storage, readiness, lambda: client.silent, clock, AMPLE)
    pending = PendingCommandService(storage)
    watch = DiscordChannelAudience(client, known_s=60.0)
    access = AccessCheck(storage, services.client, services.lender, watch, clock)
    looks = WebhookLooks(services.webhooks, services.lender, access.decide_and_record)
    client.flow = await add_cogs(
        client,
        services.subscriptions,
        pending,
        guilds,
        GuildSettingsService(storage, without_quotas(storage, clock)),
        services.lender,
        services.linking,
        services.personal_data,
        doctor_over(storage, services, looks),
        services.samples,
        CardFilters(storage, MessageCards(storage), services.subscriptions, pending),
        EventLogService(
            storage,
            access.decide_and_record,
            looks,
            speckle_servers=(CLOUD, OWN_SERVER),
            has_public_url=True,
            now=clock,
        ),
        AuditService(storage, clock),
        GuildStatusService(storage, lambda: client.known_trouble, clock),
        *versions_over(storage, clock, services, access, http),
        client.ready_once,
        contact,
    )
    return client


def versions_over(
    storage: Storage, clock: Clock, services: Services, access: AccessCheck, http: Any
) -> tuple[VersionLookup, VersionComparison]:
    """What /latest, /versions and /compare ask with."""
    search, servers = services.search, services.servers
    reading = ProjectReading(
        storage,
        services.lender,
        search,
        ProjectInput(search, FormerAddresses(services.client, servers, asks=False), servers),
        access.decide_and_record,
        servers=servers,
    )
    comparing = Comparing(reading, Comparisons(http))
    counts, pictures = ObjectCounts(http), VersionPictures(Previews(http))
    client = services.client
    lookup = VersionLookup(reading, client, counts, pictures, comparing, now=clock)
    return lookup, VersionComparison(reading, lookup, client, pictures, comparing)


def doctor_over(storage: Storage, services: Services, looks: WebhookLooks) -> DoctorService:
    """What /doctor looks with; nothing is wrong with the bot itself."""

    async def nothing_wrong() -> list[NotReady]:
        return []

    return DoctorService(
        storage,
        services.subscriptions,
        services.webhooks,
        looks,
        services.pages,
        services.quotas,
        services.refused,
        nothing_wrong,
    )


RunClient = Callable[..., AbstractAsyncContextManager[ClientWithServices]]


@pytest.fixture
def run_client(sandbox: Sandbox, storage: Storage, clock: Clock) -> RunClient:
    """Starts the bot's client; each block is one start of the bot over the same database."""

    @asynccontextmanager
    async def running(contact: str = "", **settings: Any) -> AsyncIterator[ClientWithServices]:
        use_api(sandbox.api_url)
        async with AsyncExitStack() as stack:
            servers = settings.get("speckle_servers", (CLOUD, OWN_SERVER))
            http = await stack.enter_async_context(SpeckleHttp.open(servers))
            services = services_over(storage, clock, oauth=SpeckleSignIn(http), **settings)
            stack.callback(services.client.close)
            bot = await client_over(storage, clock, services, contact, http)
            await stack.enter_async_context(bot)
            await bot.login(sandbox.token)
            connection = asyncio.create_task(bot.connect(), name="gateway")
            try:
                async with asyncio.timeout(READY_WITHIN_S):
                    await bot.ready_once.wait()
                yield bot
            finally:
                await bot.close()
                await connection

    return running


def text_of(answer: InteractionView) -> str:
    """Everything that an answer shows."""
    parts = [answer.content or ""]
    for embed in answer.embeds:
        parts += [embed.get("title", ""), embed.get("description", "")]
        parts += [f"{field['name']}\n{field['value']}" for field in embed.get("fields", ())]
        parts.append(embed.get("footer", {}).get("text", ""))
    return "\n".join(part for part in parts if part)


def labels_of(answer: InteractionView) -> list[str]:
    """The buttons under an answer, in order."""
    components = [part for row in answer.components for part in row["components"]]
    return [part["label"] for part in components if part["type"] == BUTTON]


def options_of(answer: InteractionView) -> dict[str, str]:
    """What the select under an answer offers: label → value."""
    components = [part for row in answer.components for part in row["components"]]
    return {o["label"]: o["value"] for c in components if c["type"] == SELECT for o in c["options"]}


@dataclass(frozen=True)
class Studio:
    """A guild with its channels and people, and what these type and press."""

    sandbox: Sandbox
    guild: SandboxGuild
    structure: SandboxChannel
    facade: SandboxChannel
    maren: SandboxMember  # manages webhooks everywhere
    tobias: SandboxMember  # manages none

    async def type(
        self,
        name: str,
        *,
        where: SandboxChannel | None = None,
        who: SandboxMember | None = None,
        by_hand: bool = True,
        **options: Any,
    ) -> InteractionView:
        """Type a command; `by_hand`: choose to set a webhook up by hand where that is asked, and
        say yes to who will see a project.
        """
        who = who or self.maren
        answer = await self.sandbox.command(
            self.guild, where or self.structure, who, name, **options
        )
        if by_hand:
            await answer.settled()
        for label in (BY_HAND, SHOW) if by_hand else ():
            if answer.offers(label):
                await self.sandbox.press(answer, label, who)
                # A busy machine makes the bot promise an answer first.
                await self.sandbox.world.wait_until(partial(_is_pressed, answer, label), 10.0)
        return answer

    async def complete(self, name: str, option: str, typed: str, **others: Any) -> list[str]:
        choices = await self.sandbox.autocomplete(
            self.guild, self.structure, self.maren, name, option, typed, **others
        )
        return [choice["name"] for choice in choices]

    async def press(
        self,
        on: InteractionView | SandboxMessage,
        label: str,
        who: SandboxMember | None = None,
    ) -> InteractionView:
        """Press a button, and wait for what a busy bot only promises at first."""
        return await (await self.sandbox.press(on, label, who or self.maren)).settled()

    async def choose(
        self, answer: InteractionView, label: str, who: SandboxMember | None = None
    ) -> InteractionView:
        return await (await self.sandbox.select(answer, "", [label], who or self.maren)).settled()

    async def fill(self, form: InteractionView, **fields: Any) -> InteractionView:
        """Submit the form with these fields; those that are not named stay as they were opened."""
        return await (await self.sandbox.submit_modal(form, fields, self.maren)).settled()

    async def report_in(self, channel: SandboxChannel) -> None:
        """Choose the channel for notices under /settings, as someone who manages the server."""
        manager = self.guild.add_member("Ines Falk", permissions="manage_guild")
        panel = await self.type("settings", who=manager)
        chosen = await self.sandbox.select(panel, "settings:notices", [channel], manager)
        await chosen.settled()

    async def open_entry(self, label: str = TOWER) -> InteractionView:
        """The panel of one subscription."""
        return await self.choose(await self.type("subscriptions"), label)


def _is_pressed(answer: InteractionView, label: str) -> bool | None:
    return None if answer.offers(label) else True


MakeStudio = Callable[[str], Studio]


@pytest.fixture
def make_studio(sandbox: Sandbox) -> MakeStudio:
    def make(name: str) -> Studio:
        guild = sandbox.add_guild(name)
        return Studio(
            sandbox,
            guild,
            guild.add_channel("structure"),
            guild.add_channel("facade"),
            guild.add_member("Maren Oduya", permissions="manage_webhooks"),
            guild.add_member("Tobias Lindqvist"),
        )

    return make


@pytest.fixture
def studio(make_studio: MakeStudio) -> Studio:
    return make_studio("Studio Kestrel")
