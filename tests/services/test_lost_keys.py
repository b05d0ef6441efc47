"""What the services do with accounts and webhooks that no key opens any more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from bot.errors import AccountUnopenable
from bot.services.refusals import CommandRefused
from bot.services.subscribe_results import MadeSetUp, NeedsAccount
from bot.services.token_lending import TokenStatus
from bot.services.webhook_results import (
    Ensured,
    EnsureFailed,
    EnsureProblem,
    RemovalResult,
    WebhookChange,
)
from bot.services.webhook_setup import WebhookSetup
from bot.storage import Storage
from bot.vault import Vault
from sandbox.speckle import Release
from tests.services.conftest import FACADE, KESTREL, Clock, manager, manager_of, services_over
from tests.services.speckle import INSTANCE, MAREN, Office, open_office


@pytest.fixture
async def office(storage: Storage, clock: Clock, release: Release) -> AsyncIterator[Office]:
    async with open_office(storage, clock, release=release) as opened:
        yield opened


@pytest.fixture
async def shut(office: Office, database_url: str, clock: Clock) -> AsyncIterator[Office]:
    """The same office after its key was lost: Maren's account had made the webhook."""
    await office.linked(MAREN, office.ilse)
    await office.subscribe()
    async with reopened(office, database_url, clock) as shut:
        yield shut


@asynccontextmanager
async def reopened(office: Office, database_url: str, clock: Clock) -> AsyncIterator[Office]:
    """The same office with another key."""
    vault = Vault([Fernet.generate_key().decode()])
    async with Storage.open(database_url, vault, clock) as storage:
        services = services_over(
            storage,
            clock,
            speckle_servers=(office.server.url,),
            public_url=office.public_url,
            instance=INSTANCE,
        )
        yield replace(office, storage=storage, services=services)
        services.client.close()


async def only_subscription(office: Office) -> int:
    (subscription,) = await office.storage.read(lambda tx: tx.subscriptions.of_guild(KESTREL))
    return subscription.id


async def test_an_account_that_no_key_opens_is_not_asked_with_and_not_called_refused(
    shut: Office,
) -> None:
    (account,) = await shut.services.lender.all_of_user(MAREN)
    before = len(shut.server.requests)
    with pytest.raises(AccountUnopenable):
        await shut.services.lender.as_account(account.id, shut.services.client.me)
    assert await shut.services.lender.token_status(account) is TokenStatus.UNOPENABLE
    assert len(shut.server.requests) == before
    assert account.refused_at is None


async def test_the_hourly_look_changes_nothing_while_no_key_opens_the_account(
    shut: Office,
) -> None:
    before = shut.made[0]
    (found,) = [kept async for _, kept in shut.webhooks.reconcile_all()]
    assert isinstance(found, EnsureFailed)
    assert (found.why, found.made) == (EnsureProblem.UNOPENABLE, True)
    assert shut.made == [before]
    assert (await shut.hook()).unopenable


async def test_once_the_account_is_linked_again_the_hourly_look_hands_over_a_new_secret(
    shut: Office,
) -> None:
    await shut.linked(MAREN, shut.ilse)
    old = shut.made[0].secret
    found = [kept async for _, kept in shut.webhooks.reconcile_all()]
    hook = await shut.hook()
    assert not hook.unopenable
    assert shut.made[0].secret == hook.secrets[0] != old
    assert hook.webhook_id == shut.made[0].id
    assert found == [], "there is nothing to notify people of"


async def test_a_webhook_that_cannot_be_removed_yet_is_removed_once_the_account_is_back(
    shut: Office, clock: Clock
) -> None:
    removed = await shut.services.subscriptions.remove(
        KESTREL, manager(MAREN), await only_subscription(shut)
    )
    assert (removed.last, removed.removal) == (True, RemovalResult.UNOPENABLE)
    assert len(shut.made) == 1
    await shut.linked(MAREN, shut.ilse)
    clock.forward(hours=1)
    assert [kept async for _, kept in shut.webhooks.reconcile_all()] == []
    assert shut.made == []


async def test_set_up_again_is_the_bots_own_work_where_it_can_and_by_hand_where_not(
    shut: Office,
) -> None:
    subscriptions, this = shut.services.subscriptions, await only_subscription(shut)
    with pytest.raises(CommandRefused, match="NotManager"):
        await subscriptions.setups.set_up_again(KESTREL, manager_of([FACADE]), this)
    by_hand = await subscriptions.setups.set_up_again(KESTREL, manager(MAREN), this)
    assert isinstance(by_hand, WebhookSetup)
    assert (by_hand.renewed, by_hand.old_secret_until) == (True, None)
    assert by_hand.secret == (await shut.hook()).secrets[0]
    twice = await subscriptions.setups.set_up_again(KESTREL, manager(MAREN), this)
    assert isinstance(twice, WebhookSetup)
    assert (twice.secret, twice.renewed) == (by_hand.secret, False)


async def test_a_secret_by_hand_that_no_key_opens_is_neither_shown_nor_renewed_for_a_day(
    office: Office, database_url: str, clock: Clock
) -> None:
    await office.subscribe(by_hand=True)
    async with reopened(office, database_url, clock) as shut:
        subscriptions, this = shut.services.subscriptions, await only_subscription(shut)
        for work in (
            subscriptions.setups.show(KESTREL, manager(MAREN), this),
            subscriptions.setups.new_secret(KESTREL, manager(MAREN), this, overlap=True),
        ):
            with pytest.raises(CommandRefused, match="SECRET_UNOPENABLE"):
                await work
        assert isinstance(
            await subscriptions.setups.set_up_again(KESTREL, manager(MAREN), this), WebhookSetup
        )
        assert isinstance(
            await subscriptions.setups.show(KESTREL, manager(MAREN), this), WebhookSetup
        )


async def test_set_up_again_tells_speckle_where_the_account_can_be_used(shut: Office) -> None:
    await shut.linked(MAREN, shut.ilse)
    outcome = await shut.services.subscriptions.setups.set_up_again(
        KESTREL, manager(MAREN), await only_subscription(shut)
    )
    assert isinstance(outcome, MadeSetUp)
    assert outcome.renewed
    assert isinstance(outcome.webhook, Ensured)
    assert outcome.webhook.change is not WebhookChange.MADE
    assert shut.made[0].secret == (await shut.hook()).secrets[0]


async def test_an_account_that_no_key_opens_has_to_be_linked_again_to_subscribe(
    shut: Office,
) -> None:
    outcome = await shut.ask(project=f"{shut.server.url}/projects/f6a7b8c9d0", channel_id=FACADE)
    assert isinstance(outcome, NeedsAccount)
    assert outcome.why is EnsureProblem.UNOPENABLE


async def test_unlinking_an_account_that_no_key_opens_erases_it_and_says_what_is_left(
    shut: Office,
) -> None:
    (account,) = await shut.services.lender.all_of_user(MAREN)
    assert not await shut.services.linking.unlink(account)
    assert await shut.services.lender.all_of_user(MAREN) == []
