"""Webhooks that somebody was to set up by hand, and that have sent nothing for a day."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.model import Hook, Subscription, SubscriptionState
from bot.storage import Storage, Transaction

REMIND_AFTER = timedelta(days=1)
# What waits for longer was begun before the bot reminded anybody, or while it was down.
FORGOTTEN_AFTER = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class WaitingSetup:
    """A hook that waits for its first event, with a channel that waits for it.

    `notice_channel_id` is where the guild wants its notices, None for a direct message.
    """

    hook: Hook
    subscription: Subscription
    notice_channel_id: int | None


class WaitingSetups:
    """Returns what is due now, and notes the result."""

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now

    async def due(self) -> list[WaitingSetup]:
        """Those that somebody is to be reminded of, oldest first."""
        now = self._now()

        def read(tx: Transaction) -> list[WaitingSetup]:
            hooks = tx.hooks.waiting(now - FORGOTTEN_AFTER, now - REMIND_AFTER)
            return [one for one in (_of(tx, hook) for hook in hooks) if one is not None]

        return await self._storage.read(read)

    async def mark_reminded(self, setup: WaitingSetup) -> None:
        """Somebody is reminded, or nobody can be."""
        await self._storage.write(lambda tx: tx.hooks.mark_reminded(setup.hook.id))


def _of(tx: Transaction, hook: Hook) -> WaitingSetup | None:
    """None where no channel shows anything: it is paused, and somebody knows."""
    there = tx.subscriptions.of_hook(hook.id)
    active = [one for one in there if one.state is SubscriptionState.ACTIVE]
    active.sort(key=lambda one: one.channel_id != hook.setup_channel_id)
    guild = tx.guilds.get(hook.guild_id)
    if not active or guild is None or guild.left_at is not None:
        return None
    return WaitingSetup(hook, active[0], guild.notice_channel_id)
