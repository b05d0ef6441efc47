"""Takes a person's Discord id out of texts that are kept for other reasons, such as traces."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import JSON, Column, String, cast, func, select, update

from bot.db.engine import Database
from bot.db.rows import NOBODY
from bot.db.tables import channel_queues, inbox, outbox, subscriptions

PORTION_ROWS = 5_000  # read at once, beside the writers
STEP_ROWS = 100  # changed in one transaction


@dataclass(frozen=True, slots=True)
class Place:
    """One column of texts, or of JSON, that may name people."""

    key: Column[Any]
    text: Column[Any]


PLACES = (
    Place(inbox.c.id, inbox.c.trace),
    Place(outbox.c.id, outbox.c.card),
    Place(outbox.c.id, outbox.c.last_error),
    Place(channel_queues.c.channel_id, channel_queues.c.last_error),
    # Who gave an answer, and who was let into the channel by name: that one no longer covers them.
    Place(subscriptions.c.id, subscriptions.c.consent),
)


async def erase_from_texts(
    database: Database, discord_user_id: int, portion_rows: int = PORTION_ROWS
) -> None:
    """Let nothing that is kept name this person, in small steps; again after a kill does no harm.

    Errors: StorageUnavailable.
    """
    for place in PLACES:
        async for rows in _naming(database, place, str(discord_user_id), portion_rows):
            for start in range(0, len(rows), STEP_ROWS):
                await _change(database, place, rows[start : start + STEP_ROWS], discord_user_id)


async def _naming(
    database: Database, place: Place, name: str, portion_rows: int
) -> AsyncIterator[Sequence[tuple[Any, str]]]:
    """The rows that hold the name, from a portion of all rows at a time: (key, text)."""
    text, low = cast(place.text, String), None
    while True:
        after = select(place.key.label("key")).order_by(place.key).limit(portion_rows)
        portion = (after if low is None else after.where(place.key > low)).subquery()
        async with database.reading() as connection:
            first, last = (
                await connection.execute(select(func.min(portion.c.key), func.max(portion.c.key)))
            ).one()
            if last is None:
                return
            named = select(place.key, text).where(
                place.key.between(first, last), text.contains(name)
            )
            rows = [(row[0], row[1]) for row in await connection.execute(named)]
        low = last
        if rows:
            yield rows


async def _change(
    database: Database, place: Place, rows: Sequence[tuple[Any, str]], discord_user_id: int
) -> None:
    is_json = isinstance(place.text.type, JSON)
    async with database.writing() as connection:
        for key, text in rows:
            without = unnamed(text, discord_user_id)
            value = json.loads(without) if is_json else without
            # Unless it was changed meanwhile: what is written now no longer names the person.
            same = (place.key == key, cast(place.text, String) == text)
            await connection.execute(
                update(place.text.table).where(*same).values({place.text: value})
            )


def unnamed(text: str, discord_user_id: int) -> str:
    """The text without this person: mentions become "somebody", the bare id that of nobody."""
    text = re.sub(rf"<@!?{discord_user_id}>", "somebody", text)
    return re.sub(rf"(?<!\d){discord_user_id}(?!\d)", str(NOBODY), text)
