"""How cards that wait or were refused read in a terminal, and as JSON."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bot.amounts import duration_text
from bot.cards.text import seen, shorten_plain
from bot.cli.stored import Printable
from bot.lookups import CardFilter, CardStatus
from bot.model import PauseReason
from bot.problem_texts import reason_text
from bot.problems import SendReason
from bot.program import PROGRAM
from bot.timing import utc_now
from bot.work import (
    FallbackLevel,
    InboxEvent,
    OutboxState,
)

MAX_NAME: Final = 28
MAX_TITLE: Final = 44
MAX_IDS: Final = 20
RUN: Final = f"{PROGRAM} outbox"

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
FORMS: Final[Mapping[FallbackLevel, str]] = {
    FallbackLevel.FULL: "complete",
    FallbackLevel.NO_MEDIA: (
        "without pictures and links but its buttons, as Discord refused the complete card"
    ),
    FallbackLevel.TEXT: "plain text, as Discord refused the card",
}
NO_CARDS_YET: Final = (
    "Events that wait until someone confirms who will see them are no cards yet: `events list` "
    "shows them."
)
RESUME: Final = "`/subscriptions` in that Discord server, then Resume, sends what waits."
INVITE: Final = "What waits is sent once the bot is invited there again."


def no_card(ids: Sequence[int]) -> str:
    """What is said of numbers that no card has."""
    return (
        f"✘ There is no card {listed(ids)}: its number is wrong, or it was deleted after its "
        f"retention period. `{RUN} list` shows the cards."
    )


def more_cards(shown: int, total: int) -> str:
    """What is said below a list: whether there are more, and how to see all of one."""
    more = f"{shown:,} of {total:,} cards, the newest first; --limit shows more. "
    return f"{more if total > shown else ''}Details: `{RUN} show ID`"


def nothing_found(wanted: CardFilter) -> str:
    """What is said of an empty list."""
    where = [
        f"guild {wanted.guild_id}" if wanted.guild_id is not None else "",
        f"channel {wanted.channel_id}" if wanted.channel_id is not None else "",
    ]
    places = " and ".join(place for place in where if place)
    states = " or ".join(wanted.states)
    since = "" if wanted.since is None else f" since {wanted.since:%Y-%m-%d %H:%M} UTC"
    nothing = f"No card is {states}{f' in {places}' if places else ''}{since}."
    return f"{nothing} {NO_CARDS_YET}" if OutboxState.WAITING in wanted.states else nothing


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


HEADS: Final = ("id", "state", "age", "channel", "guild", "project", "title", "reason")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines with columns; the last one is as long as it is. Nothing for no rows."""
    if not rows:
        return
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)][:-1]
    for row in (heads, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=True)]
        yield "  ".join([*cells, row[-1]]).rstrip()


def reason(card: CardStatus, now: datetime) -> str:
    """Why a card is where it is."""
    if card.state is OutboxState.SENT:
        return ""
    if card.state is OutboxState.UNDELIVERABLE:
        return _sent_why(card.error) or "Discord did not accept it"
    if card.bot_left:
        return "the bot was removed from this Discord server"
    if card.pause is not None:
        return PAUSES[card.pause]
    tried = _sent_why(card.channel_error or card.error)
    if tried is not None:
        return f"{tried}; {next_try(card, now)}"
    return "its message is on its way" if card.in_flight else next_try(card, now)


def _sent_why(stored: str | None) -> str | None:
    return stored and reason_text(SendReason.from_stored(stored))


def remedy(card: CardStatus) -> str:
    """What lets a held card continue."""
    return INVITE if card.bot_left else RESUME


def next_try(card: CardStatus, now: datetime) -> str:
    """When the bot tries the card's channel next."""
    if card.held:
        return "not before the channel continues"
    if card.due_at is None:
        return f"not due; {RUN} retry {card.id} tries it now"
    wait_s = (card.due_at - now).total_seconds()
    if wait_s > 0:
        return f"next try in {duration_text(wait_s)}"
    return "due now" if wait_s > -60 else f"due for {duration_text(-wait_s)}: does the bot run?"


class CardView(Printable):
    """What is shown of a card."""

    def cells(self, card: CardStatus, now: datetime) -> Sequence[str]:
        """A card as a line of the list."""
        return (
            str(card.id),
            card.state,
            duration_text((now - card.since).total_seconds()),
            self.place(card.channel_id, card.channel_name, "#"),
            self.place(card.guild_id, card.guild_name),
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
            "guild_name": self.text(card.guild_name) or None,
            "channel_id": str(card.channel_id),
            "channel_name": self.text(card.channel_name) or None,
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
            "trace": self.trace_facts(event.trace),
        }

    def all_of(self, card: CardStatus, event: InboxEvent | None, now: datetime) -> Iterator[str]:
        """A card and its event, line by line."""
        yield f"Card {card.id}: {self.text(seen(card.title))}"
        ago = f"{duration_text((now - card.since).total_seconds())} ago"
        yield f"  state    {card.state}"
        yield f"  since    {card.since:%Y-%m-%d %H:%M:%S} UTC, {ago}"
        yield f"  project  {self.text(card.project_name) or '(no name)'}, {card.project_id}"
        channel = self.place(card.channel_id, card.channel_name, "#")
        yield f"  channel  {channel} in guild {self.place(card.guild_id, card.guild_name)}"
        if card.message_id is not None:
            yield f"  message  {card.message_id}"
        if why := reason(card, now):
            yield f"  reason   {self.text(why)}"
        if card.state is OutboxState.WAITING:
            yield f"  next     {next_try(card, now)}; failed tries so far: {card.attempts}"
        yield f"  form     {FORMS[card.level]}"
        yield from self._event_lines(event)
        yield from hint_for(card)

    def _event_lines(self, event: InboxEvent | None) -> Iterator[str]:
        if event is None:
            yield "Its event is no longer kept."
            return
        received = f"received {event.received_at:%Y-%m-%d %H:%M} UTC"
        yield f"Event {event.id}: {event.event_name}, {received}"
        yield from self.trace_lines(event.trace)


def _if_waiting(card: CardStatus, text: str) -> str | None:
    return text if card.state is OutboxState.WAITING else None


def hint_for(card: CardStatus) -> Iterator[str]:
    """What a host can do about a card that is not sent."""
    if card.state is OutboxState.SENT:
        return
    if card.held:
        yield remedy(card)
    if card.held and card.state is OutboxState.WAITING:
        yield f"To delete it instead: {RUN} drop {card.id}"
    else:
        yield f"Try it again: {RUN} retry {card.id}; or delete it: {RUN} drop {card.id}"
