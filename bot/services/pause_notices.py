"""Whom the bot still has to notify that it paused what they set up, and for how long it tries."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.model import RIGHTS_PAUSES, PauseNotice, Subscription
from bot.services.subscribe_results import Followed
from bot.storage import Storage
from bot.timing import Backoff

AT_ONCE = 50  # notices a look; more wait for the next
IN_ONE_MESSAGE = 10  # as many as Discord takes embeds
RETRY = Backoff((60.0, 300.0, 1800.0, 3600.0))
GIVE_UP_AFTER = timedelta(
    hours=48
)  # after that, people who miss the cards have looked in `/subscriptions`


@dataclass(frozen=True, slots=True)
class NoticeGroup:
    """A notice with all that its message says.

    `entries` are what no longer comes through; `cards` are kept for the channel, or events that
    become cards. `notice_channel_id` is where the guild wants it, None for a direct message.
    `channel_seen`: the person who is notified can still see the channel.
    """

    notice: PauseNotice
    entries: tuple[Followed, ...]
    cards: int
    notice_channel_id: int | None
    channel_seen: bool = True

    @property
    def is_heard(self) -> bool:
        """Whether all of it is live through accounts."""
        return all(one.hook.is_heard for one in self.entries)


def group_notices(notices: Iterable[PauseNotice]) -> list[list[PauseNotice]]:
    """Those that go to one person in one message: of one guild, up to IN_ONE_MESSAGE."""
    groups: dict[tuple[int, int], list[list[PauseNotice]]] = {}
    for notice in sorted(notices, key=lambda one: one.id):
        of_person = groups.setdefault((notice.guild_id, notice.user_id), [[]])
        if len(of_person[-1]) == IN_ONE_MESSAGE:
            of_person.append([])
        of_person[-1].append(notice)
    return [group for of_person in groups.values() for group in of_person]


class PauseNoticeService:
    """Returns what is due now, and notes the result."""

    def __init__(self, storage: Storage, now: Callable[[], datetime]) -> None:
        self._storage = storage
        self._now = now

    async def due(self) -> list[PauseNotice]:
        """Notices to send now, the longest due first."""
        return await self._storage.read(lambda tx: tx.pause_notices.due(AT_ONCE))

    async def group_for(self, notice: PauseNotice) -> NoticeGroup | None:
        """What to say; None if it is not worth saying any more.

        That is so when everything was resumed or removed in between, or the bot left the guild.
        """
        guild = await self._storage.read(lambda tx: tx.guilds.get(notice.guild_id))
        paused = await self._paused(notice)
        ids = {one.hook_id for one in paused}
        hooks = {hook.id: hook for hook in await self._storage.read(lambda tx: tx.hooks.these(ids))}
        if guild is None or guild.left_at is not None or not paused:
            return None
        cards = await self._kept(notice, paused)
        there = tuple(Followed(hooks[one.hook_id], one) for one in paused if one.hook_id in hooks)
        return NoticeGroup(notice, there, cards, guild.notice_channel_id)

    async def _kept(self, notice: PauseNotice, paused: Sequence[Subscription]) -> int:
        if notice.reason in RIGHTS_PAUSES:
            return await self._storage.read(
                lambda tx: tx.held_events.count([one.id for one in paused])
            )
        return await self._storage.read(lambda tx: tx.pause_notices.cards_kept(notice.channel_id))

    async def _paused(self, notice: PauseNotice) -> list[Subscription]:
        """What this member made the channel follow, and is still paused for such a reason."""
        there = await self._storage.read(lambda tx: tx.subscriptions.of_channel(notice.channel_id))
        for_rights = notice.reason in RIGHTS_PAUSES
        return [
            one
            for one in there
            if one.created_by == notice.user_id
            and (one.is_paused_for_rights if for_rights else one.is_paused_by_discord)
        ]

    async def settle(self, notices: Sequence[PauseNotice]) -> None:
        """They are sent, or nobody can be reached: they do not come again."""
        await self._storage.write(lambda tx: tx.pause_notices.settle(*(one.id for one in notices)))

    async def failed(self, notice: PauseNotice) -> float | None:
        """It could not be sent now: seconds until the next try, None if this was the last."""
        if self._now() - notice.created_at >= GIVE_UP_AFTER:
            await self.settle([notice])
            return None
        wait_s = RETRY.delay_s(notice.attempts)
        await self._storage.write(
            lambda tx: tx.pause_notices.postpone(notice.id, self._now() + timedelta(seconds=wait_s))
        )
        return wait_s
