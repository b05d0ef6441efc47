"""`python -m bot outbox`: which cards wait or were refused and why; once more, or drop them.

It works while the bot runs, which sees within seconds what was changed here.
"""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Final

from cryptography.fernet import Fernet

from bot.cards.text import one_line, seen, shorten_plain
from bot.errors import ConfigError, Problem
from bot.log import Redactor
from bot.model import PauseReason
from bot.settings import Settings
from bot.speckle.payloads import EMAIL, MASKED_EMAIL
from bot.storage import Storage, needs_migration, schema_version
from bot.timing import utc_now
from bot.vault import Vault
from bot.work import CardFilter, CardStatus, InboxEvent, OutboxActionResult, OutboxState, TraceLine

MAX_NAME: Final = 28
MAX_TITLE: Final = 44
MAX_IDS: Final = 20
RUN: Final = "python3 run.py outbox"

PAUSES: Final[Mapping[PauseReason, str]] = {
    PauseReason.MEMBER: "a member paused the subscription",
    PauseReason.PROJECT_DELETED: "the project was deleted in Speckle",
    PauseReason.CHANNEL_GONE: "paused, because the channel is gone",
    PauseReason.NO_PERMISSION: "paused, because the bot is not allowed to post in the channel",
    PauseReason.THREAD_CLOSED: "paused, because the thread is closed",
    PauseReason.SILENCED: "paused, because Discord refuses for now; tried again automatically",
    PauseReason.ACCESS_LOST: "paused, because access to the Speckle project was lost",
    PauseReason.ASK_AGAIN: "paused, until someone confirms who may see the project",
}
RESUME: Final = "`/subscriptions` in that Discord server, then Resume, sends what waits."
INVITE: Final = "What waits is sent once the bot is invited there again."

Say = Callable[[str], None]


class OutboxCommand:
    """What a host reads and does; `say` prints a line. Each says whether it found anything."""

    def __init__(self, storage: Storage, settings: Settings, say: Say) -> None:
        self._storage = storage
        self._safe = Safe(settings)
        self._say = say

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, say: Say) -> AsyncIterator["OutboxCommand"]:
        """On the database that the settings name, which is left as old as it is.

        Errors: ConfigError if it has not got today's tables, StorageUnavailable, SchemaTooNew,
        SchemaTooOld.
        """
        found, _ = await schema_version(settings.database_url)
        if needs_migration(found):
            what = f"The database has version {found}." if found else "There is no database yet."
            hint = "Start the bot once, or `python3 run.py migrate`; look at DATABASE_URL too."
            raise ConfigError(Problem("DATABASE_URL", what, hint))
        # A key of the moment: nothing is opened with it.
        vault = Vault([Fernet.generate_key().decode()])
        async with Storage.open(settings.database_url, vault, utc_now) as storage:
            yield cls(storage, settings, say)

    async def list(self, wanted: CardFilter, limit: int, *, as_json: bool) -> bool:
        """The newest cards, a line each."""
        cards = await self._storage.read(lambda tx: tx.outbox_admin.newest(wanted, limit))
        if as_json:
            self._say(json.dumps([self._safe.facts(card) for card in cards], indent=2))
            return bool(cards)
        if not cards:
            self._say(_what_was_looked_for(wanted))
            return False
        now = utc_now()
        for line in table(HEADS, [self._safe.cells(card, now) for card in cards]):
            self._say(line)
        total = await self._storage.read(lambda tx: tx.outbox_admin.count(wanted))
        more = f"{len(cards):,} of {total:,} cards, the newest first; --limit shows more. "
        self._say("")
        self._say(f"{more if total > len(cards) else ''}Details: {RUN} show ID")
        return True

    async def show(self, card_id: int, *, as_json: bool) -> bool:
        """All that is known of one card, with the way of its event."""
        found = await self._storage.read(lambda tx: tx.outbox_admin.get([card_id]))
        card = next(iter(found), None)
        if card is None:
            self._say("null" if as_json else _no_card([card_id]))
            return False
        event = None
        if (inbox_id := card.inbox_id) is not None:
            event = await self._storage.read(lambda tx: tx.inbox.get(inbox_id))
        if as_json:
            facts = self._safe.facts(card) | {"event": self._safe.event_facts(event)}
            self._say(json.dumps(facts, indent=2))
            return True
        for line in self._safe.all_of(card, event, utc_now()):
            self._say(line)
        return True

    async def retry(self, cards: Sequence[int]) -> bool:
        """Have cards tried again now, in their old place."""
        done = await self._storage.retry_cards(cards)
        again = of(done, OutboxActionResult.REQUEUED)
        sooner = of(done, OutboxActionResult.HASTENED)
        if again:
            self._say(f"✔ Waiting again, in their old place: {listed(again)}.")
        if sooner:
            self._say(f"✔ Waiting already; their channels are tried now: {listed(sooner)}.")
        waiting = [*again, *sooner, *of(done, OutboxActionResult.HELD)]
        held = [card for card in await self._get(waiting) if card.held]
        for why, some in by_reason(held, utc_now()):
            ids = listed([card.id for card in some])
            self._say(f"– Kept for now, as {why}: {ids}. {remedy(some[0])}")
        if len(held) < len(waiting):
            self._say(f"A running bot sends them within seconds; {RUN} list shows what is left.")
        self._not_done(done)
        return bool(waiting)

    async def all_undeliverable(self, channel_id: int | None) -> Sequence[int]:
        """The ids of what Discord did not take."""
        wanted = CardFilter(states=(OutboxState.UNDELIVERABLE,), channel_id=channel_id)
        ids = await self._storage.read(lambda tx: tx.outbox_admin.ids(wanted))
        if not ids:
            self._say("No card is undeliverable there. Nothing was changed.")
        return ids

    async def about_to_drop(self, ids: Sequence[int]) -> bool:
        """Show what would be dropped; whether there is any of it."""
        now = utc_now()
        cards = await self._get(ids)
        going = [card for card in cards if card.state is not OutboxState.SENT]
        for line in table(HEADS, [self._safe.cells(card, now) for card in going]):
            self._say(line)
        if not going:
            self._not_done(
                dict.fromkeys(ids, OutboxActionResult.ABSENT)
                | {c.id: OutboxActionResult.SENT for c in cards}
            )
        return bool(going)

    async def drop(self, ids: Sequence[int]) -> bool:
        """Delete cards permanently."""
        done = await self._storage.drop_cards(ids)
        dropped = of(done, OutboxActionResult.DROPPED)
        if dropped:
            self._say(f"✔ Dropped permanently: {listed(dropped)}.")
        self._not_done(done)
        return bool(dropped)

    async def _get(self, ids: Sequence[int]) -> Sequence[CardStatus]:
        return await self._storage.read(lambda tx: tx.outbox_admin.get(ids))

    def _not_done(self, done: Mapping[int, OutboxActionResult]) -> None:
        if flying := of(done, OutboxActionResult.IN_FLIGHT):
            self._say(
                f"✘ Left alone, as Discord may have the message already: {listed(flying)}. The "
                f"next try finds out; when that is: {RUN} show {flying[0]}"
            )
        if sent := of(done, OutboxActionResult.SENT):
            self._say(f"✘ Left alone, as it was sent: {listed(sent)}. Delete it in Discord.")
        if absent := of(done, OutboxActionResult.ABSENT):
            self._say(_no_card(absent))


def _no_card(ids: Sequence[int]) -> str:
    return (
        f"✘ There is no card {listed(ids)}: its number is wrong, or it was deleted after its "
        f"retention period. {RUN} list shows the cards."
    )


def _what_was_looked_for(wanted: CardFilter) -> str:
    where = [
        f"guild {wanted.guild_id}" if wanted.guild_id is not None else "",
        f"channel {wanted.channel_id}" if wanted.channel_id is not None else "",
    ]
    places = " and ".join(place for place in where if place)
    states = " or ".join(wanted.states)
    return f"Nothing is {states}{f' in {places}' if places else ''}."


def of(done: Mapping[int, OutboxActionResult], kind: OutboxActionResult) -> Sequence[int]:
    """The cards that this became of."""
    return [card_id for card_id, what in done.items() if what is kind]


def listed(ids: Sequence[int]) -> str:
    """Numbers in a sentence; of very many, the first and how many more."""
    shown = ", ".join(map(str, ids[:MAX_IDS]))
    return f"{shown} and {len(ids) - MAX_IDS:,} more" if len(ids) > MAX_IDS else shown


def by_reason(cards: Sequence[CardStatus], now: datetime) -> Iterator[tuple[str, list[CardStatus]]]:
    """The cards, put together by what holds them."""
    found: dict[str, list[CardStatus]] = {}
    for card in cards:
        found.setdefault(reason(card, now), []).append(card)
    yield from found.items()


# ── in words ──────────────────────────────────────────────────────────────────────────────────

HEADS: Final = ("id", "state", "age", "channel", "project", "title", "reason")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with columns; the last one is as long as it is. Nothing for no rows."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)][:-1]
    for row in (heads, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def span(seconds: float) -> str:
    """A length of time as people say it."""
    for unit, unit_s in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def reason(card: CardStatus, now: datetime) -> str:
    """Why a card is where it is."""
    if card.state is OutboxState.SENT:
        return ""
    if card.state is OutboxState.UNDELIVERABLE:
        return card.error or "Discord did not accept it"
    if card.bot_left:
        return "the bot was removed from this Discord server"
    if card.pause is not None:
        return PAUSES[card.pause]
    tried = card.channel_error or card.error
    if tried is not None:
        return f"{tried}; {next_try(card, now)}"
    return "its message is on its way" if card.in_flight else next_try(card, now)


def remedy(card: CardStatus) -> str:
    """What lets a held card continue."""
    return INVITE if card.bot_left else RESUME


def next_try(card: CardStatus, now: datetime) -> str:
    """When the bot tries the card's channel next."""
    if card.held:
        return "not while it is held back"
    if card.due_at is None:
        return f"not due; {RUN} retry {card.id} tries it now"
    wait_s = (card.due_at - now).total_seconds()
    if wait_s > 0:
        return f"next try in {span(wait_s)}"
    return "due now" if wait_s > -60 else f"due for {span(-wait_s)}: does the bot run?"


class Safe:
    """What is shown of a card: no control character, no secret, nobody's address."""

    def __init__(self, settings: Settings) -> None:
        self._redactor = Redactor(settings.secret_values())

    def text(self, text: str | None) -> str:
        """A text of others, on one line."""
        line = one_line(text, otherwise="")
        return self._redactor.redact(EMAIL.sub(MASKED_EMAIL, line))

    def cells(self, card: CardStatus, now: datetime) -> Sequence[str]:
        """A card as a line of the list."""
        return (
            str(card.id),
            card.state,
            span((now - card.since).total_seconds()),
            str(card.channel_id),
            shorten_plain(self.text(card.project_name or card.project_id), MAX_NAME),
            shorten_plain(self.text(seen(card.title)), MAX_TITLE),
            self.text(reason(card, now)),
        )

    def facts(self, card: CardStatus) -> dict[str, Any]:
        """A card as JSON; times in ISO 8601, ids of Discord as text, since they exceed 2**53."""
        now = utc_now()
        return {
            "id": card.id,
            "state": card.state.value,
            "age_s": round((now - card.since).total_seconds()),
            "guild_id": str(card.guild_id),
            "channel_id": str(card.channel_id),
            "project_id": card.project_id,
            "project_name": self.text(card.project_name) or None,
            "title": self.text(seen(card.title)),
            "reason": self.text(reason(card, now)) or None,
            "form": card.level.value,
            "in_flight": card.in_flight,
            "pause": card.pause and card.pause.value,
            "attempts": card.attempts,
            "created_at": card.created_at.isoformat(),
            "gave_up_at": card.gave_up_at and card.gave_up_at.isoformat(),
            "sent_at": card.sent_at and card.sent_at.isoformat(),
            "next_try_at": card.due_at and _if_waiting(card, card.due_at.isoformat()),
            "message_id": card.message_id and str(card.message_id),
        }

    def event_facts(self, event: InboxEvent | None) -> dict[str, Any] | None:
        """The event of a card as JSON, without its body."""
        if event is None:
            return None
        return {
            "id": event.id,
            "name": event.event_name,
            "received_at": event.received_at.isoformat(),
            "trace": [
                {"at": line.at.isoformat(), "stage": line.stage, "text": self.text(line.text)}
                for line in event.trace
            ],
        }

    def all_of(self, card: CardStatus, event: InboxEvent | None, now: datetime) -> Iterator[str]:
        """A card and its event, line by line."""
        yield f"Card {card.id}: {self.text(seen(card.title))}"
        since = f"{card.since:%Y-%m-%d %H:%M:%S} UTC, {span((now - card.since).total_seconds())}"
        yield f"  state    {card.state} since {since}"
        yield f"  project  {self.text(card.project_name) or '(no name)'}, {card.project_id}"
        yield f"  channel  {card.channel_id} in guild {card.guild_id}"
        if card.message_id is not None:
            yield f"  message  {card.message_id}"
        if why := reason(card, now):
            yield f"  reason   {self.text(why)}"
        if card.state is OutboxState.WAITING:
            yield f"  next     {next_try(card, now)}; failed tries so far: {card.attempts}"
        yield f"  form     {card.level}"
        yield from self._event_lines(event)
        yield from hint_for(card)

    def _event_lines(self, event: InboxEvent | None) -> Iterator[str]:
        if event is None:
            yield "Its event is no longer kept."
            return
        received = f"received {event.received_at:%Y-%m-%d %H:%M} UTC"
        yield f"Event {event.id}: {event.event_name}, {received}"
        for line in event.trace:
            yield f"  {line.at:%H:%M:%S} {line.stage:<8} {self.text(line.text)}{_where(line)}"


def _if_waiting(card: CardStatus, text: str) -> str | None:
    return text if card.state is OutboxState.WAITING else None


def _where(line: TraceLine) -> str:
    channel_id = line.facts.get("channel_id")
    return "" if channel_id is None else f" (channel {channel_id})"


def hint_for(card: CardStatus) -> Iterator[str]:
    """What a host can do about a card that is not sent."""
    if card.state is OutboxState.SENT:
        return
    if card.held:
        yield remedy(card)
    yield f"Try it again: {RUN} retry {card.id}; or delete it: {RUN} drop {card.id}"
