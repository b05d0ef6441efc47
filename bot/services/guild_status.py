"""How the bot is doing for one guild, as one of its members may know it: what `/status` shows.

Only channels that the member sees are counted, and only servers that these follow are named.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from statistics import median
from typing import Final

from bot.errors import StorageUnavailable
from bot.lookups import CardDelay, ChannelWaiting, FollowingChannel, WaitsFor
from bot.permissions import Actor
from bot.problems import ActiveTrouble, TroubleKind
from bot.services.known_trouble import KnownTrouble
from bot.storage import Storage, Transaction

WITHIN_S: Final = 1.0  # of the 1.5 s after which Discord would be promised an answer
DELAYS_OF: Final = timedelta(hours=1)

NOT_FOR_MEMBERS: Final = frozenset(
    {TroubleKind.DISK_LOW, TroubleKind.BACKUP_TOO_OLD, TroubleKind.CATCH_UP_TOO_SHORT}
)
"""What nobody but the person who runs the bot can notice or do anything about."""


@dataclass(frozen=True, slots=True)
class Delays:
    """From an event's arrival to its card, in seconds, of so many cards."""

    median_s: float
    worst_s: float
    cards: int


@dataclass(frozen=True, slots=True)
class GuildFigures:
    """What was counted in the channels that a member sees.

    `waiting` cards are on their way, so many of them `waiting_here`; `new` events were received and
    not looked at yet. `held` events have no cards before Speckle or Discord says who may see them.
    `paused` ones of all these wait until a person resumes their channel. `over_quota`: the server's
    quota for today is used up.
    """

    channels: int
    last_event: FollowingChannel | None
    waiting: int
    waiting_here: int
    oldest_at: datetime | None
    paused: int
    delays: Delays | None
    new: int = 0
    held: int = 0
    held_since: datetime | None = None
    over_quota: bool = False


@dataclass(frozen=True, slots=True)
class GuildStatus:
    """The whole of it; `figures` is None where the database did not give them in time."""

    up_since: datetime
    figures: GuildFigures | None
    troubles: Sequence[ActiveTrouble]


class GuildStatusService:
    """Answers within a second, with less in it where the database is slow."""

    def __init__(
        self,
        storage: Storage,
        known_trouble: Callable[[], KnownTrouble],
        now: Callable[[], datetime],
        within_s: float = WITHIN_S,
    ) -> None:
        """`known_trouble` gives the service once the bot is at work: it needs the client."""
        self._storage = storage
        self._known_trouble = known_trouble
        self._now = now
        self._within_s = within_s
        self._up_since = now()

    async def of(self, guild_id: int, actor: Actor, channel_id: int) -> GuildStatus:
        """The status for somebody who asks in this channel."""
        known, counted = await asyncio.gather(
            self._known_trouble().lately(self._within_s),
            self._counted(guild_id, actor, channel_id),
        )
        servers, figures = (frozenset[str](), None) if counted is None else counted
        troubles = [
            one
            for one in known
            if one.kind not in NOT_FOR_MEMBERS and one.subject in ("", *servers)
        ]
        return GuildStatus(self._up_since, figures, troubles)

    async def _counted(
        self, guild_id: int, actor: Actor, channel_id: int
    ) -> tuple[frozenset[str], GuildFigures] | None:
        try:
            async with asyncio.timeout(self._within_s):
                there = await self._storage.read(lambda tx: tx.guild_activity.channels(guild_id))
                seen = [one for one in there if actor.sees(one.channel_id)]
                figures = await self._figures(guild_id, seen, channel_id)
        except (TimeoutError, StorageUnavailable):
            return None
        return frozenset(one.server_url for one in seen), figures

    async def _figures(
        self, guild_id: int, seen: Sequence[FollowingChannel], channel_id: int
    ) -> GuildFigures:
        since, ids = self._now() - DELAYS_OF, {one.channel_id for one in seen}

        def read(tx: Transaction) -> GuildFigures:
            activity = tx.guild_activity
            delays = [one for one in activity.delays(guild_id, since) if one.of_any(ids)]
            figures = _figures(seen, activity.waiting(ids), delays, channel_id)
            return replace(figures, over_quota=tx.day_use.is_noted(guild_id))

        return await self._storage.read(read)


def _figures(
    seen: Sequence[FollowingChannel],
    waiting: Sequence[ChannelWaiting],
    delays: Sequence[CardDelay],
    channel_id: int,
) -> GuildFigures:
    had = [(one.last_event_at, one) for one in seen if one.last_event_at is not None]
    _, last = max(had, key=itemgetter(0), default=(None, None))
    by_what = {what: [one for one in waiting if one.for_what is what] for what in WaitsFor}
    on_the_way, held = by_what[WaitsFor.DISCORD], by_what[WaitsFor.ACCESS]
    return GuildFigures(
        channels=len({one.channel_id for one in seen}),
        last_event=last,
        waiting=sum(one.count for one in on_the_way),
        waiting_here=sum(one.count for one in on_the_way if one.channel_id == channel_id),
        oldest_at=min((one.oldest_at for one in on_the_way), default=None),
        paused=sum(one.count for one in by_what[WaitsFor.RESUMING]),
        delays=_delays([one.seconds for one in delays]),
        new=sum(one.count for one in by_what[WaitsFor.BOT]),
        held=sum(one.count for one in held),
        held_since=min((one.oldest_at for one in held), default=None),
    )


def _delays(seconds: Sequence[float]) -> Delays | None:
    return Delays(median(seconds), max(seconds), len(seconds)) if seconds else None
