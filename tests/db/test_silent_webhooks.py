"""A webhook by hand that sends nothing of what the project's lists tell."""

from datetime import datetime, timedelta
from hashlib import sha256

import pytest

from bot.db.inbox import insert_events
from bot.model import Hook, HookKind, HookTrouble, InboxSource
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage, Transaction
from bot.work import InboxState
from tests.services.conftest import CLOUD, KESTREL, MAREN, STRUCTURE, TOWER, Clock
from tests.stored import note_event


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def hook(storage: Storage, clock: Clock) -> Hook:
    """Set up by hand; its webhook has sent one event, and an hour has passed since."""
    made = await storage.write(
        lambda tx: tx.hooks.create(KESTREL, CLOUD, TOWER, HookKind.OWN, MAREN, STRUCTURE)
    )
    await storage.write(
        lambda tx: tx.subscriptions.upsert(made.id, STRUCTURE, SubscriptionOptions(), MAREN)
    )
    await storage.write(lambda tx: note_event(tx, made.id, "Harbour Tower"))
    clock.forward(hours=1)
    return made


async def listed(
    storage: Storage, hook: Hook, clock: Clock, *, ago: timedelta, same_as: int | None = None
) -> None:
    """The project's list told of an event that happened so long ago."""
    body = f"{clock()} {ago}".encode()

    def add(tx: Transaction) -> None:
        at: datetime = clock()
        row = {
            "hook_id": hook.id,
            "lane": hook.ordering_key,
            "project_id": TOWER,
            "server_url": CLOUD,
            "digest": sha256(body).hexdigest(),
            "body": body,
            "received_at": at,
            "happened_at": at - ago,
            "state": InboxState.DONE,
            "trace": [],
            "source": InboxSource.ACTIVITY,
            "same_as": same_as,
        }
        insert_events(tx.session, [row])

    await storage.write(add)


async def silent(storage: Storage) -> list[int]:
    return await storage.write(lambda tx: tx.silent_webhooks.note())


async def test_what_two_looks_in_a_row_had_to_read_from_the_list_makes_it_silent(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    await listed(storage, hook, clock, ago=timedelta(minutes=20))
    assert await silent(storage) == []
    clock.forward(hours=1)
    await listed(storage, hook, clock, ago=timedelta(minutes=50))
    assert await silent(storage) == [hook.id]
    noted = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert noted is not None
    assert (noted.trouble, noted.trouble_since) == (HookTrouble.NOT_ARRIVING, clock())
    assert await silent(storage) == []
    await storage.write(lambda tx: note_event(tx, hook.id, "Harbour Tower"))
    again = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert again is not None
    assert again.trouble is None
    assert await silent(storage) == []


async def test_what_was_missed_in_an_outage_says_nothing(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    clock.forward(hours=5)
    await listed(storage, hook, clock, ago=timedelta(hours=4))
    clock.forward(hours=1)
    await listed(storage, hook, clock, ago=timedelta(minutes=10))
    assert await silent(storage) == []


async def test_what_the_webhook_told_too_says_nothing(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    for _ in range(2):
        await listed(storage, hook, clock, ago=timedelta(minutes=20), same_as=7)
        clock.forward(hours=1)
    assert await silent(storage) == []
