"""Events that subscriptions are yet to be shown, on both databases."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import pytest

from bot.database_content import RetentionPolicy
from bot.model import (
    AccessPause,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.trace import TraceLine
from bot.work import (
    EventResult,
    HeldEvent,
    HookResult,
    LateAddition,
    NewCard,
    SubscriptionResult,
)
from tests.db.conftest import (
    FACADE,
    MAREN_ODUYA,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
    follow,
)
from tests.stored import waiting_count

ASK = AccessPause(PauseReason.ASK_AGAIN, PauseWhy.FILTERS_WIDER)
Take = Callable[..., Awaitable[int]]


@pytest.fixture
def take(storage: Storage, delivery: NewDelivery, clock: Clock) -> Take:
    """An event comes, and leads to this; gives its id."""

    async def came(*routed: SubscriptionResult, hook_id: int = 1) -> int:
        receipt = await storage.intake.accept(delivery())
        one = HookResult(hook_id, clock(), True, results=routed)
        await storage.write(
            lambda tx: tx.inbox.finish(
                [EventResult(receipt.id, [], "commit_create", of_hooks=[one])]
            )
        )
        return receipt.id

    return came


def card_for(subscription: Subscription, title: str = "card") -> NewCard:
    return NewCard(
        subscription.id, subscription.guild_id, subscription.channel_id, {"title": title}
    )


async def due(storage: Storage) -> list[tuple[int, int]]:
    return [
        (one.subscription_id, one.inbox_id)
        for one in await storage.read(lambda tx: tx.held_events.due(10))
    ]


async def waiting(storage: Storage, channel_id: int = STRUCTURE) -> Sequence[object]:
    opened = await storage.write(lambda tx: tx.outbox.open_batch(channel_id, 10))
    return [] if opened is None else [row.card["title"] for row in opened[1]]


async def pause(storage: Storage, subscription: Subscription, paused: AccessPause = ASK) -> None:
    await storage.write(
        lambda tx: tx.held_events.hold_back(subscription.id, tx.session.now(), paused)
    )


async def test_a_held_event_is_due_at_its_time_the_first_of_each_subscription_alone(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    later = clock() + timedelta(seconds=15)
    first = await take(SubscriptionResult(subscription.id, held_until=later))
    await take(SubscriptionResult(subscription.id, held_until=clock()))
    assert await due(storage) == []
    assert await storage.read(lambda tx: tx.held_events.due_in()) == 15
    clock.forward(seconds=15)
    assert await due(storage) == [(subscription.id, first)]
    assert await storage.read(lambda tx: tx.held_events.due_in({subscription.id})) is None
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 2


async def test_what_comes_after_a_held_event_queues_up_behind_it(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    other = await follow(storage, subscription.hook_id, FACADE)
    first = await take(SubscriptionResult(subscription.id, held_until=clock()))
    second = await take(
        SubscriptionResult(subscription.id, card_for(subscription, "second")),
        SubscriptionResult(other.id, card_for(other, "other")),
    )
    assert await waiting(storage) == []
    assert await waiting(storage, FACADE) == ["other"]  # nobody else waits for it
    [held] = await storage.read(lambda tx: tx.held_events.due(10))
    assert held.inbox_id == first
    made = SubscriptionResult(subscription.id, card_for(subscription, "first"))
    assert len(await storage.write(lambda tx: tx.held_events.settle(held, clock(), made, []))) == 1
    assert await due(storage) == [(subscription.id, second)]


async def test_a_held_event_is_settled_once(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    event = await take(SubscriptionResult(subscription.id, held_until=clock()))
    [held] = await storage.read(lambda tx: tx.held_events.due(10))
    line = TraceLine(clock(), "route", "Shown: somebody answered.")
    made = SubscriptionResult(subscription.id, card_for(subscription))
    assert (
        len(await storage.write(lambda tx: tx.held_events.settle(held, clock(), made, [line]))) == 1
    )
    assert await storage.write(lambda tx: tx.held_events.settle(held, clock(), made, [line])) == ()
    row = await storage.read(lambda tx: tx.inbox.get(event))
    assert row is not None
    assert row.trace == (line,)


async def test_an_event_that_may_still_not_be_shown_waits_on_with_one_more_try(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    event = await take(SubscriptionResult(subscription.id, held_until=clock()))
    [held] = await storage.read(lambda tx: tx.held_events.due(10))
    again = SubscriptionResult(subscription.id, held_until=clock() + timedelta(minutes=1))
    await storage.write(lambda tx: tx.held_events.settle(held, clock(), again, []))
    clock.forward(minutes=1)
    assert await storage.read(lambda tx: tx.held_events.due(10)) == [
        HeldEvent(subscription.id, event, 1, STUDIO_KESTREL)
    ]


async def test_while_paused_for_a_right_events_are_kept_and_come_once_somebody_answers(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    await pause(storage, subscription)
    paused = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert paused is not None
    assert (paused.pause_reason, paused.pause_detail) == (ASK.reason, ASK.why)
    # Decided before the pause, written after it: it is held all the same.
    event = await take(SubscriptionResult(subscription.id, card_for(subscription)))
    assert await waiting(storage) == []
    assert await due(storage) == []
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    assert await due(storage) == [(subscription.id, event)]


async def test_cards_that_wait_are_taken_back_as_events_and_those_that_may_be_out_are_not(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription, title="out")
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    await queue(subscription, title="waits")
    assert (
        await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock(), ASK)) == 1
    )
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 1
    assert await storage.read(waiting_count) == 1
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, clock()))
    assert await waiting(storage) == []
    assert [one.reason for one in await storage.read(lambda tx: tx.pause_notices.due(9))] == [
        PauseReason.ASK_AGAIN
    ]


async def test_one_that_a_member_paused_is_not_paused_again(
    storage: Storage, subscription: Subscription
) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER, "1"
        )
    )
    await pause(storage, subscription)
    now = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert now is not None
    assert now.pause_reason is PauseReason.MEMBER
    assert await storage.read(lambda tx: tx.pause_notices.due(9)) == []


async def test_what_discord_refuses_for_a_while_stops_for_a_right_all_the_same(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(
        lambda tx: tx.outbox.pause_silenced(STRUCTURE, "a moderator's time-out", clock())
    )
    await pause(storage, subscription)
    assert await waiting(storage) == []
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 1


async def test_cards_are_taken_back_with_what_they_lack_and_may_lack_it_again(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    late = {LateAddition.PICTURE: clock()}
    await take(SubscriptionResult(subscription.id, card_for(subscription), late))
    await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock()))
    [held] = await storage.read(lambda tx: tx.held_events.due(10))
    made = SubscriptionResult(subscription.id, card_for(subscription), late)
    assert len(await storage.write(lambda tx: tx.held_events.settle(held, clock(), made, []))) == 1


async def test_an_event_does_not_overtake_one_that_was_taken_back_while_it_was_rendered(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    first = await take(SubscriptionResult(subscription.id, card_for(subscription, "first")))
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    second = await take(SubscriptionResult(subscription.id, held_until=clock()))
    [held] = await storage.read(lambda tx: tx.held_events.due(10))
    assert held.inbox_id == second
    await storage.write(lambda tx: tx.outbox.reopen(opened[0]))
    await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock()))
    made = SubscriptionResult(subscription.id, card_for(subscription, "second"))
    assert await storage.write(lambda tx: tx.held_events.settle(held, clock(), made, [])) == []
    assert await waiting(storage) == []
    assert await due(storage) == [(subscription.id, first)]
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 2


async def test_a_pause_by_the_next_event_takes_the_earlier_cards_back(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    first = await take(SubscriptionResult(subscription.id, card_for(subscription)))
    second = await take(SubscriptionResult(subscription.id, held_until=clock(), pause=ASK))
    assert await storage.read(waiting_count) == 0
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    assert await due(storage) == [(subscription.id, first)]
    assert second > first
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 2


async def test_a_subscription_that_moves_to_another_hook_takes_what_it_is_yet_to_be_shown_along(
    storage: Storage, hook: Hook, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    receipt = await storage.intake.accept(delivery(lane=f"hook:{hook.id}", hook_id=hook.id))
    one = HookResult(
        hook.id, clock(), True, results=[SubscriptionResult(subscription.id, held_until=clock())]
    )
    await storage.write(
        lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "commit_create", of_hooks=[one])])
    )
    new = await storage.write(
        lambda tx: tx.hooks.create(
            hook.guild_id, hook.server_url, hook.project_id, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    consent = Consent(MAREN_ODUYA, clock(), Entitlement.OWNER, SubscriptionOptions(), "private")
    await storage.write(
        lambda tx: tx.subscriptions.answered(subscription.id, consent, hook_id=new.id)
    )
    await storage.write(lambda tx: tx.hooks.delete(hook.id))
    assert await due(storage) == [(subscription.id, receipt.id)]


async def test_what_waits_for_ever_is_let_go_of_as_well(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    await take(SubscriptionResult(subscription.id, held_until=clock()))
    keep = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))
    for _ in range(100):
        clock.forward(days=1)
        for held in await storage.read(lambda tx: tx.held_events.due(10)):
            await storage.write(
                lambda tx: tx.held_events.settle(
                    held, clock(), SubscriptionResult(subscription.id, held_until=clock()), []
                )
            )
    await storage.retention.tidy(keep)
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 0


async def test_held_events_go_with_their_subscription(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    await take(SubscriptionResult(subscription.id, held_until=clock()))
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert await storage.read(lambda tx: tx.held_events.due_in()) is None


async def test_an_events_text_is_kept_while_somebody_is_yet_to_be_shown_it(
    storage: Storage, subscription: Subscription, take: Take, clock: Clock
) -> None:
    event = await take(SubscriptionResult(subscription.id, held_until=clock()))
    clock.forward(days=40)
    keep = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))
    await storage.retention.tidy(keep)
    row = await storage.read(lambda tx: tx.inbox.get(event))
    assert row is not None
    assert row.body
    clock.forward(days=60)
    await storage.retention.tidy(keep)
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 0
    clock.forward(hours=2)
    await storage.retention.tidy(keep)
    assert await storage.read(lambda tx: tx.inbox.get(event)) is None
