"""After a restored backup no account is used before its person confirms it, on both databases."""

from collections.abc import Awaitable, Callable

import pytest

from bot.db.restored_copy import IDENTITY_KEY
from bot.db.sqlite_marks import MARK_KEY
from bot.model import (
    AccessPause,
    Account,
    Hook,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.pending import LinkDetails
from bot.services.restored_copy import RestoredCopyCheck
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import SCOPES, Tokens
from bot.storage import Storage
from tests.db.conftest import MAREN_ODUYA, SERVER, STRUCTURE, Clock, NewDelivery

Linking = Callable[[], Awaitable[Account]]


@pytest.fixture
def link(storage: Storage) -> Linking:
    async def linking() -> Account:
        await storage.write(
            lambda tx: tx.link_requests.add("nonce", MAREN_ODUYA, SERVER, LinkDetails())
        )
        account = await storage.write(
            lambda tx: tx.accounts.link(
                "nonce", "0123456789", "Maren", Tokens("token"), frozenset(SCOPES), notified=True
            )
        )
        (linked,) = await storage.read(lambda tx: tx.link_requests.linked())
        await storage.write(lambda tx: tx.link_requests.delete(linked.nonce_digest))
        assert account is not None
        return account

    return linking


async def account_of(storage: Storage) -> Account:
    found = await storage.read(lambda tx: tx.accounts.of_user(MAREN_ODUYA, SERVER))
    assert found is not None
    return found


async def paused(
    storage: Storage, hook: Hook, delivery: NewDelivery, why: PauseWhy
) -> Subscription:
    """#structure, which an account shows its project, with an event that is held back."""
    account = await account_of(storage)
    _, one = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, account.id
        )
    )
    await storage.write(
        lambda tx: tx.held_events.hold_back(
            one.id, one.created_at, AccessPause(PauseReason.ACCESS_LOST, why)
        )
    )
    return one


async def test_of_a_copy_no_account_is_used_and_nothing_that_was_seen_counts(
    storage: Storage, hook: Hook, link: Linking, clock: Clock
) -> None:
    account = await link()
    _, one = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, account.id
        )
    )
    assert one.access_ok_at is not None
    assert await storage.write(lambda tx: tx.accounts.unconfirm_all()) == 1
    assert (await account_of(storage)).unconfirmed_at == clock()
    seen = await storage.read(lambda tx: tx.subscriptions.get(one.id))
    assert seen is not None
    assert seen.access_ok_at is None
    clock.forward(days=1)
    assert await storage.write(lambda tx: tx.accounts.unconfirm_all()) == 1
    assert (await account_of(storage)).unconfirmed_at != clock()


@pytest.mark.parametrize("why", [PauseWhy.UNCONFIRMED, PauseWhy.FORBIDDEN])
async def test_what_stopped_for_that_alone_goes_on_once_it_is_confirmed(
    storage: Storage, hook: Hook, link: Linking, delivery: NewDelivery, why: PauseWhy
) -> None:
    account = await link()
    one = await paused(storage, hook, delivery, why)
    await storage.write(lambda tx: tx.accounts.unconfirm_all())
    assert await storage.write(lambda tx: tx.accounts.confirm(account.id))
    assert not await storage.write(lambda tx: tx.accounts.confirm(account.id))
    assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
    after = await storage.read(lambda tx: tx.subscriptions.get(one.id))
    assert after is not None
    goes_on = why is PauseWhy.UNCONFIRMED
    assert after.state is (SubscriptionState.ACTIVE if goes_on else SubscriptionState.PAUSED)


async def test_linking_again_confirms(
    storage: Storage, hook: Hook, link: Linking, delivery: NewDelivery
) -> None:
    await link()
    one = await paused(storage, hook, delivery, PauseWhy.UNCONFIRMED)
    await storage.write(lambda tx: tx.accounts.unconfirm_all())
    assert (await link()).unconfirmed_at is None
    assert (await account_of(storage)).unconfirmed_at is None
    after = await storage.read(lambda tx: tx.subscriptions.get(one.id))
    assert after is not None
    assert after.state is SubscriptionState.ACTIVE


async def test_a_start_over_a_copy_asks_once(storage: Storage, link: Linking, kind: str) -> None:
    """PostgreSQL names what holds the tables otherwise; SQLite's mark lies behind."""
    account = await link()
    await RestoredCopyCheck(storage).check_at_start()
    assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
    older = {"sqlite": (MARK_KEY, "0:1"), "postgresql": (IDENTITY_KEY, "1:2")}
    await storage.write(lambda tx: tx.key_values.set(*older[kind]))
    await RestoredCopyCheck(storage).check_at_start()
    assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 1
    await storage.write(lambda tx: tx.accounts.confirm(account.id))
    await RestoredCopyCheck(storage).check_at_start()
    assert await storage.read(lambda tx: tx.accounts.unconfirmed()) == 0
