"""Posts each change of a server in its audit channel: in order, and once."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import discord
import structlog

from bot.audit import AuditBatch, AuditChannel, AuditEntry
from bot.cogs.audit import texts
from bot.discord_api.channels import audience_of
from bot.discord_api.client import SpeckleBot
from bot.discord_api.outcomes import (
    DISCORD_ERRORS,
    BotUnavailable,
    ChannelUnavailable,
    Outcome,
    Rejected,
    RetryLater,
    Sent,
    outcome_of,
)
from bot.discord_api.send import LOOK_BACK, NONCE_KNOWN, SLACK
from bot.errors import StorageUnavailable
from bot.model import NOBODY
from bot.notifiers.recipients import SEND_WITHIN_S, NoticeRecipient, notify_first
from bot.permissions import Audience
from bot.services.audit import ReadEntry
from bot.storage import Storage, Transaction
from bot.timing import periodic

log = structlog.get_logger()

MESSAGES_A_ROUND: Final = 5  # of one server: the others' turn comes after that


class AuditPoster:
    """Sends one message after another, and reports a channel that does not accept them."""

    def __init__(
        self,
        bot: SpeckleBot,
        storage: Storage,
        blocked_for_s: Callable[[], float],
        poll_s: float,
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot; what is
        changed within `poll_s` travels together.
        """
        self._bot = bot
        self._storage = storage
        self._blocked_for_s = blocked_for_s
        self._poll_s = poll_s

    async def run(self) -> None:
        """Post until cancelled, from the moment that the guilds are known."""
        await self._bot.ready_once.wait()
        await periodic("audit_poster", self.post_due, every_s=self._poll_s)

    async def post_due(self) -> None:
        """Post all that is due, and notify of what is paused."""
        for guild_id in await self._storage.read(lambda tx: tx.audit_channels.due()):
            await self._post_some(guild_id)
        for entry in await self._storage.read(lambda tx: tx.audit_channels.left()):
            if self._blocked_for_s() == 0 and await self._tell(entry):
                await self._storage.write(partial(_mark_told, entry))
        for channel in await self._storage.read(lambda tx: tx.audit_channels.to_notify()):
            if self._blocked_for_s() == 0 and await self._notify(channel):
                await self._storage.write(partial(_mark_notified, channel.guild_id))

    async def _post_some(self, guild_id: int) -> None:
        try:
            for _ in range(MESSAGES_A_ROUND):
                if self._blocked_for_s() > 0 or not await self._post_next(guild_id):
                    break
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours must not hold up the other servers' messages
            log.exception("audit.failed", guild_id=guild_id)

    async def _post_next(self, guild_id: int) -> bool:
        """Post the next message of a guild; whether it is out."""
        guild = self._bot.get_guild(guild_id)
        if guild is None or guild.unavailable:
            return False
        batch = await self._storage.write(lambda tx: tx.audit_channels.open_batch(guild_id))
        if batch is None:
            return False
        outcome = await self._send(guild, batch)
        match outcome:
            case Sent():
                await self._storage.write(lambda tx: tx.audit_channels.posted(batch))
                return True
            case Rejected() | ChannelUnavailable():
                await self._storage.write(lambda tx: tx.audit_channels.pause(batch))
                log.warning("audit.paused", guild_id=guild_id, **outcome.reason.to_facts())
            case RetryLater() | BotUnavailable():
                log.info("audit.retry_later", guild_id=guild_id, **outcome.reason.to_facts())
        return False

    async def _send(self, guild: discord.Guild, batch: AuditBatch) -> Outcome:
        channel = batch.channel
        embed = texts.posted_embed(_as_read_there(guild, batch))
        nonce = channel.nonce or ""
        return await self._send_once(channel.channel_id, embed, nonce, channel.nonce_at)

    async def _tell(self, entry: AuditEntry) -> bool:
        """Say in the channel that was left who ended it; False if Discord could not be asked."""
        guild = self._bot.get_guild(entry.guild_id or 0)
        left = entry.left_channel_id
        if guild is None or guild.unavailable or left is None:
            return False
        known = entry.channel_id is None or _all_may_know(
            guild, entry, left, _audience(guild, left)
        )
        embed = texts.ended_embed(ReadEntry(entry, known))
        outcome = await self._send_once(left, embed, f"audit-end-{entry.id}", entry.at)
        return isinstance(outcome, Sent | Rejected | ChannelUnavailable)

    async def _send_once(
        self, channel_id: int, embed: discord.Embed, nonce: str, begun: datetime | None
    ) -> Outcome:
        """One try; what an earlier one may have brought there is looked for first."""
        channel = self._bot.get_partial_messageable(channel_id)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                if await self._is_there(channel, begun, embed):
                    return Sent(0)
                message = await channel.send(
                    embed=embed,
                    nonce=nonce,
                    allowed_mentions=discord.AllowedMentions.none(),
                )
        except DISCORD_ERRORS as error:
            return outcome_of(error)
        return Sent(message.id)

    async def _is_there(
        self, channel: discord.PartialMessageable, begun: datetime | None, embed: discord.Embed
    ) -> bool:
        """Whether the message is out already, where Discord has forgotten its nonce by now."""
        if begun is None or discord.utils.utcnow() - begun <= NONCE_KNOWN:
            return False
        async for message in channel.history(limit=LOOK_BACK, after=begun - SLACK):
            own = self._bot.user is not None and message.author.id == self._bot.user.id
            footers = [one.footer.text for one in message.embeds]
            if own and embed.footer.text in footers:
                return True
        return False

    async def _notify(self, channel: AuditChannel) -> bool:
        """Notify the person who chose the channel; False if Discord could not be asked."""
        guild_id = channel.guild_id
        guild = await self._storage.read(lambda tx: tx.guilds.get(guild_id))
        notices = None if guild is None else guild.notice_channel_id
        recipients = [
            *([NoticeRecipient(channel.set_by, notices)] if notices is not None else ()),
            *([NoticeRecipient(channel.set_by)] if channel.set_by != NOBODY else ()),
        ]
        message_to = partial(_notice, channel)
        return await notify_first("audit_poster", self._bot, guild_id, recipients, message_to)


def _mark_told(entry: AuditEntry, tx: Transaction) -> None:
    tx.audit_channels.mark_told(entry)


def _mark_notified(guild_id: int, tx: Transaction) -> None:
    tx.audit_channels.mark_notified(guild_id)


def _notice(channel: AuditChannel, to: NoticeRecipient) -> dict[str, Any]:
    """The keyword arguments of `send`."""
    paused_at = channel.paused_at
    return {
        "content": texts.paused_text(channel, to.mentioned),
        # This pause's own, so that a crash before it is noted shows nothing twice.
        "nonce": f"audit-{0 if paused_at is None else int(paused_at.timestamp())}",
        "allowed_mentions": to.allowed_mentions,
    }


# ── who may know what ─────────────────────────────────────────────────────────────────────────


def _as_read_there(guild: discord.Guild, batch: AuditBatch) -> list[ReadEntry]:
    """The changes as everyone who sees the audit channel may know them."""
    readers = _audience(guild, batch.channel.channel_id)
    return [
        ReadEntry(one, _all_may_know(guild, one, batch.channel.channel_id, readers))
        for one in batch.entries
    ]


def _audience(guild: discord.Guild, channel_id: int) -> Audience | None:
    channel = guild.get_channel_or_thread(channel_id)
    return None if channel is None else audience_of(channel, guild)


def _all_may_know(
    guild: discord.Guild, entry: AuditEntry, audit_channel_id: int, readers: Audience | None
) -> bool:
    """Whether nobody reads the audit channel who does not see the channel that was changed.

    Of a private thread nobody knows who is in it.
    """
    if entry.channel_id == audit_channel_id:
        return True
    if entry.channel_id is None or readers is None:
        return False
    there = _audience(guild, entry.channel_id)
    if there is None or there.in_thread or (readers.in_thread and not there.everyone):
        return False
    return not readers.goes_beyond(there)
