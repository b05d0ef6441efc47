"""What keeps the bot's process at work: one leads, what must not end does not, signals stop it."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress

import structlog
from aiohttp import web

from bot.errors import BotError, ConfigError, Problem, StorageUnavailable, WorkerFailed
from bot.http_server import Limits, PublicPath, bind, serving
from bot.settings import Settings
from bot.storage import Storage
from bot.timing import set_within, utc_now
from bot.vault import Vault

log = structlog.get_logger()

RETRY_S = 5.0
TELL_EVERY = 12  # tries, while the reason stays the same: once a minute


@asynccontextmanager
async def open_when_ready(
    settings: Settings, vault: Vault, stopping: asyncio.Event
) -> AsyncIterator[Storage | None]:
    """The storage, as soon as it can be opened; None if `stopping` is set before.

    Errors: StorageUnavailable where waiting does not help; SchemaTooNew, SchemaTooOld, ConfigError.
    """
    async with AsyncExitStack() as stack:
        found = await _tried(stack, settings, vault)
        if isinstance(found, Storage):
            yield found
        else:
            yield await _waited_for(found, stack, settings, vault, stopping)


async def _tried(stack: AsyncExitStack, settings: Settings, vault: Vault) -> Storage | str:
    """The open storage, which the stack closes, or why it cannot be opened now."""
    try:
        storage = Storage.open(settings.database_url, vault, utc_now)
        return await stack.enter_async_context(storage)
    except StorageUnavailable as error:
        if error.lasting:
            raise
        return error.reason


async def _waited_for(
    reason: str,
    stack: AsyncExitStack,
    settings: Settings,
    vault: Vault,
    stopping: asyncio.Event,
) -> Storage | None:
    tries, told, problems = 0, "", [""]
    async with _answering(settings, problems):
        while not stopping.is_set():
            problems[0] = f"The database cannot be used: {reason}."
            if reason != told or tries % TELL_EVERY == 0:
                log.error("supervisor.waiting_for_database", reason=reason, retry_in_s=RETRY_S)
            tries, told = tries + 1, reason
            await set_within(stopping, RETRY_S)
            found = await _tried(stack, settings, vault)
            if isinstance(found, Storage):
                log.info("app.database_usable")
                return found
            reason = found
    return None


@asynccontextmanager
async def _answering(settings: Settings, problems: Sequence[str]) -> AsyncIterator[None]:
    """Answer the port while the block waits; whether it can be listened on is reported later."""

    async def alive(_request: web.Request) -> web.Response:
        return web.Response(text="Alive.")

    async def ready(_request: web.Request) -> web.Response:
        return web.json_response({"ready": False, "problems": list(problems)}, status=503)

    async def not_yet(_request: web.Request) -> web.Response:
        return web.Response(status=503, text="The bot's database cannot be used yet.")

    app = web.Application()
    app.router.add_get("/healthz", alive)
    app.router.add_get("/readyz", ready)
    app.router.add_route("*", "/{path:.*}", not_yet)
    try:
        sockets = bind(settings.webhook_host, settings.webhook_port)
    except OSError as error:
        log.warning("app.port_not_answered", reason=error.strerror)
        yield
        return
    public_path = PublicPath(settings.public_url)
    async with serving(
        app, sockets, Limits(), public_path=public_path, on_memory_full=lambda: False
    ):
        yield


LEAD_RETRY_S = 5.0
ECHO_S = 1.0
M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
LARGE_BLOCK_BYTES = 1024 * 1024
SWITCH_S = 0.0003  # Python's own is 0.005
GC_THRESHOLD = (
    20_000  # new objects between two looks; each delivery being processed holds some hundred
)

Worker = Callable[[], Coroutine[None, None, None]]


async def lead(storage: Storage, *, alone: bool, workers: Mapping[str, Worker]) -> None:
    """Do what only one process may do at a time, as soon as this is the one; it never ends.

    `alone`: no other process may be there at all, as on SQLite.
    Errors: ConfigError if there is one all the same; WorkerFailed.
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
    except Exception as error:  # the top of each worker: told by name, then the bot ends
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
