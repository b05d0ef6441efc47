"""How much there is of everything, on both databases."""

from datetime import timedelta

from bot.lookups import Waiting
from bot.model import Hook, HookKind, PauseReason, Subscription, SubscriptionState
from bot.quota import DayQuota, QuotaUse
from bot.storage import Storage
from bot.work import NewInboxEvent
from tests.db.conftest import (
    FACADE,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
    follow,
)

FAR_AWAY = 710_000_000_000_000_002


async def test_nothing_waits_in_an_empty_database(storage: Storage) -> None:
    found = await storage.read(lambda tx: tx.totals.read())
    assert found.inbox == found.outbox == Waiting(0, None)
    assert (found.held_cards, found.held_events, found.undeliverable_cards) == (0, 0, 0)
    assert found.subscriptions == {}
    assert await storage.read(lambda tx: tx.totals.highest_use(())) == QuotaUse(0, 0, 0, 0)


async def test_new_events_wait_since_the_first_of_them_came(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    first_at = clock()
    for lane in ("b", "a", "b"):
        await storage.intake.accept(delivery(lane=lane))
        clock.forward(minutes=1)
    found = await storage.read(lambda tx: tx.totals.read())
    assert found.inbox == Waiting(3, first_at)


async def test_cards_of_a_paused_subscription_are_held_and_make_no_age(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    other = await follow(storage, subscription.hook_id, FACADE)
    await queue(subscription)
    clock.forward(hours=2)
    late_at = clock()
    await queue(other)
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER
        )
    )
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None
    found = await storage.read(lambda tx: tx.totals.read())
    assert (found.outbox, found.held_cards) == (Waiting(1, late_at), 1)
    assert found.subscriptions == {None: 1, PauseReason.MEMBER: 1}


async def test_a_card_that_discord_did_not_accept_waits_no_more(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_undeliverable(opened[0], "refused"))
    found = await storage.read(lambda tx: tx.totals.read())
    assert (found.outbox, found.undeliverable_cards) == (Waiting(0, None), 1)


async def test_the_highest_use_is_that_of_the_guild_that_uses_most(
    storage: Storage, hook: Hook, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    other = await storage.write(
        lambda tx: tx.hooks.create(FAR_AWAY, SERVER, "b1", HookKind.OWN, MAREN_ODUYA, None)
    )

    async def send(of_hook: Hook, body: bytes) -> None:
        quota = DayQuota(of_hook.guild_id, events=100, bytes=10_000)
        event: NewInboxEvent = delivery(body, hook_id=of_hook.id, lane=of_hook.ordering_key)
        values = {name: getattr(event, name) for name in event.__slots__} | {"quota": quota}
        await storage.intake.accept(NewInboxEvent(**values))

    for number in range(3):
        await send(hook, b"%d" % number)
    await send(other, b"large" * 100)
    assert await storage.read(lambda tx: tx.totals.highest_use(())) == QuotaUse(3, 500, 1, 1)
    without = {STUDIO_KESTREL}
    assert await storage.read(lambda tx: tx.totals.highest_use(without)) == QuotaUse(1, 500, 1, 0)
    clock.time += timedelta(days=1)
    assert await storage.read(lambda tx: tx.totals.highest_use(())) == QuotaUse(0, 0, 1, 1)
