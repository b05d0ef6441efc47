"""Opens the database, and waits for it where that may help: a full disk, a server that restarts.

Meanwhile the port is answered, so that whatever watches over the bot sees that it lives, and
Speckle that its events are not taken.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import structlog
from aiohttp import web

from bot.config import Settings
from bot.db.vault import Vault
from bot.errors import StorageUnavailable
from bot.http_server import Limits, PublicPath, bind, serving
from bot.storage import Storage, utc_now
from bot.timing import set_within

log = structlog.get_logger()

RETRY_S = 5.0
TELL_EVERY = 12  # tries, while the reason stays the same: once a minute


@asynccontextmanager
async def opened(
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
                log.error("app.waits_for_database", reason=reason, retry_in_s=RETRY_S)
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
    """Answer the port while the block waits; whether it can be listened on is told later."""

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
        app, sockets, Limits(), public_path=public_path, drop_slow_body=lambda: False
    ):
        yield
