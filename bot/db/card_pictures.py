"""The pictures of cards, each kept once however many cards show it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any

from sqlalchemy import bindparam, insert

from bot.cards.card import Picture
from bot.db.column_types import UtcDateTime
from bot.db.session import Insert, NewInsert, Session
from bot.db.tables import outbox_pictures, pictures

# So that a picture of every card is not written for every card; well below retention's hour.
RENEWED_AFTER = timedelta(minutes=30)


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
    renewed_before = now - RENEWED_AFTER
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
    rows = [contents[digest] | {"renewed_before": renewed_before} for digest in sorted(contents)]
    session.execute(_put_pictures(session.insert), rows)
    session.execute(insert(outbox_pictures), names)


@cache
def _put_pictures(insert: NewInsert) -> Insert:
    """One that is there already counts as new again, and on PostgreSQL is locked until the commit.

    Else retention could erase it, as nobody can see yet that a card names it.
    """
    new = insert(pictures)
    return new.on_conflict_do_update(
        index_elements=[pictures.c.digest],
        set_={"created_at": new.excluded.created_at},
        where=pictures.c.created_at < bindparam("renewed_before", type_=UtcDateTime()),
    )
