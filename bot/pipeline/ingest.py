"""From the inbox to the outbox: what an event means, who gets it, and how it looks there."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import structlog

from bot.errors import AlreadyFinished, NotADelivery, StorageUnavailable
from bot.fairness import FairSemaphore
from bot.log import about_events
from bot.model import HookState, InboxSource, Subscription
from bot.pipeline.event_context import EventContext, says_who_sees, thread_id_of
from bot.pipeline.keyed_worker import KeyedWorker
from bot.pipeline.reading import LARGE_BODY_BYTES, read
from bot.pipeline.replay import Outlets, Routes
from bot.pipeline.routing import RoutingResult
from bot.pipeline.subjects import changes_shown
from bot.pipeline.trace import Trace
from bot.speckle.event_subjects import subject_of, things_of
from bot.speckle.event_table import OWN_KINDS
from bot.speckle.events import CommentCreated, Delivery, KnownThread, ProjectNames, UnknownEvent
from bot.speckle.rich_text import first_line
from bot.storage import Storage, Transaction
from bot.trace import THINGS_FACT, TraceStep
from bot.work import (
    EventResult,
    HookFollowers,
    HookResult,
    InboxEvent,
    InboxKey,
    NameChanges,
    ToPair,
)

log = structlog.get_logger()

PROJECTS_AT_ONCE = 32  # one guild gets up to half of them
# Discord takes a message a second in a channel, so that nobody sees this wait.
MOST_REST_S = 0.2
# Of one project, in one transaction: as many of its events, of so many bytes.
EVENTS_TOGETHER = 32
# Large bodies are worked on a few at a time, one of a guild: each is in memory several times over.
LARGE_AT_ONCE = 4
ORGANISATION = 0  # no guild's id
OWN_SOURCES = frozenset({InboxSource.CHECKS, InboxSource.TEST})


ShownBefore = Callable[[ToPair, Sequence[Subscription]], Mapping[int, int]]
"""Says by which rows subscriptions were shown an event another way; each row is given once."""


@dataclass(frozen=True, slots=True)
class ReadEvent:
    """An event of the inbox that was understood; `key` is the same for those that say the same."""

    row: InboxEvent
    delivery: Delivery
    key: str
    trace: Trace

    @property
    def subject(self) -> str | None:
        """What it is about; what came from an activity list is known by what it says alone."""
        of_list = self.row.source.is_listed
        return self.row.subject if of_list else subject_of(self.delivery)

    @property
    def to_pair(self) -> ToPair:
        """What shows whether it came another way too."""
        return ToPair(self.row, self.key, self.subject)


@dataclass(frozen=True, slots=True)
class HookEvent:
    """An event for one hook, and what it says of the hook's models, people and threads.

    `already`: the subscriptions that were shown it another way, and by which row.
    """

    event_context: EventContext
    subscriptions: Sequence[Subscription]
    already: Mapping[int, int]
    models: NameChanges
    people: NameChanges
    threads: Mapping[str, KnownThread]


class Ingest:
    """Takes events out of the inbox, in order for each project, and leaves cards in the outbox.

    `outlets` are woken for what events led to; `most_model_names` says how many names a guild's
    projects may each have, None for any number.
    """

    def __init__(
        self,
        storage: Storage,
        routing: Routes,
        *,
        served_guilds: frozenset[int],
        outlets: Outlets,
        now: Callable[[], datetime],
        most_model_names: Callable[[int], int | None] = lambda _guild_id: None,
    ) -> None:
        self._storage = storage
        self._routing = routing
        self._served_guilds = served_guilds
        self._outlets = outlets
        self._now = now
        self._most_model_names = most_model_names
        self._large = FairSemaphore(LARGE_AT_ONCE)
        self._worker = KeyedWorker[InboxKey, str](
            "ingest",
            at_once=PROJECTS_AT_ONCE,
            find_due=self._due,
            due_in=_never,
            key_of=lambda key: key.ordering_key,
            tenant_of=_tenant,
            handle=self._next,
            rest_s=MOST_REST_S,
        )
        self.wake = self._worker.wake
        self.run = self._worker.run

    async def _due(self, _limit: int, busy: Collection[str]) -> Sequence[InboxKey]:
        """All ordering keys where something is new; they are kept, as to look takes long."""
        keys = await self._storage.look_together(lambda tx: tx.inbox.due_keys(busy))
        if keys:
            self.wake(*keys)
        return keys

    async def _next(self, key: InboxKey) -> bool:
        """Deal with what is new in an ordering key, together; whether there is more."""
        taken = await self._storage.read_together(
            lambda tx: tx.inbox.take(key.ordering_key, EVENTS_TOGETHER, LARGE_BODY_BYTES)
        )
        if taken.too_large is not None:
            await self._large_one(taken.too_large)
            return True
        rows = taken.rows
        if not rows:
            return False
        try:
            dealt_with = await self._ingest(rows)
        except StorageUnavailable:
            raise
        except Exception:
            if len(rows) == 1:
                raise
            # One by one, so that what is wrong with one of them holds up none before it.
            for row in rows:
                await self._ingest([row])
            return True
        return taken.more or dealt_with < len(rows)

    async def _large_one(self, row_id: int) -> None:
        """Deal with an event whose body is large, when it is the tenant's turn to have one."""
        async with self._large.slot():
            row = await self._storage.read(lambda tx: tx.inbox.get(row_id))
            if row is not None:
                await self._ingest([row])

    async def _ingest(self, rows: Sequence[InboxEvent]) -> int:
        """Deal with events of one ordering key, as many as may go together: how many.

        Everything that they lead to is written in one transaction, with what else is written then.
        """
        about_events(row.id for row in rows)
        events, failed = await self._understood(rows)
        of_hooks = await self._of_hooks(events)
        results = [*failed, *(_event_result(one, of_hooks[one.row.id]) for one in events)]
        results.sort(key=lambda result: result.inbox_id)
        try:
            cards = await self._storage.write_together(lambda tx: tx.inbox.finish(results))
        except AlreadyFinished:
            return len(results)
        for event in events:
            about_events([event.row.id])
            log.info("ingest.done", inbox_id=event.row.id, kind=event.delivery.event.kind.value)
        routed = [each for found in of_hooks.values() for one in found for each in one.results]
        self._outlets.wake(routed, cards)
        return len(results)

    async def _understood(
        self, rows: Sequence[InboxEvent]
    ) -> tuple[Sequence[ReadEvent], Sequence[EventResult]]:
        """The first of these that may be decided together, and what nobody understands of them."""
        events: list[ReadEvent] = []
        failed: list[EventResult] = []
        for row in rows:
            trace = Trace(self._now, row)
            try:
                delivery, key = await read(row.body)
            except NotADelivery as error:
                trace.add("parse", TraceStep.NOT_A_DELIVERY, reason=error.reason)
                failed.append(EventResult(row.id, trace.lines))
                continue
            if delivery.event.kind in OWN_KINDS and row.source not in OWN_SOURCES:
                delivery = replace(delivery, event=UnknownEvent())  # nobody else may say so
            # Such an event is decided alone: what comes before and behind it may differ.
            if events and (says_who_sees(delivery) or says_who_sees(events[-1].delivery)):
                break
            things = {THINGS_FACT: " ".join(things_of(delivery))}
            trace.add("parse", TraceStep.READ, kind=delivery.event.kind.value, **things)
            events.append(ReadEvent(row, delivery, key, trace))
        return events, failed

    # ── whom it may concern ───────────────────────────────────────────────────────────────────

    async def _of_hooks(self, events: Sequence[ReadEvent]) -> Mapping[int, list[HookResult]]:
        """What events of one ordering key, in order, lead to in each hook; by the ids of their
        rows.
        """
        results: dict[int, list[HookResult]] = {event.row.id: [] for event in events}
        if not events:
            return results
        found = await self._storage.read_together(lambda tx: self._followers(tx, events))
        if not found:
            for event in events:
                event.trace.add("route", TraceStep.NOT_FOLLOWED)
        for of_hook in await asyncio.gather(*map(self._for_hook, found)):
            for row_id, result in of_hook.items():
                results[row_id].append(result)
        return results

    def _followers(
        self, tx: Transaction, events: Sequence[ReadEvent]
    ) -> Sequence[Sequence[HookEvent]]:
        """What applies to each hook that the events' source may speak for, and to no other."""
        first = events[0]
        hooks = self._hooks(tx, first.row, first.delivery.project.id)
        followers = [one for of_hook in hooks for one in of_hook.subscriptions]
        shown_before = tx.inbox.partners([one.to_pair for one in events], followers).take
        ids = [of_hook.hook.id for of_hook in hooks]
        names = tx.hooks.names_of(ids)
        threads = tx.hooks.threads_of(ids, _thread_ids(events))
        shown_until = {
            one.row.id: changes_shown(tx, one.row, one.delivery) for one in events if hooks
        }
        return [
            self._one_by_one(
                one, events, names[one.hook.id], threads[one.hook.id], shown_before, shown_until
            )
            for one in hooks
        ]

    def _hooks(self, tx: Transaction, row: InboxEvent, project_id: str) -> Sequence[HookFollowers]:
        match row.source:
            case InboxSource.ACTIVITY | InboxSource.LIVE | InboxSource.TEST | InboxSource.CHECKS:
                followed = tx.hooks.followed_by([row.subscription_id or 0])
                return [one for one in followed if one.hook.state is not HookState.CLOSED]
            case InboxSource.OPERATOR:
                if row.server_url is None:
                    return []
                return tx.hooks.shared_for(row.server_url, project_id, self._served_guilds)
            case InboxSource.WEBHOOK | InboxSource.HISTORY:
                return tx.hooks.followed(row.hook_id or 0)

    def _one_by_one(
        self,
        of_hook: HookFollowers,
        events: Sequence[ReadEvent],
        names: ProjectNames,
        threads: Mapping[str, KnownThread],
        shown_before: ShownBefore,
        shown_until: Mapping[int, datetime | None],
    ) -> Sequence[HookEvent]:
        """A hook's events, each with what is known of the hook once those before it are."""
        hook, most = of_hook.hook, self._most_model_names(of_hook.hook.guild_id)
        found: list[HookEvent] = []
        for event in events:
            row, delivery = event.row, event.delivery
            models = new_names(_model_names(delivery), names.models, most)
            people = new_names(_person_names(delivery), names.people, most)
            seen = _thread_of(delivery, threads)
            already = shown_before(event.to_pair, of_hook.subscriptions)
            thread = seen.get(thread_id_of(delivery) or "")
            event_context = EventContext(
                hook, row, delivery, names, event.trace, thread, shown_until[row.id]
            )
            found.append(
                HookEvent(event_context, of_hook.subscriptions, already, models, people, seen)
            )
            if row.source.tells_of_hook:
                live = HookState.LIVE if hook.state is HookState.WAITING else hook.state
                name = delivery.project.name or hook.project_name
                hook = replace(hook, state=live, project_name=name)
                names = ProjectNames(models.after(names.models), people.after(names.people))
                threads = {**seen, **threads}
        return found

    async def _for_hook(self, events: Sequence[HookEvent]) -> Mapping[int, HookResult]:
        """What events change for one hook: only its own webhook speaks for the hook itself."""
        wanted = []
        for event in events:
            event_context, trace = event.event_context, event.event_context.trace
            if not event.subscriptions:
                guild_id = event_context.hook.guild_id
                trace.add("route", TraceStep.NOT_FOLLOWED_HERE, guild_id=guild_id)
            for one, row_id in event.already.items():
                trace.add("route", TraceStep.SHOWN_BEFORE, subscription_id=one, inbox_id=row_id)
            those = [one for one in event.subscriptions if one.id not in event.already]
            wanted.append((event_context, those))
        ways = await self._routing.route(wanted)
        return {
            event.event_context.row.id: _hook_result(event, way)
            for event, way in zip(events, ways, strict=True)
        }


def new_names(named: Mapping[str, str], known: Mapping[str, str], most: int | None) -> NameChanges:
    """The names by id that are to be kept in addition to those that are known.

    Where there would be more than `most`, also the ids that are to be forgotten for them: any.
    """
    changed = {id_: name for id_, name in named.items() if known.get(id_) != name}
    kept = dict(islice(changed.items(), most))
    over = 0 if most is None else max(0, len(known.keys() | kept.keys()) - most)
    return NameChanges(kept, list(islice((one for one in known if one not in named), over)))


def _model_names(delivery: Delivery) -> Mapping[str, str]:
    return {one.id: one.name for one in reversed(delivery.models) if one.id and one.name}


def _person_names(delivery: Delivery) -> Mapping[str, str]:
    actor = delivery.actor
    return {} if actor is None or actor.name is None else {actor.id: actor.name}


def _thread_ids(events: Sequence[ReadEvent]) -> set[str]:
    """The threads that events are about without saying more of them."""
    found = (
        thread_id_of(one.delivery)
        for one in events
        if not isinstance(one.delivery.event, CommentCreated)
    )
    return {one for one in found if one is not None}


def _thread_of(delivery: Delivery, known: Mapping[str, KnownThread]) -> Mapping[str, KnownThread]:
    """The thread that an event speaks of, by its id: as it says it, or as it is known."""
    thread_id, event = thread_id_of(delivery), delivery.event
    if thread_id is None:
        return {}
    if isinstance(event, CommentCreated):
        return {thread_id: KnownThread(first_line(event.text), event.resources)}
    return {thread_id: known[thread_id]} if thread_id in known else {}


def _event_result(event: ReadEvent, of_hooks: Sequence[HookResult]) -> EventResult:
    name, lines = event.delivery.event_name, event.trace.lines
    said = (one.subject for one in of_hooks if one.subject is not None)
    subject = next(said, None) or event.subject
    return EventResult(event.row.id, lines, name, event.key, subject, of_hooks)


def _hook_result(event: HookEvent, way: RoutingResult) -> HookResult:
    row, delivery = event.event_context.row, event.event_context.delivery
    if row.source is InboxSource.TEST:
        samples = [one.as_sample() for one in way.results]
        return HookResult(event.event_context.hook.id, row.received_at, False, results=samples)
    return HookResult(
        hook_id=event.event_context.hook.id,
        at=row.received_at,
        by_webhook=row.source.tells_of_hook,
        project_name=delivery.project.name,
        models=event.models,
        people=event.people,
        threads=event.threads,
        results=way.results,
        visibility=way.visibility,
        already=event.already,
        subject=way.subject,
    )


def _tenant(key: InboxKey) -> int:
    """Whose turn an event takes: its guild's, or that of the operator's organisation as a whole.

    An event of the shared hook is for several guilds at once, so it is nobody's alone.
    """
    return ORGANISATION if key.guild_id is None else key.guild_id


async def _never(_busy: Collection[str]) -> None:
    """Nothing in the inbox waits for a time to come."""
