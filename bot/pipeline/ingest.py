"""From the inbox to the outbox: what an event means, who gets it, and how it looks there."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog

from bot.db.rows import (
    HeldEvent,
    Hook,
    HookKind,
    HookState,
    InboxRow,
    InboxSource,
    Ingested,
    Routed,
    Subscription,
)
from bot.errors import NotADelivery
from bot.pipeline.lanes import LaneRunner
from bot.pipeline.routing import Occasion, Routing, Trace
from bot.speckle.activity import event_key
from bot.speckle.events import Delivery
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.storage import Storage

log = structlog.get_logger()

PROJECTS_AT_ONCE = 16
HELD_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Audience:
    """One hook that an event came through, with the subscriptions that it may concern."""

    occasion: Occasion
    subscriptions: Sequence[Subscription]


class Ingest:
    """Takes events out of the inbox, in order for each project, and leaves cards in the outbox.

    `queued` is called when cards wait for delivery, `lacking` when they lack something.
    """

    def __init__(
        self,
        storage: Storage,
        routing: Routing,
        *,
        served_guilds: frozenset[int],
        queued: Callable[[], None],
        lacking: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._routing = routing
        self._served_guilds = served_guilds
        self._queued = queued
        self._lacking = lacking
        self._now = now
        self._lanes = LaneRunner[InboxRow, str](
            "ingest",
            at_once=PROJECTS_AT_ONCE,
            find=storage.inbox.next_per_lane,
            due_in=storage.inbox.due_in,
            lane_of=lambda row: row.lane,
            work=self._ingest,
        )
        self._held = LaneRunner[HeldEvent, int](
            "held_events",
            at_once=HELD_AT_ONCE,
            find=storage.held.due,
            due_in=storage.held.due_in,
            lane_of=lambda held: held.subscription_id,
            work=self._replay,
        )
        self.wake = self._lanes.wake
        self.run = self._lanes.run
        self.wake_held = self._held.wake
        self.run_held = self._held.run

    async def _ingest(self, row: InboxRow) -> None:
        """Deal with one event; everything it leads to is written in one transaction."""
        trace = Trace(self._now, row)
        try:
            delivery = parse_delivery(read_envelope(row.body))
        except NotADelivery as error:
            trace.add("parse", f"The body is no Speckle delivery: {error.reason}.")
            await self._storage.inbox.fail(row.id, trace.lines)
            return
        trace.add("parse", f"Read as {delivery.event.kind.value}.")
        key = event_key(delivery)
        audiences = await self._audiences(row, delivery, trace)
        if not audiences:
            trace.add("route", "No channel follows this project.")
        ingested = await asyncio.gather(*(self._for_hook(one, key) for one in audiences))
        cards = await self._storage.inbox.finish(
            row.id,
            trace.lines,
            event_name=delivery.event_name,
            ingested=ingested,
            event_key=key,
        )
        log.info("ingest.done", inbox_id=row.id, kind=delivery.event.kind.value, cards=len(cards))
        self._written([routed for one in ingested for routed in one.routed], cards)

    def _written(self, routed: Sequence[Routed], cards: Sequence[int]) -> None:
        if cards:
            self._queued()
        if any(one.late for one in routed):
            self._lacking()
        if any(one.held_until is not None for one in routed):
            self._held.wake()

    # ── whom it may concern ───────────────────────────────────────────────────────────────────

    async def _audiences(
        self, row: InboxRow, delivery: Delivery, trace: Trace
    ) -> Sequence[Audience]:
        return [
            Audience(
                await self._occasion(hook, row, delivery, trace),
                await self._addressed(hook, row),
            )
            for hook in await self._hooks(row, delivery)
        ]

    async def _occasion(
        self, hook: Hook, row: InboxRow, delivery: Delivery, trace: Trace
    ) -> Occasion:
        names = await self._storage.hooks.model_names(hook.id)
        return Occasion(hook, row, delivery, names, trace)

    async def _hooks(self, row: InboxRow, delivery: Delivery) -> Sequence[Hook]:
        """The hooks that the row's source may speak for, and no other."""
        match row.source:
            case InboxSource.ACTIVITY:
                return await self._hook_of(row.subscription_id)
            case InboxSource.OPERATOR:
                if row.server_url is None:
                    return []
                return await self._storage.hooks.shared_for(
                    row.server_url, delivery.project.id, self._served_guilds
                )
            case InboxSource.WEBHOOK | InboxSource.HISTORY:
                return _open(await self._storage.hooks.get(row.hook_id or 0))

    async def _hook_of(self, subscription_id: int | None) -> Sequence[Hook]:
        subscription = await self._storage.subscriptions.get(subscription_id or 0)
        if subscription is None:
            return []
        return _open(await self._storage.hooks.get(subscription.hook_id))

    async def _addressed(self, hook: Hook, row: InboxRow) -> Sequence[Subscription]:
        subscriptions = await self._storage.subscriptions.of_hook(hook.id)
        if row.source is not InboxSource.ACTIVITY:
            return subscriptions
        return [one for one in subscriptions if one.id == row.subscription_id]

    async def _for_hook(self, audience: Audience, key: str | None) -> Ingested:
        """What the event changes for one hook: only its own webhook tells of the hook itself."""
        occasion, subscriptions = audience.occasion, audience.subscriptions
        hook, row, delivery = occasion.hook, occasion.row, occasion.delivery
        if not subscriptions:
            text = "No channel follows this project here."
            occasion.trace.add("route", text, guild_id=hook.guild_id)
        subscriptions = await self._not_shown_yet(occasion, subscriptions, key)
        way = await self._routing.route(occasion, subscriptions)
        told = row.source is not InboxSource.ACTIVITY
        return Ingested(
            hook_id=hook.id,
            at=row.received_at,
            told=told,
            project_name=delivery.project.name,
            model_names={m.id: m.name for m in reversed(delivery.models) if m.id and m.name},
            routed=way.routed,
            visibility=way.visibility,
        )

    async def _not_shown_yet(
        self, occasion: Occasion, subscriptions: Sequence[Subscription], key: str | None
    ) -> Sequence[Subscription]:
        """Those that were not shown the same event already, which came another way."""
        if key is None or not subscriptions:
            return subscriptions
        ids = [one.id for one in subscriptions]
        already = await self._storage.inbox.shown_already(occasion.row, key, ids)
        for one in already:
            text = "Not shown again: it was fetched from Speckle's lists as well."
            occasion.trace.add("route", text, subscription_id=one)
        return [one for one in subscriptions if one.id not in already]

    # ── held back ─────────────────────────────────────────────────────────────────────────────

    async def _replay(self, held: HeldEvent) -> None:
        """Deal again with an event that a subscription could not be shown."""
        row = await self._storage.inbox.get(held.inbox_id)
        subscription = await self._storage.subscriptions.get(held.subscription_id)
        hook = None if subscription is None else await self._storage.hooks.get(subscription.hook_id)
        if row is None or subscription is None or hook is None:
            return  # erased meanwhile, and what was held of it with it
        trace = Trace(self._now, row)
        trace.lines.clear()
        routed = await self._again(held, row, hook, subscription, trace)
        # Of an event that waits on, the trace says already that it waits.
        lines = () if routed.held_until is not None and routed.pause is None else trace.lines
        cards = await self._storage.held.settle(held, row.received_at, routed, lines)
        log.info("held_events.replayed", inbox_id=row.id, cards=len(cards))
        self._written([routed], cards)

    async def _again(
        self,
        held: HeldEvent,
        row: InboxRow,
        hook: Hook,
        subscription: Subscription,
        trace: Trace,
    ) -> Routed:
        """What a held event leads to by now, in its subscription."""
        if not self._may_speak(row, hook):
            trace.add("access", "Not shown: its webhook no longer speaks for this server.")
            return Routed(subscription.id)
        try:
            delivery = parse_delivery(read_envelope(row.body))
        except NotADelivery:  # its body has been erased
            trace.add("access", "Not shown: the event was kept too long, and has been erased.")
            return Routed(subscription.id)
        occasion = await self._occasion(hook, row, delivery, trace)
        way = await self._routing.route(occasion, [subscription], attempts=held.attempts + 1)
        return next(iter(way.routed), Routed(subscription.id))

    def _may_speak(self, row: InboxRow, hook: Hook) -> bool:
        """Whether an event that a subscription of the hook held may still come through it."""
        if row.source is not InboxSource.OPERATOR:
            return True
        return hook.kind is HookKind.SHARED and hook.guild_id in self._served_guilds


def _open(hook: Hook | None) -> Sequence[Hook]:
    return [] if hook is None or hook.state is HookState.CLOSED else [hook]
