"""Which channels of a hook are shown an event, and who may ask Speckle about it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from bot.model import (
    KEEPING_PAUSES,
    RIGHTS_PAUSES,
    AccessPause,
    PauseReason,
    PauseWhy,
    Subscription,
    SubscriptionState,
)
from bot.pipeline.access import AccessCheck, AccessDecisions
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.event_context import EventContext, says_who_sees, trace_facts
from bot.pipeline.names import with_actor_named
from bot.pipeline.picture_resizer import PictureResizer
from bot.pipeline.reader_cards import ReaderCards, ReaderResult
from bot.pipeline.rendering import FETCHED
from bot.services.access_rules import Decision, Pause, ReadPermit, Show, Wait
from bot.speckle.event_subjects import PLAIN
from bot.speckle.events import Delivery, EventKind, ProjectDeleted, VersionCreated
from bot.speckle.filters import Verdict, matches
from bot.speckle.subscription_options import SubscriptionOptions, wanted_kinds
from bot.trace import ReadWith, TraceStep
from bot.work import LateAddition, SubscriptionResult


@dataclass(frozen=True, slots=True)
class RoutingResult:
    """What became of an event in each subscription, and what a question without a token found.

    `subject` is what the event is about, where only its server could say.
    """

    results: Sequence[SubscriptionResult] = ()
    visibility: str | None = None
    subject: str | None = None


class Routing:
    """Decides for some subscriptions of one hook."""

    def __init__(
        self,
        enrichment: Enrichment,
        access: AccessCheck,
        picture_resizer: PictureResizer,
        reader_cards: ReaderCards,
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._enrichment = enrichment
        self._access = access
        self._picture_resizer = picture_resizer
        self._reader_cards = reader_cards
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
            event_context.trace.add("access", TraceStep.HELD_FOR_CONSENT, **trace_facts(one))
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
        where, trace, row = trace_facts(subscription), event_context.trace, event_context.row
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
                    trace.add("access", TraceStep.ACCESS_UNKNOWN, **trace_facts(one), **silence)
                    until = now + timedelta(seconds=self._access.wait_s(attempts))
                    kept.append(SubscriptionResult(one.id, held_until=until))
                case Pause(reason, why) as decision:
                    if _is_gone(event_context.delivery, decision):
                        continue
                    trace.add(
                        "access", TraceStep.ACCESS_PAUSED, **trace_facts(one), pause=why.value
                    )
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
                    "access", TraceStep.ACCESS_GRANTED, **trace_facts(one), reader=reader
                )
                by_reader[permit and permit.reader].append((one, permit))
            elif isinstance(decision, Pause) and _is_gone(event_context.delivery, decision):
                pause = AccessPause(PauseReason.PROJECT_DELETED)
                last = self._reader_cards.without_asking(event_context, one)
                results = [replace(each, pause=pause) for each in last.results]
                gone.append(replace(last, results=results))
        asked = [
            self._reader_cards.of(event_context, [one for one, _ in group], group[0][1])
            for group in by_reader.values()
        ]
        # Nearly always one, which needs no task of its own.
        groups = [await asked[0]] if len(asked) == 1 else await asyncio.gather(*asked)
        return [*gone, *groups]


def _with_access(
    results: Sequence[SubscriptionResult], verdicts: AccessDecisions
) -> Sequence[SubscriptionResult]:
    seen = verdicts.seen
    return [replace(one, access_ok=True) if one.subscription_id in seen else one for one in results]


def _is_held(subscription: Subscription) -> bool:
    return subscription.pause_reason in RIGHTS_PAUSES


def _is_gone(delivery: Delivery, decision: Decision) -> bool:
    """Whether the account confirms an event that says that the project was deleted."""
    deleted = isinstance(delivery.event, ProjectDeleted)
    return deleted and isinstance(decision, Pause) and decision.why is PauseWhy.NOT_FOUND


def _read_with(permit: ReadPermit | None) -> ReadWith:
    if permit is None or permit.is_anonymous:
        return ReadWith.NO_TOKEN
    return ReadWith.OPERATOR if permit.as_operator else ReadWith.ACCOUNT
