"""From the inbox to the outbox: what an event means, who gets it, and how it looks there."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TypeVar

import structlog

from bot.cards.card import Card
from bot.cards.pictures import with_image
from bot.cards.render import RenderContext, render
from bot.db.history import NOTE, STAGE
from bot.db.rows import (
    KEEPING_PAUSES,
    FillIn,
    Hook,
    HookKind,
    HookState,
    InboxHead,
    InboxRow,
    InboxSource,
    Ingested,
    NewOutbox,
    PauseReason,
    Subscription,
    SubscriptionState,
    TraceLine,
)
from bot.errors import NotADelivery
from bot.pipeline.access import Access, AccessCheck, wait_s
from bot.pipeline.avatars import Avatars
from bot.pipeline.enrichment import Added, Enrichment
from bot.pipeline.lanes import LaneRunner
from bot.speckle.activity import event_key
from bot.speckle.events import Delivery, Facts, ProjectDeleted, UnknownEvent
from bot.speckle.filters import matches
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.storage import Storage
from bot.turns import Door

log = structlog.get_logger()

T = TypeVar("T")

PROJECTS_AT_ONCE = 32  # one guild gets up to half of them
# Large bodies are worked on a few at a time, one of a guild: each is in memory several times over.
LARGE_BODY_BYTES = 256 * 1024
LARGE_AT_ONCE = 4
ORGANISATION = 0  # no guild's id
DELAYED = {
    InboxSource.HISTORY: "Delayed: Speckle could not deliver this when it happened, on ",
    InboxSource.ACTIVITY: "Delayed: no webhook told of this when it happened, on ",
}
# When what a card lacks is asked for again; a picture takes some seconds at least to be made.
FIRST_TRY_AFTER = {
    FillIn.FACTS: timedelta(seconds=1),
    FillIn.PICTURE: timedelta(seconds=5),
}


@dataclass(frozen=True, slots=True)
class Audience:
    """One hook that an event came through, with the subscriptions that hang on it.

    `wanting` are those whose channels the event is for.
    """

    hook: Hook
    subscriptions: Sequence[Subscription]
    model_names: Mapping[str, str]
    wanting: Sequence[Subscription] = ()


class Ingest:
    """Takes events out of the inbox, in order for each project, and leaves cards in the outbox.

    `queued` is called when cards wait for delivery, `lacking` when they lack something.
    `most_model_names` says how many names a guild's projects may each have, None for any number.
    """

    def __init__(
        self,
        storage: Storage,
        enrichment: Enrichment,
        avatars: Avatars,
        access: AccessCheck,
        *,
        speckle_servers: Sequence[str],
        served_guilds: frozenset[int],
        queued: Callable[[], None],
        lacking: Callable[[], None],
        now: Callable[[], datetime],
        most_model_names: Callable[[int], int | None] = lambda _guild_id: None,
    ) -> None:
        self._storage = storage
        self._enrichment = enrichment
        self._avatars = avatars
        self._access = access
        self._servers = frozenset(speckle_servers)
        self._served_guilds = served_guilds
        self._queued = queued
        self._lacking = lacking
        self._now = now
        self._most_model_names = most_model_names
        self._large = Door(LARGE_AT_ONCE)
        self._lanes = LaneRunner[InboxHead, str](
            "ingest",
            at_once=PROJECTS_AT_ONCE,
            find=lambda _limit, busy: storage.inbox.next_per_lane(busy),
            due_in=storage.inbox.due_in,
            lane_of=lambda head: head.lane,
            tenant_of=_tenant,
            work=self._next,
        )
        self.wake = self._lanes.wake
        self.run = self._lanes.run

    async def _next(self, head: InboxHead) -> None:
        """Deal with a lane's next event; a large one as soon as there is room for it."""
        large = head.size > LARGE_BODY_BYTES
        async with self._large.turn() if large else nullcontext():
            row = await self._storage.inbox.get(head.id)
            if row is not None:
                await self._ingest(row)

    async def _ingest(self, row: InboxRow) -> None:
        """Deal with one event; everything it leads to is written in one transaction."""
        trace = _Trace(self._now, row)
        try:
            delivery = await _aside(row, lambda: parse_delivery(read_envelope(row.body)))
        except NotADelivery as error:
            trace.add("parse", f"The body is no Speckle delivery: {error.reason}.")
            await self._storage.inbox.fail(row.id, trace.lines)
            return
        trace.add("parse", f"Read as {delivery.event.kind.value}.")
        key = event_key(delivery)
        if key is not None and await self._storage.inbox.shown_already(row, key):
            trace.add("route", "Not shown again: it was fetched from Speckle's lists as well.")
            await self._storage.inbox.finish(
                row.id, trace.lines, event_name=delivery.event_name, ingested=()
            )
            return
        audiences = await self._audiences(row, delivery)
        if not audiences:
            trace.add("route", "No channel follows this project.")
        audiences = [self._routed(audience, delivery, trace) for audience in audiences]
        if any(audience.wanting for audience in audiences):
            delivery = await self._avatars.made_small(delivery)
        added, access = await asyncio.gather(
            asyncio.gather(*(self._added(one, delivery, row, trace) for one in audiences)),
            asyncio.gather(*(self._accessible(one, delivery, trace) for one in audiences)),
        )
        if any(found.waits for found in access):
            later = self._now() + timedelta(seconds=wait_s(row.attempts))
            await self._storage.inbox.postpone(row.id, trace.lines, later)
            log.warning("ingest.waits_for_access", inbox_id=row.id, attempt=row.attempts + 1)
            return
        ingested = [
            replace(
                await _aside(row, partial(self._for_hook, audience, delivery, more, row, trace)),
                access=found.seen,
            )
            for audience, more, found in zip(audiences, added, access, strict=True)
        ]
        cards = await self._storage.inbox.finish(
            row.id,
            trace.lines,
            event_name=delivery.event_name,
            ingested=ingested,
            event_key=key,
        )
        log.info("ingest.done", inbox_id=row.id, kind=delivery.event.kind.value, cards=len(cards))
        if cards:
            self._queued()
        if any(one.fill_ins for one in ingested):
            self._lacking()

    async def _audiences(self, row: InboxRow, delivery: Delivery) -> Sequence[Audience]:
        return [
            Audience(
                hook,
                await self._storage.subscriptions.of_hook(hook.id),
                await self._storage.hooks.model_names(hook.id),
            )
            for hook in await self._hooks(row, delivery)
        ]

    async def _hooks(self, row: InboxRow, delivery: Delivery) -> Sequence[Hook]:
        if row.hook_id is not None:
            hook = await self._storage.hooks.get(row.hook_id)
            return [hook] if hook is not None and hook.state is not HookState.CLOSED else []
        if row.server_url is None:
            return []
        return await self._storage.hooks.shared_for(
            row.server_url, delivery.project.id, self._served_guilds
        )

    def _routed(self, audience: Audience, delivery: Delivery, trace: "_Trace") -> Audience:
        if not audience.subscriptions:
            guild_id = audience.hook.guild_id
            trace.add("route", "No channel follows this project here.", guild_id=guild_id)
        wanting = [
            subscription
            for subscription in audience.subscriptions
            if _wants(subscription, delivery, audience.model_names, trace)
        ]
        return replace(audience, wanting=wanting)

    async def _added(
        self, audience: Audience, delivery: Delivery, row: InboxRow, trace: "_Trace"
    ) -> Added:
        """What Speckle adds for whoever will see it; a fault of ours gives a plainer card."""
        if not audience.wanting:
            return Added()
        waited_s = (self._now() - row.received_at).total_seconds()
        try:
            added = await self._enrichment.at_once(audience.hook, delivery, row.event_at, waited_s)
        except Exception:
            log.exception("ingest.enrichment_failed", kind=delivery.event.kind.value)
            return Added()
        for line in added.lines:
            trace.add("enrich", line, guild_id=audience.hook.guild_id)
        return added

    async def _accessible(self, audience: Audience, delivery: Delivery, trace: "_Trace") -> Access:
        """Whether the accounts that these channels hang on may still see the project.

        That a project was deleted is told without asking: nobody may see it any more.
        """
        if isinstance(delivery.event, ProjectDeleted):
            return Access()
        found = await self._access.of(audience.hook, audience.wanting)
        where = {"guild_id": audience.hook.guild_id}
        for why in found.seen.lost.values():
            trace.add("access", f"Paused, and the card is kept: {why}.", **where)
        if found.silence is not None:
            then = "the event waits" if found.waits else "the last yes counts for an hour"
            what = "Speckle could not be asked who may still see the project"
            trace.add("access", f"{what} ({found.silence}): {then}.", **where)
        return found

    def _for_hook(
        self,
        audience: Audience,
        delivery: Delivery,
        added: Added,
        row: InboxRow,
        trace: "_Trace",
    ) -> Ingested:
        hook = audience.hook
        server_url = pinned_server(hook, delivery, self._servers)
        context = context_of(
            hook, server_url, row, audience.model_names, added.facts, _notes(hook, server_url)
        )
        card = _render(delivery, context)
        if card is None:
            trace.add("render", "Not shown: nothing changed.", guild_id=hook.guild_id)
        elif added.image is not None:
            card = with_image(card, added.image)
        now = self._now()
        names, forgotten = new_names(
            {m.id: m.name for m in reversed(delivery.models) if m.id and m.name},
            audience.model_names,
            self._most_model_names(hook.guild_id),
        )
        return Ingested(
            hook_id=hook.id,
            project_name=delivery.project.name,
            server_url=server_url,
            at=row.received_at,
            outbox=[NewOutbox.of(s, card) for s in audience.wanting] if card is not None else (),
            pause=(
                PauseReason.PROJECT_DELETED if isinstance(delivery.event, ProjectDeleted) else None
            ),
            model_names=names,
            forgotten_models=forgotten,
            fill_ins={kind: now + FIRST_TRY_AFTER[kind] for kind in added.missing},
        )


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


def context_of(
    hook: Hook,
    server_url: str,
    row: InboxRow,
    model_names: Mapping[str, str],
    facts: Facts | None,
    notes: Sequence[str] = (),
) -> RenderContext:
    """What the card of an event shows besides it, for one hook."""
    return RenderContext(
        server_url=server_url,
        received_at=row.event_at,
        facts=facts,
        notes=(*_delay_notes(row), *notes),
        project_name=hook.project_name,
        model_names=model_names,
    )


def pinned_server(hook: Hook, delivery: Delivery, allowed: Collection[str]) -> str:
    """The server that links lead to: the hook's, unless the event names another allowed one."""
    named = delivery.server_url
    return named if hook.kind is HookKind.OWN and named in allowed and named else hook.server_url


def _tenant(head: InboxHead) -> int:
    """Whose turn an event takes: its guild's, or that of the operator's organisation as a whole.

    An event of the shared hook is for several guilds at once, so it is nobody's alone.
    """
    return ORGANISATION if head.guild_id is None else head.guild_id


async def _aside(row: InboxRow, work: Callable[[], T]) -> T:
    """Do this in a thread if the event is large, so that the event loop goes on."""
    return await asyncio.to_thread(work) if len(row.body) > LARGE_BODY_BYTES else work()


class _Trace:
    """The lines that later answer why an event was shown in a channel or not.

    An earlier try left its lines in the row; only how the event came is still true.
    """

    def __init__(self, now: Callable[[], datetime], row: InboxRow) -> None:
        self._now = now
        self.lines = [line for line in row.trace if line.stage == STAGE]

    def add(self, stage: str, text: str, **facts: int | str) -> None:
        self.lines.append(TraceLine(at=self._now(), stage=stage, text=text, facts=facts))


def _delay_notes(row: InboxRow) -> tuple[str, ...]:
    """What is to be known of an event that was fetched after its time."""
    if row.source is InboxSource.WEBHOOK:
        return ()
    short = (str(line.facts[NOTE]) for line in row.trace if NOTE in line.facts)
    return (f"{DELAYED[row.source]}{row.event_at:%Y-%m-%d at %H:%M} UTC.", *short)


def _notes(hook: Hook, server_url: str) -> tuple[str, ...]:
    notes = []
    if hook.state is HookState.WAITING:
        notes.append("This is the first event of the project here: the set-up works.")
    if server_url != hook.server_url:
        notes.append(f"The project's server is now {server_url}; it was {hook.server_url}.")
    return tuple(notes)


def _render(delivery: Delivery, context: RenderContext) -> Card | None:
    """The event's card; a fault in its renderer gives the plain card, never a lost event."""
    try:
        return render(delivery, context)
    except Exception:
        log.exception("ingest.renderer_failed", kind=delivery.event.kind.value)
        return render(replace(delivery, event=UnknownEvent()), context)


def _wants(
    subscription: Subscription,
    delivery: Delivery,
    model_names: Mapping[str, str],
    trace: _Trace,
) -> bool:
    where = {"subscription_id": subscription.id, "channel_id": subscription.channel_id}
    if subscription.state is SubscriptionState.PAUSED and (
        subscription.pause_reason not in KEEPING_PAUSES
    ):
        trace.add("route", "Not shown: the subscription is paused.", **where)
        return False
    verdict = matches(subscription.filters, delivery, model_names)
    if not verdict.passes:
        trace.add("route", f"Not shown: {verdict.why}", **where)
        return False
    trace.add("route", f"Shown: {verdict.why}", **where)
    return True
