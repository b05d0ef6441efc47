"""What cards lacked when they went out: asked for again, and filled into them.

Who may see it is decided again each time: access may have been lost since the card was made.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial

import structlog

from bot.errors import NotADelivery, SpeckleError, SpeckleUnavailable, StorageUnavailable
from bot.fairness import current_tenant
from bot.log import about_events
from bot.model import HookState, Subscription
from bot.pipeline.access import AccessCheck
from bot.pipeline.enrichment.asking import Enrichment
from bot.pipeline.enrichment.late_answers import Addition, GivenUp, IncompleteCard, LateAnswers
from bot.pipeline.enrichment.outcomes import why_missing
from bot.pipeline.keyed_worker import KeyedWorker
from bot.pipeline.reading import read
from bot.pipeline.subjects import changes_shown
from bot.services.known_names import KnownNames
from bot.speckle.events import EventKind
from bot.speckle.subscription_options import wanted_kinds
from bot.storage import Storage, Transaction
from bot.trace import MissingWhy, TraceFacts, TraceLine, TraceStep
from bot.work import LateAddition, LateEnrichmentJob, LateEnrichmentKey, RungVersion

log = structlog.get_logger()

KEYS_AT_ONCE = 8  # one server gets up to half of them
JOBS_AT_ONCE = 4  # of one guild at one server
MOST_RUNG = 500  # versions of one server; further ones are asked about at their time


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
        self._answers = LateAnswers(storage, enrichment, access, known_names, now)
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
                addition = await self._answers.of(incomplete)
            if addition is None:
                await self._retry_later(job)
            else:
                await self._fill(incomplete, addition)
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

    async def _fill(self, incomplete: IncompleteCard, addition: Addition) -> None:
        job, again_at = incomplete.job, incomplete.again_at
        after_s = (self._now() - job.created_at).total_seconds()
        note = self._note(job, TraceStep.FILLED_IN, {"added": job.kind, "after_s": round(after_s)})
        changed = await self._storage.write(
            lambda tx: tx.late_enrichment.fill(
                job,
                addition.change,
                note,
                addition.subject,
                again_at=again_at if addition.unfinished else None,
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
        again_at = self._next_try(job)
        return IncompleteCard(job, again_at, row, hook, subscription, delivery, shown_until)

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


def _ask_about_checks(rung: Collection[RungVersion], tx: Transaction) -> None:
    tx.late_enrichment.ask_now(LateAddition.CHECKS, rung)
