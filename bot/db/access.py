"""Writes down that subscriptions stop because of who may see their project."""

from collections import defaultdict
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.notices import write_notices
from bot.db.queues import GOES_ON
from bot.db.rows import RIGHTS_PAUSES, Paused, SubscriptionState
from bot.db.tables import subscriptions


async def pause_rights(
    connection: AsyncConnection, which: ColumnElement[bool], paused: Paused, now: datetime
) -> list[int]:
    """Pause these subscriptions, with notices to those who made them; the ids of those it paused.

    Those that are paused already stay as they are.
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
    for subscription_id, channel_id in await connection.execute(pause):
        by_channel[channel_id].append(subscription_id)
    for channel_id, ids in sorted(by_channel.items()):
        await write_notices(connection, channel_id, ids, paused.reason, why, now)
    return sorted(chain.from_iterable(by_channel.values()))
