"""`python -m bot events`: what Speckle sent, and what became of it in each channel.

It reads beside a running bot, and changes nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import click

from bot.amounts import duration_text
from bot.cards.text import shorten_plain
from bot.cli.outbox_texts import reason, table
from bot.cli.stored import Printable, opened
from bot.cli.terminal import print_line
from bot.errors import NotASpeckleLink
from bot.lookups import EventFilter, LoggedEvent
from bot.model import InboxSource
from bot.program import PROGRAM
from bot.services.channel_event import ChannelEvent, Outcome, channel_event, entry_concerned
from bot.services.project_followers import followed_entries
from bot.services.subscribe_results import Followed
from bot.settings import Settings
from bot.speckle.links import parse_link
from bot.storage import Storage, Transaction
from bot.timing import utc_now
from bot.trace_texts import OUTCOMES, trace_text

RUN: Final = f"{PROGRAM} events"
HEADS: Final = ("id", "age", "source", "project", "event", "what became of it")
NOTHING_FITS: Final = (
    "No event is kept that fits what you asked for. Look at the ids, or begin earlier with --since."
)
MAX_PROJECT: Final = 28
SOURCES: Final[Mapping[InboxSource, str]] = {
    InboxSource.WEBHOOK: "webhook",
    InboxSource.OPERATOR: "your webhook",
    InboxSource.HISTORY: "history",
    InboxSource.ACTIVITY: "lists",
    InboxSource.LIVE: "live",
    InboxSource.TEST: "/test",
    InboxSource.CHECKS: "checks",
}


@dataclass(frozen=True, slots=True)
class EventsWanted:
    """Which events to list; None for all. `project` is an id, or a link."""

    guild_id: int | None = None
    channel_id: int | None = None
    project: str | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class FoundEvent:
    """An event, and what became of it in each channel that it concerns."""

    event: LoggedEvent
    channels: Sequence[ChannelEvent]
    project_name: str | None
    names: Mapping[int, str]


async def list_all(settings: Settings, wanted: EventsWanted, limit: int, *, as_json: bool) -> bool:
    """Print the newest events, a line each; whether there are any."""
    project_id = None if wanted.project is None else _project_id(wanted.project)
    async with opened(settings) as storage:
        found = await storage.read(lambda tx: _newest(tx, wanted, project_id, limit))
    view = EventView(settings)
    if as_json:
        print_line(json.dumps([view.facts(one) for one in found], indent=2))
        return bool(found)
    if not found:
        asked_for_all = wanted == EventsWanted()
        print_line("No event is kept yet." if asked_for_all else NOTHING_FITS)
        return False
    for line in table(HEADS, [view.cells(one, utc_now()) for one in found]):
        print_line(line)
    print_line("")
    count = "1 event" if len(found) == 1 else f"{len(found):,} events"
    more = "; --limit shows more" if len(found) == limit else ""
    print_line(f"{count}, the newest first{more}. Details: `{RUN} show ID`")
    return True


async def show(settings: Settings, event_id: int, *, as_json: bool) -> bool:
    """Print the whole way of one event; whether it is there."""
    async with opened(settings) as storage:
        found = await _get(storage, event_id)
    if found is None:
        missing = (
            f"✘ There is no event {event_id}: its number is wrong, or it was deleted after its "
            f"retention period. `{RUN} list` shows the events."
        )
        print_line("null" if as_json else missing)
        return False
    view = EventView(settings)
    if as_json:
        print_line(json.dumps(view.facts(found), indent=2))
    else:
        for line in view.all_of(found, utc_now()):
            print_line(line)
    return True


def _project_id(typed: str) -> str:
    try:
        return parse_link(typed).project_id
    except NotASpeckleLink as error:
        raise click.UsageError(f"--project is no project: {error.why}") from error


def _newest(
    tx: Transaction, wanted: EventsWanted, project_id: str | None, limit: int
) -> Sequence[FoundEvent]:
    narrowed = wanted.guild_id is not None or wanted.channel_id is not None
    entries = _entries(tx, wanted.guild_id, wanted.channel_id)
    subscriptions = [one.subscription for one in entries] if narrowed else None
    if subscriptions == []:
        return ()
    asked = EventFilter(project_id, subscriptions, wanted.since)
    return [_found(tx, event, entries) for event in tx.event_log.newest(asked, limit)]


async def _get(storage: Storage, event_id: int) -> FoundEvent | None:
    def work(tx: Transaction) -> FoundEvent | None:
        event = tx.event_log.get(event_id)
        return None if event is None else _found(tx, event, _entries(tx))

    return await storage.read(work)


def _entries(
    tx: Transaction, guild_id: int | None = None, channel_id: int | None = None
) -> Sequence[Followed]:
    return followed_entries(tx, tx.event_log.subscription_ids(guild_id, channel_id))


def _found(tx: Transaction, event: LoggedEvent, entries: Sequence[Followed]) -> FoundEvent:
    concerned = [one for one in entries if entry_concerned(event, [one]) is not None]
    places = {
        id_ for one in concerned for id_ in (one.subscription.channel_id, one.subscription.guild_id)
    }
    names = (one.hook.project_name for one in concerned)
    return FoundEvent(
        event,
        [channel_event(event, one, named=True, titled=True) for one in concerned],
        next((name for name in names if name is not None), None),
        tx.discord_names.of(places),
    )


class EventView(Printable):
    """What is shown of an event."""

    def cells(self, found: FoundEvent, now: datetime) -> Sequence[str]:
        """An event as a line of the list."""
        event = found.event
        return (
            str(event.id),
            duration_text((now - event.event_at).total_seconds()),
            SOURCES[event.source],
            shorten_plain(self.text(found.project_name or event.project_id), MAX_PROJECT),
            self._name(event),
            "; ".join(self._became(found, now)),
        )

    def _name(self, event: LoggedEvent) -> str:
        if event.kind is not None:
            return event.kind
        return self.text(event.event_name) or ("not read" if event.finished_at else "not read yet")

    def _became(self, found: FoundEvent, now: datetime) -> Iterator[str]:
        for one in found.channels:
            channel = one.followed.subscription.channel_id
            why = self._why(one, now)
            place = self.place(channel, found.names.get(channel), "#")
            yield f"{place}: {OUTCOMES[one.outcome]}{f' ({why})' if why else ''}"
        if not found.channels:
            lines = found.event.trace
            yield self.text(trace_text(lines[-1])) if lines else "waits to be looked at"

    def _why(self, one: ChannelEvent, now: datetime) -> str:
        if one.card is not None:
            return self.text(reason(one.card, now))
        decided = one.outcome in (Outcome.FILTERED, Outcome.NOT_SHOWN) and one.decided is not None
        line = one.decided if decided else None
        if line is None:
            return ""
        return self.text(trace_text(line)).removeprefix("Not shown: ").removesuffix(".")

    def facts(self, found: FoundEvent) -> dict[str, Any]:
        """An event as JSON, without its body."""
        event, now = found.event, utc_now()
        return {
            "id": event.id,
            "event": event.kind,
            "trigger": self.text(event.event_name) or None,
            "source": event.source.value,
            "state": event.state.value,
            "project_id": event.project_id,
            "project_name": self.text(found.project_name) or None,
            "server_url": event.server_url,
            "happened_at": event.event_at.isoformat(),
            "received_at": event.received_at.isoformat(),
            "channels": [self._channel_facts(found, one, now) for one in found.channels],
            "trace": self.trace_facts(event.trace),
        }

    def _channel_facts(self, found: FoundEvent, one: ChannelEvent, now: datetime) -> dict[str, Any]:
        subscription = one.followed.subscription
        guild_id, channel_id = subscription.guild_id, subscription.channel_id
        return {
            "guild_id": str(guild_id),
            "guild_name": self.text(found.names.get(guild_id)) or None,
            "channel_id": str(channel_id),
            "channel_name": self.text(found.names.get(channel_id)) or None,
            "outcome": one.outcome.value,
            "why": self._why(one, now) or None,
            "card": None if one.card is None else one.card.id,
        }

    def all_of(self, found: FoundEvent, now: datetime) -> Iterator[str]:
        """An event and where it went, line by line."""
        event = found.event
        ago = duration_text((now - event.event_at).total_seconds())
        yield f"Event {event.id}: {self._name(event)}"
        yield f"  happened {event.event_at:%Y-%m-%d %H:%M:%S} UTC, {ago} ago"
        live = event.source is InboxSource.LIVE
        by = "live through an account" if live else f"by {SOURCES[event.source]}"
        yield f"  received {event.received_at:%Y-%m-%d %H:%M:%S} UTC, {by}"
        yield f"  project  {self.text(found.project_name) or '(no name)'}, {event.project_id}"
        for one in found.channels:
            yield from self._channel_lines(found, one, now)
        yield "Its way:"
        yield from self.trace_lines(event.trace)

    def _channel_lines(self, found: FoundEvent, one: ChannelEvent, now: datetime) -> Iterator[str]:
        subscription, names = one.followed.subscription, found.names
        channel = self.place(subscription.channel_id, names.get(subscription.channel_id), "#")
        guild = self.place(subscription.guild_id, names.get(subscription.guild_id))
        why = self._why(one, now)
        yield f"  channel  {channel} in guild {guild}"
        yield f"           {OUTCOMES[one.outcome]}{f': {why}' if why else ''}"
        if one.card is not None:
            yield f"           card {one.card.id}: {PROGRAM} outbox show {one.card.id}"
