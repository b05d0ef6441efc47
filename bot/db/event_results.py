"""Writes what events led to: cards, what is asked for later, what is held back."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, exists, false, func, or_, select, update

from bot.audit import AuditAction
from bot.db.access_pauses import hold, pause_rights
from bot.db.audit_log import record_subscriptions
from bot.db.card_pictures import write_pictures
from bot.db.channel_queues import lock, make_due
from bot.db.hook_results import write_hook_results
from bot.db.late_jobs import jobs_for_versions, put_jobs
from bot.db.session import Session
from bot.db.subscription_states import paused
from bot.db.tables import held_events, outbox, subscriptions
from bot.model import RIGHTS_PAUSES, AccessPause, SubscriptionState
from bot.work import EventResult, NewCard, OutboxState, SubscriptionResult


def write_event_results(
    session: Session, results: Sequence[EventResult], now: datetime
) -> list[int]:
    """Write what events led to, in their order, in the transaction of `session`.

    Gives the ids of the new cards, in order.
    """
    write_hook_results(session, [one for result in results for one in result.of_hooks], now)
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
