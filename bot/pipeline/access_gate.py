"""Asks the one rule again when something is about to be shown: waiting cards, late edits."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from bot.model import RIGHTS_PAUSES, AccessPause, Hook, InboxSource, PauseReason, Subscription
from bot.pipeline.access import AccessCheck
from bot.services.access_rules import Decision, Pause, Show, Wait
from bot.storage import Storage, Transaction
from bot.work import (
    ChannelQueue,
    DueSubscription,
    OutboxCard,
)


@dataclass(frozen=True, slots=True)
class ChannelState:
    """A channel where something is to be sent: whose cards wait, and for whom."""

    queue: ChannelQueue
    waiting: Sequence[DueSubscription]
    subscriptions: Mapping[int, Subscription]
    hooks: Mapping[int, Hook]

    @classmethod
    def of(cls, tx: Transaction, channel_id: int) -> Self | None:
        """The channel as it is now; None where nothing is to be done."""
        found = tx.outbox.due_subscriptions(channel_id)
        if found is None:
            return None
        queue, waiting = found
        return cls(queue, waiting, *_by_id(tx, {one.subscription_id for one in waiting}))

    @property
    def picture_bytes(self) -> int:
        """How large the pictures of all that waits are together."""
        return sum(one.picture_bytes for one in self.waiting)

    @property
    def may_be_silenced(self) -> bool:
        """Whether subscriptions may be paused because Discord refused the channel for a while.

        The queue is woken for those whose cards do not wait, the subscriptions where somebody has
        asked for another try since.
        """
        silenced = PauseReason.SILENCED
        paused = any(one.pause_reason is silenced for one in self.subscriptions.values())
        return paused or self.queue.last_error is not None


class AccessGate:
    """Takes back the cards of subscriptions that may not be shown them any more, or not yet.

    Their events are held instead, and rendered again later; `on_held` is called then.
    """

    def __init__(
        self,
        storage: Storage,
        access: AccessCheck,
        *,
        on_held: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._access = access
        self._on_held = on_held
        self._now = now

    async def hold_back_forbidden(self, at: ChannelState) -> Collection[int]:
        """Look at all that waits for a channel, before a message of it is sent.

        Gives the subscriptions whose cards may not be sent as they are. Those of an open batch are
        not taken back here: its message may be in the channel already.
        """
        subscriptions, hooks = at.subscriptions, at.hooks
        back: dict[int, AccessPause | timedelta] = {}
        for one in at.waiting:
            subscription = subscriptions.get(one.subscription_id)
            if subscription is not None and self._is_outdated(subscription, one.made_at):
                back[one.subscription_id] = timedelta(0)
        paused = {id_ for id_, one in subscriptions.items() if one.pause_reason in RIGHTS_PAUSES}
        going = [one for one in at.waiting if one.subscription_id in subscriptions.keys() - paused]
        for source, hook, asked in _by_hook(going, subscriptions, hooks):
            if source is InboxSource.TEST:  # what never happened pauses nothing, and is not kept
                found = await self._access.ask(hook, asked, source)
                for id_ in _to_hold_back(found.decisions, 0.0):
                    back.setdefault(id_, timedelta(0))
            else:
                decisions = await self._access.decide_and_record(hook, asked, source)
                back |= _to_hold_back(decisions, self._access.wait_s(0))
        for subscription_id, why in back.items():
            await self._hold_back(subscription_id, why)
        return back.keys()

    async def may_edit(self, rows: Collection[OutboxCard]) -> bool | None:
        """Whether all of these cards, as they are by now, may still be shown; None: not known."""
        ids = {row.subscription_id for row in rows}
        subscriptions, hooks = await self._storage.read(lambda tx: _by_id(tx, ids))
        if len(subscriptions) < len(ids):
            return False
        if any(
            self._is_outdated(subscriptions[one.subscription_id], one.created_at) for one in rows
        ):
            return False
        waiting = [DueSubscription(one, InboxSource.WEBHOOK, self._now()) for one in sorted(ids)]
        found: list[Decision] = []
        for source, hook, asked in _by_hook(waiting, subscriptions, hooks):
            found += (await self._access.decide_and_record(hook, asked, source)).values()
        if any(isinstance(one, Pause) for one in found):
            return False
        return True if all(isinstance(one, Show) for one in found) else None

    def _is_outdated(self, subscription: Subscription, made_at: datetime) -> bool:
        return is_outdated(subscription, made_at, self._now())

    async def _hold_back(self, subscription_id: int, why: AccessPause | timedelta) -> None:
        now = self._now()
        if isinstance(why, AccessPause):
            await self._storage.write(
                lambda tx: tx.held_events.hold_back(subscription_id, now, why)
            )
        else:
            await self._storage.write(
                lambda tx: tx.held_events.hold_back(subscription_id, now + why)
            )
            self._on_held()


def _by_id(
    tx: Transaction, subscription_ids: Collection[int]
) -> tuple[Mapping[int, Subscription], Mapping[int, Hook]]:
    """These subscriptions that are still there, and the hooks that they follow, each by id."""
    followed = tx.hooks.followed_by(subscription_ids)
    subscriptions = {one.id: one for of_hook in followed for one in of_hook.subscriptions}
    return subscriptions, {of_hook.hook.id: of_hook.hook for of_hook in followed}


def _by_hook(
    waiting: Iterable[DueSubscription],
    subscriptions: Mapping[int, Subscription],
    hooks: Mapping[int, Hook],
) -> Sequence[tuple[InboxSource, Hook, Sequence[Subscription]]]:
    """What the rule is asked about, each hook's together."""
    grouped: defaultdict[tuple[int, InboxSource], list[Subscription]] = defaultdict(list)
    for one in waiting:
        subscription = subscriptions[one.subscription_id]
        grouped[subscription.hook_id, one.source].append(subscription)
    return [
        (source, hooks[hook_id], some)
        for (hook_id, source), some in grouped.items()
        if hook_id in hooks
    ]


def is_outdated(subscription: Subscription, made_at: datetime, now: datetime) -> bool:
    """Whether what was made at that time for a channel is not to be shown there as it is.

    The subscription is paused for a right, or somebody else may have answered for it since, who
    sees other things. An answer with a time in the future is from before the clock was set back.
    """
    if subscription.pause_reason in RIGHTS_PAUSES:
        return True
    consent = subscription.consent
    return consent is not None and made_at < consent.at <= now


def _to_hold_back(
    decisions: Mapping[int, Decision], wait_s: float
) -> dict[int, AccessPause | timedelta]:
    """The subscriptions whose cards are taken back: why, or for how long at least."""
    found: dict[int, AccessPause | timedelta] = {}
    for subscription_id, decision in decisions.items():
        match decision:
            case Pause(reason, why):
                found[subscription_id] = AccessPause(reason, why)
            case Wait():
                found[subscription_id] = timedelta(seconds=wait_s)
            case Show():
                pass
    return found
