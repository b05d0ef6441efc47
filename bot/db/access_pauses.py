"""Writes down that subscriptions stop because of who may see their project."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, delete, exists, update

from bot.audit import AuditAction
from bot.db.audit_log import record_subscriptions
from bot.db.channel_queues import IS_RUNNING, lock
from bot.db.pause_notices import write_notices
from bot.db.session import Session
from bot.db.subscription_states import paused
from bot.db.tables import (
    IS_WAITING,
    channel_queues,
    held_events,
    hooks,
    inbox,
    late_enrichment_jobs,
    outbox,
    project_names,
    subscriptions,
)
from bot.model import RIGHTS_PAUSES, AccessPause, InboxSource, PauseReason


def pause_rights(
    session: Session,
    which: ColumnElement[bool],
    pause: AccessPause,
    now: datetime,
    *,
    audited: bool = False,
) -> list[int]:
    """Pause these subscriptions, with notices to those who made them; the ids of those it paused.

    Their cards are taken back: they say what somebody could see who may not any more. Those that
    are paused already stay as they are. `audited`: the caller has written into the audit log what
    paused them, in one row for all.
    """
    assert pause.reason in RIGHTS_PAUSES, "other pauses keep cards, not events"  # noqa: S101
    why = "" if pause.why is None else pause.why.value
    change = (
        update(subscriptions)
        .where(which, IS_RUNNING)
        .values(paused(pause.reason, why, now))
        .returning(subscriptions.c.id, subscriptions.c.channel_id)
    )
    if pause.reason is PauseReason.ACCESS_LOST:
        forget_access(session, which)
    by_channel: defaultdict[int, list[int]] = defaultdict(list)
    for subscription_id, channel_id in session.execute(change):
        by_channel[channel_id].append(subscription_id)
    stopped = sorted(chain.from_iterable(by_channel.values()))
    if not audited:
        record_subscriptions(session, AuditAction.PAUSED, stopped, reason=pause.reason, why=why)
    for channel_id, ids in sorted(by_channel.items()):
        lock(session, channel_id)
        hold_back_cards(session, ids, now, now)
        _look_for_batch(session, channel_id, ids, now)
        write_notices(session, channel_id, ids, pause.reason, why, now)
    return stopped


def forget_access(session: Session, which: ColumnElement[bool]) -> None:
    """Forget what the accounts of these subscriptions could see of their projects."""
    seen = update(subscriptions).where(which).values(access_ok_at=None)
    session.execute(seen)
    of_these = exists().where(
        which,
        subscriptions.c.account_id == project_names.c.account_id,
        hooks.c.id == subscriptions.c.hook_id,
        hooks.c.project_id == project_names.c.project_id,
    )
    session.execute(delete(project_names).where(of_these))


def hold(session: Session, until: Mapping[tuple[int, int], datetime], now: datetime) -> None:
    """Hold events back, by subscription and row of the inbox, until these times at least."""
    rows = [
        {
            "subscription_id": subscription_id,
            "inbox_id": inbox_id,
            "held_at": now,
            "attempts": 0,
            "next_try_at": until[subscription_id, inbox_id],
        }
        for subscription_id, inbox_id in sorted(until)
    ]
    if rows:
        session.execute(session.insert(held_events).on_conflict_do_nothing(), rows)


def hold_back_cards(
    session: Session,
    subscription_ids: Collection[int],
    until: datetime,
    now: datetime,
) -> int:
    """Turn these subscriptions' waiting cards back into events that are held; gives how many.

    Cards of an open batch stay, as their message may be out. The caller has locked the channel.
    Samples that /test made are not kept for later.
    """
    of_these = outbox.c.subscription_id.in_(subscription_ids)
    waiting = (of_these, IS_WAITING, outbox.c.batch_id.is_(None), outbox.c.inbox_id.is_not(None))
    is_sample = exists().where(inbox.c.id == outbox.c.inbox_id, inbox.c.source == InboxSource.TEST)
    session.execute(delete(outbox).where(*waiting, is_sample))
    taken = delete(outbox).where(*waiting)
    columns = (outbox.c.subscription_id, outbox.c.inbox_id)
    rows = session.execute(taken.returning(*columns))
    held = {(row.subscription_id, row.inbox_id): until for row in rows}
    if not held:
        return 0
    hold(session, held, now)
    card = exists().where(
        outbox.c.subscription_id == late_enrichment_jobs.c.subscription_id,
        outbox.c.inbox_id == late_enrichment_jobs.c.inbox_id,
    )
    pointless = (late_enrichment_jobs.c.subscription_id.in_(subscription_ids), ~card)
    session.execute(delete(late_enrichment_jobs).where(*pointless))
    return len(held)


def _look_for_batch(
    session: Session, channel_id: int, subscription_ids: Collection[int], now: datetime
) -> None:
    """Make the channel due if cards of these travel in its open batch: its message is looked for.

    Until then nobody knows whether they are out.
    """
    travels = exists().where(
        outbox.c.channel_id == channel_id,
        outbox.c.subscription_id.in_(subscription_ids),
        outbox.c.batch_id.is_not(None),
        IS_WAITING,
    )
    this = channel_queues.c.channel_id == channel_id
    session.execute(update(channel_queues).where(this, travels).values(due_at=now))
