"""The outbox, on both databases."""

import asyncio
from datetime import timedelta

from bot.cards.card import Picture
from bot.model import HookKind, PauseReason, Subscription, SubscriptionState
from bot.storage import Storage
from bot.work import FallbackLevel, OutboxState
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    Queue,
    follow,
)
from tests.stored import stored_card, waiting_count

PICTURES = (
    Picture("avatar-b.png", "image/png", b"\x89PNG b"),
    Picture("avatar-a.png", "image/png", b"\x89PNG a"),
)


async def another(storage: Storage, subscription: Subscription) -> Subscription:
    """A second subscription in the same channel, of another project."""
    hook = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, "f00dcafe00", HookKind.OWN, MAREN_ODUYA, None
        )
    )
    channel_id = subscription.channel_id
    return await follow(storage, hook.id, channel_id)


async def pause(storage: Storage, subscription: Subscription) -> None:
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.MEMBER
        )
    )


async def test_a_card_makes_its_channel_due(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    await queue(subscription)
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.channel_id, due.guild_id, due.due_at) == (STRUCTURE, STUDIO_KESTREL, clock())
    assert await storage.read(lambda tx: tx.outbox.due_channels(10, frozenset({STRUCTURE}))) == []
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0
    assert await storage.read(lambda tx: tx.outbox.due_in({STRUCTURE})) is None
    assert await storage.read(waiting_count) == 1


async def test_messages_of_earlier_batches_are_known_by_their_channel(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 3))
    assert opened is not None
    sent = await storage.read(lambda tx: tx.outbox.sent_messages(STRUCTURE, [7, 8]))
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 7, clock()))
    assert sent == set()
    assert await storage.read(lambda tx: tx.outbox.sent_messages(STRUCTURE, [7, 8])) == {7}
    assert await storage.read(lambda tx: tx.outbox.sent_messages(FACADE, [7, 8])) == set()


async def test_a_batch_holds_the_oldest_cards_in_order_with_their_pictures(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    ids = [
        (await queue(subscription, title=f"card {n}", pictures=PICTURES[: n % 3]))[0]
        for n in range(5)
    ]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 3))
    assert opened is not None
    batch, rows = opened
    assert [row.id for row in rows] == ids[:3]
    assert [row.card["title"] for row in rows] == ["card 0", "card 1", "card 2"]
    assert [row.pictures for row in rows] == [(), PICTURES[:1], PICTURES]
    assert {row.batch_id for row in rows} == {batch.id}
    assert (batch.channel_id, len(batch.nonce)) == (STRUCTURE, 24)


async def test_an_open_batch_comes_again_just_as_it_was(
    storage: Storage, subscription: Subscription, queue: Queue, database_url: str
) -> None:
    await queue(subscription)
    first = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    await queue(subscription)
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) == first


async def test_the_caller_may_choose_fewer_cards(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    for _ in range(4):
        await queue(subscription)
    opened = await storage.write(
        lambda tx: tx.outbox.open_batch(STRUCTURE, 10, lambda rows: len(rows) // 2)
    )
    assert opened is not None
    assert len(opened[1]) == 2
    assert (
        await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10, lambda rows: 0))
        == opened
    )
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, opened[0].created_at))
    rest = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10, lambda rows: 0))
    assert rest is not None
    assert len(rest[1]) == 1


async def test_a_sent_batch_is_settled_once_and_the_rest_is_due(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    ids = [(await queue(subscription))[0] for _ in range(3)]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 2))
    assert opened is not None
    sent_at = clock()
    clock.forward(seconds=1)
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, sent_at))
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 9999, clock()))
    await storage.write(lambda tx: tx.outbox.mark_undeliverable(opened[0], "too late"))
    await storage.write(
        lambda tx: tx.outbox.mark_suspect(opened[0], 2, FallbackLevel.NO_MEDIA, "too late")
    )
    row = await storage.read(lambda tx: stored_card(tx, ids[1]))
    assert row is not None
    assert (row.state, row.message_id, row.sent_at, row.last_error) == (
        OutboxState.SENT,
        4242,
        sent_at,
        None,
    )
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert due.due_at == clock()
    rest = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 2))
    assert rest is not None
    assert [row.id for row in rest[1]] == ids[2:]
    assert rest[0].nonce != opened[0].nonce
    await storage.write(lambda tx: tx.outbox.mark_sent(rest[0], 4243, clock()))
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 2)) is None


async def test_an_undeliverable_batch_keeps_its_reason_and_lets_the_next_go(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    ids = [(await queue(subscription))[0] for _ in range(2)]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert opened is not None
    await storage.write(
        lambda tx: tx.outbox.mark_undeliverable(opened[0], "50035: Invalid Form Body")
    )
    row = await storage.read(lambda tx: stored_card(tx, ids[0]))
    assert row is not None
    assert (row.state, row.last_error) == (OutboxState.UNDELIVERABLE, "50035: Invalid Form Body")
    rest = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert rest is not None
    assert rest[1][0].id == ids[1]


async def test_the_cards_of_a_refused_batch_go_back_to_their_place_as_suspects(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    ids = [(await queue(subscription))[0] for _ in range(3)]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 2))
    assert opened is not None
    await storage.write(
        lambda tx: tx.outbox.mark_suspect(opened[0], 2, FallbackLevel.FULL, "50035")
    )
    again = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 3))
    assert again is not None
    assert [row.id for row in again[1]] == ids
    assert again[0].nonce != opened[0].nonce
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert due.suspects == 2


async def test_suspects_are_cleared_one_after_the_other(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    for _ in range(6):
        await queue(subscription)
    sizes = [(5, "refused"), (2, "sent"), (1, "sent"), (1, "refused"), (1, "gone")]
    left = []
    for count, outcome in sizes:
        opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, count))
        assert opened is not None
        if outcome == "refused":
            form = FallbackLevel.FULL if count > 1 else FallbackLevel.NO_MEDIA
            await storage.write(lambda tx: tx.outbox.mark_suspect(opened[0], count, form, "50035"))
        elif outcome == "sent":
            await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, clock()))
        else:
            assert opened[1][0].level is FallbackLevel.NO_MEDIA
            await storage.write(lambda tx: tx.outbox.mark_undeliverable(opened[0], "50035"))
        [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
        left.append(due.suspects)
    assert left == [5, 3, 2, 1, 0]


async def test_what_was_tried_in_vain_for_too_long_is_given_up_and_the_rest_goes_on(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    old = [(await queue(subscription))[0] for _ in range(2)]
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is not None
    clock.forward(hours=49)
    [young] = await queue(subscription)
    given_up = await storage.write(
        lambda tx: tx.outbox.give_up(STRUCTURE, clock() - timedelta(hours=48), "tried")
    )
    assert given_up == 2
    rows = [
        await storage.read(lambda tx: stored_card(tx, outbox_id)) for outbox_id in (*old, young)
    ]
    states = [(row.state, row.gave_up_at) for row in rows if row is not None]
    assert states == [(OutboxState.UNDELIVERABLE, clock())] * 2 + [(OutboxState.WAITING, None)]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert [row.id for row in opened[1]] == [young]


async def test_a_postponed_channel_waits_whatever_comes_after(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    failed_at = clock()
    await storage.write(
        lambda tx: tx.outbox.postpone(STRUCTURE, clock() + timedelta(seconds=5), "503")
    )
    clock.forward(seconds=1)
    await queue(subscription)
    assert await storage.read(lambda tx: tx.outbox.due_channels(10)) == []
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 4
    clock.forward(seconds=4)
    await storage.write(
        lambda tx: tx.outbox.postpone(STRUCTURE, clock() + timedelta(seconds=30), "timed out")
    )
    await storage.write(lambda tx: tx.outbox.postpone(STRUCTURE, clock(), None))
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.attempts, due.first_failed_at, due.last_error) == (2, failed_at, "timed out")
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, clock()))
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.attempts, due.first_failed_at, due.last_error) == (0, None, None)


async def test_cards_of_a_paused_subscription_wait_and_hold_nobody_up(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    second = await another(storage, subscription)
    [held] = await queue(subscription)
    [free] = await queue(second)
    await pause(storage, subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    batch, rows = opened
    assert [row.id for row in rows] == [free]
    await storage.write(lambda tx: tx.outbox.mark_sent(batch, 1, batch.created_at))
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    assert len(await storage.read(lambda tx: tx.outbox.due_channels(10))) == 1
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert [row.id for row in opened[1]] == [held]


async def test_an_open_batch_is_dissolved_only_when_all_of_it_is_paused(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    second = await another(storage, subscription)
    await queue(subscription)
    await queue(second)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    await pause(storage, subscription)
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) == opened
    await pause(storage, second)
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    await storage.write(lambda tx: tx.subscriptions.set_state(second.id, SubscriptionState.ACTIVE))
    again = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert again is not None
    assert [row.subscription_id for row in again[1]] == [second.id]
    assert again[0].nonce != opened[0].nonce


async def test_an_open_batch_outlives_the_subscription_of_one_of_its_cards(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    second = await another(storage, subscription)
    await queue(subscription)
    [left] = await queue(second)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    again = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert again is not None
    assert again[0] == opened[0]
    assert [row.id for row in again[1]] == [left]
    await storage.write(lambda tx: tx.subscriptions.delete(second.id))
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None


async def test_a_blocked_channel_pauses_its_subscriptions_and_keeps_its_cards(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    second = await another(storage, subscription)
    await pause(storage, second)
    [card] = await queue(subscription)
    await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    paused = await storage.write(
        lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.CHANNEL_GONE, "Unknown Channel")
    )
    assert paused == [subscription.id]
    reasons = [
        s.pause_reason
        for s in await storage.read(lambda tx: tx.subscriptions.of_channel(STRUCTURE))
    ]
    assert reasons == [PauseReason.CHANNEL_GONE, PauseReason.MEMBER]
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    await queue(subscription)
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None
    assert await storage.read(waiting_count) == 2
    assert (
        await storage.write(
            lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.CHANNEL_GONE, "again")
        )
        == []
    )
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE)
    )
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert opened[1][0].id == card


async def test_channels_do_not_wait_for_each_other(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    facade = await follow(storage, subscription.hook_id, FACADE)
    await queue(subscription)
    clock.forward(seconds=1)
    await queue(subscription, facade)
    assert [q.channel_id for q in await storage.read(lambda tx: tx.outbox.due_channels(10))] == [
        STRUCTURE,
        FACADE,
    ]
    assert [q.channel_id for q in await storage.read(lambda tx: tx.outbox.due_channels(1))] == [
        STRUCTURE
    ]
    both = await asyncio.gather(
        storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)),
        storage.write(lambda tx: tx.outbox.open_batch(FACADE, 10)),
    )
    assert [len(opened[1]) for opened in both if opened is not None] == [2, 1]


async def test_no_card_is_forgotten_when_one_is_written_while_another_is_settled(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    await queue(subscription)
    sent = 0
    writers: list[asyncio.Task[list[int]]] = [
        asyncio.create_task(queue(subscription)) for _ in range(20)
    ]
    while sent < 21:
        for due in await storage.read(lambda tx: tx.outbox.due_channels(10)):
            opened = await storage.write(lambda tx: tx.outbox.open_batch(due.channel_id, 2))
            if opened is not None:
                sent += len(opened[1])
                await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, clock()))
        if (
            all(writer.done() for writer in writers)
            and await storage.read(lambda tx: tx.outbox.due_in()) is None
        ):
            break
    await asyncio.gather(*writers)
    assert sent == 21


async def test_a_batch_that_its_channels_pause_holds_stays_as_it_was_until_all_is_resumed(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    beside = await another(storage, subscription)
    ids = [*await queue(subscription), *await queue(beside)]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    await storage.write(
        lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.NO_PERMISSION, "403")
    )
    await queue(subscription)  # a new event makes the channel due
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)) is None
    await storage.write(lambda tx: tx.subscriptions.set_state(beside.id, SubscriptionState.ACTIVE))
    resumed = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert resumed is not None
    assert resumed.state is SubscriptionState.ACTIVE
    again = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert again is not None
    assert again[0] == opened[0]
    assert [row.id for row in again[1]] == ids


async def test_of_each_guild_the_channels_that_are_due_the_longest_are_found(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    theirs = await storage.write(
        lambda tx: tx.hooks.create(1, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None)
    )
    for channel_id in (FACADE, FACADE + 1, FACADE + 2):
        clock.forward(seconds=1)
        mine = await follow(storage, subscription.hook_id, channel_id)
        await queue(mine)
    clock.forward(seconds=1)
    other = await follow(storage, theirs.id, 5)
    await queue(other)
    due = await storage.read(lambda tx: tx.outbox.due_channels(2))
    assert {queue.channel_id for queue in due} == {FACADE, FACADE + 1, 5}
    assert [queue.guild_id for queue in due].count(1) == 1
    rest = await storage.read(lambda tx: tx.outbox.due_channels(2, {FACADE, 5}))
    assert [queue.channel_id for queue in rest] == [FACADE + 1, FACADE + 2]


async def test_no_more_pictures_are_read_than_one_message_may_have(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    large = [Picture(f"{n}.png", "image/png", b"%d" % n * 400) for n in range(3)]
    for picture in large:
        await queue(subscription, pictures=(picture,))
    assert await storage.read(lambda tx: tx.outbox.next_bytes(STRUCTURE, 10)) == 1_200
    assert await storage.read(lambda tx: tx.outbox.next_bytes(FACADE, 10)) == 0
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10, max_bytes=1_000))
    assert opened is not None
    assert [row.pictures for row in opened[1]] == [(large[0],), (large[1],)]


async def test_a_card_whose_pictures_alone_are_too_large_is_read_all_the_same(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    await queue(subscription, pictures=PICTURES)
    await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10, max_bytes=1))
    assert opened is not None
    assert [row.pictures for row in opened[1]] == [PICTURES]
