"""What a card lacks is asked for as long as its event is young: an hour, by a clock."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bot.cards.render import render
from bot.errors import SpeckleUnavailable
from bot.model import HookKind, Subscription
from bot.pipeline.enrichment.late import LateEnrichment
from bot.pipeline.enrichment.outcomes import ConfirmedEvent
from bot.pipeline.enrichment.timings import EnrichmentTimings
from bot.pipeline.reading import read
from bot.pipeline.rendering import card_context
from bot.services.access_rules import Decision, ReadPermit, Show
from bot.speckle.events import ProjectNames, VersionCreated
from bot.speckle.facts import VersionFacts
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    EventResult,
    HookResult,
    LateAddition,
    NewCard,
    NewInboxEvent,
    SubscriptionResult,
)
from tests.pipeline.conftest import recorded
from tests.stored import new_database, stored_card

SERVER = "https://app.speckle.systems"


@dataclass
class Clock:
    time: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Server:
    """A Speckle server that is away, and what it says when it is back."""

    away: bool = True
    asked: int = 0
    timings: EnrichmentTimings = field(default_factory=EnrichmentTimings)
    is_on: bool = True

    async def confirmed_event(
        self, permit: ReadPermit, delivery: Any, *_: object
    ) -> ConfirmedEvent:
        self.asked += 1
        if self.away:
            raise SpeckleUnavailable(permit.server_url, "it is away", 15.0)
        return ConfirmedEvent(delivery, VersionFacts(object_count=214))

    async def decide_and_record(
        self, _hook: object, subscriptions: list[Subscription], *_: object, **__: object
    ) -> Mapping[int, Decision]:
        return {one.id: Show(ReadPermit(one.id, SERVER, "p")) for one in subscriptions}

    async def of(self, *_: object, **__: object) -> ProjectNames:
        return ProjectNames()


@dataclass
class Bench:
    storage: Storage
    clock: Clock
    server: Server
    late: LateEnrichment
    card_id: int

    async def pass_time(self, minutes: int) -> None:
        """So many minutes pass, and whatever falls due in them is done."""
        end = self.clock.time + timedelta(minutes=minutes)
        while self.clock.time < end:
            due_in_s = await self.storage.read(lambda tx: tx.late_enrichment.due_in())
            due = end if due_in_s is None else self.clock.time + timedelta(seconds=due_in_s)
            self.clock.time = min(end, max(due, self.clock.time + timedelta(seconds=1)))
            for key in await self.storage.read(lambda tx: tx.late_enrichment.due_keys(9)):
                await self.late._of_key(key)

    async def fields(self) -> str:
        card = await self.storage.read(lambda tx: stored_card(tx, self.card_id))
        assert card is not None
        return str(card.card["fields"])

    async def trace(self) -> list[Mapping[str, Any]]:
        row = await self.storage.read(lambda tx: tx.inbox.get(1))
        assert row is not None
        return [line.facts for line in row.trace]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    clock, server = Clock(), Server()
    body = next(one for one in recorded() if one.name == "commit_create").body
    delivery, _ = await read(body)
    assert isinstance(delivery.event, VersionCreated)
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(new_database(tmp_path / "bot.db"), vault, clock) as storage:
        hook = await storage.write(
            lambda tx: tx.hooks.create(1, SERVER, delivery.project.id, HookKind.OWN, 2, 3)
        )
        _, follows = await storage.write(
            lambda tx: tx.subscriptions.upsert(hook.id, 3, SubscriptionOptions(), 2)
        )
        digest = hashlib.sha256(body).hexdigest()
        new = NewInboxEvent(
            hook.id, hook.ordering_key, hook.project_id, None, digest, body, clock()
        )
        receipt = await storage.intake.accept(new)
        row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
        assert row is not None
        plain = render(card_context(hook, row, delivery, ProjectNames(), None, None))
        assert plain is not None
        late = {LateAddition.FACTS: clock() + timedelta(seconds=1)}
        result = SubscriptionResult(follows.id, NewCard.of(follows, plain), late)
        of_hook = HookResult(hook.id, clock(), True, results=[result])
        done = EventResult(receipt.id, (), "commit_create", of_hooks=[of_hook])
        (card_id,) = await storage.write(lambda tx: tx.inbox.finish([done]))
        parts: Any = server
        worker = LateEnrichment(
            storage, parts, parts, parts, on_changed=print, on_found=print, now=clock
        )
        yield Bench(storage, clock, server, worker, card_id)


async def test_what_comes_back_within_the_hour_is_filled_in(bench: Bench) -> None:
    await bench.pass_time(50)
    assert "214" not in await bench.fields()
    bench.server.away = False
    await bench.pass_time(9)
    assert "214" in await bench.fields()
    assert await bench.storage.read(lambda tx: tx.late_enrichment.due_in()) is None


async def test_after_an_hour_it_is_given_up_and_the_trace_says_so(bench: Bench) -> None:
    await bench.pass_time(70)
    asked = bench.server.asked
    bench.server.away = False
    await bench.pass_time(10)
    assert bench.server.asked == asked
    assert "214" not in await bench.fields()
    assert await bench.trace() == [{"subscription_id": 1, "added": "facts", "missing": "too_late"}]


async def test_a_server_that_is_away_is_not_asked_often_for_one_card(bench: Bench) -> None:
    await bench.pass_time(70)
    assert 10 <= bench.server.asked <= 25
