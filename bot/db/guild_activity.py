"""How a guild's channels are doing: what came last, what waits, how long cards took."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from bot.db.channel_queues import IS_RUNNING, MAY_BE_SENT
from bot.db.session import Session
from bot.db.tables import IS_NEW, IS_WAITING, held_events, hooks, inbox, outbox, subscriptions
from bot.lookups import CardDelay, ChannelWaiting, FollowingChannel, WaitsFor
from bot.model import HookKind, InboxSource, own_ordering_key, shared_ordering_key

MOST_DELAYS: Final = 2_000
AS_THEY_HAPPEN: Final = (InboxSource.WEBHOOK, InboxSource.OPERATOR, InboxSource.LIVE)


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
        """What waits in each of these channels, wherever it is on its way."""
        return [
            *self._new(channel_ids),
            *self._held(channel_ids),
            *self._cards(channel_ids),
        ]

    def _cards(self, channel_ids: Collection[int]) -> Iterator[ChannelWaiting]:
        """Cards, to be sent and for a pause to end."""
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
        for channel_id, may_be_sent, count, at in self._session.execute(statement):
            for_what = WaitsFor.DISCORD if may_be_sent else WaitsFor.RESUMING
            yield ChannelWaiting(channel_id, for_what, count, at)

    def _held(self, channel_ids: Collection[int]) -> Iterator[ChannelWaiting]:
        """Events whose cards are not made before it is known who may see them."""
        statement = (
            select(
                subscriptions.c.channel_id,
                IS_RUNNING.label("is_running"),
                func.count(),
                func.min(held_events.c.held_at),
            )
            .join(held_events, held_events.c.subscription_id == subscriptions.c.id)
            .where(subscriptions.c.channel_id.in_(channel_ids))
            .group_by(subscriptions.c.channel_id, "is_running")
        )
        for channel_id, is_running, count, at in self._session.execute(statement):
            for_what = WaitsFor.ACCESS if is_running else WaitsFor.RESUMING
            yield ChannelWaiting(channel_id, for_what, count, at)

    def _new(self, channel_ids: Collection[int]) -> Iterator[ChannelWaiting]:
        """Events that were received, and nobody has looked at yet."""
        following = (
            select(
                subscriptions.c.channel_id,
                hooks.c.id,
                hooks.c.kind,
                hooks.c.server_url,
                hooks.c.project_id,
            )
            .join(hooks, hooks.c.id == subscriptions.c.hook_id)
            .where(subscriptions.c.channel_id.in_(channel_ids), IS_RUNNING)
        )
        channels = {
            own_ordering_key(hook_id)
            if kind == HookKind.OWN
            else shared_ordering_key(server_url, project_id): channel_id
            for channel_id, hook_id, kind, server_url, project_id in self._session.execute(
                following
            )
        }
        statement = (
            select(inbox.c.lane, func.count(), func.min(inbox.c.received_at))
            .where(IS_NEW, inbox.c.lane.in_(channels))
            .group_by(inbox.c.lane)
        )
        for ordering_key, count, at in self._session.execute(statement):
            yield ChannelWaiting(channels[ordering_key], WaitsFor.BOT, count, at)

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
