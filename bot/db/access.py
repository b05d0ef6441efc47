"""Writes down what was seen of the access that subscriptions hang on."""

from collections import defaultdict
from datetime import datetime
from itertools import chain

from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.notices import write_notices
from bot.db.rows import AccessSeen, PauseReason, SubscriptionState
from bot.db.tables import hooks, subscriptions


async def write_access(
    connection: AsyncConnection, hook_id: int, seen: AccessSeen, now: datetime
) -> None:
    """Write it in the transaction of `connection`; whoever lost access is told, once."""
    of_hook = subscriptions.c.hook_id == hook_id
    if seen.good:
        good = and_(of_hook, subscriptions.c.account_id.in_(seen.good))
        await connection.execute(update(subscriptions).where(good).values(access_ok_at=now))
    if seen.visibility is not None:
        this = hooks.c.id == hook_id
        await connection.execute(update(hooks).where(this).values(visibility=seen.visibility))
    for account_id, why in seen.lost.items():
        hanging = and_(of_hook, subscriptions.c.account_id == account_id)
        await pause_lost(connection, hanging, why, now)


async def pause_lost(
    connection: AsyncConnection, hanging: ColumnElement[bool], why: str, now: datetime
) -> list[int]:
    """Pause these subscriptions for lost access, with notices to those who made them; their ids."""
    pause = (
        update(subscriptions)
        .where(hanging, subscriptions.c.state == SubscriptionState.ACTIVE)
        .values(
            state=SubscriptionState.PAUSED,
            pause_reason=PauseReason.ACCESS_LOST,
            pause_detail=why,
            updated_at=now,
        )
        .returning(subscriptions.c.id, subscriptions.c.channel_id)
    )
    by_channel: defaultdict[int, list[int]] = defaultdict(list)
    for subscription_id, channel_id in await connection.execute(pause):
        by_channel[channel_id].append(subscription_id)
    for channel_id, ids in sorted(by_channel.items()):
        await write_notices(connection, channel_id, ids, PauseReason.ACCESS_LOST, why, now)
    return sorted(chain.from_iterable(by_channel.values()))
