"""Notifies the person who runs the bot of what is wrong: in the log, a channel, a webhook."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

import aiohttp
import discord
import structlog

from bot.discord_api.client import SpeckleBot
from bot.discord_api.outcomes import DISCORD_ERRORS, error_text
from bot.network import Network, why_not_reached
from bot.notifiers.operator_texts import notice_text
from bot.problems import NotReadyWhy, TroubleKind
from bot.program import PROGRAM
from bot.services.known_trouble import KnownTrouble
from bot.services.operator_notices import NoticeBook, NoticeLimits, OperatorNotice, TroubleRecord
from bot.timing import Backoff, periodic

log = structlog.get_logger()

LOG: Final = "log"
CHANNEL: Final = "channel"
WEBHOOK: Final = "webhook"
SEND_WITHIN_S: Final = 20.0
DISCORD_PATHS: Final = ("/api/webhooks/", "/api/v10/webhooks/")
NONCE_LENGTH: Final = 24  # Discord takes up to 25

Send = Callable[[OperatorNotice], Awaitable[bool]]
"""Gives an outlet a notice; False if it did not take it now."""


@dataclass(frozen=True, slots=True)
class OperatorTimings:
    """How often what is wrong is looked at, and an outlet tried that takes nothing."""

    look_s: float = 15.0
    retry: Backoff = Backoff((15.0, 60.0, 300.0))
    limits: NoticeLimits = NoticeLimits()


@dataclass(slots=True)
class _Outlet:
    """Where notices go, and from when on it is tried next, by the event loop's clock."""

    name: str
    send: Send
    failures: int = 0
    not_before: float = field(default=0.0)


class OperatorNotifier:
    """Looks again and again, and gives each outlet what it has not had yet."""

    def __init__(
        self,
        known_trouble: KnownTrouble,
        book: NoticeBook,
        outlets: Mapping[str, Send],
        timings: OperatorTimings = OperatorTimings(),
    ) -> None:
        self._known_trouble = known_trouble
        self._book = book
        self._outlets = [_Outlet(name, send) for name, send in outlets.items()]
        self._timings = timings

    async def run(self) -> None:
        """Notify until cancelled; a start is given time to come to rest first."""
        await asyncio.sleep(self._timings.look_s)
        await periodic("operator_notifier", self.look, every_s=self._timings.look_s)

    async def look(self) -> None:
        """Look once, and say what is to be said."""
        await self._book.look(await self._known_trouble.now())
        await asyncio.gather(*map(self._give, self._outlets))

    async def _give(self, outlet: _Outlet) -> None:
        clock = asyncio.get_running_loop().time
        if clock() < outlet.not_before:
            return
        for notice in self._book.due_for(outlet.name):
            if not await outlet.send(notice):
                outlet.not_before = clock() + self._timings.retry.delay_s(outlet.failures)
                outlet.failures += 1
                return
            outlet.failures = 0
            await self._book.given(outlet.name, notice)


class StartupNotice:
    """Says once that the bot cannot start because of its database, and once that it has.

    Nothing can be kept meanwhile, and Discord is not asked yet: it goes to the webhook alone.
    """

    def __init__(
        self,
        send: Send | None,
        now: Callable[[], datetime],
        limits: NoticeLimits = NoticeLimits(),
    ) -> None:
        self._send = send
        self._now = now
        self._limits = limits
        self._record: TroubleRecord | None = None
        self._is_said = False

    async def on_state(self, reason: str | None) -> None:
        """Why the database cannot be used yet, called again and again; None once it can."""
        if self._send is None:
            return
        now, kind = self._now(), TroubleKind.DATABASE_NOT_WRITABLE
        if reason is not None:
            facts = {"problem": NotReadyWhy.NOT_WRITABLE, "reason": reason}
            since = now if self._record is None else self._record.since
            self._record = TroubleRecord(kind, "", facts, since)
            if not self._is_said and now - since >= self._limits.sure_of(kind):
                self._is_said = await self._send(OperatorNotice(self._record))
        elif self._is_said and self._record is not None:
            await self._send(OperatorNotice(replace(self._record, over_at=now)))


async def to_log(notice: OperatorNotice) -> bool:
    """Say it in the log, where some troubles are said by nobody else."""
    record = notice.record
    if notice.is_over:
        log.info("operator.trouble_over", trouble=record.kind.value, subject=record.subject)
    else:
        text = notice_text(notice)
        log.error("operator.trouble", trouble=record.kind.value, subject=record.subject, what=text)
    return True


# ── a Discord channel ─────────────────────────────────────────────────────────────────────────


class OperatorChannel:
    """A Discord channel, once Discord lets the bot write."""

    def __init__(
        self, bot: SpeckleBot, channel_id: int, blocked_for_s: Callable[[], float]
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._channel_id = channel_id
        self._blocked_for_s = blocked_for_s

    async def send(self, notice: OperatorNotice) -> bool:
        """Post it; mentions nobody, and twice the same is one message for some minutes."""
        if not self._bot.logged_in.is_set() or self._blocked_for_s() > 0:
            return False
        channel = self._bot.get_partial_messageable(self._channel_id)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await channel.send(
                    notice_text(notice),
                    nonce=_nonce(notice),
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except DISCORD_ERRORS as error:
            log.warning(
                "operator.channel_not_reached",
                channel_id=self._channel_id,
                reason=error_text(error),
                hint="See whether the bot may view the channel and send messages there: "
                f"`{PROGRAM} check`. It is tried again.",
            )
            return False
        return True


def _nonce(notice: OperatorNotice) -> str:
    record = notice.record
    said = f"{record.kind} {record.subject} {record.since} {record.over_at}"
    return hashlib.sha256(said.encode()).hexdigest()[:NONCE_LENGTH]


# ── an incoming webhook ───────────────────────────────────────────────────────────────────────


class OperatorWebhook:
    """An incoming webhook, of which nothing but the host is ever written down."""

    def __init__(self, url: str, network: Network) -> None:
        self._url = url
        self._network = network

    async def send(self, notice: OperatorNotice) -> bool:
        """Post it; where the answer leads elsewhere is not followed."""
        body = webhook_body(self._url, notice_text(notice))
        try:
            async with (
                asyncio.timeout(SEND_WITHIN_S),
                aiohttp.ClientSession(connector=self._network.connector()) as session,
                session.post(self._url, json=body, allow_redirects=False) as response,
            ):
                if 200 <= response.status < 300:
                    return True
                reason = f"it answered {response.status}"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = why_not_reached(error)
        log.warning(
            "operator.webhook_not_reached",
            host=urlsplit(self._url).hostname,
            reason=reason,
            hint="See whether OPERATOR_WEBHOOK_URL in .env is still the webhook's address. It is "
            "tried again.",
        )
        return False


def webhook_body(url: str, text: str) -> Mapping[str, object]:
    """In Discord's form for Discord's webhooks, else as Slack takes it, and many others do.

    https://discord.com/developers/docs/resources/webhook#execute-webhook
    https://api.slack.com/messaging/webhooks
    """
    path = urlsplit(url).path
    if path.startswith(DISCORD_PATHS) and not path.endswith("/slack"):
        return {"content": text, "allowed_mentions": {"parse": []}}
    return {"text": text}
