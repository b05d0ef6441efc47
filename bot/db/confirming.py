"""After a restored backup no account is used before its person says that it may be.

The copy may hold an account that was unlinked since, or an answer that was taken back.
"""

from datetime import datetime

from sqlalchemy import and_, func, select, update

from bot.db.held_events import make_held_due
from bot.db.session import Session
from bot.db.tables import accounts, subscriptions
from bot.model import PauseReason, PauseWhy, SubscriptionState

IS_UNCONFIRMED = accounts.c.unconfirmed_at.is_not(None)


def unconfirm_all(session: Session, now: datetime) -> int:
    """Let no account be used before it is confirmed, whatever it was seen to have access to.

    Gives how many are not confirmed now.
    """
    confirmed = update(accounts).where(accounts.c.unconfirmed_at.is_(None))
    session.execute(confirmed.values(unconfirmed_at=now))
    session.execute(update(subscriptions).values(access_ok_at=None))
    return count_unconfirmed(session)


def count_unconfirmed(session: Session) -> int:
    """How many accounts wait for their person to confirm them."""
    statement = select(func.count()).select_from(accounts).where(IS_UNCONFIRMED)
    return session.scalar(statement) or 0


def confirm(session: Session, account_id: int, now: datetime) -> bool:
    """Let an account be used again, and resume what stopped only for that; False if it could be."""
    this = and_(accounts.c.id == account_id, IS_UNCONFIRMED)
    result = session.execute(update(accounts).where(this).values(unconfirmed_at=None))
    waiting = and_(
        subscriptions.c.account_id == account_id,
        subscriptions.c.state == SubscriptionState.PAUSED,
        subscriptions.c.pause_reason == PauseReason.ACCESS_LOST,
        subscriptions.c.pause_detail == PauseWhy.UNCONFIRMED,
    )
    make_held_due(session, waiting, now)
    goes_on = {
        "state": SubscriptionState.ACTIVE,
        "pause_reason": None,
        "pause_detail": None,
        "updated_at": now,
    }
    session.execute(update(subscriptions).where(waiting).values(goes_on))
    return result.rowcount == 1
