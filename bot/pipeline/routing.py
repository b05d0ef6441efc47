"""Which channels of a hook are shown an event, who may ask Speckle about it, and how it looks."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.cards.card import Card
from bot.cards.notes import CardNote, NoteKind
from bot.cards.pictures import with_image
from bot.cards.samples import as_test
from bot.errors import StorageUnavailable
from bot.model import (
    KEEPING_PAUSES,
    RIGHTS_PAUSES,
    AccessPause,
    Hook,
    HookState,
    InboxSource,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.pipeline.access import AccessCheck, AccessDecisions
from bot.pipeline.author_pictures import AuthorPictures
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.enrichment.outcomes import AddedFacts
from bot.pipeline.names import (
    all_models,
    facts_within,
    known_to,
    names_for,
    with_actor_named,
    within,
)
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.reading import LARGE_BODY_BYTES
from bot.pipeline.rendering import FETCHED, card_context, rendered
from bot.pipeline.subjects import plain_subject, subject_shown
from bot.pipeline.trace import Trace
from bot.services.access_rules import Decision, Pause, ReadPermit, Show, Wait
from bot.services.known_names import KnownNames
from bot.speckle.confirmation import models_of, touched_models, versions_of
from bot.speckle.event_subjects import PLAIN
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import (
    CommentCreated,
    CommentMentioned,
    CommentReopened,
    CommentReplied,
    CommentResolved,
    Delivery,
    EventKind,
    KnownThread,
    ModelRef,
    ProjectDeleted,
    ProjectNames,
    ProjectUpdated,
    VersionCreated,
)
from bot.speckle.facts import Facts
from bot.speckle.filters import Verdict, matches
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds
from bot.trace import SUBSCRIPTIONS_FACT, ReadWith, TraceStep
from bot.work import (
    InboxEvent,
    LateAddition,
    NewCard,
    SubscriptionResult,
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class EventContext:
    """One event on its way through one hook, with what the hook's own events said of names and of
    its thread.

    `shown_until` is up to when the changes of its issue were shown before.
    """

    hook: Hook
    row: InboxEvent
    delivery: Delivery
    names: ProjectNames
    trace: Trace
    thread: KnownThread | None = None
    shown_until: datetime | None = None

    @property
    def touched(self) -> Sequence[ModelRef]:
        """The models of the thread that the event is in."""
        return () if self.thread is None else models_of(self.thread.resources)


@dataclass(frozen=True, slots=True)
class RoutingResult:
    """What became of an event in each subscription, and what a question without a token found.

    `subject` is what the event is about, where only its server could say.
    """

    results: Sequence[SubscriptionResult] = ()
    visibility: str | None = None
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """What became of an event in the subscriptions of one reader, who may have been refused."""

    subscriptions: Sequence[Subscription]
    results: Sequence[SubscriptionResult]
    refused: bool = False


class Routing:
    """Decides, asks and renders, for some subscriptions of one hook."""

    def __init__(
        self,
        enrichment: Enrichment,
        access: AccessCheck,
        known_names: KnownNames,
        picture_resizer: PictureResizer,
        author_pictures: AuthorPictures,
        *,
        speckle_servers: Sequence[str],
        now: Callable[[], datetime],
    ) -> None:
        self._enrichment = enrichment
        self._access = access
        self._known_names = known_names
        self._picture_resizer = picture_resizer
        self._author_pictures = author_pictures
        self._servers = frozenset(speckle_servers)
        self._now = now

    async def route(
        self,
        events: Sequence[tuple[EventContext, Sequence[Subscription]]],
        *,
        attempts: int = 0,
    ) -> Sequence[RoutingResult]:
        """What events of one hook, in order, lead to in these subscriptions.

        Who may see them is asked once for all. `attempts` is how often they have waited for an
        answer.
        """
        wanting = [[one for one in those if self._wants(at, one)] for at, those in events]
        watching = [
            [one for one in those if one not in wants and self._watches(at, one)]
            for (at, those), wants in zip(events, wanting, strict=True)
        ]
        first, followers = events[0]
        # An event may say what this depends on, and anybody with the secret may have made it.
        fresh = says_who_sees(first.delivery)
        # Then it also concerns channels that are not shown it: what is found is kept for all.
        others = [one for one in followers if fresh and one.state is SubscriptionState.ACTIVE]
        asked = {one.id: one for those in (*wanting, others) for one in those if not _is_held(one)}
        verdicts = await self._access.ask(
            first.hook, list(asked.values()), first.row.source, fresh=fresh
        )
        routed = (
            self._route_one(event_context, those, verdicts, attempts)
            for (event_context, _), those in zip(events, wanting, strict=True)
        )
        found = await asyncio.gather(*routed)
        return [
            replace(one, results=[*one.results, *map(self._watched, those)]) if those else one
            for one, those in zip(found, watching, strict=True)
        ]

    def _watches(self, event_context: EventContext, subscription: Subscription) -> bool:
        """Whether a channel wants nothing of a version but that its checks failed."""
        if not isinstance(event_context.delivery.event, VersionCreated):
            return False
        wanted = EventKind.AUTOMATION_FAILED in wanted_kinds(subscription.options)
        active = subscription.state is SubscriptionState.ACTIVE
        if not wanted or not active or not self._enrichment.asks(event_context.hook):
            return False
        any_event = replace(subscription.options, events=())
        return self._verdict(event_context, subscription, any_event).passes

    def _watched(self, subscription: Subscription) -> SubscriptionResult:
        """Its checks are asked for at their time; whether that is shown is decided then."""
        first = self._now() + self._enrichment.timings.checks.first
        return SubscriptionResult(subscription.id, late={LateAddition.CHECKS: first})

    async def _route_one(
        self,
        event_context: EventContext,
        wanting: Sequence[Subscription],
        verdicts: AccessDecisions,
        attempts: int,
    ) -> RoutingResult:
        """What one event leads to in the subscriptions that want it."""
        now = self._now()
        held = [one for one in wanting if _is_held(one)]
        for one in held:
            event_context.trace.add("access", TraceStep.HELD_FOR_CONSENT, **_where(one))
        asked = [one for one in wanting if not _is_held(one)]
        decided = await self._as_decided(event_context, asked, verdicts, attempts)
        kept = [SubscriptionResult(one.id, held_until=now) for one in held]
        known = (one.subject for one in decided.results if one.subject is not None)
        subjects = (one for one in known if PLAIN not in one)
        return RoutingResult(
            [*kept, *decided.results], decided.visibility, subject=next(subjects, None)
        )

    async def _as_decided(
        self,
        event_context: EventContext,
        asked: Sequence[Subscription],
        verdicts: AccessDecisions,
        attempts: int,
        *,
        again: bool = False,
    ) -> RoutingResult:
        """What the rule's word leads to; it is asked `again` for those whose reader is refused."""
        served = any(isinstance(verdicts.decisions[one.id], Show) for one in asked)
        if verdicts.silence is not None and served:
            event_context.trace.add(
                "access",
                TraceStep.ACCESS_BY_LAST_YES,
                guild_id=event_context.hook.guild_id,
                silence=verdicts.silence,
            )
        results = self._held_back(event_context, asked, verdicts, attempts)
        if len(results) == len(asked):
            return RoutingResult(_with_access(results, verdicts), verdicts.visibility)
        small = await self._picture_resizer.shrink(event_context.delivery)
        event_context = replace(event_context, delivery=small)
        shown = await self._shown(event_context, asked, verdicts)
        final = [one for one in shown if again or not one.refused]
        results += [one for each in final for one in each.results]
        decided = RoutingResult(_with_access(results, verdicts), verdicts.visibility)
        refused = [one for each in shown if each not in final for one in each.subscriptions]
        if not refused:
            return decided
        hook, source = event_context.hook, event_context.row.source
        now_said = await self._access.ask(hook, refused, source, fresh=True)
        rest = await self._as_decided(event_context, refused, now_said, attempts, again=True)
        visibility = rest.visibility or decided.visibility
        return RoutingResult([*decided.results, *rest.results], visibility)

    # ── who wants it ──────────────────────────────────────────────────────────────────────────

    def _wants(self, event_context: EventContext, subscription: Subscription) -> bool:
        where, trace, row = _where(subscription), event_context.trace, event_context.row
        paused = subscription.state is SubscriptionState.PAUSED
        if paused and subscription.pause_reason not in KEEPING_PAUSES:
            paused_for = "" if subscription.pause_reason is None else subscription.pause_reason
            trace.add("route", TraceStep.SUBSCRIPTION_PAUSED, **where, paused_for=paused_for)
            return False
        if row.source in FETCHED and subscription.came_after(row.hook_id, row.event_at):
            trace.add("route", TraceStep.BEFORE_FOLLOWING, **where)
            return False
        verdict = self._verdict(event_context, subscription, subscription.options)
        if not verdict.passes:
            trace.add("route", TraceStep.FILTERED, **where, **verdict.facts())
            return False
        trace.add("route", TraceStep.WANTED, **where, **verdict.facts())
        return True

    @staticmethod
    def _verdict(
        event_context: EventContext, subscription: Subscription, options: SubscriptionOptions
    ) -> Verdict:
        names = event_context.names
        return matches(
            options,
            with_actor_named(event_context.delivery, names.people),
            # An account may know a newer name than events said.
            names.models if subscription.account_id is None else {},
            event_context.touched,
        )

    # ── who may see it ────────────────────────────────────────────────────────────────────────

    def _held_back(
        self,
        event_context: EventContext,
        subscriptions: Sequence[Subscription],
        verdicts: AccessDecisions,
        attempts: int,
    ) -> list[SubscriptionResult]:
        """Subscriptions that may not be shown it now, but will be if somebody answers for them."""
        kept: list[SubscriptionResult] = []
        now, trace = self._now(), event_context.trace
        silence = {} if verdicts.silence is None else {"silence": verdicts.silence}
        for one in subscriptions:
            match verdicts.decisions[one.id]:
                case Wait():
                    trace.add("access", TraceStep.ACCESS_UNKNOWN, **_where(one), **silence)
                    until = now + timedelta(seconds=self._access.wait_s(attempts))
                    kept.append(SubscriptionResult(one.id, held_until=until))
                case Pause(reason, why) as decision:
                    if _is_gone(event_context.delivery, decision):
                        continue
                    trace.add("access", TraceStep.ACCESS_PAUSED, **_where(one), pause=why.value)
                    kept.append(
                        SubscriptionResult(one.id, held_until=now, pause=AccessPause(reason, why))
                    )
                case Show():
                    pass
        return kept

    async def _shown(
        self,
        event_context: EventContext,
        subscriptions: Sequence[Subscription],
        verdicts: AccessDecisions,
    ) -> Sequence[ReaderResult]:
        """The cards of subscriptions that may be shown it, asked for once for each reader."""
        by_reader: defaultdict[object, list[tuple[Subscription, ReadPermit | None]]] = defaultdict(
            list
        )
        gone: list[ReaderResult] = []
        for one in subscriptions:
            decision = verdicts.decisions[one.id]
            if isinstance(decision, Show):
                permit = decision.permit
                reader = _read_with(permit)
                event_context.trace.add(
                    "access", TraceStep.ACCESS_GRANTED, **_where(one), reader=reader
                )
                by_reader[permit and permit.reader].append((one, permit))
            elif isinstance(decision, Pause) and _is_gone(event_context.delivery, decision):
                pause = AccessPause(PauseReason.PROJECT_DELETED)
                plain = AddedFacts(event_context.delivery)
                cards = self._cards(event_context, [one], plain, event_context.names)
                gone.append(ReaderResult([one], [replace(each, pause=pause) for each in cards]))
        asked = [self._for_reader(event_context, group) for group in by_reader.values()]
        # Nearly always one, which needs no task of its own.
        groups = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        return [*gone, *groups]

    async def _for_reader(
        self, event_context: EventContext, group: Sequence[tuple[Subscription, ReadPermit | None]]
    ) -> ReaderResult:
        (_, permit), *_ = group
        subscriptions = [one for one, _ in group]
        added = await self._added_with_author(event_context, permit, subscriptions)
        names = await self._names(event_context, permit, added)
        cards = partial(self._cards, event_context, subscriptions, added, names)
        # In a thread, as a large event may carry a picture of megabytes to be looked at.
        large = len(event_context.row.body) > LARGE_BODY_BYTES
        results = await asyncio.to_thread(cards) if large else cards()
        return ReaderResult(subscriptions, results, refused=added.refused)

    async def _names(
        self, event_context: EventContext, permit: ReadPermit | None, added: AddedFacts
    ) -> ProjectNames:
        said, delivery, facts = event_context.names, added.delivery, added.facts
        if permit is None or not self._enrichment.asks(event_context.hook):
            return names_for(said, ProjectNames(), facts)
        touched, within_s = event_context.touched, self._enrichment.timings.names_s
        try:
            return await known_to(
                permit, self._known_names, said, delivery, facts, touched, within_s
            )
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours gives a plainer card, and holds up no event
            log.exception("ingest.names_failed", kind=delivery.event.kind.value)
            return names_for(said, ProjectNames(), facts)

    async def _added_with_author(
        self,
        event_context: EventContext,
        permit: ReadPermit | None,
        subscriptions: Sequence[Subscription],
    ) -> AddedFacts:
        """What Speckle adds, and the picture of who did it, which a list leaves out.

        A webhook has said it, or that there is none.
        """
        added = self._added(event_context, permit, subscriptions)
        if permit is None or not event_context.row.source.is_listed:
            return await added
        found, avatar = await asyncio.gather(added, self._avatar(event_context, permit))
        return replace(found, delivery=_by(event_context.delivery, avatar, found.delivery))

    async def _avatar(self, event_context: EventContext, permit: ReadPermit) -> str | None:
        """The picture of who did it, if it is there within a moment."""
        if not self._enrichment.asks(event_context.hook):
            return None
        delivery, within_s = event_context.delivery, self._enrichment.moment_s
        try:
            return await self._author_pictures.of(permit, delivery, within_s)
        except Exception:  # a fault of ours gives a plainer card, and loses no event
            log.exception("ingest.author_picture_failed", kind=delivery.event.kind.value)
            return None

    async def _added(
        self,
        event_context: EventContext,
        permit: ReadPermit | None,
        subscriptions: Sequence[Subscription],
    ) -> AddedFacts:
        """What Speckle adds for one reader; a fault of ours gives a plainer card."""
        delivery, row = event_context.delivery, event_context.row
        if permit is None:
            return AddedFacts(delivery)
        waited_s = (self._now() - row.received_at).total_seconds()
        try:
            added = await self._enrichment.within_deadline(
                permit,
                event_context.hook,
                delivery,
                row.event_at,
                waited_s,
                shown_until=event_context.shown_until,
            )
        except Exception:  # a fault of ours gives a plainer card, and loses no event
            log.exception("ingest.enrichment_failed", kind=delivery.event.kind.value)
            return AddedFacts(delivery)
        about = " ".join(str(one.id) for one in subscriptions)
        for step, facts in added.steps:
            event_context.trace.add("enrich", step, **{SUBSCRIPTIONS_FACT: about}, **facts)
        return added

    # ── how it looks ──────────────────────────────────────────────────────────────────────────

    def _cards(
        self,
        event_context: EventContext,
        subscriptions: Sequence[Subscription],
        added: AddedFacts,
        names: ProjectNames,
    ) -> list[SubscriptionResult]:
        """The cards, where the filters let through the event as its reader knows it as well."""
        if added.unconfirmed and event_context.shown_until is not None:
            # All that was changed of this issue was shown already.
            _note_nothing_changed(event_context, subscriptions)
            return []
        delivery = with_actor_named(added.delivery, names.people)
        wanted = partial(_passes, event_context, delivery, added.facts, names)
        passing = [one for one in subscriptions if wanted(one)]
        added = replace(added, delivery=delivery)
        now, results = self._now(), list[SubscriptionResult]()
        late = {kind: now + self._enrichment.timings.of(kind).first for kind in added.missing}
        subject = subject_shown(delivery, added.facts)
        if subject is None and not added.missing:
            subject = plain_subject(delivery, event_context.row)
        event = delivery.event
        version_id = event.version_id if isinstance(event, VersionCreated) else None
        on_versions = versions_of(event, added.facts)
        several = len(all_models(delivery, added.facts, event_context.touched)) > 1
        cards: dict[tuple[tuple[str, ...], str | None], Card | None] = {}
        for one in passing:
            # Of several models, one may be beyond what a channel follows.
            patterns = one.options.models if several else ()
            # A private project's name, which no list and no question without a token tells.
            agreed = None if one.consent is None else one.consent.project_name
            looks = (patterns, agreed)
            if looks not in cards:
                cards[looks] = self._card(event_context, added, names, patterns, agreed)
            card = cards[looks]
            if card is None:
                _note_nothing_changed(event_context, [one])
            else:
                new = NewCard.of(one, card, event_context.trace.begun_at, version_id)
                result = SubscriptionResult(
                    one.id, new, late, subject=subject, on_versions=on_versions
                )
                results.append(result)
        return results

    def _card(
        self,
        event_context: EventContext,
        added: AddedFacts,
        names: ProjectNames,
        patterns: Sequence[str],
        agreed_name: str | None,
    ) -> Card | None:
        """The card for channels that follow the models of these patterns.

        `agreed_name`: what who answered for them called the project.
        """
        hook, row, delivery = event_context.hook, event_context.row, added.delivery
        models = all_models(delivery, added.facts, event_context.touched)
        names = within(patterns, names, event_context.names, models)
        facts = facts_within(patterns, added.facts)
        context = card_context(hook, row, delivery, names, facts, event_context.thread)
        name = context.project_name or agreed_name
        notes = (*context.notes, *self._notes(event_context))
        card = rendered(replace(context, project_name=name, notes=notes))
        if card is None:
            return None
        if event_context.row.source is InboxSource.TEST:
            card = as_test(card, context.project_url)
        return card if added.image is None else with_image(card, added.image)

    def _notes(self, event_context: EventContext) -> tuple[CardNote, ...]:
        hook, source, notes = event_context.hook, event_context.row.source, []
        if source is InboxSource.TEST:
            notes.append(CardNote(NoteKind.TEST))
        # What says that something begins does not fit what ends.
        ends = BY_KIND[event_context.delivery.event.kind].ends
        if hook.state is HookState.WAITING and source.tells_of_hook and not ends:
            notes.append(CardNote(NoteKind.FIRST_EVENT))
        named = event_context.delivery.server_url
        if named != hook.server_url and named in self._servers:
            notes.append(CardNote(NoteKind.SERVER_MOVED, str(named)))
        return tuple(notes)


def says_who_sees(delivery: Delivery) -> bool:
    """Whether an event changes who may see its project."""
    return isinstance(delivery.event, ProjectDeleted | ProjectUpdated)


def thread_id_of(delivery: Delivery) -> str | None:
    """The thread that an event is about."""
    event = delivery.event
    match event:
        case (
            CommentCreated() | CommentReplied() | CommentResolved() | CommentReopened()
        ) | CommentMentioned():
            return event.thread_id
        case _:
            return None


def _with_access(
    results: Sequence[SubscriptionResult], verdicts: AccessDecisions
) -> Sequence[SubscriptionResult]:
    seen = verdicts.seen
    return [replace(one, access_ok=True) if one.subscription_id in seen else one for one in results]


def _by(asked: Delivery, avatar: str | None, shown: Delivery) -> Delivery:
    """An event as it is shown, with the picture of who did it where that is who was asked for."""
    if avatar is None or asked.actor is None or shown.actor is None:
        return shown
    if shown.actor.id != asked.actor.id:
        return shown
    return replace(shown, actor=replace(shown.actor, avatar=avatar))


def _is_held(subscription: Subscription) -> bool:
    return subscription.pause_reason in RIGHTS_PAUSES


def _is_gone(delivery: Delivery, decision: Decision) -> bool:
    """Whether the account confirms an event that says that the project was deleted."""
    deleted = isinstance(delivery.event, ProjectDeleted)
    return deleted and isinstance(decision, Pause) and decision.why is PauseWhy.NOT_FOUND


def _passes(
    event_context: EventContext,
    delivery: Delivery,
    facts: Facts | None,
    names: ProjectNames,
    subscription: Subscription,
) -> bool:
    """Whether the filters let through the event as its reader knows it, not only as it came."""
    touched = touched_models(facts) or event_context.touched
    verdict = matches(
        subscription.options, delivery, names.models, touched, complete=names.complete
    )
    if not verdict.passes:
        step, where = TraceStep.FILTERED_AS_CONFIRMED, _where(subscription)
        event_context.trace.add("route", step, **where, **verdict.facts())
    return verdict.passes


def _where(subscription: Subscription) -> dict[str, int | str]:
    return {"subscription_id": subscription.id, "channel_id": subscription.channel_id}


def _note_nothing_changed(
    event_context: EventContext, subscriptions: Sequence[Subscription]
) -> None:
    for one in subscriptions:
        event_context.trace.add("render", TraceStep.NOTHING_CHANGED, **_where(one))


def _read_with(permit: ReadPermit | None) -> ReadWith:
    if permit is None or permit.is_anonymous:
        return ReadWith.NO_TOKEN
    return ReadWith.OPERATOR if permit.as_operator else ReadWith.ACCOUNT
