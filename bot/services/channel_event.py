"""An event as one channel may know it: what became of it there, and what of its trace is read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from bot.lookups import (
    CardStatus,
    HeldSince,
    LoggedEvent,
)
from bot.model import InboxSource, Subscription, SubscriptionState
from bot.services.subscribe_results import Followed
from bot.speckle.events import EventKind
from bot.trace import TraceLine, TraceStep
from bot.work import InboxState, OutboxState

NAMING_FACTS: Final = frozenset({"model", "author", "pattern", "reason", "silence"})
"""What filters keep out, and what a server said in its own words."""


class Outcome(StrEnum):
    """What became of an event in a channel."""

    SHOWN = "shown"
    WAITING = "waiting"
    PAUSED = "paused"  # and kept
    FILTERED = "filtered"
    NOT_SHOWN = "not_shown"
    REFUSED = "refused"  # by Discord


OUTCOME_OF: Final[Mapping[str, Outcome]] = {
    TraceStep.NOT_A_DELIVERY: Outcome.NOT_SHOWN,
    TraceStep.NOT_FOLLOWED: Outcome.NOT_SHOWN,
    TraceStep.NOT_FOLLOWED_HERE: Outcome.NOT_SHOWN,
    TraceStep.SHOWN_BEFORE: Outcome.NOT_SHOWN,
    TraceStep.SUBSCRIPTION_PAUSED: Outcome.NOT_SHOWN,
    TraceStep.BEFORE_FOLLOWING: Outcome.NOT_SHOWN,
    TraceStep.FILTERED: Outcome.FILTERED,
    TraceStep.FILTERED_AS_CONFIRMED: Outcome.FILTERED,
    TraceStep.HELD_FOR_CONSENT: Outcome.NOT_SHOWN,
    TraceStep.ACCESS_UNKNOWN: Outcome.NOT_SHOWN,
    TraceStep.ACCESS_PAUSED: Outcome.NOT_SHOWN,
    TraceStep.HOOK_NOT_SERVED: Outcome.NOT_SHOWN,
    TraceStep.BODY_ERASED: Outcome.NOT_SHOWN,
    TraceStep.NOTHING_CHANGED: Outcome.NOT_SHOWN,
}
"""What a step means where it is the last that decides, and no card or held event is there."""

KEPT: Final = frozenset(
    {TraceStep.HELD_FOR_CONSENT, TraceStep.ACCESS_UNKNOWN, TraceStep.ACCESS_PAUSED}
)
"""After these steps an event is held."""


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """An event as one channel may know it.

    `lines` are those of its trace that concern the channel; `decided` is the one that decided.
    `card` and `held` are where it is now. `named`: names that the filters keep out may be read;
    `titled`: the reader may read the channel's earlier messages. `shown_as` is the card of another
    event that said the same. `changed_at` says of options when they were changed since it came.
    """

    id: int
    at: datetime
    received_at: datetime
    source: InboxSource
    kind: EventKind | None
    is_new: bool
    followed: Followed
    outcome: Outcome
    decided: TraceLine | None
    lines: tuple[TraceLine, ...]
    card: CardStatus | None = None
    held: HeldSince | None = None
    named: bool = False
    titled: bool = False
    shown_as: CardStatus | None = None
    changed_at: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def title(self) -> str | None:
        """What its card says first, where the reader can read that in the channel too."""
        return None if self.card is None or not self._reads_card else self.card.title

    @property
    def said(self) -> str | None:
        """The first line below that title, such as a version's message, for the same readers."""
        return None if self.card is None or not self._reads_card else self.card.first_line or None

    @property
    def _reads_card(self) -> bool:
        sent = self.card is not None and self.card.state is OutboxState.SENT
        return self.named or (self.titled and sent)


def entry_concerned(event: LoggedEvent, entries: Sequence[Followed]) -> Followed | None:
    """The entry that an event concerns: it has a card or is held for it, or came by its hook."""
    for entry in entries:
        one = entry.subscription
        if card_of(event, one) is not None or _held_of(event, one) is not None:
            return entry
    for entry in entries:
        one = entry.subscription
        mine = event.subscription_id in (None, one.id)
        came_here = event.ordering_key == entry.hook.ordering_key
        is_sample = event.source is InboxSource.TEST and event.subscription_id == one.id
        if is_sample or (mine and came_here and event.received_at >= one.shows_since):
            return entry
    return None


def card_of(event: LoggedEvent, subscription: Subscription) -> CardStatus | None:
    """The event's card for a subscription."""
    return next((one for one in event.cards if one.subscription_id == subscription.id), None)


def _held_of(event: LoggedEvent, subscription: Subscription) -> HeldSince | None:
    return next((one for one in event.held if one.subscription_id == subscription.id), None)


def channel_event(
    event: LoggedEvent, entry: Followed, *, named: bool, titled: bool
) -> ChannelEvent:
    """An event as the channel of this entry may know it."""
    subscription = entry.subscription
    card, held = card_of(event, subscription), _held_of(event, subscription)
    read = titled and card is not None and card.state is OutboxState.SENT
    lines = tuple(
        line if named or (read and line.step == TraceStep.WANTED) else _without_names(line)
        for line in event.trace
        if line.concerns(subscription)
    )
    decided = next((line for line in reversed(lines) if line.step in OUTCOME_OF), None)
    if decided is not None and decided.step in KEPT and card is None and held is None:
        # Retention took it away, which leaves no line.
        decided = replace(decided, step=TraceStep.BODY_ERASED, facts={})
        lines = (*lines, decided)
    return ChannelEvent(
        event.id,
        event.event_at,
        event.received_at,
        event.source,
        EventKind(event.kind) if event.kind in set(EventKind) else None,
        event.state is InboxState.NEW,
        entry,
        _outcome(event, subscription, card, held, decided),
        decided,
        lines,
        card,
        held,
        named,
        titled,
    )


def _outcome(
    event: LoggedEvent,
    subscription: Subscription,
    card: CardStatus | None,
    held: HeldSince | None,
    decided: TraceLine | None,
) -> Outcome:
    paused = subscription.state is SubscriptionState.PAUSED
    if card is not None:
        match card.state:
            case OutboxState.SENT:
                return Outcome.SHOWN
            case OutboxState.UNDELIVERABLE:
                return Outcome.REFUSED
            case OutboxState.WAITING:
                return Outcome.PAUSED if card.held else Outcome.WAITING
    if held is not None:
        return Outcome.PAUSED if paused else Outcome.WAITING
    if event.state is InboxState.NEW:
        return Outcome.WAITING
    return Outcome.NOT_SHOWN if decided is None else OUTCOME_OF[decided.step]


def _without_names(line: TraceLine) -> TraceLine:
    """The line without what filters keep out, and without what a server said in its own words."""
    facts = {name: value for name, value in line.facts.items() if name not in NAMING_FACTS}
    return replace(line, facts=facts)
