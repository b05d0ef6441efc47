"""The way of one event as the page shows it: seven stages, and what each decided, by which rule."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from bot.cards.text import seen
from bot.cli.outbox_texts import reason
from bot.lookups import CardStatus, LoggedEvent
from bot.model import InboxSource
from bot.services.channel_event import KEPT, OUTCOME_OF
from bot.trace import CATCH_UP_STAGE, SUBSCRIPTIONS_FACT, TraceLine, TraceStep
from bot.trace_texts import trace_text
from bot.work import InboxState, OutboxState


class WayStage(StrEnum):
    """The stages, in their order."""

    RECEIVED = "received"
    SIGNATURE = "signature"
    FILTER = "filter"
    ACCESS = "access"
    ENRICHED = "enriched"
    QUEUED = "queued"
    ANSWER = "answer"


class Tone(StrEnum):
    """How a stage went."""

    OK = "ok"
    WAITING = "waiting"
    STOPPED = "stopped"  # by a rule, as somebody wished it
    FAILED = "failed"
    OPEN = "open"  # nothing happened there


STAGE_OF: Final[Mapping[str, WayStage]] = {
    CATCH_UP_STAGE: WayStage.RECEIVED,
    "parse": WayStage.RECEIVED,
    "route": WayStage.FILTER,
    "access": WayStage.ACCESS,
}  # all others: enriched
COMES_LATE: Final = frozenset(
    {TraceStep.FACTS_LATE, TraceStep.PICTURE_NOT_YET, TraceStep.PICTURE_LATE}
)
SIGNED: Final = "The signature is right: only Speckle and the bot know this webhook's secret."
NOT_SIGNED: Final[Mapping[InboxSource, str]] = {
    InboxSource.HISTORY: "Read from Speckle itself, with the account that made the webhook.",
    InboxSource.ACTIVITY: "Read from Speckle itself, with the account that subscribed the channel.",
    InboxSource.LIVE: (
        "Nothing to sign: the bot asked Speckle itself, with the account of the person who "
        "subscribed the channel."
    ),
    InboxSource.CHECKS: "Not sent by Speckle: the bot asked what the version's checks found.",
    InboxSource.TEST: "A sample that /test made. It never happened.",
}
HEARD: Final = "No webhook called. The bot read it in Speckle {after_s:.1f} s after it happened."
CALLED: Final = "Speckle called the bot's webhook. The event was on disk before the answer."


@dataclass(frozen=True, slots=True)
class WayLine:
    """What happened at a stage, in one channel or for the event as a whole."""

    stage: WayStage
    tone: Tone
    text: str
    at: datetime | None = None
    channel: str | None = None


@dataclass(frozen=True, slots=True)
class WayNames:
    """What the ids in an event are called."""

    channels: Mapping[int, str]  # by the channel's id
    subscribed: Mapping[int, int]  # the channel of a subscription, by its id
    projects: Mapping[str, str]

    def of_line(self, line: TraceLine) -> str | None:
        """The channels that a line is about."""
        facts = line.facts
        ids = [int(one) for one in str(facts.get(SUBSCRIPTIONS_FACT, "")).split()]
        if "subscription_id" in facts:
            ids = [int(facts["subscription_id"])]
        found = {self.subscribed.get(one, 0) for one in ids}
        if "channel_id" in facts:
            found.add(int(facts["channel_id"]))
        return ", ".join(sorted(self.channel(one) for one in found if one)) or None

    def channel(self, channel_id: int) -> str:
        """A channel's name."""
        return self.channels.get(channel_id, "a channel that is gone")


@dataclass(frozen=True, slots=True)
class EventWay:
    """An event with its way; `id` is the bot's number for it, or what the page calls one that the
    bot keeps nothing of.
    """

    id: str
    title: str
    kind: str
    project: str
    at: datetime
    outcome: Tone
    summary: str
    lines: Sequence[WayLine]

    def as_row(self) -> dict[str, Any]:
        """For the list, without the lines."""
        tones = {stage: _tone([one.tone for one in self._of(stage)]) for stage in WayStage}
        return {
            "id": self.id, "title": self.title, "kind": self.kind, "project": self.project,
            "at": self.at.isoformat(), "outcome": self.outcome, "summary": self.summary,
            "tones": tones,
        }  # fmt: skip

    def as_detail(self) -> dict[str, Any]:
        """All of it."""
        stages = [
            {"name": stage, "lines": [self._line(one) for one in self._of(stage)]}
            for stage in WayStage
        ]
        return self.as_row() | {"stages": stages}

    def _of(self, stage: WayStage) -> Sequence[WayLine]:
        return [one for one in self.lines if one.stage is stage]

    def _line(self, line: WayLine) -> dict[str, Any]:
        after = None if line.at is None else round((line.at - self.at).total_seconds() * 1000)
        at = line.at and line.at.isoformat()
        return asdict(line) | {"at": at, "after_ms": after}


def way_of(event: LoggedEvent, names: WayNames, now: datetime) -> EventWay:
    """The way of an event that the bot took in."""
    outcome, summary = _outcome(event)
    titles = [seen(card.title) for card in event.cards if card.title]
    kind = (event.kind or event.event_name or "not read yet").replace("_", " ")
    return EventWay(
        str(event.id),
        titles[0] if titles else kind.capitalize() if event.kind else "An event",
        kind,
        names.projects.get(event.project_id, event.project_id),
        event.received_at,
        outcome,
        summary,
        [*_arrival(event), *_traced(event, names), *_sending(event, names, now)],
    )


def _outcome(event: LoggedEvent) -> tuple[Tone, str]:
    states = [card.state for card in event.cards]
    shown = states.count(OutboxState.SENT)
    if event.state is InboxState.FAILED:
        return Tone.FAILED, "Not understood"
    if event.state is InboxState.NEW:
        return Tone.WAITING, "On disk, next in line"
    if OutboxState.UNDELIVERABLE in states:
        return Tone.FAILED, "Discord did not accept it"
    if OutboxState.WAITING in states:
        return Tone.WAITING, "Waits for Discord"
    if event.held:
        return Tone.WAITING, "Kept, not shown yet"
    if not shown:
        return Tone.STOPPED, "Not shown"
    return Tone.OK, f"Shown in {shown} channel{'' if shown == 1 else 's'}"


def _arrival(event: LoggedEvent) -> Iterator[WayLine]:
    at = event.received_at
    other = NOT_SIGNED.get(event.source)
    if other is None:
        yield WayLine(WayStage.RECEIVED, Tone.OK, CALLED, at)
    elif event.source is InboxSource.LIVE:
        after_s = max(0.0, (at - event.event_at).total_seconds())
        yield WayLine(WayStage.RECEIVED, Tone.OK, HEARD.format(after_s=after_s), at)
    yield WayLine(WayStage.SIGNATURE, Tone.OK, other or SIGNED, at)


def _traced(event: LoggedEvent, names: WayNames) -> Iterator[WayLine]:
    for line in event.trace:
        stage = STAGE_OF.get(line.stage, WayStage.ENRICHED)
        yield WayLine(stage, _tone_of(line), trace_text(line), line.at, names.of_line(line))


def _tone_of(line: TraceLine) -> Tone:
    if line.step == TraceStep.NOT_A_DELIVERY:
        return Tone.FAILED
    if line.step in KEPT or line.step in COMES_LATE:
        return Tone.WAITING
    return Tone.STOPPED if line.step in OUTCOME_OF else Tone.OK


def _sending(event: LoggedEvent, names: WayNames, now: datetime) -> Iterator[WayLine]:
    """A card's place in the queue, and what Discord said; the oldest card first."""
    for card in sorted(event.cards, key=lambda one: one.id):
        channel = names.channel(card.channel_id)
        text = f"Card {card.id} is on disk, behind the others of its channel."
        yield WayLine(WayStage.QUEUED, Tone.OK, text, event.finished_at, channel)
        yield _answer(card, channel, now)


def _answer(card: CardStatus, channel: str, now: datetime) -> WayLine:
    match card.state:
        case OutboxState.SENT:
            text = f"Discord took it, as message {card.message_id}."
            return WayLine(WayStage.ANSWER, Tone.OK, text, card.sent_at, channel)
        case OutboxState.WAITING:
            text = _sentence(reason(card, now))
            return WayLine(WayStage.ANSWER, Tone.WAITING, text, None, channel)
        case OutboxState.UNDELIVERABLE:
            text = _sentence(reason(card, now))
            return WayLine(WayStage.ANSWER, Tone.FAILED, text, card.gave_up_at, channel)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _tone(tones: Sequence[Tone]) -> Tone:
    """What a stage of several lines looks like: what needs a look first."""
    order = (Tone.FAILED, Tone.WAITING, Tone.OK, Tone.STOPPED)
    return next((one for one in order if one in tones), Tone.OPEN)
