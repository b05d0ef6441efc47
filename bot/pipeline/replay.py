"""Events that were held back are processed again, in order for each subscription."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol

import structlog

from bot.errors import NotADelivery
from bot.log import about_events
from bot.model import Hook, HookKind, InboxSource, Subscription
from bot.pipeline.event_context import EventContext, thread_id_of
from bot.pipeline.keyed_worker import KeyedWorker
from bot.pipeline.reading import read
from bot.pipeline.routing import RoutingResult
from bot.pipeline.subjects import changes_shown
from bot.pipeline.trace import Trace
from bot.speckle.events import Delivery
from bot.storage import Storage, Transaction
from bot.trace import TraceStep
from bot.work import HeldEvent, InboxEvent, SubscriptionResult

log = structlog.get_logger()

HELD_AT_ONCE = 4


class Routes(Protocol):
    """Decides what events lead to; see `Routing`."""

    async def route(
        self,
        events: Sequence[tuple[EventContext, Sequence[Subscription]]],
        *,
        attempts: int = 0,
    ) -> Sequence[RoutingResult]:
        """What events of one hook, in order, lead to in these subscriptions."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """Who continues with the results of events.

    `on_cards` is called with the channels where cards wait, by the ids of channel and guild;
    `on_incomplete` when cards lack something, `on_held` when events are held.
    """

    on_cards: Callable[[Iterable[tuple[int, int]]], None]
    on_incomplete: Callable[[], None]
    on_held: Callable[[], None]

    def wake(self, results: Sequence[SubscriptionResult], cards: Sequence[int]) -> None:
        """Call those that these results concern; `cards` are the ids of new ones."""
        if cards:
            new = [one.card for one in results if one.card is not None]
            self.on_cards({(card.channel_id, card.guild_id) for card in new})
        if any(one.late for one in results):
            self.on_incomplete()
        if any(one.held_until is not None for one in results):
            self.on_held()


class Replay:
    """Deals again with events that a subscription could not be shown, when it may be."""

    def __init__(
        self,
        storage: Storage,
        routing: Routes,
        *,
        served_guilds: frozenset[int],
        on_cards: Callable[[Iterable[tuple[int, int]]], None],
        on_incomplete: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._routing = routing
        self._served_guilds = served_guilds
        self._now = now
        self._worker = KeyedWorker[HeldEvent, int](
            "held_events",
            at_once=HELD_AT_ONCE,
            find_due=lambda limit, busy: storage.look_together(
                lambda tx: tx.held_events.due(limit, busy)
            ),
            due_in=lambda busy: storage.look_together(lambda tx: tx.held_events.due_in(busy)),
            key_of=lambda held: held.subscription_id,
            tenant_of=lambda held: held.guild_id,
            handle=self._replay,
        )
        self.run = self._worker.run
        self.outlets = Outlets(on_cards, on_incomplete, self.wake)

    def wake(self) -> None:
        """Report that an event may be processed again now."""
        self._worker.wake()

    async def _replay(self, held: HeldEvent) -> None:
        """Deal again with an event that a subscription could not be shown."""
        found = await self._storage.read(partial(_held, held=held))
        if found is None:
            return  # removed meanwhile, and what was held with it
        row, subscription, hook = found
        about_events([row.id])
        trace = Trace(self._now, row)
        trace.lines.clear()
        result = await self._again(held, row, hook, subscription, trace)
        # Of an event that waits on, the trace says already that it waits.
        lines = () if result.held_until is not None and result.pause is None else trace.lines
        cards = await self._storage.write(
            lambda tx: tx.held_events.settle(held, row.received_at, result, lines)
        )
        log.info("held_events.replayed", inbox_id=row.id, cards=len(cards))
        self.outlets.wake([result], cards)

    async def _again(
        self,
        held: HeldEvent,
        row: InboxEvent,
        hook: Hook,
        subscription: Subscription,
        trace: Trace,
    ) -> SubscriptionResult:
        """What a held event leads to by now, in its subscription."""
        if not self._may_speak(row, hook):
            trace.add("access", TraceStep.HOOK_NOT_SERVED)
            return SubscriptionResult(subscription.id)
        try:
            delivery, _ = await read(row.body)
        except NotADelivery:  # its body has been erased
            trace.add("access", TraceStep.BODY_ERASED)
            return SubscriptionResult(subscription.id)
        event_context = await self._storage.read(
            partial(_context, hook=hook, row=row, delivery=delivery, trace=trace)
        )
        events = [(event_context, [subscription])]
        (way,) = await self._routing.route(events, attempts=held.attempts + 1)
        return next(iter(way.results), SubscriptionResult(subscription.id))

    def _may_speak(self, row: InboxEvent, hook: Hook) -> bool:
        """Whether an event that a subscription of the hook held may still come through it."""
        if row.source is not InboxSource.OPERATOR:
            return True
        return hook.kind is HookKind.SHARED and hook.guild_id in self._served_guilds


def _held(tx: Transaction, held: HeldEvent) -> tuple[InboxEvent, Subscription, Hook] | None:
    """A held event, whom it is for, and through which hook."""
    row = tx.inbox.get(held.inbox_id)
    subscription = tx.subscriptions.get(held.subscription_id)
    hook = None if subscription is None else tx.hooks.get(subscription.hook_id)
    if row is None or subscription is None or hook is None:
        return None
    return row, subscription, hook


def _context(
    tx: Transaction, hook: Hook, row: InboxEvent, delivery: Delivery, trace: Trace
) -> EventContext:
    """The event with what the hook's own events said."""
    thread_id = thread_id_of(delivery)
    threads = tx.hooks.threads_of([hook.id], () if thread_id is None else [thread_id])
    return EventContext(
        hook,
        row,
        delivery,
        tx.hooks.names(hook.id),
        trace,
        threads[hook.id].get(thread_id or ""),
        changes_shown(tx, row, delivery),
    )
