"""What keeps the bot's process at work: one leads, what must not end does not, signals stop it."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog

from bot.errors import BotError, ConfigError, PartFailed, Problem, StorageUnavailable
from bot.storage import Storage

log = structlog.get_logger()

LEAD_RETRY_S = 5.0
ECHO_S = 1.0
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BLOCK_BYTES = 1024 * 1024
SWITCH_S = 0.0003  # Python's own is 0.005
GC_THRESHOLD = 20_000  # new objects between two looks; each delivery in hand holds some hundred

Part = Callable[[], Coroutine[None, None, None]]


async def lead(storage: Storage, *, alone: bool, parts: Mapping[str, Part]) -> None:
    """Do what only one process may do at a time, as soon as this is the one; it never ends.

    `alone`: no other process may be there at all, as on SQLite.
    Errors: ConfigError if there is one all the same; PartFailed.
    """
    while not await storage.lead():
        if alone:
            raise ConfigError(
                Problem(
                    "DATABASE_URL",
                    "Another bot runs on this database.",
                    "Stop it first, or give this one a database of its own.",
                )
            )
        log.info("app.standby", why="another process leads; this one takes webhooks meanwhile")
        await asyncio.sleep(LEAD_RETRY_S)
    async with asyncio.TaskGroup() as tasks:
        for name, part in parts.items():
            tasks.create_task(_vital(name, part()), name=name)
        leading = _keep_leading(storage, LEAD_RETRY_S)
        tasks.create_task(_vital("leadership", leading), name="leadership")


async def _vital(name: str, work: Coroutine[None, None, None]) -> None:
    """Do work that must not end; whatever ends it ends the bot, with a line in the log.

    Errors: PartFailed; an error that says itself what to do stays as it is.
    """
    try:
        await work
    except BotError:
        raise
    except Exception as error:
        log.critical("app.part_failed", part=name, exc_info=error)
        raise PartFailed(name) from error
    log.critical("app.part_ended", part=name)
    raise PartFailed(name)


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
            log.error("app.lead_unknown", reason=error.reason)
            continue
        if not leads:
            log.critical("app.lead_lost", why="the connection to the database was cut")
            raise PartFailed("leadership")


@asynccontextmanager
async def background(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    """Run `work` beside the block; it ends with the block, and its failure ends the block.

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


def tune_interpreter() -> None:
    """Have Python look for garbage in what comes and goes, not in all that was loaded at start.

    Have a thread that reads a large body give way to the event loop soon, as a small delivery needs
    Python's lock again and again. And have glibc give large blocks back to the system when they
    are freed: left alone, it keeps ever larger ones for later, and some 300 MB of them after a few
    bodies of 25 MiB.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH_S)
    with suppress(OSError, AttributeError, TypeError):  # another C library, or another system
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)


@contextmanager
def stop_signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at SIGINT or SIGTERM; a second one ends the process at once.

    One that comes right behind the first is its echo: whoever stops a whole group of processes
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
