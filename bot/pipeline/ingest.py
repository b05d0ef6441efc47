"""From the inbox to the outbox: what an event means, who gets it, and how it looks there."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from bot.cards.card import Card
from bot.cards.render import RenderContext, render
from bot.db.rows import (
    DELIVERY_PAUSES,
    Hook,
    HookKind,
    HookState,
    InboxRow,
    Ingested,
    NewOutbox,
    PauseReason,
    Subscription,
    SubscriptionState,
    TraceLine,
)
from bot.errors import NotADelivery, SpeckleUnavailable
from bot.pipeline.lanes import LaneRunner
from bot.speckle.answers import Login
from bot.speckle.events import Delivery, ProjectDeleted, UnknownEvent, VersionCreated, VersionFacts
from bot.speckle.filters import matches
from bot.speckle.gateway import SpeckleGateway
from bot.speckle.payloads import parse_delivery, read_envelope
from bot.storage import Storage

log = structlog.get_logger()

PROJECTS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Audience:
    """One hook that an event came through, with the subscriptions that hang on it."""

    hook: Hook
    subscriptions: Sequence[Subscription]
    model_names: Mapping[str, str]


class Ingest:
    """Takes events out of the inbox, in order for each project, and leaves cards in the outbox.

    `queued` is called when cards wait for delivery.
    """

    def __init__(
        self,
        storage: Storage,
        gateway: SpeckleGateway,
        *,
        speckle_servers: Sequence[str],
        served_guilds: frozenset[int],
        queued: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._gateway = gateway
        self._servers = frozenset(speckle_servers)
        self._served_guilds = served_guilds
        self._queued = queued
        self._now = now
        self._lanes = LaneRunner[InboxRow, str](
            "ingest",
            at_once=PROJECTS_AT_ONCE,
            find=storage.inbox.next_per_lane,
            due_in=storage.inbox.due_in,
            lane_of=lambda row: row.lane,
            work=self._ingest,
        )
        self.wake = self._lanes.wake
        self.run = self._lanes.run

    async def _ingest(self, row: InboxRow) -> None:
        """Deal with one event; everything it leads to is written in one transaction."""
        trace = _Trace(self._now)
        try:
            delivery = parse_delivery(read_envelope(row.body))
        except NotADelivery as error:
            trace.add("parse", f"The body is no Speckle delivery: {error.reason}.")
            await self._storage.inbox.fail(row.id, trace.lines)
            return
        trace.add("parse", f"Read as {delivery.event.kind.value}.")
        audiences = await self._audiences(row, delivery)
        facts = await self._facts(audiences, delivery, trace)
        ingested = [self._for_hook(audience, delivery, facts, row, trace) for audience in audiences]
        if not audiences:
            trace.add("route", "No channel follows this project.")
        cards = await self._storage.inbox.finish(
            row.id, trace.lines, event_name=delivery.event_name, ingested=ingested
        )
        log.info("ingest.done", inbox_id=row.id, kind=delivery.event.kind.value, cards=len(cards))
        if cards:
            self._queued()

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

    async def _facts(
        self, audiences: Sequence[Audience], delivery: Delivery, trace: "_Trace"
    ) -> Mapping[bool, VersionFacts | None]:
        """What Speckle adds to a version: for the operator's own guilds, and for the others.

        Anybody can make a hook for any project id in a guild of their own and sign what they
        like with its secret. So only the operator's guilds get what the operator's token may see;
        the others get what is public.
        """
        facts: dict[bool, VersionFacts | None] = {True: None, False: None}
        event = delivery.event
        if not isinstance(event, VersionCreated) or not self._gateway.deadline_s:
            return facts
        asked = {
            (a.hook.guild_id in self._served_guilds): a.hook for a in audiences if a.subscriptions
        }
        answers = await asyncio.gather(
            *(self._ask(hook, delivery, event, served) for served, hook in asked.items())
        )
        for served, answer in zip(asked, answers, strict=True):
            if isinstance(answer, SpeckleUnavailable):
                trace.add("enrich", f"Speckle added nothing: {answer.reason}.")
            else:
                facts[served] = answer
                trace.add("enrich", "Asked Speckle for the object count and the version before.")
        return facts

    async def _ask(
        self, hook: Hook, delivery: Delivery, event: VersionCreated, served: bool
    ) -> VersionFacts | SpeckleUnavailable:
        server_url = self._pinned_server(hook, delivery)
        try:
            return await self._gateway.version_facts(Login(server_url), delivery.project.id, event)
        except SpeckleUnavailable as error:
            log.info("ingest.plain_card", server=server_url, reason=error.reason)
            return error

    def _for_hook(
        self,
        audience: Audience,
        delivery: Delivery,
        facts: Mapping[bool, VersionFacts | None],
        row: InboxRow,
        trace: "_Trace",
    ) -> Ingested:
        hook = audience.hook
        server_url = self._pinned_server(hook, delivery)
        context = RenderContext(
            server_url=server_url,
            received_at=row.received_at,
            facts=facts[hook.guild_id in self._served_guilds],
            notes=_notes(hook, server_url),
            project_name=hook.project_name,
            model_names=audience.model_names,
        )
        card = _render(delivery, context)
        if card is None:
            trace.add("render", "Not shown: nothing changed.", guild_id=hook.guild_id)
        outbox = [
            NewOutbox.of(subscription, card)
            for subscription in audience.subscriptions
            if card is not None and _wants(subscription, delivery, audience.model_names, trace)
        ]
        if not audience.subscriptions:
            trace.add("route", "No channel follows this project here.", guild_id=hook.guild_id)
        deleted = isinstance(delivery.event, ProjectDeleted)
        return Ingested(
            hook_id=hook.id,
            project_name=delivery.project.name,
            server_url=server_url,
            at=row.received_at,
            outbox=outbox,
            pause=PauseReason.PROJECT_DELETED if deleted else None,
            model_names={m.id: m.name for m in reversed(delivery.models) if m.id and m.name},
        )

    def _pinned_server(self, hook: Hook, delivery: Delivery) -> str:
        """The server that links lead to: the hook's, unless the event names another allowed one."""
        named = delivery.server_url
        if hook.kind is HookKind.OWN and named in self._servers:
            assert named is not None  # noqa: S101
            return named
        return hook.server_url


class _Trace:
    """The lines that later answer why an event was shown in a channel or not."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self.lines: list[TraceLine] = []

    def add(self, stage: str, text: str, **facts: int | str) -> None:
        self.lines.append(TraceLine(at=self._now(), stage=stage, text=text, facts=facts))


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
        subscription.pause_reason not in DELIVERY_PAUSES
    ):
        trace.add("route", "Not shown: the subscription is paused.", **where)
        return False
    verdict = matches(subscription.filters, delivery, model_names)
    if not verdict.passes:
        trace.add("route", f"Not shown: {verdict.why}", **where)
        return False
    trace.add("route", f"Shown: {verdict.why}", **where)
    return True
