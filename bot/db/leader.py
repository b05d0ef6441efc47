"""One process at a time ingests and sends: who it is."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, text

from bot.db.connections import SQLITE, own_connection
from bot.db.engine import Database
from bot.db.sqlite_file import beside, sqlite_path
from bot.errors import StorageUnavailable
from bot.new_file import PRIVATE

LEADER_LOCK = 0x53504B42  # "SPKB"; advisory locks are numbers, one space a database


class Leader:
    """Holds, or not, the lock of the one process that ingests and sends.

    SQLite: a lock on a file next to the database. PostgreSQL: a session's advisory lock on a
    connection of its own. The operating system or the server drops either with the process.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock_file: int | None = None
        self._session: Connection | None = None
        self._stack = ExitStack()
        self.another_leads = False
        """Whether another process led when this one last asked and got an answer."""

    @property
    def leads(self) -> bool:
        """Whether this process led when it was last asked."""
        return self._lock_file is not None or self._session is not None

    async def lead(self) -> bool:
        """Whether this process leads; takes the lead if it is free. Asking again checks it."""
        if self._database.is_sqlite:
            leads = self._lead_by_file()
        else:
            leads = await asyncio.to_thread(self._lead_by_session)
        self.another_leads = not leads
        return leads

    async def close(self) -> None:
        """Give the lead back."""
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None
        await asyncio.to_thread(self._end_session)

    def _lead_by_file(self) -> bool:
        if self._lock_file is None:
            path = sqlite_path(self._database.url)
            self._lock_file = _locked(beside(path, ".lock"))
        return self._lock_file is not None

    def _lead_by_session(self) -> bool:
        if self._session is not None:
            try:
                self._session.execute(text("SELECT 1"))
            except Exception:  # of whatever kind: a connection that fails holds no lock
                self._end_session()  # the lock went with the connection
            else:
                return True
        with ExitStack() as stack:
            session = stack.enter_context(own_connection(self._database.url))
            statement = text("SELECT pg_try_advisory_lock(:lock)")
            if not session.scalar(statement, {"lock": LEADER_LOCK}):
                return False
            self._session = session
            self._stack = stack.pop_all()
        return True

    def _end_session(self) -> None:
        self._session = None
        self._stack.close()


@contextmanager
def leading(url: URL) -> Iterator[bool]:
    """Hold the lead while the block lasts, so that no bot works; False where one has it."""
    if url.drivername != SQLITE:
        with own_connection(url) as session:
            statement = text("SELECT pg_try_advisory_lock(:lock)")
            yield bool(session.scalar(statement, {"lock": LEADER_LOCK}))
        return
    descriptor = _locked(beside(sqlite_path(url), ".lock"))
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _locked(path: Path) -> int | None:
    """A file descriptor that holds the file's lock until it is closed; None if another does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    except OSError as error:
        raise StorageUnavailable("the lock file next to the database cannot be written") from error
    try:
        _lock(descriptor)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
