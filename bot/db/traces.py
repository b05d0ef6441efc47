"""Lines that join an event's trace after it was dealt with."""

from collections.abc import Sequence

from sqlalchemy import select, update

from bot.db.rows import TraceLine
from bot.db.session import Session
from bot.db.tables import inbox


def add_lines(session: Session, inbox_id: int, lines: Sequence[TraceLine]) -> None:
    """Add lines to an event's trace, in the transaction of `session`."""
    if not lines:
        return
    of_event = inbox.c.id == inbox_id
    trace = session.scalar(select(inbox.c.trace).where(of_event).with_for_update())
    new = [*(trace or ()), *(line.to_json() for line in lines)]
    session.execute(update(inbox).where(of_event).values(trace=new))
