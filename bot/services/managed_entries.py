"""What channels follow, as somebody may read it who manages them."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from bot.model import HookState
from bot.permissions import Actor
from bot.services.channel_rules import require_manager
from bot.services.project_followers import entry_of, names_in_filters
from bot.services.subscribe_results import Followed, NotHeard
from bot.storage import Storage, Transaction


async def managed_entries(
    storage: Storage, guild_id: int, actor: Actor, channel_id: int | None = None
) -> list[Followed]:
    """Subscriptions of the guild, or of one channel, that the caller may manage."""

    def read(tx: Transaction) -> list[Followed]:
        hooks = {hook.id: hook for hook in tx.hooks.of_guild(guild_id)}
        return [
            Followed(hooks[one.hook_id], one, True, names_in_filters(tx, hooks[one.hook_id], one))
            for one in tx.subscriptions.of_guild(guild_id)
            if channel_id in (None, one.channel_id)
            and one.hook_id in hooks
            and actor.manages(one.channel_id)
        ]

    entries = [_as_seen(entry, actor) for entry in await storage.read(read)]
    entries.sort(key=lambda entry: (entry.label, entry.subscription.id))
    return entries


async def managed_entry(
    storage: Storage, guild_id: int, actor: Actor, subscription_id: int
) -> Followed:
    """One subscription of this guild that the caller may manage. Errors: CommandRefused."""
    entry = await entry_of(storage, guild_id, subscription_id)
    require_manager(actor, entry.subscription.channel_id)
    return _as_seen(entry, actor)


async def with_what_is_not_heard(
    storage: Storage, entries: Sequence[Followed], servers: Collection[str], *, has_address: bool
) -> list[Followed]:
    """The entries, each with why nothing can arrive of it.

    `has_address`: the bot has one that a webhook can lead to.
    """
    account_ids = {
        one.subscription.account_id
        for one in entries
        if one.hook.is_heard and one.subscription.account_id is not None
    }

    def unopenable(tx: Transaction) -> set[int | None]:
        accounts = (tx.accounts.get(one) for one in account_ids)
        return {one.id for one in accounts if one is not None and one.unopenable}

    lost = await storage.read(unopenable) if account_ids else set()
    return [_looked_at(one, servers, lost, has_address) for one in entries]


def _looked_at(
    entry: Followed, servers: Collection[str], lost: Collection[int | None], has_address: bool
) -> Followed:
    if not entry.hook.is_heard:
        waits = entry.hook.is_by_hand and entry.hook.state is HookState.WAITING
        return replace(entry, not_heard=NotHeard.NO_ADDRESS) if waits and not has_address else entry
    if entry.hook.server_url not in servers:
        return replace(entry, not_heard=NotHeard.SERVER_LEFT_OUT)
    if entry.subscription.account_id in lost:
        return replace(entry, not_heard=NotHeard.UNOPENABLE)
    return entry


def _as_seen(entry: Followed, actor: Actor) -> Followed:
    """The entry as the caller may read it: the bot may not know whether they see the channel."""
    return entry if actor.sees(entry.subscription.channel_id) else entry.for_others()
