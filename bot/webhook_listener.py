"""The aiohttp application that takes a Speckle server's webhooks.

A delivery is tried once, one at a time for the whole Speckle server, and is gone unless it is
answered with 2xx. So this file verifies, commits and answers, in milliseconds, and does nothing
else: what the event means is found out later (pipeline/ingest.py).
"""

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

import structlog
from aiohttp import web

from bot.db.rows import Hook, HookState, NewInbox
from bot.errors import ConfigError, NotADelivery, Problem, StorageUnavailable
from bot.services.quotas import QuotaService
from bot.services.reach import INSTANCE_PATH
from bot.speckle.payloads import (
    Envelope,
    event_name_of,
    project_id_of,
    read_envelope,
    server_url_of,
)
from bot.speckle.signature import is_signed
from bot.storage import Storage

log = structlog.get_logger()

BODY_TIMEOUT_S = 30.0  # Speckle itself gives up after 10 s; slower senders hold a connection only
LARGE_BODY_BYTES = 256 * 1024  # from here on, hashing and parsing leave the event loop
LARGE_BODIES_AT_ONCE = 4  # bounds memory: 4 × 25 MiB
READY_WRITE_TIMEOUT_S = 3.0
SHUTDOWN_S = 3.0  # for what is in flight when the bot stops
GATEWAY_SILENCE_LIMIT_S = 120.0  # Discord asks for a heartbeat about every 41 s and answers each

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Take = Callable[[web.Request, bytes], Awaitable[web.Response]]

OVER_QUOTA = (
    "This webhook has sent as much as it may today (UTC). The person who runs the bot can allow "
    "more. If you do not know what sends so much, make a new secret in Discord."
)
REFUSED = "The webhook's address or signature is wrong. Compare both with the bot's set-up message."


@dataclass(frozen=True, slots=True)
class SharedHook:
    """The operator's own hook at `POST /webhook`, for the guilds of one organisation."""

    secret: str = field(repr=False)
    servers: frozenset[str]


@dataclass(slots=True)
class BadAttempts:
    """Counts refused requests by address and says how long the next refusal has to wait.

    Only refusals wait, never a good delivery: behind a reverse proxy all share one address.
    """

    free: int = 10
    window_s: float = 60.0
    delay_s: float = 1.0
    waiting_at_once: int = 32
    addresses: int = 10_000
    _seen: OrderedDict[str, tuple[int, float]] = field(default_factory=OrderedDict)
    _waiting: int = 0

    async def slow_down(self, address: str) -> bool:
        """Count one refusal and wait if there were too many; False if too many wait already."""
        now = time.monotonic()
        count, since = self._seen.pop(address, (0, now))
        if now - since > self.window_s:
            count, since = 0, now
        self._seen[address] = (count + 1, since)
        if len(self._seen) > self.addresses:
            self._seen.popitem(last=False)
        if count < self.free:
            return True
        if self._waiting >= self.waiting_at_once:
            return False
        self._waiting += 1
        try:
            await asyncio.sleep(self.delay_s)
        finally:
            self._waiting -= 1
        return True


class WebhookListener:
    """Takes deliveries into the inbox and answers only after they are on disk.

    `stored` is called after each commit, `missed` when a delivery could not be taken and Speckle
    was told so; `gateway_silence_s` gives the seconds since Discord was
    last heard from, or None before the first time. `instance` is answered to who asks which bot
    this is. Without `quotas` no guild has any.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        shared_hook: SharedHook | None,
        max_body_bytes: int,
        stored: Callable[[], None],
        missed: Callable[[], None],
        gateway_silence_s: Callable[[], float | None],
        instance: str,
        now: Callable[[], datetime],
        quotas: QuotaService | None = None,
    ) -> None:
        self._storage = storage
        self._quotas = quotas or QuotaService(storage, None, now=now)
        self._shared_hook = shared_hook
        self._stored = stored
        self._gateway_silence_s = gateway_silence_s
        self._instance = instance
        self._now = now
        self._bad_attempts = BadAttempts()
        self._large_bodies = asyncio.Semaphore(LARGE_BODIES_AT_ONCE)
        self.app = web.Application(client_max_size=max_body_bytes)
        self.app.router.add_post("/webhooks/{key}", _never_a_500(self._own_hook, missed))
        self.app.router.add_get(INSTANCE_PATH, self._instance_id)
        self.app.router.add_get("/healthz", _healthz)
        self.app.router.add_get("/readyz", _never_a_500(self._readyz, _nothing))
        if shared_hook is not None:
            self.app.router.add_post("/webhook", _never_a_500(self._shared, missed))

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen until the block ends; gives the port in use (port 0 takes a free one)."""
        runner = web.AppRunner(self.app, access_log=None, shutdown_timeout=SHUTDOWN_S)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(
                Problem(
                    "WEBHOOK_HOST, WEBHOOK_PORT",
                    f"{host} port {port} cannot be listened on ({error.strerror}).",
                    "End the program that uses it, or choose another port.",
                )
            ) from error
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()

    async def _own_hook(self, request: web.Request) -> web.Response:
        hook = await self._storage.hooks.by_key(request.match_info["key"])
        if hook is None:
            return await self._refuse(request)
        return await self._bounded(request, partial(self._take_own, hook))

    async def _shared(self, request: web.Request) -> web.Response:
        return await self._bounded(request, self._take_shared)

    async def _bounded(self, request: web.Request, take: Take) -> web.Response:
        """Read the body and have it taken; only so many large ones at a time."""
        if request.content_type != "application/json" or "Content-Encoding" in request.headers:
            raise web.HTTPUnsupportedMediaType(text="Send plain application/json.")
        length = request.content_length
        if length is not None and length <= LARGE_BODY_BYTES:
            return await take(request, await _read(request))
        async with self._large_bodies:
            return await take(request, await _read(request))

    async def _take_own(self, hook: Hook, request: web.Request, body: bytes) -> web.Response:
        envelope = await _authenticate(body, request, hook.secrets)
        if envelope is None:
            return await self._refuse(request)
        if self._quotas.is_used_up(hook, len(body)):
            return await self._over_quota(hook)
        project_id = project_id_of(envelope)
        if project_id != hook.project_id:
            log.warning("webhook.other_project", hook_id=hook.id)
            return _answer(403, "This webhook belongs to another project. Make one for this one.")
        if hook.state is HookState.CLOSED:
            log.info("webhook.closed", hook_id=hook.id)
            return _answer(
                410, "The bot has left the Discord server of this webhook. Remove it, or come back."
            )
        return await self._commit(hook, f"hook:{hook.id}", project_id, envelope, body)

    async def _take_shared(self, request: web.Request, body: bytes) -> web.Response:
        shared = self._shared_hook
        assert shared is not None, "routed only where there is one"  # noqa: S101
        envelope = await _authenticate(body, request, (shared.secret,))
        if envelope is None:
            return await self._refuse(request)
        server_url = server_url_of(envelope)
        if server_url not in shared.servers:
            log.warning("webhook.server_not_allowed")
            return _answer(403, "This Speckle server is not among the bot's SPECKLE_SERVERS.")
        project_id = project_id_of(envelope)
        lane = f"shared:{server_url}:{project_id}"
        return await self._commit(None, lane, project_id, envelope, body)

    async def _commit(
        self, hook: Hook | None, lane: str, project_id: str, envelope: Envelope, body: bytes
    ) -> web.Response:
        event_name_of(envelope)  # a body without one is no delivery, and is refused while it can be
        receipt = await self._storage.inbox.put(
            NewInbox(
                hook_id=None if hook is None else hook.id,
                lane=lane,
                project_id=project_id,
                server_url=server_url_of(envelope),
                digest=hashlib.sha256(body).hexdigest(),
                body=body,
                received_at=self._now(),
                quota=None if hook is None else self._quotas.day(hook.guild_id),
            )
        )
        if hook is not None and receipt.over_quota:
            return await self._over_quota(hook)
        if receipt.duplicate:
            log.info("webhook.duplicate", inbox_id=receipt.id)
            return _answer(202, "This delivery had arrived already.")
        self._stored()
        return _answer(202, "Taken.")

    async def _over_quota(self, hook: Hook) -> web.Response:
        wait_s = str(math.ceil((await self._quotas.refused(hook)).total_seconds()))
        return web.Response(status=429, text=OVER_QUOTA, headers={"Retry-After": wait_s})

    async def _refuse(self, request: web.Request) -> web.Response:
        log.warning("webhook.refused")
        if await self._bad_attempts.slow_down(request.remote or ""):
            return _answer(401, REFUSED)
        return web.Response(status=429, text="Too many bad requests.", headers={"Retry-After": "5"})

    async def _instance_id(self, _request: web.Request) -> web.Response:
        """Which bot this is, so that it finds out whether PUBLIC_URL leads to itself."""
        return _answer(200, self._instance)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = [
            *await self._database_problems(),
            *_gateway_problems(self._gateway_silence_s()),
        ]
        body = {"ready": not problems, "problems": problems}
        return web.json_response(body, status=503 if problems else 200)

    async def _database_problems(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(READY_WRITE_TIMEOUT_S):
                await self._storage.ping_write()
        except TimeoutError:
            return [f"The database did not take a write within {READY_WRITE_TIMEOUT_S:g} s."]
        except StorageUnavailable as error:
            return [f"The database does not take writes: {error.reason}."]
        return []


def _gateway_problems(silence_s: float | None) -> Sequence[str]:
    if silence_s is None:
        return ["Discord's gateway has not been heard from since the start."]
    if silence_s > GATEWAY_SILENCE_LIMIT_S:
        return [f"Discord's gateway has been silent for {silence_s:.0f} s."]
    return []


async def _healthz(_request: web.Request) -> web.Response:
    return _answer(200, "Alive.")


async def _read(request: web.Request) -> bytes:
    if request.content.is_eof():  # all of it came with the head: there is nothing to wait for
        return await request.read()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text="The body took too long.") from None


async def _authenticate(
    body: bytes, request: web.Request, secrets: Sequence[str]
) -> Envelope | None:
    """The envelope if one of the secrets signed it, else None.

    Errors: NotADelivery for a signed body that is no delivery.
    """
    # A header may hold bytes that are no text; aiohttp keeps them as surrogates.
    signature = request.headers.get("X-WEBHOOK-SIGNATURE", "").encode("utf-8", "surrogateescape")
    if len(body) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(_verified, body, signature, secrets)
    return _verified(body, signature, secrets)


def _verified(body: bytes, signature: bytes, secrets: Sequence[str]) -> Envelope | None:
    if is_signed(body, None, signature, secrets):
        return read_envelope(body)
    try:
        envelope = read_envelope(body)
    except NotADelivery:
        return None
    signed = is_signed(body, envelope.inner_text, signature, secrets)
    return envelope if signed else None


def _answer(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)


def _nothing() -> None:
    pass


def _never_a_500(handler: Handler, missed: Callable[[], None]) -> Handler:
    """Turn whatever goes wrong into an answer that Speckle's history keeps as failed.

    `missed` is called for what is to be fetched from there later. Not a middleware,
    which costs each request as much again as finding its handler.
    """

    async def answered(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException:
            raise
        except NotADelivery as error:
            return _answer(400, f"This is not a Speckle webhook delivery: {error.reason}.")
        except StorageUnavailable as error:
            log.error("webhook.not_stored", reason=error.reason)
            missed()
            return _answer(503, "The event could not be stored; it is kept as failed in Speckle.")
        except Exception:
            log.exception("webhook.failed")
            missed()
            return _answer(503, "The event could not be taken; it is kept as failed in Speckle.")

    return answered
