"""Subscriptions, on both databases."""

import asyncio

import pytest

from bot.errors import StorageError
from bot.model import Hook, PauseReason, Subscription, SubscriptionState
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from tests.db.conftest import FACADE, MAREN_ODUYA, STRUCTURE, STUDIO_KESTREL, Clock, Queue, follow
from tests.stored import waiting_count

FILTERS = SubscriptionOptions(
    events=("version_created", "issues"),
    models=("struct/**", "!**/draft*"),
    ignore_authors=("é",),
)


async def test_a_first_subscription_has_no_before(storage: Storage, hook: Hook) -> None:
    before, after = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, FILTERS, MAREN_ODUYA)
    )
    assert before is None
    assert (after.guild_id, after.channel_id) == (STUDIO_KESTREL, STRUCTURE)
    assert (after.state, after.options, after.created_by) == (
        SubscriptionState.ACTIVE,
        FILTERS,
        MAREN_ODUYA,
    )
    assert await storage.read(lambda tx: tx.subscriptions.get(after.id)) == after


async def test_the_same_channel_again_changes_the_filters_only(
    storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER
        )
    )
    clock.forward(minutes=1)
    before, after = await storage.write(
        lambda tx: tx.subscriptions.upsert(subscription.hook_id, STRUCTURE, FILTERS, by=2)
    )
    assert before is not None
    assert (before.id, before.options) == (subscription.id, SubscriptionOptions())
    assert (after.id, after.options, after.updated_at) == (subscription.id, FILTERS, clock())
    assert (after.state, after.created_by) == (SubscriptionState.PAUSED, MAREN_ODUYA)


async def test_two_who_subscribe_a_channel_at_once_make_one_subscription(
    storage: Storage, hook: Hook
) -> None:
    results = await asyncio.gather(
        *(
            storage.write(
                lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, FILTERS, MAREN_ODUYA)
            )
            for _ in range(5)
        )
    )
    assert [before is None for before, _ in results].count(True) == 1
    assert len({after.id for _, after in results}) == 1


async def test_a_subscription_needs_its_hook(storage: Storage, hook: Hook) -> None:
    await storage.write(lambda tx: tx.hooks.delete(hook.id))
    with pytest.raises(StorageError, match="removed"):
        await follow(storage, hook.id, STRUCTURE)


async def test_subscriptions_are_listed_by_hook_guild_and_channel(
    storage: Storage, subscription: Subscription
) -> None:
    hook_id = subscription.hook_id
    second = await follow(storage, hook_id, FACADE)
    both = [subscription, second]
    assert await storage.read(lambda tx: tx.subscriptions.of_hook(hook_id)) == both
    assert await storage.read(lambda tx: tx.subscriptions.of_guild(STUDIO_KESTREL)) == both
    assert await storage.read(lambda tx: tx.subscriptions.of_channel(FACADE)) == [second]
    assert await storage.read(lambda tx: tx.subscriptions.of_channel(1)) == []


async def test_a_pause_keeps_its_reason_until_it_ends(
    storage: Storage, subscription: Subscription
) -> None:
    paused = await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id,
            SubscriptionState.PAUSED,
            PauseReason.NO_PERMISSION,
            "Embed Links is missing.",
        )
    )
    assert paused is not None
    assert (paused.pause_reason, paused.pause_detail) == (
        PauseReason.NO_PERMISSION,
        "Embed Links is missing.",
    )
    resumed = await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    assert resumed is not None
    assert (resumed.state, resumed.pause_reason, resumed.pause_detail) == (
        SubscriptionState.ACTIVE,
        None,
        None,
    )
    assert (
        await storage.write(lambda tx: tx.subscriptions.set_state(999, SubscriptionState.ACTIVE))
        is None
    )


async def test_resuming_makes_what_waits_due_at_once(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(
        lambda tx: tx.outbox.pause_channel(
            STRUCTURE, PauseReason.NO_PERMISSION, "Send Messages is missing."
        )
    )
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    clock.forward(hours=1)
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.channel_id, due.attempts, due.last_error) == (STRUCTURE, 0, None)


async def test_deleting_removes_the_cards_and_the_last_one_the_hook(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    hook_id = subscription.hook_id
    second = await follow(storage, hook_id, FACADE)
    await queue(subscription, second)
    first_gone = await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert first_gone is not None
    assert (first_gone.subscription.id, first_gone.last_of_hook) == (subscription.id, False)
    assert await storage.read(waiting_count) == 1
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None
    second_gone = await storage.write(lambda tx: tx.subscriptions.delete(second.id))
    assert second_gone is not None
    assert second_gone.last_of_hook
    assert await storage.read(lambda tx: tx.hooks.get(hook_id)) is None
    assert await storage.write(lambda tx: tx.subscriptions.delete(second.id)) is None
