"""Tells people what the bot paused: in the guild's notice channel, else in a direct message."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

import discord
import structlog

from bot.cogs import notice_wording
from bot.cogs.buttons import view_of
from bot.cogs.notice_wording import Seen
from bot.cogs.notices import buttons
from bot.cogs.places import ask_place
from bot.cogs.watch import Unanswered, fetch_member, sees
from bot.db.rows import NOBODY, Notice
from bot.discord_codes import Meaning
from bot.discord_outcomes import (
    DISCORD_ERRORS,
    BotClosed,
    ChannelClosed,
    Later,
    Outcome,
    Refused,
    Sent,
    outcome_of,
)
from bot.errors import StorageUnavailable
from bot.services.notices import NoticeService, Telling, together
from bot.services.requirements import missing_in
from bot.timing import periodic

if TYPE_CHECKING:
    from bot.discord_client import SpeckleBot

log = structlog.get_logger()

T = TypeVar("T")

SEND_WITHIN_S = 60.0  # discord.py's own five tries take up to 25 s
DRAIN_S = 5.0  # below the 10 s that service managers commonly give before they kill
NONCE_LENGTH = 24  # Discord takes up to 25


@dataclass(frozen=True, slots=True)
class NotifierTimings:
    """Seconds between two looks, and in which channels that close together are all found closed."""

    poll_s: float = 5.0  # a person who is told within seconds of a pause is told soon enough
    gather_s: float = 2.0


class Teller:
    """Tells one message after another: Discord dislikes bots that write to many people at once.

    What one person is to be told of one guild at the same time goes as one message.
    """

    def __init__(
        self,
        bot: "SpeckleBot",
        notices: NoticeService,
        closed_for_s: Callable[[], float],
        timings: NotifierTimings = NotifierTimings(),
    ) -> None:
        """`closed_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._notices = notices
        self._closed_for_s = closed_for_s
        self._timings = timings

    async def run(self) -> None:
        """Tell until cancelled, from the moment that the bot is logged in."""
        await self._bot.logged_in.wait()
        await periodic("notices", self._round, every_s=self._timings.poll_s)

    async def _round(self) -> None:
        if await self._gathered():
            await self.tell_due()

    async def _gathered(self) -> int:
        """How many are due, once no more join them: channels mostly close several at a time."""
        count, before = len(await self._notices.due()), 0
        while count > before:
            await asyncio.sleep(self._timings.gather_s)
            before, count = count, len(await self._notices.due())
        return count

    async def tell_due(self) -> None:
        """Tell what is due now."""
        for group in together(await _to_its_end(self._notices.due())):
            if self._closed_for_s() > 0:
                return
            await _to_its_end(self._tell_or_log(group))

    async def _tell_or_log(self, group: Sequence[Notice]) -> None:
        try:
            await self._tell_needed(group)
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours must not hold up the others' notices
            log.exception("notices.failed", notice_ids=[one.id for one in group])
            for notice in group:
                await self._notices.failed(notice)

    async def _tell_needed(self, group: Sequence[Notice]) -> None:
        tellings = []
        for notice in group:
            telling = await self._notices.telling(notice)
            if telling is not None:
                tellings.append(telling)
                continue
            log.info("notices.needless", notice_id=notice.id)
            await self._notices.settle([notice])
        if tellings:
            await self._tell(tellings)

    async def _tell(self, tellings: Sequence[Telling]) -> None:
        outcome = await self._to_channel(tellings)
        if outcome is None or isinstance(outcome, Refused | ChannelClosed):
            outcome = await self._to_maker(tellings)
        if isinstance(outcome, Refused) and outcome.because is Meaning.CARD and len(tellings) > 1:
            for telling in tellings:  # the others are not to go unsaid because of one
                await self._tell([telling])
            return
        await self._note([telling.notice for telling in tellings], outcome)

    async def _to_channel(self, tellings: Sequence[Telling]) -> Outcome | None:
        """Tell it in the guild's notice channel; None if there is none."""
        channel_id = tellings[0].notice_channel_id
        if channel_id is None:
            return None
        maker = discord.Object(tellings[0].notice.user_id)
        mentions = discord.AllowedMentions(
            everyone=False, users=[maker], roles=False, replied_user=False
        )
        message = await self._message(tellings, mentions)
        return await _outcome(self._bot.get_partial_messageable(channel_id).send(**message))

    async def _to_maker(self, tellings: Sequence[Telling]) -> Outcome:
        """Tell the person who made the subscriptions, unless they left; and nobody else."""
        user_id = tellings[0].notice.user_id
        if user_id == NOBODY:
            return Refused("whoever made it had themselves forgotten", Meaning.PERSON)
        guild = self._bot.get_guild(tellings[0].notice.guild_id)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                maker = None if guild is None else await fetch_member(guild, user_id)
                told = [await _as_seen(telling, maker) for telling in tellings]
        except Unanswered as unanswered:
            return outcome_of(unanswered.error, {Meaning.PERSON})
        except TimeoutError as error:
            return outcome_of(error)
        if guild is not None and maker is None:
            return Refused("the person who made it left the server", Meaning.PERSON)
        message = await self._message(told, None)

        async def send() -> discord.Message:
            private = await self._bot.create_dm(discord.Object(user_id))
            return await self._bot.get_partial_messageable(private.id).send(**message)

        return await _outcome(send())

    async def _message(
        self, tellings: Sequence[Telling], mentions: discord.AllowedMentions | None
    ) -> dict[str, Any]:
        """The keyword arguments of `send`; the maker is mentioned where others read it."""
        by_others = mentions is not None
        seen = [await self._seen(telling, read_by_others=by_others) for telling in tellings]
        return {
            "content": notice_wording.lead(seen, mention=by_others),
            "embeds": notice_wording.embeds(seen),
            "view": view_of(*buttons(seen)),
            # The rows' own, so that a crash before they are settled shows nothing twice.
            "nonce": _nonce(tellings),
            "allowed_mentions": mentions or discord.AllowedMentions.none(),
        }

    async def _seen(self, telling: Telling, *, read_by_others: bool) -> Seen:
        guild_id, channel_id = telling.notice.guild_id, telling.notice.channel_id
        guild = self._bot.get_guild(guild_id)
        channel = guild and guild.get_channel_or_thread(channel_id)
        place = await ask_place(self._bot, guild_id, channel_id)
        return Seen(
            telling,
            channel.name if channel and telling.channel_seen else None,
            guild.name if guild else None,
            None if place is None else missing_in(place),
            read_by_others or not telling.channel_seen,
        )

    async def _note(self, notices: Sequence[Notice], outcome: Outcome) -> None:
        ids = [notice.id for notice in notices]
        match outcome:
            case Sent(message_id):
                await self._notices.settle(notices)
                log.info("notices.told", notice_ids=ids, message_id=message_id)
            case Refused() | ChannelClosed():  # `/subscriptions` still says what is the matter
                await self._notices.settle(notices)
                log.warning("notices.refused", notice_ids=ids, reason=outcome.reason)
            case Later() | BotClosed():
                waits_s = [await self._notices.failed(notice) for notice in notices]
                event = "notices.given_up" if None in waits_s else "notices.later"
                log.warning(event, notice_ids=ids, reason=outcome.reason, retry_in_s=waits_s[0])
            case _:
                assert_never(outcome)


async def _as_seen(telling: Telling, maker: discord.Member | None) -> Telling:
    """What somebody may be told who may have lost the channel that they set up."""
    if maker is not None:
        channel = maker.guild.get_channel_or_thread(telling.notice.channel_id)
        # One that is gone or archived they see no less than when they set it up.
        if channel is None or await sees(channel, maker):
            return telling
    return replace(telling, channel_seen=False)


def _nonce(tellings: Sequence[Telling]) -> str:
    """The same for the same notices; for one alone it is its own."""
    nonces = [telling.notice.nonce for telling in tellings]
    if len(nonces) == 1:
        return nonces[0]
    return sha256(" ".join(nonces).encode()).hexdigest()[:NONCE_LENGTH]


async def _outcome(sending: Coroutine[Any, Any, discord.Message]) -> Outcome:
    """One try, and what became of it."""
    try:
        async with asyncio.timeout(SEND_WITHIN_S):
            return Sent((await sending).id)
    except DISCORD_ERRORS as error:
        return outcome_of(error, {Meaning.PERSON})


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
