"""What a guild may send in a day, on both databases."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.database_content import RetentionPolicy
from bot.db.day_use import DayUse
from bot.model import Hook, HookKind
from bot.quota import DayQuota
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    CountingWindow,
    InboxReceipt,
    MissedEntry,
    NewInboxEvent,
)
from tests.db.conftest import MAREN_ODUYA, SERVER, STUDIO_KESTREL, Clock

QUOTA = DayQuota(STUDIO_KESTREL, events=20, bytes=10_000)
KEEP = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))

Put = Callable[..., NewInboxEvent]


@pytest.fixture
def event(clock: Clock) -> Put:
    """Events of a hook that count towards the quota; each body is another, unless it is given."""
    numbers = iter(range(10_000))

    def make(
        hook: Hook, size: int = 10, quota: DayQuota | None = QUOTA, body: bytes | None = None
    ) -> NewInboxEvent:
        body = body or (b"%d" % next(numbers)).ljust(size)
        digest, lane = sha256(body).hexdigest(), f"hook:{hook.id}"
        return NewInboxEvent(
            hook.id, lane, hook.project_id, SERVER, digest, body, clock(), quota=quota
        )

    return make


async def hook_for(storage: Storage, project_id: str, guild_id: int = STUDIO_KESTREL) -> Hook:
    return await storage.write(
        lambda tx: tx.hooks.create(guild_id, SERVER, project_id, HookKind.OWN, MAREN_ODUYA, None)
    )


async def taken(storage: Storage, *events: NewInboxEvent) -> int:
    """How many of these are taken, which come at the same time."""
    receipts = await asyncio.gather(*(storage.intake.accept(one) for one in events))
    assert all(receipt.id > 0 for receipt in receipts if not receipt.over_quota)
    return sum(not receipt.over_quota for receipt in receipts)


# ── the rule ──────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("hooks", "sent", "room"),
    [
        (1, {}, 20),  # a single hook has the whole day
        (2, {}, 15),  # of two, one leaves the other its share
        (2, {2: 5}, 15),
        (2, {2: 8}, 12),
        (2, {2: 15}, 5),  # its share, whatever the other sent
        (4, {}, 12),
        (4, {2: 12}, 3),  # two of its share, and a half of one from what is for all
        (20, {}, 10),  # a share below one event: what is for all
        (1, {9: 8}, 12),  # what a removed hook has sent is gone for today
        (2, {9: 20}, 0),
        (2, {2: 20}, 0),  # made when the day was used up
    ],
)
def test_half_of_a_day_is_for_all_and_half_is_divided(
    hooks: int, sent: dict[int, int], room: int
) -> None:
    use = DayUse(frozenset(range(1, hooks + 1)))
    for hook_id, events in sent.items():
        use.add(hook_id, events, 0)
    quota = DayQuota(STUDIO_KESTREL, events=20, bytes=1_000_000)
    while use.has_room(quota, 1, 1):
        use.add(1, 1, 1)
    assert use.events.of_hook.get(1, 0) == room


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 40)), max_size=60), st.integers(1, 6))
def test_whatever_the_order_a_day_is_never_exceeded_and_each_hook_gets_its_share(
    events: list[tuple[int, int]], hooks: int
) -> None:
    use = DayUse(frozenset(range(1, hooks + 1)))
    quota = DayQuota(STUDIO_KESTREL, events=24, bytes=600)
    for hook, size in events:
        hook_id = (hook - 1) % hooks + 1
        share = (use.events.of_hook.get(hook_id, 0) + 1 <= 24 / (2 * hooks)) and (
            use.bytes.of_hook.get(hook_id, 0) + size <= 600 / (2 * hooks)
        )
        room = use.has_room(quota, hook_id, size)
        assert room or not share
        if room:
            use.add(hook_id, 1, size)
    assert use.events.total <= 24
    assert use.bytes.total <= 600


# ── taking in ─────────────────────────────────────────────────────────────────────────────────


async def test_what_is_over_a_days_events_is_not_kept(
    storage: Storage, hook: Hook, event: Put
) -> None:
    assert await taken(storage, *(event(hook) for _ in range(25))) == 20
    used = await storage.read(lambda tx: tx.day_use.used(STUDIO_KESTREL))
    assert (used.events, used.bytes, used.hooks, used.subscriptions) == (20, 200, 1, 0)
    refused = await storage.intake.accept(event(hook))
    assert refused == InboxReceipt(0, duplicate=False, over_quota=True)


async def test_what_is_over_a_days_bytes_is_not_kept_and_a_smaller_one_is(
    storage: Storage, hook: Hook, event: Put
) -> None:
    assert await taken(storage, event(hook, 6_000), event(hook, 6_000), event(hook, 3_000)) == 2
    assert (await storage.read(lambda tx: tx.day_use.used(STUDIO_KESTREL))).bytes == 9_000


async def test_one_hook_cannot_use_up_what_the_others_need(
    storage: Storage, hook: Hook, event: Put
) -> None:
    others = [await hook_for(storage, f"{number:010}") for number in range(3)]
    assert await taken(storage, *(event(hook) for _ in range(30))) == 12
    for other, room in zip(others, (3, 2, 2), strict=True):
        assert await taken(storage, *(event(other) for _ in range(4))) == room
    assert await taken(storage, *(event(one, 400) for one in others)) == 0


async def test_other_guilds_and_events_without_a_quota_are_not_concerned(
    storage: Storage, hook: Hook, event: Put
) -> None:
    await taken(storage, *(event(hook) for _ in range(25)))
    other = await hook_for(storage, "0" * 10, guild_id=1)
    theirs = DayQuota(1, events=20, bytes=10_000)
    assert await taken(storage, *(event(other, quota=theirs) for _ in range(3))) == 3
    assert await taken(storage, event(hook, quota=None)) == 1


async def test_a_duplicate_does_not_count(storage: Storage, hook: Hook, event: Put) -> None:
    body = b"the same from each replica"
    for _ in range(3):
        await taken(storage, *(event(hook, body=body) for _ in range(10)))
    assert (await storage.read(lambda tx: tx.day_use.used(STUDIO_KESTREL))).events == 1


async def test_the_count_survives_a_restart(
    database_url: str, vault: Vault, clock: Clock, event: Put
) -> None:
    async with Storage.open(database_url, vault, clock) as before:
        hook = await hook_for(before, "a1b2c3d4e5")
        assert await taken(before, *(event(hook) for _ in range(15))) == 15
    async with Storage.open(database_url, vault, clock) as after:
        assert await taken(after, *(event(hook) for _ in range(15))) == 5


async def test_the_next_day_there_is_room_again(
    storage: Storage, hook: Hook, event: Put, clock: Clock
) -> None:
    await taken(storage, *(event(hook) for _ in range(25)))
    clock.forward(hours=14, minutes=59)
    assert await taken(storage, event(hook)) == 0
    clock.forward(minutes=2)
    assert await taken(storage, *(event(hook) for _ in range(25))) == 20


async def test_a_hook_that_is_removed_and_made_again_begins_no_new_day(
    storage: Storage, hook: Hook, event: Put
) -> None:
    await taken(storage, *(event(hook) for _ in range(25)))
    await storage.write(lambda tx: tx.hooks.delete(hook.id))
    again = await hook_for(storage, hook.project_id)
    assert await taken(storage, *(event(again) for _ in range(5))) == 0


async def test_a_guild_that_is_erased_and_comes_back_begins_no_new_day(
    storage: Storage, hook: Hook, event: Put, clock: Clock
) -> None:
    await taken(storage, *(event(hook) for _ in range(25)))
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert (
        await storage.write(lambda tx: tx.guilds.erase_left_before(clock() + timedelta(seconds=1)))
        == 1
    )
    again = await hook_for(storage, hook.project_id)
    assert await taken(storage, event(again)) == 0


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_two_processes_together_take_no_more_than_a_day(
    storage: Storage, database_url: str, vault: Vault, clock: Clock, hook: Hook, event: Put
) -> None:
    other = await hook_for(storage, "0" * 10)
    async with Storage.open(database_url, vault, clock) as second:
        counts = await asyncio.gather(
            *(
                taken(one, event(two))
                for _ in range(20)
                for one in (storage, second)
                for two in (hook, other)
            )
        )
    assert sum(counts) == 20
    assert (await storage.read(lambda tx: tx.day_use.used(STUDIO_KESTREL))).events == 20


# ── what memory knows ─────────────────────────────────────────────────────────────────────────


async def test_what_is_certainly_over_is_known_without_the_database(
    storage: Storage, hook: Hook, event: Put, clock: Clock
) -> None:
    quotas = storage.use_of_today
    assert quotas.has_room(QUOTA, hook.id, 10)  # nothing is known yet
    await taken(storage, *(event(hook) for _ in range(19)))
    assert quotas.has_room(QUOTA, hook.id, 10)
    await taken(storage, event(hook))
    assert not quotas.has_room(QUOTA, hook.id, 10)
    clock.forward(seconds=61)  # a hook may have been removed, which leaves more to the others
    assert quotas.has_room(QUOTA, hook.id, 10)
    await taken(storage, event(hook))
    assert not quotas.has_room(QUOTA, hook.id, 10)
    clock.forward(days=1)
    assert quotas.has_room(QUOTA, hook.id, 10)


# ── what is fetched later ─────────────────────────────────────────────────────────────────────


def missed(numbers: range, clock: Clock) -> tuple[list[MissedEntry], CountingWindow]:
    bodies = [b"missed %d" % number for number in numbers]
    entries = [
        MissedEntry(f"call {n}", clock(), sha256(body).hexdigest(), body)
        for n, body in zip(numbers, bodies, strict=True)
    ]
    recorded = {entry.digest: 1 for entry in entries}
    return entries, CountingWindow(recorded, clock() - timedelta(hours=1), 10**9)


async def test_what_was_missed_fills_half_a_day_and_goes_on_the_next(
    storage: Storage, hook: Hook, event: Put, clock: Clock
) -> None:
    half = QUOTA.halved()
    entries, window = missed(range(25), clock)
    await taken(storage, *(event(hook) for _ in range(4)))
    first = await storage.write(
        lambda tx: tx.missed_events.add_from_history(hook.id, entries, window, quota=half)
    )
    assert (len(first.rows), first.full) == (6, True)
    assert not await storage.read(lambda tx: tx.day_use.has_room_now(half, hook.id))
    again = await storage.write(
        lambda tx: tx.missed_events.add_from_history(hook.id, entries, window, quota=half)
    )
    assert (again.rows, again.full) == ((), True)
    assert await taken(storage, *(event(hook) for _ in range(12))) == 10  # the other half
    for rows, full in ((10, True), (9, False)):
        clock.forward(days=1)
        assert await storage.read(lambda tx: tx.day_use.has_room_now(half, hook.id))
        more = await storage.write(
            lambda tx: tx.missed_events.add_from_history(hook.id, entries, window, quota=half)
        )
        assert (len(more.rows), more.full) == (rows, full)
    assert await storage.read(lambda tx: tx.missed_events.handled(hook.id)) == {
        entry.call_id for entry in entries
    }


# ── telling, and forgetting ───────────────────────────────────────────────────────────────────


async def test_a_guild_is_told_once_a_day(storage: Storage, hook: Hook, clock: Clock) -> None:
    assert await storage.read(lambda tx: tx.day_use.due_notices()) == []
    await storage.write(lambda tx: tx.day_use.note(STUDIO_KESTREL, hook.id))
    await storage.write(lambda tx: tx.day_use.note(STUDIO_KESTREL, hook.id + 1))
    [notice] = await storage.read(lambda tx: tx.day_use.due_notices())
    assert (notice.guild_id, notice.hook_id, notice.day) == (
        STUDIO_KESTREL,
        hook.id,
        clock().date(),
    )
    await storage.write(lambda tx: tx.day_use.mark_notified(notice))
    await storage.write(lambda tx: tx.day_use.note(STUDIO_KESTREL, hook.id))
    assert await storage.read(lambda tx: tx.day_use.due_notices()) == []
    clock.forward(days=1)
    await storage.write(lambda tx: tx.day_use.note(STUDIO_KESTREL, hook.id))
    [tomorrows] = await storage.read(lambda tx: tx.day_use.due_notices())
    assert tomorrows.nonce != notice.nonce


async def test_the_counts_of_days_that_are_over_are_erased(
    storage: Storage, hook: Hook, event: Put, clock: Clock
) -> None:
    await taken(storage, *(event(hook) for _ in range(25)))
    await storage.write(lambda tx: tx.day_use.note(STUDIO_KESTREL, hook.id))
    clock.forward(days=1)
    await taken(storage, event(hook))
    assert "day_use" not in await storage.retention.tidy(KEEP)
    clock.forward(days=2)
    gone = await storage.retention.tidy(KEEP)
    assert (gone["day_use"], gone["quota_notices"]) == (1, 1)
    assert (await storage.read(lambda tx: tx.day_use.used(STUDIO_KESTREL))).events == 0
