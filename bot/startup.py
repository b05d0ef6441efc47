"""What comes before the bot works: a database that can be opened, and a tuned interpreter."""

import asyncio
import ctypes
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import TypeAlias

import structlog
from aiohttp import web

from bot.errors import StorageUnavailable
from bot.http_server import Limits, PublicPath, bind, serving
from bot.metrics import Metrics
from bot.settings import Settings
from bot.storage import Storage
from bot.timing import set_within, utc_now
from bot.vault import Vault

log = structlog.get_logger()

RETRY_S = 5.0
LOG_EVERY = 12  # tries, while the reason stays the same: once a minute
# Of glibc's malloc.h.
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
LARGE_BLOCK_BYTES = 1024 * 1024
SWITCH_S = 0.0003  # Python's own is 0.005
# New objects between two looks; each delivery being processed holds some hundred.
GC_THRESHOLD = 20_000

OnState: TypeAlias = Callable[[str | None], Awaitable[None]]


@asynccontextmanager
async def open_when_ready(
    settings: Settings,
    vault: Vault,
    metrics: Metrics,
    stopping: asyncio.Event,
    on_state: OnState,
) -> AsyncIterator[Storage | None]:
    """The storage, as soon as it can be opened; None if `stopping` is set before.

    `on_state` hears now and then why it cannot be opened yet, and None once it is, if it was away.
    Errors: StorageUnavailable where waiting does not help; SchemaTooNew, SchemaTooOld, ConfigError.
    """
    async with AsyncExitStack() as stack:
        found = await _tried(stack, settings, vault, metrics)
        if isinstance(found, Storage):
            yield found
        else:
            yield await _waited_for(found, stack, settings, vault, metrics, stopping, on_state)


async def _tried(
    stack: AsyncExitStack, settings: Settings, vault: Vault, metrics: Metrics
) -> Storage | str:
    """The open storage, which the stack closes, or why it cannot be opened now."""
    try:
        storage = Storage.open(settings.database_url, vault, utc_now, metrics=metrics)
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
    metrics: Metrics,
    stopping: asyncio.Event,
    on_state: OnState,
) -> Storage | None:
    tries, logged, problems = 0, "", [""]
    async with _answering(settings, problems):
        while not stopping.is_set():
            problems[0] = f"The database cannot be used: {reason}."
            if reason != logged or tries % LOG_EVERY == 0:
                log.error("startup.waiting_for_database", reason=reason, retry_in_s=RETRY_S)
            tries, logged = tries + 1, reason
            await on_state(reason)
            await set_within(stopping, RETRY_S)
            found = await _tried(stack, settings, vault, metrics)
            if isinstance(found, Storage):
                log.info("startup.database_usable")
                await on_state(None)
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
        log.warning("startup.port_not_answered", reason=error.strerror)
        yield
        return
    public_path = PublicPath(settings.public_url)
    async with serving(
        app, sockets, Limits(), public_path=public_path, on_memory_full=lambda: False
    ):
        yield


def tune_interpreter() -> None:
    """Have Python look for garbage in what comes and goes, not in all that was loaded at start.

    Have a thread that reads a large body give way to the event loop soon, as a small delivery needs
    Python's lock again and again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, *gc.get_threshold()[1:])
    sys.setswitchinterval(SWITCH_S)


def tune_memory() -> None:
    """Have glibc give large blocks back to the system when they are freed, and keep little else.

    Left alone, it keeps ever larger blocks for later, and some 300 MB of them after a few bodies of
    25 MiB. It also keeps what each thread freed for that thread, which is 10 MB after some thousand
    events: here all share one store, which costs no time, as Python lets one work at a time. Before
    there are threads.
    """
    with suppress(OSError, AttributeError, TypeError):  # another C library, or another system
        library = ctypes.CDLL(None)
        library.mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK_BYTES)
        library.mallopt(M_ARENA_MAX, 1)
