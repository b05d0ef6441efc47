"""What hooks were told of names and threads, and what accounts may call things."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from bot.database_content import RetentionPolicy
from bot.db import hook_results
from bot.db.event_results import write_event_results
from bot.model import AccessPause, Account, HookKind, PauseReason, PauseWhy, Subscription
from bot.speckle.events import KnownThread, ProjectNames, ResourceRef
from bot.speckle.subscription_options import SubscriptionOptions
from bot.storage import Storage
from bot.work import EventResult, HookResult, NameChanges
from tests.db.conftest import HARBOUR_TOWER, MAREN_ODUYA, SERVER, STRUCTURE, STUDIO_KESTREL, Clock
from tests.db.test_accounts import linked

READ = ProjectNames({"m1": "structure/level 1"}, {"p1": "Ilse Brandt"}, complete=True)
KEEP = RetentionPolicy(timedelta(days=1), timedelta(days=1), timedelta(days=1))


async def heard(storage: Storage, hook_id: int, **what: Any) -> None:
    one = HookResult(hook_id, storage._now(), by_webhook=True, **what)
    await storage.write(
        lambda tx: write_event_results(
            tx.session, [EventResult(0, of_hooks=[one])], tx.session.now()
        )
    )


async def known(storage: Storage, hook_id: int, *ids: str) -> Mapping[str, KnownThread]:
    return (await storage.read(lambda tx: tx.hooks.threads_of([hook_id], ids)))[hook_id]


# ── what belongs to the hook ──────────────────────────────────────────────────────────────────


async def test_models_and_people_have_the_name_that_was_told_last(
    storage: Storage, subscription: Subscription
) -> None:
    hook_id = subscription.hook_id
    await heard(
        storage, hook_id, models=NameChanges({"x": "one"}), people=NameChanges({"x": "Ilse"})
    )
    await heard(storage, hook_id, people=NameChanges({"x": "Ilse Brandt", "y": "Bea"}))
    await heard(storage, hook_id, models=NameChanges({"z": "two"}, ("x",)))
    found = await storage.read(lambda tx: tx.hooks.names(hook_id))
    assert found == ProjectNames({"z": "two"}, {"x": "Ilse Brandt", "y": "Bea"})


async def test_a_thread_keeps_its_first_line_and_what_it_is_on(
    storage: Storage, subscription: Subscription
) -> None:
    hook_id, on = subscription.hook_id, (ResourceRef("m1", "v1"), ResourceRef("m2"))
    await heard(storage, hook_id, threads={"t": KnownThread("The roof leaks", on)})
    await heard(storage, hook_id, threads={"t": KnownThread("Somebody else's words")})
    assert await known(storage, hook_id, "t", "u") == {"t": KnownThread("The roof leaks", on)}


async def test_of_more_threads_than_are_kept_those_heard_of_last_stay(
    storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    hook_id, most = subscription.hook_id, hook_results.MOST_THREADS
    some = {f"t{number}": KnownThread(None) for number in range(most)}
    await heard(storage, hook_id, threads=some)
    clock.forward(minutes=1)
    await heard(storage, hook_id, threads={"t0": KnownThread(None)})
    clock.forward(minutes=1)
    await heard(storage, hook_id, threads={"new": KnownThread("The roof leaks")})
    found = await known(storage, hook_id, *some, "new")
    assert len(found) == most
    assert {"t0", "new"} <= found.keys()


async def test_a_thread_is_forgotten_a_year_after_it_was_heard_of(
    storage: Storage, subscription: Subscription, clock: Clock
) -> None:
    await heard(storage, subscription.hook_id, threads={"t": KnownThread("The roof leaks")})
    clock.forward(days=364)
    assert await storage.retention.tidy(KEEP) == {}
    clock.forward(days=2)
    assert (await storage.retention.tidy(KEEP))["threads"] == 1
    assert await known(storage, subscription.hook_id, "t") == {}


# ── what belongs to an account ────────────────────────────────────────────────────────────────


@pytest.fixture
async def account(storage: Storage, subscription: Subscription) -> Account:
    """Maren's account, with which #structure follows Harbour Tower."""
    owner = await linked(storage)
    await storage.write(
        lambda tx: tx.subscriptions.upsert(
            subscription.hook_id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, owner.id
        )
    )
    return owner


async def put(storage: Storage, account: Account, clock: Clock, project: str) -> None:
    await storage.write(lambda tx: tx.project_names.put(account.id, project, READ, clock()))


async def kept(storage: Storage, account: Account, project: str = HARBOUR_TOWER) -> object:
    return await storage.read(lambda tx: tx.project_names.get(account.id, project))


async def test_what_an_account_read_is_kept_with_it_and_never_with_the_hook(
    storage: Storage, subscription: Subscription, account: Account, clock: Clock
) -> None:
    await put(storage, account, clock, HARBOUR_TOWER)
    assert await kept(storage, account) == (READ, clock())
    found = await storage.read(lambda tx: tx.hooks.names(subscription.hook_id))
    assert found == ProjectNames()


async def test_nothing_is_kept_of_a_project_that_no_channel_follows_with_the_account(
    storage: Storage, account: Account, clock: Clock
) -> None:
    await put(storage, account, clock, "another")
    assert await kept(storage, account, "another") is None


async def test_nothing_is_kept_that_was_asked_before_the_account_was_linked_again(
    storage: Storage, account: Account, clock: Clock
) -> None:
    asked_at = clock()
    clock.forward(seconds=1)
    await linked(storage, "again", speckle_id="another001")
    await storage.write(lambda tx: tx.project_names.put(account.id, HARBOUR_TOWER, READ, asked_at))
    assert await kept(storage, account) is None


async def test_who_links_another_speckle_account_begins_without_names(
    storage: Storage, account: Account, clock: Clock
) -> None:
    await put(storage, account, clock, HARBOUR_TOWER)
    assert await linked(storage, "again") == account
    assert await kept(storage, account) == (READ, clock())
    assert (await linked(storage, "once more", speckle_id="another001")).id == account.id
    assert await kept(storage, account) is None


@pytest.mark.parametrize("why", [PauseWhy.FORBIDDEN, PauseWhy.NOT_FOUND, PauseWhy.PERSON_LEFT])
async def test_names_go_with_the_access(
    storage: Storage, subscription: Subscription, account: Account, clock: Clock, why: PauseWhy
) -> None:
    await put(storage, account, clock, HARBOUR_TOWER)
    await storage.write(lambda tx: tx.subscriptions.record_access([subscription.id]))
    pause = AccessPause(PauseReason.ACCESS_LOST, why)
    await storage.write(lambda tx: tx.held_events.hold_back(subscription.id, clock(), pause))
    assert await kept(storage, account) is None
    there = await storage.read(lambda tx: tx.subscriptions.get(subscription.id))
    assert there is not None
    assert there.access_ok_at is None


async def test_names_go_with_the_account_and_stay_with_another(
    storage: Storage, account: Account, clock: Clock
) -> None:
    await put(storage, account, clock, HARBOUR_TOWER)
    await storage.write(lambda tx: tx.hooks.detach_account(account.id))
    await storage.write(lambda tx: tx.accounts.delete(account.id))
    assert await kept(storage, account) is None


async def test_names_of_a_project_that_the_account_left_are_erased(
    storage: Storage, subscription: Subscription, account: Account, clock: Clock
) -> None:
    await put(storage, account, clock, HARBOUR_TOWER)
    elsewhere = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, "harbour", HookKind.OWN, MAREN_ODUYA, STRUCTURE
        )
    )
    await storage.write(
        lambda tx: tx.subscriptions.upsert(
            elsewhere.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, account.id
        )
    )
    await put(storage, account, clock, "harbour")
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert await storage.retention.tidy(KEEP) == {"project_names": 1}
    assert await kept(storage, account) is None
    assert await kept(storage, account, "harbour") == (READ, clock())
