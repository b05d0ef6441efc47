"""What Speckle says when it is asked later, and what is done to a card for it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from bot.cards.checks import checks_text
from bot.cards.compare_button import compare_id
from bot.cards.opened import topic_of
from bot.cards.what_changed import changes_text
from bot.errors import SpeckleError
from bot.model import AccessPause, Hook, Subscription
from bot.pipeline.access import AccessCheck
from bot.pipeline.access_gate import is_outdated
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.enrichment.card_changes import Opened, Paragraph, changed
from bot.pipeline.enrichment.outcomes import ConfirmedEvent, is_refusal, lacks_count
from bot.pipeline.names import all_models, facts_within, known_to, with_actor_named, within
from bot.pipeline.rendering import card_context
from bot.pipeline.subjects import subject_shown
from bot.services.access_rules import Pause, ReadPermit, Show, Wait
from bot.services.known_names import KnownNames
from bot.speckle.activity import Activity, body_of
from bot.speckle.checks import Checks, checks_to_json
from bot.speckle.comparison import NotCompared
from bot.speckle.confirmation import touched_models, versions_of
from bot.speckle.event_subjects import AUTOMATION_FAILED, subject_of
from bot.speckle.events import AutomationFailed, Delivery, ProjectNames, VersionCreated
from bot.speckle.facts import Facts, VersionFacts
from bot.speckle.filters import matches
from bot.speckle_api.previews import NoPicture
from bot.storage import Storage
from bot.trace import MissingWhy, TraceFacts
from bot.work import CardChange, InboxEvent, LateAddition, LateEnrichmentJob, OwnEvent


@dataclass(frozen=True, slots=True)
class IncompleteCard:
    """A card of one subscription that lacks something, with the event that it shows."""

    job: LateEnrichmentJob
    again_at: datetime | None  # when it is asked about once more, if that is needed
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


class LateAnswers:
    """Asks again for what a card lacks, in the name of who may see it now."""

    def __init__(
        self,
        storage: Storage,
        enrichment: Enrichment,
        access: AccessCheck,
        known_names: KnownNames,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._enrichment = enrichment
        self._timings = enrichment.timings
        self._access = access
        self._known_names = known_names
        self._now = now

    async def of(self, incomplete: IncompleteCard) -> Addition | None:
        """What to do to the card; None where the answer is not there yet.

        Errors: SpeckleError of each kind; GivenUp.
        """
        permit = await self._permit(incomplete)
        if permit is None:
            return None
        try:
            return await self._answer_to(permit, incomplete)
        except SpeckleError as error:
            if not is_refusal(error):
                raise
            now_said = await self._permit(incomplete, fresh=True)
            if now_said is None:
                return None
            if now_said.reader == permit.reader:
                raise
            return await self._answer_to(now_said, incomplete)

    async def _answer_to(self, permit: ReadPermit, incomplete: IncompleteCard) -> Addition | None:
        job, row, delivery = incomplete.job, incomplete.row, incomplete.delivery
        answer, checks = await self._said_of(permit, incomplete)
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
                return self._checks(incomplete, checks, wanted, on_card=verdict.passes)
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
            return Addition(partial(changed, shown=Opened(*topic)), of_versions=on_versions)
        subject = subject_shown(answer.delivery, facts)
        return Addition(partial(changed, shown=context), subject, on_versions=on_versions)

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
        return Addition(partial(changed, shown=shown))

    async def _said_of(
        self, permit: ReadPermit, incomplete: IncompleteCard
    ) -> tuple[ConfirmedEvent, Checks]:
        """What the server says of the event; with its checks where those are asked for."""
        row, delivery, question_s = incomplete.row, incomplete.delivery, self._timings.question_s
        if incomplete.job.kind is LateAddition.CHECKS:
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
        is_last = not checks.running or incomplete.again_at is None
        return Addition(
            partial(changed, shown=text),
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
        since = facts.compared_since
        context = card_context(
            incomplete.hook, incomplete.row, incomplete.delivery, ProjectNames(), facts, None
        )
        text = changes_text(found, context, since)
        compare_by = None
        if since is not None:
            compare_by = compare_id(
                context.server_url, context.project_id, event.version_id, since.id
            )
        shown = Paragraph(LateAddition.CHANGES, text, compare_by)
        return Addition(partial(changed, shown=shown))

    async def _permit(
        self, incomplete: IncompleteCard, *, fresh: bool = False
    ) -> ReadPermit | None:
        """The permit to read with, decided now; None while somebody cannot be asked.

        `fresh`: after a refusal, so that no last yes counts, and a no stops the channel at once.

        Errors: GivenUp where the channel may not be shown more.
        """
        subscription = incomplete.subscription
        if is_outdated(subscription, incomplete.job.created_at, self._now()):
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


def _says_the_same(confirmed: Delivery, came: Delivery) -> bool:
    """Whether Speckle names the models that the card, which is out already, shows."""
    pairs = zip(came.models, confirmed.models, strict=False)
    return all(
        said.id in (None, true.id) and said.name in (None, true.name) for said, true in pairs
    )
