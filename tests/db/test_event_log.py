"""Which events concern a channel, and where they are by now, on both databases."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from bot.db.tables import inbox
from bot.lookups import EventFilter
from bot.model import HookKind, InboxSource, Subscription
from bot.storage import Storage, Transaction
from bot.trace import TraceLine, TraceStep
from bot.work import (
    EventResult,
    HookResult,
    NewInboxEvent,
    OutboxState,
    SubscriptionResult,
)
from tests.db.conftest import (
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
    follow,
)

FACADE = STRUCTURE + 1


async def newest(storage: Storage, *subscriptions: Subscription, **more: object) -> list[int]:
    wanted = replace(EventFilter(subscriptions=subscriptions), **more)  # type: ignore[arg-type]
    found = await storage.read(lambda tx: tx.event_log.newest(wanted, 25))
    return [event.id for event in found]


def own(delivery: NewDelivery, subscription: Subscription) -> NewInboxEvent:
    return delivery(hook_id=subscription.hook_id, lane=f"hook:{subscription.hook_id}")


async def test_a_channel_has_the_events_of_its_hook_since_it_follows_and_no_others(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    before = await storage.intake.accept(
        replace(own(delivery, subscription), received_at=clock() - timedelta(hours=1))
    )
    clock.forward(minutes=1)
    mine = [(await storage.intake.accept(own(delivery, subscription))).id for _ in range(2)]
    other_hook = await storage.write(
        lambda tx: tx.hooks.create(1, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None)
    )
    other = await follow(storage, other_hook.id, 5)
    others = await storage.intake.accept(own(delivery, other))
    assert await newest(storage, subscription) == mine[::-1]
    assert await newest(storage, other) == [others.id]
    assert await newest(storage, subscription, project_id="0000000000") == []
    assert await newest(storage, subscription, since=clock() + timedelta(minutes=1)) == []
    assert await newest(storage, subscription, until=clock()) == mine[::-1]
    everything = await storage.read(lambda tx: tx.event_log.newest(EventFilter(), 25))
    assert [event.id for event in everything] == [others.id, *mine[::-1], before.id]


async def test_what_a_list_told_one_channel_is_that_channels_and_what_it_told_again_is_nobodys(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    facade = await follow(storage, subscription.hook_id, FACADE)
    clock.forward(minutes=1)
    first, again = [(await storage.intake.accept(own(delivery, subscription))).id for _ in range(2)]

    def from_a_list(tx: Transaction) -> None:
        said = {"source": InboxSource.ACTIVITY, "subscription_id": subscription.id}
        tx.session.execute(update(inbox).where(inbox.c.id == first).values(said))
        tx.session.execute(
            update(inbox).where(inbox.c.id == again).values(said | {"same_as": first})
        )

    await storage.write(from_a_list)
    assert await newest(storage, subscription) == [first]
    assert await newest(storage, facade) == []


async def test_cards_and_held_events_of_a_channel_are_its_events_whatever_brought_them(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, queue: Queue, clock: Clock
) -> None:
    clock.forward(minutes=1)
    shown = await queue(subscription, title="New version of *level 1*")
    receipt = await storage.intake.accept(delivery())
    held = SubscriptionResult(subscription.id, held_until=clock())
    of_hook = HookResult(subscription.hook_id, clock(), True, results=[held])
    read = TraceLine(clock(), "parse", TraceStep.READ, {"kind": "issue_created", "things": "ab cd"})
    await storage.write(
        lambda tx: tx.inbox.finish(
            [EventResult(receipt.id, [read], "issue_created", subject="x:ef#1", of_hooks=[of_hook])]
        )
    )
    wanted = EventFilter(subscriptions=[subscription])
    second, first = await storage.read(lambda tx: tx.event_log.newest(wanted, 25))
    assert second.kind == "issue_created"
    assert second.things == {"ab", "cd", "ef"}
    assert [one.subscription_id for one in second.held] == [subscription.id]
    assert [card.id for card in first.cards] == shown
    assert await storage.read(lambda tx: tx.event_log.get(second.id)) == second
    assert await storage.read(lambda tx: tx.event_log.get(99)) is None


async def test_a_message_has_the_events_of_its_cards_in_their_order(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    for number in range(3):
        await queue(subscription, title=f"card {number}")
    batch = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 2))
    assert batch is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(batch[0], 77, clock()))
    found = await storage.read(lambda tx: tx.event_log.of_message(STRUCTURE, 77))
    cards = [card for event in found for card in event.cards]
    assert [card.title for card in cards] == ["card 0", "card 1"]
    assert {card.state for card in cards} == {OutboxState.SENT}
    assert await storage.read(lambda tx: tx.event_log.of_message(FACADE, 77)) == []


async def test_subscriptions_are_found_by_place(
    storage: Storage, subscription: Subscription
) -> None:
    async def ids(guild_id: int | None = None, channel_id: int | None = None) -> list[int]:
        return [*await storage.read(lambda tx: tx.event_log.subscription_ids(guild_id, channel_id))]

    for here in (await ids(), await ids(STUDIO_KESTREL), await ids(None, STRUCTURE)):
        assert here == [subscription.id]
    assert await ids(1) == await ids(None, FACADE) == []
