"""Notifies people of what the bot paused: in the guild's notice channel, else in private."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, TypeVar, assert_never

import discord
import structlog

from bot.cogs.notices import texts as notice_texts
from bot.cogs.notices.texts import NoticeContext
from bot.cogs.notices.views import buttons
from bot.cogs.persistent import view_of
from bot.discord_api.channel_audience import Unanswered, fetch_member, sees
from bot.discord_api.channels import ask_channel
from bot.discord_api.client import SpeckleBot
from bot.discord_api.error_codes import Meaning
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
from bot.errors import StorageUnavailable
from bot.model import NOBODY, PauseNotice
from bot.problems import SendProblem, SendReason
from bot.services.channel_rules import missing_permissions
from bot.services.pause_notices import NoticeGroup, PauseNoticeService, group_notices
from bot.timing import periodic

log = structlog.get_logger()

T = TypeVar("T")

SEND_WITHIN_S = 60.0  # discord.py's own five tries take up to 25 s
DRAIN_S = 5.0  # below the 10 s that service managers commonly give before they kill
NONCE_LENGTH = 24  # Discord takes up to 25


@dataclass(frozen=True, slots=True)
class NotifierTimings:
    """Seconds between two looks of those who notify people, and in which channels that close
    together are all found closed.
    """

    poll_s: float = 5.0  # a notice within seconds of a pause is soon enough
    gather_s: float = 2.0


class PauseNotifier:
    """Sends one message after another: Discord dislikes bots that write to many people at once.

    Notices that are due for one person about one guild at the same time go as one message.
    """

    def __init__(
        self,
        bot: SpeckleBot,
        notices: PauseNoticeService,
        blocked_for_s: Callable[[], float],
        timings: NotifierTimings = NotifierTimings(),
    ) -> None:
        """`blocked_for_s` says for how long Discord wants nothing at all from the bot."""
        self._bot = bot
        self._notices = notices
        self._blocked_for_s = blocked_for_s
        self._timings = timings

    async def run(self) -> None:
        """Notify until cancelled, from the moment that the bot is logged in."""
        await self._bot.logged_in.wait()
        await periodic("pause_notifier", self._round, every_s=self._timings.poll_s)

    async def _round(self) -> None:
        if await self._gathered():
            await self.notify_due()

    async def _gathered(self) -> int:
        """How many are due, once no more join them: channels mostly close several at a time."""
        count, before = len(await self._notices.due()), 0
        while count > before:
            await asyncio.sleep(self._timings.gather_s)
            before, count = count, len(await self._notices.due())
        return count

    async def notify_due(self) -> None:
        """Notify of what is due now."""
        for group in group_notices(await _to_its_end(self._notices.due())):
            if self._blocked_for_s() > 0:
                return
            await _to_its_end(self._notify_or_log(group))

    async def _notify_or_log(self, group: Sequence[PauseNotice]) -> None:
        try:
            await self._notify_needed(group)
        except StorageUnavailable:
            raise
        except Exception:  # a fault of ours must not hold up the others' notices
            log.exception("pause_notifier.failed", notice_ids=[one.id for one in group])
            for notice in group:
                await self._notices.failed(notice)

    async def _notify_needed(self, group: Sequence[PauseNotice]) -> None:
        groups = []
        for notice in group:
            notice_group = await self._notices.group_for(notice)
            if notice_group is not None:
                groups.append(notice_group)
                continue
            log.info("pause_notifier.obsolete", notice_id=notice.id)
            await self._notices.settle([notice])
        if groups:
            await self._notify(groups)

    async def _notify(self, groups: Sequence[NoticeGroup]) -> None:
        outcome = await self._to_channel(groups)
        if outcome is None or isinstance(outcome, Rejected | ChannelUnavailable):
            outcome = await self._to_maker(groups)
        if isinstance(outcome, Rejected) and outcome.meaning is Meaning.CARD and len(groups) > 1:
            for notice_group in groups:  # the others are not to go unsaid because of one
                await self._notify([notice_group])
            return
        await self._record([notice_group.notice for notice_group in groups], outcome)

    async def _to_channel(self, groups: Sequence[NoticeGroup]) -> Outcome | None:
        """Say it in the guild's notice channel; None if there is none."""
        channel_id = groups[0].notice_channel_id
        if channel_id is None:
            return None
        message = await self._message(groups, mentioned=groups[0].notice.user_id)
        return await _outcome(self._bot.get_partial_messageable(channel_id).send(**message))

    async def _to_maker(self, groups: Sequence[NoticeGroup]) -> Outcome:
        """Notify the person who made the subscriptions, unless they left; and nobody else."""
        user_id = groups[0].notice.user_id
        if user_id == NOBODY:
            return Rejected(SendReason(SendProblem.PERSON_ERASED), Meaning.PERSON)
        guild = self._bot.get_guild(groups[0].notice.guild_id)
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                maker = None if guild is None else await fetch_member(guild, user_id)
                seen = [await _as_seen_by(maker, notice_group) for notice_group in groups]
        except Unanswered as unanswered:
            return outcome_of(unanswered.error, {Meaning.PERSON})
        except TimeoutError as error:
            return outcome_of(error)
        if guild is not None and maker is None:
            return Rejected(SendReason(SendProblem.PERSON_LEFT), Meaning.PERSON)
        message = await self._message(seen, mentioned=None)

        async def send() -> discord.Message:
            private = await self._bot.create_dm(discord.Object(user_id))
            return await self._bot.get_partial_messageable(private.id).send(**message)

        return await _outcome(send())

    async def _message(
        self, groups: Sequence[NoticeGroup], *, mentioned: int | None
    ) -> dict[str, Any]:
        """The keyword arguments of `send`; somebody is mentioned where others read it."""
        by_others = mentioned is not None
        contexts = [
            await self._context(notice_group, read_by_others=by_others) for notice_group in groups
        ]
        return {
            "content": notice_texts.notice_lead(contexts, mentioned),
            "embeds": notice_texts.notice_embeds(contexts),
            "view": view_of(*buttons(contexts)),
            # The rows' own, so that a crash before they are settled shows nothing twice.
            "nonce": _nonce(groups),
            "allowed_mentions": _only(mentioned),
        }

    async def _context(self, group: NoticeGroup, *, read_by_others: bool) -> NoticeContext:
        guild_id, channel_id = group.notice.guild_id, group.notice.channel_id
        guild = self._bot.get_guild(guild_id)
        channel = guild and guild.get_channel_or_thread(channel_id)
        target = await ask_channel(self._bot, guild_id, channel_id)
        return NoticeContext(
            group,
            channel.name if channel and group.channel_seen else None,
            guild.name if guild else None,
            None if target is None else missing_permissions(target),
            read_by_others or not group.channel_seen,
        )

    async def _record(self, notices: Sequence[PauseNotice], outcome: Outcome) -> None:
        ids = [notice.id for notice in notices]
        match outcome:
            case Sent(message_id):
                await self._notices.settle(notices)
                log.info("pause_notifier.sent", notice_ids=ids, message_id=message_id)
            case Rejected() | ChannelUnavailable():
                # Nobody is notified; `/subscriptions` still says what is the matter.
                await self._notices.settle(notices)
                log.warning("pause_notifier.rejected", notice_ids=ids, **outcome.reason.to_facts())
            case RetryLater() | BotUnavailable():
                waits_s = [await self._notices.failed(notice) for notice in notices]
                event = (
                    "pause_notifier.given_up" if None in waits_s else "pause_notifier.retry_later"
                )
                facts = outcome.reason.to_facts()
                log.warning(event, notice_ids=ids, **facts, retry_in_s=waits_s[0])
            case _:
                assert_never(outcome)


async def _as_seen_by(maker: discord.Member | None, group: NoticeGroup) -> NoticeGroup:
    """What a person may still read who may have lost the channel that they set up."""
    if maker is not None:
        channel = maker.guild.get_channel_or_thread(group.notice.channel_id)
        # One that is gone or archived they see no less than when they set it up.
        if channel is None or await sees(channel, maker):
            return group
    return replace(group, channel_seen=False)


def _only(mentioned: int | None) -> discord.AllowedMentions:
    if mentioned is None:
        return discord.AllowedMentions.none()
    person = discord.Object(mentioned)
    return discord.AllowedMentions(everyone=False, users=[person], roles=False, replied_user=False)


def _nonce(groups: Sequence[NoticeGroup]) -> str:
    """The same for the same notices; for one alone it is its own."""
    nonces = [notice_group.notice.nonce for notice_group in groups]
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
    """Do it; if the bot is stopped in between, it gets `DRAIN_S` to end.

    Sent and not noted, it would be sent again at the next start, and Discord knows the nonce for
    some minutes only.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=DRAIN_S)
        task.cancel()
        raise
