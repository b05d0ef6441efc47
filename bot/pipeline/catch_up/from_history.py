"""What a webhook's history has and the inbox lacks.

A webhook's history, which the project's owner may read, holds each event that the webhook was to
bring, byte for byte, and what became of it. Taken in is what failed, or is stuck in the middle of a
try, and is not in the inbox. Three things make "is not in the inbox" a question:

- *Failed at Speckle is not the same as missing here.* If only our answer was lost, the event is in
  the inbox. Nothing on the wire names an event, so the body's digest has to tell.
- *Equal bodies can be two events*: a thread that is resolved, opened and resolved again. So bodies
  are counted: of one digest as many are missing as the history has beyond what the inbox has,
  and no more than failed. For a digest that the inbox does not have, each failed entry is missing,
  whatever else there is. For one that it has, the delivered entries are needed too; they come in
  the same answer, which is read as deep as the oldest failed entry and a little more, and rows
  of the inbox are counted from the same moment on. Delivered ones within a minute of each other
  count once, as the inbox kept them.
- *History and inbox are read at two moments.* A body that waits or is under way at Speckle, or that
  came into the inbox after the history was asked, may be the failed event or an equal one: its
  entries are left for the next look, minutes later, when that is settled.

A finished entry is remembered in the same transaction that took it in. So a kill at
any moment, a second process, or a look that is done twice change nothing.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

import structlog

from bot.cards.notes import CardNote, NoteKind
from bot.errors import NotADelivery
from bot.log import MOST_EVENTS
from bot.model import Hook
from bot.quota import DayQuota
from bot.services.token_lending import TokenLender
from bot.speckle.payloads import event_name_of, project_id_of, read_envelope
from bot.speckle_api.client import SpeckleClient
from bot.speckle_api.types import CallStatus, RecordedCall, WebhookHistory
from bot.storage import Storage
from bot.timing import Backoff
from bot.work import (
    DUPLICATE_WITHIN,
    CountingWindow,
    MissedEntry,
    TakenIn,
)

log = structlog.get_logger()

ASK_WITHIN_S = 30.0
STUCK_AFTER = timedelta(minutes=5)  # Speckle gives a webhook 10 s
# Without bodies: an entry is about 120 bytes.
LISTED = 500
LISTED_AT_MOST = 5_000
# In one transaction: webhooks wait for it, and on PostgreSQL each entry takes a lock.
PORTION_ENTRIES = 200
PORTION_BYTES = 4 * 1024 * 1024
# Clocks of two machines, and the time from the inbox's commit to Speckle's noting it.
APART = timedelta(minutes=10)
# What was looked at is looked at once more for so long, as a clock may be wrong by hours.
LOOK_BACK = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class CatchUpLimits:
    """How soon lists are looked at, and how much of a history is read at a time.

    With bodies, which can be 2 MB each, it is read in steps, as Speckle's list has no pages.
    """

    soonest_s: float = 2.0  # between two looks
    retry: Backoff = Backoff((60.0, 300.0, 900.0))  # for what could not be done; then hourly
    writable_poll_s: float = 2.0
    pace_s: float = 0.2  # between two hooks: a server takes some 200 questions a minute
    first_step: int = 25
    bodies_at_once_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Read:
    """The part of a history that was read, with bodies: `missed` are the oldest first."""

    missed: Sequence[MissedEntry]
    foreign: Sequence[str]
    window: CountingWindow
    unsettled: frozenset[str]
    unread: int


class HistoryCatchUp:
    """Takes in what failed at Speckle, out of the history of a webhook."""

    def __init__(
        self,
        storage: Storage,
        client: SpeckleClient,
        lender: TokenLender,
        *,
        on_stored: Callable[[], None],
        max_body_bytes: int,
        look_back: timedelta,
        now: Callable[[], datetime],
        quota: Callable[[int], DayQuota | None],
        limits: CatchUpLimits,
    ) -> None:
        self._quota = quota
        self._limits = limits
        self._storage = storage
        self._client = client
        self._lender = lender
        self._on_stored = on_stored
        self._max_body_bytes = max_body_bytes
        self._look_back = look_back
        self._now = now

    async def take(self, hook: Hook, account_id: int, webhook_id: str) -> bool:
        """Take in what is missing; False if some of it is not settled.

        Errors:
            SpeckleError: the history cannot be read; SpeckleForbidden, SpeckleScopeMissing and
                SpeckleNotFound where that account may not read it.
            StorageUnavailable: the database does not answer.
        """

        async def ask(limit: int, *, bodies: bool) -> WebhookHistory:
            return await self._lender.as_account(
                account_id,
                lambda login: self._client.history(
                    login,
                    hook.project_id,
                    webhook_id,
                    limit,
                    bodies=bodies,
                    within_s=ASK_WITHIN_S,
                ),
            )

        at = self._now()
        listed = await self._listed(hook, ask)
        horizon = at - self._look_back
        if hook.caught_up_at is not None:
            horizon = max(horizon, hook.caught_up_at - LOOK_BACK)
        dealt_with = await self._storage.read(lambda tx: tx.missed_events.handled(hook.id))

        def is_missed(call: RecordedCall) -> bool:
            wanted = call.at >= horizon and call.id not in dealt_with
            return wanted and _did_not_get_through(call, at)

        missed = [call for call in listed.calls if is_missed(call)]
        settled = True
        if missed:
            short = _too_short(hook, listed)
            since = min(call.at for call in missed) - APART
            wanted = {call.id for call in listed.calls if call.at >= since}
            read = await self._read(hook, ask, wanted, since, is_missed, at)
            settled = await self._take_in(hook, read, short)
        if settled:
            await self._storage.write(
                lambda tx: tx.missed_events.note_look(
                    hook.id, at, {call.id for call in listed.calls}
                )
            )
        return settled

    async def _listed(
        self, hook: Hook, ask: Callable[..., Awaitable[WebhookHistory]]
    ) -> WebhookHistory:
        """All entries since the last check, unless there are too many."""
        listed: WebhookHistory = await ask(LISTED, bodies=False)
        if listed.total > len(listed.calls) and _all_newer(listed, _known_until(hook)):
            return await ask(LISTED_AT_MOST, bodies=False)
        return listed

    async def _read(
        self,
        hook: Hook,
        ask: Callable[..., Awaitable[WebhookHistory]],
        wanted: Collection[str],
        since: datetime,
        is_missed: Callable[[RecordedCall], bool],
        at: datetime,
    ) -> _Read:
        """Read these entries with bodies, in steps, within the memory limit."""
        following: int | None = min(len(wanted), self._limits.first_step)
        while following is not None:
            limit, last_id = (
                following,
                await self._storage.read(lambda tx: tx.missed_events.last_id()),
            )
            history: WebhookHistory = await ask(limit, bodies=True)
            unreached = len(set(wanted).difference(call.id for call in history.calls))
            following = _next_step(limit, history, unreached, self._limits.bodies_at_once_bytes)
        window = CountingWindow({}, since, last_id)
        read = await asyncio.to_thread(
            _examined, history.calls, window, is_missed, self._is_of(hook), at
        )
        return replace(read, unread=min(unreached, history.total - len(history.calls)))

    def _is_of(self, hook: Hook) -> Callable[[bytes], bool]:
        """Whether a body is a delivery of the project that the hook is pinned to."""

        def is_of(body: bytes) -> bool:
            if len(body) > self._max_body_bytes:
                return False
            try:
                envelope = read_envelope(body)
                event_name_of(envelope)
                return project_id_of(envelope) == hook.project_id
            except NotADelivery:
                return False

        return is_of

    async def _take_in(self, hook: Hook, read: _Read, short: CardNote | None) -> bool:
        """Put into the inbox what is missing; False if some is not settled, or has no room."""
        if read.foreign:
            log.warning("catch_up.foreign_events", hook_id=hook.id, count=len(read.foreign))
            await self._storage.write(lambda tx: tx.missed_events.skip(hook.id, read.foreign))
        if read.unread:
            short = CardNote(NoteKind.HISTORY_TOO_LARGE, str(read.unread))
        if short is not None:
            log.warning("catch_up.history_incomplete", hook_id=hook.id, why=short.kind.value)
            await self._storage.write(lambda tx: tx.missed_events.note_gap(hook.id))
        clear = [entry for entry in read.missed if entry.digest not in read.unsettled]
        total = TakenIn(unclear=len(read.missed) - len(clear))
        for portion in _portions(clear):
            note = None if short is None or total.rows else short.to_stored()
            done = await self._take_portion(hook, portion, read.window, note)
            total = TakenIn(
                total.rows + done.rows,
                total.there + done.there,
                total.unclear + done.unclear,
                done.full,
            )
            if done.rows:
                self._on_stored()
            if done.full:
                break
        log.info(
            "catch_up.history",
            hook_id=hook.id,
            taken=len(total.rows),
            events=total.rows[:MOST_EVENTS],
            there_already=total.there,
            unclear=total.unclear,
            full=total.full,
        )
        return not total.unclear and not total.full

    async def _take_portion(
        self, hook: Hook, portion: Sequence[MissedEntry], window: CountingWindow, note: str | None
    ) -> TakenIn:
        quota = self._quota(hook.guild_id)
        return await self._storage.write(
            lambda tx: tx.missed_events.add_from_history(hook.id, portion, window, note, quota)
        )


def _did_not_get_through(call: RecordedCall, now: datetime) -> bool:
    stuck = call.status is CallStatus.CALLING and call.at < now - STUCK_AFTER
    return stuck or call.status is CallStatus.FAILED


def _known_until(hook: Hook) -> datetime | None:
    return hook.caught_up_at or hook.last_event_at


def _all_newer(listed: WebhookHistory, moment: datetime | None) -> bool:
    return moment is None or all(call.at > moment for call in listed.calls)


def _too_short(hook: Hook, listed: WebhookHistory) -> CardNote | None:
    """What to say where the history may begin only after what was missed; None if it does not."""
    oldest = min(call.at for call in listed.calls)
    if listed.total > len(listed.calls):
        cut = _all_newer(listed, _known_until(hook))
    else:
        # It is whole, so it begins with the webhook: is that younger than the last event here?
        had, looked = hook.last_event_at, hook.caught_up_at
        newer = had is not None and oldest - APART > had
        cut = newer and (looked is None or had is None or looked < had)
    if not cut:
        return None
    return CardNote.at(NoteKind.HISTORY_TOO_SHORT, oldest)


def _next_step(limit: int, history: WebhookHistory, unreached: int, most_bytes: int) -> int | None:
    """How many entries to ask for next; None if that was all, or more would be too much.

    New entries push the old ones down, so what is left is counted again each time.
    """
    got = len(history.calls)
    if not unreached or got < limit:
        return None
    a_body = max(1, sum(len(call.body or b"") for call in history.calls) // got)
    following = min(got + unreached, 4 * limit, most_bytes // a_body)
    return following if following > limit else None


def _examined(
    calls: Sequence[RecordedCall],
    window: CountingWindow,
    is_missed: Callable[[RecordedCall], bool],
    is_ours: Callable[[bytes], bool],
    at: datetime,
) -> _Read:
    """Sort out what was read; hashing and parsing megabytes, so not in the event loop."""
    digests = {call.id: sha256(call.body or b"").hexdigest() for call in calls}
    missed, foreign = [], []
    # Newest first; within a millisecond, the list's own order says which was later.
    oldest_first = calls[::-1]
    for call in sorted(oldest_first, key=lambda call: call.at):
        if is_missed(call) and call.body is not None:
            if is_ours(call.body):
                missed.append(MissedEntry(call.id, call.at, digests[call.id], call.body))
            else:
                foreign.append(call.id)
    unsettled = {digests[call.id] for call in calls if _is_unsettled(call, at)}
    recorded = _recorded(calls, digests, window.since, at)
    return _Read(missed, foreign, replace(window, recorded=recorded), frozenset(unsettled), 0)


def _is_unsettled(call: RecordedCall, now: datetime) -> bool:
    under_way = call.status is CallStatus.CALLING and not _did_not_get_through(call, now)
    return under_way or call.status is CallStatus.QUEUED


def _recorded(
    calls: Sequence[RecordedCall], digests: Mapping[str, str], since: datetime, now: datetime
) -> Mapping[str, int]:
    """How many events of each body the history has, as the inbox would have kept them."""
    recorded: Counter[str] = Counter()
    last: dict[str, datetime] = {}
    for call in sorted(calls, key=lambda call: call.at):
        digest = digests[call.id]
        if call.at < since or _is_unsettled(call, now):
            continue
        if call.status is CallStatus.DELIVERED:
            before = last.get(digest)
            if before is not None and call.at - before < DUPLICATE_WITHIN:
                continue
            last[digest] = call.at
        recorded[digest] += 1
    return recorded


def _portions(missed: Sequence[MissedEntry]) -> Iterator[Sequence[MissedEntry]]:
    """The entries in order, so few at a time that a webhook does not wait long for them."""
    some: list[MissedEntry] = []
    size = 0
    for entry in missed:
        if some and (len(some) == PORTION_ENTRIES or size + len(entry.body) > PORTION_BYTES):
            yield some
            some, size = [], 0
        some.append(entry)
        size += len(entry.body)
    if some:
        yield some
