"""What cards lacked when they went out: asked for again, and filled into them.

Who may see it is decided again each time: access may have been lost since the card was made.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from bot.cards.card import Card, Picture
from bot.cards.pictures import with_image
from bot.cards.render import RenderContext, fill_in
from bot.db.rows import (
    CardForm,
    FillIn,
    FillInJob,
    FillInLane,
    Hook,
    HookState,
    InboxRow,
    OutboxRow,
    Subscription,
    TraceLine,
)
from bot.errors import NotADelivery, SpeckleError, SpeckleUnavailable, StorageUnavailable
from bot.pipeline.access import AccessCheck
from bot.pipeline.batching import card_of, fit_together
from bot.pipeline.enrichment import Enrichment, why
from bot.pipeline.gate import is_outdated
from bot.pipeline.lanes import LaneRunner
from bot.pipeline.reading import read
from bot.pipeline.routing import context_of, names_of
from bot.rights.decide import Show, Wait
from bot.speckle.confirmation import touched_models
from bot.speckle.events import Delivery
from bot.speckle.filters import matches
from bot.speckle.previews import NoPicture
from bot.storage import Storage
from bot.turns import tenant

log = structlog.get_logger()

LANES_AT_ONCE = 8  # one server gets up to half of them
JOBS_AT_ONCE = 4  # of one guild at one server

NAMES = {FillIn.FACTS: "what Speckle adds", FillIn.PICTURE: "its picture"}
Change = Callable[[OutboxRow, Sequence[OutboxRow]], Card | None]

if TYPE_CHECKING:
    from bot.rights.passes import Pass


@dataclass(frozen=True, slots=True)
class Lacking:
    """A card of one subscription that lacks something, with the event that it shows."""

    row: InboxRow
    hook: Hook
    subscription: Subscription
    delivery: Delivery


class GivenUp(Exception):
    """What a card lacks never comes; the text says why, as the end of a sentence for people."""


class FillIns:
    """Does the jobs that cards left, a lane for each guild at each server.

    Servers take turns, so that a dead one delays no others, and guilds at one server do.

    `changed` is called when messages are to be edited.
    """

    def __init__(
        self,
        storage: Storage,
        enrichment: Enrichment,
        access: AccessCheck,
        *,
        changed: Callable[[], None],
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._enrichment = enrichment
        self._timings = enrichment.timings
        self._access = access
        self._changed = changed
        self._now = now
        self._lanes = LaneRunner[FillInLane, FillInLane](
            "fill_ins",
            at_once=LANES_AT_ONCE,
            find=self._due,
            due_in=self._due_in,
            lane_of=lambda lane: lane,
            tenant_of=lambda lane: lane.server_url,
            work=self._of_lane,
        )
        self.wake = self._lanes.wake
        self.run = self._lanes.run

    async def _due(self, limit: int, busy: Collection[FillInLane]) -> Sequence[FillInLane]:
        if not self._enrichment.is_on:
            return ()
        return await self._storage.read(lambda tx: tx.fill_ins.due_lanes(limit, busy))

    async def _due_in(self, busy: Collection[FillInLane]) -> float | None:
        return (
            await self._storage.read(lambda tx: tx.fill_ins.due_in(busy))
            if self._enrichment.is_on
            else None
        )

    async def _of_lane(self, lane: FillInLane) -> None:
        """Ask a server for what is due in a guild, several things side by side."""
        tenant.set(lane.guild_id)  # among those who ask the same server
        jobs = await self._storage.read(lambda tx: tx.fill_ins.due(lane, JOBS_AT_ONCE))
        done = await asyncio.gather(*map(self._one, jobs), return_exceptions=True)
        for error in done:
            if error is not None:
                raise error

    async def _one(self, job: FillInJob) -> None:
        lacking = await self._found(job)
        if lacking is None:
            await self._storage.write(lambda tx: tx.fill_ins.drop(job))
            return
        try:
            # The questions keep their time; this is for what is around them.
            async with asyncio.timeout(2 * self._timings.question_s):
                change = await self._answer(job, lacking)
            if change is None:
                await self._later(job, None)
            else:
                await self._fill(job, change)
        except StorageUnavailable:
            raise
        except (SpeckleUnavailable, TimeoutError) as error:
            await self._later(job, getattr(error, "retry_in_s", None))
        except SpeckleError as error:
            await self._give_up(job, why(error))
        except GivenUp as given_up:
            await self._give_up(job, str(given_up))
        except Exception:
            log.exception("fill_ins.failed", job_id=job.id, kind=job.kind)
            await self._later(job, None)

    async def _fill(self, job: FillInJob, change: Change) -> None:
        after_s = (self._now() - job.created_at).total_seconds()
        note = self._note(f"Filled in {NAMES[job.kind]} {after_s:.0f} s after the card was made.")
        changed = await self._storage.write(lambda tx: tx.fill_ins.fill(job, change, note))
        log.info("fill_ins.done", kind=job.kind, outbox_ids=changed)
        if changed:
            self._changed()

    async def _give_up(self, job: FillInJob, reason: str) -> None:
        log.info("fill_ins.given_up", job_id=job.id, kind=job.kind, reason=reason)
        note = self._note(f"The card stays without {NAMES[job.kind]}: {reason}.")
        await self._storage.write(lambda tx: tx.fill_ins.drop(job, note))

    def _note(self, text: str) -> TraceLine:
        return TraceLine(self._now(), "fill in", text)

    async def _found(self, job: FillInJob) -> Lacking | None:
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
        if not await self._storage.read(lambda tx: tx.fill_ins.has_cards(job)):
            return None
        try:
            delivery, _ = await read(row.body)
        except NotADelivery:  # its body has been erased
            return None
        return Lacking(row, hook, subscription, delivery)

    async def _answer(self, job: FillInJob, lacking: Lacking) -> Change | None:
        """What to do to the card; None where the answer is not there yet.

        Errors: SpeckleError of each kind; GivenUp.
        """
        leave = await self._leave(job, lacking)
        if leave is None:
            return None
        row, delivery = lacking.row, lacking.delivery
        told = await self._enrichment.told(leave, delivery, row.event_at, self._timings.question_s)
        if told is None:
            raise GivenUp("Speckle knew no more")
        hook_id = lacking.hook.id
        known = await self._storage.read(lambda tx: tx.hooks.model_names(hook_id))
        names = names_of(known, told.facts)
        if not _says_the_same(told.delivery, delivery):
            raise GivenUp("Speckle says otherwise than the event")
        touched = touched_models(told.facts)
        verdict = matches(lacking.subscription.options, told.delivery, names, touched)
        if not verdict.passes:
            raise GivenUp(f"as Speckle tells it, {verdict.why.rstrip('.')}")
        if job.kind is FillIn.PICTURE:
            image = await self._enrichment.image(
                leave, lacking.hook, delivery, row.event_at, self._timings.question_s
            )
            if image is NoPicture.NOT_YET:
                return None
            return partial(_changed, shown=None if isinstance(image, NoPicture) else image)
        context = context_of(lacking.hook, row, names, told.facts)
        return partial(_changed, shown=(told.delivery, context))

    async def _leave(self, job: FillInJob, lacking: Lacking) -> "Pass | None":
        """The pass to read with, decided now; None while somebody cannot be asked.

        Errors: GivenUp where the channel may not be shown more.
        """
        subscription = lacking.subscription
        if is_outdated(subscription, job.created_at, self._now()):
            raise GivenUp("nobody has agreed to showing more of the project since")
        decisions = await self._access.decide(lacking.hook, [subscription], lacking.row.source)
        match decisions[subscription.id]:
            case Show(leave) if leave is not None:
                return leave
            case Wait():
                return None
            case _:
                raise GivenUp("the channel may not be shown more of the project at the moment")

    async def _later(self, job: FillInJob, retry_in_s: float | None) -> None:
        patience = self._timings.of(job.kind)
        wait_s = max(patience.retry.delay_s(job.attempts), retry_in_s or 0.0)
        until = self._now() + timedelta(seconds=wait_s)
        if until - job.created_at > patience.most:
            await self._give_up(job, f"it did not come within {patience.most}")
        else:
            await self._storage.write(lambda tx: tx.fill_ins.postpone(job.id, until))


def _says_the_same(told: Delivery, came: Delivery) -> bool:
    """Whether Speckle names the models that the card, which is out already, shows."""
    pairs = zip(came.models, told.models, strict=False)
    return all(
        said.id in (None, true.id) and said.name in (None, true.name) for said, true in pairs
    )


Shown = Picture | str | tuple[Delivery, RenderContext] | None


def _changed(row: OutboxRow, company: Sequence[OutboxRow], *, shown: Shown) -> Card | None:
    """The card with what was missing; None where that changes nothing or has no room.

    A card that goes as plain text stays as it is: by its text its message is known again.
    """
    if shown is None or row.form is CardForm.PLAIN:
        return None
    old = card_of(row)
    new = fill_in(old, *shown) if isinstance(shown, tuple) else with_image(old, shown)
    if new == old:
        return None
    if not fit_together([new, *map(card_of, company)]):
        log.info("fill_ins.no_room", outbox_id=row.id)
        return None
    return new
