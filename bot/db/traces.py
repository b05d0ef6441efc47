"""Lines that join an event's trace after it was dealt with."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from bot.db.rows import TraceLine
from bot.db.tables import inbox


async def add_lines(connection: AsyncConnection, inbox_id: int, lines: Sequence[TraceLine]) -> None:
    """Add lines to an event's trace, in the transaction of `connection`."""
    if not lines:
        return
    of_event = inbox.c.id == inbox_id
    trace = await connection.scalar(select(inbox.c.trace).where(of_event).with_for_update())
    new = [*(trace or ()), *(line.to_json() for line in lines)]
    await connection.execute(update(inbox).where(of_event).values(trace=new))
