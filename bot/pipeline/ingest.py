"""From the inbox to the outbox: what an event means, who gets it, and how it looks there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import islice

import structlog

from bot.db.rows import (
    HeldEvent,
    Hook,
    HookKind,
    HookState,
    InboxHead,
    InboxRow,
    InboxSource,
    Ingested,
    Routed,
    Subscription,
)
from bot.errors import NotADelivery
from bot.pipeline.lanes import LaneRunner
from bot.pipeline.reading import LARGE_BODY_BYTES, read
from bot.pipeline.routing import Occasion, Routing, Trace
from bot.speckle.events import Delivery
from bot.storage import Storage, Transaction
from bot.turns import Door

log = structlog.get_logger()

PROJECTS_AT_ONCE = 32  # one guild gets up to half of them
HELD_AT_ONCE = 4
# Large bodies are worked on a few at a time, one of a guild: each is in memory several times over.
LARGE_AT_ONCE = 4
ORGANISATION = 0  # no guild's id


@dataclass(frozen=True, slots=True)
class Audience:
    """One hook that an event came through, with the subscriptions that it may concern.

    `already`: those that were shown the same event another way, and by which row.
    """

    occasion: Occasion
    subscriptions: Sequence[Subscription]
    already: Mapping[int, int]


class Ingest:
    """Takes events out of the inbox, in order for each project, and leaves cards in the outbox.

    `queued` is called when cards wait for delivery, `lacking` when they lack something.
    `most_model_names` says how many names a guild's projects may each have, None for any number.
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
        most_model_names: Callable[[int], int | None] = lambda _guild_id: None,
    ) -> None:
        self._storage = storage
        self._routing = routing
        self._served_guilds = served_guilds
        self._queued = queued
        self._lacking = lacking
        self._now = now
        self._most_model_names = most_model_names
        self._large = Door(LARGE_AT_ONCE)
        self._lanes = LaneRunner[InboxHead, str](
            "ingest",
            at_once=PROJECTS_AT_ONCE,
            find=lambda _limit, busy: storage.read(lambda tx: tx.inbox.next_per_lane(busy)),
            due_in=lambda busy: storage.read(lambda tx: tx.inbox.due_in(busy)),
            lane_of=lambda head: head.lane,
            tenant_of=_tenant,
            work=self._next,
        )
        self._held = LaneRunner[HeldEvent, int](
            "held_events",
            at_once=HELD_AT_ONCE,
            find=lambda limit, busy: storage.read(lambda tx: tx.held.due(limit, busy)),
            due_in=lambda busy: storage.read(lambda tx: tx.held.due_in(busy)),
            lane_of=lambda held: held.subscription_id,
            tenant_of=lambda held: held.guild_id,
            work=self._replay,
        )
        self.wake = self._lanes.wake
        self.run = self._lanes.run
        self.wake_held = self._held.wake
        self.run_held = self._held.run

    async def _next(self, head: InboxHead) -> None:
        async with self._room_for(head.size):
            row = await self._storage.read(lambda tx: tx.inbox.get(head.id))
            if row is not None:
                await self._ingest(row)

    def _room_for(self, size: int) -> AbstractAsyncContextManager[None]:
        """Wait for the tenant's turn to have a large body in memory."""
        return self._large.turn() if size > LARGE_BODY_BYTES else nullcontext()

    async def _ingest(self, row: InboxRow) -> None:
        """Deal with one event; everything it leads to is written in one transaction."""
        trace = Trace(self._now, row)
        try:
            delivery, key = await read(row.body)
        except NotADelivery as error:
            trace.add("parse", f"The body is no Speckle delivery: {error.reason}.")
            await self._storage.write(lambda tx: tx.inbox.fail(row.id, trace.lines))
            return
        trace.add("parse", f"Read as {delivery.event.kind.value}.")
        audiences = await self._audiences(row, delivery, key, trace)
        if not audiences:
            trace.add("route", "No channel follows this project.")
        ingested = await asyncio.gather(*(self._for_hook(one) for one in audiences))
        cards = await self._storage.write(
            lambda tx: tx.inbox.finish(
                row.id,
                trace.lines,
                event_name=delivery.event_name,
                ingested=ingested,
                event_key=key,
            )
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
        self, row: InboxRow, delivery: Delivery, key: str, trace: Trace
    ) -> Sequence[Audience]:
        project_id = delivery.project.id
        found = await self._storage.read(
            lambda tx: [
                (hook, tx.hooks.model_names(hook.id), *self._addressed(tx, hook, row, key))
                for hook in self._hooks(tx, row, project_id)
            ]
        )
        return [
            Audience(Occasion(hook, row, delivery, names, trace), subscriptions, already)
            for hook, names, subscriptions, already in found
        ]

    def _hooks(self, tx: Transaction, row: InboxRow, project_id: str) -> Sequence[Hook]:
        """The hooks that the row's source may speak for, and no other."""
        match row.source:
            case InboxSource.ACTIVITY:
                subscription = tx.subscriptions.get(row.subscription_id or 0)
                return [] if subscription is None else _open(tx.hooks.get(subscription.hook_id))
            case InboxSource.OPERATOR:
                if row.server_url is None:
                    return []
                return tx.hooks.shared_for(row.server_url, project_id, self._served_guilds)
            case InboxSource.WEBHOOK | InboxSource.HISTORY:
                return _open(tx.hooks.get(row.hook_id or 0))

    def _addressed(
        self, tx: Transaction, hook: Hook, row: InboxRow, key: str
    ) -> tuple[Sequence[Subscription], Mapping[int, int]]:
        """The subscriptions that the row is for, and those that were shown the same event already.

        The latter came another way; each is given with its row.
        """
        subscriptions = tx.subscriptions.of_hook(hook.id)
        if row.source is InboxSource.ACTIVITY:
            subscriptions = [one for one in subscriptions if one.id == row.subscription_id]
        already = tx.inbox.shown_already(row, key, subscriptions) if subscriptions else {}
        return subscriptions, already

    async def _for_hook(self, audience: Audience) -> Ingested:
        """What the event changes for one hook: only its own webhook tells of the hook itself."""
        occasion, subscriptions = audience.occasion, audience.subscriptions
        hook, row, delivery = occasion.hook, occasion.row, occasion.delivery
        if not subscriptions:
            text = "No channel follows this project here."
            occasion.trace.add("route", text, guild_id=hook.guild_id)
        for one, row_id in audience.already.items():
            text = "Not shown again: it came another way already."
            occasion.trace.add("route", text, subscription_id=one, inbox_id=row_id)
        subscriptions = [one for one in subscriptions if one.id not in audience.already]
        way = await self._routing.route(occasion, subscriptions)
        told = row.source is not InboxSource.ACTIVITY
        names, forgotten = new_names(
            {m.id: m.name for m in reversed(delivery.models) if m.id and m.name},
            occasion.model_names,
            self._most_model_names(hook.guild_id),
        )
        return Ingested(
            hook_id=hook.id,
            at=row.received_at,
            told=told,
            project_name=delivery.project.name,
            model_names=names,
            forgotten_models=forgotten,
            routed=way.routed,
            visibility=way.visibility,
            already=audience.already,
        )

    # ── held back ─────────────────────────────────────────────────────────────────────────────

    async def _replay(self, held: HeldEvent) -> None:
        """Deal again with an event that a subscription could not be shown."""
        found = await self._storage.read(partial(_held, held=held))
        if found is None:
            return  # removed meanwhile, and what was held with it
        row, subscription, hook, names = found
        trace = Trace(self._now, row)
        trace.lines.clear()
        routed = await self._again(held, row, hook, subscription, names, trace)
        # Of an event that waits on, the trace says already that it waits.
        lines = () if routed.held_until is not None and routed.pause is None else trace.lines
        cards = await self._storage.write(
            lambda tx: tx.held.settle(held, row.received_at, routed, lines)
        )
        log.info("held_events.replayed", inbox_id=row.id, cards=len(cards))
        self._written([routed], cards)

    async def _again(
        self,
        held: HeldEvent,
        row: InboxRow,
        hook: Hook,
        subscription: Subscription,
        names: Mapping[str, str],
        trace: Trace,
    ) -> Routed:
        """What a held event leads to by now, in its subscription."""
        if not self._may_speak(row, hook):
            trace.add("access", "Not shown: its webhook no longer speaks for this server.")
            return Routed(subscription.id)
        try:
            delivery, _ = await read(row.body)
        except NotADelivery:  # its body has been erased
            trace.add("access", "Not shown: the event was kept too long, and has been erased.")
            return Routed(subscription.id)
        occasion = Occasion(hook, row, delivery, names, trace)
        way = await self._routing.route(occasion, [subscription], attempts=held.attempts + 1)
        return next(iter(way.routed), Routed(subscription.id))

    def _may_speak(self, row: InboxRow, hook: Hook) -> bool:
        """Whether an event that a subscription of the hook held may still come through it."""
        if row.source is not InboxSource.OPERATOR:
            return True
        return hook.kind is HookKind.SHARED and hook.guild_id in self._served_guilds


def _held(
    tx: Transaction, held: HeldEvent
) -> tuple[InboxRow, Subscription, Hook, Mapping[str, str]] | None:
    """A held event, whom it is for, through which hook, and the names of its models."""
    row = tx.inbox.get(held.inbox_id)
    subscription = tx.subscriptions.get(held.subscription_id)
    hook = None if subscription is None else tx.hooks.get(subscription.hook_id)
    if row is None or subscription is None or hook is None:
        return None
    return row, subscription, hook, tx.hooks.model_names(hook.id)


def new_names(
    named: Mapping[str, str], known: Mapping[str, str], most: int | None
) -> tuple[Mapping[str, str], Sequence[str]]:
    """The names by model id that are to be kept besides those that are known.

    Where there would be more than `most`, also the ids that are to be forgotten for them: any.
    """
    changed = {model_id: name for model_id, name in named.items() if known.get(model_id) != name}
    kept = dict(islice(changed.items(), most))
    over = 0 if most is None else max(0, len(known.keys() | kept.keys()) - most)
    return kept, list(islice((one for one in known if one not in named), over))


def _tenant(head: InboxHead) -> int:
    """Whose turn an event takes: its guild's, or that of the operator's organisation as a whole.

    An event of the shared hook is for several guilds at once, so it is nobody's alone.
    """
    return ORGANISATION if head.guild_id is None else head.guild_id


def _open(hook: Hook | None) -> Sequence[Hook]:
    return [] if hook is None or hook.state is HookState.CLOSED else [hook]
