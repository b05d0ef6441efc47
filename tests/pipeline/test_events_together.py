"""What waits in a project is dealt with together, and comes out as if one by one."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from bot.model import Hook, HookKind, HookState, Subscription
from bot.pipeline.event_context import EventContext
from bot.pipeline.ingest import Ingest
from bot.pipeline.keyed_worker import RECOVERY_PAUSE_S
from bot.pipeline.replay import Outlets
from bot.pipeline.routing import RoutingResult
from bot.speckle.events import VersionCreated
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from bot.vault import Vault
from bot.work import NewCard, NewInboxEvent, SubscriptionResult
from sandbox.discord import SandboxChannel
from tests.pipeline.conftest import Recorded, StartBot, Studio, post, recorded
from tests.pipeline.deliveries import subscribe
from tests.stored import new_count, new_database, waiting_count
from tests.waiting import until

SERVER = "https://app.speckle.systems"
PROJECT = "a1b2c3d4e5"
FAULTY = "a version that no renderer expects"


def row_of(hook: Hook, body: bytes) -> NewInboxEvent:
    digest = hashlib.sha256(body).hexdigest()
    return NewInboxEvent(
        hook.id, f"hook:{hook.id}", hook.project_id, None, digest, body, datetime.now(UTC)
    )


# ── the whole bot ─────────────────────────────────────────────────────────────────────────────


def cards(studio: Studio, channel: SandboxChannel) -> list[dict[str, Any]]:
    embeds = [embed for one in studio.sandbox.messages(channel.id) for embed in one.embeds]
    return [{key: embed[key] for key in embed if key != "timestamp"} for embed in embeds]


def follow_by_hand(tx: Transaction, like: Hook, channel_id: int) -> Hook:
    """Another hook for the same project, which another channel follows."""
    hook = tx.hooks.create(
        like.guild_id, like.server_url, like.project_id, HookKind.OWN, like.created_by, channel_id
    )
    tx.subscriptions.upsert(hook.id, channel_id, SubscriptionOptions(), like.created_by)
    return hook


async def dealt_with(storage: Storage) -> None:
    """Wait until nothing waits any more, in either queue."""

    async def nothing_waits() -> bool:
        new = await storage.read(new_count)
        return not new and not await storage.read(waiting_count)

    await until(nothing_waits)


async def test_what_waited_together_is_shown_as_if_it_had_come_one_by_one(
    studio: Studio, start_bot: StartBot
) -> None:
    by_project: dict[str, list[Recorded]] = {}
    for delivery in recorded():
        by_project.setdefault(delivery.payload["streamId"], []).append(delivery)
    project_id, deliveries = max(by_project.items(), key=lambda item: len(item[1]))
    async with start_bot() as app:
        await subscribe(studio, studio.structure, project_id)
        (alone,) = await app.storage.read(lambda tx: tx.hooks.of_guild(studio.guild.id))
        for delivery in deliveries:
            assert await post(app, alone, delivery) == 202
            await dealt_with(app.storage)
        together = await app.storage.write(lambda tx: follow_by_hand(tx, alone, studio.facade.id))
        for delivery in deliveries:
            await app.storage.intake.accept(row_of(together, delivery.body))
        await dealt_with(app.storage)
    assert len(deliveries) > 10
    assert cards(studio, studio.facade) == cards(studio, studio.structure)


# ── ingest alone ──────────────────────────────────────────────────────────────────────────────


@dataclass
class Decided:
    """Shows everything that it is asked about, but for a fault, and remembers what that was."""

    together: list[list[str]] = field(default_factory=list)
    seen: list[EventContext] = field(default_factory=list)

    async def route(
        self, events: Sequence[tuple[EventContext, Sequence[Subscription]]], *, attempts: int = 0
    ) -> Sequence[RoutingResult]:
        names = [one.delivery.event_name for one, _ in events]
        if any(_message(one) == FAULTY for one, _ in events):
            raise RuntimeError("a fault")
        self.together.append(names)
        self.seen += [one for one, _ in events]
        return [
            RoutingResult([SubscriptionResult(one.id, _card(one)) for one in those])
            for _, those in events
        ]


def _message(occasion: EventContext) -> str | None:
    event = occasion.delivery.event
    return event.message if isinstance(event, VersionCreated) else None


def _card(subscription: Subscription) -> NewCard:
    return NewCard(subscription.id, subscription.guild_id, subscription.channel_id, {})


@dataclass
class Bench:
    """Ingest over a database, with a hook that one channel follows."""

    storage: Storage
    hook: Hook
    decided: Decided
    queued: list[tuple[int, int]] = field(default_factory=list)

    async def put(self, event_name: str, *, message: str = "", model: str = "m1") -> None:
        data: dict[str, Any] = {"id": f"{len(message):010x}"}
        if event_name.startswith("commit"):
            named = {"branchName": f"name of {model}", "branchId": model}
            data["commit"] = named | {"message": message}
        if event_name == "stream_update":
            data |= {"old": {"name": "Harbour"}, "new": {"name": "Harbour Tower"}}
        payload = {
            "streamId": PROJECT,
            "event": {"event_name": event_name, "data": data},
            "server": {"canonicalUrl": SERVER},
            "stream": {"name": f"Harbour Tower, {message}"},
            "activityMessage": str(len(self.decided.seen)) + message,
        }
        await self.storage.intake.accept(
            row_of(self.hook, json.dumps({"payload": payload}).encode())
        )

    async def work(self) -> None:
        """Deal with all that waits."""
        ingest = Ingest(
            self.storage,
            self.decided,
            served_guilds=frozenset(),
            outlets=Outlets(self.queued.extend, lambda: None, lambda: None),
            now=utc_now,
        )
        running = asyncio.create_task(ingest.run())
        try:
            await until(self._nothing_is_new)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    async def _nothing_is_new(self) -> bool:
        return not await self.storage.read(new_count)

    async def cards(self) -> int:
        return await self.storage.read(waiting_count)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(new_database(tmp_path / "bot.db"), vault) as storage:
        hook = await storage.write(
            lambda tx: tx.hooks.create(1, SERVER, PROJECT, HookKind.OWN, 2, 3)
        )
        await storage.write(
            lambda tx: tx.subscriptions.upsert(hook.id, 3, SubscriptionOptions(), 2)
        )
        yield Bench(storage, hook, Decided())


async def test_events_that_wait_are_decided_together_and_up_to_32(bench: Bench) -> None:
    for number in range(40):
        await bench.put("commit_create", message=f"no {number}")
    await bench.work()
    assert [len(group) for group in bench.decided.together] == [32, 8]
    assert await bench.cards() == 40
    assert set(bench.queued) == {(3, 1)}


async def test_each_event_sees_what_those_before_it_led_to(bench: Bench) -> None:
    for number in range(3):
        await bench.put("commit_create", message=f"no {number}", model=f"m{number}")
    await bench.work()
    (group,) = bench.decided.together
    assert len(group) == 3
    assert [one.hook.state for one in bench.decided.seen] == [
        HookState.WAITING,
        HookState.LIVE,
        HookState.LIVE,
    ]
    assert [one.hook.project_name for one in bench.decided.seen] == [
        None,
        "Harbour Tower, no 0",
        "Harbour Tower, no 1",
    ]
    names = {f"m{number}": f"name of m{number}" for number in range(3)}
    assert [one.names.models for one in bench.decided.seen] == [
        dict(list(names.items())[:number]) for number in range(3)
    ]
    hook = await bench.storage.read(lambda tx: tx.hooks.get(bench.hook.id))
    assert hook is not None
    assert (hook.state, hook.project_name) == (HookState.LIVE, "Harbour Tower, no 2")
    assert (await bench.storage.read(lambda tx: tx.hooks.names(hook.id))).models == names


@pytest.mark.parametrize("name", ["stream_update", "stream_delete"])
async def test_what_changes_who_may_see_a_project_is_decided_by_itself(
    bench: Bench, name: str
) -> None:
    for event_name in ("commit_create", "commit_create", name, "commit_create"):
        await bench.put(event_name, message=f"{event_name} {len(await rows(bench))}")
    await bench.work()
    assert bench.decided.together == [["commit_create"] * 2, [name], ["commit_create"]]


async def rows(bench: Bench) -> list[int]:
    return list(range(await bench.storage.read(new_count)))


async def test_a_body_that_nobody_understands_holds_up_none(bench: Bench) -> None:
    await bench.put("commit_create", message="before")
    await bench.storage.intake.accept(row_of(bench.hook, b"no delivery"))
    await bench.put("commit_create", message="after")
    await bench.work()
    assert [_message(one) for one in bench.decided.seen] == ["before", "after"]
    failed = await bench.storage.read(lambda tx: tx.inbox.get(2))
    assert failed is not None
    assert failed.state == "failed"


async def test_a_fault_with_one_event_holds_up_none_before_it_and_loses_none(
    bench: Bench,
) -> None:
    for message in ("first", "second", FAULTY, "last"):
        await bench.put("commit_create", message=message)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5 * RECOVERY_PAUSE_S):
            await bench.work()
    assert [_message(one) for one in bench.decided.seen] == ["first", "second"]
    assert await bench.storage.read(new_count) == 2
    assert await bench.cards() == 2
