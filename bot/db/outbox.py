"""The outbox: every card, from the event that it shows to the message that it became."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from itertools import accumulate
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Update,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)

from bot.audit import AuditAction
from bot.cards.card import Picture
from bot.db.audit_log import record_subscriptions
from bot.db.channel_queues import (
    HELD_BY_CHANNEL,
    IS_RUNNING,
    MAY_BE_SENT,
    head_settled,
    lock,
)
from bot.db.looks import BUSY, NOW, first_of_each
from bot.db.pause_notices import write_notices
from bot.db.rows import value_of
from bot.db.session import Session
from bot.db.subscription_states import active, paused
from bot.db.tables import (
    IS_OPEN,
    IS_WAITING,
    batches,
    channel_queues,
    inbox,
    outbox,
    outbox_pictures,
    pictures,
    subscriptions,
)
from bot.model import RIGHTS_PAUSES, InboxSource, PauseReason, SubscriptionState
from bot.work import (
    Batch,
    BatchState,
    ChannelQueue,
    DueSubscription,
    FallbackLevel,
    OutboxCard,
    OutboxState,
    new_nonce,
)

NOT_BUSY = channel_queues.c.channel_id.not_in(BUSY)
DUE_CHANNELS = first_of_each(
    select(channel_queues).where(channel_queues.c.due_at <= NOW, NOT_BUSY),
    channel_queues.c.guild_id,
    channel_queues.c.due_at,
    channel_queues.c.channel_id,
)
SOONEST = select(func.min(channel_queues.c.due_at)).where(NOT_BUSY)
PAUSED_FOR_ACCESS = subscriptions.c.pause_reason.in_(RIGHTS_PAUSES)

# What each message needs is built once: that takes longer than to carry it out.
CARDS = (
    select(outbox, inbox.c.received_at)
    .select_from(outbox)
    .join(subscriptions)
    .outerjoin(inbox, inbox.c.id == outbox.c.inbox_id)
    .order_by(outbox.c.id)
)
NEXT_CARDS = CARDS.where(
    outbox.c.channel_id == bindparam("channel_id"), IS_WAITING, MAY_BE_SENT
).limit(bindparam("most"))
PICTURES = (
    select(
        outbox_pictures.c.outbox_id,
        outbox_pictures.c.name,
        pictures.c.media_type,
        pictures.c.content,
    )
    .join(pictures)
    .where(outbox_pictures.c.outbox_id.in_(bindparam("ids", expanding=True)))
    .order_by(outbox_pictures.c.outbox_id, outbox_pictures.c.position)
)
WAITING = (
    select(
        outbox.c.channel_id,
        outbox.c.subscription_id,
        func.coalesce(inbox.c.source, InboxSource.WEBHOOK).label("source"),
        func.min(outbox.c.created_at).label("made_at"),
        func.sum(outbox.c.picture_bytes).label("picture_bytes"),
    )
    .select_from(outbox)
    .join(subscriptions, subscriptions.c.id == outbox.c.subscription_id)
    .outerjoin(inbox, inbox.c.id == outbox.c.inbox_id)
    .where(
        outbox.c.channel_id == bindparam("channel_id"),
        IS_WAITING,
        or_(IS_RUNNING, PAUSED_FOR_ACCESS),
    )
    .group_by(outbox.c.channel_id, outbox.c.subscription_id, inbox.c.source)
    .subquery()
)
QUEUE_AND_WAITING = (
    select(
        channel_queues,
        WAITING.c.subscription_id,
        WAITING.c.source,
        WAITING.c.made_at,
        WAITING.c.picture_bytes,
    )
    .join(WAITING, WAITING.c.channel_id == channel_queues.c.channel_id, isouter=True)
    .where(
        channel_queues.c.channel_id == bindparam("channel_id"),
        channel_queues.c.due_at <= NOW,
    )
    .order_by(WAITING.c.subscription_id)
)
OPENED = select(batches).where(batches.c.channel_id == bindparam("channel_id"), IS_OPEN)
NEW_BATCH = insert(batches).returning(batches)
JOIN_BATCH = (
    update(outbox)
    .where(outbox.c.id.in_(bindparam("ids", expanding=True)))
    .values(batch_id=bindparam("joined"))
)
CLOSE = (
    update(batches)
    .where(batches.c.id == bindparam("closed_id"), IS_OPEN)
    .values(state=BatchState.CLOSED)
)

Choose = Callable[[Sequence[OutboxCard]], int]


class Outbox:
    """Gives cards out in order, channel by channel, and notes what became of them."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def of_message(self, channel_id: int, message_id: int) -> list[OutboxCard]:
        """The cards that a message shows, in its order, without their pictures."""
        there = subscriptions.c.channel_id == channel_id  # by an index, as no message has one
        statement = CARDS.where(there, outbox.c.message_id == message_id)
        rows = self._session.execute(statement).mappings()
        return [value_of(OutboxCard, row, pictures=(), level=row["form"]) for row in rows]

    def sent_messages(self, channel_id: int, message_ids: Collection[int]) -> set[int]:
        """Which of these messages of a channel show cards that are known to be there."""
        there = subscriptions.c.channel_id == channel_id  # by an index, as no message has one
        statement = (
            select(outbox.c.message_id)
            .join(subscriptions, subscriptions.c.id == outbox.c.subscription_id)
            .where(there, outbox.c.message_id.in_(message_ids))
        )
        return set(self._session.scalars(statement))

    def due_channels(self, limit: int, excluding: Collection[int] = ()) -> list[ChannelQueue]:
        """Channels where something is to be done now, of each guild the `limit` longest due."""
        values = {"now": self._now(), "busy": tuple(excluding), "limit": limit}
        return [ChannelQueue(*row) for row in self._session.execute(DUE_CHANNELS, values)]

    def due_in(self, excluding: Collection[int] = ()) -> float | None:
        """Seconds until a channel is due, 0 if one is; None if nothing is to be done."""
        due_at: datetime | None = self._session.scalar(SOONEST, {"busy": tuple(excluding)})
        return self._session.seconds_until(due_at)

    def next_bytes(self, channel_id: int, max_cards: int) -> int:
        """How large the pictures of a channel's next cards are together, in bytes."""
        next_ones = (
            select(outbox.c.picture_bytes)
            .where(outbox.c.channel_id == channel_id, IS_WAITING)
            .order_by(outbox.c.id)
            .limit(max_cards)
            .subquery()
        )
        return int(self._session.scalar(select(func.sum(next_ones.c.picture_bytes))) or 0)

    def due_subscriptions(
        self, channel_id: int
    ) -> tuple[ChannelQueue, Sequence[DueSubscription]] | None:
        """The state of sending to a channel, and whose cards wait; None if nothing is due.

        Those that may be sent next, or were made before a right was lost; those of an open batch
        are among them.
        """
        values = {"channel_id": channel_id, "now": self._now()}
        rows = self._session.execute(QUEUE_AND_WAITING, values).all()
        if not rows:
            return None
        *queue, _, _, _, _ = rows[0]
        waiting = [
            DueSubscription(id_, source, made_at, int(size))
            for *_, id_, source, made_at, size in rows
            if id_ is not None
        ]
        return ChannelQueue(*queue), waiting

    def open_batch(
        self,
        channel_id: int,
        max_cards: int,
        choose: Choose | None = None,
        at: datetime | None = None,
        max_bytes: int | None = None,
    ) -> tuple[Batch, list[OutboxCard]] | None:
        """What goes to a channel next, in one message; None if nothing may go now.

        An open batch is given again, with its nonce and its rows, until it is settled: its message
        may have been sent. Else the oldest cards that may go make a new one, committed before it
        is given; `choose(rows)` says how many of these travel together, at least 1. `at` is the
        time that a new one is given: Discord's, as its message is looked for by that. What is above
        `max_bytes` of pictures is not even read for it.
        """
        lock(self._session, channel_id)
        opened = self._opened(channel_id)
        if opened is None:
            at = at or self._now()
            opened = self._new(channel_id, max_cards, choose, at, max_bytes)
        if opened is None or not opened[1]:
            opened = None
            # What was the matter last time stays readable while nothing may go.
            self._session.execute(
                update(channel_queues)
                .where(channel_queues.c.channel_id == channel_id)
                .values(due_at=None)
            )
        return opened

    def mark_sent(self, batch: Batch, message_id: int, at: datetime) -> bool:
        """A batch's message is in the channel. Saying so twice changes nothing.

        Says whether more waits for the channel.
        """
        values = {"state": OutboxState.SENT, "message_id": message_id, "sent_at": at}
        return self._settle(batch, values)

    def end_silence(self, channel_id: int) -> None:
        """Discord takes messages for a channel again: what was paused for that is resumed."""
        silenced = and_(
            subscriptions.c.channel_id == channel_id,
            subscriptions.c.pause_reason == PauseReason.SILENCED,
        )
        change = update(subscriptions).where(silenced).values(active(self._now()))
        resumed = self._session.scalars(change.returning(subscriptions.c.id))
        record_subscriptions(self._session, AuditAction.RESUMED, resumed)

    def mark_undeliverable(self, batch: Batch, reason: str) -> bool:
        """Discord will never accept a batch: keep its cards, with the reason, and continue."""
        return self._settle(batch, _given_up(reason, self._now()))

    def reopen(self, batch: Batch) -> None:
        """A batch's message is not in the channel: its cards wait again, in their place.

        The channel is due, so that they are tried one by one.
        """
        lock(self._session, batch.channel_id)
        _close(self._session, batch.id, {"batch_id": None})
        this = channel_queues.c.channel_id == batch.channel_id
        self._session.execute(update(channel_queues).where(this).values(due_at=self._now()))

    def mark_suspect(self, batch: Batch, suspects: int, level: FallbackLevel, reason: str) -> bool:
        """One of these cards is at fault: dissolve the batch; they wait again, in their place.

        The next batch is to be made of fewer than `suspects` cards, or of the one in this form.
        """
        values = {"batch_id": None, "form": level, "last_error": reason}
        return self._settle(batch, values, suspects=suspects)

    def give_up(self, channel_id: int, before: datetime, reason: str) -> int:
        """Keep what has waited for a channel since `before` as undeliverable: how many.

        Cards of paused subscriptions keep waiting: nobody has tried those.
        """
        tried = select(subscriptions.c.id).where(MAY_BE_SENT)
        old = and_(
            outbox.c.channel_id == channel_id,
            IS_WAITING,
            outbox.c.created_at < before,
            outbox.c.subscription_id.in_(tried),
        )
        lock(self._session, channel_id)
        _reopen(self._session, channel_id)
        values = _given_up(reason, self._now())
        return self._session.execute(update(outbox).where(old).values(values)).rowcount

    def postpone(self, channel_id: int, until: datetime, error: str | None) -> None:
        """Try a channel again later; with an error it counts as a failed attempt."""
        values: dict[str, Any] = {"due_at": until}
        if error is not None:
            values |= {
                "attempts": channel_queues.c.attempts + 1,
                "first_failed_at": func.coalesce(channel_queues.c.first_failed_at, self._now()),
                "last_error": error,
            }
        statement = update(channel_queues).where(channel_queues.c.channel_id == channel_id)
        self._session.execute(statement.values(values))

    def retry_at(self, channel_id: int, at: datetime) -> None:
        """A try failed, and not because of the channel: due again at `at`, as if never tried."""
        values = {"due_at": at, "attempts": 0, "first_failed_at": None}
        statement = update(channel_queues).where(channel_queues.c.channel_id == channel_id)
        self._session.execute(statement.values(values))

    def pause_channel(self, channel_id: int, reason: PauseReason, detail: str) -> list[int]:
        """Nothing can go to a channel: pause its subscriptions, keep their cards.

        A batch stays open, as an earlier try may have brought it there without our hearing of it.

        Gives the ids of the subscriptions that this paused; their makers must be notified, once.
        Those that a member paused stay as they are.
        """
        now = self._now()
        # In this order, as an event's cards are written: else each could wait for the other.
        paused_ids = _pause(self._session, channel_id, MAY_BE_SENT, reason, detail, now)
        lock(self._session, channel_id)
        head_settled(self._session, channel_id, now, error=detail)
        write_notices(self._session, channel_id, paused_ids, reason, detail, now)
        return paused_ids

    def pause_silenced(self, channel_id: int, detail: str, until: datetime) -> list[int]:
        """Discord refuses a channel for a while: as `pause_channel`, but it is tried again at
        `until`.

        The first message that gets through ends the pause.
        """
        now = self._now()
        is_active = subscriptions.c.state == SubscriptionState.ACTIVE
        reason = PauseReason.SILENCED
        waits = {
            "due_at": until,
            "attempts": channel_queues.c.attempts + 1,
            "first_failed_at": None,
            "last_error": detail,
        }
        queue = update(channel_queues).where(channel_queues.c.channel_id == channel_id)
        paused_ids = _pause(self._session, channel_id, is_active, reason, detail, now)
        self._session.execute(queue.values(waits))
        write_notices(self._session, channel_id, paused_ids, reason, detail, now)
        return paused_ids

    def _opened(self, channel_id: int) -> tuple[Batch, list[OutboxCard]] | None:
        """The open batch, without rows while the channel's pause holds it.

        Its message may be in the channel already, so it stays together until it is sent again, or,
        where a right was lost, looked for. One that a member's own pause holds is dissolved: else
        it would hold up the others' cards.
        """
        row = self._session.execute(OPENED, {"channel_id": channel_id}).mappings().one_or_none()
        if row is None:
            return None
        members = and_(outbox.c.batch_id == row["id"], IS_WAITING)
        of_members = select(outbox.c.id).join(subscriptions).where(members)
        going = of_members.where(or_(MAY_BE_SENT, PAUSED_FOR_ACCESS)).limit(1)
        if self._session.scalar(going) is not None:
            return value_of(Batch, row), read_rows(self._session, members)
        if self._session.scalar(of_members.where(HELD_BY_CHANNEL).limit(1)) is not None:
            return value_of(Batch, row), []
        _close(self._session, row["id"], {"batch_id": None})
        return None

    def _new(
        self,
        channel_id: int,
        max_cards: int,
        choose: Choose | None,
        at: datetime,
        max_bytes: int | None,
    ) -> tuple[Batch, list[OutboxCard]] | None:
        values = {"channel_id": channel_id, "most": max_cards}
        rows = _read(self._session, NEXT_CARDS, values, max_bytes=max_bytes)
        if not rows:
            return None
        if choose is not None:
            rows = rows[: max(1, choose(rows))]
        made = {
            "channel_id": channel_id,
            "nonce": new_nonce(),
            "created_at": at,
            "state": BatchState.OPEN,
            "cards": len(rows),
        }
        batch = value_of(Batch, self._session.execute(NEW_BATCH, made).mappings().one())
        joined = {"ids": [row.id for row in rows], "joined": batch.id}
        self._session.execute(JOIN_BATCH, joined)
        return batch, [replace(row, batch_id=batch.id) for row in rows]

    def _settle(
        self, batch: Batch, values: Mapping[str, Any], *, suspects: int | None = None
    ) -> bool:
        """Close a batch and note what became of its cards; whether more waits behind them."""
        lock(self._session, batch.channel_id)
        closed = _close(self._session, batch.id, values)
        if not closed:
            return False
        now = self._now()
        return head_settled(self._session, batch.channel_id, now, settled=closed, suspects=suspects)


def _pause(
    session: Session,
    channel_id: int,
    those: ColumnElement[bool],
    reason: PauseReason,
    detail: str,
    now: datetime,
) -> list[int]:
    """Pause those subscriptions of a channel; gives their ids."""
    pause = (
        update(subscriptions)
        .where(subscriptions.c.channel_id == channel_id, those)
        .values(paused(reason, detail, now))
        .returning(subscriptions.c.id)
    )
    ids = sorted(session.scalars(pause))
    record_subscriptions(session, AuditAction.PAUSED, ids, reason=reason)
    return ids


def _reopen(session: Session, channel_id: int) -> None:
    """Let the cards of a channel's open batch wait again."""
    open_batch = select(batches.c.id).where(batches.c.channel_id == channel_id, IS_OPEN)
    batch_id = session.scalar(open_batch)
    if batch_id is not None:
        _close(session, batch_id, {"batch_id": None})


def _close(session: Session, batch_id: int, values: Mapping[str, Any]) -> int:
    """Close a batch, once, and note on its cards what became of them; gives how many."""
    if not session.execute(CLOSE, {"closed_id": batch_id}).rowcount:
        return 0
    of_batch = {f"new_{name}": value for name, value in values.items()} | {"closed_id": batch_id}
    return session.execute(_note_on_cards(tuple(values)), of_batch).rowcount


@cache
def _note_on_cards(names: tuple[str, ...]) -> Update:
    return (
        update(outbox)
        .where(outbox.c.batch_id == bindparam("closed_id"), IS_WAITING)
        .values({name: bindparam(f"new_{name}") for name in names})
    )


def _given_up(reason: str, now: datetime) -> dict[str, Any]:
    return {"state": OutboxState.UNDELIVERABLE, "last_error": reason, "gave_up_at": now}


def read_rows(session: Session, condition: ColumnElement[bool]) -> list[OutboxCard]:
    """The cards that fulfil the condition, oldest first, with their pictures."""
    return _read(session, CARDS.where(condition), {})


def _read(
    session: Session,
    statement: Select[Any],
    values: Mapping[str, Any],
    *,
    max_bytes: int | None = None,
) -> list[OutboxCard]:
    """Cards with their pictures.

    With `max_bytes` no more than have so many bytes of pictures together, but at least one.
    """
    rows = session.execute(statement, values).mappings().all()
    if max_bytes is not None:
        sizes = accumulate(row["picture_bytes"] for row in rows)
        rows = rows[: max(1, sum(size <= max_bytes for size in sizes))]
    shown = _pictures(session, [row["id"] for row in rows if row["picture_bytes"]])
    return [
        value_of(OutboxCard, row, pictures=shown.get(row["id"], ()), level=row["form"])
        for row in rows
    ]


def _pictures(session: Session, outbox_ids: Sequence[int]) -> Mapping[int, tuple[Picture, ...]]:
    if not outbox_ids:
        return {}
    found: dict[int, tuple[Picture, ...]] = {}
    for outbox_id, name, media_type, content in session.execute(PICTURES, {"ids": outbox_ids}):
        found[outbox_id] = (*found.get(outbox_id, ()), Picture(name, media_type, content))
    return found
