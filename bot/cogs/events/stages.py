"""The way of one event in plain stages: what happened in each, by which rule and which setting."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bot.amounts import duration_text
from bot.cards.text import escape_name, moment_text, one_line
from bot.cogs.events.step_texts import STEPS, Mark, StageName, option_of, step_text
from bot.cogs.subscriptions.panel_texts import options_text
from bot.lookups import CardStatus
from bot.model import InboxSource
from bot.problem_texts import reason_text
from bot.problems import SendReason
from bot.services.channel_event import ChannelEvent
from bot.speckle.subscription_options import SubscriptionOptions
from bot.trace import HEARD_FACT, HeardBy, TraceLine, TraceStep
from bot.work import FallbackLevel, OutboxState


@dataclass(frozen=True, slots=True)
class EventStage:
    """One stage of an event's way; `setting` is what can be changed about it."""

    name: StageName
    mark: Mark
    text: str
    setting: str = ""


def stages(event: ChannelEvent) -> Iterator[EventStage]:
    """The stages that the event has been through, in their order."""
    yield _received(event)
    if event.is_new:
        return
    known = [line for line in event.lines if line.step in STEPS]
    for name in StageName:
        yield from _stage(name, event, [one for one in known if STEPS[one.step].stage is name])
    yield from _discord(event)


def kind_text(event: ChannelEvent) -> str:
    """What kind of event it is, in words."""
    return "unknown event" if event.kind is None else event.kind.words


# ── received ──────────────────────────────────────────────────────────────────────────────────

SOURCES: Final[Mapping[InboxSource, str]] = {
    InboxSource.WEBHOOK: (
        "Speckle sent it at {received} with the project's webhook, and the signature is right."
    ),
    InboxSource.OPERATOR: (
        "Speckle sent it at {received} with the webhook of the person who runs the bot, and the "
        "signature is right."
    ),
    InboxSource.HISTORY: (
        "It happened at {at}, but Speckle could not deliver it. The bot fetched it at {received} "
        "from the webhook's history."
    ),
    InboxSource.ACTIVITY: (
        "It happened at {at}, and no webhook brought it. The bot found it at {received} in the "
        "project's own lists, with the account of the person who subscribed this channel."
    ),
    InboxSource.LIVE: (
        "It happened at {at}. The bot read it at {received} in Speckle, with the account of the "
        "person who subscribed this channel: it is live through that account, without a webhook."
    ),
    InboxSource.CHECKS: (
        "The bot found it out at {received}, when it asked Speckle for the checks of a version."
    ),
    InboxSource.TEST: (
        "Someone asked for it at {received} with `/test`. It never happened in Speckle."
    ),
}

# Behind the one of InboxSource.LIVE.
HEARD: Final[Mapping[str, str]] = {
    HeardBy.RING: "Speckle had told the bot at once that something changed.",
    HeardBy.TURN: "It was found when the bot looked, which it does every {every_s} s.",
    HeardBy.LATER: (
        "The bot could not look when it happened: it was off, for example, or the channel was "
        "paused, or Speckle did not answer."
    ),
}


def _received(event: ChannelEvent) -> EventStage:
    at, received = (moment_text(one, "T") for one in (event.at, event.received_at))
    text = SOURCES[event.source].format(at=at, received=received)
    for line in event.lines:
        heard = HEARD.get(str(line.facts.get(HEARD_FACT)))
        if heard is not None:
            text += f" {heard.format_map(line.facts)}"
    if event.is_new:
        text += " It is kept, and waits for its turn."
        return EventStage(StageName.RECEIVED, Mark.WAITING, text)
    return EventStage(StageName.RECEIVED, Mark.DONE, text)


# ── what its trace says ───────────────────────────────────────────────────────────────────────


def _stage(name: StageName, event: ChannelEvent, lines: list[TraceLine]) -> Iterator[EventStage]:
    if not lines:
        return
    shown_as = "" if event.shown_as is None else f": {message_link(event.shown_as)}"
    said = [step_text(line, shown_as) for line in _still_true(name, lines)]
    # What is said twice is said where it was true last.
    texts = reversed(dict.fromkeys(reversed(said)))
    mark = STEPS[lines[-1].step].mark
    setting = ""
    has_filters = event.followed.subscription.options != SubscriptionOptions()
    if name is StageName.WANTED and (option := option_of(lines[-1])) is not None:
        at = event.changed_at.get(option)
        since = ""
        if at is not None and at > lines[-1].at:
            since = f", which was changed after that, {moment_text(at, 'R')}"
        now = options_text(event.followed.subscription.options) if event.named else ""
        setting = f"Decided by the setting `{option}`{since}." + (f" Now: {now}." if now else "")
    elif name is StageName.WANTED and event.named and "filter" in lines[-1].facts and has_filters:
        setting = f"The filters now: {options_text(event.followed.subscription.options)}."
    yield EventStage(name, mark, " ".join(texts), setting)


def _still_true(name: StageName, lines: list[TraceLine]) -> list[TraceLine]:
    """The lines without what a later one took back: a yes of Speckle, or facts that were late."""
    steps = [line.step for line in lines]
    if name is StageName.ACCESS and STEPS[steps[-1]].mark is not Mark.DONE:
        return [line for line in lines if STEPS[line.step].mark is not Mark.DONE]
    if TraceStep.FACTS_ADDED in steps:
        return [line for line in lines if line.step not in FACTS_BEFORE]
    return lines


FACTS_BEFORE: Final = frozenset({TraceStep.FACTS_LATE, TraceStep.FACTS_MISSING})


# ── Discord ───────────────────────────────────────────────────────────────────────────────────

FORMS: Final[Mapping[FallbackLevel, str]] = {
    FallbackLevel.FULL: "",
    FallbackLevel.NO_MEDIA: (
        " Discord refused the whole card, so it has no pictures, and no links but its buttons."
    ),
    FallbackLevel.TEXT: " Discord refused the card, so it is plain text.",
}


def _discord(event: ChannelEvent) -> Iterator[EventStage]:
    card, held = event.card, event.held
    if card is not None:
        yield EventStage(StageName.DISCORD, *_card(card, event))
    elif held is not None:
        paused = event.followed.subscription.pause_reason is not None
        text = (
            "It is kept, and becomes a card when the channel continues."
            if paused
            else "It is kept, and is tried again "
            f"{moment_text(held.next_try_at, 'R')}, in its order."
        )
        yield EventStage(StageName.DISCORD, Mark.PAUSED if paused else Mark.WAITING, text)
    elif event.decided is None:
        yield EventStage(StageName.DISCORD, Mark.NOT_SHOWN, CARD_GONE)


CARD_GONE: Final = (
    "There is no card of it any more: it was kept for as long as the bot keeps such things, or the "
    "person who runs the bot deleted it."
)


def _card(card: CardStatus, event: ChannelEvent) -> tuple[Mark, str]:
    why = _why_not_sent(card)
    match card.state:
        case OutboxState.SENT:
            sent_at = card.sent_at or card.created_at
            after_s = (sent_at - event.received_at).total_seconds()
            when = f"{moment_text(sent_at, 'T')}, {duration_text(after_s)} after it came"
            form = FORMS[card.level]
            mark = Mark.DONE if card.level is FallbackLevel.FULL else Mark.PLAIN
            return mark, f"Discord took it at {when}: {message_link(card)}.{form}"
        case OutboxState.UNDELIVERABLE:
            return Mark.FAILED, f"Discord did not take it. {why}"
        case OutboxState.WAITING if card.held:
            return Mark.PAUSED, f"Its card is kept until the channel continues. {why}".strip()
        case OutboxState.WAITING:
            due = card.due_at
            when = f" It is tried again {moment_text(due, 'R')}." if due is not None and why else ""
            return Mark.WAITING, f"Its card waits to be sent. {why}{when}".strip()


def _why_not_sent(card: CardStatus) -> str:
    stored = card.error if card.state is OutboxState.UNDELIVERABLE else card.channel_error
    if stored is None:
        return ""
    reason = SendReason.from_stored(stored)
    text = f"{escape_name(one_line(reason_text(reason)))}.".replace("..", ".")
    if reason.until is None:
        return text
    # A time that each reader sees as their own, in place of the one that is stored.
    return text.replace(escape_name(str(reason.facts["until"])), moment_text(reason.until, "f"))


def message_link(card: CardStatus) -> str:
    """The message that shows a card."""
    if card.message_id is None:
        return "its message"
    url = f"https://discord.com/channels/{card.guild_id}/{card.channel_id}/{card.message_id}"
    return f"[the message](<{url}>)"
