"""What a webhook leaves out, asked of its Speckle server: facts, and the version's picture.

Nothing is asked without a permit, and all that an event depends on is taken from the answer.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import assert_never

import structlog

from bot.cards.card import Picture
from bot.errors import (
    SpeckleError,
    SpeckleForbidden,
    SpeckleNotFound,
    SpeckleRejected,
    SpeckleScopeMissing,
    SpeckleTokenRefused,
    SpeckleUnavailable,
    SpeckleUnconfirmed,
)
from bot.model import Hook
from bot.pipeline.event_pictures import EventPictures, may_name_picture
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.single_flight import SingleFlightCache
from bot.speckle.checks import Checks
from bot.speckle.comparison import COMPARED_IN_S, Comparison, NotCompared, WhyNotCompared
from bot.speckle.confirmation import (
    ArchivedQuestion,
    Claim,
    CommentQuestion,
    IssueQuestion,
    Question,
    ReceivedQuestion,
    VersionQuestion,
)
from bot.speckle.event_table import BY_KIND
from bot.speckle.events import Delivery, VersionCreated
from bot.speckle.facts import Facts, VersionFacts
from bot.speckle.tokens import TokenScope
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.comparisons import Comparisons, VersionContent
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import NoPicture
from bot.speckle_api.types import Login
from bot.speckle_api.versions import AT_ONCE
from bot.timing import Backoff
from bot.trace import MissingWhy, TraceFacts, TraceStep
from bot.work import LateAddition

log = structlog.get_logger()

KEEP_S = 60.0
MOST_FACTS = 500
# Events wait for their turn in ingest. If so many of one server's wait already, the next ones wait
# only a moment, so that a server that stalls leaves room for the others. An event that has waited
# behind others of its project waits no longer than that either.
CROWD = 8
KEEP_CHECKS_S = 0.0  # who asks at the same time shares an answer; a later one may be another
COUNT_SHARE = 0.8  # of the time that is left once the rest of a version's facts is there


@dataclass(frozen=True, slots=True)
class RetryPatience:
    """When what a card lacks is asked for first, the waits between tries, and for how long."""

    first: timedelta
    retry: Backoff
    most: timedelta

    def next_try(
        self, created_at: datetime, now: datetime, attempts: int, *, failed: bool
    ) -> datetime | None:
        """When it is asked for again, `failed` or not; None where it was asked for long enough."""
        until = now + timedelta(seconds=self.retry.delay_s(attempts))
        return None if until - created_at > self.most else until


@dataclass(frozen=True, slots=True)
class AskedAt:
    """When something is asked for that comes at its own time, if ever: so long after the card.

    A server that cannot be asked at last is asked every `retry_s` up to `most`.
    """

    moments: tuple[timedelta, ...]
    retry_s: float
    most: timedelta

    @property
    def first(self) -> timedelta:
        """When it is asked for first."""
        return self.moments[0]

    def next_try(
        self, created_at: datetime, now: datetime, _attempts: int, *, failed: bool
    ) -> datetime | None:
        """When it is asked for again, `failed` or not; None where it was asked for long enough."""
        for moment in self.moments:
            if created_at + moment > now:
                return created_at + moment
        until = now + timedelta(seconds=self.retry_s)
        return until if failed and until - created_at <= self.most else None


@dataclass(frozen=True, slots=True)
class EnrichmentTimings:
    """How long a card waits where many do, and how what it lacks then is asked for."""

    moment_s: float = 1.0
    question_s: float = 10.0  # nobody waits for the answer
    names_s: float = 3.0  # a look-up of names, at most once a minute for each reader
    # A server that was restarted or moved is back within the hour.
    facts: RetryPatience = RetryPatience(
        timedelta(seconds=1),
        Backoff((2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)),
        timedelta(hours=1),
    )
    # A picture takes its time at every server, some seconds at least.
    picture: RetryPatience = RetryPatience(
        timedelta(seconds=5),
        Backoff((5.0, 10.0, 20.0, 40.0, 60.0, 120.0, 300.0)),
        timedelta(hours=1),
    )
    # Not before AT_ONCE: of several versions that come together the last one is compared.
    changes: RetryPatience = RetryPatience(
        AT_ONCE + timedelta(seconds=1),
        Backoff((5.0, 15.0, 60.0, 300.0)),
        timedelta(hours=1),
    )
    comparison_s: float = COMPARED_IN_S
    # Automations take seconds to minutes; most versions have none, which nothing says.
    checks: AskedAt = AskedAt(
        (
            timedelta(seconds=30),
            timedelta(minutes=2),
            timedelta(minutes=5),
            timedelta(minutes=15),
        ),
        retry_s=300.0,
        most=timedelta(hours=1),
    )
    rings_together_s: float = 5.0  # that say that an automation goes on

    def of(self, kind: LateAddition) -> RetryPatience | AskedAt:
        """The patience with one of the things that a card may lack."""
        match kind:
            case LateAddition.PICTURE:
                return self.picture
            case LateAddition.CHANGES:
                return self.changes
            case LateAddition.CHECKS:
                return self.checks
            case LateAddition.FACTS | LateAddition.OBJECT_COUNT | LateAddition.OPENED:
                return self.facts
            case _:
                assert_never(kind)


@dataclass(frozen=True, slots=True)
class AddedFacts:
    """What a server added to an event in time, for one reader.

    `delivery` is the event as the server says it, or as it came where the server said nothing.
    `missing` is to be asked again; `steps` are for the event's trace. `refused`: this reader may
    not see the project any more, as the answer says. `unconfirmed`: the server knows what the event
    is about, and nothing of it that is like the event.
    """

    delivery: Delivery
    facts: Facts | None = None
    image: Picture | str | None = None
    missing: frozenset[LateAddition] = frozenset()
    steps: Sequence[tuple[TraceStep, TraceFacts]] = ()
    refused: bool = False
    unconfirmed: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmedEvent:
    """An event as its server says it, with the facts that belong to it."""

    delivery: Delivery
    facts: Facts


@dataclass(frozen=True, slots=True)
class CheckedVersion:
    """A new version as its server says it, and what automations found out about it."""

    event: ConfirmedEvent
    checks: Checks


class Enrichment:
    """Asks the allowed Speckle servers, as a permit allows, once for each who may read.

    The first question of an event has `deadline_s` in all; 0 asks nothing at all.
    """

    def __init__(
        self,
        client: SpeckleClient,
        pictures: EventPictures,
        lender: TokenLender,
        counts: ObjectCounts,
        comparisons: Comparisons,
        *,
        servers: Collection[str],
        deadline_s: float,
        timings: EnrichmentTimings = EnrichmentTimings(),
    ) -> None:
        self.timings = timings
        self._client = client
        self._servers = frozenset(servers)
        self._pictures = pictures
        self._lender = lender
        self._counts = counts
        self._comparisons = comparisons
        self._deadline_s = deadline_s
        self._facts = SingleFlightCache[Facts | None](max_values=MOST_FACTS, ttl_s=KEEP_S)
        self._checks = SingleFlightCache[tuple[VersionFacts, Checks] | None](
            max_values=MOST_FACTS, ttl_s=KEEP_CHECKS_S
        )
        self._waiting = Counter[str]()

    @property
    def is_on(self) -> bool:
        """Whether anything is asked at all."""
        return self._deadline_s > 0

    @property
    def moment_s(self) -> float:
        """How long a card waits for what it can do without."""
        return min(self._deadline_s, self.timings.moment_s)

    def asks(self, hook: Hook) -> bool:
        """Whether anything is asked about a hook's project."""
        return self.is_on and hook.server_url in self._servers

    def close(self) -> None:
        """Drop what is still being asked."""
        self._facts.close()
        self._checks.close()
        self._comparisons.close()
        self._pictures.close()

    async def within_deadline(
        self,
        permit: ReadPermit,
        hook: Hook,
        delivery: Delivery,
        at: datetime,
        waited_s: float = 0.0,
        *,
        shown_until: datetime | None = None,
    ) -> AddedFacts:
        """What the server adds within the deadline, the two questions side by side.

        `at` is the event's own time, `waited_s` how long it has waited here since it came,
        `shown_until` up to when the changes of its issue were shown before. The picture is shown
        only where the server knows of the version too.
        """
        if not self.asks(hook):
            return AddedFacts(delivery)
        question = _question(permit, delivery, at)
        if question is None:
            return AddedFacts(delivery)
        within_s = self._patience_s(hook.server_url, waited_s)
        tasks: dict[LateAddition, asyncio.Task[object]] = {
            LateAddition.FACTS: asyncio.create_task(
                self.confirmed_event(permit, delivery, at, within_s, shown_until)
            )
        }
        if isinstance(question, VersionQuestion):
            image = self._pictures.of_version(permit, hook, question.version.version_id, within_s)
            tasks[LateAddition.PICTURE] = asyncio.create_task(image)
        elif may_name_picture(delivery.event):
            image = self.image(permit, hook, delivery, at, within_s, shown_until)
            tasks[LateAddition.PICTURE] = asyncio.create_task(image)
        self._waiting[hook.server_url] += 1
        try:
            await asyncio.wait(tasks.values(), timeout=within_s)
        finally:
            self._waiting[hook.server_url] -= 1
            for task in tasks.values():
                task.cancel()
        return _added(delivery, {kind: _outcome(task, hook) for kind, task in tasks.items()})

    async def confirmed_event(
        self,
        permit: ReadPermit,
        delivery: Delivery,
        at: datetime,
        within_s: float,
        shown_until: datetime | None = None,
    ) -> ConfirmedEvent | None:
        """The event as its server says it; None where the server has nothing to add.

        Errors: SpeckleError of each kind; SpeckleUnconfirmed where it knows of nothing like it.
        """
        check, claim = BY_KIND[delivery.event.kind].check, Claim(delivery, at, permit.is_anonymous)
        question = _question(permit, delivery, at, shown_until)
        if check is None or question is None:
            return None
        project_id = permit.project_id
        facts = await self._lender.with_permit(
            permit, lambda login: self._once(project_id, question, login, within_s)
        )
        if facts is None:
            return None
        true = check.confirm(delivery.event, facts, claim)
        if true is None:
            raise SpeckleUnconfirmed(permit.server_url, "it knows of nothing like the event")
        return ConfirmedEvent(true, facts)

    async def image(
        self,
        permit: ReadPermit,
        hook: Hook,
        delivery: Delivery,
        at: datetime,
        within_s: float,
        shown_until: datetime | None = None,
    ) -> Picture | str | NoPicture:
        """An event's picture: its address where Discord can fetch it, else itself.

        Errors: SpeckleError of each kind; SpeckleUnconfirmed where the server knows of nothing that
        is as new as the event.
        """
        answer = await self.confirmed_event(permit, delivery, at, within_s, shown_until)
        question = _question(permit, delivery, at)
        if isinstance(question, VersionQuestion):
            version_id = question.version.version_id
            return await self._pictures.of_version(permit, hook, version_id, within_s)
        if answer is None or not may_name_picture(delivery.event):
            return NoPicture.MISSING
        return await self._pictures.named_by(permit, answer.facts, within_s)

    async def comparison(
        self, permit: ReadPermit, facts: VersionFacts, version_id: str
    ) -> Comparison:
        """What differs between a version and the one that it is compared with.

        Errors: NotCompared; SpeckleError of each kind.
        """
        before, model_id = facts.compared_with, facts.model.id
        if before is None or model_id is None:
            raise NotCompared(WhyNotCompared.FIRST)
        contents = (
            VersionContent(before.id, model_id, before.object_id, before.bundle),
            VersionContent(version_id, model_id, facts.object_id, facts.bundle),
        )
        within_s = self.timings.comparison_s
        return await self._lender.with_permit(
            permit,
            lambda login: self._comparisons.of(
                login, permit.project_id, *contents, within_s=within_s
            ),
        )

    async def checks(
        self, permit: ReadPermit, delivery: Delivery, at: datetime, within_s: float
    ) -> CheckedVersion | None:
        """What automations found out about a new version; None from a server without them.

        Errors: SpeckleError of each kind; SpeckleUnconfirmed where it knows of nothing like it.
        """
        check, claim = BY_KIND[delivery.event.kind].check, Claim(delivery, at, permit.is_anonymous)
        project_id, event = permit.project_id, delivery.event
        if check is None or not isinstance(event, VersionCreated):
            return None
        facts = self._client.facts

        async def ask(login: Login) -> tuple[VersionFacts, Checks] | None:
            return await self._checks.get(
                (login, project_id, event.version_id),
                lambda: facts.of_checks(login, project_id, event.version_id, within_s=within_s),
            )

        found = await self._lender.with_permit(permit, ask)
        if found is None:
            return None
        true = check.confirm(event, found[0], claim)
        if true is None:
            raise SpeckleUnconfirmed(permit.server_url, "it knows of nothing like the event")
        return CheckedVersion(ConfirmedEvent(true, found[0]), found[1])

    async def _once(
        self, project_id: str, question: Question, login: Login, within_s: float
    ) -> Facts | None:
        """The answer, asked for once for all; one that lacks what comes later is not kept."""
        key = (login, project_id, question)
        facts = await self._facts.get(key, lambda: self._ask(project_id, question, login, within_s))
        if lacks_count(facts):
            self._facts.forget(key)
        return facts

    async def _ask(
        self, project_id: str, question: Question, login: Login, within_s: float
    ) -> Facts | None:
        facts = self._client.facts
        match question:
            case VersionQuestion(version):
                return await self._version_facts(login, project_id, version, within_s)
            case ReceivedQuestion(user_id, at):
                return await facts.of_received(login, project_id, user_id, at, within_s=within_s)
            case CommentQuestion(comment_id):
                return await facts.of_comment(login, project_id, comment_id, within_s=within_s)
            case ArchivedQuestion():
                return await self._archived(project_id, question, login, within_s)
            case IssueQuestion(hint):
                return await facts.of_issue(login, project_id, hint, within_s=within_s)
            case _:
                assert_never(question)

    async def _version_facts(
        self, login: Login, project_id: str, version: VersionCreated, within_s: float
    ) -> Facts:
        """What the server knows of a version, and how many objects it has.

        The facts must not be lost to the count, which so has only a part of the time that is left.
        """
        until = monotonic() + within_s
        facts = await self._client.facts.of_version(login, project_id, version, within_s=within_s)
        left_s = COUNT_SHARE * (until - monotonic())
        try:
            count = await self._counts.of_version(
                login, project_id, version.version_id, facts, within_s=left_s
            )
        except TimeoutError:
            return replace(facts, count_is_late=True)
        return replace(facts, object_count=count)

    async def _archived(
        self, project_id: str, question: ArchivedQuestion, login: Login, within_s: float
    ) -> Facts | None:
        """The thread; with somebody's rights only if the list says that this person did it then."""
        if not question.public and not await self._client.facts.was_archived(
            login,
            project_id,
            question.thread_id,
            question.at,
            archived=question.archived,
            user_id=question.user_id,
            within_s=within_s,
        ):
            return None
        return await self._client.facts.of_comment(
            login, project_id, question.thread_id, within_s=within_s
        )

    def _patience_s(self, server_url: str, waited_s: float) -> float:
        crowded = self._waiting[server_url] >= CROWD
        moment_s = self.timings.moment_s
        left_s = moment_s if crowded else max(moment_s, self._deadline_s - waited_s)
        return min(self._deadline_s, left_s)


def _question(
    permit: ReadPermit, delivery: Delivery, at: datetime, shown_until: datetime | None = None
) -> Question | None:
    """What is asked about an event, None for nothing."""
    check = BY_KIND[delivery.event.kind].check
    if check is None:
        return None
    question = check.question(delivery.event, Claim(delivery, at, permit.is_anonymous))
    if isinstance(question, IssueQuestion):
        return IssueQuestion(replace(question.hint, shown_until=shown_until))
    return question


def _outcome(task: asyncio.Task[object], hook: Hook) -> object:
    """What a question brought: an answer or a SpeckleError."""
    if not task.done() or task.cancelled():
        return SpeckleUnavailable(hook.server_url, "no answer in time")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, SpeckleError):
        return error
    log.error("enrich.failed", hook_id=hook.id, exc_info=error)
    return SpeckleRejected(hook.server_url, "the answer was not understood")


def _added(delivery: Delivery, outcomes: Mapping[LateAddition, object]) -> AddedFacts:
    answer, image = outcomes.get(LateAddition.FACTS), outcomes.get(LateAddition.PICTURE)
    steps = [_facts_step(answer)]
    if not isinstance(answer, ConfirmedEvent):
        # A picture alone would show what nobody has confirmed to belong to this event.
        away = isinstance(answer, SpeckleUnavailable)
        missing = {*outcomes, *_compared_later(delivery), *_checked_later(delivery)} if away else ()
        return AddedFacts(
            delivery,
            missing=frozenset(missing),
            steps=steps,
            refused=is_refusal(answer),
            unconfirmed=isinstance(answer, SpeckleUnconfirmed),
        )
    if LateAddition.PICTURE in outcomes:
        steps.append(_picture_step(image))
    missing = _compared_later(answer.delivery, answer.facts) | _checked_later(answer.delivery)
    if image is NoPicture.NOT_YET or isinstance(image, SpeckleUnavailable):
        missing.add(LateAddition.PICTURE)
    if lacks_count(answer.facts):
        missing.add(LateAddition.OBJECT_COUNT)
    return AddedFacts(
        delivery=answer.delivery,
        facts=answer.facts,
        image=image if isinstance(image, Picture | str) else None,
        missing=frozenset(missing),
        steps=steps,
    )


def _compared_later(delivery: Delivery, facts: Facts | None = None) -> set[LateAddition]:
    """Whether a version is compared once its card is out: the first one of its model is not."""
    if not isinstance(delivery.event, VersionCreated):
        return set()
    if isinstance(facts, VersionFacts) and facts.compared_with is None and not facts.overtaken:
        return set()
    return {LateAddition.CHANGES}


def _checked_later(delivery: Delivery) -> set[LateAddition]:
    """Whether automations may run on what is new."""
    return {LateAddition.CHECKS} if isinstance(delivery.event, VersionCreated) else set()


def lacks_count(facts: Facts | None) -> bool:
    """Whether a version's objects are still to be counted."""
    return isinstance(facts, VersionFacts) and facts.count_is_late


def is_refusal(answer: object) -> bool:
    """Whether an answer may mean that its reader has lost the right to see the project.

    A scope that is missing for one kind of question says nothing about the project.
    """
    if isinstance(answer, SpeckleScopeMissing):
        return answer.scope == TokenScope.STREAMS_READ
    return isinstance(answer, SpeckleTokenRefused | SpeckleForbidden)


def _facts_step(facts: object) -> tuple[TraceStep, TraceFacts]:
    match facts:
        case SpeckleUnavailable():
            return TraceStep.FACTS_LATE, {"reason": facts.reason}
        case SpeckleError():
            return TraceStep.FACTS_MISSING, why_missing(facts)
        case None:
            return TraceStep.NO_FACTS, {}
        case _:
            return TraceStep.FACTS_ADDED, {}


def _picture_step(image: object) -> tuple[TraceStep, TraceFacts]:
    match image:
        case NoPicture.NOT_YET:
            return TraceStep.PICTURE_NOT_YET, {}
        case NoPicture.BLANK:
            return TraceStep.PICTURE_BLANK, {}
        case NoPicture():
            return TraceStep.NO_PICTURE, {}
        case SpeckleUnavailable():
            return TraceStep.PICTURE_LATE, {"reason": image.reason}
        case SpeckleError():
            return TraceStep.PICTURE_MISSING, why_missing(image)
        case _:
            return TraceStep.PICTURE_ADDED, {}


def why_missing(error: SpeckleError) -> TraceFacts:
    """Why there is no answer, as a line of an event's trace keeps it."""
    match error:
        case SpeckleTokenRefused():
            return {"missing": MissingWhy.TOKEN_REFUSED}
        case SpeckleScopeMissing():
            return {"missing": MissingWhy.SCOPE_MISSING, "scope": error.scope}
        case SpeckleForbidden():
            return {"missing": MissingWhy.FORBIDDEN}
        case SpeckleNotFound():
            return {"missing": MissingWhy.NOT_FOUND}
        case SpeckleUnconfirmed():
            return {"missing": MissingWhy.UNCONFIRMED}
        case SpeckleRejected():
            return {"missing": MissingWhy.UNREADABLE, "reason": error.reason}
        case _:
            return {"missing": MissingWhy.OTHER, "reason": error.reason}
