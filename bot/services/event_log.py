"""Why something is in a channel, or is not: /why, /events, and the menu of a card.

Each member who sees a channel may ask, for what concerns that channel alone. What filters or access
keep out of it is named by its kind, its time and the rule; more only to who could let it in alone.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeAlias

from bot.lookups import (
    CardStatus,
    EventFilter,
    LoggedEvent,
)
from bot.model import InboxSource
from bot.permissions import Actor
from bot.services.access_rules import DecideAccess, Show
from bot.services.channel_event import ChannelEvent, card_of, channel_event, entry_concerned
from bot.services.event_reference import (
    ZONE_STEPS_MIN,
    EventNumber,
    EventReference,
    LastEvent,
    MessageReference,
    Moments,
    ThingReference,
    read_reference,
)
from bot.services.managed_entries import with_what_is_not_heard
from bot.services.project_followers import followed_entries
from bot.services.refusals import ChannelNotSeen, CommandRefused
from bot.services.subscribe_results import Followed
from bot.services.webhook_looks import WebhookLooks
from bot.services.webhook_results import EnsureFailed, WebhookLook
from bot.storage import Storage, Transaction
from bot.trace import TraceStep

MOST_LISTED: Final = 25  # as many as a select takes
LOOKED_THROUGH: Final = 500  # events of a channel, for one that is named by a link or a time
MOST_ASKED: Final = 3  # projects of a channel whose webhooks are looked at for one answer

ReadsHistory: TypeAlias = Callable[[int], bool]
"""Whether the reader may read the earlier messages of a channel."""


@dataclass(frozen=True, slots=True)
class ChannelLog:
    """The last events of a channel at a time, the newest first, and what it follows.

    `over_quota`: further events of what it follows are refused today.
    """

    channel_id: int
    at: datetime
    entries: Sequence[Followed]
    events: Sequence[ChannelEvent]
    over_quota: bool = False


@dataclass(frozen=True, slots=True)
class SeveralEvents:
    """What was asked about at a time may be each of these."""

    channel_id: int
    at: datetime
    reference: EventReference
    events: Sequence[ChannelEvent]


@dataclass(frozen=True, slots=True)
class NothingArrived:
    """Nothing of what was asked about reached the bot for this channel.

    `webhooks` are what Speckle says of the webhook of each entry, where an account may ask;
    `elsewhere` are channels that the reader sees, and that follow it. `over_quota`: events of the
    server were refused today. `manages`: the reader may change what the channel follows.
    """

    channel_id: int
    reference: EventReference
    entries: Sequence[Followed]
    webhooks: Mapping[int, WebhookLook | EnsureFailed | None]
    last: ChannelEvent | None
    elsewhere: tuple[int, ...]
    over_quota: bool
    manages: bool


@dataclass(frozen=True, slots=True)
class OneEvent:
    """The event that was asked about; `manages`: the reader may change what the channel follows."""

    channel_id: int
    event: ChannelEvent
    manages: bool


WhyAnswer: TypeAlias = OneEvent | SeveralEvents | NothingArrived


class EventLogService:
    """Reads the log of a channel's events for one of its members.

    `decide_access` is the one rule of who may see what.
    """

    def __init__(
        self,
        storage: Storage,
        decide_access: DecideAccess,
        webhook_looks: WebhookLooks,
        *,
        speckle_servers: Collection[str],
        has_public_url: bool,
        now: Callable[[], datetime],
    ) -> None:
        self._storage = storage
        self._decide_access = decide_access
        self._webhook_looks = webhook_looks
        self._servers = speckle_servers
        self._has_public_url = has_public_url
        self._now = now

    def reference(self, typed: str | None) -> EventReference:
        """Which event somebody means. Errors: NotAnEventReference."""
        return read_reference(typed or "", self._now(), self._servers)

    async def listed(
        self, guild_id: int, actor: Actor, channel_id: int, *, titled: ReadsHistory
    ) -> ChannelLog:
        """The last events of a channel. Errors: CommandRefused if the actor cannot see it."""
        entries = await self._entries(guild_id, actor, channel_id)
        found = await self._events(entries, EventFilter(), MOST_LISTED)
        events = [one.as_seen(titled=titled(channel_id)) for one in found]
        hooks = {one.hook.id for one in entries}
        over_quota = await self._storage.read(lambda tx: tx.day_use.is_noted(guild_id, hooks))
        return ChannelLog(channel_id, self._now(), entries, events, over_quota)

    async def why(
        self,
        guild_id: int,
        actor: Actor,
        channel_id: int,
        reference: EventReference,
        *,
        titled: ReadsHistory,
    ) -> WhyAnswer:
        """The event that somebody means, or what may be the matter where none came."""
        if isinstance(reference, MessageReference) and reference.channel_id is not None:
            channel_id = reference.channel_id
        entries = await self._entries(guild_id, actor, channel_id)
        found = await self._meant(channel_id, entries, reference)
        reads = titled(channel_id)
        if len(found) == 1:
            named = await self._may_read_names(actor, found[0].entry)
            one = found[0].as_seen(titled=reads, named=named)
            changed_at = await self._changed_at(one)
            one = replace(one, shown_as=await self._shown_as(one), changed_at=changed_at)
            return OneEvent(channel_id, one, actor.manages(channel_id))
        if found:
            events = [one.as_seen(titled=reads) for one in found]
            return SeveralEvents(channel_id, self._now(), reference, events)
        return await self._nothing(guild_id, actor, channel_id, entries, reference)

    async def _entries(self, guild_id: int, actor: Actor, channel_id: int) -> Sequence[Followed]:
        if not actor.sees(channel_id):
            raise CommandRefused(ChannelNotSeen(channel_id))
        entries = await self._storage.read(lambda tx: _entries(tx, guild_id, channel_id))
        return await with_what_is_not_heard(
            self._storage, entries, self._servers, has_address=self._has_public_url
        )

    async def _meant(
        self, channel_id: int, entries: Sequence[Followed], reference: EventReference
    ) -> Sequence["_Concerned"]:
        match reference:
            case LastEvent():
                return await self._events(entries, EventFilter(), 1)
            case EventNumber(number):
                event = await self._storage.read(lambda tx: tx.event_log.get(number))
                return _concerning(entries, [] if event is None else [event])
            case MessageReference(_, message_id):
                events = await self._storage.read(
                    lambda tx: tx.event_log.of_message(channel_id, message_id)
                )
                return _concerning(entries, events)
            case ThingReference(project_id, thing_id):
                wanted = EventFilter(project_id=project_id)
                found = await self._events(entries, wanted, LOOKED_THROUGH)
                about = [one for one in found if thing_id in (None, *one.event.things)]
                return about[: 1 if thing_id is None else MOST_LISTED]
            case Moments():
                return await self._around(entries, reference)

    async def _around(
        self, entries: Sequence[Followed], moments: Moments
    ) -> Sequence["_Concerned"]:
        wanted = EventFilter(since=moments.first, until=moments.last)
        events = await self._events(entries, wanted, LOOKED_THROUGH)
        for step in ZONE_STEPS_MIN:
            if near := [one for one in events if moments.fits(one.event.event_at, step)]:
                return near[:MOST_LISTED]
        return ()

    async def _events(
        self, entries: Sequence[Followed], wanted: EventFilter, limit: int
    ) -> Sequence["_Concerned"]:
        """The newest events of these entries, the newest first, without samples of /test."""
        followed = [one.subscription for one in entries]
        if not followed:
            return ()
        wanted = replace(wanted, subscriptions=followed, samples=False)
        found = await self._storage.read(lambda tx: tx.event_log.newest(wanted, limit))
        return _concerning(entries, found)

    async def _may_read_names(self, actor: Actor, entry: Followed) -> bool:
        """Whether somebody could let in alone what the filters keep out, and so may know of it.

        That is the person who answered for the channel, as long as the rule lets them; where nobody
        was asked, who may change its filters.
        """
        subscription = entry.subscription
        consent, account_id = subscription.consent, subscription.account_id
        if not actor.manages(subscription.channel_id):
            return False
        if consent is not None and consent.by != actor.id:
            return False
        if account_id is not None:
            account = await self._storage.read(lambda tx: tx.accounts.get(account_id))
            if account is None or account.discord_user_id != actor.id:
                return False
        decisions = await self._decide_access(entry.hook, [subscription], InboxSource.WEBHOOK)
        return isinstance(decisions.get(subscription.id), Show)

    async def _changed_at(self, event: ChannelEvent) -> Mapping[str, datetime]:
        """Which options of the channel were changed since the event came, and when."""
        entry, since = event.followed, event.received_at
        return await self._storage.read(
            lambda tx: tx.audit_log.filters_changed(
                entry.subscription, entry.hook.project_id, since
            )
        )

    async def _shown_as(self, event: ChannelEvent) -> CardStatus | None:
        """The card of the event that said the same before."""
        other = None if event.decided is None else event.decided.facts.get("inbox_id")
        if event.decided is None or event.decided.step != TraceStep.SHOWN_BEFORE:
            return None
        found = await self._storage.read(
            lambda tx: None if other is None else tx.event_log.get(int(other))
        )
        return None if found is None else card_of(found, event.followed.subscription)

    # ── nothing came ──────────────────────────────────────────────────────────────────────────

    async def _nothing(
        self,
        guild_id: int,
        actor: Actor,
        channel_id: int,
        entries: Sequence[Followed],
        reference: EventReference,
    ) -> NothingArrived:
        project_id = reference.project_id if isinstance(reference, ThingReference) else None
        meant = [one for one in entries if project_id in (None, one.hook.project_id)]
        looks = not isinstance(reference, EventNumber | MessageReference)
        asked = meant[:MOST_ASKED] if looks else []
        found = await asyncio.gather(*(self._webhook_looks.of(one, actor) for one in asked))
        last = await self._events(meant, EventFilter(), 1)
        there, over_quota = await self._storage.read(
            lambda tx: (
                _following(tx, guild_id, project_id),
                tx.day_use.is_noted(guild_id, {one.hook.id for one in meant}),
            )
        )
        return NothingArrived(
            channel_id,
            reference,
            meant,
            {one.subscription.id: look for one, look in zip(asked, found, strict=True)},
            next((one.as_seen(titled=False) for one in last), None),
            tuple(one for one in there if one != channel_id and actor.sees(one)),
            over_quota,
            actor.manages(channel_id),
        )


@dataclass(frozen=True, slots=True)
class _Concerned:
    """An event, and the entry of the channel that it concerns."""

    event: LoggedEvent
    entry: Followed

    def as_seen(self, *, titled: bool, named: bool = False) -> ChannelEvent:
        """The event as a member of the channel may know it."""
        return channel_event(self.event, self.entry, named=named, titled=titled)


def _concerning(entries: Sequence[Followed], events: Sequence[LoggedEvent]) -> Sequence[_Concerned]:
    """Those of these events that concern one of the entries."""
    found = ((event, entry_concerned(event, entries)) for event in events)
    return [_Concerned(event, entry) for event, entry in found if entry is not None]


def _entries(tx: Transaction, guild_id: int, channel_id: int) -> Sequence[Followed]:
    there = (one for one in tx.subscriptions.of_channel(channel_id) if one.guild_id == guild_id)
    entries = followed_entries(tx, [one.id for one in there])
    return sorted(entries, key=lambda entry: entry.subscription.id)


def _following(tx: Transaction, guild_id: int, project_id: str | None) -> Sequence[int]:
    """The channels of a guild that follow a project, or any."""
    hooks = {hook.id: hook for hook in tx.hooks.of_guild(guild_id)}
    found = (
        one.channel_id
        for one in tx.subscriptions.of_guild(guild_id)
        if one.hook_id in hooks and project_id in (None, hooks[one.hook_id].project_id)
    )
    return list(dict.fromkeys(found))
