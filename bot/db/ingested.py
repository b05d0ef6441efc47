"""Writes what one event led to: cards, pictures, what the hook learned, channels made due."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import case, delete, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.cards.card import Picture
from bot.db.access import write_access
from bot.db.engine import Database
from bot.db.queues import make_due
from bot.db.rows import HookState, Ingested, NewOutbox, OutboxState, SubscriptionState
from bot.db.tables import (
    fill_ins,
    hooks,
    models,
    outbox,
    outbox_pictures,
    pictures,
    subscriptions,
)

# So that a picture of every card is not written for every card; well below retention's hour.
PICTURE_RENEWED_AFTER = timedelta(minutes=30)


async def write_ingested(
    database: Database,
    connection: AsyncConnection,
    inbox_id: int,
    ingested: Sequence[Ingested],
    now: datetime,
) -> list[int]:
    """Write it in the transaction of `connection`; gives the ids of the new cards, in order."""
    for one in ingested:
        await write_access(connection, one.hook_id, one.access, now)
        await _tell_hook(connection, one, now)
        await _name_models(database, connection, one)
    cards = await _still_wanted(connection, [card for one in ingested for card in one.outbox])
    ids: list[int] = []
    if cards:
        ids = await _insert_cards(database, connection, inbox_id, cards, now)
        shown = [(row_id, card.pictures) for row_id, card in zip(ids, cards, strict=True)]
        await write_pictures(database, connection, shown, now)
        await _touch(connection, cards, max(one.at for one in ingested))
        guild_of = {card.channel_id: card.guild_id for card in cards}
        await make_due(database, connection, guild_of, now)
        await _insert_fill_ins(connection, inbox_id, ingested, cards, now)
    for one in ingested:
        if one.pause is not None:
            await _pause(connection, one, now)
    return ids


async def _tell_hook(connection: AsyncConnection, one: Ingested, now: datetime) -> None:
    other = hooks.alias()
    taken = exists().where(
        other.c.id != hooks.c.id,
        other.c.guild_id == hooks.c.guild_id,
        other.c.project_id == hooks.c.project_id,
        other.c.server_url == one.server_url,
    )
    waiting = hooks.c.state == HookState.WAITING
    await connection.execute(
        update(hooks)
        .where(hooks.c.id == one.hook_id)
        .values(
            last_event_at=one.at,
            project_name=func.coalesce(one.project_name, hooks.c.project_name),
            server_url=case((taken, hooks.c.server_url), else_=one.server_url),
            state=case((waiting, HookState.LIVE), else_=hooks.c.state),
            live_at=case((waiting, now), else_=hooks.c.live_at),
        )
    )


async def _name_models(database: Database, connection: AsyncConnection, one: Ingested) -> None:
    if one.forgotten_models:
        gone = models.c.model_id.in_(one.forgotten_models)
        await connection.execute(delete(models).where(models.c.hook_id == one.hook_id, gone))
    if not one.model_names:
        return
    statement = database.insert(models)
    named = statement.on_conflict_do_update(
        index_elements=[models.c.hook_id, models.c.model_id],
        set_={"name": statement.excluded.name},
    )
    rows = [
        {"hook_id": one.hook_id, "model_id": model_id, "name": name}
        for model_id, name in one.model_names.items()
    ]
    await connection.execute(named, rows)


async def _still_wanted(
    connection: AsyncConnection, cards: Sequence[NewOutbox]
) -> Sequence[NewOutbox]:
    """The cards whose subscription has not been removed since they were rendered."""
    if not cards:
        return ()
    statement = (
        select(subscriptions.c.id)
        .where(subscriptions.c.id.in_({card.subscription_id for card in cards}))
        .order_by(subscriptions.c.id)
        .with_for_update(read=True, key_share=True)
    )
    there = set(await connection.scalars(statement))
    return [card for card in cards if card.subscription_id in there]


async def _insert_cards(
    database: Database,
    connection: AsyncConnection,
    inbox_id: int,
    cards: Sequence[NewOutbox],
    now: datetime,
) -> list[int]:
    rows = [
        {
            "inbox_id": inbox_id,
            "subscription_id": card.subscription_id,
            "guild_id": card.guild_id,
            "channel_id": card.channel_id,
            "card": dict(card.card),
            "state": OutboxState.WAITING,
            "created_at": now,
        }
        for card in cards
    ]
    return await connection.run_sync(database.insert_in_order, outbox, rows)


async def _insert_fill_ins(
    connection: AsyncConnection,
    inbox_id: int,
    ingested: Sequence[Ingested],
    cards: Sequence[NewOutbox],
    now: datetime,
) -> None:
    there = {card.subscription_id for card in cards}
    rows = [
        {
            "inbox_id": inbox_id,
            "hook_id": one.hook_id,
            "kind": kind,
            "created_at": now,
            "next_try_at": next_try_at,
        }
        for one in ingested
        for kind, next_try_at in one.fill_ins.items()
        if any(card.subscription_id in there for card in one.outbox)
    ]
    if rows:
        await connection.execute(insert(fill_ins), rows)


async def write_pictures(
    database: Database,
    connection: AsyncConnection,
    cards: Sequence[tuple[int, Sequence[Picture]]],
    now: datetime,
    *,
    first_position: int = 0,
) -> None:
    """Give cards, named by their ids, these pictures in this order, in the connection's
    transaction.
    """
    contents: dict[str, dict[str, Any]] = {}
    names: list[dict[str, Any]] = []
    for outbox_id, shown in cards:
        for position, picture in enumerate(shown, first_position):
            digest = sha256(picture.content).hexdigest()
            contents[digest] = {
                "digest": digest,
                "media_type": picture.media_type,
                "content": picture.content,
                "created_at": now,
            }
            names.append(
                {
                    "outbox_id": outbox_id,
                    "name": picture.name,
                    "position": position,
                    "digest": digest,
                }
            )
    if not names:
        return
    new = database.insert(pictures)
    # One that is there already counts as new again, and on PostgreSQL is locked until the commit:
    # else retention could erase it, as nobody can see yet that a card names it.
    renewed = new.on_conflict_do_update(
        index_elements=[pictures.c.digest],
        set_={"created_at": new.excluded.created_at},
        where=pictures.c.created_at < now - PICTURE_RENEWED_AFTER,
    )
    await connection.execute(renewed, [contents[digest] for digest in sorted(contents)])
    await connection.execute(insert(outbox_pictures), names)


async def _touch(connection: AsyncConnection, cards: Sequence[NewOutbox], at: datetime) -> None:
    shown = subscriptions.c.id.in_({card.subscription_id for card in cards})
    await connection.execute(update(subscriptions).where(shown).values(last_event_at=at))


async def _pause(connection: AsyncConnection, one: Ingested, now: datetime) -> None:
    await connection.execute(
        update(subscriptions)
        .where(
            subscriptions.c.hook_id == one.hook_id,
            subscriptions.c.state == SubscriptionState.ACTIVE,
        )
        .values(
            state=SubscriptionState.PAUSED,
            pause_reason=one.pause,
            pause_detail=None,
            updated_at=now,
        )
    )
