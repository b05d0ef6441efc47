"""A channel that Discord refuses for a while, and a clock that is set back, on both databases."""

from datetime import timedelta

import pytest

from bot.db.intake import Intake
from bot.model import AccessPause, PauseReason, PauseWhy, Subscription, SubscriptionState
from bot.storage import Storage
from tests.db.conftest import MAREN_ODUYA, STRUCTURE, Clock, NewDelivery, Queue

WEEK = timedelta(days=7)
DETAIL = "A moderator put the bot in time-out."


async def state_of(storage: Storage, subscription: Subscription) -> tuple[str, str | None]:
    now = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert now is not None
    return now.state, now.pause_reason


async def test_a_silenced_channel_is_told_once_and_tried_again_by_itself(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [card] = await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert await storage.write(
        lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK)
    ) == [subscription.id]
    assert (
        await storage.write(lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK))
        == []
    )
    [notice] = await storage.read(lambda tx: tx.pause_notices.due(10))
    assert (notice.user_id, notice.reason) == (MAREN_ODUYA, PauseReason.SILENCED)
    await queue(subscription)
    assert await storage.read(lambda tx: tx.outbox.due_in()) == WEEK.total_seconds()
    clock.forward(days=7)
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.first_failed_at, due.last_error) == (None, DETAIL)
    again = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert again is not None
    assert again[0] == opened[0]
    assert [row.id for row in again[1]] == [card]
    assert await state_of(storage, subscription) == ("paused", "silenced")
    await storage.write(lambda tx: tx.outbox.mark_sent(again[0], 1, clock()))
    await storage.write(lambda tx: tx.outbox.end_silence(STRUCTURE))
    assert await state_of(storage, subscription) == ("active", None)
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0


async def test_whoever_paused_it_themselves_is_not_resumed_by_a_message_that_gets_through(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK))
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER, "1"
        )
    )
    await storage.write(lambda tx: tx.outbox.end_silence(STRUCTURE))
    assert await state_of(storage, subscription) == ("paused", "member")


async def test_resume_tries_a_silenced_channel_at_once(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK))
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0


async def test_a_channel_that_goes_away_while_it_is_silenced_is_paused_for_that(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK))
    blocked = await storage.write(
        lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.CHANNEL_GONE, "Unknown Channel")
    )
    assert blocked == [subscription.id]
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    assert [one.reason for one in await storage.read(lambda tx: tx.pause_notices.due(10))] == [
        "silenced",
        "channel_gone",
    ]


async def test_what_a_silenced_channel_may_no_longer_see_is_looked_at_and_taken_back(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(lambda tx: tx.outbox.pause_silenced(STRUCTURE, DETAIL, clock() + WEEK))
    clock.time += WEEK
    found = await storage.read(lambda tx: tx.outbox.due_subscriptions(STRUCTURE))
    assert found is not None
    assert [one.subscription_id for one in found[1]] == [subscription.id]
    lost = AccessPause(PauseReason.ACCESS_LOST, PauseWhy.UNLINKED)
    assert (
        await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock(), lost))
        == 1
    )
    assert await state_of(storage, subscription) == ("paused", "access_lost")
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None


async def test_a_try_that_was_no_fault_of_the_channel_is_as_if_never_made(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    await storage.write(lambda tx: tx.outbox.postpone(STRUCTURE, clock(), "Discord answered 403"))
    await storage.write(lambda tx: tx.outbox.retry_at(STRUCTURE, clock()))
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.attempts, due.first_failed_at) == (0, None)


async def test_what_waits_longer_than_anything_may_is_due_now(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    for wait, shortened in ((timedelta(hours=1), 0), (timedelta(days=1), 1)):
        await storage.write(
            lambda tx: tx.outbox.postpone(STRUCTURE, clock() + wait, "Discord answered 503")
        )
        assert (
            await storage.write(lambda tx: tx.due_times.shorten(timedelta(minutes=75))) == shortened
        )
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0


@pytest.mark.parametrize("back", [timedelta(minutes=2), timedelta(hours=1), timedelta(days=1)])
async def test_a_clock_that_is_set_back_swallows_no_event(
    storage: Storage, delivery: NewDelivery, clock: Clock, back: timedelta
) -> None:
    seconds = [0.0]
    intake = Intake(storage._database, storage.use_of_today, clock, lambda: seconds[0])
    await intake.accept(delivery(b"the same"))
    clock.time -= back
    seconds[0] += 10
    assert not (await intake.accept(delivery(b"the same"))).duplicate
    # And when the clock has come to where the first stood.
    clock.time += back
    seconds[0] += back.total_seconds()
    assert not (await intake.accept(delivery(b"the same"))).duplicate
    assert (await intake.accept(delivery(b"the same"))).duplicate
    await intake.close()
