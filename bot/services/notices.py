"""Whom the bot has yet to tell that it paused what they set up, and for how long it tries."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.db.rows import Hook, Notice, PauseReason, Subscription
from bot.services.subscriptions import has_lost_access, is_blocked
from bot.storage import Storage

AT_ONCE = 20  # notices a look; more wait for the next
RETRY_S = (60.0, 300.0, 1800.0, 3600.0)  # then hourly
GIVE_UP_AFTER = timedelta(hours=48)  # by then `/subscriptions` has told whoever missed the cards


@dataclass(frozen=True, slots=True)
class Telling:
    """A notice with all that its message says.

    `hooks` are the projects that no longer come through; `cards` are kept for the channel.
    `notice_channel_id` is where the guild wants it told, None for a direct message.
    """

    notice: Notice
    hooks: tuple[Hook, ...]
    cards: int
    notice_channel_id: int | None


class NoticeService:
    """Says what is to be told now, and notes what became of it."""

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now

    async def due(self) -> list[Notice]:
        """Notices to tell now, the longest due first."""
        return await self._storage.notices.due(AT_ONCE)

    async def telling(self, notice: Notice) -> Telling | None:
        """What to say; None if it is not worth saying any more.

        That is so when all went on meanwhile, was removed, or the bot left the guild.
        """
        guild = await self._storage.guilds.get(notice.guild_id)
        paused = await self._paused(notice)
        hooks = [await self._storage.hooks.get(one.hook_id) for one in paused]
        if guild is None or guild.left_at is not None or not paused:
            return None
        lost = notice.reason is PauseReason.ACCESS_LOST
        cards = await self._storage.notices.cards_kept(
            notice.channel_id, [one.id for one in paused] if lost else None
        )
        there = tuple(hook for hook in hooks if hook is not None)
        return Telling(notice, there, cards, guild.notice_channel_id)

    async def _paused(self, notice: Notice) -> list[Subscription]:
        """What this member made the channel follow, and is still paused for such a reason."""
        there = await self._storage.subscriptions.of_channel(notice.channel_id)
        is_paused = has_lost_access if notice.reason is PauseReason.ACCESS_LOST else is_blocked
        return [one for one in there if one.created_by == notice.user_id and is_paused(one)]

    async def settle(self, notice: Notice) -> None:
        """It is told, or nobody can be told: it does not come again."""
        await self._storage.notices.settle(notice.id)

    async def failed(self, notice: Notice) -> float | None:
        """It could not be told now: seconds until the next try, None if this was the last."""
        if self._now() - notice.created_at >= GIVE_UP_AFTER:
            await self.settle(notice)
            return None
        wait_s = RETRY_S[min(notice.attempts, len(RETRY_S) - 1)]
        await self._storage.notices.postpone(notice.id, self._now() + timedelta(seconds=wait_s))
        return wait_s
