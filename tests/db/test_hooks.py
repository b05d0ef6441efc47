"""Hooks, on both databases."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select

from bot.db.connections import parse_url
from bot.db.engine import Database
from bot.db.hook_lookup import HookLookup
from bot.db.tables import hooks
from bot.errors import SealError
from bot.model import Hook, HookKind, HookState, Subscription
from bot.storage import Storage
from bot.vault import Vault
from tests.db.conftest import HARBOUR_TOWER, MAREN_ODUYA, SERVER, STRUCTURE, STUDIO_KESTREL, Clock
from tests.db.test_accounts import linked
from tests.stored import note_event


async def shared(storage: Storage, guild_id: int, project_id: str = HARBOUR_TOWER) -> Hook:
    return await storage.write(
        lambda tx: tx.hooks.create(guild_id, SERVER, project_id, HookKind.SHARED, MAREN_ODUYA, None)
    )


async def test_a_new_own_hook_waits_with_a_key_and_a_secret_that_do_not_print(hook: Hook) -> None:
    assert (hook.state, hook.kind, hook.live_at) == (HookState.WAITING, HookKind.OWN, None)
    assert hook.key is not None
    assert len(hook.key) == 43
    assert [len(secret) for secret in hook.secrets] == [43]
    assert hook.key not in repr(hook)
    assert hook.secrets[0] not in repr(hook)


async def test_a_hook_is_found_by_its_key_and_by_nothing_else(storage: Storage, hook: Hook) -> None:
    assert hook.key is not None
    assert await storage.hook_lookup.by_key(hook.key) == hook
    for wrong in ("", hook.key[:-1], hook.key + "x", "k" * 5000, "nul\0", "lone \ud800", "%"):
        assert await storage.hook_lookup.by_key(wrong) is None


async def test_many_look_ups_at_once_each_get_their_own_hook(storage: Storage) -> None:
    made = [
        await storage.write(
            lambda tx: tx.hooks.create(
                STUDIO_KESTREL, SERVER, f"project{n}", HookKind.OWN, MAREN_ODUYA, None
            )
        )
        for n in range(5)
    ]
    keys = [hook.key or "" for hook in made] + ["unknown"]
    found = await asyncio.gather(*(storage.hook_lookup.by_key(key) for key in keys * 20))
    assert found == [*made, None] * 20


async def test_a_project_may_have_several_hooks_in_a_guild_each_with_its_own_key_and_secret(
    storage: Storage, hook: Hook
) -> None:
    others = await asyncio.gather(
        *(
            storage.write(
                lambda tx: tx.hooks.create(
                    STUDIO_KESTREL, SERVER, HARBOUR_TOWER, HookKind.OWN, MAREN_ODUYA, STRUCTURE
                )
            )
            for _ in range(4)
        )
    )
    there = await storage.read(
        lambda tx: tx.hooks.of_project(STUDIO_KESTREL, SERVER, HARBOUR_TOWER)
    )
    assert there == [hook, *sorted(others, key=lambda one: one.id)]
    assert len({one.key for one in there}) == len({one.secrets for one in there}) == 5
    assert await storage.read(lambda tx: tx.hooks.of_project(STUDIO_KESTREL, SERVER, "other")) == []
    assert await storage.read(lambda tx: tx.hooks.of_project(1, SERVER, HARBOUR_TOWER)) == []
    assert await storage.read(lambda tx: tx.hooks.of_guild(STUDIO_KESTREL)) == there


async def test_secrets_are_sealed_in_the_database_and_bound_to_their_hook(
    storage: Storage, hook: Hook, database_url: str, key: str
) -> None:
    async with Database.open(parse_url(database_url)) as database:
        with database.reading() as c:
            row = c.execute(select(hooks)).mappings().one()
    assert hook.secrets[0] not in str(dict(row))
    with pytest.raises(SealError):
        Vault([key]).open(row["secret_sealed"], "hook:1:other")


async def test_a_secret_that_no_key_opens_is_counted_and_its_hook_is_there_without(
    storage: Storage, hook: Hook, database_url: str
) -> None:
    assert await storage.sealed.unopenable() == {}
    async with Storage.open(database_url, Vault([Fernet.generate_key().decode()])) as stranger:
        assert await stranger.sealed.unopenable() == {"webhook secret": 1}
        mine = await stranger.write(
            lambda tx: tx.hooks.create(
                STUDIO_KESTREL, SERVER, "mine", HookKind.OWN, MAREN_ODUYA, None
            )
        )
        shut, open_ = await asyncio.gather(
            stranger.hook_lookup.by_key(hook.key or ""), stranger.hook_lookup.by_key(mine.key or "")
        )
        assert shut == replace(hook, secrets=(), unopenable=True)
        assert open_ == mine
        assert await stranger.write(lambda tx: tx.hooks.reset_webhook(mine.id)) == mine
        again = await stranger.write(lambda tx: tx.hooks.reset_webhook(hook.id))
        assert again is not None
        assert (again.key, again.state, again.unopenable) == (hook.key, HookState.WAITING, False)
        assert len(again.secrets) == 1
        assert await stranger.sealed.unopenable() == {}


async def test_a_former_secret_and_a_webhooks_id_that_no_key_opens_shut_nothing(
    storage: Storage, hook: Hook, database_url: str, key: str, clock: Clock
) -> None:
    account = await linked(storage)
    made = await storage.write(lambda tx: tx.hooks.record_webhook(hook.id, account.id, "webhook-1"))
    assert made is not None
    new = Fernet.generate_key().decode()
    async with Storage.open(database_url, Vault([new, key]), clock) as both:
        renewed = await both.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    async with Storage.open(database_url, Vault([new]), clock) as stranger:
        there = await stranger.read(lambda tx: tx.hooks.get(hook.id))
    assert renewed is not None
    assert there == replace(renewed, secrets=renewed.secrets[:1], webhook_id="")


async def test_a_waiting_hook_turns_live_with_its_first_event(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    clock.forward(minutes=5)
    await storage.write(lambda tx: note_event(tx, hook.id, "Harbour Tower"))
    first = clock()
    clock.forward(minutes=5)
    await storage.write(lambda tx: note_event(tx, hook.id))
    live = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert live is not None
    assert (live.state, live.live_at, live.project_name) == (
        HookState.LIVE,
        first,
        "Harbour Tower",
    )


async def test_the_secret_before_stays_valid_for_a_day(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    renewed = await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    assert renewed is not None
    assert renewed.key == hook.key
    assert renewed.secrets[0] != hook.secrets[0]
    assert renewed.secrets[1:] == hook.secrets
    clock.forward(hours=23, minutes=59)
    assert (await storage.read(lambda tx: tx.hooks.get(hook.id))) == renewed
    clock.forward(minutes=2)
    later = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert later is not None
    assert later.secrets == renewed.secrets[:1]


async def test_a_secret_ends_with_the_next_one_and_so_do_those_that_were_to_work_on(
    storage: Storage, hook: Hook
) -> None:
    renewed = await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    assert renewed is not None
    now = await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=False))
    assert now is not None
    assert len(now.secrets) == 1
    assert not set(now.secrets) & set(renewed.secrets)


async def test_how_open_a_project_is_is_remembered_with_when_it_was_last_public(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    seen = clock()
    await storage.write(lambda tx: tx.hooks.record_project_visibility(hook.id, "unlisted"))
    clock.forward(hours=1)
    await storage.write(lambda tx: tx.hooks.record_project_visibility(hook.id, "private"))
    now = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert now is not None
    assert (now.visibility, now.public_at) == ("private", seen)


async def test_only_own_hooks_that_are_there_get_new_secrets(storage: Storage) -> None:
    hook = await shared(storage, STUDIO_KESTREL)
    assert await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True)) is None
    assert await storage.write(lambda tx: tx.hooks.new_secret(999, overlap=False)) is None


async def served(storage: Storage, guilds: Collection[int]) -> list[Hook]:
    found = await storage.read(lambda tx: tx.hooks.shared_for(SERVER, HARBOUR_TOWER, guilds))
    return [one.hook for one in found]


async def test_a_shared_hook_is_live_at_once_and_serves_the_named_guilds(
    storage: Storage, hook: Hook
) -> None:
    one, two = await shared(storage, 1), await shared(storage, 2)
    await shared(storage, 3, project_id="other")
    assert (one.state, one.key, one.secrets) == (HookState.LIVE, None, ())
    guilds = frozenset({1, 2, 3, STUDIO_KESTREL})
    assert await served(storage, guilds) == [one, two]
    assert await served(storage, {2}) == [two]
    assert await served(storage, ()) == []
    await storage.write(lambda tx: tx.guilds.leave(1))
    assert await served(storage, guilds) == [two]


async def test_a_converted_hook_starts_again(storage: Storage, hook: Hook) -> None:
    as_shared = await storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.SHARED))
    assert as_shared is not None
    assert (as_shared.state, as_shared.key, as_shared.secrets) == (HookState.LIVE, None, ())
    assert await storage.hook_lookup.by_key(hook.key or "") is None
    as_own = await storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.OWN))
    assert as_own is not None
    assert (as_own.state, as_own.live_at) == (HookState.WAITING, None)
    assert as_own.key not in (None, hook.key)
    assert await storage.write(lambda tx: tx.hooks.convert(hook.id, HookKind.OWN)) == as_own
    assert await storage.write(lambda tx: tx.hooks.convert(999, HookKind.OWN)) is None


async def test_an_event_without_a_name_keeps_the_one_before(
    storage: Storage, hook: Hook, clock: Clock
) -> None:
    await storage.write(lambda tx: note_event(tx, hook.id, "Harbour\0 Tower 🏗", clock()))
    await storage.write(lambda tx: note_event(tx, hook.id, None, clock() + timedelta(minutes=1)))
    touched = await storage.read(lambda tx: tx.hooks.get(hook.id))
    assert touched is not None
    assert touched.project_name == "Harbour\N{REPLACEMENT CHARACTER} Tower 🏗"
    assert touched.last_event_at == clock() + timedelta(minutes=1)


async def test_a_deleted_hook_is_gone(storage: Storage, hook: Hook) -> None:
    assert await storage.write(lambda tx: tx.hooks.delete(hook.id))
    assert not await storage.write(lambda tx: tx.hooks.delete(hook.id))
    assert await storage.read(lambda tx: tx.hooks.get(hook.id)) is None


async def test_what_is_changed_here_shows_at_the_next_look_up(storage: Storage, hook: Hook) -> None:
    key = hook.key or ""
    assert await storage.hook_lookup.by_key(key) == hook
    renewed = await storage.write(lambda tx: tx.hooks.new_secret(hook.id, overlap=True))
    assert await storage.hook_lookup.by_key(key) == renewed
    await storage.write(lambda tx: tx.guilds.leave(STUDIO_KESTREL))
    closed = await storage.hook_lookup.by_key(key)
    assert closed is not None
    assert closed.state is HookState.CLOSED
    await storage.write(lambda tx: tx.guilds.join(STUDIO_KESTREL))
    opened = await storage.hook_lookup.by_key(key)
    assert opened is not None
    assert opened.state is HookState.WAITING
    await storage.write(lambda tx: tx.hooks.delete(hook.id))
    assert await storage.hook_lookup.by_key(key) is None


async def test_a_hook_that_went_with_its_last_subscription_is_not_found(
    storage: Storage, subscription: Subscription, hook: Hook
) -> None:
    assert await storage.hook_lookup.by_key(hook.key or "") == hook
    await storage.write(lambda tx: tx.subscriptions.delete(subscription.id))
    assert await storage.hook_lookup.by_key(hook.key or "") is None


async def test_what_another_process_changes_shows_within_a_second(
    storage: Storage, hook: Hook, database_url: str, vault: Vault
) -> None:
    key, now_s = hook.key or "", 0.0
    hook_lookup = HookLookup(storage._database, vault, lambda: now_s)
    assert await hook_lookup.by_key(key) == hook
    async with Storage.open(database_url, vault) as other:
        await other.write(lambda tx: tx.hooks.delete(hook.id))
    now_s = 0.9
    assert await hook_lookup.by_key(key) == hook
    now_s = 1.0
    assert await hook_lookup.by_key(key) is None
    await hook_lookup.close()
