"""Guilds and the erasure of what they leave, on both databases."""

from datetime import timedelta

from sqlalchemy import func, select

from bot.cards.card import Picture
from bot.database_content import RetentionPolicy
from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import metadata
from bot.lookups import DiscordName
from bot.model import Guild, Hook, HookKind, HookState, Subscription
from bot.storage import Storage
from tests.db.conftest import (
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    NewDelivery,
    Queue,
    follow,
)
from tests.stored import note_event

PICTURE = Picture("avatar.png", "image/png", b"\x89PNG")
KEEP = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))


async def counts(database_url: str) -> dict[str, int]:
    found = {}
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as c:
            for table in metadata.sorted_tables:
                found[table.name] = c.scalar(select(func.count()).select_from(table)) or 0
    return found


async def state(storage: Storage, hook: Hook) -> HookState:
    found = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert found is not None
    return found.state


async def test_a_guild_is_known_from_its_first_join_or_hook(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    joined_at = clock()
    clock.forward(days=1)
    await storage.write(lambda tx: tx.guilds.join(1))
    await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
    assert await storage.read(lambda tx: tx.guilds.all()) == [
        Guild(1, clock(), None, None),
        Guild(STUDIO_KESTREL, joined_at, None, None),
    ]


async def test_hooks_close_with_the_guild_and_open_again_as_they_were(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    live = await storage.write(
        lambda tx: tx.hooks.create(STUDIO_KESTREL, SERVER, "0ther", HookKind.OWN, MAREN_ODUYA, None)
    )
    await storage.write(lambda tx: note_event(tx, live.id))
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert [await state(storage, h) for h in (hook, live)] == [HookState.CLOSED] * 2
    await storage.write(lambda tx: note_event(tx, hook.id))
    assert await state(storage, hook) == HookState.CLOSED
    left_at = clock()
    clock.forward(days=1)
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert [guild.left_at for guild in await storage.read(lambda tx: tx.guilds.all())] == [left_at]
    await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
    assert [await state(storage, h) for h in (hook, live)] == [HookState.WAITING, HookState.LIVE]
    assert [guild.left_at for guild in await storage.read(lambda tx: tx.guilds.all())] == [None]


async def test_all_that_a_left_guild_had_is_erased_and_nothing_of_others(
    storage: Storage,
    subscription: Subscription,
    queue: Queue,
    delivery: NewDelivery,
    clock: Clock,
    database_url: str,
) -> None:
    own = subscription.hook_id
    await storage.intake.accept(delivery(hook_id=own, lane=f"hook:{own}"))
    await queue(subscription, pictures=(PICTURE,))
    await storage.write(lambda tx: tx.outbox.open_batch(STRUCTURE, 10))
    stays = await storage.write(
        lambda tx: tx.hooks.create(1, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None)
    )
    other = await follow(storage, stays.id, 5)
    kept = Picture("other.png", "image/png", b"\x89PNG other")
    await queue(other, pictures=(kept,))
    await storage.write(lambda tx: tx.outbox.open_batch(5, 10))
    places = ((STUDIO_KESTREL, STUDIO_KESTREL), (STRUCTURE, STUDIO_KESTREL), (1, 1), (5, 1), (6, 1))
    names = [DiscordName(id_, guild_id, f"name of {id_}") for id_, guild_id in places]
    await storage.write(lambda tx: tx.discord_names.put(names))

    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert (
        await storage.write(lambda tx: tx.guilds.erase_left_before(clock() - timedelta(days=30)))
        == 0
    )
    clock.forward(days=31)
    assert (
        await storage.write(lambda tx: tx.guilds.erase_left_before(clock() - timedelta(days=30)))
        == 1
    )
    await storage.retention.tidy(KEEP)

    assert await counts(database_url) == {
        "guilds": 1,
        "hooks": 1,
        "subscriptions": 1,
        "outbox": 1,
        "outbox_pictures": 1,
        "pictures": 1,
        "batches": 1,
        "channel_queues": 1,
        "bodies": 1,
        "inbox": 1,  # what the other guild's card shows
        "facts": 1,
        "models": 0,
        "people": 0,
        "threads": 0,
        "project_names": 0,
        "remembered_projects": 0,
        "notices": 0,
        "accounts": 0,
        "link_requests": 0,
        "pending_commands": 0,
        "history_taken": 0,
        "fill_ins": 0,
        "held_events": 0,
        "edits": 0,
        "webhook_removals": 0,
        "day_use": 0,
        "quota_notices": 0,
        "audit_log": 1,
        "audit_channels": 0,
        "discord_names": 2,  # of the other guild, and of its channel that follows something
    }
    opened = await storage.write(lambda tx: tx.outbox.open_batch(5, 10))
    assert opened is not None
    assert opened[1][0].pictures == (kept,)


async def test_pictures_that_no_card_needs_any_more_are_erased(
    storage: Storage, subscription: Subscription, queue: Queue, clock: Clock, database_url: str
) -> None:
    await queue(subscription, pictures=(PICTURE,))
    await queue(subscription, pictures=(PICTURE,))
    assert (await counts(database_url))["pictures"] == 1
    clock.forward(hours=2)
    await storage.retention.tidy(KEEP)
    assert (await counts(database_url))["pictures"] == 1
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    await storage.retention.tidy(KEEP)
    assert (await counts(database_url))["pictures"] == 0


async def test_facts_are_kept_and_replaced(storage: Storage) -> None:
    assert await storage.read(lambda tx: tx.key_values.get("commands")) is None
    await storage.write(lambda tx: tx.key_values.set("commands", "one"))
    await storage.write(lambda tx: tx.key_values.set("commands", "two"))
    assert await storage.read(lambda tx: tx.key_values.get("commands")) == "two"
