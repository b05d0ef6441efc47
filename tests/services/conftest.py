"""The services over a real SQLite file, and the people and places of an invented guild."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bot.database_content import RetentionPolicy
from bot.model import Hook
from bot.permissions import Actor, Audience, ChannelKind, ChannelPermission, TargetChannel
from bot.services.access_rules import LiveFor
from bot.services.consent_check import ConsentCheck
from bot.services.former_addresses import FormerAddresses
from bot.services.known_names import KnownNames
from bot.services.linking import AccountLinking
from bot.services.listening import ListeningStart
from bot.services.personal_data import PersonalDataService
from bot.services.public_access import UNKNOWN, PublicAccess, PublicAnswer
from bot.services.public_url import PublicUrlProbe
from bot.services.quotas import QuotaService
from bot.services.refused_deliveries import RefusedDeliveries
from bot.services.samples import SampleService
from bot.services.search import Search
from bot.services.subscribe_results import (
    Followed,
    NeedsConsent,
    Subscribed,
    SubscribeRequest,
)
from bot.services.subscribing import SubscribeOutcome
from bot.services.subscriptions import SubscriptionService
from bot.services.token_lending import TokenLender
from bot.services.webhook_page import WebhookPages
from bot.services.webhooks import WebhookService
from bot.speckle.links import Links
from bot.speckle.subscription_options import OPTIONS, SubscriptionOptions
from bot.speckle.tokens import SpeckleApp
from bot.speckle_api.client import SpeckleClient
from bot.storage import Storage
from bot.vault import Vault
from tests.stored import note_event

KESTREL = 710_000_000_000_000_001  # the guild "Studio Kestrel"
HERON = 710_000_000_000_000_002  # the guild "Heron Engineers"
MAREN = 720_000_000_000_000_001
TOBIAS = 720_000_000_000_000_002
STRUCTURE = 730_000_000_000_000_001  # channels of Studio Kestrel
FACADE = 730_000_000_000_000_002
HERON_LOG = 730_000_000_000_000_009
CLOUD = "https://app.speckle.systems"
OWN_SERVER = "https://speckle.kestrel.example"
TOWER = "a1b2c3d4e5"  # the project "Harbour Tower"
PAVILION = "f6a7b8c9d0"
PUBLIC_URL = "https://bot.kestrel.example"
KEPT = RetentionPolicy(timedelta(days=2), timedelta(days=14), timedelta(days=30))


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


def manager(user_id: int = MAREN) -> Actor:
    """A member with Manage Webhooks in the whole server."""
    return Actor(user_id, True, _everywhere, _everywhere)


def _everywhere(_channel_id: int) -> bool:
    return True


def manager_of(channels: Iterable[int], user_id: int = TOBIAS) -> Actor:
    """A member who sees some channels only, and manages webhooks there."""
    there = frozenset(channels)
    return Actor(
        user_id,
        False,
        lambda channel_id: channel_id in there,
        lambda channel_id: channel_id in there,
    )


ENGINEERS = 740_000_000_000_000_001  # the role that sees the channels
TEAM = Audience(False, (ENGINEERS,))
ALL = Audience(True)


def place(
    channel_id: int = STRUCTURE, kind: ChannelKind = ChannelKind.TEXT, audience: Audience = TEAM
) -> TargetChannel:
    """A channel where the bot may do everything."""
    return TargetChannel(channel_id, kind, frozenset(ChannelPermission), audience=audience)


class PublicAnswers:
    """What servers say without a token, where no server is asked: nothing, until a test says so."""

    def __init__(self) -> None:
        self.answer = UNKNOWN

    async def of(self, _server_url: str, _project_id: str) -> PublicAnswer:
        return self.answer


async def agreed(service: SubscriptionService, request: SubscribeRequest) -> SubscribeOutcome:
    """How /subscribe ends if its caller says yes to who will see the project, if that is asked."""
    outcome = await service.subscribe(request)
    if isinstance(outcome, NeedsConsent):
        return await service.subscribe(replace(outcome.request, agreed=outcome.agreed))
    return outcome


def edit_request(
    caller: Actor, entry: Followed, options: SubscriptionOptions, where: TargetChannel | None = None
) -> SubscribeRequest:
    """What the form of the panel asks for."""
    return SubscribeRequest(
        guild_id=entry.subscription.guild_id,
        actor=caller,
        channel=where or place(entry.subscription.channel_id),
        project=Links(entry.hook.server_url).project(entry.hook.project_id),
        options={option.name: ", ".join(option.of(options)) for option in OPTIONS},
        resume=False,
    )


@dataclass(frozen=True)
class Desk:
    """The service, with the shortest way to say what a test is about."""

    service: SubscriptionService
    storage: Storage
    public_answers: PublicAnswers

    async def subscribe(
        self,
        project: str = TOWER,
        *,
        channel_id: int = STRUCTURE,
        guild_id: int = KESTREL,
        caller: Actor | None = None,
        where: TargetChannel | None = None,
        **options: str,
    ) -> Subscribed:
        """As somebody who has no account, and sets the webhook up by hand."""
        outcome = await agreed(
            self.service,
            SubscribeRequest(
                guild_id=guild_id,
                actor=caller or manager(),
                channel=where or place(channel_id),
                project=project,
                options=options,
                by_hand=True,
            ),
        )
        assert isinstance(outcome, Subscribed), outcome
        return outcome

    async def edit(
        self, caller: Actor, entry: Followed, options: SubscriptionOptions
    ) -> SubscribeOutcome:
        """As the form of the panel does it."""
        return await self.service.subscribe(edit_request(caller, entry, options))

    async def subscribed_live(self, project: str = TOWER, name: str = "Harbour Tower") -> Followed:
        """A subscription whose first event has come."""
        outcome = await self.subscribe(project)
        await self.storage.write(lambda tx: note_event(tx, outcome.entry.hook.id, name))
        hook = await self.storage.read(lambda tx: tx.hooks.get(outcome.entry.hook.id))
        assert hook is not None
        return replace(outcome.entry, hook=hook)


async def nothing_to_read(hook: Hook) -> None:
    """No list is read here."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def storage(database_url: str, clock: Clock) -> AsyncIterator[Storage]:
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(database_url, vault, clock) as opened:
        yield opened


@dataclass(frozen=True)
class Services:
    """What the bot is built of, over one storage, for servers that are asked for real."""

    client: SpeckleClient
    lender: TokenLender
    linking: AccountLinking
    personal_data: PersonalDataService
    webhooks: WebhookService
    subscriptions: SubscriptionService
    pages: WebhookPages
    quotas: QuotaService
    samples: SampleService
    refused: RefusedDeliveries
    search: Search
    servers: tuple[str, ...]


def services_over(
    storage: Storage,
    clock: Clock,
    *,
    speckle_servers: tuple[str, ...] = (CLOUD, OWN_SERVER),
    public_url: str | None = PUBLIC_URL,
    instance: str = "0f0f",
    served_guilds: frozenset[int] = frozenset(),
    oauth: Any = None,
    apps: Mapping[str, SpeckleApp] | None = None,
    public_answers: PublicAnswers | None = None,
    quotas: QuotaService | None = None,
    live_for: LiveFor = LiveFor.PUBLIC,
) -> Services:
    """The services, without anything of Discord."""
    client = SpeckleClient(servers=speckle_servers, deadline_s=5.0)
    lender = TokenLender(
        storage,
        client,
        oauth,
        apps=apps or {},
        first_server=speckle_servers[0],
        operator_token=None,
        served_guilds=(),
        now=clock,
    )
    webhooks = WebhookService(
        storage,
        client,
        lender,
        PublicUrlProbe(public_url, instance),
        describe_webhook=lambda guild_id: f"Events for {guild_id}",
        now=clock,
    )
    linking = AccountLinking(
        storage,
        client,
        oauth,
        webhooks.remover.detach_account,
        speckle_servers=speckle_servers,
        apps=apps or {},
        public_url=public_url,
        now=clock,
    )
    personal_data = PersonalDataService(storage, linking, KEPT)
    real = all(host.startswith("http://127.0.0.1") for host in speckle_servers)
    visibility: Any = (
        PublicAccess(client)
        if real and public_answers is None
        else public_answers or PublicAnswers()
    )
    pages, quotas = WebhookPages(client, asks=real), quotas or without_quotas(storage, clock)
    search = Search(client, lender, now=clock, asks_public=real)
    subscriptions = SubscriptionService(
        storage,
        webhooks,
        search,
        ConsentCheck(lender, webhooks, visibility),
        quotas,
        pages,
        KnownNames(storage, client, lender, now=clock),
        FormerAddresses(client, speckle_servers, asks=real),
        speckle_servers=speckle_servers,
        public_url=public_url,
        served_guilds=served_guilds,
        live_for=live_for,
        listening=ListeningStart(
            storage, client, lender, on_changed=lambda: None, read=nothing_to_read, sure_now=clock
        ),
        now=clock,
    )

    samples = SampleService(storage, subscriptions, on_stored=lambda: None)
    return Services(
        client,
        lender,
        linking,
        personal_data,
        webhooks,
        subscriptions,
        pages,
        quotas,
        samples,
        RefusedDeliveries(clock),
        search,
        speckle_servers,
    )


def without_quotas(storage: Storage, clock: Clock) -> QuotaService:
    return QuotaService(storage, None, now=clock)


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(storage: Storage, clock: Clock) -> MakeDesk:
    def make(
        *,
        public_url: str | None = PUBLIC_URL,
        served: frozenset[int] = frozenset(),
        quotas: QuotaService | None = None,
    ) -> Desk:
        public_answers = PublicAnswers()
        services = services_over(
            storage,
            clock,
            public_url=public_url,
            served_guilds=served,
            public_answers=public_answers,
            quotas=quotas,
        )
        return Desk(services.subscriptions, storage, public_answers)

    return make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()
