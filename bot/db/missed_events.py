"""What Speckle's own lists know and the inbox lacks: taken in once, however often it is read."""

import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from hashlib import sha256
from itertools import takewhile
from typing import Any

from sqlalchemy import and_, delete, exists, func, or_, select, update

from bot.db.day_use import counting_for, lock_names, write_counting
from bot.db.event_pairs import (
    BY_LIST,
    follower,
    kinds_had,
    listed_before,
    partners_of,
    portions,
)
from bot.db.inbox import insert_events, lock_texts
from bot.db.key_values import KeyValues
from bot.db.listening import move_on
from bot.db.remembered_projects import RememberedProjects
from bot.db.session import Session
from bot.db.tables import IS_NEW, history_taken, hooks, inbox, subscriptions
from bot.model import (
    KEEPING_PAUSES,
    Hook,
    HookKind,
    HookState,
    HookTrouble,
    InboxSource,
    Subscription,
    SubscriptionState,
    own_ordering_key,
)
from bot.quota import DayQuota
from bot.trace import CATCH_UP_STAGE, NOTE_FACT, TraceFacts, TraceLine, TraceStep
from bot.work import (
    LISTENED_AGAIN,
    CountingWindow,
    FetchedEvent,
    InboxState,
    MissedEntry,
    SeenProject,
    TakenIn,
)

MILLISECOND = timedelta(milliseconds=1)
NO_FACTS: TraceFacts = {}
GAPS_KEY = "catch_up.gaps"  # JSON: when gaps were found, by the id of the hook


class MissedEvents:
    """Puts into the inbox what is missing there, each in one transaction."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def hook_ids(self) -> list[int]:
        """The hooks that may have missed something which somebody can be asked for, oldest first.

        That is who made its webhook or, once it is live and there was an event, who follows it with
        an answer. Not where the project is gone.
        """
        answered = exists().where(
            subscriptions.c.hook_id == hooks.c.id,
            or_(subscriptions.c.account_id.is_not(None), subscriptions.c.consent.is_not(None)),
        )
        statement = select(hooks.c.id).where(
            hooks.c.state != HookState.CLOSED,
            hooks.c.trouble.is_distinct_from(HookTrouble.PROJECT_GONE),
            or_(
                and_(hooks.c.webhook_sealed.is_not(None), hooks.c.account_id.is_not(None)),
                and_(
                    hooks.c.last_event_at.is_not(None),
                    hooks.c.live_at.is_not(None),
                    ~hooks.c.listens,
                    answered,
                ),
            ),
        )
        return [*self._session.scalars(statement.order_by(hooks.c.id))]

    def last_id(self) -> int:
        """The id of the last row of the inbox, 0 if it is empty."""
        return self._session.scalar(select(func.max(inbox.c.id))) or 0

    def handled(self, hook_id: int) -> frozenset[str]:
        """The entries of a hook's history that were taken in, or found to be there."""
        statement = select(history_taken.c.call_id).where(history_taken.c.hook_id == hook_id)
        return frozenset(self._session.scalars(statement))

    def skip(self, hook_id: int, call_ids: Sequence[str]) -> None:
        """Deal with entries that are no deliveries of the hook's project: they never come in."""
        self._note(hook_id, call_ids)

    def add_from_history(
        self,
        hook_id: int,
        missed: Sequence[MissedEntry],
        window: CountingWindow,
        note: str | None = None,
        quota: DayQuota | None = None,
    ) -> TakenIn:
        """Put into the inbox those entries, in order, that are not there.

        The first one that the quota has no room for ends it. Of a body that is missing k times, the
        first k entries are taken. An entry whose body has come in since the history was asked is
        left for the next time: whether it is that very event or another, only a later look into
        the history says. `note` goes to the first row.
        """
        digests = sorted({entry.digest for entry in missed})
        if not self._session.is_sqlite:
            lock_texts(self._session, lock_names([quota]).union(digests))
        hook = self._session.execute(_hook(hook_id)).one_or_none()
        if hook is None:
            return TakenIn()
        ordering_key = own_ordering_key(hook_id)
        there, since_then = _rows(self._session, ordering_key, digests, window)
        already = _already(self._session, hook_id, [entry.call_id for entry in missed])
        counting = counting_for(self._session, [quota])
        sorted_out = _sorted_out(
            [entry for entry in missed if entry.call_id not in already],
            there,
            since_then,
            window,
            has_room=lambda entry: counting.take(quota, hook_id, len(entry.body)),
        )
        rows = [
            self._fetched_row(hook_id, hook, entry, None if index else note)
            for index, entry in enumerate(sorted_out.missing)
        ]
        ids = insert_events(self._session, rows)
        dealt_with = [*sorted_out.missing, *sorted_out.found]
        self._note(hook_id, [entry.call_id for entry in dealt_with])
        write_counting(self._session, counting)
        found, unclear = len(sorted_out.found), sorted_out.unclear
        return TakenIn(tuple(ids), found, unclear, sorted_out.full)

    def _fetched_row(
        self, hook_id: int, hook: Any, entry: MissedEntry, note: str | None
    ) -> dict[str, Any]:
        return self._row(
            hook_id=hook_id,
            lane=own_ordering_key(hook_id),
            project_id=hook.project_id,
            server_url=hook.server_url,
            digest=entry.digest,
            body=entry.body,
            source=InboxSource.HISTORY,
            happened_at=entry.at,
            trace=self._trace(TraceStep.FROM_HISTORY, _noted(note)),
            event_key=None,
        )

    def note_look(self, hook_id: int, at: datetime, visible: Collection[str] | None = None) -> None:
        """Note when a list was last looked at to the end; entries not in it are forgotten."""
        self._session.execute(update(hooks).where(hooks.c.id == hook_id).values(caught_up_at=at))
        if visible is None:
            return
        mine = history_taken.c.hook_id == hook_id
        there = set(self._session.scalars(select(history_taken.c.call_id).where(mine)))
        for gone in portions(there.difference(visible)):
            these = history_taken.c.call_id.in_(gone)
            self._session.execute(delete(history_taken).where(mine, these))

    def note_gap(self, hook_id: int) -> None:
        """Note that a list may begin only after something that was missed, as it was now seen."""
        found = {**self._gaps(), hook_id: self._session.now()}
        text = json.dumps({str(hook): at.isoformat() for hook, at in found.items()})
        KeyValues(self._session).set(GAPS_KEY, text)

    def hooks_with_gaps(self) -> Sequence[int]:
        """The hooks whose lists began too late when they were last looked at."""
        return [*self._gaps()]

    def _gaps(self) -> Mapping[int, datetime]:
        """When they were found, by hook; the next look that is done to its end settles it."""
        stored = json.loads(KeyValues(self._session).get(GAPS_KEY) or "{}")
        found = {int(hook_id): datetime.fromisoformat(at) for hook_id, at in stored.items()}
        if not found:
            return {}
        looked = select(hooks.c.id, hooks.c.caught_up_at).where(hooks.c.id.in_(found))
        return {
            hook_id: found[hook_id]
            for hook_id, at in self._session.execute(looked)
            if at is None or at <= found[hook_id]
        }

    def add_from_lists(
        self,
        hook: Hook,
        subscription: Subscription,
        fetched: Sequence[FetchedEvent],
        note: str | None = None,
        quota: DayQuota | None = None,
        *,
        live: bool = False,
        heard: TraceFacts = NO_FACTS,
        live_until: datetime | None = None,
        seen: SeenProject | None = None,
    ) -> TakenIn | None:
        """Put what a project's lists tell into the inbox, in order, for one subscription.

        What came by a webhook already is kept without a body, as the webhook's partner. Only kinds
        that the ordering key has had before: what its webhook is not set to send was not missed;
        but all kinds of what is `live`, which then is read until `live_until`, and `heard` says in
        the traces what led to that; what was `seen` is remembered once what differs was told. None
        while a webhook's events of the ordering key wait to be looked at, as nobody knows yet what
        those are, where something else was seen meanwhile, and where a member has paused what is
        live.
        """
        ordering_key = hook.ordering_key
        if not self._session.is_sqlite:
            lock_texts(self._session, lock_names([quota]) | {ordering_key})
        there = self._session.execute(follower(hook.id, subscription.id)).one_or_none()
        if there is None:
            return TakenIn()
        if live:
            # A member may have paused it since it was decided to read, and resumed it.
            if there.state is SubscriptionState.PAUSED and there.pause_reason not in KEEPING_PAUSES:
                return None
            fetched = _from(there.listened_until, fetched)
        before = seen is None or self._is_as_before(hook.id, subscription.id, seen)
        if self._waits_for_a_look(ordering_key) or not before:
            return None
        wanted = fetched if live else self._of_kinds_had(ordering_key, fetched)
        listed = self._not_listed_before(ordering_key, subscription.id, wanted)
        changes = () if seen is None else seen.changes
        new = [*listed, *(one for one, _ in changes)]
        partners = partners_of(self._session, subscription, ordering_key, new)
        counting = counting_for(self._session, [quota])
        room = _room_for(
            new, lambda one: one in partners or counting.take(quota, hook.id, len(one.body))
        )
        source = InboxSource.LIVE if live else InboxSource.ACTIVITY
        of_list = partial(_listed_row, hook, subscription, source)
        pairs = [(one, of_list(one, partners.get(one))) for one in room]
        rows, full = self._listed_rows(pairs, note, heard), len(room) < len(new)
        ids = insert_events(self._session, rows)
        if rows:
            self._has_list_rows(subscription, new[len(rows) - 1].at)
        if live_until is not None:
            self._listened(subscription.id, live_until, listed[len(rows) :])
        if seen is not None:
            self._remember(subscription.id, seen, len(rows) - len(listed), full=full)
        taken = [row_id for row_id, one in zip(ids, new, strict=False) if one not in partners]
        write_counting(self._session, counting)
        return TakenIn(tuple(taken), len(fetched) + len(changes) - len(taken), full=full)

    def _listed_rows(
        self,
        pairs: Sequence[tuple[FetchedEvent, dict[str, Any]]],
        note: str | None,
        heard: TraceFacts,
    ) -> list[dict[str, Any]]:
        """The rows of some events; `note` goes to the first one that is to be shown."""
        rows: list[dict[str, Any]] = []
        for one, row in pairs:
            if row["same_as"] is not None:
                rows.append(self._known(row))
            else:
                rows.append(self._missed(row, one, note, heard))
                note = None
        return rows

    def _is_as_before(self, hook_id: int, subscription_id: int, seen: SeenProject) -> bool:
        """Whether nobody looked meanwhile, and no webhook has taken over."""
        listens = self._session.scalar(select(hooks.c.listens).where(hooks.c.id == hook_id))
        remembered = RememberedProjects(self._session).of(subscription_id)
        return bool(listens) and seen.before == remembered

    def _remember(self, subscription_id: int, seen: SeenProject, told: int, *, full: bool) -> None:
        """What was seen, or as much of it as was told."""
        state = seen.after
        if full:
            if told <= 0:
                return
            state = seen.changes[told - 1][1]()
        RememberedProjects(self._session).keep(subscription_id, state, seen.at)

    def _not_listed_before(
        self, ordering_key: str, subscription_id: int, fetched: Sequence[FetchedEvent]
    ) -> Sequence[FetchedEvent]:
        """Those that are new to the subscription, once each."""
        there = listed_before(self._session, ordering_key, subscription_id, fetched)
        new = {(one.event_key, one.at): one for one in fetched if one not in there}
        return list(new.values())

    def _waits_for_a_look(self, ordering_key: str) -> bool:
        """Whether there are events of a webhook of which nobody knows yet what they are."""
        unread = and_(IS_NEW, inbox.c.lane == ordering_key, ~BY_LIST)
        return self._session.scalar(select(inbox.c.id).where(unread).limit(1)) is not None

    def _listened(self, subscription_id: int, until: datetime, cut: Sequence[FetchedEvent]) -> None:
        """Note until when what is live was read: up to the first that there was no room for.

        By the server's clock, which says nothing of when something else was noticed.
        """
        until = min(until, cut[0].at - MILLISECOND) if cut else until
        move_on(self._session, subscriptions.c.id == subscription_id, until)

    def _of_kinds_had(
        self, ordering_key: str, fetched: Sequence[FetchedEvent]
    ) -> Sequence[FetchedEvent]:
        names = kinds_had(self._session, ordering_key, {one.event_name for one in fetched})
        return [one for one in fetched if one.event_name in names]

    def _has_list_rows(self, subscription: Subscription, at: datetime) -> None:
        """Note it in the same transaction: who deals with a webhook's events asks by that."""
        first = and_(subscriptions.c.id == subscription.id, subscriptions.c.caught_up_at.is_(None))
        self._session.execute(update(subscriptions).where(first).values(caught_up_at=at))

    def readers(self, subscription_ids: Collection[int], at: datetime) -> None:
        """Note until when the activity list was read for subscriptions, or is not to be."""
        these = subscriptions.c.id.in_(subscription_ids)
        self._session.execute(update(subscriptions).where(these).values(caught_up_at=at))

    def _note(self, hook_id: int, call_ids: Sequence[str]) -> None:
        if not call_ids or self._session.execute(_hook(hook_id)).one_or_none() is None:
            return
        statement = self._session.insert(history_taken).on_conflict_do_nothing()
        values = [{"hook_id": hook_id, "call_id": call_id} for call_id in sorted(set(call_ids))]
        self._session.execute(statement, values)

    def _missed(
        self, row: dict[str, Any], one: FetchedEvent, note: str | None, heard: TraceFacts
    ) -> dict[str, Any]:
        live = row["source"] is InboxSource.LIVE
        step = TraceStep.HEARD if live else TraceStep.FROM_ACTIVITY
        trace = self._trace(step, {**heard, **_noted(note or one.note)})
        return self._row(**row, body=one.body, finished_at=None, trace=trace)

    def _known(self, row: dict[str, Any]) -> dict[str, Any]:
        trace = self._trace(TraceStep.IN_ACTIVITY_TOO, {"inbox_id": row["same_as"]})
        done = {"body": None, "finished_at": self._now(), "trace": trace}
        return self._row(**row, **done, state=InboxState.DONE)

    def _row(self, **values: Any) -> dict[str, Any]:
        return {"received_at": self._now(), "state": InboxState.NEW} | values

    def _trace(self, step: TraceStep, facts: TraceFacts) -> list[list[Any]]:
        return [TraceLine(self._now(), CATCH_UP_STAGE, step, facts).to_json()]


def _room_for(
    events: Sequence[FetchedEvent], has_room: Callable[[FetchedEvent], bool]
) -> Sequence[FetchedEvent]:
    """Those before the first one that there is no room for."""
    return list(takewhile(has_room, events))


def _noted(note: str | None) -> TraceFacts:
    """What the card of an event is to say too, as its trace keeps it."""
    return {} if note is None else {NOTE_FACT: note}


@dataclass(frozen=True, slots=True)
class _SortedOut:
    """What a history's entries are: missing here, found here, or for a later look to say.

    `full` says that the quota had no room for the entry behind these.
    """

    missing: Sequence[MissedEntry]
    found: Sequence[MissedEntry]
    unclear: int
    full: bool


def _sorted_out(
    entries: Sequence[MissedEntry],
    there: Counter[str],
    since_then: Collection[str],
    window: CountingWindow,
    *,
    has_room: Callable[[MissedEntry], bool],
) -> _SortedOut:
    """Which entries are missing; each one that is counts as being there for those behind it."""
    missing: list[MissedEntry] = []
    found: list[MissedEntry] = []
    unclear = 0
    for entry in entries:
        if entry.digest in since_then:
            unclear += 1
        elif window.recorded.get(entry.digest, 0) <= there[entry.digest]:
            found.append(entry)
        elif has_room(entry):
            there[entry.digest] += 1
            missing.append(entry)
        else:
            return _SortedOut(missing, found, unclear, full=True)
    return _SortedOut(missing, found, unclear, full=False)


def _from(until: datetime | None, fetched: Sequence[FetchedEvent]) -> Sequence[FetchedEvent]:
    """Those from the time on that a live subscription is to be read from by now."""
    if until is None:
        return fetched
    return [one for one in fetched if one.at >= until - LISTENED_AGAIN]


def _listed_row(
    hook: Hook,
    subscription: Subscription,
    source: InboxSource,
    one: FetchedEvent,
    partner: int | None,
) -> dict[str, Any]:
    """What a row of the inbox has of an activity list's event, however it came before."""
    return {
        "hook_id": hook.id if hook.kind is HookKind.OWN else None,
        "lane": hook.ordering_key,
        "project_id": hook.project_id,
        "server_url": hook.server_url,
        "digest": sha256(one.body).hexdigest(),
        "source": source,
        "happened_at": one.at,
        "event_key": one.event_key,
        "event_name": one.event_name,
        "subject": one.subject,
        "subscription_id": subscription.id,
        "same_as": partner,
    }


def _hook(hook_id: int) -> Any:
    """The hook, kept from being removed until the commit; its events may come in meanwhile."""
    return (
        select(hooks.c.project_id, hooks.c.server_url)
        .where(
            hooks.c.id == hook_id,
            hooks.c.kind == HookKind.OWN,
            hooks.c.state != HookState.CLOSED,
        )
        .with_for_update(key_share=True)
    )


def _rows(
    session: Session, ordering_key: str, digests: Sequence[str], window: CountingWindow
) -> tuple[Counter[str], set[str]]:
    """How often each body is in the inbox; the bodies that came in after the history was asked.

    What was taken in from the history counts whenever that was: it is recorded there.
    """
    statement = select(inbox.c.digest, inbox.c.id, inbox.c.source).where(
        inbox.c.received_at >= window.since,
        inbox.c.digest.in_(digests),
        inbox.c.lane == ordering_key,
    )
    there: Counter[str] = Counter()
    since_then: set[str] = set()
    for digest, row_id, source in session.execute(statement):
        if row_id <= window.last_id or source == InboxSource.HISTORY:
            there[digest] += 1
        else:
            since_then.add(digest)
    return there, since_then


def _already(session: Session, hook_id: int, call_ids: Sequence[str]) -> set[str]:
    statement = select(history_taken.c.call_id).where(
        history_taken.c.hook_id == hook_id, history_taken.c.call_id.in_(call_ids)
    )
    return set(session.scalars(statement))
