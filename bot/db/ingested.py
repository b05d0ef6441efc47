"""Writes what one event led to: cards, pictures, what the hook learned, what is held back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import case, delete, func, insert, select, update

from bot.cards.card import Picture
from bot.db.access import pause_rights
from bot.db.queues import lock, make_due
from bot.db.rows import (
    RIGHTS_PAUSES,
    HookState,
    Ingested,
    NewOutbox,
    OutboxState,
    Routed,
    SubscriptionState,
)
from bot.db.session import Session
from bot.db.tables import (
    fill_ins,
    held_events,
    hooks,
    models,
    outbox,
    outbox_pictures,
    pictures,
    subscriptions,
)
from bot.speckle.answers import PUBLIC

# So that a picture of every card is not written for every card; well below retention's hour.
PICTURE_RENEWED_AFTER = timedelta(minutes=30)


def write_ingested(
    session: Session,
    inbox_id: int,
    ingested: Sequence[Ingested],
    now: datetime,
) -> list[int]:
    """Write it in the transaction of `session`; gives the ids of the new cards, in order."""
    for one in ingested:
        if one.told:
            _tell_hook(session, one, now)
            _name_models(session, one)
        if one.visibility is not None:
            _note_visibility(session, one, now)
    routed = [each for one in ingested for each in one.routed]
    at = max((one.at for one in ingested), default=now)
    return write_routed(session, inbox_id, routed, at, now)


def write_routed(
    session: Session,
    inbox_id: int,
    routed: Sequence[Routed],
    at: datetime,
    now: datetime,
    *,
    replaying: bool = False,
) -> list[int]:
    """Write what an event of the time `at` leads to in subscriptions; ids of the new cards.

    A subscription that still holds earlier events, or was paused for a right since this was
    decided, holds this one too: else it would come before those. `replaying` says that this is
    one that it holds.
    """
    # Locked first: cards that are taken back meanwhile would else come behind this one.
    there = _still_there(session, {one.subscription_id for one in routed})
    behind = _behind(session, inbox_id, routed, replaying=replaying)
    _lock_channels(session, routed)
    held = {one.subscription_id: one.held_until for one in routed if one.held_until is not None}
    held |= {card.subscription_id: now for card in _cards(routed) if card.subscription_id in behind}
    _hold(session, {one: held[one] for one in there.intersection(held)}, inbox_id, now)
    wanted = there.difference(behind)
    cards = [card for card in _cards(routed) if card.subscription_id in wanted]
    ids: list[int] = []
    if cards:
        ids = _insert_cards(session, inbox_id, cards, now)
        shown = [(row_id, card.pictures) for row_id, card in zip(ids, cards, strict=True)]
        write_pictures(session, shown, now)
        _touch(session, cards, at)
        guild_of = {card.channel_id: card.guild_id for card in cards}
        make_due(session, guild_of, now)
        _insert_fill_ins(session, inbox_id, routed, wanted, now)
    _note_access(session, routed, now)
    for one in routed:
        if one.pause is not None:
            _pause(session, one, now)
    return ids


def _cards(routed: Sequence[Routed]) -> list[NewOutbox]:
    return [one.card for one in routed if one.card is not None]


def _lock_channels(session: Session, routed: Sequence[Routed]) -> None:
    """Lock the queues of all channels that lose or get cards, where any loses some.

    In one go and sorted, so that two transactions never wait for each other.
    """
    pausing = [one.subscription_id for one in routed if one.pause is not None]
    if not pausing:
        return
    losing = select(subscriptions.c.channel_id).where(subscriptions.c.id.in_(pausing))
    getting = {card.channel_id for card in _cards(routed)}
    for channel_id in sorted(getting.union(session.scalars(losing))):
        lock(session, channel_id)


def _hold(
    session: Session,
    until: Mapping[int, datetime],
    inbox_id: int,
    now: datetime,
) -> None:
    """Hold an event back for these subscriptions, until these times at least."""
    rows = [
        {
            "subscription_id": subscription_id,
            "inbox_id": inbox_id,
            "held_at": now,
            "attempts": 0,
            "next_try_at": until[subscription_id],
        }
        for subscription_id in sorted(until)
    ]
    if rows:
        session.execute(session.insert(held_events).on_conflict_do_nothing(), rows)


def _behind(
    session: Session, inbox_id: int, routed: Sequence[Routed], *, replaying: bool
) -> set[int]:
    """The subscriptions whose cards of now would come before what they are yet to be shown."""
    ids = {card.subscription_id for card in _cards(routed)}
    if not ids:
        return set()
    paused = select(subscriptions.c.id).where(
        subscriptions.c.id.in_(ids), subscriptions.c.pause_reason.in_(RIGHTS_PAUSES)
    )
    holding = select(held_events.c.subscription_id).where(held_events.c.subscription_id.in_(ids))
    if replaying:  # earlier ones may have been taken back while this was decided
        holding = holding.where(held_events.c.inbox_id < inbox_id)
    behind = set(session.scalars(paused))
    return behind.union(session.scalars(holding.distinct()))


def _tell_hook(session: Session, one: Ingested, now: datetime) -> None:
    waiting = hooks.c.state == HookState.WAITING
    session.execute(
        update(hooks)
        .where(hooks.c.id == one.hook_id)
        .values(
            last_event_at=one.at,
            project_name=func.coalesce(one.project_name, hooks.c.project_name),
            state=case((waiting, HookState.LIVE), else_=hooks.c.state),
            live_at=case((waiting, now), else_=hooks.c.live_at),
        )
    )


def _note_visibility(session: Session, one: Ingested, now: datetime) -> None:
    values: dict[str, Any] = {"visibility": one.visibility}
    if one.visibility in PUBLIC:
        values["public_at"] = now
    session.execute(update(hooks).where(hooks.c.id == one.hook_id).values(values))


def _name_models(session: Session, one: Ingested) -> None:
    if one.forgotten_models:
        gone = models.c.model_id.in_(one.forgotten_models)
        session.execute(delete(models).where(models.c.hook_id == one.hook_id, gone))
    if not one.model_names:
        return
    statement = session.insert(models)
    named = statement.on_conflict_do_update(
        index_elements=[models.c.hook_id, models.c.model_id],
        set_={"name": statement.excluded.name},
    )
    rows = [
        {"hook_id": one.hook_id, "model_id": model_id, "name": name}
        for model_id, name in one.model_names.items()
    ]
    session.execute(named, rows)


def _still_there(session: Session, ids: Collection[int]) -> set[int]:
    """Those subscriptions that have not been removed since they were read, kept until the end."""
    if not ids:
        return set()
    statement = (
        select(subscriptions.c.id)
        .where(subscriptions.c.id.in_(ids))
        .order_by(subscriptions.c.id)
        .with_for_update(read=True, key_share=True)
    )
    return set(session.scalars(statement))


def _insert_cards(
    session: Session,
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
            "created_at": card.made_at or now,
        }
        for card in cards
    ]
    return session.insert_in_order(outbox, rows)


def _insert_fill_ins(
    session: Session,
    inbox_id: int,
    routed: Sequence[Routed],
    wanted: Collection[int],
    now: datetime,
) -> None:
    rows = [
        {
            "inbox_id": inbox_id,
            "subscription_id": one.subscription_id,
            "kind": kind,
            "created_at": one.card.made_at or now,
            "next_try_at": next_try_at,
        }
        for one in routed
        if one.card is not None and one.subscription_id in wanted
        for kind, next_try_at in one.late.items()
    ]
    if rows:
        session.execute(insert(fill_ins), rows)


def write_pictures(
    session: Session,
    cards: Sequence[tuple[int, Sequence[Picture]]],
    now: datetime,
    *,
    first_position: int = 0,
) -> None:
    """Give cards, named by their ids, these pictures in this order, in the session's
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
    new = session.insert(pictures)
    # One that is there already counts as new again, and on PostgreSQL is locked until the commit:
    # else retention could erase it, as nobody can see yet that a card names it.
    renewed = new.on_conflict_do_update(
        index_elements=[pictures.c.digest],
        set_={"created_at": new.excluded.created_at},
        where=pictures.c.created_at < now - PICTURE_RENEWED_AFTER,
    )
    session.execute(renewed, [contents[digest] for digest in sorted(contents)])
    session.execute(insert(outbox_pictures), names)


def _touch(session: Session, cards: Sequence[NewOutbox], at: datetime) -> None:
    shown = subscriptions.c.id.in_({card.subscription_id for card in cards})
    session.execute(update(subscriptions).where(shown).values(last_event_at=at))


def _note_access(session: Session, routed: Sequence[Routed], now: datetime) -> None:
    seen = [one.subscription_id for one in routed if one.access_ok]
    if seen:
        good = subscriptions.c.id.in_(seen)
        session.execute(update(subscriptions).where(good).values(access_ok_at=now))


def _pause(session: Session, one: Routed, now: datetime) -> None:
    assert one.pause is not None, "called for those alone"  # noqa: S101
    this = subscriptions.c.id == one.subscription_id
    if one.pause.reason in RIGHTS_PAUSES:
        pause_rights(session, this, one.pause, now)
        return
    session.execute(
        update(subscriptions)
        .where(this, subscriptions.c.state == SubscriptionState.ACTIVE)
        .values(
            state=SubscriptionState.PAUSED,
            pause_reason=one.pause.reason,
            pause_detail=None,
            updated_at=now,
        )
    )
