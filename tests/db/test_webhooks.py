"""What the storage keeps of webhooks at Speckle, and what needs an account."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.tables import hooks, notices
from bot.model import (
    NOBODY,
    Account,
    Consent,
    Entitlement,
    Hook,
    HookKind,
    HookState,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.pending import LinkDetails
from bot.permissions import Audience
from bot.speckle.subscription_options import SubscriptionOptions
from bot.speckle.tokens import SCOPES, Tokens
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import (
    FACADE,
    HARBOUR_TOWER,
    MAREN_ODUYA,
    SERVER,
    STRUCTURE,
    STUDIO_KESTREL,
    Clock,
    follow,
)
from tests.stored import note_event

TOBIAS = MAREN_ODUYA + 1
WEBHOOK = "51f7627c97"
CONSENT = Consent(
    MAREN_ODUYA,
    datetime(2026, 3, 2, 9, 0, tzinfo=UTC),
    Entitlement.OWNER,
    SubscriptionOptions(("versions",), ("struct/**",), ("Bob",)),
    "private",
    Audience(False, (11, 12), (21,), in_thread=True, announcement=True),
    "Harbour Tower",
)


async def linked(storage: Storage, user_id: int = MAREN_ODUYA, server: str = SERVER) -> Account:
    nonce = f"nonce-{user_id}-{server}"
    await storage.write(lambda tx: tx.link_requests.add(nonce, user_id, server, LinkDetails()))
    account = await storage.write(
        lambda tx: tx.accounts.link(
            nonce,
            f"speckle{user_id}",
            "Somebody",
            Tokens("token"),
            frozenset(SCOPES),
            notified=True,
        )
    )
    assert account is not None
    return account


@pytest.fixture
async def account(storage: Storage) -> Account:
    return await linked(storage)


async def test_a_made_webhook_is_sealed_and_turns_its_hook_live(
    storage: Storage, hook: Hook, account: Account, clock: Clock, database_url: str
) -> None:
    made = await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK))
    assert made is not None
    assert (made.webhook_id, made.account_id) == (WEBHOOK, account.id)
    assert (made.state, made.live_at) == (HookState.LIVE, clock())
    assert await storage.hook_lookup.by_key(hook.key or "") == made
    assert WEBHOOK not in repr(made)
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as c:
            row = c.execute(select(hooks)).mappings().one()
    assert WEBHOOK not in str(dict(row))


async def test_a_hook_that_is_gone_or_shared_gets_no_webhook(
    storage: Storage, account: Account
) -> None:
    shared = await storage.write(
        lambda tx: tx.hooks.create(1, SERVER, "other", HookKind.SHARED, MAREN_ODUYA, None)
    )
    assert (
        await storage.write(lambda tx: tx.hooks.record_webhook(shared.id, account.id, WEBHOOK))
        is None
    )
    assert await storage.write(lambda tx: tx.hooks.record_webhook(999, account.id, WEBHOOK)) is None


async def test_a_webhooks_own_secret_voids_all_that_were_before(
    storage: Storage, hook: Hook, account: Account
) -> None:
    await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    made = await storage.write(
        lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK, "a secret of its own")
    )
    assert made is not None
    assert made.secrets == ("a secret of its own",)


async def test_only_hooks_with_a_made_webhook_in_guilds_that_are_there_are_looked_after(
    storage: Storage, hook: Hook, account: Account
) -> None:
    assert await storage.read(lambda tx: tx.hooks.with_webhooks()) == []
    made = await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK))
    assert await storage.read(lambda tx: tx.hooks.with_webhooks()) == [made]
    assert await storage.read(lambda tx: tx.hooks.of_account(account.id)) == [made]
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    assert await storage.read(lambda tx: tx.hooks.with_webhooks()) == []


async def test_a_subscription_remembers_whose_account_proved_access(
    storage: Storage, hook: Hook, account: Account, clock: Clock
) -> None:
    _, new = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, account.id
        )
    )
    assert (new.account_id, new.access_ok_at) == (account.id, clock())
    clock.forward(hours=1)
    _, same = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(events=("issues",)), TOBIAS
        )
    )
    assert (same.account_id, same.access_ok_at) == (account.id, new.access_ok_at)
    other = await linked(storage, TOBIAS)
    await storage.write(lambda tx: tx.subscriptions.answered(new.id, CONSENT, account_id=other.id))
    now = await storage.read(lambda tx: tx.subscriptions.get(new.id))
    assert now is not None
    assert (now.account_id, now.access_ok_at) == (other.id, clock())
    assert now.consent == CONSENT


async def test_an_answer_comes_back_as_it_was_given_and_stays_until_there_is_another(
    storage: Storage, hook: Hook
) -> None:
    async def subscribe(
        options: SubscriptionOptions, by: int, *, consent: Consent | None = None
    ) -> tuple[Subscription | None, Subscription]:
        return await storage.write(
            lambda tx: tx.subscriptions.upsert(hook.id, STRUCTURE, options, by, consent=consent)
        )

    _, new = await subscribe(SubscriptionOptions(), MAREN_ODUYA, consent=CONSENT)
    assert new.consent == CONSENT
    _, changed = await subscribe(SubscriptionOptions(events=("issues",)), TOBIAS)
    assert changed.consent == CONSENT
    bare = Consent(TOBIAS, CONSENT.at, Entitlement.MANAGER, SubscriptionOptions())
    _, again = await subscribe(SubscriptionOptions(), TOBIAS, consent=bare)
    assert again.consent == bare
    _, by_hand = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, FACADE, SubscriptionOptions(), TOBIAS)
    )
    assert by_hand.consent is None


async def test_an_answer_can_let_a_subscription_follow_through_another_hook(
    storage: Storage, hook: Hook, subscription: Subscription
) -> None:
    made = await storage.write(
        lambda tx: tx.hooks.create(
            STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, None
        )
    )
    await storage.write(
        lambda tx: tx.subscriptions.answered(subscription.id, CONSENT, hook_id=made.id)
    )
    assert [one.id for one in await storage.read(lambda tx: tx.subscriptions.of_hook(made.id))] == [
        subscription.id
    ]
    assert await storage.read(lambda tx: tx.subscriptions.of_hook(hook.id)) == []


async def test_whose_traces_are_erased_is_not_named_in_answers_either(
    storage: Storage, hook: Hook
) -> None:
    _, mine = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), TOBIAS, consent=CONSENT
        )
    )
    theirs = replace(CONSENT, by=TOBIAS)
    _, other = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, FACADE, SubscriptionOptions(), TOBIAS, consent=theirs
        )
    )
    await storage.erase_traces(MAREN_ODUYA)
    now = await storage.read(lambda tx: tx.subscriptions.get(mine.id))
    assert now is not None
    assert now.consent == replace(CONSENT, by=NOBODY)
    kept = await storage.read(lambda tx: tx.subscriptions.get(other.id))
    assert kept is not None
    assert kept.consent == theirs


async def test_the_last_subscription_leaves_its_made_webhook_to_be_removed(
    storage: Storage, hook: Hook, subscription: Subscription, account: Account, clock: Clock
) -> None:
    await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK))
    second = await follow(storage, hook.id, FACADE)
    first = await storage.write(lambda tx: tx.subscriptions.delete(second.id))
    assert first is not None
    assert (first.last_of_hook, first.removal_id) == (False, None)
    last = await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert last is not None
    removal_id = last.removal_id
    assert removal_id is not None
    (due,) = await storage.read(lambda tx: tx.webhook_removals.due())
    assert due == await storage.read(lambda tx: tx.webhook_removals.get(removal_id))
    assert (due.account_id, due.project_id, due.key) == (account.id, HARBOUR_TOWER, hook.key)
    await storage.write(
        lambda tx: tx.webhook_removals.postpone(due.id, clock() + timedelta(hours=1))
    )
    assert await storage.read(lambda tx: tx.webhook_removals.due()) == []
    clock.forward(hours=2)
    assert [one.attempts for one in await storage.read(lambda tx: tx.webhook_removals.due())] == [1]
    await storage.write(lambda tx: tx.webhook_removals.done(due.id))
    assert await storage.read(lambda tx: tx.webhook_removals.get(due.id)) is None


async def test_a_webhook_that_was_made_by_hand_leaves_nothing_to_remove(
    storage: Storage, subscription: Subscription
) -> None:
    deleted = await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert deleted is not None
    assert (deleted.last_of_hook, deleted.removal_id) == (True, None)


async def test_an_erased_guilds_made_webhooks_are_to_be_removed(
    storage: Storage, hook: Hook, subscription: Subscription, account: Account, clock: Clock
) -> None:
    await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK))
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    clock.forward(days=31)
    await storage.write(lambda tx: tx.guilds.erase_left_before(clock() - timedelta(days=30)))
    assert [one.key for one in await storage.read(lambda tx: tx.webhook_removals.due())] == [
        hook.key
    ]


async def test_letting_an_account_go_pauses_what_hangs_on_it_and_tells_who_made_it(
    storage: Storage, hook: Hook, account: Account, database_url: str
) -> None:
    _, mine = await storage.write(
        lambda tx: tx.subscriptions.upsert(
            hook.id, STRUCTURE, SubscriptionOptions(), MAREN_ODUYA, account.id
        )
    )
    _, by_webhook = await storage.write(
        lambda tx: tx.subscriptions.upsert(hook.id, FACADE, SubscriptionOptions(), TOBIAS)
    )
    await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, WEBHOOK))
    by_hand = await storage.write(
        lambda tx: tx.hooks.create(STUDIO_KESTREL, SERVER, "byhand", HookKind.OWN, TOBIAS, None)
    )
    await storage.write(lambda tx: note_event(tx, by_hand.id, "Pavilion"))
    _, stays = await storage.write(
        lambda tx: tx.subscriptions.upsert(by_hand.id, FACADE, SubscriptionOptions(), TOBIAS)
    )

    paused = await storage.write(lambda tx: tx.hooks.detach_account(account.id))
    assert paused == [mine.id, by_webhook.id]
    for subscription_id in paused:
        now = await storage.read(lambda tx: tx.subscriptions.get(subscription_id))
        assert now is not None
        assert (now.state, now.pause_reason) == (
            SubscriptionState.PAUSED,
            PauseReason.ACCESS_LOST,
        )
        assert (now.pause_detail, now.account_id) == (PauseWhy.UNLINKED, None)
    left = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert left is not None
    assert (left.state, left.live_at) == (HookState.WAITING, None)
    assert (left.key, left.webhook_id, left.account_id) == (hook.key, None, None)
    assert not set(left.secrets) & set(hook.secrets)
    other = await storage.read(lambda tx: tx.hooks.get(by_hand.id))
    assert other is not None
    assert (other.state, other.account_id) == (HookState.LIVE, None)
    assert (await storage.read(lambda tx: tx.subscriptions.get(stays.id))) == stays
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as c:
            rows = c.execute(select(notices.c.user_id, notices.c.channel_id)).all()
    assert sorted(rows) == [(MAREN_ODUYA, STRUCTURE), (TOBIAS, FACADE)]
    assert await storage.write(lambda tx: tx.hooks.detach_account(account.id)) == []


async def test_a_fact_is_kept_once_for_all_processes(
    storage: Storage, database_url: str, vault: Vault
) -> None:
    async with Storage.open(database_url, vault) as other:
        ids = await asyncio.gather(
            storage.write(lambda tx: tx.key_values.set_once("instance.id", "one")),
            other.write(lambda tx: tx.key_values.set_once("instance.id", "two")),
        )
        assert len(set(ids)) == 1
        assert (
            await other.write(lambda tx: tx.key_values.set_once("instance.id", "three")) == ids[0]
        )
