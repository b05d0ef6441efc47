"""What whoever runs the bot reads of cards and does with them, on both databases."""

from datetime import timedelta

from sqlalchemy import select, update

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.outbox_admin import CARDS_A_TRANSACTION
from bot.db.tables import channel_queues, outbox
from bot.lookups import CardFilter, OutboxActionResult
from bot.model import PauseReason, Subscription, SubscriptionState
from bot.storage import Storage
from bot.work import FallbackLevel, OutboxState
from tests.db.conftest import FACADE, HARBOUR_TOWER, STRUCTURE, Clock, Queue, follow
from tests.stored import stored_card, waiting_count

REFUSED = "50035: Invalid Form Body"
UNDELIVERABLE = CardFilter(states=(OutboxState.UNDELIVERABLE,))
SENT = CardFilter(states=(OutboxState.SENT,))


async def refuse(storage: Storage, channel_id: int = STRUCTURE, cards: int = 1) -> None:
    """Discord does not take the oldest of what waits."""
    opened = await storage.write(lambda tx: tx.outbox.open_batch(channel_id, cards))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_undeliverable(opened[0], REFUSED))


async def state_of(storage: Storage, card_id: int) -> OutboxState | None:
    card = await storage.read(lambda tx: stored_card(tx, card_id))
    return None if card is None else card.state


async def test_cards_that_wait_or_were_refused_are_listed_the_newest_first(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    ids = [(await queue(subscription, title=f"card {n}"))[0] for n in range(3)]
    queued_at = clock()
    clock.forward(minutes=1)
    await refuse(storage)
    cards = await storage.read(lambda tx: tx.outbox_admin.newest(CardFilter(), 50))
    assert [card.id for card in cards] == ids[::-1]
    assert [card.title for card in cards] == ["card 2", "card 1", "card 0"]
    assert [card.since for card in cards] == [queued_at, queued_at, clock()]
    refused = cards[-1]
    assert (refused.state, refused.error) == (OutboxState.UNDELIVERABLE, REFUSED)
    assert (refused.project_id, refused.channel_id) == (HARBOUR_TOWER, STRUCTURE)
    assert [
        card.id for card in await storage.read(lambda tx: tx.outbox_admin.newest(CardFilter(), 1))
    ] == ids[2:]
    assert await storage.read(lambda tx: tx.outbox_admin.count(CardFilter())) == 3


async def test_a_list_may_be_of_one_state_guild_or_channel(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [first] = await queue(subscription)
    [second] = await queue(subscription)
    await refuse(storage)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, clock()))
    assert list(await storage.read(lambda tx: tx.outbox_admin.ids(UNDELIVERABLE))) == [first]
    [sent] = await storage.read(lambda tx: tx.outbox_admin.newest(SENT, 50))
    assert (sent.id, sent.message_id, sent.since) == (second, 4242, clock())
    assert await storage.read(lambda tx: tx.outbox_admin.count(CardFilter(channel_id=FACADE))) == 0
    assert await storage.read(lambda tx: tx.outbox_admin.count(CardFilter(guild_id=1))) == 0
    here = CardFilter(guild_id=subscription.guild_id, channel_id=STRUCTURE)
    assert await storage.read(lambda tx: tx.outbox_admin.count(here)) == 1


async def test_a_waiting_card_says_what_keeps_it(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [card_id] = await queue(subscription)
    until = clock() + timedelta(minutes=5)
    await storage.write(lambda tx: tx.outbox.postpone(STRUCTURE, until, "Discord has trouble"))
    [card] = await storage.read(lambda tx: tx.outbox_admin.get([card_id]))
    assert (card.due_at, card.attempts, card.channel_error) == (until, 1, "Discord has trouble")
    assert (card.in_flight, card.bot_left, card.pause) == (False, False, None)
    await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert (await storage.read(lambda tx: tx.outbox_admin.get([card_id])))[0].in_flight
    await storage.write(
        lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.THREAD_CLOSED, "160005")
    )
    await storage.write(lambda tx: tx.guilds.leave(subscription.guild_id))
    [card] = await storage.read(lambda tx: tx.outbox_admin.get([card_id, 999]))
    assert (card.pause, card.bot_left, card.held) == (PauseReason.THREAD_CLOSED, True, True)


async def test_the_last_card_of_a_deleted_project_is_not_held_by_the_pause(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    [card_id] = await queue(subscription)
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, SubscriptionState.PAUSED, PauseReason.PROJECT_DELETED
        )
    )
    assert [
        card.pause for card in await storage.read(lambda tx: tx.outbox_admin.get([card_id]))
    ] == [None]


async def test_a_refused_card_waits_again_whole_and_in_its_old_place(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database_url: str
) -> None:
    [first] = await queue(subscription)
    [second] = await queue(subscription)
    await refuse(storage)
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as c:
            c.execute(update(outbox).values(form=FallbackLevel.TEXT))
            c.execute(update(channel_queues).values(suspects=3))
    clock.forward(days=1)
    await storage.write(
        lambda tx: tx.outbox.postpone(
            STRUCTURE, clock() + timedelta(hours=1), "Discord has trouble"
        )
    )
    assert await storage.write(lambda tx: tx.outbox_admin.retry([first])) == {
        first: OutboxActionResult.REQUEUED
    }
    card = await storage.read(lambda tx: stored_card(tx, first))
    assert card is not None
    assert (card.state, card.level) == (OutboxState.WAITING, FallbackLevel.FULL)
    assert (card.gave_up_at, card.last_error, card.batch_id) == (None, None, None)
    [due] = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert (due.channel_id, due.attempts, due.suspects) == (STRUCTURE, 0, 0)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert [row.id for row in opened[1]] == [first, second]


async def test_a_waiting_card_is_tried_now_and_others_are_told_as_they_are(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [sent] = await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, clock()))
    [waiting] = await queue(subscription)
    await storage.write(
        lambda tx: tx.outbox.postpone(STRUCTURE, clock() + timedelta(hours=1), None)
    )
    assert await storage.write(lambda tx: tx.outbox_admin.retry([999, sent])) == {
        999: OutboxActionResult.ABSENT,
        sent: OutboxActionResult.SENT,
    }
    assert await storage.read(lambda tx: tx.outbox.due_channels(10)) == []
    assert await storage.write(lambda tx: tx.outbox_admin.retry([waiting])) == {
        waiting: OutboxActionResult.HASTENED
    }
    assert [
        due.channel_id for due in await storage.read(lambda tx: tx.outbox.due_channels(10))
    ] == [STRUCTURE]


async def test_a_held_card_does_not_make_its_channel_due_before_somebody_resumes_it(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    [refused] = await queue(subscription)
    await refuse(storage)
    [waiting] = await queue(subscription)
    await storage.write(
        lambda tx: tx.outbox.pause_channel(STRUCTURE, PauseReason.NO_PERMISSION, "50013")
    )
    done = await storage.write(lambda tx: tx.outbox_admin.retry([refused, waiting]))
    assert done == {refused: OutboxActionResult.REQUEUED, waiting: OutboxActionResult.HELD}
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    assert await state_of(storage, refused) is OutboxState.WAITING
    await storage.write(
        lambda tx: tx.subscriptions.set_state(subscription.id, SubscriptionState.ACTIVE, None)
    )
    assert await storage.read(lambda tx: tx.outbox.due_in()) == 0


async def test_very_many_cards_wait_again_in_their_order(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    number = CARDS_A_TRANSACTION + 1
    ids = [(await queue(subscription))[0] for _ in range(number)]
    await refuse(storage, cards=number)
    chosen = await storage.read(lambda tx: tx.outbox_admin.ids(UNDELIVERABLE))
    assert list(chosen) == ids
    done = await storage.retry_cards(chosen)
    assert done == dict.fromkeys(ids, OutboxActionResult.REQUEUED)
    assert await storage.read(waiting_count) == number
    assert [card.id for card in await storage.read(lambda tx: tx.outbox_admin.get(ids))] == ids[
        ::-1
    ]


async def test_dropped_cards_are_gone_and_the_next_ones_go_out(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    [refused] = await queue(subscription)
    [waiting] = await queue(subscription)
    [next_one] = await queue(subscription)
    await refuse(storage)
    done = await storage.write(lambda tx: tx.outbox_admin.drop([refused, waiting, 999]))
    assert done == {
        refused: OutboxActionResult.DROPPED,
        waiting: OutboxActionResult.DROPPED,
        999: OutboxActionResult.ABSENT,
    }
    assert [await state_of(storage, card_id) for card_id in (refused, waiting)] == [None, None]
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    assert opened is not None
    assert [row.id for row in opened[1]] == [next_one]


async def test_a_card_whose_message_may_be_at_discord_is_not_dropped(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    [card_id] = await queue(subscription)
    opened = await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1))
    assert opened is not None
    assert await storage.write(lambda tx: tx.outbox_admin.drop([card_id])) == {
        card_id: OutboxActionResult.IN_FLIGHT
    }
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1)) == opened
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 4242, clock()))
    assert await storage.write(lambda tx: tx.outbox_admin.drop([card_id])) == {
        card_id: OutboxActionResult.SENT
    }
    assert await state_of(storage, card_id) is OutboxState.SENT


async def test_when_the_last_waiting_card_is_dropped_its_channel_comes_to_rest(
    storage: Storage, subscription: Subscription, queue: Queue, database_url: str
) -> None:
    [card_id] = await queue(subscription)
    await storage.write(lambda tx: tx.outbox_admin.drop([card_id]))
    assert await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 1)) is None
    assert await storage.read(lambda tx: tx.outbox.due_in()) is None
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as c:
            assert c.scalars(select(outbox.c.id)).all() == []


async def test_cards_of_two_channels_are_tried_in_both(
    storage: Storage, subscription: Subscription, queue: Queue
) -> None:
    other = await follow(storage, subscription.hook_id, FACADE)
    ids = await queue(subscription, other)
    for channel_id in (STRUCTURE, FACADE):
        await refuse(storage, channel_id)
    await storage.write(lambda tx: tx.outbox_admin.retry(ids))
    due = await storage.read(lambda tx: tx.outbox.due_channels(10))
    assert {queue.channel_id for queue in due} == {STRUCTURE, FACADE}
