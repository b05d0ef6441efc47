"""When SQLite's write-ahead log is copied into the file, so that no commit waits for that."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from sqlalchemy.exc import SQLAlchemyError

from bot.db.session import Session
from bot.db.sqlite_file import WatchedFile
from bot.db.sqlite_marks import CopyMark, raise_mark
from bot.errors import StorageUnavailable
from bot.fairness import FairSemaphore

CHECKPOINT_BYTES = 64 * 1024 * 1024  # a log that has grown to this size is copied at once

OpenSession = Callable[[], AbstractContextManager[Session]]


class Checkpointer:
    """Copies the log some time after a write, in a thread of its own, at the same time as commits.

    Only what is left is copied between two: `turn` is the one of who writes.
    """

    def __init__(
        self,
        file: WatchedFile,
        reading: OpenSession,
        writing: OpenSession,
        turn: FairSemaphore,
        after_s: float,
    ) -> None:
        self._file = file
        self._reading = reading
        self._writing = writing
        self._turn = turn
        self._after_s = after_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database, checkpoint")
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._copying = asyncio.Lock()

    def wrote(self) -> None:
        """Something was committed: copy it later, or at once if the log is large."""
        if self._file.log_bytes() > CHECKPOINT_BYTES:
            self._begin()
        else:
            self._copy_later()

    async def copy(self) -> None:
        """Copy the log into the file: most of it at the same time as commits, the rest between two.

        The log starts again only at a moment when all of it is copied, and under a steady load no
        such moment comes anyway. What a reader holds back is copied later.
        """
        loop = asyncio.get_running_loop()
        try:
            async with self._copying:
                with self._file.copying():
                    await loop.run_in_executor(self._thread, self._copy)
                    async with self._turn.slot():
                        mark = await loop.run_in_executor(self._thread, self._copy_with_mark)
        except (SQLAlchemyError, StorageUnavailable):
            return  # such as a full disk: the commits report it, and the next one asks again
        if mark is not None:
            self._file.copied(mark)
        else:
            self._copy_later()

    async def keep_marks(self) -> None:
        """From now on also keep next to the file the mark of each copying of the log."""
        self._file.keep_marks()
        await self.copy()

    async def close(self) -> None:
        """End once what is being copied is."""
        if self._task is not None:
            await self._task
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.to_thread(self._thread.shutdown)

    def _copy_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._after_s, self._begin)

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self.copy(), name="checkpoint")
        else:
            self._copy_later()

    def _copy_with_mark(self) -> CopyMark | None:
        """Raise the mark, and copy it too; gives it if the file holds all of the log then."""
        with self._writing() as session:
            mark = raise_mark(session)
        return mark if self._copy() else None

    def _copy(self) -> bool:
        """Copy what no reader holds back; whether the file holds all of the log then."""
        with self._reading() as session:
            row = session.connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)").one()
        _busy, frames, copied = row
        return bool(frames == copied)
