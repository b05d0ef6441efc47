"""What keeps the bot's process at work: one leads, what must not end does not, signals stop it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog

from bot.errors import BotError, ConfigError, Problem, StorageUnavailable, WorkerFailed
from bot.storage import Storage

log = structlog.get_logger()

LEAD_RETRY_S = 5.0
ECHO_S = 1.0

Worker = Callable[[], Coroutine[None, None, None]]


async def lead(storage: Storage, *, alone: bool, workers: Mapping[str, Worker]) -> None:
    """Do what only one process may do at a time, as soon as this is the one; it never ends.

    `alone`: no other process may be there at all, as on SQLite.
    Errors: ConfigError if there is one all the same; WorkerFailed.
    """
    waits = False
    while not await storage.lead():
        if alone:
            raise ConfigError(
                Problem(
                    "DATABASE_URL",
                    "Another bot runs on this database.",
                    "Stop it first, or give this one a database of its own.",
                )
            )
        if not waits:  # once, as it may wait for months
            why = "another process leads; this one takes webhooks meanwhile"
            log.info("supervisor.standby", why=why)
            waits = True
        await asyncio.sleep(LEAD_RETRY_S)
    if waits:
        log.info("supervisor.leads", why="the process that led has ended")
    async with asyncio.TaskGroup() as tasks:
        for name, part in workers.items():
            tasks.create_task(_run_vital(name, part()), name=name)
        leading = _keep_leading(storage, LEAD_RETRY_S)
        tasks.create_task(_run_vital("leadership", leading), name="leadership")


async def _run_vital(name: str, work: Coroutine[None, None, None]) -> None:
    """Do work that must not end; whatever ends it ends the bot, with a line in the log.

    Errors: WorkerFailed; an error that says itself what to do stays as it is.
    """
    try:
        await work
    except BotError:
        raise
    except Exception as error:  # the top of each worker: logged by name, then the bot ends
        log.critical("supervisor.worker_failed", worker=name, exc_info=error)
        raise WorkerFailed(name) from error
    log.critical("supervisor.worker_ended", worker=name)
    raise WorkerFailed(name)


async def _keep_leading(storage: Storage, every_s: float) -> None:
    """Look again and again whether this process still leads; it stops if another one does.

    On PostgreSQL the lead goes with the connection that holds it. While the database is away
    nobody can take the lead, and this process can do nothing with it.
    """
    while True:
        await asyncio.sleep(every_s)
        try:
            leads = await storage.lead()
        except StorageUnavailable as error:
            log.error("supervisor.leadership_unknown", reason=error.reason)
            continue
        if not leads:
            log.critical("supervisor.leadership_lost", why="the connection to the database was cut")
            raise WorkerFailed("leadership")


@asynccontextmanager
async def background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` while the block runs; it ends with the block, and its failure ends the block.

    Errors: the first one that a part raised, out of its group.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(work, name=name)
            try:
                yield
            finally:
                task.cancel()
    except BaseExceptionGroup as group:
        raise _first(group) from group


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error


@contextmanager
def stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at SIGINT or SIGTERM; a second one ends the process at once.

    One that comes right behind the first is its echo: what stops a whole group of processes
    reaches this one directly and through run.py.
    """
    loop = asyncio.get_running_loop()
    first_at: list[float] = []

    def stop() -> None:
        if first_at and loop.time() - first_at[0] > ECHO_S:
            sys.stderr.write("Stopped at once.\n")
            os._exit(1)
        if not first_at:
            first_at.append(loop.time())
        stopping.set()

    # Not loop.add_signal_handler, which Windows lacks.
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(n, lambda *_: loop.call_soon_threadsafe(stop)) for n in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
