"""The services over a real SQLite file, and the people and places of an invented guild."""

import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.db.vault import Vault
from bot.services.outcomes import Entry, Subscribed, SubscribeRequest
from bot.services.places import Caller, Permission, Place, PlaceKind
from bot.services.subscriptions import SubscriptionService
from bot.storage import Storage, migrate

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


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


def manager(user_id: int = MAREN) -> Caller:
    """A member with Manage Webhooks in the whole server."""
    return Caller(user_id, True, lambda _channel_id: True)


def manager_of(channels: Iterable[int], user_id: int = TOBIAS) -> Caller:
    """A member who manages webhooks in some channels only."""
    there = frozenset(channels)
    return Caller(user_id, False, lambda channel_id: channel_id in there)


def place(channel_id: int = STRUCTURE, kind: PlaceKind = PlaceKind.TEXT) -> Place:
    """A channel where the bot may do everything."""
    return Place(channel_id, kind, frozenset(Permission))


@dataclass(frozen=True)
class Desk:
    """The service, with the shortest way to say what a test is about."""

    service: SubscriptionService
    storage: Storage

    async def subscribe(
        self,
        project: str = TOWER,
        *,
        channel_id: int = STRUCTURE,
        guild_id: int = KESTREL,
        caller: Caller | None = None,
        where: Place | None = None,
        events: str | None = None,
        models: str | None = None,
        ignore_authors: str | None = None,
    ) -> Subscribed:
        return await self.service.subscribe(
            SubscribeRequest(
                guild_id=guild_id,
                caller=caller or manager(),
                place=where or place(channel_id),
                project=project,
                events=events,
                models=models,
                ignore_authors=ignore_authors,
            )
        )

    async def subscribed_live(self, project: str = TOWER, name: str = "Harbour Tower") -> Entry:
        """A subscription whose first event has come."""
        outcome = await self.subscribe(project)
        await self.storage.hooks.mark_live(outcome.entry.hook.id, name)
        hook = await self.storage.hooks.get(outcome.entry.hook.id)
        assert hook is not None
        return replace(outcome.entry, hook=hook)


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    path = tmp_path_factory.mktemp("migrated") / "bot.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{path}"))
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def storage(migrated_file: Path, tmp_path: Path, clock: Clock) -> AsyncIterator[Storage]:
    shutil.copy(migrated_file, tmp_path / "bot.db")
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(f"sqlite+aiosqlite:///{tmp_path / 'bot.db'}", vault, clock) as opened:
        yield opened


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(storage: Storage, clock: Clock) -> MakeDesk:
    def make(
        *,
        public_url: str | None = PUBLIC_URL,
        served: frozenset[int] = frozenset(),
        shared: bool = True,
    ) -> Desk:
        service = SubscriptionService(
            storage,
            speckle_servers=(CLOUD, OWN_SERVER),
            public_url=public_url,
            served_guilds=served,
            shared_hook_enabled=shared,
            now=clock,
        )
        return Desk(service, storage)

    return make


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()
