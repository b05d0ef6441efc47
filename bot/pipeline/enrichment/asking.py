"""What a webhook leaves out, asked of its Speckle server: facts, and the version's picture.

Nothing is asked without a permit, and all that an event depends on is taken from the answer.
"""

import asyncio
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from time import monotonic
from typing import assert_never

import structlog

from bot.cards.card import Picture
from bot.errors import SpeckleUnconfirmed
from bot.model import Hook
from bot.pipeline.enrichment.outcomes import (
    AddedFacts,
    ConfirmedEvent,
    added_facts,
    lacks_count,
    outcome_of,
)
from bot.pipeline.enrichment.timings import EnrichmentTimings
from bot.pipeline.event_pictures import EventPictures, may_name_picture
from bot.services.access_rules import ReadPermit
from bot.services.token_lending import TokenLender
from bot.single_flight import SingleFlightCache
from bot.speckle.checks import Checks
from bot.speckle.comparison import Comparison, NotCompared, WhyNotCompared
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
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.comparisons import Comparisons, VersionContent
from bot.speckle_api.object_counts import ObjectCounts
from bot.speckle_api.previews import NoPicture
from bot.speckle_api.types import Login
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
        return added_facts(delivery, {kind: outcome_of(task, hook) for kind, task in tasks.items()})

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
