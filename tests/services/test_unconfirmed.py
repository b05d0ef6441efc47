"""What the services do with accounts that wait for their person, as the database was restored."""

from collections.abc import AsyncIterator

import pytest

from bot.errors import AccountUnconfirmed
from bot.model import Account
from bot.services.subscribe_results import NeedsAccount
from bot.services.token_lending import TokenStatus
from bot.services.webhook_results import Ensured, EnsureFailed, EnsureProblem, RemovalResult
from bot.storage import Storage
from sandbox.speckle import Release
from tests.services.conftest import FACADE, KESTREL, Clock, manager
from tests.services.speckle import MAREN, Office, open_office


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    """Maren's account had made the webhook, then the database was restored."""
    async with open_office(storage, clock, release=release) as opened:
        await opened.linked(MAREN, opened.ilse)
        await opened.subscribe()
        await storage.write(lambda tx: tx.accounts.unconfirm_all())
        yield opened


async def account_of(office: Office) -> Account:
    (account,) = await office.services.lender.all_of_user(MAREN)
    return account


async def test_speckle_is_not_asked_with_it(office: Office) -> None:
    lender, account = office.services.lender, await account_of(office)
    before = len(office.server.requests)
    with pytest.raises(AccountUnconfirmed):
        await lender.as_account(account.id, office.services.client.me)
    assert await lender.token_status(account) is TokenStatus.UNCONFIRMED
    assert len(office.server.requests) == before
    await office.services.linking.confirm(account)
    assert await lender.token_status(await account_of(office)) is TokenStatus.TAKEN


async def test_the_hourly_look_leaves_the_webhook_alone_until_then(office: Office) -> None:
    before = office.made[0]
    (found,) = [kept async for _, kept in office.webhooks.reconcile_all()]
    assert isinstance(found, EnsureFailed)
    assert (found.why, found.made) == (EnsureProblem.UNCONFIRMED, True)
    assert office.made == [before]
    await office.services.linking.confirm(await account_of(office))
    assert all([isinstance(kept, Ensured) async for _, kept in office.webhooks.reconcile_all()])


async def test_a_webhook_that_is_no_longer_needed_is_removed_once_that_is_said(
    office: Office, clock: Clock
) -> None:
    (subscription,) = await office.storage.read(lambda tx: tx.subscriptions.of_guild(KESTREL))
    removed = await office.services.subscriptions.remove(KESTREL, manager(MAREN), subscription.id)
    assert (removed.last, removed.removal) == (True, RemovalResult.UNCONFIRMED)
    assert len(office.made) == 1
    await office.services.linking.confirm(await account_of(office))
    clock.forward(hours=1)
    assert [kept async for _, kept in office.webhooks.reconcile_all()] == []
    assert office.made == []


async def test_subscribing_with_it_says_so_and_shows_nothing_of_the_project(
    office: Office,
) -> None:
    outcome = await office.ask(channel_id=FACADE)
    assert isinstance(outcome, NeedsAccount)
    assert outcome.why is EnsureProblem.UNCONFIRMED


async def test_unlinking_erases_it_and_says_what_is_left_at_speckle(office: Office) -> None:
    assert not await office.services.linking.unlink(await account_of(office))
    assert await office.services.lender.all_of_user(MAREN) == []
