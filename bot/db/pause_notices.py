"""Notices: who must still be notified that the bot paused what they set up, and why."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func, insert, or_, select, update

from bot.db.session import Session
from bot.db.tables import IS_WAITING, notices, outbox, subscriptions
from bot.model import SENDING_PAUSES, PauseNotice, PauseReason
from bot.work import new_nonce


class PauseNotices:
    """Gives out notices until each is settled: sent, or given up."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def due(self, limit: int) -> list[PauseNotice]:
        """Notices to send now, the longest due first."""
        statement = (
            select(notices)
            .where(notices.c.next_try_at <= self._now())
            .order_by(notices.c.next_try_at, notices.c.id)
            .limit(limit)
        )
        rows = self._session.execute(statement).mappings().all()
        return [PauseNotice(**row) for row in rows]

    def settle(self, *notice_ids: int) -> None:
        """Notices are sent, or given up: they never come again."""
        statement = update(notices).where(notices.c.id.in_(notice_ids)).values(next_try_at=None)
        self._session.execute(statement)

    def postpone(self, notice_id: int, until: datetime) -> None:
        """A try failed; the notice is due again at `until`, unless it was settled meanwhile."""
        pending = (notices.c.id == notice_id, notices.c.next_try_at.is_not(None))
        values = {"attempts": notices.c.attempts + 1, "next_try_at": until}
        self._session.execute(update(notices).where(*pending).values(values))

    def cards_kept(self, channel_id: int) -> int:
        """How many cards wait for a channel that Discord closed, and for nothing else."""
        reason = subscriptions.c.pause_reason
        held = or_(reason.is_(None), reason.in_(SENDING_PAUSES))
        statement = (
            select(func.count())
            .select_from(outbox.join(subscriptions))
            .where(outbox.c.channel_id == channel_id, IS_WAITING, held)
        )
        return (self._session.scalar(statement)) or 0


def write_notices(
    session: Session,
    channel_id: int,
    subscription_ids: Collection[int],
    reason: PauseReason,
    detail: str,
    now: datetime,
) -> None:
    """Leave one notice for each member who made some of these subscriptions of the channel."""
    makers = (
        select(subscriptions.c.guild_id, subscriptions.c.created_by)
        .where(subscriptions.c.id.in_(subscription_ids))
        .distinct()
        .order_by(subscriptions.c.guild_id, subscriptions.c.created_by)
    )
    rows = [
        {
            "guild_id": guild_id,
            "channel_id": channel_id,
            "user_id": user_id,
            "reason": reason,
            "detail": detail,
            "nonce": new_nonce(),
            "created_at": now,
            "attempts": 0,
            "next_try_at": now,
        }
        for guild_id, user_id in session.execute(makers)
    ]
    if rows:
        session.execute(insert(notices), rows)
