"""Real databases for the storage tests: an SQLite file and a PostgreSQL, new for each test."""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from bot.cards.card import Picture
from bot.model import Hook, HookKind, Subscription
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.trace import TraceLine
from bot.vault import Vault
from bot.work import (
    EventResult,
    HookResult,
    NewCard,
    NewInboxEvent,
    SubscriptionResult,
)
from tests.conftest import PostgresServer

STUDIO_KESTREL = 710_000_000_000_000_001
MAREN_ODUYA = 720_000_000_000_000_001
STRUCTURE = 730_000_000_000_000_001
FACADE = 730_000_000_000_000_002
SERVER = "https://speckle.kestrel.example"
HARBOUR_TOWER = "a1b2c3d4e5"


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time

    def forward(self, **by: float) -> None:
        self.time += timedelta(**by)


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without tables."""
    if kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'data' / 'bot.db'}"
        return
    postgres: PostgresServer = request.getfixturevalue("postgres")
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def key() -> str:
    return Fernet.generate_key().decode()


@pytest.fixture
def vault(key: str) -> Vault:
    return Vault([key])


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def storage(database_url: str, vault: Vault, clock: Clock) -> AsyncIterator[Storage]:
    async with Storage.open(database_url, vault, clock) as opened:
        yield opened


@pytest.fixture
async def hook(storage: Storage) -> Hook:
    """Studio Kestrel's own hook for Harbour Tower, waiting."""
    return await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, STRUCTURE
        )
    )


@pytest.fixture
async def subscription(storage: Storage, hook: Hook) -> Subscription:
    """#structure follows Harbour Tower."""
    return await follow(storage, hook.id, STRUCTURE)


async def follow(storage: Storage, hook_id: int, channel_id: int) -> Subscription:
    """Maren Oduya has a channel show all of what a hook brings."""
    _, new = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook_id, channel_id, SubscriptionOptions(), MAREN_ODUYA)
    )
    return new


@pytest.fixture
def delivery(clock: Clock) -> Callable[..., NewInboxEvent]:
    """Deliveries, by default of one shared lane; each body is another."""
    numbers = count(1)

    def make(
        body: bytes | None = None,
        *,
        lane: str = "shared",
        hook_id: int | None = None,
        project_id: str = HARBOUR_TOWER,
    ) -> NewInboxEvent:
        body = body if body is not None else b"event %d" % next(numbers)
        digest = sha256(body).hexdigest()
        return NewInboxEvent(hook_id, lane, project_id, SERVER, digest, body, clock())

    return make


NewDelivery = Callable[..., NewInboxEvent]
Queue = Callable[..., Coroutine[None, None, list[int]]]


@pytest.fixture
def queue(storage: Storage, clock: Clock, delivery: NewDelivery) -> Queue:
    """Write one event's cards into the outbox, one for each of these subscriptions."""

    async def write(
        *subscriptions: Subscription, title: str = "card", pictures: tuple[Picture, ...] = ()
    ) -> list[int]:
        receipt = await storage.intake.accept(delivery())
        routed = [
            SubscriptionResult(
                s.id, NewCard(s.id, s.guild_id, s.channel_id, {"title": title}, pictures)
            )
            for s in subscriptions
        ]
        one = HookResult(subscriptions[0].hook_id, clock(), True, results=routed)
        trace = [TraceLine(clock(), "route", "Shown: it passes.")]
        return await storage.write(
            lambda tx: tx.inbox.finish(
                [EventResult(receipt.id, trace, "commit_create", of_hooks=[one])]
            )
        )

    return write
