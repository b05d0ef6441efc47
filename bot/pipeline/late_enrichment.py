"""What cards lacked when they went out: asked for again, and filled into them.

Who may see it is decided again each time: access may have been lost since the card was made.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.cards.card import Card, OpenedTopic, Picture
from bot.cards.card_context import CardContext
from bot.cards.checks import checks_text
from bot.cards.opened import topic_of
from bot.cards.pictures import with_image
from bot.cards.render import fill_in, with_addition, with_opened
from bot.cards.what_changed import changes_text
from bot.errors import NotADelivery, SpeckleError, SpeckleUnavailable, StorageUnavailable
from bot.fairness import current_tenant
from bot.log import about_events
from bot.model import AccessPause, Hook, HookState, Subscription
from bot.pipeline.access import AccessCheck
from bot.pipeline.access_gate import is_outdated
from bot.pipeline.batching import card_of, fit_together
from bot.pipeline.enrichment import ConfirmedEvent, Enrichment, is_refusal, lacks_count, why_missing
from bot.pipeline.keyed_worker import KeyedWorker
from bot.pipeline.names import all_models, facts_within, known_to, with_actor_named, within
from bot.pipeline.reading import read
from bot.pipeline.rendering import card_context
from bot.pipeline.subjects import changes_shown, subject_shown
from bot.services.access_rules import Pause, ReadPermit, Show, Wait
from bot.services.known_names import KnownNames
from bot.speckle.activity import Activity, body_of
from bot.speckle.checks import Checks, checks_to_json
from bot.speckle.comparison import NotCompared
from bot.speckle.confirmation import touched_models, versions_of
from bot.speckle.event_subjects import AUTOMATION_FAILED, subject_of
from bot.speckle.events import (
    AutomationFailed,
    Delivery,
    EventKind,
    ProjectNames,
    VersionCreated,
)
from bot.speckle.facts import Facts, VersionFacts
from bot.speckle.filters import matches
from bot.speckle.subscription_options import wanted_kinds
from bot.speckle_api.previews import NoPicture
from bot.storage import Storage, Transaction
from bot.trace import MissingWhy, TraceFacts, TraceLine, TraceStep
from bot.work import (
    CardChange,
    FallbackLevel,
    InboxEvent,
    LateAddition,
    LateEnrichmentJob,
    LateEnrichmentKey,
    OutboxCard,
    OwnEvent,
    RungVersion,
)

log = structlog.get_logger()

KEYS_AT_ONCE = 8  # one server gets up to half of them
JOBS_AT_ONCE = 4  # of one guild at one server
MOST_RUNG = 500  # versions of one server; further ones are asked about at their time


@dataclass(frozen=True, slots=True)
class IncompleteCard:
    """A card of one subscription that lacks something, with the event that it shows."""

    row: InboxEvent
    hook: Hook
    subscription: Subscription
    delivery: Delivery
    shown_until: datetime | None


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to be done to a card, and what it shows of an issue then."""

    change: CardChange
    subject: str | None = None
    unfinished: bool = False  # more may come: it is asked for again while there is time
    of_versions: tuple[str, ...] = ()  # it is for the cards of these, not for the event's own
    on_versions: tuple[str, ...] = ()  # their cards are to say it too
    found: OwnEvent | None = None  # an event of its own, besides


class GivenUp(Exception):
    """What a card lacks never comes; `facts` say why, as its event's trace keeps it."""

    def __init__(self, why: MissingWhy, **facts: int | str) -> None:
        super().__init__(why)
        self.facts: TraceFacts = {"missing": why, **facts}


class LateEnrichment:
    """Does the jobs that cards left, an ordering key for each guild at each server.

    Servers take turns, so that a dead one delays no others, and guilds at one server do.

    `on_changed` is called when messages are to be edited, `on_found` when what was found is an
    event of its own.
    """

    def __init__(
        self,
        storage: Storage,
        enrichment: Enrichment,
        access: AccessCheck,
        known_names: KnownNames,
        *,
        on_changed: Callable[[], None],
        on_found: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._enrichment = enrichment
        self._timings = enrichment.timings
        self._access = access
        self._known_names = known_names
        self._on_changed = on_changed
        self._on_found = on_found
        self._now = now
        self._worker = KeyedWorker[LateEnrichmentKey, LateEnrichmentKey](
            "late_enrichment",
            at_once=KEYS_AT_ONCE,
            find_due=self._due,
            due_in=self._due_in,
            key_of=lambda key: key,
            tenant_of=lambda key: key.server_url,
            handle=self._of_key,
        )
        self.wake = self._worker.wake
        self._rung = defaultdict[str, set[RungVersion]](set)  # by server
        self._rings = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._answer_rings(), name="late_enrichment_rings")
            await self._worker.run()

    def checks_rang(self, server_url: str, project_id: str, version_id: str) -> None:
        """Ask soon about the checks of a version, as one of them goes on."""
        there = self._rung[server_url]
        if self._enrichment.is_on and len(there) < MOST_RUNG:
            there.add(RungVersion(server_url, project_id, version_id))
            self._rings.set()

    async def _answer_rings(self) -> None:
        """What rings within a few seconds leads to one question for each version."""
        while True:
            await self._rings.wait()
            await asyncio.sleep(self._timings.rings_together_s)
            self._rings.clear()
            rung = frozenset[RungVersion]().union(*self._rung.values())
            self._rung.clear()
            with suppress(StorageUnavailable):  # what rings is asked for at its time too
                await self._storage.write(partial(_ask_about_checks, rung))
                self.wake()

    async def _due(
        self, limit: int, busy: Collection[LateEnrichmentKey]
    ) -> Sequence[LateEnrichmentKey]:
        if not self._enrichment.is_on:
            return ()
        return await self._storage.look_together(
            lambda tx: tx.late_enrichment.due_keys(limit, busy)
        )

    async def _due_in(self, busy: Collection[LateEnrichmentKey]) -> float | None:
        return (
            await self._storage.look_together(lambda tx: tx.late_enrichment.due_in(busy))
            if self._enrichment.is_on
            else None
        )

    async def _of_key(self, key: LateEnrichmentKey) -> None:
        """Ask a server for what is due in a guild, several things side by side."""
        current_tenant.set(key.guild_id)  # among those who ask the same server
        jobs = await self._storage.read(lambda tx: tx.late_enrichment.due(key, JOBS_AT_ONCE))
        done = await asyncio.gather(*map(self._one, jobs), return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    async def _one(self, job: LateEnrichmentJob) -> None:
        about_events([job.inbox_id])
        incomplete = await self._found(job)
        if incomplete is None:
            await self._storage.write(lambda tx: tx.late_enrichment.drop(job))
            return
        try:
            # The questions keep their time; this is for what is around them.
            async with asyncio.timeout(self._patience_s(job)):
                addition = await self._answer(job, incomplete)
            if addition is None:
                await self._retry_later(job)
            else:
                await self._fill(job, addition)
        except StorageUnavailable:
            raise
        except (SpeckleUnavailable, TimeoutError) as error:
            await self._retry_later(job, getattr(error, "retry_in_s", None) or 0.0, failed=True)
        except SpeckleError as error:
            await self._give_up(job, why_missing(error))
        except GivenUp as given_up:
            await self._give_up(job, given_up.facts)
        except Exception:  # one job's fault must not stop the others of its server
            log.exception("late_enrichment.failed", job_id=job.id, kind=job.kind)
            await self._retry_later(job, failed=True)

    def _patience_s(self, job: LateEnrichmentJob) -> float:
        compares = job.kind is LateAddition.CHANGES
        return 2 * self._timings.question_s + (self._timings.comparison_s if compares else 0.0)

    async def _fill(self, job: LateEnrichmentJob, addition: Addition) -> None:
        after_s = (self._now() - job.created_at).total_seconds()
        note = self._note(job, TraceStep.FILLED_IN, {"added": job.kind, "after_s": round(after_s)})
        again_at = self._next_try(job) if addition.unfinished else None
        changed = await self._storage.write(
            lambda tx: tx.late_enrichment.fill(
                job,
                addition.change,
                note,
                addition.subject,
                again_at=again_at,
                of_versions=addition.of_versions,
                on_versions=addition.on_versions,
                found=addition.found,
            )
        )
        log.info("late_enrichment.done", kind=job.kind, outbox_ids=changed)
        if changed:
            self._on_changed()
        if addition.on_versions:
            self.wake()
        if addition.found is not None:
            self._on_found()

    async def _give_up(self, job: LateEnrichmentJob, facts: TraceFacts) -> None:
        known = {"added": job.kind, **facts}
        log.info("late_enrichment.given_up", job_id=job.id, **known)
        note = self._note(job, TraceStep.NOT_FILLED_IN, known)
        await self._storage.write(lambda tx: tx.late_enrichment.drop(job, note))

    def _note(self, job: LateEnrichmentJob, step: TraceStep, facts: TraceFacts) -> TraceLine:
        about = {"subscription_id": job.subscription_id}
        return TraceLine(self._now(), "fill in", step, {**about, **facts})

    async def _found(self, job: LateEnrichmentJob) -> IncompleteCard | None:
        """The event, while it and the card of it are still kept."""
        row = await self._storage.read(lambda tx: tx.inbox.get(job.inbox_id))
        subscription = await self._storage.read(
            lambda tx: tx.subscriptions.get(job.subscription_id)
        )
        if row is None or subscription is None:
            return None
        hook = await self._storage.read(lambda tx: tx.hooks.get(subscription.hook_id))
        if hook is None or hook.state is HookState.CLOSED:
            return None
        has_cards = await self._storage.read(lambda tx: tx.late_enrichment.has_cards(job))
        if not has_cards and not _makes_event(job, subscription):
            return None
        try:
            delivery, _ = await read(row.body)
        except NotADelivery:  # its body has been erased
            return None
        shown_until = await self._storage.read(lambda tx: changes_shown(tx, row, delivery))
        return IncompleteCard(row, hook, subscription, delivery, shown_until)

    async def _answer(self, job: LateEnrichmentJob, incomplete: IncompleteCard) -> Addition | None:
        """What to do to the card; None where the answer is not there yet.

        Errors: SpeckleError of each kind; GivenUp.
        """
        permit = await self._permit(job, incomplete)
        if permit is None:
            return None
        try:
            return await self._answer_to(permit, job, incomplete)
        except SpeckleError as error:
            if not is_refusal(error):
                raise
            now_said = await self._permit(job, incomplete, fresh=True)
            if now_said is None:
                return None
            if now_said.reader == permit.reader:
                raise
            return await self._answer_to(now_said, job, incomplete)

    async def _answer_to(
        self, permit: ReadPermit, job: LateEnrichmentJob, incomplete: IncompleteCard
    ) -> Addition | None:
        row, delivery = incomplete.row, incomplete.delivery
        answer, checks = await self._said_of(permit, job, incomplete)
        hook_id, facts = incomplete.hook.id, answer.facts
        heard = await self._storage.read(lambda tx: tx.hooks.names(hook_id))
        names = await known_to(
            permit, self._known_names, heard, answer.delivery, facts, (), self._timings.names_s
        )
        if not _says_the_same(answer.delivery, delivery):
            raise GivenUp(MissingWhy.CONTRADICTED)
        confirmed = with_actor_named(answer.delivery, names.people)
        # Read again: the answer may have taken its time.
        wanting = await self._storage.read(lambda tx: tx.subscriptions.get(job.subscription_id))
        if wanting is None:
            raise GivenUp(MissingWhy.NO_ACCESS)
        judged = partial(
            matches,
            wanting.options,
            known_models=names.models,
            touched=touched_models(facts),
            complete=names.complete,
        )
        verdict = judged(confirmed)
        if job.kind is LateAddition.CHECKS:
            failed = _as_failed(confirmed, checks)
            wanted = failed if judged(failed).passes else None
            if verdict.passes or wanted is not None:
                return self._checks(job, incomplete, checks, wanted, on_card=verdict.passes)
        if not verdict.passes:
            raise GivenUp(MissingWhy.FILTERED, **verdict.facts())
        if job.kind is LateAddition.PICTURE:
            return await self._picture(permit, incomplete)
        if job.kind is LateAddition.OBJECT_COUNT and lacks_count(facts):
            return None
        if job.kind is LateAddition.CHANGES:
            return await self._changes(permit, incomplete, facts)
        patterns = wanting.options.models
        names = within(patterns, names, heard, all_models(confirmed, facts, ()))
        shown_facts = facts_within(patterns, facts)
        context = card_context(incomplete.hook, row, confirmed, names, shown_facts, None)
        on_versions = versions_of(confirmed.event, facts)
        if job.kind is LateAddition.OPENED:
            topic = topic_of(context)
            if topic is None or not on_versions:
                raise GivenUp(MissingWhy.NOTHING_MORE)
            return Addition(partial(_changed, shown=Opened(*topic)), of_versions=on_versions)
        subject = subject_shown(answer.delivery, facts)
        return Addition(partial(_changed, shown=context), subject, on_versions=on_versions)

    async def _picture(self, permit: ReadPermit, incomplete: IncompleteCard) -> Addition | None:
        hook, row = incomplete.hook, incomplete.row
        image = await self._enrichment.image(
            permit, hook, incomplete.delivery, row.event_at, self._timings.question_s
        )
        if image is NoPicture.NOT_YET:
            return None
        if image is NoPicture.BLANK:
            raise GivenUp(MissingWhy.BLANK)
        shown = None if isinstance(image, NoPicture) else image
        return Addition(partial(_changed, shown=shown))

    async def _said_of(
        self, permit: ReadPermit, job: LateEnrichmentJob, incomplete: IncompleteCard
    ) -> tuple[ConfirmedEvent, Checks]:
        """What the server says of the event; with its checks where those are asked for."""
        row, delivery, question_s = incomplete.row, incomplete.delivery, self._timings.question_s
        if job.kind is LateAddition.CHECKS:
            checked = await self._enrichment.checks(permit, delivery, row.event_at, question_s)
            if checked is None:
                raise GivenUp(MissingWhy.NO_CHECKS)
            return checked.event, checked.checks
        answer = await self._enrichment.confirmed_event(
            permit, delivery, row.event_at, question_s, incomplete.shown_until
        )
        if answer is None:
            raise GivenUp(MissingWhy.NOTHING_MORE)
        return answer, Checks()

    def _checks(
        self,
        job: LateEnrichmentJob,
        incomplete: IncompleteCard,
        checks: Checks,
        failed: Delivery | None,
        *,
        on_card: bool,
    ) -> Addition | None:
        """What to say of checks; `failed` is that some did, where a channel wants to be told."""
        if not checks.total:
            return None
        hook, row = incomplete.hook, incomplete.row
        context = card_context(hook, row, incomplete.delivery, ProjectNames(), None, None)
        text = Paragraph(LateAddition.CHECKS, checks_text(checks, context)) if on_card else None
        is_last = not checks.running or self._next_try(job) is None
        return Addition(
            partial(_changed, shown=text),
            unfinished=bool(checks.running),
            found=_found_event(hook, failed, self._now())
            if failed is not None and checks.has_failed and is_last
            else None,
        )

    async def _changes(
        self, permit: ReadPermit, incomplete: IncompleteCard, facts: Facts
    ) -> Addition:
        event = incomplete.delivery.event
        if not isinstance(facts, VersionFacts) or not isinstance(event, VersionCreated):
            raise GivenUp(MissingWhy.NOTHING_MORE)
        if facts.overtaken:
            raise GivenUp(MissingWhy.OVERTAKEN)
        try:
            found = await self._enrichment.comparison(permit, facts, event.version_id)
        except NotCompared as error:
            raise GivenUp(MissingWhy.NOT_COMPARED, why_not=error.why) from None
        since = facts.compared_with if facts.compared_with != facts.previous else None
        context = card_context(
            incomplete.hook, incomplete.row, incomplete.delivery, ProjectNames(), facts, None
        )
        text = Paragraph(LateAddition.CHANGES, changes_text(found, context, since))
        return Addition(partial(_changed, shown=text))

    async def _permit(
        self, job: LateEnrichmentJob, incomplete: IncompleteCard, *, fresh: bool = False
    ) -> ReadPermit | None:
        """The permit to read with, decided now; None while somebody cannot be asked.

        `fresh`: after a refusal, so that no last yes counts, and a no stops the channel at once.

        Errors: GivenUp where the channel may not be shown more.
        """
        subscription = incomplete.subscription
        if is_outdated(subscription, job.created_at, self._now()):
            raise GivenUp(MissingWhy.NO_CONSENT)
        decisions = await self._access.decide_and_record(
            incomplete.hook, [subscription], incomplete.row.source, fresh=fresh
        )
        match decisions[subscription.id]:
            case Show(permit) if permit is not None:
                return permit
            case Wait():
                return None
            case Pause(reason, why) if fresh:
                pause = AccessPause(reason, why)
                await self._storage.write(
                    lambda tx: tx.held_events.hold_back(subscription.id, self._now(), pause)
                )
                raise GivenUp(MissingWhy.NO_ACCESS)
            case _:
                raise GivenUp(MissingWhy.NO_ACCESS)

    async def _retry_later(
        self, job: LateEnrichmentJob, retry_in_s: float = 0.0, *, failed: bool = False
    ) -> None:
        until = self._next_try(job, retry_in_s, failed=failed)
        if until is not None:
            await self._storage.write(lambda tx: tx.late_enrichment.postpone(job.id, until))
        elif job.kind is LateAddition.CHECKS and not failed:
            await self._give_up(job, {"missing": MissingWhy.NO_CHECKS})
        else:
            await self._give_up(job, {"missing": MissingWhy.TOO_LATE})

    def _next_try(
        self, job: LateEnrichmentJob, retry_in_s: float = 0.0, *, failed: bool = False
    ) -> datetime | None:
        """When to ask again; None where it was asked for long enough."""
        patience, now = self._timings.of(job.kind), self._now()
        at = patience.next_try(job.created_at, now, job.attempts, failed=failed)
        soonest = now + timedelta(seconds=retry_in_s)
        return None if at is None or soonest - job.created_at > patience.most else max(at, soonest)


def _makes_event(job: LateEnrichmentJob, subscription: Subscription) -> bool:
    """Whether what is asked for may become an event of its own, without a card to be added to."""
    wanted = wanted_kinds(subscription.options)
    return job.kind is LateAddition.CHECKS and EventKind.AUTOMATION_FAILED in wanted


def _as_failed(version: Delivery, checks: Checks) -> Delivery:
    """That checks of a new version failed."""
    event = version.event
    if not isinstance(event, VersionCreated):
        return version
    failed = AutomationFailed(event.version_id, event.model, checks)
    return replace(version, event=failed, event_name=AUTOMATION_FAILED)


def _found_event(hook: Hook, failed: Delivery, at: datetime) -> OwnEvent | None:
    """The same in the wire's form, as the inbox takes it."""
    event, subject = failed.event, subject_of(failed)
    if not isinstance(event, AutomationFailed) or subject is None:
        return None
    said = {
        "id": event.version_id,
        "branchId": event.model.id,
        "branchName": event.model.name,
        "checks": checks_to_json(event.checks),
    }
    name = AUTOMATION_FAILED
    body = body_of(
        Activity(event.version_id, name, event.version_id, None, at, "", said),
        server_url=hook.server_url,
        project_id=hook.project_id,
        project_name=hook.project_name,
        visibility=hook.visibility,
    )
    return OwnEvent(name, subject, body)


def _ask_about_checks(rung: Collection[RungVersion], tx: Transaction) -> None:
    tx.late_enrichment.ask_now(LateAddition.CHECKS, rung)


def _says_the_same(confirmed: Delivery, came: Delivery) -> bool:
    """Whether Speckle names the models that the card, which is out already, shows."""
    pairs = zip(came.models, confirmed.models, strict=False)
    return all(
        said.id in (None, true.id) and said.name in (None, true.name) for said, true in pairs
    )


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What a card says of what came later."""

    name: LateAddition
    text: str


@dataclass(frozen=True, slots=True)
class Opened:
    """What the card of a version says of an issue or a thread that is on it."""

    topic: OpenedTopic
    is_open: bool


Shown = Picture | str | CardContext | Paragraph | Opened | None


def _changed(row: OutboxCard, company: Sequence[OutboxCard], *, shown: Shown) -> Card | None:
    """The card with what was missing; None where that changes nothing or has no room.

    A card that goes as plain text stays as it is: by its text its message is known again.
    """
    if shown is None or row.level is FallbackLevel.TEXT:
        return None
    old = card_of(row)
    match shown:
        case CardContext():
            new = fill_in(old, shown)
        case Paragraph(name, text):
            new = with_addition(old, name, text)
        case Opened(topic, is_open):
            new = with_opened(old, topic, is_open=is_open)
        case _:
            new = with_image(old, shown)
    if new == old:
        return None
    if not fit_together([new, *map(card_of, company)]):
        log.info("late_enrichment.no_room", outbox_id=row.id)
        return None
    return new
