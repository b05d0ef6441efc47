"""Writes down that subscriptions stop because of who may see their project."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, delete, exists, update

from bot.db.channel_queues import GOES_ON, lock
from bot.db.pause_notices import write_notices
from bot.db.session import Session
from bot.db.tables import (
    IS_WAITING,
    channel_queues,
    held_events,
    late_enrichment_jobs,
    outbox,
    subscriptions,
)
from bot.model import RIGHTS_PAUSES, AccessPause, SubscriptionState


def pause_rights(
    session: Session,
    which: ColumnElement[bool],
    paused: AccessPause,
    now: datetime,
) -> list[int]:
    """Pause these subscriptions, with notices to those who made them; the ids of those it paused.

    Their cards are taken back: they say what somebody could see who may not any more. Those that
    are paused already stay as they are.
    """
    assert paused.reason in RIGHTS_PAUSES, "other pauses keep cards, not events"  # noqa: S101
    why = "" if paused.why is None else paused.why.value
    pause = (
        update(subscriptions)
        .where(which, GOES_ON)
        .values(
            state=SubscriptionState.PAUSED,
            pause_reason=paused.reason,
            pause_detail=why,
            updated_at=now,
        )
        .returning(subscriptions.c.id, subscriptions.c.channel_id)
    )
    by_channel: defaultdict[int, list[int]] = defaultdict(list)
    for subscription_id, channel_id in session.execute(pause):
        by_channel[channel_id].append(subscription_id)
    for channel_id, ids in sorted(by_channel.items()):
        lock(session, channel_id)
        hold_back_cards(session, ids, now, now)
        _look_for_batch(session, channel_id, ids, now)
        write_notices(session, channel_id, ids, paused.reason, why, now)
    return sorted(chain.from_iterable(by_channel.values()))


def hold_back_cards(
    session: Session,
    subscription_ids: Collection[int],
    until: datetime,
    now: datetime,
) -> int:
    """Turn these subscriptions' waiting cards back into events that are held; gives how many.

    Cards of an open batch stay, as their message may be out. The caller has locked the channel.
    """
    of_these = outbox.c.subscription_id.in_(subscription_ids)
    waiting = (of_these, IS_WAITING, outbox.c.batch_id.is_(None), outbox.c.inbox_id.is_not(None))
    taken = delete(outbox).where(*waiting)
    columns = (outbox.c.subscription_id, outbox.c.inbox_id)
    rows = [
        {
            "subscription_id": subscription_id,
            "inbox_id": inbox_id,
            "held_at": now,
            "attempts": 0,
            "next_try_at": until,
        }
        for subscription_id, inbox_id in session.execute(taken.returning(*columns))
    ]
    if not rows:
        return 0
    session.execute(session.insert(held_events).on_conflict_do_nothing(), rows)
    card = exists().where(
        outbox.c.subscription_id == late_enrichment_jobs.c.subscription_id,
        outbox.c.inbox_id == late_enrichment_jobs.c.inbox_id,
    )
    pointless = (late_enrichment_jobs.c.subscription_id.in_(subscription_ids), ~card)
    session.execute(delete(late_enrichment_jobs).where(*pointless))
    return len(rows)


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
