"""How a guild's channels are doing: what came last, what waits, how long cards took."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from bot.db.channel_queues import MAY_BE_SENT
from bot.db.session import Session
from bot.db.tables import IS_WAITING, hooks, inbox, outbox, subscriptions
from bot.lookups import CardDelay, ChannelWaiting, FollowingChannel
from bot.model import InboxSource

MOST_DELAYS: Final = 2_000
AS_THEY_HAPPEN: Final = (InboxSource.WEBHOOK, InboxSource.OPERATOR)


class GuildActivity:
    """Reads figures and times, and no name."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def channels(self, guild_id: int) -> Sequence[FollowingChannel]:
        """The channels that follow a project, each with its server and last event."""
        statement = (
            select(subscriptions.c.channel_id, hooks.c.server_url, subscriptions.c.last_event_at)
            .join(hooks, hooks.c.id == subscriptions.c.hook_id)
            .where(subscriptions.c.guild_id == guild_id)
        )
        return [FollowingChannel(*row) for row in self._session.execute(statement)]

    def waiting(self, channel_ids: Collection[int]) -> Sequence[ChannelWaiting]:
        """How many cards wait in each of these channels, to be sent and for a pause to end."""
        statement = (
            select(
                outbox.c.channel_id,
                MAY_BE_SENT.label("may_be_sent"),
                func.count(),
                func.min(outbox.c.created_at),
            )
            .join(subscriptions, subscriptions.c.id == outbox.c.subscription_id)
            .where(outbox.c.channel_id.in_(channel_ids), IS_WAITING)
            .group_by(outbox.c.channel_id, "may_be_sent")
        )
        rows = self._session.execute(statement)
        return [ChannelWaiting(place, bool(may), count, at) for place, may, count, at in rows]

    def delays(self, guild_id: int, since: datetime) -> Sequence[CardDelay]:
        """How long the newest cards since then took, of events that were heard as they happened."""
        statement = (
            select(outbox.c.channel_id, inbox.c.received_at, outbox.c.sent_at)
            .join(inbox, inbox.c.id == outbox.c.inbox_id)
            .where(
                outbox.c.sent_at >= since,
                outbox.c.guild_id == guild_id,
                inbox.c.source.in_(AS_THEY_HAPPEN),
            )
            .order_by(outbox.c.sent_at.desc())
            .limit(MOST_DELAYS)
        )
        rows = self._session.execute(statement)
        return [CardDelay(place, (sent - came).total_seconds()) for place, came, sent in rows]
