"""Whether a database is a restored or older copy of the one that the bot had last.

What people took back since then, such as an account that they unlinked, is there again in it.
"""

import asyncio
from contextlib import suppress

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from bot.db.engine import Database
from bot.db.key_values import KeyValues
from bot.db.sqlite_file import kept_mark, sqlite_path
from bot.db.sqlite_marks import MARK_KEY, CopyMark

IDENTITY_KEY = "storage.identity"
# A dump that is restored gives the table another oid, a restore to a moment another timeline.
TABLES = text(
    "SELECT oid, 'facts'::regclass::oid FROM pg_database WHERE datname = current_database()"
)
CLUSTER = text(
    "SELECT system_identifier, timeline_id FROM pg_control_system(), pg_control_checkpoint()"
)


class RestoredCopy:
    """Distinguishes a copy from the database that this bot had.

    SQLite: a mark in the database, which only goes up, is kept in a file next to it as well; it is
    raised some seconds after a write. PostgreSQL: the server's own names for what holds the tables.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def is_restored(self) -> bool:
        """Whether this may be a copy, or has come to another place; to be asked before `accept`."""
        if not self._database.is_sqlite:
            known, identity = await self._database.read(
                lambda session: (
                    KeyValues(session).get(IDENTITY_KEY),
                    identity_of(session.connection),
                )
            )
            return known is not None and known != identity
        mark = CopyMark.parse(await self._database.read(lambda s: KeyValues(s).get(MARK_KEY)))
        kept = await asyncio.to_thread(kept_mark, sqlite_path(self._database.url))
        if mark is None:  # new, or of a release that knew no marks
            return kept is not None
        return kept is None or not kept.is_in(mark)

    async def accept(self) -> None:
        """Take the database as it is for the bot's own from now on."""
        if self._database.is_sqlite:
            await self._database.keep_marks()
        else:
            identity = await self._database.read(lambda session: identity_of(session.connection))
            await self._database.write(
                lambda session: KeyValues(session).set(IDENTITY_KEY, identity)
            )


def identity_of(connection: Connection) -> str:
    """How a PostgreSQL names what holds the tables; asked outside a transaction, as it may fail."""
    found = [*connection.execute(TABLES).one()]
    with suppress(DBAPIError):  # a server that lets only its administrators ask
        found += connection.execute(CLUSTER).one()
    return ":".join(map(str, found))
