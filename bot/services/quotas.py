"""What one guild may use, so that a stranger's guild cannot fill the disk or the day."""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

import structlog

from bot.errors import StorageUnavailable
from bot.model import Guild, Hook
from bot.quota import DayQuota, QuotaNotice, QuotaUse
from bot.services.refusals import CommandRefused, Limited, NoRoom
from bot.storage import Storage, Transaction

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class GuildLimits:
    """What a guild may use: events and bytes in a day (UTC), hooks, subscriptions, model names.

    Names are counted for each project.
    """

    events_a_day: int
    bytes_a_day: int
    hooks: int
    subscriptions: int
    model_names: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a guild uses of its limits; `ends_at` is when the next day begins."""

    limits: GuildLimits
    used: QuotaUse
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class OverQuota:
    """A guild to notify that a hook sent too much today.

    `hook` is None if it is gone, `channels` are those that show its events.
    """

    notice: QuotaNotice
    guild: Guild
    hook: Hook | None
    channels: tuple[int, ...]
    usage: Usage


class QuotaService:
    """Knows the limits of each guild, and what it has used of them.

    `limits` is None for nobody having any; the guilds in `without` have none in any case.
    """

    def __init__(
        self,
        storage: Storage,
        limits: GuildLimits | None,
        *,
        without: Collection[int] = (),
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._limits = limits
        self._without = frozenset(without)
        self._now = now
        self._full: tuple[date, set[int]] = (now().date(), set())  # hooks, on that day

    def of(self, guild_id: int) -> GuildLimits | None:
        """A guild's limits; None if it has none."""
        return None if guild_id in self._without else self._limits

    def model_names(self, guild_id: int) -> int | None:
        """How many names of models are kept of each of a guild's projects; None for all."""
        limits = self.of(guild_id)
        return None if limits is None else limits.model_names

    def day(self, guild_id: int) -> DayQuota | None:
        """What a guild's webhooks may send in a day."""
        limits = self.of(guild_id)
        if limits is None:
            return None
        return DayQuota(guild_id, limits.events_a_day, limits.bytes_a_day)

    def day_of_fetched(self, guild_id: int) -> DayQuota | None:
        """What may be fetched later in a day, together with what Speckle sends: half of it.

        So a day that was full is caught up with, and does not use up the next one.
        """
        day = self.day(guild_id)
        return None if day is None else day.halved()

    def is_used_up(self, hook: Hook, size: int) -> bool:
        """Whether it is certain, without asking the database, that an event has no room."""
        day = self.day(hook.guild_id)
        return day is not None and not self._storage.use_of_today.has_room(day, hook.id, size)

    async def note_full(self, hook: Hook) -> timedelta:
        """An event of a hook had no room: how long until there is.

        The first one of a hook's day is logged, and its guild will be notified.
        """
        now = self._now()
        left = self._ends_at(now) - now
        if self._full[0] != now.date():
            self._full = now.date(), set()
        hook_ids = self._full[1]
        if hook.id not in hook_ids:
            hook_ids.add(hook.id)
            log.warning(
                "quota.used_up",
                guild_id=hook.guild_id,
                hook_id=hook.id,
                for_s=round(left.total_seconds()),
            )
            with suppress(StorageUnavailable):  # the answer is the same
                await self._storage.write(lambda tx: tx.day_use.note(hook.guild_id, hook.id))
        return left

    async def usage(self, guild_id: int) -> Usage | None:
        """What a guild uses; None if it has no limits."""
        limits = self.of(guild_id)
        if limits is None:
            return None
        used = await self._storage.read(lambda tx: tx.day_use.used(guild_id))
        return Usage(limits, used, self._ends_at(self._now()))

    def highest_shares(self, tx: Transaction) -> Mapping[str, float]:
        """The most that any guild uses of each of its quotas, as a part of it; none without."""
        limits = self._limits
        if limits is None:
            return {}
        use = tx.totals.highest_use(self._without)
        return {
            "events": use.events / limits.events_a_day,
            "bytes": use.bytes / limits.bytes_a_day,
            "webhooks": use.hooks / limits.hooks,
            "subscriptions": use.subscriptions / limits.subscriptions,
        }

    async def require_room_for_hook(self, guild_id: int) -> None:
        """Refuse a new hook that would be one too many. Errors: CommandRefused."""
        usage = await self.usage(guild_id)
        if usage is not None:
            _require_room(Limited.HOOKS, usage.used.hooks, usage.limits.hooks)

    async def require_room_for_subscription(self, guild_id: int) -> None:
        """Refuse a new subscription that would be one too many. Errors: CommandRefused."""
        usage = await self.usage(guild_id)
        if usage is not None:
            used, limit = usage.used.subscriptions, usage.limits.subscriptions
            _require_room(Limited.SUBSCRIPTIONS, used, limit)

    # ── notices ───────────────────────────────────────────────────────────────────────────────

    async def due_notices(self) -> list[QuotaNotice]:
        """The guilds to notify today."""
        return await self._storage.read(lambda tx: tx.day_use.due_notices())

    async def over_quota_today(self, hook: Hook) -> Usage | None:
        """What a hook's guild uses, if the day had no room for events of the hook; else None."""
        day, hook_ids = self._full
        is_full = day == self._now().date() and hook.id in hook_ids
        return await self.usage(hook.guild_id) if is_full else None

    async def over_quota_of(self, notice: QuotaNotice) -> OverQuota | None:
        """What to report; None if nobody is left to notify."""
        guild = await self._storage.read(lambda tx: tx.guilds.get(notice.guild_id))
        usage = await self.usage(notice.guild_id)
        if guild is None or guild.left_at is not None or usage is None:
            return None
        hook = await self._storage.read(lambda tx: tx.hooks.get(notice.hook_id))
        shown = await self._storage.read(lambda tx: tx.subscriptions.of_hook(notice.hook_id))
        channels = tuple(one.channel_id for one in shown)
        return OverQuota(notice, guild, hook, channels, usage)

    async def mark_notified(self, notice: QuotaNotice) -> None:
        """A guild is notified, or nobody of it can be."""
        await self._storage.write(lambda tx: tx.day_use.mark_notified(notice))

    def _ends_at(self, now: datetime) -> datetime:
        return datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)


def _require_room(limited: Limited, used: int, limit: int) -> None:
    if used >= limit:
        raise CommandRefused(NoRoom(limited, used, limit))
