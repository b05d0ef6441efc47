"""Asks the one rule again when something is about to be shown: waiting cards, late edits."""

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

from bot.db.rows import Hook, InboxSource, Paused, Subscription
from bot.pipeline.access import AccessCheck, wait_s
from bot.rights.decide import Pause, Show, Wait
from bot.storage import Storage


class Gate:
    """Takes back the cards of subscriptions that may not be shown them any more, or not yet.

    Their events are held instead, and rendered again later; `held` is called then.
    """

    def __init__(
        self,
        storage: Storage,
        access: AccessCheck,
        *,
        held: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._access = access
        self._held = held
        self._now = now

    async def look(self, channel_id: int) -> None:
        """Look at all that waits for a channel, before a new message of it is put together."""
        waiting = await self._storage.outbox.waiting_for(channel_id)
        for hook, subscriptions, source in await self._by_hook(waiting):
            decisions = await self._access.decide(hook, subscriptions, source)
            for one in subscriptions:
                await self._settle(one, decisions[one.id])

    async def may_see(self, subscription_ids: Collection[int]) -> bool:
        """Whether all of these may still be shown what their cards have been changed to."""
        pairs = [(one, InboxSource.WEBHOOK) for one in subscription_ids]
        for hook, subscriptions, source in await self._by_hook(pairs):
            decisions = await self._access.decide(hook, subscriptions, source)
            if not all(isinstance(decision, Show) for decision in decisions.values()):
                return False
        return True

    async def _settle(self, subscription: Subscription, decision: object) -> None:
        now = self._now()
        match decision:
            case Pause(reason, why):
                paused = Paused(reason, why)
                await self._storage.held.withdraw(subscription.id, now, paused)
            case Wait():
                until = now + timedelta(seconds=wait_s(0))
                await self._storage.held.withdraw(subscription.id, until)
                self._held()
            case _:
                pass

    async def _by_hook(
        self, waiting: Sequence[tuple[int, InboxSource]]
    ) -> list[tuple[Hook, list[Subscription], InboxSource]]:
        grouped: defaultdict[tuple[int, InboxSource], list[Subscription]] = defaultdict(list)
        for subscription_id, source in waiting:
            subscription = await self._storage.subscriptions.get(subscription_id)
            if subscription is not None:
                grouped[subscription.hook_id, source].append(subscription)
        found = []
        for (hook_id, source), subscriptions in grouped.items():
            hook = await self._storage.hooks.get(hook_id)
            if hook is not None:
                found.append((hook, subscriptions, source))
        return found
