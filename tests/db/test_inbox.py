"""The inbox, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from bot.db.rows import (
    Hook,
    HookState,
    InboxState,
    Ingested,
    NewOutbox,
    Paused,
    PauseReason,
    Routed,
    Subscription,
    SubscriptionState,
    TraceLine,
)
from bot.errors import HookGone
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
)


async def test_a_delivery_is_kept_as_it_came(
    storage: Storage, hook: Hook, delivery: NewDelivery, clock: Clock
) -> None:
    body = bytes(range(256)) * 20
    receipt = await storage.intake.put(delivery(body, hook_id=hook.id, lane=f"hook:{hook.id}"))
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert not receipt.duplicate
    assert (row.body, row.hook_id, row.lane) == (body, hook.id, f"hook:{hook.id}")
    assert (row.state, row.attempts, row.trace) == (InboxState.NEW, 0, ())
    assert (row.project_id, row.server_url, row.received_at) == (HARBOUR_TOWER, SERVER, clock())
    assert await storage.read(lambda tx: tx.inbox.get(999)) is None


async def test_ids_follow_the_order_of_arrival(storage: Storage, delivery: NewDelivery) -> None:
    receipts = await asyncio.gather(*(storage.intake.put(delivery()) for _ in range(600)))
    ids = [receipt.id for receipt in receipts]
    assert ids == sorted(set(ids))
    later = await storage.intake.put(delivery())
    assert later.id > ids[-1]


async def test_the_same_body_in_a_lane_is_taken_once_for_a_minute(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    first = await storage.intake.put(delivery(b"double"))
    clock.forward(seconds=59)
    again = await storage.intake.put(delivery(b"double"))
    assert (again.id, again.duplicate) == (first.id, True)
    clock.forward(seconds=2)
    later = await storage.intake.put(delivery(b"double"))
    assert not later.duplicate
    assert later.id > first.id
    clock.forward(seconds=1)
    assert (await storage.intake.put(delivery(b"double"))).id == later.id


async def test_doubles_in_one_commit_and_in_several_lanes_are_told_apart(
    storage: Storage, delivery: NewDelivery
) -> None:
    lanes = ["hook:1", "hook:2", "hook:1", "hook:2", "hook:1"]
    receipts = await asyncio.gather(
        *(storage.intake.put(delivery(b"double", lane=lane)) for lane in lanes)
    )
    assert [receipt.duplicate for receipt in receipts] == [False, False, True, True, True]
    assert receipts[0].id == receipts[2].id == receipts[4].id
    assert receipts[1].id == receipts[3].id != receipts[0].id


async def test_a_finished_row_still_counts_as_the_first_of_its_doubles(
    storage: Storage, delivery: NewDelivery
) -> None:
    first = await storage.intake.put(delivery(b"double"))
    await storage.write(
        lambda tx: tx.inbox.finish(first.id, [], event_name="commit_create", ingested=[])
    )
    assert (await storage.intake.put(delivery(b"double"))).duplicate


async def test_one_delivery_that_cannot_be_kept_spoils_no_other(
    storage: Storage, delivery: NewDelivery
) -> None:
    _, refused, *others = await asyncio.gather(
        storage.intake.put(delivery()),
        storage.intake.put(delivery(hook_id=999)),
        storage.intake.put(delivery(lane="nul\0 and \ud800", project_id="\udfff")),
        storage.intake.put(delivery()),
        return_exceptions=True,
    )
    assert isinstance(refused, HookGone)  # which is no outage
    assert not [result for result in others if isinstance(result, BaseException)]


async def test_a_cancelled_request_harms_no_other(storage: Storage, delivery: NewDelivery) -> None:
    tasks = [asyncio.create_task(storage.intake.put(delivery())) for _ in range(20)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert not [result for result in results[1::2] if isinstance(result, BaseException)]


async def test_each_lane_gives_its_oldest_row(storage: Storage, delivery: NewDelivery) -> None:
    lanes = ["b", "a", "b", "c", "a", "Z", "ä"]
    ids = [(await storage.intake.put(delivery(lane=lane))).id for lane in lanes]
    heads = [ids[0], ids[1], ids[3], ids[5], ids[6]]
    assert [row.id for row in await storage.read(lambda tx: tx.inbox.next_per_lane())] == heads
    busy = frozenset({"b", "Z"})
    assert [row.lane for row in await storage.read(lambda tx: tx.inbox.next_per_lane(busy))] == [
        "a",
        "c",
        "ä",
    ]
    await storage.write(lambda tx: tx.inbox.fail(ids[0], []))
    assert (await storage.read(lambda tx: tx.inbox.next_per_lane()))[1].id == ids[2]


async def test_a_head_says_whose_turn_it_takes_and_how_large_it_is(
    storage: Storage, hook: Hook, delivery: NewDelivery
) -> None:
    await storage.intake.put(delivery(b"of the operator's hook", lane="shared"))
    await storage.intake.put(delivery(b"\xff" * 5_000, lane="own", hook_id=hook.id))
    heads = await storage.read(lambda tx: tx.inbox.next_per_lane())
    assert [(head.lane, head.guild_id, head.size) for head in heads] == [
        ("shared", None, 22),
        ("own", STUDIO_KESTREL, 5_000),
    ]


async def test_a_postponed_row_holds_its_lane_until_it_is_due(
    storage: Storage, delivery: NewDelivery, clock: Clock
) -> None:
    assert await storage.read(lambda tx: tx.inbox.due_in()) is None
    first = await storage.intake.put(delivery(lane="a"))
    await storage.intake.put(delivery(lane="a"))
    assert await storage.read(lambda tx: tx.inbox.due_in()) == 0
    line = TraceLine(clock(), "enrich", "Speckle did not answer.", {"attempt": 1})
    await storage.write(
        lambda tx: tx.inbox.postpone(first.id, [line], clock() + timedelta(seconds=30))
    )
    assert await storage.read(lambda tx: tx.inbox.next_per_lane()) == []
    assert await storage.read(lambda tx: tx.inbox.due_in()) == 30
    assert await storage.read(lambda tx: tx.inbox.due_in({"a"})) is None
    clock.forward(seconds=30)
    [head] = await storage.read(lambda tx: tx.inbox.next_per_lane())
    row = await storage.read(lambda tx: tx.inbox.get(head.id))
    assert row is not None
    assert (row.id, row.attempts, row.trace) == (first.id, 1, (line,))
    assert await storage.read(lambda tx: tx.inbox.due_in()) == 0


async def test_finishing_writes_everything_and_only_once(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    hook_id = subscription.hook_id
    _, second = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook_id, FACADE, SubscriptionOptions(), MAREN_ODUYA)
    )
    receipt = await storage.intake.put(delivery())
    clock.forward(seconds=2)
    card = {"title": "A new version\0 \ud800"}
    one = Ingested(
        hook_id,
        clock(),
        True,
        "Harbour Tower",
        routed=[
            Routed(s.id, NewOutbox(s.id, s.guild_id, s.channel_id, card))
            for s in (subscription, second)
        ],
    )
    line = TraceLine(clock(), "route", "Shown: it passes.", {"subscription_id": second.id})
    first = await storage.write(
        lambda tx: tx.inbox.finish(receipt.id, [line], event_name="commit_create", ingested=[one])
    )
    again = await storage.write(
        lambda tx: tx.inbox.finish(receipt.id, [], event_name="other", ingested=[one])
    )
    assert (len(first), again) == (2, [])
    assert await storage.read(lambda tx: tx.outbox.waiting_count()) == 2
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert (row.state, row.finished_at, row.event_name, row.trace) == (
        InboxState.DONE,
        clock(),
        "commit_create",
        (line,),
    )
    kept = await storage.read(lambda tx: tx.outbox.get(first[0]))
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
    assert await storage.read(lambda tx: tx.inbox.due_in()) is None


async def test_what_an_account_was_told_changes_nothing_of_the_hook(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    receipt = await storage.intake.put(delivery())
    names = {"0123456789": "secret/roof"}
    one = Ingested(subscription.hook_id, clock(), False, "Harbour Tower", names)
    before = await storage.read(lambda tx: tx.hooks.get(subscription.hook_id))
    await storage.write(
        lambda tx: tx.inbox.finish(receipt.id, [], event_name="commit_create", ingested=[one])
    )
    assert await storage.read(lambda tx: tx.hooks.get(subscription.hook_id)) == before
    assert await storage.read(lambda tx: tx.hooks.model_names(subscription.hook_id)) == {}


async def test_a_card_whose_subscription_was_removed_is_left_out(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    _, second = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            subscription.hook_id, FACADE, SubscriptionOptions(), MAREN_ODUYA
        )
    )
    await storage.write(lambda tx: tx.subscriptions.delete(second.id))
    assert len(await queue(second, subscription)) == 1


async def test_a_deleted_project_pauses_what_shows_it_after_the_last_card(
    storage: Storage, subscription: Subscription, delivery: NewDelivery, clock: Clock
) -> None:
    hook_id = subscription.hook_id
    _, second = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook_id, FACADE, SubscriptionOptions(), MAREN_ODUYA)
    )
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            second.id, SubscriptionState.PAUSED, PauseReason.MEMBER
        )
    )
    receipt = await storage.intake.put(delivery())
    last = NewOutbox(subscription.id, STUDIO_KESTREL, subscription.channel_id, {"title": "last"})
    deleted = Paused(PauseReason.PROJECT_DELETED)
    one = Ingested(
        hook_id,
        clock(),
        True,
        routed=[Routed(subscription.id, last, pause=deleted), Routed(second.id, pause=deleted)],
    )
    await storage.write(
        lambda tx: tx.inbox.finish(receipt.id, [], event_name="stream_delete", ingested=[one])
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
    receipt = await storage.intake.put(delivery())
    line = TraceLine(clock(), "parse", "The body is no Speckle delivery.")
    await storage.write(lambda tx: tx.inbox.fail(receipt.id, [line]))
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert (row.state, row.trace, row.event_name) == (InboxState.FAILED, (line,), None)
    assert await storage.read(lambda tx: tx.inbox.next_per_lane()) == []


async def test_a_time_without_a_zone_is_refused(storage: Storage, hook: Hook, clock: Clock) -> None:
    with pytest.raises(Exception, match="without a zone"):
        await storage.write(lambda tx: tx.hooks.touch(hook.id, None, clock().replace(tzinfo=None)))
