"""What cards still lack, and the messages to be edited when it is there, on both databases."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.cards.card import Card, Picture
from bot.model import Hook, HookKind, Subscription
from bot.speckle.events import EventKind
from bot.storage import Storage
from bot.trace import TraceLine
from bot.work import (
    EditedChannel,
    EventResult,
    HookResult,
    LateAddition,
    LateEnrichmentJob,
    LateEnrichmentKey,
    NewCard,
    NewInboxEvent,
    OutboxCard,
    SubscriptionResult,
)
from tests.db.conftest import (
    FACADE,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    follow,
)
from tests.stored import stored_card

NOTE = TraceLine(datetime(2026, 3, 2, 9, 1, tzinfo=UTC), "fill in", "Its picture came late.")
LANE = LateEnrichmentKey(SERVER, STUDIO_KESTREL)
IN_STRUCTURE = EditedChannel(STRUCTURE, STUDIO_KESTREL)
PICTURE = Picture("preview-0123456789ab.png", "image/png", b"\x89PNG preview")
AVATAR = Picture("avatar-0123456789ab.png", "image/png", b"\x89PNG avatar")


def card(clock: Clock, title: str = "New version", *pictures: Picture) -> Card:
    return Card(
        kind=EventKind.VERSION_CREATED,
        title=title,
        url=None,
        description="Maren Oduya published a new version.",
        colour=1,
        author_name="Maren Oduya",
        author_icon=None,
        author_url=None,
        fields=(),
        footer="Harbour Tower",
        timestamp=clock(),
        pictures=pictures,
    )


@pytest.fixture
def ingest(storage: Storage, delivery: NewDelivery, clock: Clock) -> "Ingest":
    async def done(
        *subscriptions: Subscription,
        title: str = "New version",
        kinds: Sequence[LateAddition] = (LateAddition.PICTURE,),
        version_id: str | None = None,
        on_versions: tuple[str, ...] = (),
    ) -> list[int]:
        """One event's cards, which lack these things."""
        new: NewInboxEvent = delivery(hook_id=subscriptions[0].hook_id)
        receipt = await storage.intake.accept(new)
        late = {kind: clock() + timedelta(seconds=5) for kind in kinds}
        shown = card(clock, title, AVATAR)
        routed = [
            SubscriptionResult(
                s.id,
                NewCard.of(s, shown, version_id=version_id),
                late,
                on_versions=on_versions,
            )
            for s in subscriptions
        ]
        one = HookResult(subscriptions[0].hook_id, clock(), True, "Harbour Tower", results=routed)
        return await storage.write(
            lambda tx: tx.inbox.finish(
                [EventResult(receipt.id, (), "commit_create", of_hooks=[one])]
            )
        )

    return done


Ingest = Callable[..., Awaitable[list[int]]]


def with_picture(row: OutboxCard, _company: Sequence[OutboxCard]) -> Card:
    old = Card.from_json(dict(row.card), row.pictures)
    return replace(old, image=f"attachment://{PICTURE.name}", pictures=(*old.pictures, PICTURE))


async def the_job(storage: Storage, clock: Clock) -> LateEnrichmentJob:
    clock.forward(seconds=5)
    [job] = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    return job


async def send(storage: Storage, clock: Clock, message_id: int = 1) -> list[int]:
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], message_id, clock()))
    return [row.id for row in opened[1]]


async def test_an_event_without_anything_missing_leaves_no_job(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    await ingest(subscription, kinds=())
    clock.forward(days=1)
    assert await storage.read(lambda tx: tx.late_enrichment.due_keys(10)) == []
    assert await storage.read(lambda tx: tx.late_enrichment.due_in()) is None


async def test_what_is_missing_is_due_by_its_server(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    await ingest(subscription, kinds=(LateAddition.FACTS, LateAddition.PICTURE))
    assert await storage.read(lambda tx: tx.late_enrichment.due_in()) == 5
    assert await storage.read(lambda tx: tx.late_enrichment.due_keys(10)) == []
    clock.forward(seconds=5)
    assert await storage.read(lambda tx: tx.late_enrichment.due_keys(10)) == [LANE]
    assert await storage.read(lambda tx: tx.late_enrichment.due_keys(10, {LANE})) == []
    assert await storage.read(lambda tx: tx.late_enrichment.due_in({LANE})) is None
    facts, picture = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    assert (facts.kind, picture.kind) == (LateAddition.FACTS, LateAddition.PICTURE)
    await storage.write(
        lambda tx: tx.late_enrichment.postpone(facts.id, clock() + timedelta(seconds=10))
    )
    assert [job.id for job in await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))] == [
        picture.id
    ]
    await storage.write(lambda tx: tx.late_enrichment.drop(picture, NOTE))
    assert await storage.read(lambda tx: tx.late_enrichment.due_in()) == 10
    clock.forward(seconds=10)
    [again] = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    assert again.attempts == 1


async def test_a_card_that_waits_just_changes(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    [card_id] = await ingest(subscription)
    job = await the_job(storage, clock)
    assert await storage.write(lambda tx: tx.late_enrichment.fill(job, with_picture, NOTE)) == [
        card_id
    ]
    row = await storage.read(lambda tx: stored_card(tx, card_id))
    assert row is not None
    assert row.card["image"] == f"attachment://{PICTURE.name}"
    assert row.pictures == (AVATAR, PICTURE)
    assert await storage.read(lambda tx: tx.edits.due_in()) is None
    assert await storage.read(lambda tx: tx.late_enrichment.due_in()) is None


async def test_a_card_that_may_be_out_is_edited_once_its_message_is_settled(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    first = await ingest(subscription, title="one")
    second = await ingest(subscription, title="two", kinds=())
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    seen: list[list[int]] = []

    def change(row: OutboxCard, company: Sequence[OutboxCard]) -> Card:
        seen.append([one.id for one in company])
        return with_picture(row, company)

    job = await the_job(storage, clock)

    assert await storage.write(lambda tx: tx.late_enrichment.fill(job, change, NOTE)) == first
    assert seen == [second]
    assert await storage.read(lambda tx: tx.edits.due_channels(10)) == []
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 77, clock()))
    assert await storage.read(lambda tx: tx.edits.due_channels(10)) == [IN_STRUCTURE]
    assert await storage.read(lambda tx: tx.edits.due_channels(10, {STRUCTURE})) == []
    edit = await storage.read(lambda tx: tx.edits.next(STRUCTURE))
    assert edit is not None
    assert edit.message_id == 77
    assert [row.id for row in edit.rows] == [*first, *second]
    assert list(edit.revisions) == first
    await storage.write(lambda tx: tx.edits.failed(edit, clock() + timedelta(seconds=30)))
    assert await storage.read(lambda tx: tx.edits.next(STRUCTURE)) is None
    assert await storage.read(lambda tx: tx.edits.due_in()) == 30
    await storage.write(lambda tx: tx.edits.done(edit, clock()))
    assert await storage.read(lambda tx: tx.edits.due_in()) is None


async def test_a_card_that_changes_while_it_is_edited_is_edited_again(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    await ingest(subscription, kinds=(LateAddition.FACTS, LateAddition.PICTURE))
    await send(storage, clock)
    clock.forward(seconds=5)
    facts, picture = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    await storage.write(
        lambda tx: tx.late_enrichment.fill(
            facts, lambda *_: card(clock, "with facts", AVATAR), NOTE
        )
    )
    edit = await storage.read(lambda tx: tx.edits.next(STRUCTURE))
    assert edit is not None
    await storage.write(lambda tx: tx.late_enrichment.fill(picture, with_picture, NOTE))
    await storage.write(lambda tx: tx.edits.done(edit, clock()))
    again = await storage.read(lambda tx: tx.edits.next(STRUCTURE))
    assert again is not None
    [row] = again.rows
    assert row.card["title"] == "with facts"
    assert row.card["image"] == f"attachment://{PICTURE.name}"


async def test_versions_that_are_named_twice_are_asked_about_once(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    on_version = "9f2c41d07b"
    await ingest(subscription, kinds=(), version_id=on_version)
    await ingest(subscription, kinds=(LateAddition.FACTS,), on_versions=(on_version,))
    clock.forward(seconds=5)
    opened, facts = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    assert (opened.kind, facts.kind) == (LateAddition.OPENED, LateAddition.FACTS)
    later = clock() + timedelta(minutes=5)
    await storage.write(lambda tx: tx.late_enrichment.postpone(opened.id, later))
    filled = await storage.write(
        lambda tx: tx.late_enrichment.fill(
            facts, lambda *_: card(clock, "with facts"), NOTE, on_versions=(on_version,)
        )
    )
    assert len(filled) == 1
    [again] = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    assert again.id == opened.id


async def test_a_job_is_ended_once(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    await ingest(subscription)
    await send(storage, clock)
    job = await the_job(storage, clock)
    assert await storage.write(lambda tx: tx.late_enrichment.fill(job, lambda *_: None, NOTE)) == []
    assert await storage.write(lambda tx: tx.late_enrichment.fill(job, with_picture, NOTE)) == []
    assert await storage.read(lambda tx: tx.edits.due_in()) is None


async def test_a_message_whose_other_card_was_removed_is_left_as_it_is(
    storage: Storage, hook: Hook, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    other_hook = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, "f00dcafe00", HookKind.OWN, MAREN_ODUYA, None
        )
    )
    other = await follow(storage, other_hook.id, STRUCTURE)
    await ingest(subscription)
    await ingest(other, kinds=())
    await send(storage, clock)
    await storage.write(lambda tx: tx.subscriptions.delete(other.id))
    job = await the_job(storage, clock)
    await storage.write(lambda tx: tx.late_enrichment.fill(job, with_picture, NOTE))
    edit = await storage.read(lambda tx: tx.edits.next(STRUCTURE))
    assert edit is not None
    assert edit.rows == ()


async def test_each_subscription_has_a_job_of_its_own_which_fills_its_own_card(
    storage: Storage, hook: Hook, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    facade = await follow(storage, hook.id, FACADE)
    ids = await ingest(subscription, facade)
    await send(storage, clock)
    clock.forward(seconds=5)
    jobs = await storage.read(lambda tx: tx.late_enrichment.due(LANE, 10))
    assert [job.subscription_id for job in jobs] == [subscription.id, facade.id]
    filled = [
        await storage.write(lambda tx: tx.late_enrichment.fill(job, with_picture, NOTE))
        for job in jobs
    ]
    assert filled == [[ids[0]], [ids[1]]]
    assert await storage.read(lambda tx: tx.edits.due_channels(10)) == [IN_STRUCTURE]


async def test_a_job_goes_with_its_subscriptions_cards(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    await ingest(subscription)
    job = await the_job(storage, clock)
    assert await storage.read(lambda tx: tx.late_enrichment.has_cards(job))
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert not await storage.read(lambda tx: tx.late_enrichment.has_cards(job))
    assert (
        await storage.read(lambda tx: tx.late_enrichment.due_in()) is None
    )  # the hook is gone, and its jobs with it


async def test_a_card_is_never_sent_old_without_an_edit(
    storage: Storage, subscription: Subscription, ingest: Ingest, clock: Clock
) -> None:
    for number in range(15):
        await ingest(subscription, title=f"card {number}")
        job = await the_job(storage, clock)
        opened, changed = await asyncio.gather(
            storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10)),
            storage.write(lambda tx: tx.late_enrichment.fill(job, with_picture, NOTE)),
        )
        assert opened is not None
        await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], number + 1, clock()))
        [row] = opened[1]
        edit = await storage.read(lambda tx: tx.edits.next(STRUCTURE))
        assert changed == [row.id]
        assert row.card["image"] is not None or edit is not None
        if edit is not None:
            await storage.write(lambda tx: tx.edits.done(edit, clock()))
