"""Messages that are to be brought up to date, because a card in them has changed since."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, bindparam, case, delete, func, or_, select, update

from bot.db.looks import BUSY, NOW, first_of_each
from bot.db.outbox import read_rows
from bot.db.session import Session
from bot.db.tables import IS_WAITING, batches, edits, outbox
from bot.work import (
    Edit,
    EditedChannel,
    OutboxState,
)

IS_PACED = batches.c.next_edit_at > edits.c.next_try_at
DUE_AT = case((IS_PACED, batches.c.next_edit_at), else_=edits.c.next_try_at)
"""When a card's message may be edited for it."""
IS_DUE = and_(
    edits.c.next_try_at <= NOW,
    or_(batches.c.next_edit_at.is_(None), batches.c.next_edit_at <= NOW),
)
NOT_BUSY = outbox.c.channel_id.not_in(BUSY)
CHANNEL = (outbox.c.channel_id, outbox.c.guild_id)


def _settled(*columns: Any) -> Select[Any]:
    changed = outbox.join(edits, edits.c.outbox_id == outbox.c.id)
    of_message = changed.outerjoin(batches, batches.c.id == outbox.c.batch_id)
    return select(*columns).select_from(of_message).where(~IS_WAITING)


DUE_CHANNELS = first_of_each(
    _settled(*CHANNEL).where(IS_DUE, NOT_BUSY).group_by(*CHANNEL),
    outbox.c.guild_id,
    func.min(DUE_AT),
)
SOONEST = _settled(func.min(DUE_AT)).where(NOT_BUSY)
NEXT = (
    _settled(outbox.c.id, outbox.c.batch_id, outbox.c.message_id)
    .where(IS_DUE, outbox.c.channel_id == bindparam("channel"))
    .order_by(DUE_AT, outbox.c.id)
    .limit(1)
)


class Edits:
    """Gives out one message at a time that is to be edited, and notes what became of it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._now = session.now

    def due_channels(self, limit: int, excluding: Collection[int] = ()) -> list[EditedChannel]:
        """Channels with a message that is to be edited now, of each guild the `limit` longest due.

        A message whose own sending is not settled is not among them.
        """
        values = {"now": self._now(), "busy": tuple(excluding), "limit": limit}
        return [EditedChannel(*row) for row in self._session.execute(DUE_CHANNELS, values)]

    def due_in(self, excluding: Collection[int] = ()) -> float | None:
        """Seconds until a message is to be edited, 0 if one is; None if none is."""
        due_at: datetime | None = self._session.scalar(SOONEST, {"busy": tuple(excluding)})
        return self._session.seconds_until(due_at)

    def next(self, channel_id: int) -> Edit | None:
        """The message of a channel that has been due for an edit the longest; None if none is."""
        values = {"now": self._now(), "channel": channel_id}
        found = self._session.execute(NEXT, values).one_or_none()
        if found is None:
            return None
        outbox_id, batch_id, message_id = found
        if message_id is None:
            mates = outbox.c.id == outbox_id
        else:
            mates = and_(outbox.c.batch_id == batch_id, outbox.c.message_id == message_id)
        changed = _settled(outbox.c.id, edits.c.revision, edits.c.attempts).where(mates)
        todo = self._session.execute(changed).all()
        if not todo:
            return None
        rows = []
        if message_id is not None:
            rows = read_rows(self._session, and_(mates, outbox.c.state == OutboxState.SENT))
        count = self._session.scalar(select(batches.c.cards).where(batches.c.id == batch_id))
        return Edit(
            channel_id=channel_id,
            batch_id=batch_id,
            message_id=message_id,
            rows=rows if len(rows) == count else (),
            revisions={row_id: revision for row_id, revision, _ in todo},
            attempts=max((attempts for _, _, attempts in todo), default=0),
        )

    def done(self, edit: Edit, again_from: datetime) -> None:
        """The message shows its cards as they were in `edit`.

        A card that has changed meanwhile stays to be edited; the message is not before
        `again_from`.
        """
        self._session.execute(delete(edits).where(_of(edit)))
        message = batches.c.id == edit.batch_id
        self._session.execute(update(batches).where(message).values(next_edit_at=again_from))

    def drop(self, edit: Edit) -> None:
        """The message never shows its cards as they are in `edit`."""
        self._session.execute(delete(edits).where(_of(edit)))

    def failed(self, edit: Edit, until: datetime) -> None:
        """A try failed: due again at `until`."""
        values = {"attempts": edits.c.attempts + 1, "next_try_at": until}
        self._session.execute(update(edits).where(_of(edit)).values(values))

    def postpone(self, edit: Edit, until: datetime) -> None:
        """It could not be tried: due again at `until`."""
        self._session.execute(update(edits).where(_of(edit)).values(next_try_at=until))


def _of(edit: Edit) -> Any:
    return or_(
        *(
            and_(edits.c.outbox_id == outbox_id, edits.c.revision == revision)
            for outbox_id, revision in edit.revisions.items()
        )
    )
