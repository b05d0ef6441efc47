"""Transactions, in threads: how a database is read from and written to."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import URL

from bot.db import connections
from bot.db.checkpoints import Checkpointer
from bot.db.connections import (
    AT_ONCE_POSTGRESQL,
    AT_ONCE_SQLITE,
    AT_ONCE_URGENT,
    SQLITE,
    StorageTimings,
    autocommitting,
    begin_immediate,
)
from bot.db.failures import driver_errors_translated
from bot.db.session import Session
from bot.db.sqlite_file import WatchedFile, sqlite_path
from bot.fairness import FairSemaphore
from bot.metrics import Metrics
from bot.timing import utc_now

T = TypeVar("T")
Work = Callable[[Session], T]


class Database:
    """The engine of one database, and the threads that use it.

    On SQLite one transaction writes at a time, and guilds take turns: a second writer could but
    wait for the first, and would do so in a thread, blindly.
    """

    def __init__(
        self, url: URL, now: Callable[[], datetime], timings: StorageTimings, metrics: Metrics
    ) -> None:
        self.url = url
        self._observe_write = metrics.observe_write
        self.is_sqlite = url.drivername == SQLITE
        self._engine = connections.create(url, timings)
        self._reader = self._engine if self.is_sqlite else autocommitting(self._engine)
        self._now = now
        at_once = AT_ONCE_SQLITE if self.is_sqlite else AT_ONCE_POSTGRESQL
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="database")
        self._urgent = ThreadPoolExecutor(AT_ONCE_URGENT, thread_name_prefix="database, urgent")
        self._turn = FairSemaphore(1)
        self._file: WatchedFile | None = None
        self._checkpointer: Checkpointer | None = None
        if self.is_sqlite:
            self._file = WatchedFile(sqlite_path(url))
            self._checkpointer = Checkpointer(
                self._file, self.reading, self.writing, self._turn, timings.checkpoint_after_s
            )

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        url: URL,
        now: Callable[[], datetime] = utc_now,
        timings: StorageTimings = StorageTimings(),
        metrics: Metrics | None = None,
    ) -> AsyncIterator["Database"]:
        """The database at `url`; nothing is connected before it is used.

        Errors: StorageUnavailable if an SQLite file or its folder cannot be made.
        """
        database = cls(url, now, timings, metrics or Metrics())
        try:
            yield database
        finally:
            await database._close()

    async def _close(self) -> None:
        if self._checkpointer is not None:
            await self._checkpointer.close()
        for threads in (self._threads, self._urgent):
            await asyncio.to_thread(threads.shutdown)
        self._engine.dispose()

    async def read(self, work: Work[T], *, urgent: bool = False) -> T:
        """Do `work`, which reads, in a thread; each statement sees what was committed before it."""
        return await self._in_thread(self._urgent if urgent else self._threads, self._read, work)

    async def write(self, work: Work[T], *, urgent: bool = False) -> T:
        """Do `work` in one transaction, in a thread; committed and synced when this returns.

        A caller that is cancelled meanwhile does not undo it: the transaction ends as it would.
        Errors: StorageUnavailable, also if an SQLite file is no longer the one that was opened.
        """
        began = time.perf_counter()
        result = await self._in_a_transaction(work, urgent)
        self._observe_write(time.perf_counter() - began)
        return result

    async def _in_a_transaction(self, work: Work[T], urgent: bool) -> T:
        checkpointer = self._checkpointer
        if checkpointer is None:
            threads = self._urgent if urgent else self._threads
            return await self._in_thread(threads, self._write, work)
        whose = await self._turn.acquire()

        def ended() -> None:
            self._turn.release(whose)
            checkpointer.wrote()

        # Not behind reads: a write that waits for a thread holds its turn, and so all others up.
        return await self._in_thread(self._urgent, self._write, work, then=ended)

    async def copy_log(self) -> None:
        """Copy SQLite's write-ahead log into the file now."""
        if self._checkpointer is not None:
            await self._checkpointer.copy()

    async def keep_marks(self) -> None:
        """From now on keep next to an SQLite file how far it has come, each time that it does."""
        if self._checkpointer is not None:
            await self._checkpointer.keep_marks()

    async def _in_thread(
        self,
        threads: Executor,
        do: Callable[[Work[T]], T],
        work: Work[T],
        then: Callable[[], None] | None = None,
    ) -> T:
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[T] = loop.create_future()

        def in_thread() -> None:
            result: T | None = None
            error: BaseException | None = None
            try:
                result = do(work)
            except BaseException as raised:
                error = raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_over, waiting, result, error, then)

        # Not loop.run_in_executor, which comes back by way of three futures.
        threads.submit(in_thread)
        return await waiting

    def _read(self, work: Work[T]) -> T:
        with self.reading() as session:
            return work(session)

    def _write(self, work: Work[T]) -> T:
        with self.writing() as session:
            return work(session)

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reads, in this thread."""
        with driver_errors_translated(), self._reader.connect() as connection:
            yield Session(connection, self._now)

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A session in a transaction, in this thread, that is committed when the block ends."""
        if self._file is not None:
            self._file.check()
        session: Session | None = None
        try:
            with driver_errors_translated(), self._engine.begin() as connection:
                if self.is_sqlite:
                    begin_immediate(connection)
                session = Session(connection, self._now)
                yield session
        finally:
            if session is not None:
                session.ended()
        if self._file is not None:
            self._file.remember()
            self._file.check()  # what was replaced meanwhile has lost what was written


def _over(
    waiting: "asyncio.Future[Any]",
    result: Any,
    error: BaseException | None,
    then: Callable[[], None] | None,
) -> None:
    """The thread is done, whether anybody still waits for it or not."""
    if then is not None:
        then()
    if waiting.done():  # who waited was cancelled
        return
    if error is None:
        waiting.set_result(result)
    else:
        waiting.set_exception(error)
