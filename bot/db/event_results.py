"""Writes what events led to: cards, pictures, what the hook learned, what is held back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import (
    Table,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.audit import AuditAction
from bot.cards.card import Picture
from bot.db.access_pauses import hold, pause_rights
from bot.db.audit_log import record_subscriptions
from bot.db.channel_queues import lock, make_due
from bot.db.column_types import CleanText, UtcDateTime
from bot.db.hooks import write_visibility
from bot.db.session import Insert, NewInsert, Session
from bot.db.subscription_states import paused
from bot.db.tables import (
    SHOWS_VERSION,
    held_events,
    hooks,
    late_enrichment_jobs,
    models,
    outbox,
    outbox_pictures,
    people,
    pictures,
    subscriptions,
    threads,
)
from bot.model import ENDED_BY_EVENT, RIGHTS_PAUSES, AccessPause, HookState, SubscriptionState
from bot.work import (
    EventResult,
    HookResult,
    LateAddition,
    NameChanges,
    NewCard,
    OutboxState,
    SubscriptionResult,
)

# So that a picture of every card is not written for every card; well below retention's hour.
PICTURE_RENEWED_AFTER = timedelta(minutes=30)
MOST_THREADS = 5_000  # of a hook, those that were heard of last


def write_event_results(
    session: Session, results: Sequence[EventResult], now: datetime
) -> list[int]:
    """Write what events led to, in their order, in the transaction of `session`.

    Gives the ids of the new cards, in order.
    """
    of_hooks = [one for result in results for one in result.of_hooks]
    _note_hooks(session, [one for one in of_hooks if one.by_webhook], now)
    own = [one for one in of_hooks if one.by_webhook]
    _write_names(session, models, [(one.hook_id, one.models) for one in own])
    _write_names(session, people, [(one.hook_id, one.people) for one in own])
    _write_threads(session, own, now)
    _note_visibility(session, of_hooks, now)
    routed = [
        _Result(result.inbox_id, one.at, each)
        for result in results
        for one in result.of_hooks
        for each in one.results
    ]
    return _write(session, routed, now)


def write_subscription_result(
    session: Session, inbox_id: int, result: SubscriptionResult, at: datetime, now: datetime
) -> list[int]:
    """Write what a held event of the time `at` leads to by now; ids of the new cards."""
    return _write(session, [_Result(inbox_id, at, result)], now, replaying=True)


# What each event needs is built once: that takes longer than to carry it out.
IS_PAUSED = func.coalesce(subscriptions.c.pause_reason.in_(RIGHTS_PAUSES), false())
HOLDS = held_events.c.subscription_id == subscriptions.c.id
THESE = subscriptions.c.id.in_(bindparam("ids", expanding=True))
LOCK_THERE = (
    select(subscriptions.c.id)
    .where(THESE)
    .order_by(subscriptions.c.id)
    .with_for_update(read=True, key_share=True)
)
THERE = select(subscriptions.c.id, or_(IS_PAUSED, exists().where(HOLDS))).where(THESE)
HOLDS_EARLIER = and_(HOLDS, held_events.c.inbox_id < bindparam("inbox_id"))
THERE_BEFORE = select(subscriptions.c.id, or_(IS_PAUSED, exists().where(HOLDS_EARLIER))).where(
    THESE
)
IS_WAITING_FOR_FIRST = hooks.c.state == HookState.WAITING
NOTE_HOOK = (
    update(hooks)
    .where(hooks.c.id == bindparam("hook_id"))
    .values(
        last_event_at=bindparam("at"),
        project_name=func.coalesce(bindparam("name", type_=CleanText()), hooks.c.project_name),
        state=case((IS_WAITING_FOR_FIRST, HookState.LIVE), else_=hooks.c.state),
        live_at=case(
            (IS_WAITING_FOR_FIRST, bindparam("now", type_=UtcDateTime())), else_=hooks.c.live_at
        ),
        # Not in_(): that cannot be carried out for several rows at once.
        trouble=case(
            (or_(*(hooks.c.trouble == one for one in ENDED_BY_EVENT)), None),
            else_=hooks.c.trouble,
        ),
    )
)
TOUCH = (
    update(subscriptions)
    .where(subscriptions.c.id == bindparam("shown_id"))
    .values(last_event_at=bindparam("shown_at"))
)


@dataclass(frozen=True, slots=True)
class _Result:
    """What an event of the time `at` leads to in one subscription."""

    inbox_id: int
    at: datetime
    result: SubscriptionResult

    @property
    def subscription_id(self) -> int:
        return self.result.subscription_id

    @property
    def card(self) -> NewCard | None:
        return self.result.card


def _write(
    session: Session, routed: Sequence[_Result], now: datetime, *, replaying: bool = False
) -> list[int]:
    """Write it; a subscription that still holds earlier events, or was paused for a right since
    this was decided, holds this one too: otherwise it would come before those.

    `replaying` says that it is one event, which its subscription holds.
    """
    if not routed:
        return []
    # Locked first: otherwise cards that are taken back meanwhile would come behind these.
    there = _lock_subscriptions(session, routed, replaying=replaying)
    routed = [one for one in routed if one.subscription_id in there]
    _lock_channels(session, routed)
    held, shown = _divided(routed, {id_ for id_, behind in there.items() if behind}, now)
    hold(session, held, now)
    ids = _write_cards(session, shown, now)
    asked = [one for one in routed if one.card is None and one.result.late]
    if asked:
        _insert_late_enrichment_jobs(session, asked, now)
    _note_access(session, routed, now)
    pauses = {one.subscription_id: one.result.pause for one in reversed(routed)}
    for subscription_id, pause in pauses.items():
        if pause is not None:
            _pause(session, subscription_id, pause, now)
    return ids


def _lock_subscriptions(
    session: Session, routed: Sequence[_Result], *, replaying: bool
) -> Mapping[int, bool]:
    """Those subscriptions that have not been removed since they were read, kept until the end.

    Each with whether it has to be shown something else first.
    """
    values: dict[str, Any] = {"ids": sorted({one.subscription_id for one in routed})}
    if not session.is_sqlite:
        # Asked separately: together with a lock the answer would be from before the wait.
        session.execute(LOCK_THERE, values)
    if replaying:  # earlier ones may have been taken back while this was decided
        found = session.execute(THERE_BEFORE, values | {"inbox_id": routed[0].inbox_id})
    else:
        found = session.execute(THERE, values)
    return {id_: bool(behind) for id_, behind in found}


def _divided(
    routed: Sequence[_Result], behind: Collection[int], now: datetime
) -> tuple[Mapping[tuple[int, int], datetime], Sequence[_Result]]:
    """What is held, by subscription and event, until when at least; and whose cards are written."""
    waits = set(behind)
    held: dict[tuple[int, int], datetime] = {}
    shown: list[_Result] = []
    for one in routed:
        until = one.result.held_until
        if until is None and one.card is not None and one.subscription_id in waits:
            if one.result.sample:
                continue
            until = now
        if until is not None:
            held[one.subscription_id, one.inbox_id] = until
            waits.add(one.subscription_id)
        elif one.card is not None:
            shown.append(one)
    return held, shown


def _write_cards(session: Session, shown: Sequence[_Result], now: datetime) -> list[int]:
    if not shown:
        return []
    ids = _insert_cards(session, shown, now)
    cards = [one.card for one in shown if one.card is not None]
    pictured = [(row_id, card.pictures) for row_id, card in zip(ids, cards, strict=True)]
    write_pictures(session, pictured, now)
    _note_last_event(session, shown)
    make_due(session, {card.channel_id: card.guild_id for card in cards}, now)
    _insert_late_enrichment_jobs(session, shown, now)
    return ids


def _lock_channels(session: Session, routed: Sequence[_Result]) -> None:
    """Lock the queues of all channels that lose or get cards, where any loses some.

    In one go and sorted, so that two transactions never wait for each other.
    """
    pausing = {one.subscription_id for one in routed if one.result.pause is not None}
    if not pausing:
        return
    losing = select(subscriptions.c.channel_id).where(subscriptions.c.id.in_(pausing))
    getting = {one.card.channel_id for one in routed if one.card is not None}
    for channel_id in sorted(getting.union(session.scalars(losing))):
        lock(session, channel_id)


def _note_hooks(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    """What the hooks' own webhooks said of them, the last word of each."""
    last = {one.hook_id: one for one in results}
    names = {one.hook_id: one.project_name for one in results if one.project_name is not None}
    rows = [
        {
            "hook_id": hook_id,
            "at": last[hook_id].at,
            "name": names.get(hook_id),
            "now": now,
        }
        for hook_id in sorted(last)
    ]
    if rows:
        session.execute(NOTE_HOOK, rows)


def _note_visibility(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    found = {one.hook_id: one.visibility for one in results if one.visibility is not None}
    for hook_id, visibility in sorted(found.items()):
        write_visibility(session, hook_id, visibility, now)


def _write_names(
    session: Session, table: Table, changes: Sequence[tuple[int, NameChanges]]
) -> None:
    """Write what models or people are called, by hook and id; what was said last counts."""
    hook_column, id_column, _ = table.c
    named: dict[tuple[int, str], str] = {}
    forgotten: dict[tuple[int, str], None] = {}
    for hook_id, change in changes:
        for id_ in change.forgotten:
            named.pop((hook_id, id_), None)
            forgotten[hook_id, id_] = None
        named |= {(hook_id, id_): name for id_, name in change.kept.items()}
    for hook_id, id_ in forgotten:
        session.execute(delete(table).where(hook_column == hook_id, id_column == id_))
    if not named:
        return
    rows = [
        {hook_column.name: hook_id, id_column.name: id_, "name": name}
        for (hook_id, id_), name in named.items()
    ]
    session.execute(_put_names(session.insert, table), rows)


@cache
def _put_names(insert: NewInsert, table: Table) -> Insert:
    hook_column, id_column, name_column = table.c
    statement = insert(table)
    return statement.on_conflict_do_update(
        index_elements=[hook_column, id_column],
        set_={name_column.name: statement.excluded.name},
    )


def _write_threads(session: Session, results: Sequence[HookResult], now: datetime) -> None:
    """Keep the threads that were seen; a thread's first line is what came first."""
    seen = {(one.hook_id, id_): thread for one in results for id_, thread in one.threads.items()}
    if not seen:
        return
    rows = [
        {
            "hook_id": hook_id,
            "thread_id": thread_id,
            "first_line": thread.first_line,
            "resources": [asdict(one) for one in thread.resources],
            "seen_at": now,
        }
        for (hook_id, thread_id), thread in seen.items()
    ]
    statement = session.insert(threads).on_conflict_do_update(
        index_elements=[threads.c.hook_id, threads.c.thread_id], set_={"seen_at": now}
    )
    session.execute(statement, rows)
    for hook_id in sorted({hook_id for hook_id, _ in seen}):
        newest_first = (
            select(threads.c.thread_id)
            .where(threads.c.hook_id == hook_id)
            .order_by(threads.c.seen_at.desc(), threads.c.thread_id)
        )
        over = threads.c.thread_id.in_(newest_first.offset(MOST_THREADS))
        session.execute(delete(threads).where(threads.c.hook_id == hook_id, over))


def _insert_cards(session: Session, shown: Sequence[_Result], now: datetime) -> list[int]:
    rows = [
        {
            "inbox_id": one.inbox_id,
            "subscription_id": card.subscription_id,
            "guild_id": card.guild_id,
            "channel_id": card.channel_id,
            "card": dict(card.card),
            "state": OutboxState.WAITING,
            "created_at": card.made_at or now,
            "picture_bytes": sum(len(picture.content) for picture in card.pictures),
            "subject": one.result.subject,
            "version_id": card.version_id,
        }
        for one in shown
        if (card := one.card) is not None
    ]
    return session.insert_in_order(outbox, rows)


def _insert_late_enrichment_jobs(session: Session, shown: Sequence[_Result], now: datetime) -> None:
    rows = [
        {
            "inbox_id": one.inbox_id,
            "subscription_id": one.subscription_id,
            "kind": kind,
            "created_at": (one.card and one.card.made_at) or now,
            "next_try_at": next_try_at,
        }
        for one in shown
        for kind, next_try_at in one.result.late.items()
    ]
    rows += jobs_for_versions(
        session,
        [(one.inbox_id, one.subscription_id, one.result.on_versions) for one in shown],
        now,
    )
    put_jobs(session, rows)


def put_jobs(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write jobs; one that is there already is due when its row says."""
    if rows:
        session.execute(_put_jobs(session.insert), rows)


@cache
def _put_jobs(insert: NewInsert) -> Insert:
    new = insert(late_enrichment_jobs)
    return new.on_conflict_do_update(
        index_elements=[
            late_enrichment_jobs.c.inbox_id,
            late_enrichment_jobs.c.subscription_id,
            late_enrichment_jobs.c.kind,
        ],
        set_={"next_try_at": new.excluded.next_try_at},
    )


def jobs_for_versions(
    session: Session, events: Sequence[tuple[int, int, Collection[str]]], now: datetime
) -> list[dict[str, Any]]:
    """The jobs that have cards of versions name what is on those, an event and a subscription each.

    There are none where no card shows such a version.
    """
    wanted = {version_id for _, _, versions in events for version_id in versions}
    if not wanted:
        return []
    statement = select(outbox.c.subscription_id, outbox.c.version_id).where(
        SHOWS_VERSION,
        outbox.c.version_id.in_(wanted),
        outbox.c.subscription_id.in_({subscription_id for _, subscription_id, _ in events}),
    )
    there = {tuple(row) for row in session.execute(statement)}
    return [
        {
            "inbox_id": inbox_id,
            "subscription_id": subscription_id,
            "kind": LateAddition.OPENED,
            "created_at": now,
            "next_try_at": now,
        }
        for inbox_id, subscription_id, versions in events
        if any((subscription_id, version_id) in there for version_id in versions)
    ]


def write_pictures(
    session: Session,
    cards: Sequence[tuple[int, Sequence[Picture]]],
    now: datetime,
    *,
    first_position: int = 0,
) -> None:
    """Give cards, named by their ids, these pictures in this order, in the session's
    transaction.
    """
    renewed_before = now - PICTURE_RENEWED_AFTER
    contents: dict[str, dict[str, Any]] = {}
    names: list[dict[str, Any]] = []
    for outbox_id, shown in cards:
        for position, picture in enumerate(shown, first_position):
            digest = sha256(picture.content).hexdigest()
            contents[digest] = {
                "digest": digest,
                "media_type": picture.media_type,
                "content": picture.content,
                "created_at": now,
            }
            names.append(
                {
                    "outbox_id": outbox_id,
                    "name": picture.name,
                    "position": position,
                    "digest": digest,
                }
            )
    if not names:
        return
    rows = [contents[digest] | {"renewed_before": renewed_before} for digest in sorted(contents)]
    session.execute(_put_pictures(session.insert), rows)
    session.execute(insert(outbox_pictures), names)


@cache
def _put_pictures(insert: NewInsert) -> Insert:
    """One that is there already counts as new again, and on PostgreSQL is locked until the commit.

    Else retention could erase it, as nobody can see yet that a card names it.
    """
    new = insert(pictures)
    return new.on_conflict_do_update(
        index_elements=[pictures.c.digest],
        set_={"created_at": new.excluded.created_at},
        where=pictures.c.created_at < bindparam("renewed_before", type_=UtcDateTime()),
    )


def _note_last_event(session: Session, shown: Sequence[_Result]) -> None:
    """Note when each subscription was last shown something."""
    last = {one.subscription_id: one.at for one in shown if not one.result.sample}
    rows = [{"shown_id": id_, "shown_at": last[id_]} for id_ in sorted(last)]
    if rows:
        session.execute(TOUCH, rows)


def _note_access(session: Session, routed: Sequence[_Result], now: datetime) -> None:
    seen = {one.subscription_id for one in routed if one.result.access_ok}
    if seen:
        good = subscriptions.c.id.in_(seen)
        session.execute(update(subscriptions).where(good).values(access_ok_at=now))


def _pause(session: Session, subscription_id: int, pause: AccessPause, now: datetime) -> None:
    this = subscriptions.c.id == subscription_id
    if pause.reason in RIGHTS_PAUSES:
        pause_rights(session, this, pause, now)
        return
    stop = (
        update(subscriptions)
        .where(this, subscriptions.c.state == SubscriptionState.ACTIVE)
        .values(paused(pause.reason, None, now))
        .returning(subscriptions.c.id)
    )
    ids = session.scalars(stop)
    record_subscriptions(session, AuditAction.PAUSED, ids, reason=pause.reason)
