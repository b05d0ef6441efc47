"""Tells people what the bot paused: in the guild's notice channel, else in a direct message."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import aiohttp
import discord
import structlog

from bot.cogs import notice_wording
from bot.cogs.buttons import view_of
from bot.cogs.notices import buttons
from bot.cogs.places import ask_place
from bot.db.rows import NOBODY, Notice
from bot.discord_out import (
    BotClosed,
    ChannelClosed,
    Later,
    Outcome,
    Refused,
    Sent,
    outcome_of,
)
from bot.errors import StorageUnavailable
from bot.services.notices import NoticeService, Telling
from bot.services.places import missing_in

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

log = structlog.get_logger()

T = TypeVar("T")

POLL_S = 5.0  # a person who is told within seconds of a pause is told soon enough
SEND_WITHIN_S = 60.0  # discord.py's own five tries take up to 25 s
DRAIN_S = 5.0  # below the 10 s that service managers commonly give before they kill
# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
OPENING_TOO_FAST = 40003  # "You are opening direct messages too fast"


class Teller:
    """Tells one notice after another: Discord dislikes bots that write to many people at once."""

    def __init__(
        self, bot: "SpeckleBot", notices: NoticeService, closed_for_s: Callable[[], float]
    ) -> None:
        """`closed_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._notices = notices
        self._closed_for_s = closed_for_s

    async def run(self) -> None:
        """Tell until cancelled, from the moment that the bot is logged in."""
        await self._bot.logged_in.wait()
        while True:
            try:
                await self.tell_due()
            except StorageUnavailable as error:
                log.error("notices.database_unavailable", reason=error.reason)
            await asyncio.sleep(POLL_S)

    async def tell_due(self) -> None:
        """Tell what is due now."""
        for notice in await _to_its_end(self._notices.due()):
            if self._closed_for_s() > 0:
                return
            await _to_its_end(self._one(notice))

    async def _one(self, notice: Notice) -> None:
        try:
            await self._tell(notice)
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours must not hold up the others' notices
            log.exception("notices.failed", notice_id=notice.id)
            await self._notices.failed(notice)

    async def _tell(self, notice: Notice) -> None:
        telling = await self._notices.telling(notice)
        if telling is None:
            log.info("notices.needless", notice_id=notice.id)
            await self._notices.settle(notice)
            return
        outcome = await self._to_channel(telling)
        if outcome is None or isinstance(outcome, Refused | ChannelClosed):
            outcome = await self._to_maker(telling)
        await self._note(notice, outcome)

    async def _to_channel(self, telling: Telling) -> Outcome | None:
        """Tell it in the guild's notice channel; None if there is none."""
        channel_id = telling.notice_channel_id
        if channel_id is None:
            return None
        maker = discord.Object(telling.notice.user_id)
        mentions = discord.AllowedMentions(
            everyone=False, users=[maker], roles=False, replied_user=False
        )
        return await _outcome(self._send(channel_id, telling, mentions))

    async def _to_maker(self, telling: Telling) -> Outcome:
        """Tell it whoever made the subscription, and nobody else."""
        if telling.notice.user_id == NOBODY:
            return Refused("whoever made it had themselves forgotten")

        async def send() -> int:
            private = await self._bot.create_dm(discord.Object(telling.notice.user_id))
            return await self._send(private.id, telling, None)

        return await _outcome(send())

    async def _send(
        self, channel_id: int, telling: Telling, mentions: discord.AllowedMentions | None
    ) -> int:
        """Send the message, mentioning the maker where others read it; gives its id."""
        notice = telling.notice
        message = await self._bot.get_partial_messageable(channel_id).send(
            notice_wording.lead(telling, mention=mentions is not None),
            embed=await self._embed(telling),
            view=view_of(*buttons(notice)),
            # The row's own, so that a crash before it is settled shows nothing twice.
            nonce=notice.nonce,
            allowed_mentions=mentions or discord.AllowedMentions.none(),
        )
        return message.id

    async def _embed(self, telling: Telling) -> discord.Embed:
        guild_id, channel_id = telling.notice.guild_id, telling.notice.channel_id
        guild = self._bot.get_guild(guild_id)
        channel = guild and guild.get_channel_or_thread(channel_id)
        place = await ask_place(self._bot, guild_id, channel_id)
        return notice_wording.notice_embed(
            telling,
            channel.name if channel else None,
            guild.name if guild else None,
            [] if place is None else missing_in(place),
        )

    async def _note(self, notice: Notice, outcome: Outcome) -> None:
        match outcome:
            case Sent(message_id):
                await self._notices.settle(notice)
                log.info("notices.told", notice_id=notice.id, message_id=message_id)
            case Refused() | ChannelClosed():  # `/subscriptions` still says what is the matter
                await self._notices.settle(notice)
                log.warning("notices.refused", notice_id=notice.id, reason=outcome.reason)
            case Later() | BotClosed():
                wait_s = await self._notices.failed(notice)
                event = "notices.given_up" if wait_s is None else "notices.later"
                log.warning(event, notice_id=notice.id, reason=outcome.reason, retry_in_s=wait_s)
            case _:
                assert_never(outcome)


async def _outcome(sending: Coroutine[Any, Any, int]) -> Outcome:
    """One try, and what became of it."""
    try:
        async with asyncio.timeout(SEND_WITHIN_S):
            return Sent(await sending)
    except (discord.DiscordException, aiohttp.ClientError, OSError) as error:
        if isinstance(error, discord.HTTPException) and error.code == OPENING_TOO_FAST:
            return Later("Discord asked for a slower pace in opening direct messages")
        return outcome_of(error)


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do it; if the bot is stopped meanwhile, it gets `DRAIN_S` to end.

    Told and not noted, it would be told again at the next start, and Discord knows the nonce for
    some minutes only.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=DRAIN_S)
        task.cancel()
        raise
