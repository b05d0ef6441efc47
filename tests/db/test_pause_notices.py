"""Notices on both databases: written with a pause, given out until they are settled."""

from datetime import timedelta

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.pause_notices import write_notices
from bot.model import Hook, HookKind, PauseReason, Subscription, SubscriptionState
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from tests.db.conftest import FACADE, MAREN_ODUYA, SERVER, STRUCTURE, STUDIO_KESTREL, Clock, Queue

TOBIAS = 720_000_000_000_000_002
DETAIL = "Discord answered 403 (50013): Missing Permissions"


async def write(database_url: str, clock: Clock, *ids: int, channel_id: int = STRUCTURE) -> None:
    async with Database.open(parse_url(database_url)) as database:
        with database.writing() as connection:
            write_notices(connection, channel_id, ids, PauseReason.NO_PERMISSION, DETAIL, clock())


async def follow(storage: Storage, project_id: str, by: int) -> Subscription:
    """#structure follows one more project."""
    hook = await storage.write(
        lambda tx: tx.hooks.create(STUDIO_KESTREL, SERVER, project_id, HookKind.OWN, by, STRUCTURE)
    )
    _, new = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, SubscriptionOptions(), by)
    )
    return new


async def test_each_maker_of_a_paused_subscription_is_to_be_told_once(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    others = [await follow(storage, f"0ther{n}", by) for n, by in ((1, MAREN_ODUYA), (2, TOBIAS))]
    await write(database_url, clock, subscription.id, *(one.id for one in others))
    notices = await storage.read(lambda tx: tx.pause_notices.due(10))
    assert [notice.user_id for notice in notices] == [MAREN_ODUYA, TOBIAS]
    for notice in notices:
        assert (notice.guild_id, notice.channel_id) == (STUDIO_KESTREL, STRUCTURE)
        assert (notice.reason, notice.detail) == (PauseReason.NO_PERMISSION, DETAIL)
        assert (notice.created_at, notice.next_try_at, notice.attempts) == (clock(), clock(), 0)
    assert [len(notice.nonce) for notice in notices] == [24, 24]
    assert notices[0].nonce != notices[1].nonce


async def test_where_nothing_was_paused_nobody_is_told(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    await write(database_url, clock)
    await write(database_url, clock, 4711)
    assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []


async def test_a_settled_notice_does_not_come_again_even_if_it_is_postponed(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    await write(database_url, clock, subscription.id)
    [notice] = await storage.read(lambda tx: tx.pause_notices.due(10))
    await storage.write(lambda tx: tx.pause_notices.settle(notice.id))
    await storage.write(lambda tx: tx.pause_notices.settle(notice.id))
    await storage.write(lambda tx: tx.pause_notices.postpone(notice.id, clock()))
    clock.forward(days=3)
    assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []


async def test_a_postponed_notice_comes_again_when_it_is_time(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    await write(database_url, clock, subscription.id)
    [first] = await storage.read(lambda tx: tx.pause_notices.due(10))
    await storage.write(
        lambda tx: tx.pause_notices.postpone(first.id, clock() + timedelta(minutes=1))
    )
    assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []
    clock.forward(minutes=1)
    [again] = await storage.read(lambda tx: tx.pause_notices.due(10))
    assert (again.id, again.nonce, again.attempts) == (first.id, first.nonce, 1)


async def test_the_longest_due_come_first_and_no_more_than_asked_for(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    for _ in range(3):
        await write(database_url, clock, subscription.id)
    ids = [notice.id for notice in await storage.read(lambda tx: tx.pause_notices.due(10))]
    await storage.write(
        lambda tx: tx.pause_notices.postpone(ids[0], clock() + timedelta(seconds=1))
    )
    clock.forward(seconds=2)
    assert [notice.id for notice in await storage.read(lambda tx: tx.pause_notices.due(2))] == ids[
        1:
    ]


async def test_kept_cards_are_counted_without_those_that_a_member_holds_back(
    storage: Storage, hook: Hook, subscription: Subscription, queue: Queue, clock: Clock
) -> None:
    _, elsewhere = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, FACADE, SubscriptionOptions(), MAREN_ODUYA)
    )
    held = await follow(storage, "0ther", TOBIAS)
    await queue(subscription)
    await queue(subscription, elsewhere)
    await queue(held)
    paused = SubscriptionState.PAUSED
    await storage.write(
        lambda tx: tx.subscriptions.set_state(
            subscription.id, paused, PauseReason.NO_PERMISSION, "no"
        )
    )
    await storage.write(
        lambda tx: tx.subscriptions.set_state(held.id, paused, PauseReason.MEMBER, str(TOBIAS))
    )
    assert await storage.read(lambda tx: tx.pause_notices.cards_kept(STRUCTURE)) == 2
    assert await storage.read(lambda tx: tx.pause_notices.cards_kept(FACADE)) == 1
    opened = await storage.write(lambda tx: tx.outbox.open_batch(FACADE, 10))
    assert opened is not None
    await storage.write(lambda tx: tx.outbox.mark_sent(opened[0], 1, clock()))
    assert await storage.read(lambda tx: tx.pause_notices.cards_kept(FACADE)) == 0


async def test_a_notice_goes_with_its_guild(
    storage: Storage, subscription: Subscription, clock: Clock, database_url: str
) -> None:
    await write(database_url, clock, subscription.id)
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    clock.forward(days=31)
    await storage.write(lambda tx: tx.guilds.erase_left_before(clock()))
    assert await storage.read(lambda tx: tx.pause_notices.due(10)) == []


async def test_a_guild_chooses_its_notice_channel_and_goes_back_to_none(
    storage: Storage, hook: Hook
) -> None:
    async def chosen() -> int | None:
        guild = await storage.read(lambda tx: tx.guilds.get(STUDIO_KESTREL))
        assert guild is not None
        return guild.notice_channel_id

    assert await chosen() is None
    await storage.write(lambda tx: tx.guilds.set_notice_channel(STUDIO_KESTREL, FACADE))
    assert await chosen() == FACADE
    await storage.write(lambda tx: tx.guilds.set_notice_channel(STUDIO_KESTREL, None))
    assert await chosen() is None


async def test_a_guild_that_is_not_known_yet_can_choose_one(storage: Storage) -> None:
    assert await storage.read(lambda tx: tx.guilds.get(7)) is None
    await storage.write(lambda tx: tx.guilds.set_notice_channel(7, FACADE))
    guild = await storage.read(lambda tx: tx.guilds.get(7))
    assert guild is not None
    assert guild.notice_channel_id == FACADE
