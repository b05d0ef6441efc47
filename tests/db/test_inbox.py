"""The inbox, on both databases."""

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from bot.db.tables import inbox
from bot.errors import AlreadyFinished, HookGone
from bot.model import (
    AccessPause,
    Hook,
    HookState,
    InboxSource,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.speckle.events import KnownThread, ProjectNames
from bot.storage import Storage
from bot.trace import TraceLine
from bot.work import (
    EventResult,
    HookResult,
    InboxKey,
    InboxState,
    NameChanges,
    NewCard,
    SubscriptionResult,
)
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    SERVER,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
    follow,
)
from tests.stored import new_count, note_event, stored_card, waiting_count


async def test_a_delivery_is_kept_as_it_came(
    storage: Storage, hook: Hook, delivery: NewDelivery, clock: Clock
) -> None:
    body = bytes(range(256)) * 20
    receipt = await storage.intake.accept(delivery(body, hook_id=hook.id, lane=f"hook:{hook.id}"))
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert not receipt.duplicate
    assert (row.body, row.hook_id, row.ordering_key) == (body, hook.id, f"hook:{hook.id}")
    assert (row.state, row.trace) == (InboxState.NEW, ())
    assert (row.project_id, row.server_url, row.received_at) == (HARBOUR_TOWER, SERVER, clock())
    assert await storage.read(lambda tx: tx.inbox.get(999)) is None


async def test_ids_follow_the_order_of_arrival(storage: Storage, delivery: NewDelivery) -> None:
    receipts = await asyncio.gather(*(storage.intake.accept(delivery()) for _ in range(600)))
    ids = [receipt.id for receipt in receipts]
    assert ids == sorted(set(ids))
    later = await storage.intake.accept(delivery())
    assert later.id > ids[-1]


async def test_the_same_body_in_a_lane_is_taken_once_for_a_minute(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    first = await storage.intake.accept(delivery(b"double"))
    clock.forward(seconds=59)
    again = await storage.intake.accept(delivery(b"double"))
    assert (again.id, again.duplicate) == (first.id, True)
    clock.forward(seconds=2)
    later = await storage.intake.accept(delivery(b"double"))
    assert not later.duplicate
    assert later.id > first.id
    clock.forward(seconds=1)
    assert (await storage.intake.accept(delivery(b"double"))).id == later.id


async def test_doubles_in_one_commit_and_in_several_lanes_are_told_apart(
    storage: Storage, delivery: NewDelivery
) -> None:
    lanes = ["hook:1", "hook:2", "hook:1", "hook:2", "hook:1"]
    receipts = await asyncio.gather(
        *(storage.intake.accept(delivery(b"double", lane=lane)) for lane in lanes)
    )
    assert [receipt.duplicate for receipt in receipts] == [False, False, True, True, True]
    assert receipts[0].id == receipts[2].id == receipts[4].id
    assert receipts[1].id == receipts[3].id != receipts[0].id


async def test_a_finished_row_still_counts_as_the_first_of_its_doubles(
    storage: Storage, delivery: NewDelivery
) -> None:
    first = await storage.intake.accept(delivery(b"double"))
    await storage.write(lambda tx: tx.inbox.finish([EventResult(first.id, [], "commit_create")]))
    assert (await storage.intake.accept(delivery(b"double"))).duplicate


async def test_one_delivery_that_cannot_be_kept_spoils_no_other(
    storage: Storage, delivery: NewDelivery
) -> None:
    _, refused, *others = await asyncio.gather(
        storage.intake.accept(delivery()),
        storage.intake.accept(delivery(hook_id=999)),
        storage.intake.accept(delivery(lane="nul\0 and \ud800", project_id="\udfff")),
        storage.intake.accept(delivery()),
        return_exceptions=True,
    )
    assert isinstance(refused, HookGone)  # which is no outage
    assert not [result for result in others if isinstance(result, BaseException)]


async def test_a_cancelled_request_harms_no_other(storage: Storage, delivery: NewDelivery) -> None:
    tasks = [asyncio.create_task(storage.intake.accept(delivery())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [result for result in results[1::2] if isinstance(result, BaseException)]


async def waiting_lanes(storage: Storage, busy: frozenset[str] = frozenset()) -> list[str]:
    return [one.ordering_key for one in await storage.read(lambda tx: tx.inbox.due_keys(busy))]


async def test_lanes_are_given_in_the_order_of_their_oldest_rows(
    storage: Storage, delivery: NewDelivery
) -> None:
    assert await storage.read(lambda tx: tx.inbox.due_keys()) == []
    lanes = ["b", "a", "b", "c", "a", "Z", "ä"]
    ids = [(await storage.intake.accept(delivery(lane=lane))).id for lane in lanes]
    assert await waiting_lanes(storage) == ["b", "a", "c", "Z", "ä"]
    assert await waiting_lanes(storage, frozenset({"b", "Z"})) == ["a", "c", "ä"]
    await storage.write(lambda tx: tx.inbox.finish([EventResult(ids[0], [])]))
    assert await waiting_lanes(storage) == ["a", "b", "c", "Z", "ä"]


async def test_a_lane_says_whose_turn_it_takes(
    storage: Storage, hook: Hook, delivery: NewDelivery
) -> None:
    await storage.intake.accept(delivery(lane="shared"))
    await storage.intake.accept(delivery(lane="own", hook_id=hook.id))
    assert await storage.read(lambda tx: tx.inbox.due_keys()) == [
        InboxKey("shared", None),
        InboxKey("own", STUDIO_KESTREL),
    ]


@pytest.mark.parametrize(
    ("sizes", "most", "taken", "more"),
    [
        ([], 3, 0, False),
        ([10], 3, 1, False),
        ([10, 10], 3, 2, False),
        ([10, 10, 10, 10], 3, 3, True),
        ([50, 50, 1], 3, 2, True),  # no more bytes than that
        ([50, 51, 1], 3, 1, True),  # none goes before another
    ],
)
async def test_what_waits_in_a_lane_is_taken_together(
    storage: Storage, delivery: NewDelivery, sizes: list[int], most: int, taken: int, more: bool
) -> None:
    await storage.intake.accept(delivery(lane="b"))
    ids = [
        (await storage.intake.accept(delivery(bytes([number]) * size, lane="a"))).id
        for number, size in enumerate(sizes)
    ]
    found = await storage.read(lambda tx: tx.inbox.take("a", most, 100))
    assert [row.id for row in found.rows] == ids[:taken]
    assert [len(row.body) for row in found.rows] == sizes[:taken]
    assert (found.too_large, found.more) == (None, more)


async def test_a_large_first_row_is_named_and_not_read(
    storage: Storage, delivery: NewDelivery
) -> None:
    large = await storage.intake.accept(delivery(bytes(101), lane="a"))
    await storage.intake.accept(delivery(lane="a"))
    found = await storage.read(lambda tx: tx.inbox.take("a", 3, 100))
    assert (found.rows, found.too_large, found.more) == ([], large.id, True)


async def test_what_came_in_another_way_is_taken_by_itself(
    storage: Storage, delivery: NewDelivery
) -> None:
    sources = [InboxSource.HISTORY, InboxSource.HISTORY, InboxSource.WEBHOOK, InboxSource.HISTORY]
    for source in sources:
        await storage.intake.accept(replace(delivery(lane="a"), source=source))
    found = await storage.read(lambda tx: tx.inbox.take("a", 10, 10_000))
    assert ([row.source for row in found.rows], found.more) == (sources[:2], True)


async def test_what_is_for_one_subscription_alone_is_not_taken_with_what_is_for_another(
    storage: Storage, subscription: Subscription, delivery: NewDelivery
) -> None:
    for _ in range(2):
        await storage.intake.accept(replace(delivery(lane="a"), source=InboxSource.ACTIVITY))
    await storage.write(
        lambda tx: tx.session.execute(
            update(inbox).where(inbox.c.id == 2).values(subscription_id=subscription.id)
        )
    )
    found = await storage.read(lambda tx: tx.inbox.take("a", 10, 10_000))
    assert [row.subscription_id for row in found.rows] == [None]


async def test_of_events_that_another_process_finished_nothing_is_written(
    storage: Storage, delivery: NewDelivery
) -> None:
    ids = [(await storage.intake.accept(delivery(lane="a"))).id for _ in range(3)]
    await storage.write(lambda tx: tx.inbox.finish([EventResult(ids[1], [])]))
    with pytest.raises(AlreadyFinished):
        await storage.write(lambda tx: tx.inbox.finish([EventResult(one) for one in ids]))
    assert await storage.read(new_count) == 2


async def test_finishing_writes_everything_and_only_once(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    hook_id = subscription.hook_id
    second = await follow(storage, hook_id, FACADE)
    receipt = await storage.intake.accept(delivery())
    clock.forward(seconds=2)
    card = {"title": "A new version\0 \ud800"}
    one = HookResult(
        hook_id,
        clock(),
        True,
        "Harbour Tower",
        results=[
            SubscriptionResult(s.id, NewCard(s.id, s.guild_id, s.channel_id, card))
            for s in (subscription, second)
        ],
    )
    line = TraceLine(clock(), "route", "Shown: it passes.", {"subscription_id": second.id})
    first = await storage.write(
        lambda tx: tx.inbox.finish(
            [EventResult(receipt.id, [line], "commit_create", of_hooks=[one])]
        )
    )
    with pytest.raises(AlreadyFinished):
        await storage.write(
            lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "other", of_hooks=[one])])
        )
    assert len(first) == 2
    assert await storage.read(waiting_count) == 2
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert (row.state, row.finished_at, row.event_name, row.trace) == (
        InboxState.DONE,
        clock(),
        "commit_create",
        (line,),
    )
    kept = await storage.read(lambda tx: stored_card(tx, first[0]))
    assert kept is not None
    assert (kept.card, kept.inbox_id, kept.channel_id) == (
        card,
        receipt.id,
        subscription.channel_id,
    )
    hook = await storage.read(lambda tx: tx.hooks.get(hook_id))
    assert hook is not None
    assert (hook.state, hook.project_name) == (HookState.LIVE, "Harbour Tower")
    # Whatever an event says: a hook stays with its server.
    assert (hook.server_url, hook.live_at, hook.last_event_at) == (SERVER, clock(), clock())
    touched = await storage.read(lambda tx: tx.subscriptions.get(second.id))
    assert touched is not None
    assert touched.last_event_at == clock()
    assert await storage.read(new_count) == 0


async def test_what_an_account_was_told_changes_nothing_of_the_hook(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    receipt = await storage.intake.accept(delivery())
    one = HookResult(
        subscription.hook_id,
        clock(),
        False,
        "Harbour Tower",
        models=NameChanges({"0123456789": "secret/roof"}),
        people=NameChanges({"9876543210": "Ilse Brandt"}),
        threads={"5555555555": KnownThread("The roof leaks")},
    )
    before = await storage.read(lambda tx: tx.hooks.get(subscription.hook_id))
    await storage.write(
        lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "commit_create", of_hooks=[one])])
    )
    assert await storage.read(lambda tx: tx.hooks.get(subscription.hook_id)) == before
    assert await storage.read(lambda tx: tx.hooks.names(subscription.hook_id)) == ProjectNames()
    threads = await storage.read(
        lambda tx: tx.hooks.threads_of([subscription.hook_id], ["5555555555"])
    )
    assert threads == {subscription.hook_id: {}}


async def test_a_card_whose_subscription_was_removed_is_left_out(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    second = await follow(storage, subscription.hook_id, FACADE)
    await storage.write(lambda tx: tx.subscriptions.delete(second.id))
    assert len(await queue(second, subscription)) == 1


async def test_a_deleted_project_pauses_what_shows_it_after_the_last_card(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    hook_id = subscription.hook_id
    second = await follow(storage, hook_id, FACADE)
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            second.id, SubscriptionState.PAUSED, PauseReason.MEMBER
        )
    )
    receipt = await storage.intake.accept(delivery())
    last = NewCard(subscription.id, STUDIO_KESTREL, subscription.channel_id, {"title": "last"})
    deleted = AccessPause(PauseReason.PROJECT_DELETED)
    one = HookResult(
        hook_id,
        clock(),
        True,
        results=[
            SubscriptionResult(subscription.id, last, pause=deleted),
            SubscriptionResult(second.id, pause=deleted),
        ],
    )
    await storage.write(
        lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "stream_delete", of_hooks=[one])])
    )
    reasons = [
        s.pause_reason for s in await storage.read(lambda tx: tx.subscriptions.of_hook(hook_id))
    ]
    assert reasons == [PauseReason.PROJECT_DELETED, PauseReason.MEMBER]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(subscription.channel_id, 10))
    assert opened is not None
    assert [row.card for row in opened[1]] == [{"title": "last"}]


async def test_a_failed_row_is_set_aside_with_its_trace(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    receipt = await storage.intake.accept(delivery())
    line = TraceLine(clock(), "parse", "The body is no Speckle delivery.")
    await storage.write(lambda tx: tx.inbox.finish([EventResult(receipt.id, [line])]))
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert (row.state, row.trace, row.event_name) == (InboxState.FAILED, (line,), None)
    assert await storage.read(lambda tx: tx.inbox.due_keys()) == []


async def test_a_time_without_a_zone_is_refused(storage: Storage, hook: Hook, clock: Clock) -> None:
    with pytest.raises(Exception, match="without a zone"):
        await storage.write(lambda tx: note_event(tx, hook.id, None, clock().replace(tzinfo=None)))
