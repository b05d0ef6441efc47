"""The aiohttp application that takes a Speckle server's webhooks.

A delivery is tried once, one at a time for the whole Speckle server, and is gone unless it is
answered with 2xx. So this file verifies, commits and answers, in milliseconds, and does nothing
else: what the event means is found out later (pipeline/ingest.py).
"""

import asyncio
import hashlib
import math
import re
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final

import structlog
from aiohttp import web

from bot.errors import ConfigError, HookGone, NotADelivery, Problem, SealError, StorageUnavailable
from bot.http_server import (
    BELOW_PUBLIC_PATH,
    Answer,
    BadAttempts,
    Bodies,
    Limits,
    PublicPath,
    ShortWay,
    WholePost,
    bind,
    serving,
    why_not_bound,
)
from bot.log import about_delivery, is_debugging
from bot.metrics import DeliveryResult, Metrics
from bot.model import Hook, HookState, InboxSource, shared_ordering_key
from bot.problem_texts import not_ready_text
from bot.problems import NotReady
from bot.services.public_url import INSTANCE_PATH
from bot.services.quotas import QuotaService
from bot.services.refused_deliveries import RefusedDeliveries
from bot.speckle.payloads import event_name_of, project_id_of, read_envelope, server_url_of
from bot.speckle.raw_json import find_inner_text
from bot.speckle.signature import is_signed, signs
from bot.storage import Storage
from bot.work import InboxKey, NewInboxEvent

__all__ = ["REFUSED", "SharedHook", "WebhookListener"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SharedHook:
    """The operator's own hook at `POST /webhook`, for the guilds of one organisation."""

    secret: str = field(repr=False)
    servers: frozenset[str]


@dataclass(frozen=True, slots=True)
class Signed:
    """What the listener has to know of a delivery whose signature holds."""

    project_id: str
    server_url: str | None
    digest: str


class RefusedWhy(StrEnum):
    """Why nobody takes a request for a delivery; the answer to all is the same."""

    UNKNOWN_ADDRESS = "unknown_address"
    NO_SIGNATURE = "no_signature"
    WRONG_SIGNATURE = "wrong_signature"


@dataclass(frozen=True, slots=True)
class UnsignedRequest:
    """A request that no secret signed; `hook_id` is the webhook at its address, if there is one."""

    why: RefusedWhy
    hook_id: int | None


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that may be a delivery; its body is there as long as a block around it lasts."""

    headers: Mapping[str, str]
    caller: str
    body: AbstractAsyncContextManager[bytes]

    @property
    def signature(self) -> bytes:
        """What is to be compared; empty if there is none."""
        # A header may hold bytes that are no text; aiohttp keeps them as surrogates.
        return self.headers.get("X-WEBHOOK-SIGNATURE", "").encode("utf-8", "surrogateescape")


class WebhookEndpoint(ABC):
    """Whose secrets sign a delivery, and what is asked of one that they signed."""

    secrets: Sequence[str]
    source: InboxSource
    hook: Hook | None = None  # whose guild's quota it counts towards
    hook_id: int | None = None

    @property
    def guild_id(self) -> int | None:
        """Whose it is; None for the operator's, which serves several guilds."""
        return None if self.hook is None else self.hook.guild_id

    @abstractmethod
    def refusal(self, signed: Signed) -> Answer | None:
        """The answer to a signed delivery that is not taken, None for one that is."""

    @abstractmethod
    def ordering_key(self, signed: Signed) -> str:
        """The ordering key in which its events keep their order."""


Find = Callable[[], Awaitable[WebhookEndpoint | None]]
"""Looks a recipient up; None if nobody has that address."""


class OwnHook(WebhookEndpoint):
    """A guild's own hook."""

    def __init__(self, hook: Hook) -> None:
        self.hook = self._hook = hook
        self.secrets, self.hook_id, self.source = hook.secrets, hook.id, InboxSource.WEBHOOK

    def refusal(self, signed: Signed) -> Answer | None:
        """Another project's events, and a guild that the bot has left."""
        if signed.project_id != self._hook.project_id:
            log.warning("webhook.other_project", hook_id=self.hook_id)
            text = "This webhook belongs to another project. Create one for this project."
            return Answer(403, text)
        if self._hook.state is HookState.CLOSED:
            log.info("webhook.closed", hook_id=self.hook_id)
            text = "The bot has left this webhook's Discord server. Remove it, or invite the bot."
            return Answer(410, text)
        return None

    def ordering_key(self, signed: Signed) -> str:
        """One for each hook."""
        return self._hook.ordering_key


class OperatorsHook(WebhookEndpoint):
    """The operator's own hook."""

    def __init__(self, shared: SharedHook) -> None:
        self.secrets, self._servers = (shared.secret,), shared.servers
        self.source = InboxSource.OPERATOR

    async def found(self) -> WebhookEndpoint:
        """Itself: there is nothing to look up."""
        return self

    def refusal(self, signed: Signed) -> Answer | None:
        """Servers that the operator did not name."""
        if signed.server_url in self._servers:
            return None
        log.warning("webhook.server_not_allowed")
        text = "This Speckle server is not among the bot's SPECKLE_SERVERS."
        return Answer(403, text)

    def ordering_key(self, signed: Signed) -> str:
        """One for each project."""
        return shared_ordering_key(str(signed.server_url), signed.project_id)


OWN_HOOKS: Final = re.compile(r"/webhooks/[\w-]+", re.ASCII)
LARGE_BODY_BYTES: Final = 64 * 1024  # from here on, hashing and parsing leave the event loop
HUGE_BODY_BYTES: Final = 4 * 1024 * 1024  # recorded bodies with a screenshot have 2 MB

UNOPENABLE = (
    "The bot's encryption keys can no longer decrypt this webhook's secret, so nothing can be "
    "accepted. Ask the person who runs the bot, or press Set up again under /subscriptions in "
    "Discord."
)
OVER_QUOTA = (
    "This webhook has reached its limit for today (UTC). The person who runs the bot can allow "
    "more. If you do not know what sends so much, create a new secret in Discord."
)
REFUSED = "The webhook's address or signature is wrong. Compare both with the bot's set-up message."
NOT_READ: Final = Signed("", None, "")  # of a delivery that is refused whatever it says


class WebhookListener:
    """Takes deliveries into the inbox and answers only after they are on disk.

    `on_stored` is called after each commit with the ordering key where something is new,
    `on_missed` when the database could not take a delivery and Speckle got a 503; `problems`
    says what keeps the bot from its work. `instance` is answered to who asks which bot this is.
    `public_url` is what Speckle and browsers call; its path is known with and without. Without
    `quotas` no guild has any. `refused` keeps what no secret signed, for /doctor.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        shared_hook: SharedHook | None,
        max_body_bytes: int,
        on_stored: Callable[[InboxKey], None],
        on_missed: Callable[[], None],
        problems: Callable[[], Awaitable[Sequence[NotReady]]],
        instance: str,
        now: Callable[[], datetime],
        public_url: str | None = None,
        limits: Limits | None = None,
        quotas: QuotaService | None = None,
        refused: RefusedDeliveries | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._storage = storage
        self._count = (metrics or Metrics()).count_delivery
        self._refused_deliveries = refused or RefusedDeliveries(now)
        self._quotas = quotas or QuotaService(storage, None, now=now)
        self._max_body_bytes = max_body_bytes
        self._on_stored = on_stored
        self._problems = problems
        self._on_missed = on_missed
        self._instance = instance
        self._now = now
        self._limits = limits or Limits()
        self._public_path = PublicPath(public_url)
        self._bad_attempts = BadAttempts()
        self._bodies = Bodies(self._limits, time.monotonic)
        # One large body at a time is hashed, parsed and written, and one huge one at the same time:
        # that bounds memory, and what threads take from the event loop.
        self._large, self._huge = asyncio.Lock(), asyncio.Lock()
        self._probing = asyncio.Lock()
        most_bytes = min(LARGE_BODY_BYTES, max_body_bytes)
        self._short_way = ShortWay(OWN_HOOKS, most_bytes, self._whole)
        self._nobodys_secrets = (secrets.token_hex(32),)
        self.app = web.Application(client_max_size=max_body_bytes)
        self.app.router.add_post("/webhooks/{key}", self._own_hook)
        self.app.router.add_get(INSTANCE_PATH, self._instance_id)
        self.app.router.add_get("/healthz", self._healthz)
        self.app.router.add_get("/readyz", self._readyz)
        if shared_hook is not None:
            shared = OperatorsHook(shared_hook)
            self.app.router.add_post("/webhook", partial(self._deliver, shared.found))

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncIterator[int]:
        """Listen until the block ends; gives the port in use (port 0 takes a free one)."""
        try:
            sockets = bind(host, port)
        except OSError as error:
            raise ConfigError(
                Problem(
                    "WEBHOOK_HOST, WEBHOOK_PORT",
                    f"{host} port {port} cannot be listened on:",
                    why_not_bound(error),
                )
            ) from error
        in_use: int = sockets[0].getsockname()[1]
        async with serving(
            self.app,
            sockets,
            self._limits,
            public_path=self._public_path,
            on_memory_full=self._bodies.drop_slowest,
            short_way=self._short_way,
        ):
            yield in_use

    async def _own_hook(self, request: web.Request) -> web.StreamResponse:
        return await self._deliver(partial(self._of_key, request.match_info["key"]), request)

    async def _whole(self, post: WholePost, caller: str) -> Answer:
        """The same for a delivery that came in one piece."""
        find = partial(self._of_key, post.path.rpartition("/")[2])
        return await self._answer(find, Attempt(post.headers, caller, nullcontext(post.body)))

    async def _of_key(self, key: str) -> WebhookEndpoint | None:
        is_text = key.isascii() and key.isprintable()  # what a database takes, and ours is
        hook = await self._storage.hook_lookup.by_key(key) if is_text else None
        if hook is not None and hook.unopenable:
            raise SealError("no key can decrypt the webhook's secret")
        return None if hook is None else OwnHook(hook)

    async def _deliver(self, find: Find, request: web.Request) -> web.StreamResponse:
        if request.content_type != "application/json":
            self._count(DeliveryResult.NOT_A_DELIVERY)
            return Answer(415, "Send application/json.").response()
        body = self._bodies.body_of(request, self._max_body_bytes)
        attempt = Attempt(request.headers, request.remote or "", body)
        return (await self._answer(find, attempt)).response()

    async def _answer(self, find: Find, attempt: Attempt) -> Answer:
        """Take a delivery, and answer with what Speckle's history is to keep of it.

        Who knows no secret hears the same of each address, whatever the request is.
        """
        with about_delivery():
            return await self._answered(find, attempt)

    async def _answered(self, find: Find, attempt: Attempt) -> Answer:
        try:
            taken = await self._taken(find, attempt)
        except (web.HTTPException, ConnectionError):
            self._count(DeliveryResult.BODY_NOT_READ)
            raise
        except StorageUnavailable as error:
            self._count(DeliveryResult.NOT_STORED)
            log.error("webhook.not_stored", reason=error.reason)
            return Answer(503, "The event could not be stored; it is kept as failed in Speckle.")
        except SealError:
            # Speckle keeps the event as failed, and it is fetched from there later.
            self._count(DeliveryResult.UNOPENABLE)
            log.error("webhook.unopenable", why="no key can decrypt the webhook's secret")
            return Answer(503, UNOPENABLE)
        return await self._refused(attempt, taken) if isinstance(taken, UnsignedRequest) else taken

    async def _taken(self, find: Find, attempt: Attempt) -> Answer | UnsignedRequest:
        """The answer to a delivery whose signature holds, what is wrong with any other.

        The body is released before anyone is made to wait.
        """
        async with attempt.body as body:
            endpoint = await self._found(find)
            wanted = self._nobodys_secrets if endpoint is None else endpoint.secrets
            hook = None if endpoint is None else endpoint.hook
            over = hook is not None and self._quotas.is_used_up(hook, len(body))
            async with self._turn(len(body)):
                try:
                    signed = await _signed(body, attempt.signature, wanted, parse=not over)
                except NotADelivery as error:
                    self._count(DeliveryResult.NOT_A_DELIVERY)
                    return _not_a_delivery(error, endpoint)
                if signed is None or endpoint is None:
                    return _unsigned(attempt, endpoint)
                if over and hook is not None:
                    return await self._over_quota(hook)
                if (refusal := endpoint.refusal(signed)) is not None:
                    self._count(DeliveryResult.REFUSED)
                    return refusal
                return await self._commit(endpoint, signed, body)

    async def _found(self, find: Find) -> WebhookEndpoint | None:
        try:
            return await find()
        except StorageUnavailable:
            await self._missed_if_it_cannot_write()
            raise

    async def _missed_if_it_cannot_write(self) -> None:
        """Nobody knows yet whether this is a delivery, so only what is true of others counts."""
        if self._probing.locked():
            return
        async with self._probing:
            try:
                await self._storage.ping_write()
            except StorageUnavailable:
                self._on_missed()

    def _turn(self, size: int) -> AbstractAsyncContextManager[None]:
        if size <= LARGE_BODY_BYTES:
            return nullcontext()
        return self._huge if size > HUGE_BODY_BYTES else self._large

    async def _commit(self, endpoint: WebhookEndpoint, signed: Signed, body: bytes) -> Answer:
        event = NewInboxEvent(
            hook_id=endpoint.hook_id,
            ordering_key=endpoint.ordering_key(signed),
            project_id=signed.project_id,
            server_url=signed.server_url,
            digest=signed.digest,
            body=body,
            received_at=self._now(),
            source=endpoint.source,
            quota=None if endpoint.hook is None else self._quotas.day(endpoint.hook.guild_id),
        )
        try:
            receipt = await self._storage.intake.accept(event)
        except StorageUnavailable:
            self._on_missed()
            raise
        except HookGone:
            self._count(DeliveryResult.REFUSED)
            return Answer(410, "This webhook was removed in Discord. Remove it in Speckle too.")
        if endpoint.hook is not None and receipt.over_quota:
            return await self._over_quota(endpoint.hook)
        if receipt.duplicate:
            self._count(DeliveryResult.DUPLICATE)
            log.info("webhook.duplicate", inbox_id=receipt.id)
            return Answer(202, "This delivery had arrived already.")
        self._count(DeliveryResult.TAKEN)
        if is_debugging():
            log.debug("webhook.taken", inbox_id=receipt.id, hook_id=endpoint.hook_id)
        self._on_stored(InboxKey(event.ordering_key, endpoint.guild_id))
        return Answer(202, "Taken.")

    async def _over_quota(self, hook: Hook) -> Answer:
        self._count(DeliveryResult.OVER_QUOTA)
        wait_s = str(math.ceil((await self._quotas.note_full(hook)).total_seconds()))
        return Answer(429, OVER_QUOTA, (("Retry-After", wait_s),))

    async def _refused(self, attempt: Attempt, unsigned: UnsignedRequest) -> Answer:
        self._count(DeliveryResult.UNSIGNED)
        log.warning("webhook.refused", hook_id=unsigned.hook_id, why=unsigned.why)
        if unsigned.hook_id is not None:
            signed = unsigned.why is not RefusedWhy.NO_SIGNATURE
            self._refused_deliveries.note(unsigned.hook_id, signed=signed)
        if await self._bad_attempts.slow_down(attempt.caller):
            return Answer(401, REFUSED)
        return Answer(429, "Too many bad requests.", (("Retry-After", "5"),))

    async def _healthz(self, request: web.Request) -> web.Response:
        """Whether the bot is there, and how the reverse proxy in front of it treats the path."""
        kept = self._public_path.was_kept(request)
        return web.Response(text=f"Alive.{BELOW_PUBLIC_PATH}" if kept else "Alive.")

    async def _instance_id(self, _request: web.Request) -> web.Response:
        """Which bot this is, so that it finds out whether PUBLIC_URL leads to itself."""
        return web.Response(text=self._instance)

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = [not_ready_text(problem) for problem in await self._problems()]
        body = {"ready": not problems, "problems": problems}
        return web.json_response(body, status=503 if problems else 200)


def _unsigned(attempt: Attempt, endpoint: WebhookEndpoint | None) -> UnsignedRequest:
    if endpoint is None:
        return UnsignedRequest(RefusedWhy.UNKNOWN_ADDRESS, None)
    signed = bool(attempt.signature)
    why = RefusedWhy.WRONG_SIGNATURE if signed else RefusedWhy.NO_SIGNATURE
    return UnsignedRequest(why, endpoint.hook_id)


async def _signed(
    body: bytes, signature: bytes, secrets: Sequence[str], *, parse: bool
) -> Signed | None:
    """What is in the body if one of the secrets signed it, else None; NOT_READ without `parse`.

    Errors: NotADelivery for a signed body that is no delivery.
    """
    if len(body) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(_read, body, signature, secrets, parse)
    return _read(body, signature, secrets, parse)


def _read(body: bytes, signature: bytes, secrets: Sequence[str], parse: bool) -> Signed | None:
    """The same at once. Before a signature holds, nothing is parsed and size does not matter."""
    if not signs(body, signature, secrets):
        text = find_inner_text(body)
        if text is None or not is_signed(text.parts(), signature, secrets):
            return None
    if not parse:
        return NOT_READ
    envelope = read_envelope(body, pictures=False)
    event_name_of(envelope)  # a body without one is no delivery, and is refused while it can be
    return Signed(
        project_id_of(envelope), server_url_of(envelope), hashlib.sha256(body).hexdigest()
    )


def _not_a_delivery(error: NotADelivery, endpoint: WebhookEndpoint | None) -> Answer:
    hook_id = None if endpoint is None else endpoint.hook_id
    log.warning("webhook.not_a_delivery", hook_id=hook_id, reason=error.reason)
    return Answer(400, f"This is not a Speckle webhook delivery: {error.reason}.")
