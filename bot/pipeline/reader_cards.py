"""An event as one reader sees it: what Speckle adds for them, and the cards of their channels."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import structlog

from bot.cards.card import Card
from bot.cards.notes import CardNote, NoteKind
from bot.cards.pictures import with_image
from bot.cards.samples import as_test
from bot.errors import StorageUnavailable
from bot.model import HookState, InboxSource, Subscription
from bot.pipeline.author_pictures import AuthorPictures
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.enrichment.outcomes import AddedFacts
from bot.pipeline.event_context import EventContext, trace_facts
from bot.pipeline.names import (
    all_models,
    facts_within,
    known_to,
    names_for,
    with_actor_named,
    within,
)
from bot.pipeline.reading import LARGE_BODY_BYTES
from bot.pipeline.rendering import card_context, rendered
from bot.pipeline.subjects import plain_subject, subject_shown
from bot.services.access_rules import ReadPermit
from bot.services.known_names import KnownNames
from bot.speckle.confirmation import touched_models, versions_of
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import Delivery, ProjectNames, VersionCreated
from bot.speckle.facts import Facts
from bot.speckle.filters import matches
from bot.trace import SUBSCRIPTIONS_FACT, TraceStep
from bot.work import NewCard, SubscriptionResult

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReaderResult:
    """What became of an event in the subscriptions of one reader, who may have been refused."""

    subscriptions: Sequence[Subscription]
    results: Sequence[SubscriptionResult]
    refused: bool = False


class ReaderCards:
    """Asks in the name of a reader, and renders what all of their channels are shown."""

    def __init__(
        self,
        enrichment: Enrichment,
        known_names: KnownNames,
        author_pictures: AuthorPictures,
        *,
        speckle_servers: Collection[str],
        now: Callable[[], datetime],
    ) -> None:
        self._enrichment = enrichment
        self._known_names = known_names
        self._author_pictures = author_pictures
        self._servers = frozenset(speckle_servers)
        self._now = now

    async def of(
        self,
        event_context: EventContext,
        subscriptions: Sequence[Subscription],
        permit: ReadPermit | None,
    ) -> ReaderResult:
        """What becomes of an event in these subscriptions, whose reader the permit is for.

        Without a permit nothing is asked.
        """
        added = await self._added_with_author(event_context, permit, subscriptions)
        names = await self._names(event_context, permit, added)
        cards = partial(self._cards, event_context, subscriptions, added, names)
        # In a thread, as a large event may carry a picture of megabytes to be looked at.
        large = len(event_context.row.body) > LARGE_BODY_BYTES
        results = await asyncio.to_thread(cards) if large else cards()
        return ReaderResult(subscriptions, results, refused=added.refused)

    def without_asking(
        self, event_context: EventContext, subscription: Subscription
    ) -> ReaderResult:
        """The same where there is nothing left to be asked."""
        plain = AddedFacts(event_context.delivery)
        results = self._cards(event_context, [subscription], plain, event_context.names)
        return ReaderResult([subscription], results)

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


def _by(asked: Delivery, avatar: str | None, shown: Delivery) -> Delivery:
    """An event as it is shown, with the picture of who did it where that is who was asked for."""
    if avatar is None or asked.actor is None or shown.actor is None:
        return shown
    if shown.actor.id != asked.actor.id:
        return shown
    return replace(shown, actor=replace(shown.actor, avatar=avatar))


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
        step, where = TraceStep.FILTERED_AS_CONFIRMED, trace_facts(subscription)
        event_context.trace.add("route", step, **where, **verdict.facts())
    return verdict.passes


def _note_nothing_changed(
    event_context: EventContext, subscriptions: Sequence[Subscription]
) -> None:
    for one in subscriptions:
        event_context.trace.add("render", TraceStep.NOTHING_CHANGED, **trace_facts(one))
