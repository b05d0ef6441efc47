"""What waits for a channel, wherever it is on its way, on both databases."""

from datetime import timedelta

from bot.lookups import ChannelWaiting, WaitsFor
from bot.model import AccessPause, Hook, PauseReason, PauseWhy, Subscription
from bot.storage import Storage
from bot.work import EventResult, HookResult, SubscriptionResult
from tests.db.conftest import FACADE, STRUCTURE, Clock, NewDelivery, Queue


async def waiting(storage: Storage) -> set[ChannelWaiting]:
    found = await storage.read(lambda tx: tx.guild_activity.waiting({STRUCTURE, FACADE}))
    return set(found)


async def test_an_event_waits_from_its_arrival_on_until_it_is_shown(
    storage: Storage,
    hook: Hook,
    subscription: Subscription,
    delivery: NewDelivery,
    queue: Queue,
    clock: Clock,
) -> None:
    assert await waiting(storage) == set()
    await queue(subscription)
    card = ChannelWaiting(STRUCTURE, WaitsFor.DISCORD, 1, clock())
    assert await waiting(storage) == {card}

    clock.forward(minutes=1)
    at = clock()
    receipt = await storage.intake.accept(delivery(lane=hook.ordering_key, hook_id=hook.id))
    await storage.intake.accept(delivery(lane="shared"))  # of another server
    assert await waiting(storage) == {card, ChannelWaiting(STRUCTURE, WaitsFor.BOT, 1, at)}

    until = clock() + timedelta(minutes=5)
    result = SubscriptionResult(subscription.id, held_until=until)
    routed = HookResult(hook.id, at, True, results=[result])
    event = EventResult(receipt.id, [], "commit_create", of_hooks=[routed])
    await storage.write(lambda tx: tx.inbox.finish([event]))
    held = ChannelWaiting(STRUCTURE, WaitsFor.ACCESS, 1, at)
    assert await waiting(storage) == {held, card}

    lost = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.FORBIDDEN)
    await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock(), lost))
    (paused,) = await waiting(storage)
    assert (paused.for_what, paused.count) == (WaitsFor.RESUMING, 2)
