"""The head of each channel's queue: when something is to be done there, and for which cards."""

from collections.abc import Mapping
from datetime import datetime
from functools import cache

from sqlalchemy import bindparam, case, exists, func, or_, select, update

from bot.db.looks import NOW
from bot.db.session import Insert, NewInsert, Session
from bot.db.tables import IS_WAITING, channel_queues, outbox, subscriptions
from bot.model import SENDING_PAUSES, PauseReason, SubscriptionState

# Where Discord refuses for a while, cards are tried again automatically: nobody has to resume.
IS_RUNNING = or_(
    subscriptions.c.state == SubscriptionState.ACTIVE,
    subscriptions.c.pause_reason == PauseReason.SILENCED,
)
# Cards written before another pause wait for its end. But where the project was deleted, the last
# one says just that, and so goes out.
MAY_BE_SENT = or_(IS_RUNNING, subscriptions.c.pause_reason == PauseReason.PROJECT_DELETED)
HELD_BY_CHANNEL = subscriptions.c.pause_reason.in_(SENDING_PAUSES)

# What each message needs is built once: that takes longer than to carry it out.
MORE = exists().where(
    outbox.c.channel_id == channel_queues.c.channel_id,
    IS_WAITING,
    outbox.c.subscription_id == subscriptions.c.id,
    MAY_BE_SENT,
)
LEFT = channel_queues.c.suspects - bindparam("settled")
HEAD_SETTLED = (
    update(channel_queues)
    .where(channel_queues.c.channel_id == bindparam("channel"))
    .values(
        due_at=case((MORE, NOW), else_=None),
        attempts=0,
        first_failed_at=None,
        last_error=bindparam("error"),
    )
    .returning(channel_queues.c.due_at)
)
SETTLED = HEAD_SETTLED.values(suspects=case((LEFT > 0, LEFT), else_=0))
SUSPECTED = HEAD_SETTLED.values(suspects=bindparam("suspected"))


def make_due(
    session: Session,
    guild_of: Mapping[int, int],
    now: datetime,
    *,
    at_once: bool = False,
) -> None:
    """Make these channels due; one that waits to try again keeps waiting, unless `at_once`.

    `guild_of` maps channel ids to guild ids.
    """
    if not guild_of:
        return
    # Sorted, so that two transactions never wait for each other's rows.
    rows = [
        {"channel_id": channel_id, "guild_id": guild_of[channel_id], "due_at": now}
        for channel_id in sorted(guild_of)
    ]
    session.execute(_make_due(session.insert, at_once=at_once), rows)


@cache
def _make_due(insert: NewInsert, *, at_once: bool) -> Insert:
    new = insert(channel_queues)
    due_at = new.excluded.due_at
    change = (
        {"due_at": due_at, "attempts": 0, "first_failed_at": None, "last_error": None}
        if at_once
        else {"due_at": func.coalesce(channel_queues.c.due_at, due_at)}
    )
    return new.values(attempts=0).on_conflict_do_update(
        index_elements=[channel_queues.c.channel_id], set_=change
    )


def lock(session: Session, channel_id: int) -> None:
    """Keep others from changing the queue's state until the transaction ends.

    On SQLite nobody else writes until then.
    """
    if session.is_sqlite:
        return
    session.execute(
        select(channel_queues.c.channel_id)
        .where(channel_queues.c.channel_id == channel_id)
        .with_for_update()
    )


def head_settled(
    session: Session,
    channel_id: int,
    now: datetime,
    *,
    error: str | None = None,
    settled: int = 0,
    suspects: int | None = None,
) -> bool:
    """The head of the queue is out of the way: due at once if more waits, else not at all.

    `settled` cards are no longer suspects, unless so many `suspects` are found now. Says whether
    more waits.
    """
    values = {"channel": channel_id, "now": now, "error": error}
    if suspects is None:
        return session.scalar(SETTLED, values | {"settled": settled}) is not None
    return session.scalar(SUSPECTED, values | {"suspected": suspects}) is not None
