"""What a channel was shown of an issue it is not shown again, however often its event comes."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.model import Subscription
from bot.speckle.event_subjects import ISSUE_UPDATED, issue_subject
from bot.storage import Storage
from bot.trace import MissingWhy, TraceLine, TraceStep
from bot.work import (
    EventResult,
    HeldEvent,
    HookResult,
    LateAddition,
    LateEnrichmentJob,
    NewCard,
    SubscriptionResult,
)
from tests.db.conftest import FACADE, Clock, NewDelivery, follow
from tests.db.test_late_enrichment import card
from tests.stored import waiting_count

AT = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
CHANGE = issue_subject(ISSUE_UPDATED, "issue1", AT)
LATER = issue_subject(ISSUE_UPDATED, "issue1", AT + timedelta(seconds=90))
OTHER = issue_subject(ISSUE_UPDATED, "issue2", AT + timedelta(days=1))


def shows(one: Subscription, subject: str | None, **more: Any) -> SubscriptionResult:
    card = NewCard(one.id, one.guild_id, one.channel_id, {"title": "An issue was changed"})
    return SubscriptionResult(one.id, card, subject=subject, **more)


class Events:
    """Events of one lane that are finished with what they show."""

    def __init__(self, storage: Storage, delivery: NewDelivery, clock: Clock) -> None:
        self.storage = storage
        self.delivery = delivery
        self.clock = clock

    async def come(self, *events: tuple[Subscription, str | None]) -> list[int]:
        """These together; the ids of their cards."""
        results = []
        for one, subject in events:
            receipt = await self.storage.intake.accept(self.delivery())
            late = {LateAddition.FACTS: self.clock()} if subject is None else {}
            of_hook = HookResult(
                one.hook_id, self.clock(), True, results=[shows(one, subject, late=late)]
            )
            results.append(
                EventResult(receipt.id, [], "issue_updated", subject=subject, of_hooks=[of_hook])
            )
        return await self.storage.write(lambda tx: tx.inbox.finish(results))

    async def steps(self, inbox_id: int) -> list[str]:
        row = await self.storage.read(lambda tx: tx.inbox.get(inbox_id))
        assert row is not None
        return [line.step for line in row.trace]


@pytest.fixture
def events(storage: Storage, delivery: NewDelivery, clock: Clock) -> Events:
    return Events(storage, delivery, clock)


@pytest.fixture
async def facade(storage: Storage, subscription: Subscription) -> Subscription:
    """#facade follows the same hook."""
    return await follow(storage, subscription.hook_id, FACADE)


async def test_of_two_events_about_one_change_the_second_gives_no_card(
    events: Events, subscription: Subscription
) -> None:
    together = await events.come((subscription, CHANGE), (subscription, CHANGE))
    assert len(together) == 1
    assert await events.come((subscription, CHANGE)) == []
    assert [await events.steps(number) for number in (1, 2, 3)] == [
        [],
        [TraceStep.SHOWN_BEFORE],
        [TraceStep.SHOWN_BEFORE],
    ]


async def test_what_one_channel_was_shown_is_new_to_another(
    events: Events, subscription: Subscription, facade: Subscription
) -> None:
    assert len(await events.come((subscription, CHANGE), (facade, CHANGE))) == 2
    assert len(await events.come((facade, LATER), (subscription, OTHER))) == 2


async def test_an_event_that_nobody_could_identify_is_shown(
    events: Events, subscription: Subscription
) -> None:
    assert len(await events.come((subscription, None), (subscription, None))) == 2


async def test_the_newest_change_shown_before_an_event_is_that_of_its_own_issue(
    events: Events, storage: Storage, subscription: Subscription
) -> None:
    await events.come((subscription, CHANGE), (subscription, OTHER), (subscription, LATER))
    beginnings = [issue_subject(ISSUE_UPDATED, one) + ":" for one in ("reply9", "issue1")]

    async def newest(before_id: int) -> list[str]:
        return await storage.read(
            lambda tx: tx.inbox.newest_subjects("shared", beginnings, before_id)
        )

    first, last = (one.removeprefix(beginnings[1]) for one in (CHANGE, LATER))
    assert [await newest(number) for number in (1, 3, 4)] == [[], [first], [last]]


async def test_a_held_event_is_not_shown_where_a_later_one_told_of_it(
    events: Events, storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    await events.come((subscription, CHANGE))
    receipt = await storage.intake.accept(events.delivery())
    waits = SubscriptionResult(subscription.id, held_until=clock())
    of_hook = HookResult(subscription.hook_id, clock(), True, results=[waits])
    await storage.write(
        lambda tx: tx.inbox.finish([EventResult(receipt.id, [], "x", of_hooks=[of_hook])])
    )
    held = HeldEvent(subscription.id, receipt.id, 0, subscription.guild_id)
    result = shows(subscription, CHANGE)
    assert not await storage.write(lambda tx: tx.held_events.settle(held, clock(), result, []))
    assert await storage.read(lambda tx: tx.held_events.count([subscription.id])) == 0
    row = await storage.read(lambda tx: tx.inbox.get(receipt.id))
    assert row is not None
    assert row.subject == CHANGE
    about = {"subscription_id": subscription.id}
    assert [(line.step, line.facts) for line in row.trace] == [(TraceStep.SHOWN_BEFORE, about)]


async def test_of_two_plain_cards_only_one_gets_what_both_are_about(
    events: Events, storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    await events.come((subscription, None), (subscription, None))
    assert await storage.read(waiting_count) == 2
    (key,) = await storage.read(lambda tx: tx.late_enrichment.due_keys(9, ()))
    jobs = await storage.read(lambda tx: tx.late_enrichment.due(key, 9))
    whole = card(clock, "KT-12 · Beam clashes")
    note = TraceLine(clock(), "fill in", TraceStep.FILLED_IN)

    async def filled(job: LateEnrichmentJob) -> list[int]:
        return await storage.write(
            lambda tx: tx.late_enrichment.fill(job, lambda _row, _company: whole, note, CHANGE)
        )

    assert [await filled(job) for job in jobs] == [[1], []]
    assert await storage.read(waiting_count) == 2
    rows = [await storage.read(lambda tx: tx.inbox.get(job.inbox_id)) for job in jobs]
    last = [row.trace[-1] for row in rows if row is not None]
    assert [line.step for line in last] == [TraceStep.FILLED_IN, TraceStep.NOT_FILLED_IN]
    assert last[1].facts["missing"] == MissingWhy.SHOWN_ALREADY
