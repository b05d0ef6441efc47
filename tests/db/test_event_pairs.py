"""What activity lists tell, for one subscription, beside what its webhook told: both databases."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256
from itertools import count
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from bot.db.tables import subscriptions
from bot.model import (
    Consent,
    Entitlement,
    Hook,
    HookKind,
    InboxSource,
    PauseReason,
    Subscription,
    SubscriptionState,
)
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    LISTENED_AGAIN,
    EventResult,
    FetchedEvent,
    HookResult,
    InboxEvent,
    InboxState,
    NewInboxEvent,
    TakenIn,
    ToPair,
)
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    follow,
)
from tests.stored import new_database

MINUTE = timedelta(minutes=1)
NAME = "commit_create"


def an_answer(at: datetime) -> Consent:
    return Consent(MAREN_ODUYA, at, Entitlement.OWNER, SubscriptionOptions(), "private")


async def rows(storage: Storage) -> list[InboxEvent]:
    found = [await storage.read(lambda tx: tx.inbox.get(row_id)) for row_id in range(1, 50)]
    return [row for row in found if row is not None]


def fetched(key: str, at: datetime) -> FetchedEvent:
    return FetchedEvent(at, key.split(":")[0], key, key.encode())


@dataclass(frozen=True)
class Lane:
    """One hook's lane, and how its rows are dealt with."""

    storage: Storage
    hook: Hook
    clock: Clock
    delivery: NewDelivery

    @property
    def name(self) -> str:
        return self.hook.ordering_key

    async def fill_in(self, subscription: Subscription, *some: FetchedEvent) -> TakenIn | None:
        there = await self.storage.read(lambda tx: tx.subscriptions.get(subscription.id))
        assert there is not None
        return await self.storage.write(
            lambda tx: tx.missed_events.add_from_lists(self.hook, there, some)
        )

    async def webhook(self) -> int:
        """A webhook that is taken, and not yet looked at."""
        new = self.delivery(hook_id=self.hook.id, lane=self.name)
        return (await self.storage.intake.accept(new)).id

    async def look_at(self, row_id: int, key: str, subject: str | None = None) -> set[int]:
        """Deal with a row; the subscriptions that it is shown to."""
        row = await self.storage.read(lambda tx: tx.inbox.get(row_id))
        assert row is not None
        followers = await self.storage.read(lambda tx: tx.subscriptions.of_hook(self.hook.id))
        if row.source is InboxSource.ACTIVITY:
            followers = [one for one in followers if one.id == row.subscription_id]
        subject = row.subject or subject
        pair = ToPair(row, key, subject)
        twins = await self.storage.read(lambda tx: tx.inbox.partners([pair], followers))
        already = twins.take(pair, followers)
        ingested = HookResult(self.hook.id, row.received_at, by_webhook=False, already=already)
        await self.storage.write(
            lambda tx: tx.inbox.finish([EventResult(row.id, [], NAME, key, subject, [ingested])])
        )
        return {one.id for one in followers if one.id not in already}

    async def work(self, key_of: Callable[[InboxEvent], str]) -> Counter[int]:
        """Deal with all that waits; how often each subscription was shown something."""
        shown: Counter[int] = Counter()
        while (row := await self.next()) is not None:
            shown.update(await self.look_at(row.id, row.event_key or key_of(row)))
        return shown

    async def next(self) -> InboxEvent | None:
        """What waits the longest."""
        for lane in await self.storage.read(lambda tx: tx.inbox.due_keys()):
            taken = await self.storage.read(
                lambda tx: tx.inbox.take(lane.ordering_key, 1, 1_000_000)
            )
            return taken.rows[0]
        return None


@pytest.fixture
async def lane(storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery) -> Lane:
    """The lane of a hook that has had a new version, an hour ago."""
    lane = Lane(storage, hook, clock, delivery)
    await lane.look_at(await lane.webhook(), f"{NAME}:v0")
    clock.forward(hours=1)
    return lane


@pytest.fixture
async def one(storage: Storage, hook: Hook) -> Subscription:
    return await follow(storage, hook.id, STRUCTURE)


@pytest.fixture
async def other(storage: Storage, hook: Hook) -> Subscription:
    return await follow(storage, hook.id, FACADE)


async def test_what_no_webhook_brought_is_filled_in_once_for_one_subscription(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    some = [fetched(f"{NAME}:v{n}", clock() + n * MINUTE) for n in range(1, 5)]
    done = await lane.fill_in(one, *some, some[1])
    assert done is not None
    assert len(done.rows) == 4
    await lane.work(lambda row: "")
    assert await lane.fill_in(one, *some) == TakenIn((), there=4)
    last = await lane.storage.read(lambda tx: tx.inbox.get(done.rows[-1]))
    assert last is not None
    assert (last.source, last.event_key) == (InboxSource.ACTIVITY, f"{NAME}:v4")
    assert (last.subscription_id, last.ordering_key) == (one.id, lane.name)


def about(said: str) -> str:
    """The subject of version v1, with one digest of what is said of it or another."""
    return f"{NAME}:v1#{said * 16}"


@pytest.mark.parametrize(
    ("minutes", "said", "is_same"),
    [(1, "a", True), (1, "b", True), (60, "a", True), (60, "b", False), (60 * 30, "a", False)],
)
async def test_a_webhook_and_a_list_tell_of_one_thing_at_that_time_or_in_the_same_words(
    one: Subscription, lane: Lane, clock: Clock, minutes: int, said: str, is_same: bool
) -> None:
    happened_at = clock()
    clock.forward(hours=minutes / 60)
    with lane.storage._database.writing() as connection:
        early = happened_at - timedelta(days=9)
        connection.execute(update(subscriptions).values(created_at=early))
    row_id = await lane.webhook()
    await lane.look_at(row_id, f"{NAME}:by webhook", about(said))
    entry = replace(fetched(f"{NAME}:by list", happened_at), subject=about("a"))
    done = await lane.fill_in(one, entry)
    assert done is not None
    assert len(done.rows) == (0 if is_same else 1)
    await lane.work(lambda row: "")
    edited = replace(fetched(f"{NAME}:edited", happened_at), subject=about("c"))
    assert await lane.fill_in(one, edited) == TakenIn((), there=1)


async def test_of_what_a_list_told_no_webhook_is_shown_again_however_often_it_comes(
    one: Subscription, other: Subscription, lane: Lane, clock: Clock
) -> None:
    entry = replace(fetched(f"{NAME}:by list", clock()), subject=about("a"))
    assert await lane.fill_in(one, entry) is not None
    await lane.work(lambda row: "")
    for said in ("b", "a"):
        clock.forward(hours=1)
        shown = await lane.look_at(await lane.webhook(), f"{NAME}:{said}", about(said))
        assert shown == {other.id}


async def test_each_subscription_has_rows_of_its_own(
    one: Subscription, other: Subscription, lane: Lane, clock: Clock
) -> None:
    entry = fetched(f"{NAME}:v1", clock())
    for subscription in (one, other):
        assert len((await lane.fill_in(subscription, entry) or TakenIn()).rows) == 1
    assert await lane.work(lambda row: "") == {one.id: 1, other.id: 1}


async def test_kinds_that_the_webhook_never_brought_are_left_alone(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    done = await lane.fill_in(one, fetched("comment_created:c1", clock()))
    assert done == TakenIn((), there=1)
    assert len(await rows(lane.storage)) == 1


async def test_while_events_wait_to_be_looked_at_nothing_is_filled_in(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    entry = fetched(f"{NAME}:v1", clock())
    waiting = await lane.webhook()
    assert await lane.fill_in(one, entry) is None
    assert await lane.look_at(waiting, f"{NAME}:v1") == {one.id}
    assert await lane.fill_in(one, entry) == TakenIn((), 1)


async def test_what_a_webhook_told_is_kept_without_its_body(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    await lane.look_at(await lane.webhook(), f"{NAME}:v1")
    await lane.fill_in(one, fetched(f"{NAME}:v1", clock()))
    known = (await rows(lane.storage))[-1]
    assert (known.source, known.state, known.body) == (InboxSource.ACTIVITY, InboxState.DONE, b"")


async def test_nothing_is_filled_in_for_a_subscription_that_is_gone_or_has_moved(
    one: Subscription, other: Subscription, lane: Lane, clock: Clock
) -> None:
    storage, entry = lane.storage, fetched(f"{NAME}:v1", clock())
    await storage.write(lambda tx: tx.subscriptions.delete(one.id))
    assert (
        await storage.write(lambda tx: tx.missed_events.add_from_lists(lane.hook, one, [entry]))
        == TakenIn()
    )
    made = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    await storage.write(
        lambda tx: tx.subscriptions.answered(other.id, an_answer(clock()), hook_id=made.id)
    )
    assert await lane.fill_in(other, entry) == TakenIn()


async def test_what_an_earlier_hook_told_does_not_count_for_who_came_later(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    """Resolved before the channel moved to the hook, and resolved again after."""
    key = f"{NAME}:again"
    await lane.look_at(await lane.webhook(), key)
    clock.forward(minutes=1)
    with lane.storage._database.writing() as connection:
        moved = update(subscriptions).where(subscriptions.c.id == one.id)
        connection.execute(moved.values(moved_at=clock()))
    clock.forward(minutes=1)
    assert len((await lane.fill_in(one, fetched(key, clock())) or TakenIn()).rows) == 1


async def test_a_channel_that_moves_is_shown_nothing_from_before(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    storage = lane.storage
    made = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    assert one.shows_since == one.created_at
    clock.forward(hours=1)
    await storage.write(
        lambda tx: tx.subscriptions.answered(one.id, an_answer(clock()), hook_id=made.id)
    )
    moved = await storage.read(lambda tx: tx.subscriptions.get(one.id))
    assert moved is not None
    assert moved.shows_since == clock()
    clock.forward(hours=1)
    await storage.write(
        lambda tx: tx.subscriptions.answered(one.id, an_answer(clock()), hook_id=made.id)
    )
    assert await storage.read(lambda tx: tx.subscriptions.get(one.id)) == replace(
        moved, consent=an_answer(clock()), updated_at=clock()
    )


async def test_a_webhook_a_day_later_is_an_event_of_its_own(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    key = f"{NAME}:again"
    await lane.fill_in(one, fetched(key, clock()))
    assert await lane.work(lambda row: "") == {one.id: 1}
    clock.forward(hours=25)
    assert await lane.look_at(await lane.webhook(), key) == {one.id}


async def test_of_equal_events_that_one_is_fetched_which_no_webhook_is_near(
    one: Subscription, lane: Lane, clock: Clock
) -> None:
    key, times = f"{NAME}:again", []
    for number in range(4):
        clock.forward(hours=1)
        times.append(clock())
        if number != 1:
            await lane.look_at(await lane.webhook(), key)
    done = await lane.fill_in(one, *(fetched(key, at) for at in times))
    assert done is not None
    (missed,) = done.rows
    row = await lane.storage.read(lambda tx: tx.inbox.get(missed))
    assert row is not None
    assert row.happened_at == times[1]


# ── both ways, in any order ───────────────────────────────────────────────────────────────────


class Step(Enum):
    """What can happen next: equal events come by a webhook, stand in the list, are looked at."""

    WEBHOOK = auto()
    LISTED = auto()
    READ_LIST = auto()
    LOOK = auto()
    RESTART = auto()


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(st.sampled_from(Step), max_size=25))
def test_of_equal_events_as_many_are_shown_as_the_larger_number_that_either_way_told(
    steps: list[Step], tmp_path: Path
) -> None:
    path = tmp_path / f"{secrets.token_hex(8)}.db"
    try:
        asyncio.run(_any_order(new_database(path), steps))
    finally:
        for file in tmp_path.glob(f"{path.name}*"):
            file.unlink()


def new_deliveries(clock: Clock) -> NewDelivery:
    """Deliveries as the fixture makes them; each body is another."""
    numbers = count(1)

    def make(*, lane: str, hook_id: int) -> NewInboxEvent:
        body = b"event %d" % next(numbers)
        digest = sha256(body).hexdigest()
        return NewInboxEvent(hook_id, lane, HARBOUR_TOWER, SERVER, digest, body, clock())

    return make


async def _any_order(url: str, steps: Sequence[Step]) -> None:
    clock, vault, key = Clock(), Vault([Fernet.generate_key().decode()]), f"{NAME}:equal"
    shown: Counter[int] = Counter()
    came, listed = 0, list[FetchedEvent]()
    async with AsyncExitStack() as stack:
        storage = await stack.enter_async_context(Storage.open(url, vault, clock))
        await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
        hook = await storage.write(
            lambda tx: tx.hooks.create(
                STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
            )
        )
        reads = await follow(storage, hook.id, STRUCTURE)
        without = await follow(storage, hook.id, FACADE)
        lane = Lane(storage, hook, clock, new_deliveries(clock))
        await lane.look_at(await lane.webhook(), f"{NAME}:another")
        for step in steps:
            clock.forward(minutes=3)
            match step:
                case Step.WEBHOOK:
                    await lane.webhook()
                    came += 1
                case Step.LISTED:
                    listed.append(fetched(key, clock()))
                case Step.READ_LIST:
                    await lane.fill_in(reads, *listed)
                case Step.LOOK:
                    if (row := await lane.next()) is not None:
                        shown.update(await lane.look_at(row.id, key))
                case Step.RESTART:
                    await stack.aclose()
                    storage = await stack.enter_async_context(Storage.open(url, vault, clock))
                    lane = replace(lane, storage=storage)
        shown += await lane.work(lambda row: key)
        assert await lane.fill_in(reads, *listed) is not None
        shown += await lane.work(lambda row: key)
    assert shown == +Counter({reads.id: max(came, len(listed)), without.id: came})


async def test_what_a_member_passed_over_meanwhile_is_not_taken_in(
    storage: Storage, clock: Clock, hook: Hook, one: Subscription
) -> None:
    """A list may be read while a member pauses what is live, and resumes it."""
    entry = fetched(f"{NAME}:a", clock())

    async def taken() -> TakenIn | None:
        # As it was when it was decided to read.
        return await storage.write(
            lambda tx: tx.missed_events.add_from_lists(hook, one, [entry], live=True)
        )

    paused = (SubscriptionState.PAUSED, PauseReason.MEMBER)
    await storage.write(lambda tx: tx.subscriptions.set_state(one.id, *paused))
    assert await taken() is None
    await storage.write(lambda tx: tx.subscriptions.set_state(one.id, SubscriptionState.ACTIVE))
    began = entry.at + timedelta(milliseconds=1) + LISTENED_AGAIN
    await storage.write(lambda tx: tx.listening.begin(one.id, began))
    assert await taken() == TakenIn()
    later = replace(entry, at=entry.at + timedelta(milliseconds=1))
    done = await storage.write(
        lambda tx: tx.missed_events.add_from_lists(hook, one, [later], live=True)
    )
    assert done is not None
    assert len(done.rows) == 1
