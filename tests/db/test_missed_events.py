"""Taking in what Speckle's lists know and the inbox lacks, on both databases."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import select, update

from bot.database_content import RetentionPolicy
from bot.db.tables import history_taken, hooks
from bot.model import Hook, InboxSource
from bot.storage import Storage
from bot.vault import Vault
from bot.work import (
    CountingWindow,
    InboxEvent,
    MissedEntry,
    TakenIn,
)
from tests.db.conftest import STUDIO_KESTREL, Clock, NewDelivery

MINUTE = timedelta(minutes=1)


def entry(call_id: str, at: datetime, body: bytes | None = None) -> MissedEntry:
    body = body if body is not None else call_id.encode()
    return MissedEntry(call_id, at, sha256(body).hexdigest(), body)


async def window(
    storage: Storage, since: datetime, recorded: Sequence[MissedEntry], more: Sequence[bytes] = ()
) -> CountingWindow:
    """What a history tells of that holds these entries, and these bodies that got through."""
    digests = [one.digest for one in recorded] + [sha256(body).hexdigest() for body in more]
    return CountingWindow(
        Counter(digests), since, await storage.read(lambda tx: tx.missed_events.last_id())
    )


async def rows(storage: Storage) -> list[InboxEvent]:
    found = [await storage.read(lambda tx: tx.inbox.get(row_id)) for row_id in range(1, 200)]
    return [row for row in found if row is not None]


async def taken_calls(storage: Storage) -> set[str]:
    with storage._database.reading() as connection:
        return set(connection.scalars(select(history_taken.c.call_id)))


async def test_what_the_inbox_lacks_is_taken_in_once_and_in_order(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    missed = [entry(f"call {n}", clock() - (60 - n) * MINUTE) for n in range(50)]
    seen = await window(storage, clock() - timedelta(hours=2), missed)
    first = await storage.write(
        lambda tx: tx.missed_events.add_from_history(hook.id, missed, seen, "Too short.")
    )
    again = await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, missed, seen))
    assert (len(first.rows), again) == (50, TakenIn())
    there = await rows(storage)
    assert [row.body for row in there] == [one.body for one in missed]
    assert [row.happened_at for row in there] == [one.at for one in missed]
    assert {(row.source, row.ordering_key, row.hook_id) for row in there} == {
        (InboxSource.HISTORY, f"hook:{hook.id}", hook.id)
    }
    assert [row.id for row in there if "Too short." in str(row.trace)] == [first.rows[0]]


async def test_what_failed_at_speckle_and_is_in_the_inbox_is_not_taken_again(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    await storage.intake.accept(delivery(b"answer lost", hook_id=hook.id, lane=f"hook:{hook.id}"))
    lost = entry("lost", clock(), b"answer lost")
    seen = await window(storage, clock() - MINUTE, [lost])
    done = await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [lost], seen))
    assert done == TakenIn((), there=1)
    assert await taken_calls(storage) == {"lost"}


async def test_equal_bodies_are_counted(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    """Delivered once, failed three times, of which one came in: two are missing."""
    lane = f"hook:{hook.id}"
    for _ in range(2):
        await storage.intake.accept(delivery(b"resolved", hook_id=hook.id, lane=lane))
        clock.forward(minutes=5)
    since = clock() - timedelta(hours=1)
    missed = [entry(f"call {n}", clock() + n * MINUTE, b"resolved") for n in range(3)]
    seen = await window(storage, since, missed, [b"resolved"])
    done = await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, missed, seen))
    assert (len(done.rows), done.there) == (2, 1)
    assert len(await rows(storage)) == 4


async def test_equal_bodies_in_two_portions_count_together(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    missed = [entry(f"call {n}", clock() + n * MINUTE, b"resolved") for n in range(3)]
    seen = await window(storage, clock() - MINUTE, missed)
    taken = [
        await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen))
        for one in missed
    ]
    assert [len(done.rows) for done in taken] == [1, 1, 1]


async def test_another_hooks_rows_do_not_count(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    await storage.intake.accept(delivery(b"same", lane="shared:elsewhere"))
    one = entry("one", clock(), b"same")
    seen = await window(storage, clock() - MINUTE, [one])
    done = await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen))
    assert len(done.rows) == 1


async def test_a_body_that_came_after_the_history_was_asked_is_left_for_the_next_look(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    """It may be the event itself, whose answer was late, or another one that is equal."""
    one = entry("one", clock(), b"twin")
    asked = await window(storage, clock() - MINUTE, [one])
    await storage.intake.accept(delivery(b"twin", hook_id=hook.id, lane=f"hook:{hook.id}"))
    assert await storage.write(
        lambda tx: tx.missed_events.add_from_history(hook.id, [one], asked)
    ) == TakenIn(unclear=1)
    assert await taken_calls(storage) == set()
    itself = await window(storage, clock() - MINUTE, [one])
    assert await storage.write(
        lambda tx: tx.missed_events.add_from_history(hook.id, [one], itself)
    ) == TakenIn(there=1)


async def test_another_equal_event_does_not_hide_the_missing_one(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    one = entry("one", clock() - timedelta(hours=1), b"twin")
    await storage.intake.accept(delivery(b"twin", hook_id=hook.id, lane=f"hook:{hook.id}"))
    seen = await window(storage, clock() - timedelta(hours=2), [one], [b"twin"])
    assert (
        len(
            (
                await storage.write(
                    lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen)
                )
            ).rows
        )
        == 1
    )


async def test_a_late_delivery_of_what_was_just_fetched_is_a_duplicate(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    """The inbox remembers the last minute; on SQLite in memory, which must know of these rows."""
    lane = f"hook:{hook.id}"
    await storage.intake.accept(delivery(b"before", hook_id=hook.id, lane=lane))
    one = entry("one", clock(), b"late")
    seen = await window(storage, clock() - MINUTE, [one])
    done = await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen))
    receipt = await storage.intake.accept(delivery(b"late", hook_id=hook.id, lane=lane))
    assert (receipt.id, receipt.duplicate) == (done.rows[0], True)
    other = await storage.intake.accept(delivery(b"other", hook_id=hook.id, lane=lane))
    assert not other.duplicate


async def test_deliveries_and_fetching_at_the_same_time_take_each_body_once(
    storage: Storage, hook: Hook, clock: Clock, delivery: NewDelivery
) -> None:
    lane = f"hook:{hook.id}"
    bodies = [b"event %d" % number for number in range(40)]
    missed = [entry(f"call {n}", clock(), body) for n, body in enumerate(bodies)]
    seen = await window(storage, clock() - MINUTE, missed)
    await asyncio.gather(
        *(storage.intake.accept(delivery(body, hook_id=hook.id, lane=lane)) for body in bodies),
        *(
            storage.write(
                lambda tx: tx.missed_events.add_from_history(hook.id, missed[n : n + 10], seen)
            )
            for n in (0, 10, 20, 30)
        ),
    )
    counted = Counter(row.body for row in await rows(storage))
    assert counted == Counter(bodies)


async def test_two_processes_that_fetch_at_once_take_each_entry_once(
    storage: Storage, database_url: str, vault: Vault, hook: Hook, clock: Clock
) -> None:
    missed = [entry(f"call {n}", clock(), b"twin" if n % 2 else None) for n in range(30)]
    seen = await window(storage, clock() - MINUTE, missed)
    async with Storage.open(database_url, vault, clock) as other:
        await asyncio.gather(
            *(
                one.write(lambda tx: tx.missed_events.add_from_history(hook.id, missed, seen))
                for one in (storage, other) * 2
            )
        )
    assert len(await rows(storage)) == 30


async def test_entries_that_the_history_no_longer_shows_are_forgotten(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    await storage.write(lambda tx: tx.missed_events.skip(hook.id, ["old", "seen", "seen"]))
    await storage.write(lambda tx: tx.missed_events.note_look(hook.id, clock(), {"seen", "new"}))
    assert await storage.read(lambda tx: tx.missed_events.handled(hook.id)) == {"seen"}
    looked = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert looked is not None
    assert looked.caught_up_at == clock()


async def test_nothing_is_taken_for_a_hook_that_is_gone_or_closed(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    one = entry("one", clock())
    seen = await window(storage, clock() - MINUTE, [one])
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert await storage.read(lambda tx: tx.missed_events.hook_ids()) == []
    assert (
        await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen))
        == TakenIn()
    )
    await storage.write(lambda tx: tx.hooks.delete(hook.id))
    assert (
        await storage.write(lambda tx: tx.missed_events.add_from_history(hook.id, [one], seen))
        == TakenIn()
    )
    assert await rows(storage) == []


async def test_a_guild_that_invites_the_bot_again_is_not_flooded(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    clock.forward(days=20)
    await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
    opened = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert opened is not None
    assert opened.caught_up_at == clock()


async def test_retention_forgets_histories_of_webhooks_that_are_gone(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    keep = RetentionPolicy(timedelta(days=7), timedelta(days=30), timedelta(days=90))
    with storage._database.writing() as connection:
        connection.execute(update(hooks).values(webhook_sealed="sealed"))
    await storage.write(lambda tx: tx.missed_events.skip(hook.id, ["a", "b"]))
    assert await storage.retention.tidy(keep) == {}
    with storage._database.writing() as connection:
        connection.execute(update(hooks).values(webhook_sealed=None))
    assert await storage.retention.tidy(keep) == {"history_taken": 2}
